//! A line whose account is on a test Telegram, a gateway's control socket, and the client between them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tgtrunk_config::control::{
    Answer, Ask, CallInfo, CallRecord, CallState, Direction, Event, LineInfo, Muted, Peer, Refusal,
    RefusalCode, StatusReport,
};
use tgtrunk_config::{
    CallId, Callee, ClientStatus, GatewayStatus, Lamp, LineDraft, Lines, Password, Phone, StateDir, UserId,
};
use tgtrunk_shell::control::{self, Question};
use tgtrunk_test_telegram::canary::API_HASH;
use tgtrunk_test_telegram::world::{MessageInfo, Puppet, World};
use tgtrunk_test_telegram::{NewUser, Options, TestTelegram, surroundings};
use tokio::process::{Child, Command};
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// What anything on this machine may take when it is busy.
pub(crate) const SOON: Duration = Duration::from_secs(20);
pub(crate) const COMPANY: &str = "79060000000";

/// A company whose account has a line, and Anna, who calls it.
pub(crate) struct Scene {
    pub(crate) telegram: TestTelegram,
    pub(crate) company: i64,
    pub(crate) anna: i64,
    pub(crate) state: StateDir,
    folder: tempfile::TempDir,
}

/// A gateway's control socket.
pub(crate) struct Gateway {
    pub(crate) told: Arc<Mutex<Known>>,
    events: broadcast::Sender<Event>,
    tasks: [JoinHandle<()>; 2],
    socket: PathBuf,
}

/// What the gateway knows.
#[derive(Default)]
pub(crate) struct Known {
    pub(crate) calls: Vec<CallInfo>,
    /// Keys that were sent.
    pub(crate) digits: Vec<(CallId, String)>,
    /// What it says to those who want to be let in: the account's password, or that it does not.
    pub(crate) password: Option<Password>,
    pub(crate) refuses: bool,
    /// How often it was to forget its session.
    pub(crate) resets: u32,
    /// Whether it gives no answer to keys; how often it did not.
    pub(crate) is_deaf: bool,
    pub(crate) unheard: u32,
    /// Its process, where it says that it has the line.
    pub(crate) pid: Option<u32>,
    /// Calls that were, the newest first.
    pub(crate) records: Vec<CallRecord>,
    /// Calls that it placed: to whom, from which extension, under which key.
    pub(crate) joined: Vec<(Callee, String, Option<String>)>,
    pub(crate) keys: BTreeMap<String, CallId>,
    /// What it says to those who want a call placed; none where it places it.
    pub(crate) join_refusal: Option<Refusal>,
    /// Whether it places calls and does not say so.
    pub(crate) joins_silently: bool,
}

/// A running client. It is killed when it is dropped.
pub(crate) struct Client(pub(crate) Child);

impl Scene {
    /// `settings` are further lines of `line.toml`.
    pub(crate) async fn new(settings: LineDraft) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        Self::within(settings, folder, &state).await
    }

    /// With its state elsewhere.
    pub(crate) async fn at(settings: LineDraft, state: &Path) -> Self {
        Self::within(settings, tempfile::tempdir().unwrap(), state).await
    }

    async fn within(settings: LineDraft, folder: tempfile::TempDir, state: &Path) -> Self {
        let telegram = TestTelegram::start(Options::default()).await.unwrap();
        let state = StateDir::open(state).unwrap();
        telegram.write_dc_seed(state.root(), 16).unwrap();
        let company = telegram.world().add_user(NewUser::new(COMPANY, "Company")).unwrap();
        let anna = telegram.world().add_user(NewUser::new("79001112233", "Anna")).unwrap();
        Lines::add(&state, settings.set("pbx", "127.0.0.1:5060")).unwrap();
        let text = format!(
            "[telegram]\napi_id = 12345\napi_hash = \"{API_HASH}\"\n[gateway]\nstate = {:?}\n[client]\nlog_level = \"info\"\n[page]\nlisten = \"127.0.0.1:0\"\n[api]\nlisten = \"127.0.0.1:0\"\n",
            state.root()
        );
        let settings = folder.path().join("tgtrunk.toml");
        std::fs::write(&settings, text).unwrap();
        std::fs::set_permissions(&settings, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        Self { telegram, company, anna, state, folder }
    }

    pub(crate) fn world(&self) -> &World {
        self.telegram.world()
    }

    pub(crate) fn gateway(&self) -> Gateway {
        Gateway::open(&self.state, self.telegram.world().clone(), self.company)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(surroundings::of(env!("CARGO_BIN_EXE_tgtrunk-client")));
        command.arg("--config").arg(self.folder.path().join("tgtrunk.toml")).args(arguments);
        command.env_remove("RUST_LOG").env("LC_ALL", "C").kill_on_drop(true);
        command
    }

    /// Logs the client's session in, through the gateway.
    pub(crate) async fn log_in(&self) {
        let done = self.command(&["login", &phone().to_string()]).output().await.unwrap();
        let told = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(done.status.success() && told.contains("let this one in"), "{told}{done:?}");
    }

    /// A client at work.
    pub(crate) async fn client(&self) -> Client {
        let client = self.run();
        self.until_lamp("session", Lamp::Green, |status| status.telegram.lamp).await;
        client
    }

    /// A client at work that somebody starts again when it ends by itself.
    pub(crate) async fn client_that_is_started_again(&self) -> Client {
        let mut command = self.command(&["run"]);
        let client =
            Client(command.env("TGTRUNK_BIN", self.folder.path()).stdin(Stdio::null()).spawn().unwrap());
        self.until_lamp("session", Lamp::Green, |status| status.telegram.lamp).await;
        client
    }

    /// A client that may have no session yet. Its log is shown when the test fails.
    pub(crate) fn run(&self) -> Client {
        let log = std::fs::File::options().create(true).append(true).open(self.log()).unwrap();
        Client(self.command(&["run"]).stdin(Stdio::null()).stderr(log).spawn().unwrap())
    }

    pub(crate) fn client_log(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap()
    }

    /// Where `tgtrunk.toml` is.
    pub(crate) fn settings(&self) -> PathBuf {
        self.folder.path().join("tgtrunk.toml")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("client.log")
    }

    pub(crate) fn status(&self) -> ClientStatus {
        let now_ms = unix_ms();
        ClientStatus::read(&self.state, &phone(), now_ms, Duration::from_secs(30))
    }

    pub(crate) async fn until_lamp(&self, what: &str, wanted: Lamp, lamp: impl Fn(&ClientStatus) -> Lamp) {
        eventually(&format!("{what} {wanted:?}"), || lamp(&self.status()) == wanted).await;
    }

    /// What stands in Anna's chat with the company, as she sees it.
    pub(crate) fn anna_sees(&self) -> Vec<MessageInfo> {
        let messages = self.world().chat(self.anna, self.company);
        messages.into_iter().filter(|message| !message.deleted && message.call.is_none()).collect()
    }

    pub(crate) fn company_sees(&self) -> Vec<MessageInfo> {
        let messages = self.world().chat(self.company, self.anna);
        messages.into_iter().filter(|message| !message.deleted && message.call.is_none()).collect()
    }

    /// Anna calls: Telegram tells the company's sessions, and the gateway its listeners.
    pub(crate) async fn anna_calls(&self, gateway: &Gateway) -> (Puppet, i64, CallInfo) {
        let anna = Puppet::new(self.world(), self.anna).unwrap();
        let call = anna.dial(self.company, false).await.unwrap();
        let info = info(0xa1 + call.unsigned_abs() % 1000, self.anna, Direction::TelegramToPbx);
        gateway.tell(&info);
        (anna, call, info)
    }

    /// The company calls Anna, who does not answer.
    pub(crate) async fn anna_misses_a_call(&self) {
        use tgtrunk_test_telegram::world::Ending;
        let company = Puppet::new(self.world(), self.company).unwrap();
        let call = company.dial(self.anna, false).await.unwrap();
        company.discard(call, Ending::Missed, 0).await.unwrap();
    }

    /// Where the API is, and a token that is made at the terminal.
    pub(crate) async fn action_token(&self, whose: &str, label: &str) -> (String, String) {
        let end = Instant::now() + SOON;
        let told = loop {
            let done =
                self.command(&["action-token", "make", whose, "--label", label]).output().await.unwrap();
            if done.status.success() {
                break String::from_utf8(done.stdout).unwrap();
            }
            assert!(Instant::now() < end, "no token: {done:?}");
            sleep(Duration::from_millis(50)).await;
        };
        let token = told.split("actionToken: ").nth(1).unwrap().lines().next().unwrap().to_owned();
        let url = told.split("http://").nth(1).unwrap().split("/api/").next().unwrap();
        (format!("http://{url}"), token)
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", std::fs::read_to_string(self.log()).unwrap_or_default());
        }
    }
}

impl Gateway {
    fn open(state: &StateDir, world: World, account: i64) -> Self {
        let socket = state.gateway_socket();
        let listener = control::listen(&socket).unwrap();
        let (asks, mut questions) = mpsc::channel::<Question>(64);
        let (events, _) = broadcast::channel(1024);
        let told = Arc::new(Mutex::new(Known::default()));
        let (known, told_of) = (Arc::clone(&told), events.clone());
        let answering = tokio::spawn(async move {
            while let Some(Question { ask, answer }) = questions.recv().await {
                let mut known = known.lock().unwrap();
                if known.is_deaf && matches!(ask, Ask::SendDigits { .. }) {
                    known.unheard += 1;
                    std::mem::forget(answer);
                    continue;
                }
                let is_silent = known.joins_silently && matches!(ask, Ask::JoinCall { .. });
                let before = known.calls.clone();
                let reply = known.reply(ask, &world, account);
                for call in known.calls.iter().filter(|call| !before.contains(call)) {
                    told_of.send(Event::Call(call.clone())).ok();
                }
                for call in
                    before.into_iter().filter(|call| known.calls.iter().all(|one| one.call != call.call))
                {
                    told_of.send(Event::Call(CallInfo { state: CallState::Ended, ..call })).ok();
                }
                if is_silent {
                    std::mem::forget(answer);
                } else {
                    answer.send(reply).ok();
                }
            }
        });
        let serving = {
            let events = events.clone();
            tokio::spawn(async move { control::serve(listener, "tgtrunk-gateway", asks, events).await })
        };
        Self { told, events, tasks: [answering, serving], socket }
    }

    pub(crate) fn tell(&self, call: &CallInfo) {
        let mut known = self.told.lock().unwrap();
        known.calls.retain(|known| known.call != call.call);
        if call.state != CallState::Ended {
            known.calls.push(call.clone());
        }
        self.events.send(Event::Call(call.clone())).ok();
    }

    pub(crate) fn ends(&self, call: &CallInfo) {
        self.tell(&CallInfo { state: CallState::Ended, ..call.clone() });
    }

    pub(crate) fn digits(&self) -> Vec<String> {
        self.told.lock().unwrap().digits.iter().map(|(_, digits)| digits.clone()).collect()
    }
}

impl Known {
    fn reply(&mut self, ask: Ask, world: &World, account: i64) -> Result<Answer, Refusal> {
        match ask {
            Ask::Calls => Ok(Answer::Calls(self.calls.clone())),
            Ask::ResetLine { .. } => {
                self.resets += 1;
                Ok(Answer::Done)
            }
            Ask::Status => {
                let info = |pid| LineInfo {
                    sip: "127.0.0.1:30001".into(),
                    pbx: "127.0.0.1:5060".into(),
                    status: GatewayStatus::waiting(phone(), pid, unix_ms()),
                };
                let lines = self.pid.map(info).into_iter().collect();
                Ok(Answer::Status(StatusReport { lines, problems: Vec::new() }))
            }
            Ask::Records { filter } => {
                let is_in = |record: &&CallRecord| {
                    filter.from_ms.is_none_or(|from_ms| record.started_ms >= from_ms)
                        && filter.to_ms.is_none_or(|to_ms| record.started_ms < to_ms)
                };
                let found: Vec<CallRecord> = self.records.iter().filter(is_in).cloned().collect();
                let (skip, limit) = (filter.skip as usize, filter.limit.unwrap_or(50) as usize);
                let total = found.len() as u64;
                Ok(Answer::Records { records: found.into_iter().skip(skip).take(limit).collect(), total })
            }
            Ask::JoinCall { .. } if self.join_refusal.is_some() => Err(self.join_refusal.clone().unwrap()),
            Ask::JoinCall { key: Some(key), .. } if self.keys.contains_key(&key) => {
                Ok(Answer::Call { call: self.keys[&key] })
            }
            Ask::JoinCall { extension, person, key, .. } => {
                self.joined.push((person, extension.clone(), key.clone()));
                let number = 0xb000 + self.joined.len() as u64;
                let call = CallInfo {
                    state: CallState::Dialling,
                    extension: Some(extension),
                    ..info(number, 5, Direction::PbxToTelegram)
                };
                self.keys.extend(key.map(|key| (key, call.call)));
                self.calls.push(call);
                Ok(Answer::Call { call: CallId(number) })
            }
            Ask::HangUp { call } if self.calls.iter().any(|known| known.call == call) => {
                self.calls.retain(|known| known.call != call);
                Ok(Answer::Done)
            }
            Ask::SendDigits { call, digits, .. } => {
                self.digits.push((call, digits.keys().iter().map(|key| key.char()).collect()));
                Ok(Answer::Done)
            }
            Ask::AcceptLogin { token, .. } if !self.refuses => {
                world.accept_login_token(account, &token.bytes()).unwrap();
                Ok(Answer::Accepted { password: self.password.clone() })
            }
            _ => Err(Refusal { code: RefusalCode::Telegram, message: "Telegram refused".to_owned() }),
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        std::fs::remove_file(&self.socket).ok();
    }
}

impl Client {
    pub(crate) fn runs(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    /// As the system does to a program that does not end.
    pub(crate) async fn kill(mut self) {
        self.0.kill().await.unwrap();
    }

    pub(crate) async fn terminate(mut self) {
        let pid = nix::unistd::Pid::from_raw(self.0.id().unwrap().cast_signed());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        assert!(self.0.wait().await.unwrap().success());
    }
}

pub(crate) fn phone() -> Phone {
    format!("+{COMPANY}").parse().unwrap()
}

pub(crate) fn line() -> LineDraft {
    LineDraft::new(&phone())
}

pub(crate) fn info(call: u64, person: i64, direction: Direction) -> CallInfo {
    CallInfo {
        call: CallId(call),
        line: phone(),
        direction,
        state: CallState::Incoming,
        peer: Peer { id: UserId::new(person).ok(), ..Peer::default() },
        dialled: None,
        emoji: None,
        trunk: Default::default(),
        ringing_ms: None,
        recording: None,
        muted: Muted::default(),
        pbx: None,
        quality: None,
        started_ms: unix_ms(),
        answered_ms: None,
        duration_ms: None,
        end: None,
        extension: None,
        refused_by: None,
        telegram_call: None,
    }
}

/// Waits until something holds.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < end, "never came true: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Sees to it that something goes on to hold for a while.
pub(crate) async fn stays(what: &str, time: Duration, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        assert!(holds(), "did not stay true: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

#[expect(clippy::disallowed_methods, reason = "a test's clock")]
fn unix_ms() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(now.as_millis()).unwrap()
}
