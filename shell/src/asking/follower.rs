//! A connection to another program that is kept: its events in order, and questions beside them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tgtrunk_config::control::{Answer, Ask, BotReport, CallInfo, ClientReport, Event, Refusal, StatusReport};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

use super::link::{Link, Waiter};
use super::news::News;

/// How long an answer may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// Pauses between two attempts to connect.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Questions on their way to the connection.
const ASKS: usize = 64;
/// News on their way to the listener; more wait in memory.
const TOLD: usize = 16;

/// Keeps a connection to a program. Clones share it; it closes with the last one.
#[derive(Clone, Debug)]
pub struct Follower {
    asks: mpsc::Sender<(Ask, Waiter)>,
}

/// What a follower is told.
#[expect(clippy::large_enum_variant, reason = "nearly all of it is events")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// The gateway is there, and this holds: told first, after [`Told::Gone`], and where events were missed. Events
    /// that come next may repeat what it says.
    Up {
        /// The calls that are up. One that is not among them is over.
        calls: Vec<CallInfo>,
        /// The lines.
        status: StatusReport,
    },
    /// The same of a client, with its lines.
    Clients(ClientReport),
    /// The same of a bot, with its bots.
    Bots(BotReport),
    /// Something happened; never [`Event::Lagged`].
    Event(Event),
    /// The program does not run, or cannot be reached: a gateway's calls are over, or nobody knows of them. Told once;
    /// then the follower goes on trying.
    Gone,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// There is no connection to the gateway, or it broke before the answer: nobody knows whether it was done.
    #[error("the gateway does not run")]
    Gone,
    /// The gateway does not do it.
    #[error(transparent)]
    Refused(Refusal),
    /// The gateway did not answer within 5 s.
    #[error("the gateway does not answer")]
    NoAnswer,
}

impl Follower {
    /// Follows the gateway whose control socket is `path`, from now on and through its restarts. What happens comes
    /// through the receiver; a slow reader is told [`Told::Up`] anew instead of everything it missed.
    pub fn start(path: PathBuf) -> (Self, mpsc::Receiver<Told>) {
        Self::follow(path, Followed::Gateway)
    }

    /// Follows the client whose control socket is `path` in the same way; it tells [`Told::Clients`] instead of
    /// [`Told::Up`].
    pub fn start_at_client(path: PathBuf) -> (Self, mpsc::Receiver<Told>) {
        Self::follow(path, Followed::Client)
    }

    /// Follows the bot whose control socket is `path` in the same way; it tells [`Told::Bots`] instead of [`Told::Up`].
    pub fn start_at_bot(path: PathBuf) -> (Self, mpsc::Receiver<Told>) {
        Self::follow(path, Followed::Bot)
    }

    fn follow(path: PathBuf, followed: Followed) -> (Self, mpsc::Receiver<Told>) {
        let (asks, asked) = mpsc::channel(ASKS);
        let (told, news) = mpsc::channel(TOLD);
        tokio::spawn(Task { path, followed, asks: asked, told, news: News::default() }.run());
        (Self { asks }, news)
    }

    /// Asks over the same connection. Questions of several tasks do not wait for each other.
    ///
    /// # Errors
    /// See [`AskError`]; [`AskError::Gone`] at once while nobody can be connected to.
    pub async fn ask(&self, ask: Ask) -> Result<Answer, AskError> {
        let (waiter, answered) = oneshot::channel();
        let asked = async {
            self.asks.send((ask, waiter)).await.map_err(|_| AskError::Gone)?;
            answered.await.unwrap_or(Err(AskError::Gone))
        };
        timeout(ANSWER_LIMIT, asked).await.unwrap_or(Err(AskError::NoAnswer))
    }
}

/// Who is followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Followed {
    /// It has lines and calls.
    #[default]
    Gateway,
    /// It has its own side of the lines.
    Client,
    /// It has bots.
    Bot,
}

struct Task {
    path: PathBuf,
    followed: Followed,
    asks: mpsc::Receiver<(Ask, Waiter)>,
    told: mpsc::Sender<Told>,
    news: News,
}

/// Nobody asks any more.
struct Unwanted;

impl Task {
    async fn run(mut self) {
        let (mut pause, mut impatient) = (FIRST_PAUSE, None);
        loop {
            match self.follow(impatient.take()).await {
                Ok(true) => pause = FIRST_PAUSE,
                Ok(false) => {}
                Err(Unwanted) => return,
            }
            self.news.gone();
            match self.rest(pause).await {
                Ok(None) => pause = (pause * 2).min(LONGEST_PAUSE),
                Ok(asked) => impatient = asked,
                Err(Unwanted) => return,
            }
        }
    }

    /// Follows one connection to its end; tells whether it was good for anything. `impatient` is asked first.
    async fn follow(&mut self, impatient: Option<(Ask, Waiter)>) -> Result<bool, Unwanted> {
        let Some(mut stream) = connect(&self.path).await else {
            if let Some((_, waiter)) = impatient {
                waiter.send(Err(AskError::Gone)).ok();
            }
            return Ok(false);
        };
        let (mut input, mut output) = stream.split();
        let mut link = Link::new(self.followed);
        if let Some((ask, waiter)) = impatient {
            link.ask(ask, waiter);
        }
        let mut buffer = vec![0; 16 * 1024];
        let (mut was_up, mut limit) = (false, Instant::now() + ANSWER_LIMIT);
        loop {
            if link.is_following() {
                (was_up, limit) = (true, Instant::now() + ANSWER_LIMIT);
            }
            tokio::select! {
                read = input.read(&mut buffer) => {
                    let Ok(read @ 1..) = read else { return Ok(was_up) };
                    if let Err(error) = link.handle_bytes(&buffer[..read], &mut self.news) {
                        tracing::warn!(%error, "a connection to another program is given up");
                        return Ok(was_up);
                    }
                }
                written = output.write(&link.outgoing), if !link.outgoing.is_empty() => {
                    let Ok(written @ 1..) = written else { return Ok(was_up) };
                    link.outgoing.drain(..written);
                }
                asked = self.asks.recv() => {
                    let (ask, waiter) = asked.ok_or(Unwanted)?;
                    link.ask(ask, waiter);
                }
                () = tell(&self.told, &mut self.news) => {}
                () = sleep_until(limit), if !link.is_following() => {
                    tracing::warn!("a program does not tell what holds");
                    return Ok(was_up);
                }
            }
        }
    }

    /// Waits before the next attempt; who asks meanwhile is not to hear of a program that has been back for a second
    /// that it does not run, so it is tried at once.
    async fn rest(&mut self, pause: Duration) -> Result<Option<(Ask, Waiter)>, Unwanted> {
        let until = Instant::now() + pause;
        loop {
            tokio::select! {
                () = sleep_until(until) => return Ok(None),
                asked = self.asks.recv() => return asked.map(Some).ok_or(Unwanted),
                () = tell(&self.told, &mut self.news) => {}
            }
        }
    }
}

async fn connect(path: &Path) -> Option<UnixStream> {
    match UnixStream::connect(path).await {
        Ok(stream) => Some(stream),
        Err(error) => {
            tracing::debug!(%error, "a program cannot be reached");
            None
        }
    }
}

/// Hands one piece of news over as soon as the listener takes it. One who is gone is told nothing.
async fn tell(told: &mpsc::Sender<Told>, news: &mut News) {
    if news.is_empty() {
        return std::future::pending().await;
    }
    match told.reserve().await {
        Ok(permit) => {
            if let Some(next) = news.pop() {
                permit.send(next);
            }
        }
        Err(_) => while news.pop().is_some() {},
    }
}

#[cfg(test)]
mod tests {
    use tgtrunk_config::control::{Hello, Outcome, RefusalCode, Reply, Request, to_line};
    use tgtrunk_config::{CallId, Phone};
    use tokio::io::{AsyncBufReadExt as _, BufReader};
    use tokio::net::UnixListener;
    use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

    use super::*;

    #[tokio::test]
    async fn what_holds_is_told_before_what_happens() {
        let (room, mut news, _follower) = Room::open();
        let mut gateway = room.accept().await;
        assert_eq!(gateway.asked(1).await, Ask::Subscribe);
        gateway.says(&Reply::ok(1, Answer::Done)).await;
        gateway.says(&removed("+79060000001")).await;
        assert_eq!(gateway.asked(2).await, Ask::Calls);
        assert_eq!(gateway.asked(3).await, Ask::Status);
        gateway.says(&Reply::ok(2, Answer::Calls(Vec::new()))).await;
        gateway.says(&Reply::ok(3, Answer::Status(report("a")))).await;
        gateway.says(&removed("+79060000002")).await;
        assert_eq!(news.recv().await.unwrap(), up("a"));
        assert_eq!(news.recv().await.unwrap(), Told::Event(removed("+79060000001")));
        assert_eq!(news.recv().await.unwrap(), Told::Event(removed("+79060000002")));
    }

    #[tokio::test]
    async fn missed_events_have_it_ask_again_what_holds() {
        let (room, mut news, _follower) = Room::open();
        let mut gateway = room.accept().await;
        gateway.tells("a").await;
        assert_eq!(news.recv().await.unwrap(), up("a"));
        gateway.says(&Event::Lagged { missed: 7 }).await;
        gateway.says(&removed("+79060000001")).await;
        assert_eq!(gateway.asked(4).await, Ask::Calls);
        assert_eq!(gateway.asked(5).await, Ask::Status);
        gateway.says(&Reply::ok(4, Answer::Calls(Vec::new()))).await;
        gateway.says(&Reply::ok(5, Answer::Status(report("b")))).await;
        assert_eq!(news.recv().await.unwrap(), up("b"));
        assert_eq!(news.recv().await.unwrap(), Told::Event(removed("+79060000001")));
    }

    #[tokio::test]
    async fn a_gateway_that_dies_is_gone_once_and_up_when_it_is_back() {
        let (mut room, mut news, follower) = Room::open();
        let mut gateway = room.accept().await;
        gateway.tells("a").await;
        assert_eq!(news.recv().await.unwrap(), up("a"));
        let asking = tokio::spawn({
            let follower = follower.clone();
            async move { follower.ask(Ask::HangUp { call: CallId(1) }).await }
        });
        assert_eq!(gateway.asked(4).await, Ask::HangUp { call: CallId(1) });
        room.dies();
        drop(gateway);
        assert_eq!(asking.await.unwrap(), Err(AskError::Gone));
        assert_eq!(news.recv().await.unwrap(), Told::Gone);
        assert_eq!(follower.ask(Ask::Status).await, Err(AskError::Gone));
        tokio::time::sleep(Duration::from_millis(250)).await;
        room.lives();
        let mut gateway = room.accept().await;
        gateway.tells("b").await;
        assert_eq!(news.recv().await.unwrap(), up("b"));
    }

    #[tokio::test]
    async fn who_asks_of_a_gateway_that_is_back_does_not_wait_for_the_next_attempt() {
        let (mut room, mut news, follower) = Room::open();
        drop(room.accept().await);
        room.dies();
        assert_eq!(news.recv().await.unwrap(), Told::Gone);
        tokio::time::sleep(Duration::from_secs(1)).await;
        room.lives();
        let asking = tokio::spawn({
            let follower = follower.clone();
            async move { follower.ask(Ask::HangUp { call: CallId(1) }).await }
        });
        let mut gateway = room.accept().await;
        assert_eq!(gateway.asked(1).await, Ask::HangUp { call: CallId(1) });
        gateway.says(&Reply::ok(1, Answer::Done)).await;
        assert_eq!(asking.await.unwrap(), Ok(Answer::Done));
        assert_eq!(gateway.asked(2).await, Ask::Subscribe);
    }

    #[tokio::test]
    async fn a_gateway_that_never_ran_is_gone_from_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let (follower, mut news) = Follower::start(folder.path().join("gateway.sock"));
        assert_eq!(news.recv().await.unwrap(), Told::Gone);
        assert_eq!(follower.ask(Ask::Status).await, Err(AskError::Gone));
    }

    #[tokio::test]
    async fn answers_find_their_askers_though_events_flow_between() {
        let (room, mut news, follower) = Room::open();
        let mut gateway = room.accept().await;
        gateway.tells("a").await;
        let asks = (1..=20).map(|call| {
            let follower = follower.clone();
            tokio::spawn(async move { follower.ask(Ask::HangUp { call: CallId(call) }).await })
        });
        let asks: Vec<_> = asks.collect();
        let mut asked = Vec::new();
        for id in 4..24 {
            let Ask::HangUp { call } = gateway.asked(id).await else { panic!("no hang_up") };
            asked.push((id, call));
        }
        for (id, call) in asked.into_iter().rev() {
            gateway.says(&removed("+79060000001")).await;
            let refusal = Refusal { code: RefusalCode::UnknownCall, message: call.to_string() };
            let outcome = if call.0 % 2 == 0 { Outcome::Ok(Answer::Done) } else { Outcome::Error(refusal) };
            gateway.says(&Reply { id: Some(id), outcome }).await;
        }
        for (call, ask) in (1..).zip(asks) {
            let told = ask.await.unwrap();
            match told {
                Ok(Answer::Done) => assert_eq!(call % 2, 0),
                Err(AskError::Refused(refusal)) => assert_eq!(refusal.message, CallId(call).to_string()),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(news.recv().await.unwrap(), up("a"));
        for _ in 0..20 {
            assert_eq!(news.recv().await.unwrap(), Told::Event(removed("+79060000001")));
        }
    }

    #[tokio::test]
    async fn questions_are_answered_though_nobody_reads_the_news() {
        let (room, mut news, follower) = Room::open();
        let mut gateway = room.accept().await;
        gateway.tells("a").await;
        for _ in 0..10_000 {
            gateway.says(&removed("+79060000001")).await;
        }
        let asker = follower.clone();
        let asking = tokio::spawn(async move { asker.ask(Ask::HangUp { call: CallId(1) }).await });
        let mut id = 4;
        loop {
            match gateway.asked(id).await {
                Ask::HangUp { .. } => break gateway.says(&Reply::ok(id, Answer::Done)).await,
                Ask::Calls => gateway.says(&Reply::ok(id, Answer::Calls(Vec::new()))).await,
                _ => gateway.says(&Reply::ok(id, Answer::Status(report("b")))).await,
            }
            id += 1;
        }
        assert_eq!(asking.await.unwrap(), Ok(Answer::Done));
        let mut told = Vec::new();
        while !told.contains(&up("b")) {
            told.push(news.recv().await.unwrap());
        }
    }

    #[tokio::test]
    async fn a_gateway_that_does_not_answer_is_not_waited_for() {
        let (room, mut news, follower) = Room::open();
        let mut gateway = room.accept().await;
        gateway.tells("a").await;
        assert_eq!(news.recv().await.unwrap(), up("a"));
        assert_eq!(follower.ask(Ask::Calls).await, Err(AskError::NoAnswer));
        gateway.says(&removed("+79060000001")).await;
        assert_eq!(news.recv().await.unwrap(), Told::Event(removed("+79060000001")));
    }

    #[tokio::test]
    async fn a_bot_is_followed_by_its_status_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bot.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let (_follower, mut news) = Follower::start_at_bot(path);
        let (stream, _) = listener.accept().await.unwrap();
        let (input, output) = stream.into_split();
        let mut bot = Gateway { input: BufReader::new(input).lines(), output };
        bot.says(&Hello::new("tgtrunk-bot", 4712)).await;
        assert_eq!(bot.asked(1).await, Ask::Subscribe);
        assert_eq!(bot.asked(2).await, Ask::Status);
        let report = BotReport { bots: Vec::new(), problems: vec!["x".into()] };
        bot.says(&Reply::ok(1, Answer::Done)).await;
        bot.says(&Reply::ok(2, Answer::Bots(report.clone()))).await;
        let gone = Event::BotRemoved { bot: "acme_bot".parse().unwrap() };
        bot.says(&gone).await;
        assert_eq!(news.recv().await.unwrap(), Told::Bots(report));
        assert_eq!(news.recv().await.unwrap(), Told::Event(gone));
        drop((bot, listener));
        assert_eq!(news.recv().await.unwrap(), Told::Gone);
    }

    #[tokio::test]
    async fn words_of_a_newer_gateway_are_passed_over() {
        let (room, mut news, _follower) = Room::open();
        let mut gateway = room.accept().await;
        gateway.tells("a").await;
        gateway.output.write_all(b"{\"event\":\"weather\",\"rain\":true}\n").await.unwrap();
        gateway.says(&removed("+79060000001")).await;
        assert_eq!(news.recv().await.unwrap(), up("a"));
        assert_eq!(news.recv().await.unwrap(), Told::Event(removed("+79060000001")));
    }

    #[tokio::test]
    async fn a_follower_that_nobody_holds_closes_its_connection() {
        let (room, mut news, follower) = Room::open();
        let mut gateway = room.accept().await;
        gateway.tells("a").await;
        assert_eq!(news.recv().await.unwrap(), up("a"));
        drop((news, follower));
        assert_eq!(gateway.input.next_line().await.unwrap(), None);
    }

    /// A gateway whose every word is written by the test.
    struct Room {
        _folder: tempfile::TempDir,
        path: PathBuf,
        listener: Option<UnixListener>,
    }

    struct Gateway {
        input: tokio::io::Lines<BufReader<OwnedReadHalf>>,
        output: OwnedWriteHalf,
    }

    impl Room {
        fn open() -> (Self, mpsc::Receiver<Told>, Follower) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("gateway.sock");
            let mut room = Self { _folder: folder, path: path.clone(), listener: None };
            room.lives();
            let (follower, news) = Follower::start(path);
            (room, news, follower)
        }

        fn lives(&mut self) {
            self.listener = Some(UnixListener::bind(&self.path).unwrap());
        }

        fn dies(&mut self) {
            self.listener = None;
            std::fs::remove_file(&self.path).unwrap();
        }

        async fn accept(&self) -> Gateway {
            let (stream, _) = self.listener.as_ref().unwrap().accept().await.unwrap();
            let (input, output) = stream.into_split();
            let mut gateway = Gateway { input: BufReader::new(input).lines(), output };
            gateway.says(&Hello::new("tgtrunk-gateway", 4711)).await;
            gateway
        }
    }

    impl Gateway {
        async fn asked(&mut self, id: u64) -> Ask {
            let line = self.input.next_line().await.unwrap().unwrap();
            let request = Request::from_line(&line).unwrap();
            assert_eq!(request.id, id, "{line}");
            request.ask
        }

        async fn says(&mut self, word: &impl serde::Serialize) {
            self.output.write_all(to_line(word).as_bytes()).await.unwrap();
        }

        /// Answers what a follower asks first.
        async fn tells(&mut self, problem: &str) {
            for id in 1..=3 {
                let answer = match self.asked(id).await {
                    Ask::Subscribe => Answer::Done,
                    Ask::Calls => Answer::Calls(Vec::new()),
                    Ask::Status => Answer::Status(report(problem)),
                    other => panic!("{other:?}"),
                };
                self.says(&Reply::ok(id, answer)).await;
            }
        }
    }

    fn report(problem: &str) -> StatusReport {
        StatusReport { lines: Vec::new(), problems: vec![problem.into()] }
    }

    fn up(problem: &str) -> Told {
        Told::Up { calls: Vec::new(), status: report(problem) }
    }

    fn removed(line: &str) -> Event {
        Event::LineRemoved { line: line.parse::<Phone>().unwrap() }
    }
}
