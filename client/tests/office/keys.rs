//! People who ask the bot for their key, and are notified by it.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};
use tgtrunk_test_telegram::world::{BotAction, BotInfo, BotMatch, NewBot};
use tgtrunk_test_telegram::{NewUser, surroundings};
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};
use tokio::time::{Duration, Instant, sleep};

use crate::program::{Program, json_of};
use crate::support::{COMPANY, Client, SOON, Scene, eventually, line, phone};
use crate::witness::{Person, Witness};

const ANNA: &str = "79001112233";
const BORIS: &str = "79001112244";

/// An office with an account, a bot, and people.
struct Office {
    // What dies first stands first.
    _witness: Witness,
    client: Option<Client>,
    bot: Option<Child>,
    scene: Scene,
    info: BotInfo,
    anna: Person,
    boris: Person,
    own: Person,
    http: reqwest::Client,
    url: String,
    token: String,
    _folder: tempfile::TempDir,
}

impl Office {
    async fn open() -> Self {
        let scene = Scene::new(line().set("bot", "acme_bot")).await;
        let info = scene.world().add_bot(NewBot::new("acme_bot", "Acme")).unwrap();
        scene.world().add_user(NewUser::new(BORIS, "Boris").username("boris_b")).unwrap();
        let text = std::fs::read_to_string(scene.settings()).unwrap();
        let url = scene.telegram.bot_api_url();
        let bot = format!("[bot]\napi_url = {url:?}\npoll_timeout_s = 2\nlog_level = \"info\"\n");
        std::fs::write(scene.settings(), format!("{text}{bot}")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let witness = Witness::log_in(&scene, &[COMPANY, ANNA, BORIS], folder.path()).await;
        let [own, anna, boris] = [COMPANY, ANNA, BORIS].map(|phone| witness.person(phone));
        boris.can("meet", json!({"phone": COMPANY})).await;
        add_bot(&scene, &info).await;
        let gateway = scene.gateway();
        scene.log_in().await;
        drop(gateway);
        let client = scene.client().await;
        Program::new(&scene).await;
        let (url, token) = scene.action_token("--all", "1C").await;
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut office = Self {
            _witness: witness,
            client: Some(client),
            bot: None,
            scene,
            info,
            anna,
            boris,
            own,
            http,
            url,
            token,
            _folder: folder,
        };
        office.starts_bot();
        office.post("organisations", json!({"name": "Main", "sender": phone()})).await;
        office
    }

    fn starts_bot(&mut self) {
        let log = std::fs::File::options().create(true).append(true).open(self.bot_log()).unwrap();
        self.bot = Some(bot_command(&self.scene, &["run"]).stderr(log).spawn().unwrap());
    }

    fn bot_log(&self) -> PathBuf {
        self.scene.settings().with_file_name("bot.log")
    }

    async fn asks(&self, verb: &str, path: &str, body: String) -> (u16, Value) {
        let request = self.http.request(verb.parse().unwrap(), format!("{}/api/v1/{path}", self.url));
        let answer = request.bearer_auth(&self.token).body(body).send().await.unwrap();
        (answer.status().as_u16(), json_of(answer).await)
    }

    async fn post(&self, path: &str, said: Value) -> Value {
        let (code, told) = self.asks("POST", path, said.to_string()).await;
        assert_eq!((code, &told["ok"]), (200, &json!(true)), "{path} {said}: {told}");
        told["result"].clone()
    }

    /// Asks until it is told what is wanted.
    async fn until(&self, path: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + SOON;
        loop {
            let (code, told) = self.asks("GET", path, String::new()).await;
            if code == 200 && is_wanted(&told["result"]) {
                return told["result"].clone();
            }
            assert!(Instant::now() < end, "{path}: {code} {told}");
            sleep(Duration::from_millis(50)).await;
        }
    }

    async fn becomes(&self, id: &Value, state: &str) -> Value {
        self.until(&format!("notify/{id}"), |told| told["state"] == state).await
    }

    /// What the bot wrote to Anna, as she sees it.
    async fn anna_has(&self, text: &str) -> usize {
        let seen = self.anna.can("messages", json!({"chat": self.info.id, "limit": 100})).await;
        let from_bot = |one: &&Value| one["out"] == false && one["text"] == text;
        seen.as_array().unwrap().iter().filter(from_bot).count()
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", std::fs::read_to_string(self.bot_log()).unwrap_or_default());
        }
    }
}

/// A command of the bot program, which lies beside the client.
fn bot_command(scene: &Scene, arguments: &[&str]) -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_tgtrunk-client")).with_file_name("tgtrunk-bot");
    assert!(program.exists(), "{} is missing: cargo build --workspace --bins", program.display());
    let mut command = Command::new(surroundings::of(program));
    command.arg("--config").arg(scene.settings()).args(arguments);
    command.env_remove("RUST_LOG").env("LC_ALL", "C").stdin(Stdio::null()).kill_on_drop(true);
    command
}

async fn add_bot(scene: &Scene, info: &BotInfo) {
    let mut add = bot_command(scene, &["add"]).stdin(Stdio::piped()).spawn().unwrap();
    add.stdin.take().unwrap().write_all(format!("{}\n", info.token).as_bytes()).await.unwrap();
    assert!(add.wait().await.unwrap().success(), "the bot is not added");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_notified_by_the_key_that_the_bot_gave_them_and_by_phone() {
    let mut office = Office::open().await;
    let key = office.anna.id.to_string();
    // Anna asks the bot for her key, and the office sees it.
    office.anna.can("send", json!({"chat": "@acme_bot", "text": "/start"})).await;
    office.anna.can("send", json!({"chat": "@acme_bot", "text": "мой ключ"})).await;
    let told = |one: &Value| one["out"] == false && one["text"].as_str().unwrap().contains(&key);
    office.anna.message(office.info.id, told).await;
    let hers = |keys: &Value| keys.as_array()?.iter().find(|one| one["key"] == key.as_str()).cloned();
    let keys = office.until("bot/keys", |keys| hers(keys).is_some()).await;
    let seen = hers(&keys).unwrap();
    assert_eq!((&seen["name"], &seen["bot"]), (&json!("Anna"), &json!("acme_bot")), "{keys}");
    assert!(seen["first_seen"].as_str().is_some_and(|seen| seen.ends_with('Z')), "{keys}");

    let anna = office.post("recipients", json!({"title": "Anna", "key": key})).await;
    assert_eq!((&anna["warnings"], &anna["first_seen"]), (&json!([]), &seen["first_seen"]), "{anna}");
    let typo = office.post("recipients", json!({"title": "Nobody", "key": 77})).await;
    assert!(typo["warnings"][0].as_str().unwrap().contains("key = \"77\""), "{typo}");

    let said = json!({"recipient": key, "text": "Счёт 7 ждёт", "idempotency_key": "doc-7"});
    let sent = office.post("notify", said.clone()).await;
    assert_eq!(sent["channel"], "bot");
    let sent = office.becomes(&sent["id"], "sent").await;
    assert_eq!(sent["bot"], "acme_bot");
    let seen = office.anna.message(office.info.id, |one| one["text"] == "Счёт 7 ждёт").await;
    assert_eq!(seen["from"], office.info.id);
    assert_eq!(office.post("notify", said).await["id"], sent["id"]);
    for (recipient, told) in [
        (json!({"key": "77"}), "@acme_bot has given the key 77 to nobody"),
        (json!("79161234567"), "to nobody; if it is a phone number, write +79161234567"),
    ] {
        let missing = office.post("notify", json!({"recipient": recipient, "text": "x"})).await;
        let failed = office.becomes(&missing["id"], "failed").await;
        assert!(failed["reason"].as_str().unwrap().ends_with(told), "{failed}");
    }

    // By phone it is the organisation's own account that writes.
    let to_boris = office.post("notify", json!({"recipient": "+79001112244", "text": "Акт 9"})).await;
    assert_eq!(to_boris["channel"], "user");
    let seen = office.boris.message(office.own.id, |one| one["text"] == "Акт 9").await;
    assert_eq!(seen["from"], office.own.id);
    office.becomes(&to_boris["id"], "sent").await;

    // Both programs die after it was taken: it arrives once.
    office.bot.take().unwrap().kill().await.unwrap();
    let said = json!({"recipient": key, "text": "Договор 3", "idempotency_key": "doc-3"});
    let waits = office.post("notify", said.clone()).await;
    assert_eq!(waits["state"], "queued");
    assert!(waits["reason"].as_str().unwrap().contains("tgtrunk-bot does not run"), "{waits}");
    office.client.take().unwrap().kill().await;
    office.client = Some(office.scene.client().await);
    office.url = office.scene.action_token("--all", "1C").await.0;
    assert_eq!(office.post("notify", said).await["id"], waits["id"]);
    office.starts_bot();
    office.becomes(&waits["id"], "sent").await;
    assert_eq!((office.anna_has("Договор 3").await, office.anna_has("Счёт 7 ждёт").await), (1, 1));

    // An answer is lost: nobody knows whether it arrived, so it is not written a second time.
    let lost = BotMatch::method("sendMessage").times(1);
    office.scene.world().add_bot_fault(lost, BotAction::LoseAnswer);
    let unsure = office.post("notify", json!({"recipient": key, "text": "Счёт 8"})).await;
    let next = office.post("notify", json!({"recipient": key, "text": "Счёт 9"})).await;
    let told = office.becomes(&unsure["id"], "failed").await;
    assert!(told["reason"].as_str().unwrap().contains("Telegram may have it"), "{told}");
    office.becomes(&next["id"], "sent").await;
    assert_eq!((office.anna_has("Счёт 8").await, office.anna_has("Счёт 9").await), (1, 1));

    // What waited while the bot was away goes before what is asked for when it is back.
    office.bot.take().unwrap().kill().await.unwrap();
    let mut asked = Vec::new();
    for number in 1..=3 {
        let said = json!({"recipient": key, "text": format!("Заказ: {number}")});
        let waits = office.post("notify", said).await;
        assert!(waits["reason"].as_str().unwrap().contains("tgtrunk-bot does not run"), "{waits}");
        asked.push(waits["id"].clone());
    }
    // So long that the next try is seconds away.
    sleep(Duration::from_secs(4)).await;
    office.starts_bot();
    office.until("bot/keys", |keys| hers(keys).is_some()).await;
    asked.push(office.post("notify", json!({"recipient": key, "text": "Заказ: 4"})).await["id"].clone());
    for id in &asked {
        office.becomes(id, "sent").await;
    }
    let chat = office.scene.world().chat(office.anna.id, office.info.id);
    let orders: Vec<&str> = chat.iter().filter_map(|one| one.text.strip_prefix("Заказ: ")).collect();
    assert_eq!(orders, ["1", "2", "3", "4"]);

    // Whoever blocks the bot stays in the list, marked.
    office.scene.world().set_blocked(office.anna.id, office.info.id, true);
    let lost = office.post("notify", json!({"recipient": key, "text": "unread"})).await;
    let failed = office.becomes(&lost["id"], "failed").await;
    assert_eq!(failed["code"], "user_blocked_bot", "{failed}");
    let path = format!("recipients/{}", anna["id"]);
    office.until(&path, |anna| anna["blocked"] == true).await;
    office.until("bot/keys", |keys| hers(keys).is_some_and(|one| one["blocked"] == true)).await;
    office.scene.world().set_blocked(office.anna.id, office.info.id, false);
    office.anna.can("send", json!({"chat": "@acme_bot", "text": "/start"})).await;
    office.until(&path, |anna| anna["blocked"] == false).await;
}

/// Both bots know Anna; the line's is that of whoever has no own one.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_bots_the_organisations_own_writes_and_else_that_of_its_line() {
    let office = Office::open().await;
    let night = office.scene.world().add_bot(NewBot::new("night_bot", "Acme Night")).unwrap();
    add_bot(&office.scene, &night).await;
    let key = office.anna.id.to_string();
    for (bot, id) in [("acme_bot", office.info.id), ("night_bot", night.id)] {
        office.anna.can("send", json!({"chat": format!("@{bot}"), "text": "/start"})).await;
        office.anna.message(id, |one| one["out"] == false).await;
        let has =
            |keys: &Value| keys.as_array().is_some_and(|keys| keys.iter().any(|one| one["key"] == *key));
        office.until(&format!("bot/keys?bot={bot}"), has).await;
    }
    let of_night = json!({"name": "Night", "sender": phone(), "bot": "night_bot"});
    let of_night = office.post("organisations", of_night).await["id"].clone();
    let main = json!(1);
    let mut number = 0;
    let mut writes_by = async |organisation: &Value, bot: &BotInfo, other: &BotInfo| {
        number += 1;
        let text = format!("Счёт {number}");
        let said = json!({"recipient": {"key": key}, "text": text, "organisation": organisation});
        let told = office.post("notify", said).await;
        let sent = office.becomes(&told["id"], "sent").await;
        assert_eq!((&sent["channel"], &sent["bot"]), (&json!("bot"), &json!(bot.username)), "{sent}");
        let seen = office.anna.message(bot.id, |one| one["text"] == *text).await;
        assert_eq!(seen["from"], bot.id);
        let chat = office.scene.world().chat(office.anna.id, other.id);
        assert!(chat.iter().all(|one| one.text != text), "both write: {text}");
    };
    writes_by(&main, &office.info, &night).await;
    writes_by(&of_night, &night, &office.info).await;
    writes_by(&json!("Night"), &night, &office.info).await;
    office.post("organisations", json!({"id": 1, "bot": "night_bot"})).await;
    writes_by(&main, &night, &office.info).await;
    for (id, bot) in [(&main, Value::Null), (&of_night, json!("acme_bot"))] {
        office.post("organisations", json!({"id": id, "bot": bot})).await;
    }
    writes_by(&main, &office.info, &night).await;
    writes_by(&of_night, &office.info, &night).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bots_token_is_checked_and_what_is_wrong_is_told_apart() {
    let mut office = Office::open().await;
    let check =
        async |token: &str| office.asks("POST", "bot/check-token", json!({"token": token}).to_string()).await;
    let end = Instant::now() + SOON;
    let told = loop {
        let (code, told) = check(&office.info.token).await;
        if code == 200 && told["result"]["active"] == true {
            break told["result"].clone();
        }
        assert!(Instant::now() < end, "{code} {told}");
        sleep(Duration::from_millis(50)).await;
    };
    assert_eq!((&told["title"], &told["username"]), (&json!("Acme"), &json!("acme_bot")), "{told}");
    assert_eq!(
        (&told["id"], &told["inline"]),
        (&json!(office.info.id), &json!(office.info.inline)),
        "{told}"
    );
    assert!(!told.to_string().contains(&office.info.token), "{told}");
    let is = |(status, told): &(u16, Value), wanted: (u16, &str, bool), sentence: &str| {
        let error = &told["error"];
        let code = error["code"].as_str().unwrap_or_default();
        assert_eq!((*status, code, error["retryable"] == true), wanted, "{told}");
        assert!(error["message"].as_str().unwrap().contains(sentence), "{told}");
    };
    let wrong = check("43:AAabcdefghijklmnopqrstuvwxyz0123456").await;
    is(&wrong, (400, "bad_request", false), "the token is wrong: ");
    let unknown = office.asks("GET", "bot/keys?bot=nobodys_bot", String::new()).await;
    is(&unknown, (404, "bad_request", false), "there is no bot @nobodys_bot that this token is good for");
    let down = BotAction::Html { code: 502 };
    office.scene.world().add_bot_fault(BotMatch::method("getMe"), down);
    is(&check(&office.info.token).await, (502, "timeout", true), "no connection to Telegram: ");
    office.bot.take().unwrap().kill().await.unwrap();
    let absent = (503, "timeout", true);
    let check = json!({"token": office.info.token}).to_string();
    is(&office.asks("POST", "bot/check-token", check).await, absent, "tgtrunk-bot does not run");
    is(&office.asks("GET", "bot/keys", String::new()).await, absent, "tgtrunk-bot does not run");
}

/// What the page does by its forms, by JSON.
#[tokio::test(flavor = "multi_thread")]
async fn programs_check_a_bot_and_read_whom_it_knows_as_the_page_does() {
    let office = Office::open().await;
    eventually("the page is served", || office.scene.client_log().contains("page: http://")).await;
    let log = office.scene.client_log();
    let page = log.lines().find_map(|line| line.split_once("page: http://")).unwrap().1;
    let page = page.split_once("/ (").unwrap().0.to_owned();
    let asks = async |path: &str, session: &str, body: Option<Value>| {
        let url = format!("http://{page}/api/v1/{path}");
        let request = match body {
            Some(body) => {
                office.http.post(url).header("content-type", "application/json").body(body.to_string())
            }
            None => office.http.get(url),
        };
        let answer = request.bearer_auth(session).send().await.unwrap();
        (answer.status().as_u16(), json_of(answer).await)
    };
    let password = std::fs::read_to_string(office.scene.state.page_password()).unwrap();
    let (code, told) = asks("login", "", Some(json!({"password": password.trim()}))).await;
    assert_eq!(code, 200, "{told}");
    let session = told["token"].as_str().unwrap().to_owned();

    let token = &office.info.token;
    let end = Instant::now() + SOON;
    let found = loop {
        let (code, told) = asks("bots/check", &session, Some(json!({"token": token}))).await;
        if code == 200 {
            break told;
        }
        assert!(Instant::now() < end, "{code} {told}");
        sleep(Duration::from_millis(50)).await;
    };
    assert_eq!((&found["bot"], &found["name"]), (&json!("acme_bot"), &json!("Acme")), "{found}");
    assert_eq!((&found["id"], &found["inline"]), (&json!(office.info.id), &json!(true)), "{found}");
    let wrong = json!({"token": "43:AAabcdefghijklmnopqrstuvwxyz0123456"});
    let (code, told) = asks("bots/check", &session, Some(wrong)).await;
    assert!(code == 502 && told.to_string().contains("does not know this token"), "{code} {told}");
    let (code, told) = asks("bots/check", &session, Some(json!({"token": "no token"}))).await;
    assert_eq!(code, 422, "{told}");

    let key = office.anna.id.to_string();
    office.anna.can("send", json!({"chat": "@acme_bot", "text": "/start"})).await;
    office.anna.message(office.info.id, |one| one["out"] == false).await;
    let (code, told) = asks("bots/acme_bot/people", &session, None).await;
    assert!(
        code == 200 && told.to_string().contains(&key) && told.to_string().contains("Anna"),
        "{code} {told}"
    );
    assert!(!told.to_string().contains(token) && !found.to_string().contains(token), "{told} {found}");
    for path in ["bots/acme_bot/people", "lines"] {
        assert_eq!(asks(path, "nobodys", None).await.0, 401, "{path}");
    }
    let (code, told) = asks("bots/nobodys_bot/people", &session, None).await;
    assert!(code >= 400 && told.to_string().contains("there is no bot @nobodys_bot"), "{code} {told}");
}
