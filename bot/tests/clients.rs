//! Programs of others on libraries as published lead a bot through `tgtrunk-bot`, over the test Telegram.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tgtrunk_test_telegram::canary::API_HASH;
use tgtrunk_test_telegram::world::{BotInfo, Button, NewBot};
use tgtrunk_test_telegram::{NewUser, Options, TestTelegram, surroundings, venv};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::{Instant, sleep, timeout};

/// A machine that does a lot else takes its time.
const SOON: Duration = Duration::from_secs(30);
/// Until what should not happen would have happened.
const WHILE: Duration = Duration::from_millis(500);

#[tokio::test(flavor = "multi_thread")]
async fn python_telegram_bot_polls_and_misses_nothing_though_the_bot_is_killed() {
    let mut house = House::start().await;
    let token = house.token("PTB").await;
    let mut program = Program::start("telegram", &house.api(), &token, None).await;
    house.is_led(&mut program).await;
    house.kill().await;
    house.say("while it was away");
    house.run().await;
    house.says("echo: while it was away").await;
    sleep(WHILE).await;
    assert_eq!(house.count("echo: while it was away"), 1);
    assert_eq!(house.count("echo: hello"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn python_telegram_bot_is_called_by_a_webhook_which_outlives_a_kill() {
    let mut house = House::start().await;
    let mut program = Program::start("telegram", &house.api(), &house.info.token, Some(port())).await;
    house.is_led(&mut program).await;
    house.kill().await;
    house.say("while it was away");
    house.run().await;
    house.says("echo: while it was away").await;
    sleep(WHILE).await;
    assert_eq!(house.count("echo: while it was away"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn telebot_polls() {
    let house = House::start().await;
    let token = house.token("telebot").await;
    let mut program = Program::start("telebot", &house.api(), &token, None).await;
    house.is_led(&mut program).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_sends_a_large_file_which_is_held_nowhere_and_reads_it_back() {
    let house = House::start().await;
    house.say("hi");
    house.says_something().await;
    let before_kb = house.memory_kb();
    // Nothing that repeats: as a recording or an archive is.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let sent: Vec<u8> = (0..5_500_000).flat_map(|_| next()).collect();
    let (file, got) = (house.folder.path().join("sent.bin"), house.folder.path().join("got.bin"));
    std::fs::write(&file, &sent).unwrap();
    let method = |method: &str| format!("{}/bot{}/{method}", house.api(), house.info.token);
    let person = format!("chat_id={}", house.person);
    let document = format!("document=@{}", file.display());
    let told = curl(&["-F", &person, "-F", "caption=Отчёт", "-F", &document, &method("sendDocument")]).await;
    let told: Value = serde_json::from_str(&told).unwrap();
    let document = &told["result"]["document"];
    assert_eq!((&told["result"]["caption"], &document["file_size"]), (&json!("Отчёт"), &json!(sent.len())));
    let id = format!("file_id={}", document["file_id"].as_str().unwrap());
    let told: Value = serde_json::from_str(&curl(&["-G", "-d", &id, &method("getFile")]).await).unwrap();
    let path = told["result"]["file_path"].as_str().unwrap();
    let place = format!("{}/file/bot{}/{path}", house.api(), house.info.token);
    curl(&["-o", got.to_str().unwrap(), &place]).await;
    assert!(std::fs::read(&got).unwrap() == sent, "the file came back another");
    let grown_kb = house.memory_kb() - before_kb;
    println!("44 MB there and back: {grown_kb} KB of memory");
    assert!(grown_kb < 15_000, "{grown_kb} KB for a file of 44 MB");
    let wrong = format!("{}/bot{}:{}/getMe", house.api(), house.info.id, "A".repeat(35));
    let told: Value = serde_json::from_str(&curl(&[&wrong]).await).unwrap();
    assert_eq!(told, json!({"ok": false, "error_code": 401, "description": "Unauthorized"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn several_bots_run_side_by_side_each_with_its_own_people() {
    let house = House::start().await;
    let world = house.telegram.world();
    let other = world.add_bot(NewBot::new("other_bot", "Other")).unwrap();
    let boris = world.add_user(NewUser::new("+79990000002", "Boris").language("ru")).unwrap();
    let mut add = house.command(&["add"]);
    let mut add = add.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    add.stdin.take().unwrap().write_all(format!("{}\n", other.token).as_bytes()).await.unwrap();
    assert!(add.wait().await.unwrap().success(), "the second bot is not added");
    house.say("my key");
    world.say(boris, other.id, "мой ключ").unwrap();
    house.says(&format!("Your key: {}", house.person)).await;
    let limit = Instant::now() + SOON;
    let his = format!("Ваш ключ: {boris}");
    while !world.chat(boris, other.id).iter().any(|message| message.text == his) {
        assert!(Instant::now() < limit, "the second bot is silent: {}", house.log());
        sleep(Duration::from_millis(20)).await;
    }
    for (bot, person) in [("acme_bot", house.person), ("other_bot", boris)] {
        let told = house.command(&["keys", bot, "--json"]).output().await.unwrap();
        let people: Value = serde_json::from_slice(&told.stdout).unwrap();
        let keys: Vec<&Value> = people.as_array().unwrap().iter().map(|one| &one["key"]).collect();
        assert_eq!(keys, [&json!(person)], "@{bot}");
    }
    for info in [&house.info, &other] {
        let told = curl(&[&format!("{}/bot{}/getMe", house.api(), info.token)]).await;
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(told["result"]["id"], info.id, "{told}");
    }
}

/// The test Telegram with a bot and a person, and `tgtrunk-bot` with the bot.
struct House {
    program: Option<Child>,
    telegram: TestTelegram,
    info: BotInfo,
    person: i64,
    port: u16,
    folder: tempfile::TempDir,
}

impl House {
    async fn start() -> Self {
        let telegram = TestTelegram::start(Options::default()).await.unwrap();
        let info = telegram.world().add_bot(NewBot::new("acme_bot", "Acme")).unwrap();
        let person = telegram.world().add_user(NewUser::new("+79990000001", "Anna").language("en")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let bot = folder.path().join("state/bots/acme_bot");
        std::fs::create_dir_all(&bot).unwrap();
        std::fs::write(bot.join("bot.toml"), format!("token = \"{}\"\n", info.token)).unwrap();
        let port = port();
        let settings = format!(
            "[telegram]\napi_id = 1\napi_hash = \"{API_HASH}\"\n[gateway]\nstate = \"{}\"\n\
             [bot]\napi_url = \"{}\"\nlog_level = \"debug\"\n[bot.api]\nlisten = \"127.0.0.1:{port}\"\n",
            folder.path().join("state").display(),
            telegram.bot_api_url(),
        );
        std::fs::write(folder.path().join("tgtrunk.toml"), settings).unwrap();
        let mut house = Self { program: None, telegram, info, person, port, folder };
        house.run().await;
        house
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(surroundings::of(env!("CARGO_BIN_EXE_tgtrunk-bot")));
        command.arg("--config").arg(self.folder.path().join("tgtrunk.toml")).args(arguments);
        command.stdin(Stdio::null()).kill_on_drop(true).env_remove("RUST_LOG");
        command
    }

    /// Starts the bot and waits until it serves programs.
    async fn run(&mut self) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log_file()).unwrap();
        self.program = Some(self.command(&["run"]).stderr(Stdio::from(log)).spawn().unwrap());
        let url = format!("{}/bot{}/getMe", self.api(), self.info.token);
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let limit = Instant::now() + SOON;
        while !http.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
            assert!(Instant::now() < limit, "the bot serves no programs: {}", self.log());
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// kill -9.
    async fn kill(&mut self) {
        let mut program = self.program.take().unwrap();
        program.start_kill().unwrap();
        program.wait().await.unwrap();
    }

    fn api(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap()
    }

    /// A token of this machine's own.
    async fn token(&self, label: &str) -> String {
        let made = self.command(&["api-token", "make", "acme_bot", "--label", label]).output().await.unwrap();
        let told = String::from_utf8(made.stdout).unwrap();
        told.split_whitespace().nth(2).unwrap_or_else(|| panic!("{told}")).to_owned()
    }

    /// What the bot has held at most, so far.
    fn memory_kb(&self) -> u64 {
        let pid = self.program.as_ref().unwrap().id().unwrap();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    fn say(&self, text: &str) {
        self.telegram.world().say(self.person, self.info.id, text).unwrap();
    }

    fn count(&self, text: &str) -> usize {
        let chat = self.telegram.world().chat(self.person, self.info.id);
        chat.iter().filter(|message| message.text == text).count()
    }

    /// Waits until the bot has said so; gives the message's number.
    async fn says(&self, text: &str) -> i32 {
        let limit = Instant::now() + SOON;
        loop {
            let chat = self.telegram.world().chat(self.person, self.info.id);
            if let Some(found) = chat.iter().find(|message| message.text == text) {
                return found.id;
            }
            let said: Vec<_> = chat.iter().map(|message| &message.text).collect();
            assert!(Instant::now() < limit, "no {text:?} among {said:?}: {}", self.log());
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn says_something(&self) {
        let limit = Instant::now() + SOON;
        while self.telegram.world().chat(self.person, self.info.id).len() < 2 {
            assert!(Instant::now() < limit, "{}", self.log());
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// What a program does with a bot works beside what tgtrunk does with it.
    async fn is_led(&self, program: &mut Program) {
        self.say("hello");
        self.says("echo: hello").await;
        self.say("my key");
        self.says(&format!("Your key: {}", self.person)).await;
        assert_eq!(program.heard().await, "hello");
        assert_eq!(program.heard().await, "my key");
        self.say("menu");
        let menu = self.says("Sure?").await;
        let yes = Button::Label("Yes".to_owned());
        let pressed =
            timeout(SOON, self.telegram.world().press(self.person, menu, &yes)).await.unwrap().unwrap();
        assert_eq!(pressed.text.as_deref(), Some("pressed order:12:yes"));
        self.say("files");
        self.says("same").await;
        assert_eq!(self.count("echo: hello"), 1);
        let secret = self.info.token.split_once(':').unwrap().1;
        assert!(!self.log().contains(secret), "the token is in the log");
    }
}

/// A program of somebody else's. It ends when it is dropped.
struct Program {
    _child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Program {
    async fn start(library: &str, api: &str, token: &str, hook: Option<u16>) -> Self {
        let python = tokio::task::spawn_blocking(venv::python).await.unwrap().unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/python/bot_program.py");
        let mut command = Command::new(python);
        command
            .arg(script)
            .arg(json!({"library": library, "api": api, "token": token, "hook": hook}).to_string());
        command.env("PYTHONDONTWRITEBYTECODE", "1").stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut program = Self { _child: child, lines };
        assert_eq!(program.event().await, json!({"event": "ready", "username": "acme_bot"}));
        program
    }

    async fn event(&mut self) -> Value {
        let line = timeout(SOON, self.lines.next_line()).await.unwrap().unwrap();
        serde_json::from_str(&line.unwrap()).unwrap()
    }

    async fn heard(&mut self) -> String {
        let event = self.event().await;
        assert_eq!(event["event"], "heard");
        event["text"].as_str().unwrap().to_owned()
    }
}

async fn curl(arguments: &[&str]) -> String {
    let mut command = Command::new("curl");
    let done = command.args(["-sS", "--noproxy", "*"]).args(arguments).output().await.unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

/// A port that was free a moment ago.
fn port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
