//! A line whose account is on a test Telegram, the client that works for it, and a program that calls it.

use std::fmt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection as _, Row as _};
use tgtrunk_config::{LineDraft, Lines, Phone, StateDir};
use tgtrunk_test_telegram::world::{Action, Match};
use tgtrunk_test_telegram::{NewUser, Options, TestTelegram};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

const COMPANY: &str = "79060000000";
const ANNA: &str = "79001112233";
/// How long anything may take that is not measured.
const LIMIT: Duration = Duration::from_secs(120);

/// All of it.
pub(crate) struct Place {
    telegram: TestTelegram,
    company: i64,
    pub(crate) anna: i64,
    state: StateDir,
    folder: tempfile::TempDir,
    client: Option<Child>,
    program: Program,
    kept: std::cell::Cell<i64>,
}

/// A program with a token. Clones share connections.
#[derive(Clone)]
pub(crate) struct Program {
    http: reqwest::Client,
    url: String,
    instance: String,
    token: String,
}

/// Resident memory of a program: now, and at most since it began.
pub(crate) struct Memory {
    pub(crate) mib: u32,
    pub(crate) most_mib: u32,
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "memory {} MiB, at most {} MiB", self.mib, self.most_mib)
    }
}

impl Place {
    /// A client at work whose account is logged in and whose program is told everything.
    pub(crate) async fn open() -> Self {
        let telegram = TestTelegram::start(Options::default()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::open(folder.path().join("state")).unwrap();
        telegram.write_dc_seed(state.root(), 16).unwrap();
        let company = telegram.world().add_user(NewUser::new(COMPANY, "Company")).unwrap();
        let anna = telegram.world().add_user(NewUser::new(ANNA, "Anna")).unwrap();
        Lines::add(&state, LineDraft::new(&phone()).set("pbx", "127.0.0.1:5060")).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let text = format!(
            "[telegram]\napi_id = 12345\napi_hash = \"0123456789abcdef0123456789abcdef\"\n[gateway]\nstate = {:?}\n[client]\nlog_level = \"warn\"\n[page]\nlisten = \"127.0.0.1:0\"\n[api]\nlisten = \"127.0.0.1:{port}\"\n",
            state.root()
        );
        let settings = folder.path().join("tgtrunk.toml");
        std::fs::write(&settings, text).unwrap();
        std::fs::set_permissions(&settings, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let program = Program {
            http,
            url: format!("http://127.0.0.1:{port}"),
            instance: String::new(),
            token: String::new(),
        };
        let kept = std::cell::Cell::new(0);
        let mut place = Self { telegram, company, anna, state, folder, client: None, program, kept };
        place.client = Some(place.run());
        place.take_token().await;
        place.log_in().await;
        let settings = json!({"incomingWebhook": "yes"});
        place.post("setSettings", &settings).await;
        // The account gets to know Anna.
        place.say("Hello");
        let told = place.get("receiveNotification?receiveTimeout=60").await;
        place.take_away(told["receiptId"].as_i64().unwrap()).await;
        place.kept.set(1);
        place
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tgtrunk-client"));
        command.arg("--config").arg(self.folder.path().join("tgtrunk.toml")).args(arguments);
        command.env_remove("RUST_LOG").env("LC_ALL", "C").kill_on_drop(true);
        command
    }

    fn run(&self) -> Child {
        self.command(&["run"]).stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap()
    }

    async fn take_token(&mut self) {
        let end = Instant::now() + LIMIT;
        let told = loop {
            let done = self.command(&["token", phone().as_str()]).output().await.unwrap();
            if done.status.success() {
                break String::from_utf8(done.stdout).unwrap();
            }
            assert!(Instant::now() < end, "no token: {done:?}");
            sleep(Duration::from_millis(50)).await;
        };
        let after = |what: &str| {
            let rest = told.split(what).nth(1).unwrap();
            rest.trim_start().split([' ', '\n', '"']).next().unwrap().to_owned()
        };
        self.program.instance = after("idInstance:");
        self.program.token = after("apiTokenInstance:");
    }

    async fn log_in(&self) {
        let number: i64 = COMPANY.parse().unwrap();
        let started = self.post("startAuthorization", &json!({"phoneNumber": number})).await;
        assert_eq!(started["status"], true, "{started}");
        let code = self.telegram.world().pending_login_code(COMPANY).unwrap();
        let done = self.post("sendAuthorizationCode", &json!({"code": code})).await;
        assert_eq!(done["status"], true, "{done}");
        let end = Instant::now() + LIMIT;
        while self.get("getStateInstance").await["stateInstance"] != "authorized" {
            assert!(Instant::now() < end, "it is not authorized");
            sleep(Duration::from_secs(1)).await;
        }
    }

    /// Ends the client as an operator would.
    pub(crate) async fn stop(&mut self) {
        let mut client = self.client.take().unwrap();
        let pid = nix::unistd::Pid::from_raw(client.id().unwrap().cast_signed());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        assert!(client.wait().await.unwrap().success());
    }

    /// The next process, once it answers.
    pub(crate) async fn start(&mut self) {
        self.client = Some(self.run());
        let end = Instant::now() + LIMIT;
        loop {
            let answer = self.program.http.get(self.program.address("getStateInstance")).send().await;
            if answer.is_ok_and(|answer| answer.status() == 200) {
                return;
            }
            assert!(Instant::now() < end, "the client does not answer");
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Where the client keeps what it has.
    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    async fn database(&self) -> SqliteConnection {
        let file = SqliteConnectOptions::new().filename(self.state.client_db(&phone()));
        SqliteConnection::connect_with(&file).await.unwrap()
    }

    /// Waits until so many more messages that came are kept.
    pub(crate) async fn until_kept(&self, count: u32) {
        let wanted = self.kept.get() + i64::from(count);
        let mut database = self.database().await;
        let end = Instant::now() + LIMIT;
        loop {
            let row = sqlx::query("SELECT COUNT(*) FROM ms_notification").fetch_one(&mut database).await;
            let waiting: i64 = row.unwrap().get(0);
            if self.kept.get() + waiting >= wanted {
                break;
            }
            assert!(Instant::now() < end, "{waiting} of {count} came");
            sleep(Duration::from_millis(5)).await;
        }
        self.kept.set(wanted);
        database.close().await.unwrap();
    }

    /// Waits until no notification is left.
    pub(crate) async fn until_taken(&self) {
        let mut database = self.database().await;
        let end = Instant::now() + LIMIT;
        loop {
            let row = sqlx::query("SELECT COUNT(*) FROM ms_notification").fetch_one(&mut database).await;
            if row.unwrap().get::<i64, _>(0) == 0 {
                break;
            }
            assert!(Instant::now() < end, "they are not taken away");
            sleep(Duration::from_millis(5)).await;
        }
        database.close().await.unwrap();
    }

    /// Writes messages of the last 29 days into the journal: older than 30 days it forgets. Only while no client runs.
    pub(crate) async fn fill_journal(&self, rows: u32) {
        let mut database = self.database().await;
        sqlx::query(
            "INSERT INTO ms_message (id, direction, origin, chat, address, chat_kind, chat_title, tg_id, date_s, sender,
                 content, is_forwarded, status, kept_s)
             WITH RECURSIVE row(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM row WHERE n < $1)
             SELECT (unixepoch() - 2505600) * 1000 + n * (2505600000 / ($1 + 1)),
                 CASE n % 2 WHEN 0 THEN 'incoming' ELSE 'outgoing' END, CASE n % 2 WHEN 0 THEN 'peer' ELSE 'device' END,
                 CASE n % 4 WHEN 3 THEN 1000000 + n / 100 ELSE $2 END, '1000000', 'user', 'Anna of the shop', 100000 + n,
                 unixepoch() - 2505600 + n * 2505600 / ($1 + 1), NULL,
                 '{\"kind\":\"text\",\"text\":\"Your order ' || n || ' is ready, come and fetch it before eight o''clock\"}',
                 0, 'sent', unixepoch() - 2505600 + n * 2505600 / ($1 + 1) FROM row",
        )
        .bind(i64::from(rows))
        .bind(self.anna)
        .execute(&mut database)
        .await
        .unwrap();
        database.close().await.unwrap();
    }

    /// Rows of the journal.
    pub(crate) async fn rows(&self) -> i64 {
        let mut database = self.database().await;
        let row = sqlx::query("SELECT COUNT(*) FROM ms_message").fetch_one(&mut database).await.unwrap();
        database.close().await.unwrap();
        row.get(0)
    }

    /// Telegram gives no history from now on.
    pub(crate) fn refuse_history(&self) {
        let action = Action::Error { code: 500, message: "INTERNAL".to_owned() };
        self.telegram.world().add_fault(Match::method("messages.getHistory"), action);
    }

    /// What the client holds of memory, and held at most.
    /// What the client takes of the machine's memory.
    pub(crate) fn memory(&self) -> Memory {
        let pid = self.client.as_ref().unwrap().id().unwrap();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let of = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse::<u32>().unwrap() / 1024
        };
        Memory { mib: of("VmRSS"), most_mib: of("VmHWM") }
    }

    pub(crate) fn say(&self, text: &str) {
        self.telegram.world().say(self.anna, self.company, text).unwrap();
    }

    /// Another program with the same token, and connections of its own.
    pub(crate) fn program(&self) -> Program {
        self.program.clone()
    }

    pub(crate) async fn post(&self, method: &str, said: &Value) -> Value {
        self.program.post(method, said).await
    }

    pub(crate) async fn get(&self, method: &str) -> Value {
        self.program.get(method).await
    }

    pub(crate) async fn take_away(&self, receipt: i64) {
        let address = self.program.address(&format!("deleteNotification/{receipt}"));
        let answer = self.program.http.delete(address).send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), r#"{"result":true}"#);
    }
}

impl Program {
    /// `method` may have a query.
    fn address(&self, method: &str) -> String {
        let (name, query) = method.split_once('?').unwrap_or((method, ""));
        let (name, tail) =
            name.split_once('/').map_or((name, String::new()), |(name, tail)| (name, format!("/{tail}")));
        format!("{}/waInstance{}/{name}/{}{tail}?{query}", self.url, self.instance, self.token)
    }

    pub(crate) async fn post(&self, method: &str, said: &Value) -> Value {
        let request = self.http.post(self.address(method)).header("content-type", "application/json");
        told(method, request.body(said.to_string()).send().await.unwrap()).await
    }

    pub(crate) async fn get(&self, method: &str) -> Value {
        told(method, self.http.get(self.address(method)).send().await.unwrap()).await
    }
}

async fn told(method: &str, answer: reqwest::Response) -> Value {
    let code = answer.status();
    let text = answer.text().await.unwrap();
    assert_eq!(code, 200, "{method}: {text}");
    serde_json::from_str(&text).unwrap()
}

fn phone() -> Phone {
    format!("+{COMPANY}").parse().unwrap()
}
