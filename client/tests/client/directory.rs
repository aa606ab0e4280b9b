//! Tokens, organisations, recipients and notifications, over plain HTTP. What arrives is looked at in Anna's chat.

mod refusals;

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use serde_json::{Value, json};
use tgtrunk_test_telegram::canary::API_HASH;
use tgtrunk_test_telegram::world::{Action, Match};
use tokio::time::{Instant, sleep};

use crate::program::{Program, json_of};
use crate::support::{Client, Gateway, SOON, Scene, eventually, line, phone, stays};

const ANNA: &str = "+79001112233";
/// What is told of a value that cannot be so, and of what there is none of.
const BAD: (u16, &str) = (400, "bad_request");
const NOT_THERE: (u16, &str) = (404, "bad_request");

/// A program that has a token.
struct Desk {
    http: reqwest::Client,
    url: String,
    token: String,
}

impl Desk {
    /// Makes a token at the terminal.
    async fn new(scene: &Scene, whose: &str, label: &str) -> Self {
        let (url, token) = scene.action_token(whose, label).await;
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { http, url, token }
    }

    async fn raw(&self, verb: &str, path: &str, body: String) -> (u16, Value) {
        let request = self.http.request(verb.parse().unwrap(), format!("{}/api/v1/{path}", self.url));
        let answer = request.bearer_auth(&self.token).body(body).send().await.unwrap();
        let kind = answer.headers()["content-type"].to_str().unwrap();
        assert_eq!(kind, "application/json; charset=utf-8", "as actions answer: {verb} {path}");
        (answer.status().as_u16(), json_of(answer).await)
    }

    async fn post(&self, path: &str, said: Value) -> Value {
        let (code, told) = self.raw("POST", path, said.to_string()).await;
        assert_eq!((code, &told["ok"]), (200, &json!(true)), "{path} {said}: {told}");
        told["result"].clone()
    }

    async fn refused(&self, path: &str, said: Value, code: u16) -> Value {
        let (found, told) = self.raw("POST", path, said.to_string()).await;
        assert_eq!((found, &told["ok"]), (code, &json!(false)), "{path} {said}: {told}");
        told["error"].clone()
    }

    /// What is told of a request that is not done: the sentence. Server's faults may be tried again, and no others.
    async fn fails(&self, verb: &str, path: &str, body: String, wanted: (u16, &str)) -> String {
        let shown: String = body.chars().take(80).collect();
        let (status, told) = self.raw(verb, path, body).await;
        let error = &told["error"];
        let found = (status, error["code"].as_str().unwrap_or_default());
        assert_eq!(found, wanted, "{verb} {path} {shown}: {told}");
        let (is_ours, is_soon) = (status >= 500, status == 503);
        assert_eq!((&told["ok"], &error["retryable"]), (&json!(false), &json!(is_ours)), "{path}: {told}");
        assert_eq!(error["retry_after"].as_u64().is_some_and(|wait_s| wait_s > 0), is_soon, "{path}: {told}");
        error["message"].as_str().unwrap().to_owned()
    }

    async fn get(&self, path: &str) -> Value {
        let (code, told) = self.raw("GET", path, String::new()).await;
        assert_eq!((code, &told["ok"]), (200, &json!(true)), "{path}: {told}");
        told["result"].clone()
    }

    /// Waits for a state of a notification.
    async fn becomes(&self, id: &Value, state: &str) -> Value {
        let end = Instant::now() + SOON;
        loop {
            let told = self.get(&format!("notify/{id}")).await;
            if told["state"] == state {
                return told;
            }
            assert!(Instant::now() < end, "{told}");
            sleep(Duration::from_millis(50)).await;
        }
    }
}

/// A running client, and a token for all lines.
async fn office() -> (Scene, Gateway, Client, Desk) {
    let scene = Scene::new(line()).await;
    let gateway = scene.gateway();
    scene.log_in().await;
    let client = scene.client().await;
    // Messages follow each other sooner than the default.
    Program::new(&scene).await;
    let desk = Desk::new(&scene, "--all", "CRM").await;
    (scene, gateway, client, desk)
}

fn texts(scene: &Scene) -> Vec<String> {
    scene.anna_sees().into_iter().map(|message| message.text).collect()
}

fn times(scene: &Scene, text: &str) -> usize {
    texts(scene).iter().filter(|seen| *seen == text).count()
}

/// Does something to the program's database behind its back.
async fn sql(scene: &Scene, text: &str) {
    let script = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1], timeout=10); db.execute(sys.argv[2]); db.commit()";
    let mut python = tokio::process::Command::new("python3");
    python.args(["-c", script]).arg(scene.state.directory_db()).arg(text);
    assert!(python.status().await.unwrap().success(), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_made_listed_used_and_revoked_at_once_and_go_with_their_line() {
    let (scene, _gateway, _client, all) = office().await;
    let one = Desk::new(&scene, phone().as_str(), "1C").await;
    let list = async |more: &[&str]| {
        let arguments: Vec<&str> = ["action-token", "list"].iter().chain(more).copied().collect();
        String::from_utf8(scene.command(&arguments).output().await.unwrap().stdout).unwrap()
    };
    let told = list(&[]).await;
    assert!(told.contains("1 \"CRM\" (all lines)") && told.contains("2 \"1C\" (+79060000000)"), "{told}");
    assert_eq!(all.get("organisations").await, json!([]));
    assert_eq!(one.get("organisations").await, json!([]));
    let denied = one.refused("organisations", json!({"name": "Main"}), 403).await;
    assert!(denied["message"].as_str().unwrap().contains("make --all"), "{denied}");
    for token in ["", "tga.", "x", &one.token[..53]] {
        let stranger = Desk { http: one.http.clone(), url: one.url.clone(), token: token.to_owned() };
        let (code, told) = stranger.raw("GET", "organisations", String::new()).await;
        assert_eq!((code, &told["error"]["code"]), (401, &json!("unauthorized")), "{token}");
    }
    // GREEN-API's clients are answered as before.
    let other = all.http.get(format!("{}/waInstance1/getStateInstance/x", all.url)).send().await.unwrap();
    assert_eq!(other.status(), 403);

    let revoke = async |number: &str| {
        let done = scene.command(&["action-token", "revoke", number]).output().await.unwrap();
        done.status.success()
    };
    assert!(revoke("1").await && !revoke("1").await && !revoke("99").await);
    assert_eq!(all.raw("GET", "organisations", String::new()).await.0, 401);
    assert_eq!(one.get("organisations").await, json!([]));
    assert!(list(&[]).await.contains("revoked"));

    let mode = std::fs::metadata(scene.state.directory_db()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    for kept in [std::fs::read(scene.state.directory_db()).unwrap(), scene.client_log().into_bytes()] {
        let secret = &one.token.as_bytes()[4..];
        assert!(!kept.windows(secret.len()).any(|window| window == secret), "a token is readable");
    }
    scene.state.forget(&phone()).unwrap();
    assert!(scene.command(&["reload"]).output().await.unwrap().status.success());
    let end = Instant::now() + SOON;
    while list(&["--json"]).await.contains("1C") {
        assert!(Instant::now() < end, "the token outlives its line");
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(one.raw("GET", "organisations", String::new()).await.0, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organisation_notifies_by_its_sender_and_many_share_one() {
    let (scene, _gateway, _client, desk) = office().await;
    let main = desk.post("organisations", json!({"name": "Main"})).await;
    assert!(main["warnings"][0].as_str().unwrap().contains("no sender"), "{main}");
    let refused = desk.refused("notify", json!({"recipient": ANNA, "text": "x"}), 409).await;
    assert_eq!(refused["code"], "not_authorized");
    assert!(refused["message"].as_str().unwrap().contains("\"Main\" (1) has no sender"), "{refused}");
    let missing = desk.refused("organisations", json!({"id": 1, "sender": "+79069999999"}), 400).await;
    assert!(missing["message"].as_str().unwrap().contains("+79060000000"), "{missing}");

    let said = json!({"id": 1, "sender": phone(), "api_id": 12345, "api_hash": API_HASH.to_uppercase()});
    let main = desk.post("organisations", said).await;
    assert_eq!(
        (&main["sender_state"]["standing"], &main["warnings"]),
        (&json!("authorized"), &json!([])),
        "{main}"
    );
    assert_eq!(
        (&main["api_hash_set"], &main["note"]),
        (&json!(true), &json!("uses the authorization of +79060000000"))
    );
    assert!(!main.to_string().to_lowercase().contains("0123456789abcdef"), "{main}");
    let branch = json!({"name": "Branch", "sender": main["sender_state"]["instance"], "api_id": 777});
    let refused = desk.refused("organisations", branch, 409).await["message"].to_string();
    assert!(refused.contains("Branch") && refused.contains("Main") && refused.contains("12345"), "{refused}");
    let branch = json!({"name": "Branch", "sender": main["sender_state"]["instance"], "api_id": 12345});
    let branch = desk.post("organisations", branch).await;
    assert_eq!((&branch["sender"], &branch["shared_with"]), (&json!(phone()), &json!(["Main"])), "{branch}");
    assert!(branch["note"].as_str().unwrap().contains("as Main does"), "{branch}");
    assert!(branch["warnings"].to_string().contains("belong together"), "{branch}");
    let taken = desk.refused("organisations", json!({"name": "main"}), 409).await;
    assert!(taken["message"].as_str().unwrap().contains("organisation 1"), "{taken}");
    assert_eq!(desk.get("organisations").await.as_array().unwrap().len(), 2);

    for organisation in [json!(1), json!("branch")] {
        let text = format!("invoice of {organisation}");
        let said = json!({"recipient": ANNA, "text": text, "organisation": organisation});
        let sent = desk.post("notify", said).await;
        assert_eq!(
            (&sent["channel"], &sent["to"], &sent["state"]),
            (&json!("user"), &json!(ANNA), &json!("queued"))
        );
        assert_eq!(sent["id_message"].as_str().unwrap().len(), 13);
        eventually("the notification", || times(&scene, &text) == 1).await;
        desk.becomes(&sent["id"], "sent").await;
        scene.world().read(scene.anna, scene.company);
        desk.becomes(&sent["id"], "read").await;
    }
    let choose = desk.refused("notify", json!({"recipient": ANNA, "text": "x"}), 400).await;
    assert!(choose["message"].as_str().unwrap().contains("2 (Branch)"), "{choose}");

    // A token of the line is good for its organisations and for nobody else's.
    desk.post("organisations", json!({"name": "Other"})).await;
    let one = Desk::new(&scene, phone().as_str(), "1C").await;
    assert_eq!(one.get("organisations").await.as_array().unwrap().len(), 2);
    one.refused("notify", json!({"recipient": ANNA, "text": "x", "organisation": "Other"}), 403).await;
    one.post("notify", json!({"recipient": ANNA, "text": "of the line", "organisation": "Main"})).await;
    one.post("notify", json!({"recipient": ANNA, "text": "of nobody"})).await;
    eventually("both", || times(&scene, "of the line") == 1 && times(&scene, "of nobody") == 1).await;
    assert_eq!(one.get("notify").await.as_array().unwrap().len(), 4);

    // Of other people it hears nothing: neither by their numbers, nor when it writes to them.
    for (title, phone, key, organisation) in [
        ("Secret A", "+79001112299", "501", json!("Other")),
        ("Secret B", "+79001112298", "502", Value::Null),
    ] {
        let said = json!({"title": title, "phone": phone, "key": key, "organisation": organisation});
        let other = desk.post("recipients", said).await;
        for said in [json!({"id": other["id"]}), json!({"id": 9})] {
            let said = json!({"recipient": said, "text": "x", "organisation": "Main"});
            let missing = one.refused("notify", said, 404).await;
            assert!(missing["message"].as_str().unwrap().contains("there is no such recipient"), "{missing}");
        }
        let told = one.post("notify", json!({"recipient": phone, "text": "x"})).await;
        assert_eq!(
            (&told["to"], &told["recipient"], &told["title"]),
            (&json!(phone), &Value::Null, &Value::Null)
        );
        // By a key, which another token would write to by the phone that stands beside it.
        let told = one.post("notify", json!({"recipient": key, "text": "x", "channel": "user"})).await;
        assert_eq!(
            (&told["to"], &told["recipient"], &told["title"]),
            (&json!(key), &Value::Null, &Value::Null)
        );
        desk.post("recipients", json!({"id": other["id"], "notify": false})).await;
        let off = one.post("notify", json!({"recipient": phone, "text": "x"})).await;
        assert_eq!((&off["state"], &off["title"]), (&json!("skipped"), &Value::Null), "{off}");
        assert!(!off.to_string().contains("Secret"), "{off}");
    }

    // A sender that is gone is shown as such, and refuses clearly.
    scene.state.forget(&phone()).unwrap();
    assert!(scene.command(&["reload"]).output().await.unwrap().status.success());
    let end = Instant::now() + SOON;
    while desk.get("organisations/1").await["sender_state"]["present"] == true {
        assert!(Instant::now() < end, "the sender stays");
        sleep(Duration::from_millis(50)).await;
    }
    let refused =
        desk.refused("notify", json!({"recipient": ANNA, "text": "x", "organisation": 1}), 409).await;
    assert!(refused["message"].as_str().unwrap().contains("not there any more"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_organisation_notifies_before_its_sender_is_logged_in_goes_out_after_it() {
    let scene = Scene::new(line()).await;
    let gateway = scene.gateway();
    let _client = scene.run();
    let desk = Desk::new(&scene, "--all", "CRM").await;
    desk.post("organisations", json!({"name": "Main", "sender": phone()})).await;
    let end = Instant::now() + SOON;
    loop {
        let main = desk.get("organisations").await[0].clone();
        if main["sender_state"]["standing"] == "notAuthorized" {
            break;
        }
        assert!(Instant::now() < end, "{main}");
        sleep(Duration::from_millis(50)).await;
    }
    let said = json!({"recipient": ANNA, "text": "in its time", "organisation": "Main"});
    let waits = desk.post("notify", said).await;
    assert_eq!((&waits["state"], &waits["organisation_name"]), (&json!("queued"), &json!("Main")), "{waits}");
    sleep(Duration::from_secs(1)).await;
    assert_eq!(desk.get(&format!("notify/{}", waits["id"])).await["state"], "queued");
    scene.log_in().await;
    drop(gateway);
    desk.becomes(&waits["id"], "sent").await;
    assert_eq!(texts(&scene), ["in its time"]);
    // A sender at work sends at once.
    let said = json!({"recipient": ANNA, "text": "at once", "organisation": "Main"});
    let sent = desk.post("notify", said).await;
    desk.becomes(&sent["id"], "sent").await;
    assert_eq!(texts(&scene), ["in its time", "at once"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn recipients_are_kept_apart_switched_off_and_failures_have_reasons() {
    let (scene, _gateway, _client, desk) = office().await;
    desk.post("organisations", json!({"name": "Main", "sender": phone()})).await;
    let anna = json!({"title": "Anna", "phone": "7 (900) 111-22-33", "key": 500, "organisation": "Main"});
    let anna = desk.post("recipients", anna).await;
    assert_eq!((&anna["phone"], &anna["key"], &anna["notify"]), (&json!(ANNA), &json!("500"), &json!(true)));
    assert!(anna["warnings"].to_string().contains("tgtrunk-bot does not run"), "{anna}");
    for double in [json!({"title": "B", "phone": ANNA}), json!({"title": "B", "key": "500"})] {
        let taken = desk.refused("recipients", double, 409).await;
        assert!(taken["message"].as_str().unwrap().contains("recipient 1 (\"Anna\")"), "{taken}");
    }
    let nobody = desk.refused("recipients", json!({"title": "B"}), 400).await;
    assert!(nobody["message"].as_str().unwrap().contains("one of key"), "{nobody}");

    desk.post("recipients", json!({"id": 1, "notify": false})).await;
    let longest = "к".repeat(255);
    for (recipient, key) in [(json!(ANNA), "a"), (json!("500"), "b"), (json!({"id": 1}), longest.as_str())] {
        let said = json!({"recipient": recipient, "text": "unwanted", "idempotency_key": key});
        let skipped = desk.post("notify", said.clone()).await;
        assert_eq!((&skipped["state"], &skipped["title"]), (&json!("skipped"), &json!("Anna")), "{skipped}");
        // When it is asked for, and not by and by.
        assert!(skipped["reason"].as_str().unwrap().starts_with("switched off: \"Anna\""), "{skipped}");
        assert_eq!(desk.post("notify", said).await["id"], skipped["id"]);
        for other in
            [json!({"recipient": recipient, "text": "y"}), json!({"recipient": "@boris", "text": "unwanted"})]
        {
            let mut other = other;
            other["idempotency_key"] = json!(key);
            let taken = desk.refused("notify", other, 409).await["message"].to_string();
            assert!(taken.contains(&format!("notification {} was asked for", skipped["id"])), "{taken}");
        }
    }
    let longer = json!({"recipient": ANNA, "text": "unwanted", "idempotency_key": format!("{longest}к")});
    let longer = desk.refused("notify", longer, 400).await["message"].to_string();
    assert!(longer.contains("idempotency_key") && longer.contains("255"), "{longer}");
    desk.post("recipients", json!({"id": 1, "notify": true})).await;
    let wanted = desk.post("notify", json!({"recipient": 500, "text": "wanted", "channel": "user"})).await;
    desk.becomes(&wanted["id"], "sent").await;
    assert_eq!(texts(&scene), ["wanted"]);
    let journal = desk.get("notify?limit=2").await;
    assert_eq!(
        (&journal[0]["state"], &journal[1]["state"]),
        (&json!("sent"), &json!("skipped")),
        "{journal}"
    );

    let sent = desk.post("notify", json!({"recipient": "+79009999999", "text": "x"})).await;
    let failed = desk.becomes(&sent["id"], "failed").await;
    assert_eq!(failed["code"], "no_telegram_account", "{failed}");
    assert!(failed["reason"].as_str().unwrap().contains("nobody on Telegram"), "{failed}");

    let (code, told) = desk.raw("DELETE", "recipients/1", String::new()).await;
    assert_eq!((code, &told["result"]["deleted"]), (200, &json!(true)));
    assert_eq!(desk.raw("GET", "recipients/1", String::new()).await.0, 404);
    // Nobody writes by another's bot: where the organisation and its line have none, that is said.
    let one = Desk::new(&scene, phone().as_str(), "1C").await;
    for (desk, whose) in
        [(&desk, "organisation \"Main\" (1) has no bot"), (&one, "line +79060000000 has no bot")]
    {
        let lacks = desk.refused("notify", json!({"recipient": {"key": "500"}, "text": "x"}), 400).await;
        assert!(lacks["message"].as_str().unwrap().starts_with(whose), "{lacks}");
    }
    // Without a bot program a key waits for it, and nobody is silent about that.
    desk.post("organisations", json!({"id": 1, "bot": "acme_bot"})).await;
    for recipient in [json!({"key": "500"}), json!(500)] {
        let waits = json!({"recipient": recipient, "text": "later", "organisation": "Main"});
        let waits = desk.post("notify", waits).await;
        assert_eq!((&waits["state"], &waits["channel"]), (&json!("queued"), &json!("bot")));
        assert!(waits["reason"].as_str().unwrap().contains("tgtrunk-bot does not run"), "{waits}");
    }
    // To whom both can write the organisation's choice writes, unless the request says otherwise.
    desk.post("organisations", json!({"id": 1, "channel": "bot"})).await;
    let vera = json!({"title": "Vera", "key": 700, "phone": "+79001112255", "organisation": "Main"});
    let vera = desk.post("recipients", vera).await["id"].clone();
    for (said, channel) in [(Value::Null, "bot"), (json!("user"), "user")] {
        let said = json!({"recipient": {"id": vera}, "text": "both", "channel": said});
        assert_eq!(desk.post("notify", said).await["channel"], channel);
    }
    desk.post("organisations", json!({"id": 1, "channel": null})).await;
    let told = desk.post("notify", json!({"recipient": {"id": vera}, "text": "both"})).await;
    assert_eq!(told["channel"], "user", "{told}");
    // Whoever is switched off while something waits does not get it.
    let boris = desk.post("recipients", json!({"title": "Boris", "key": 600})).await;
    let waits = desk.post("notify", json!({"recipient": 600, "text": "later", "organisation": "Main"})).await;
    desk.post("recipients", json!({"id": boris["id"], "notify": false})).await;
    let skipped = desk.becomes(&waits["id"], "skipped").await;
    assert_eq!(skipped["reason"], "switched off while it waited", "{skipped}");
    let absent = desk.raw("GET", "bot/keys", String::new()).await;
    assert_eq!((absent.0, &absent.1["error"]["retryable"]), (503, &json!(true)), "{absent:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_arrives_once_wherever_the_client_dies() {
    let (scene, _gateway, client, mut desk) = office().await;
    desk.post("organisations", json!({"name": "Main", "sender": phone()})).await;
    let mut client = Some(client);
    for round in 0..4_u64 {
        if round == 2 {
            let send = Match::method("messages.sendMessage").user(scene.company).once();
            scene.world().add_fault(send, Action::LoseAnswer);
        }
        let said = |number: u64| json!({"recipient": ANNA, "text": format!("{round}: {number}"), "idempotency_key": format!("{round} {number}")});
        let first = desk.post("notify", said(0)).await;
        // The second is asked for while the client dies: perhaps it was taken, perhaps not.
        let asking = {
            let (http, url) = (desk.http.clone(), format!("{}/api/v1/notify", desk.url));
            let request = http.post(url).bearer_auth(&desk.token).body(said(1).to_string());
            tokio::spawn(async move { request.send().await.map(drop) })
        };
        sleep(Duration::from_millis(round * 7)).await;
        client.take().unwrap().kill().await;
        asking.await.unwrap().ok();
        scene.world().clear_faults();
        client = Some(scene.client().await);
        desk = Desk { url: Desk::new(&scene, "--all", "again").await.url, ..desk };
        let again = desk.post("notify", said(0)).await;
        assert_eq!((&again["id"], &again["created"]), (&first["id"], &first["created"]));
        let second = desk.post("notify", said(1)).await;
        for id in [&first["id"], &second["id"]] {
            desk.becomes(id, "sent").await;
        }
    }
    let wanted: Vec<String> = (0..4).flat_map(|round| (0..2).map(move |n| format!("{round}: {n}"))).collect();
    assert_eq!(texts(&scene), wanted);
    stays("each once", Duration::from_secs(2), || texts(&scene).len() == 8).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_goes_out_once_though_its_outcome_could_not_be_noted() {
    let (scene, _gateway, _client, desk) = office().await;
    desk.post("organisations", json!({"name": "Main", "sender": phone()})).await;
    // Nothing that is being handed over can be changed, as on a disk that is full.
    sql(&scene, "CREATE TRIGGER full BEFORE UPDATE ON notification WHEN OLD.state = 'sending' BEGIN SELECT RAISE(ABORT, 'full'); END")
        .await;
    let taken = desk.post("notify", json!({"recipient": ANNA, "text": "once"})).await;
    assert_eq!(taken["state"], "queued", "{taken}");
    eventually("the message", || times(&scene, "once") == 1).await;
    sql(&scene, "DROP TRIGGER full").await;
    let end = Instant::now() + Duration::from_secs(60);
    while desk.get(&format!("notify/{}", taken["id"])).await["state"] != "sent" {
        assert!(Instant::now() < end, "nobody tries it again");
        sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(times(&scene, "once"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_named_with_what_is_allowed() {
    let (_scene, _gateway, _client, desk) = office().await;
    desk.post("organisations", json!({"name": "Main", "sender": phone()})).await;
    let long = "ж".repeat(20_001);
    for (path, body, wanted, sentence) in [
        ("notify", "{".to_owned(), BAD, "the body is no JSON object"),
        ("notify", "[]".to_owned(), BAD, "the body is no JSON object"),
        ("notify", "\u{1}".to_owned(), BAD, "the body is no JSON object"),
        ("notify", "{}".to_owned(), BAD, "text is missing"),
        // 1C's mark of the byte order and its lost backslashes are no hindrance, wherever they come.
        ("notify", "\u{feff}{\"text\":\"x\"}".to_owned(), BAD, "recipient is missing"),
        ("notify", r#"{"text":"C:\docs"}"#.to_owned(), BAD, "recipient is missing"),
        ("recipients", "\u{feff}{\"title\":\"x\"}".to_owned(), BAD, "one of key"),
        ("organisations", "\u{feff}{\"name\":\"\"}".to_owned(), BAD, "name = \"\""),
        ("bot/check-token", "\u{feff}{\"token\":\"x\"}".to_owned(), BAD, "want a bot's token"),
        ("calls", "\u{feff}{\"to\":5}".to_owned(), BAD, "extension = missing"),
        ("notify", json!({"text": 5, "recipient": ANNA}).to_string(), BAD, "text = 5: want a text"),
        ("notify", json!({"text": " ", "recipient": ANNA}).to_string(), BAD, "text = \" \""),
        ("notify", json!({"text": "x"}).to_string(), BAD, "recipient is missing"),
        ("notify", json!({"text": "x", "recipient": []}).to_string(), BAD, "recipient = []: want a key"),
        ("notify", json!({"text": "x", "recipient": {"phone": "x"}}).to_string(), BAD, "phone = \"x\""),
        (
            "notify",
            json!({"text": "x", "recipient": "K8"}).to_string(),
            (404, "dialog_not_found"),
            "nobody has this key",
        ),
        ("notify", json!({"text": "x", "recipient": "8"}).to_string(), BAD, "\"Main\" (1) has no bot"),
        (
            "notify",
            json!({"text": "x", "recipient": "89001112233"}).to_string(),
            BAD,
            "\"bot\":\"…\"}; if it is a phone number, write +79001112233",
        ),
        ("notify", json!({"text": "x", "recipient": ANNA, "to": 1}).to_string(), BAD, "unknown field \"to\""),
        (
            "notify",
            json!({"text": "x", "recipient": ANNA, "channel": "sms"}).to_string(),
            BAD,
            "want \"user\" or \"bot\"",
        ),
        (
            "notify",
            json!({"text": "x", "recipient": ANNA, "channel": "bot"}).to_string(),
            BAD,
            "no key is known",
        ),
        (
            "notify",
            json!({"text": "x", "recipient": ANNA, "organisation": 9}).to_string(),
            NOT_THERE,
            "1 (Main)",
        ),
        (
            "notify",
            json!({"text": long, "recipient": ANNA}).to_string(),
            (400, "too_long"),
            "text has 20001 UTF-16 units",
        ),
        ("notify", "x".repeat(300_000), (413, "too_long"), "longer than"),
        ("organisations", json!({"name": ""}).to_string(), BAD, "name = \"\""),
        ("organisations", json!({"nmae": "x"}).to_string(), BAD, "unknown field \"nmae\": want id, name"),
        (
            "organisations",
            json!({"name": "x", "api_hash": "zz"}).to_string(),
            BAD,
            "api_hash: want 32 hexadecimal",
        ),
        (
            "organisations",
            json!({"id": 9, "name": "x"}).to_string(),
            NOT_THERE,
            "there is no such organisation",
        ),
        ("recipients", json!({"title": "x", "phone": "+7"}).to_string(), BAD, "phone = \"+7\""),
        (
            "recipients",
            json!({"title": "x", "phone": ANNA, "notify": 1}).to_string(),
            BAD,
            "notify = 1: want true or false",
        ),
        ("bot/check-token", json!({"token": "x"}).to_string(), BAD, "want a bot's token"),
    ] {
        let message = desk.fails("POST", path, body, wanted).await;
        assert!(message.contains(sentence), "{path} {sentence:?}: {message}");
    }
    assert_eq!(desk.get("notify").await, json!([]));
}
