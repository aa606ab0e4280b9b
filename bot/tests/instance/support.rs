//! The test Telegram with a bot and people on Telethon, `tgtrunk-bot` with the bot, and a program that has a token.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use tgtrunk_test_telegram::canary::API_HASH;
use tgtrunk_test_telegram::world::{BotInfo, NewBot, World};
use tgtrunk_test_telegram::{NewUser, Options, TestTelegram, surroundings};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use crate::web::Web;
use crate::witness::{Person, Witness};

/// A machine that does a lot else takes its time.
pub(crate) const SOON: Duration = Duration::from_secs(40);
/// Until what should not happen would have happened.
pub(crate) const WHILE: Duration = Duration::from_secs(1);

const ANNA: &str = "79990000001";

/// The world, as whoever logs in to it needs it.
pub(crate) struct Scene {
    pub(crate) telegram: TestTelegram,
}

impl Scene {
    pub(crate) fn world(&self) -> &World {
        self.telegram.world()
    }
}

/// All of it. What dies first stands first.
pub(crate) struct Stage {
    program: Option<Child>,
    _witness: Witness,
    pub(crate) anna: Person,
    pub(crate) scene: Scene,
    pub(crate) info: BotInfo,
    pub(crate) web: Web,
    pub(crate) token: String,
    port: u16,
    folder: tempfile::TempDir,
}

impl Stage {
    /// Everything runs, and Anna has begun with the bot.
    pub(crate) async fn open() -> Self {
        let telegram = TestTelegram::start(Options::default()).await.unwrap();
        let info = telegram.world().add_bot(NewBot::new("acme_bot", "Acme")).unwrap();
        let anna = NewUser::new(ANNA, "Anna").username("anna_a").language("en");
        telegram.world().add_user(anna).unwrap();
        let scene = Scene { telegram };
        let folder = tempfile::tempdir().unwrap();
        let bot = folder.path().join("state/bots/acme_bot");
        std::fs::create_dir_all(&bot).unwrap();
        std::fs::write(bot.join("bot.toml"), format!("token = \"{}\"\n", info.token)).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let settings = format!(
            "[telegram]\napi_id = 1\napi_hash = \"{API_HASH}\"\n[gateway]\nstate = \"{}\"\n\
             [bot]\napi_url = \"{}\"\nlog_level = \"debug\"\n[bot.api]\nlisten = \"127.0.0.1:{port}\"\n",
            folder.path().join("state").display(),
            scene.telegram.bot_api_url(),
        );
        std::fs::write(folder.path().join("tgtrunk.toml"), settings).unwrap();
        let witness = Witness::log_in(&scene, &[ANNA], folder.path()).await;
        let anna = witness.person(ANNA);
        let web = Web::start(&folder.path().join("web")).await;
        let token = String::new();
        let mut stage =
            Self { program: None, _witness: witness, anna, scene, info, web, token, port, folder };
        stage.run().await;
        let made = stage.command(&["api-token", "make", "acme_bot", "--label", "1C"]).output().await.unwrap();
        let told = String::from_utf8(made.stdout).unwrap();
        stage.token = told.split_whitespace().nth(2).unwrap_or_else(|| panic!("{told}")).to_owned();
        stage.anna.can("send", json!({"chat": "@acme_bot", "text": "/start"})).await;
        stage.anna.message(stage.info.id, |message| message["out"] == false).await;
        stage
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(surroundings::of(env!("CARGO_BIN_EXE_tgtrunk-bot")));
        command.arg("--config").arg(self.folder.path().join("tgtrunk.toml")).args(arguments);
        command.stdin(Stdio::null()).kill_on_drop(true).env_remove("RUST_LOG");
        command
    }

    /// Starts the bot and waits until it serves programs.
    pub(crate) async fn run(&mut self) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log_file()).unwrap();
        self.program = Some(self.command(&["run"]).stderr(Stdio::from(log)).spawn().unwrap());
        let url = format!("{}/bot{}/getMe", self.api(), self.info.token);
        let limit = Instant::now() + SOON;
        loop {
            let told = curl(&["-s", &url]).await;
            if told.is_some_and(|told| told.starts_with("{\"ok\":true")) {
                return;
            }
            assert!(Instant::now() < limit, "the bot serves no programs: {}", self.log());
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// kill -9.
    pub(crate) async fn kill(&mut self) {
        let mut program = self.program.take().unwrap();
        program.start_kill().unwrap();
        program.wait().await.unwrap();
    }

    /// As whoever runs it ends it.
    pub(crate) async fn end(&mut self) {
        let mut program = self.program.take().unwrap();
        let id = program.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
        program.wait().await.unwrap();
    }

    pub(crate) fn api(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Calls an action; the status and the answer.
    pub(crate) async fn calls(&self, action: &str, with: &Value) -> (u16, Value) {
        self.calls_as(&self.token, action, with).await
    }

    pub(crate) async fn calls_as(&self, token: &str, action: &str, with: &Value) -> (u16, Value) {
        let url = format!("{}/api/v1/actions/{action}", self.api());
        let (bearer, body) = (format!("Authorization: Bearer {token}"), with.to_string());
        let json = "Content-Type: application/json";
        answer(&["-H", &bearer, "-H", json, "-d", &body, &url]).await
    }

    /// Has an action done.
    pub(crate) async fn does(&self, action: &str, with: Value) -> Value {
        let (status, mut told) = self.calls(action, &with).await;
        assert!(status == 200 && told["ok"] == true, "{action} {with}: {status} {told}\n{}", self.log());
        told["result"].take()
    }

    /// Has an action refused with a code.
    pub(crate) async fn refuses(&self, action: &str, with: Value, code: &str) -> Value {
        let (status, mut told) = self.calls(action, &with).await;
        assert!(status >= 400 && told["error"]["code"] == code, "{action} {with}: {status} {told}");
        told["error"].take()
    }

    /// How many messages wait to be sent: nobody else can be asked about a bot's.
    pub(crate) async fn queued(&self) -> i64 {
        let file = self.folder.path().join("state/bots/acme_bot/bot.db");
        let file = SqliteConnectOptions::new().filename(file).read_only(true);
        let mut database = SqliteConnection::connect_with(&file).await.unwrap();
        let count =
            sqlx::query_scalar("SELECT COUNT(*) FROM ms_outgoing").fetch_one(&mut database).await.unwrap();
        database.close().await.unwrap();
        count
    }

    /// What became of a job, once that is known.
    pub(crate) async fn job(&self, id: &str) -> Value {
        let (url, bearer) =
            (format!("{}/api/v1/jobs/{id}", self.api()), format!("Authorization: Bearer {}", self.token));
        let limit = Instant::now() + SOON;
        loop {
            let (_, told) = answer(&["-H", &bearer, &url]).await;
            if told["result"]["state"] != "waiting" {
                return told["result"].clone();
            }
            assert!(Instant::now() < limit, "{told}\n{}", self.log());
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until Anna has a message of the bot's, and gives it.
    pub(crate) async fn anna_gets(&self, is_wanted: impl Fn(&Value) -> bool) -> Value {
        self.anna.message(self.info.id, |message| message["out"] == false && is_wanted(message)).await
    }

    /// How many messages with a text Anna has of the bot.
    pub(crate) fn count(&self, text: &str) -> usize {
        let chat = self.scene.world().chat(self.anna.id, self.info.id);
        chat.iter().filter(|message| !message.out && message.text == text).count()
    }
}

async fn answer(arguments: &[&str]) -> (u16, Value) {
    let arguments = [&["-sS", "-w", "\n%{http_code}"], arguments].concat();
    let told = curl(&arguments).await.unwrap();
    let (body, status) = told.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {told}")))
}

/// What curl gets, if anything.
pub(crate) async fn curl(arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("curl");
    let done = command.args(["--noproxy", "*"]).args(arguments).output().await.unwrap();
    done.status.success().then(|| String::from_utf8(done.stdout).unwrap())
}
