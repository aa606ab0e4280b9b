//! The serving end of a program's control socket: JSON lines of the `config` contract over a Unix socket.

use std::collections::VecDeque;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tgtrunk_config::control::{
    Answer, Ask, Event, Hello, LineReader, Outcome, Refusal, RefusalCode, Reply, Request, WireError, to_line,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::JoinSet;

use crate::log;

/// Askers at once; the other programs, and an operator's terminal or two.
const CONNECTIONS: usize = 64;
/// Questions of one asker that wait for their answers; more are not read yet.
const PIPELINED: usize = 64;
/// How long the listener rests when the system has no connection to give.
const REST: Duration = Duration::from_millis(100);

/// A question on its way to whoever knows the answer.
pub struct Question {
    /// What is asked; never [`Ask::Subscribe`] or [`Ask::Log`], which are answered here.
    pub ask: Ask,
    /// Where the answer goes. Dropped, it says that the program is stopping.
    pub answer: oneshot::Sender<Result<Answer, Refusal>>,
}

/// Opens the socket, readable by this user alone.
///
/// # Errors
/// When the path cannot be bound.
pub fn listen(path: &Path) -> anyhow::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error)
                .with_context(|| format!("cannot replace the control socket {}", path.display()));
        }
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(path)
        .with_context(|| format!("cannot open the control socket {}", path.display()))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
        .with_context(|| format!("cannot close {} to other users", path.display()))?;
    Ok(listener)
}

/// Serves askers in the name of `program` until the task is dropped. Answers come in the order of the questions;
/// events do not wait for them.
pub async fn serve(
    listener: UnixListener,
    program: &str,
    questions: mpsc::Sender<Question>,
    events: broadcast::Sender<Event>,
) {
    let program: Arc<str> = program.into();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if connections.len() < CONNECTIONS => {
                    let asker = Asker {
                        program: Arc::clone(&program),
                        questions: questions.clone(),
                        events: events.subscribe(),
                        subscription: Subscription::None,
                        waiting: VecDeque::new(),
                        closing: false,
                    };
                    connections.spawn(async move {
                        if let Err(error) = asker.talk(stream).await {
                            tracing::debug!(%error, "control connection ended");
                        }
                    });
                }
                Ok(_) => tracing::warn!(CONNECTIONS, "control connection refused: too many are open"),
                Err(error) => {
                    tracing::warn!(%error, "control connection not accepted");
                    tokio::time::sleep(REST).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One connection.
struct Asker {
    program: Arc<str>,
    questions: mpsc::Sender<Question>,
    events: broadcast::Receiver<Event>,
    subscription: Subscription,
    /// What was asked and is not answered, the oldest first.
    waiting: VecDeque<Waiting>,
    /// Nothing more is heard from there; what was asked is answered still.
    closing: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Subscription {
    None,
    /// Asked for: events gather until the asker was told that they come.
    Asked,
    Told,
}

enum Waiting {
    /// The answer is on its way.
    Asked(u64, oneshot::Receiver<Result<Answer, Refusal>>),
    /// The answer is known, and whether events follow it.
    Known(Box<Reply>, Subscription),
}

impl Asker {
    async fn talk(mut self, mut stream: UnixStream) -> anyhow::Result<()> {
        stream.write_all(to_line(&Hello::new(&self.program, std::process::id())).as_bytes()).await?;
        let (mut input, mut output) = stream.split();
        let mut lines = LineReader::default();
        let mut buffer = vec![0; 16 * 1024];
        loop {
            while self.hears() {
                let Some(line) = lines.next_line() else { break };
                self.take(line).await;
            }
            if self.closing && self.waiting.is_empty() {
                return Ok(());
            }
            tokio::select! {
                (reply, follows) = next_reply(&mut self.waiting, &self.program) => {
                    self.waiting.pop_front();
                    output.write_all(to_line(&reply).as_bytes()).await?;
                    if follows != Subscription::None {
                        self.subscription = follows;
                    }
                }
                read = input.read(&mut buffer), if self.hears() => match read? {
                    0 => self.closing = true,
                    read => lines.push(&buffer[..read]),
                },
                event = self.events.recv(), if self.subscription == Subscription::Told => {
                    let event = match event {
                        Ok(event) => event,
                        Err(broadcast::error::RecvError::Lagged(missed)) => Event::Lagged { missed },
                        Err(broadcast::error::RecvError::Closed) => return Ok(()),
                    };
                    output.write_all(to_line(&event).as_bytes()).await?;
                }
            }
        }
    }

    fn hears(&self) -> bool {
        !self.closing && self.waiting.len() < PIPELINED
    }

    /// Takes one line of the asker.
    async fn take(&mut self, line: Result<String, WireError>) {
        let refuse = |id, message| {
            Waiting::Known(Box::new(Reply::error(id, RefusalCode::BadRequest, message)), Subscription::None)
        };
        let waiting = match line.map(|line| Request::from_line(&line)) {
            Err(error) => {
                self.closing = true;
                refuse(None, error.to_string())
            }
            Ok(Err(bad)) => refuse(bad.id, bad.message),
            Ok(Ok(Request { id, ask: Ask::Subscribe })) => {
                // From here on: what is asked after it may be answered before its own answer is written.
                if self.subscription == Subscription::None {
                    self.subscription = Subscription::Asked;
                    self.events = self.events.resubscribe();
                }
                Waiting::Known(Box::new(Reply::ok(id, Answer::Done)), Subscription::Told)
            }
            Ok(Ok(Request { id, ask: Ask::Log { after, wait_ms } })) => {
                let (mut answer, answered) = oneshot::channel();
                tokio::spawn(async move {
                    tokio::select! {
                        tail = log::tail(after, Duration::from_millis(wait_ms.into())) => {
                            answer.send(Ok(Answer::Log(tail))).ok();
                        }
                        () = answer.closed() => {}
                    }
                });
                Waiting::Asked(id, answered)
            }
            Ok(Ok(Request { id, ask })) => {
                let (answer, answered) = oneshot::channel();
                // A question that nobody takes is dropped, which says that the program is stopping.
                self.questions.send(Question { ask, answer }).await.ok();
                Waiting::Asked(id, answered)
            }
        };
        self.waiting.push_back(waiting);
    }
}

/// The reply to what has waited longest, as soon as it is known, and whether events follow it.
async fn next_reply(waiting: &mut VecDeque<Waiting>, program: &str) -> (Reply, Subscription) {
    match waiting.front_mut() {
        None => std::future::pending().await,
        Some(Waiting::Known(reply, follows)) => (Reply::clone(reply), *follows),
        Some(Waiting::Asked(id, answered)) => {
            let outcome = match answered.await {
                Ok(Ok(answer)) => Outcome::Ok(answer),
                Ok(Err(refusal)) => Outcome::Error(refusal),
                Err(_) => Outcome::Error(Refusal {
                    code: RefusalCode::Stopping,
                    message: format!("{program} is stopping"),
                }),
            };
            (Reply { id: Some(*id), outcome }, Subscription::None)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use tgtrunk_config::control::Heard;
    use tgtrunk_config::{CallId, Phone};
    use tokio::io::{AsyncBufReadExt as _, BufReader};

    use super::*;

    #[tokio::test]
    async fn answers_come_in_order_and_events_do_not_wait_for_them() {
        let mut room = Room::open();
        let mut asker = room.asker().await;
        asker.ask(1, Ask::Subscribe).await;
        assert_eq!(asker.heard().await, Heard::Reply(Reply::ok(1, Answer::Done)));
        asker.ask(2, Ask::Status).await;
        asker.ask(3, Ask::Calls).await;
        let (second, third) = (room.question().await, room.question().await);
        third.answer.send(Ok(Answer::Calls(Vec::new()))).unwrap();
        let line: Phone = "+79060000000".parse().unwrap();
        room.events.send(Event::LineRemoved { line: line.clone() }).unwrap();
        assert_eq!(asker.heard().await, Heard::Event(Event::LineRemoved { line }));
        second.answer.send(Err(Refusal::not_here("tgtrunk-client", &second.ask))).unwrap();
        let refused = Reply::error(Some(2), RefusalCode::BadRequest, "tgtrunk-client has no status");
        assert_eq!(asker.heard().await, Heard::Reply(refused));
        assert_eq!(asker.heard().await, Heard::Reply(Reply::ok(3, Answer::Calls(Vec::new()))));
    }

    #[tokio::test]
    async fn an_event_between_subscribe_and_the_next_answer_is_not_lost() {
        let mut room = Room::open();
        let mut asker = room.asker().await;
        asker.ask(1, Ask::Calls).await;
        asker.ask(2, Ask::Subscribe).await;
        asker.ask(3, Ask::Calls).await;
        let (first, third) = (room.question().await, room.question().await);
        third.answer.send(Ok(Answer::Calls(Vec::new()))).unwrap();
        room.events.send(Event::Lagged { missed: 1 }).unwrap();
        first.answer.send(Ok(Answer::Calls(Vec::new()))).unwrap();
        let mut heard = [asker.heard().await, asker.heard().await, asker.heard().await, asker.heard().await];
        assert_eq!(heard[0], Heard::Reply(Reply::ok(1, Answer::Calls(Vec::new()))));
        assert_eq!(heard[1], Heard::Reply(Reply::ok(2, Answer::Done)));
        heard[2..].sort_by_key(|heard| matches!(heard, Heard::Event(_)));
        assert_eq!(heard[3], Heard::Event(Event::Lagged { missed: 1 }));
    }

    #[tokio::test]
    async fn an_asker_who_closes_its_half_has_its_answers_still() {
        let mut room = Room::open();
        let mut asker = room.asker().await;
        asker.ask(1, Ask::Calls).await;
        asker.output.shutdown().await.unwrap();
        let question = room.question().await;
        tokio::task::yield_now().await;
        question.answer.send(Ok(Answer::Done)).unwrap();
        assert_eq!(asker.heard().await, Heard::Reply(Reply::ok(1, Answer::Done)));
        assert!(asker.lines.next_line().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_line_that_is_no_text_is_refused_and_ends_the_connection() {
        let room = Room::open();
        let mut asker = room.asker().await;
        asker.output.write_all(b"\xff\n").await.unwrap();
        let refused = Reply::error(None, RefusalCode::BadRequest, "the line is not UTF-8");
        assert_eq!(asker.heard().await, Heard::Reply(refused));
        assert!(asker.lines.next_line().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_question_nobody_takes_says_that_the_program_stops() {
        let mut room = Room::open();
        let mut asker = room.asker().await;
        asker.ask(1, Ask::HangUp { call: CallId(1) }).await;
        drop(room.question().await.answer);
        let refused = |id| Reply::error(Some(id), RefusalCode::Stopping, "tgtrunk-client is stopping");
        assert_eq!(asker.heard().await, Heard::Reply(refused(1)));
        room.questions.close();
        asker.ask(2, Ask::Calls).await;
        assert_eq!(asker.heard().await, Heard::Reply(refused(2)));
    }

    #[tokio::test]
    async fn every_program_tells_its_log_and_asks_nobody_for_it() {
        let room = Room::open();
        let mut asker = room.asker().await;
        asker.ask(1, Ask::Log { after: 0, wait_ms: 0 }).await;
        let Heard::Reply(Reply { id: Some(1), outcome: Outcome::Ok(Answer::Log(_)) }) = asker.heard().await
        else {
            panic!("no log");
        };
    }

    struct Room {
        _folder: tempfile::TempDir,
        path: PathBuf,
        questions: mpsc::Receiver<Question>,
        events: broadcast::Sender<Event>,
    }

    struct TestAsker {
        lines: tokio::io::Lines<BufReader<tokio::net::unix::OwnedReadHalf>>,
        output: tokio::net::unix::OwnedWriteHalf,
    }

    impl Room {
        fn open() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("client.sock");
            let (asks, questions) = mpsc::channel(8);
            let (events, _) = broadcast::channel(16);
            tokio::spawn(serve(listen(&path).unwrap(), "tgtrunk-client", asks, events.clone()));
            Self { _folder: folder, path, questions, events }
        }

        async fn asker(&self) -> TestAsker {
            let (input, output) = UnixStream::connect(&self.path).await.unwrap().into_split();
            let mut asker = TestAsker { lines: BufReader::new(input).lines(), output };
            let hello = Hello::new("tgtrunk-client", std::process::id());
            assert_eq!(asker.heard().await, Heard::Hello(hello));
            asker
        }

        async fn question(&mut self) -> Question {
            self.questions.recv().await.unwrap()
        }
    }

    impl TestAsker {
        async fn ask(&mut self, id: u64, ask: Ask) {
            self.output.write_all(to_line(&Request { id, ask }).as_bytes()).await.unwrap();
        }

        async fn heard(&mut self) -> Heard {
            Heard::from_line(&self.lines.next_line().await.unwrap().unwrap()).unwrap()
        }
    }
}
