//! What a program is told whose request is not done: by each code, and that nothing is noted.

use serde_json::{Value, json};
use tgtrunk_config::{LineDraft, Lines, Phone};

use super::{ANNA, Desk, NOT_THERE, office, sql, texts};
use crate::support::phone;

const NOT_FOR_IT: (u16, &str) = (403, "unauthorized");
const OTHER_VERB: (u16, &str) = (405, "bad_request");
const TAKEN: (u16, &str) = (409, "bad_request");
const STRANGER: &str = "+79001112255";
/// As @BotFather writes them; nobody's.
const BOT_TOKEN: &str = "43:AAabcdefghijklmnopqrstuvwxyz0123456";

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_what_is_not_there_and_what_is_taken_is_told_by_its_code() {
    let (scene, _gateway, _client, all) = office().await;
    all.post("organisations", json!({"name": "Main", "sender": phone()})).await;
    all.post("organisations", json!({"name": "Bare"})).await;
    let anna = json!({"title": "Anna", "phone": ANNA, "key": 500, "organisation": "Main", "notify": false});
    all.post("recipients", anna).await;
    let asked = |text: &str| json!({"recipient": ANNA, "text": text, "idempotency_key": "7"});
    assert_eq!(all.post("notify", asked("first")).await["state"], "skipped");
    let known =
        async || [all.get("organisations").await, all.get("recipients").await, all.get("notify").await];
    let before = known().await;

    let one = Desk::new(&scene, phone().as_str(), "1C").await;
    let nobody = Desk { http: all.http.clone(), url: all.url.clone(), token: "tga.0123456789".to_owned() };
    let to = |organisation: &str| json!({"recipient": STRANGER, "text": "x", "organisation": organisation});
    let (main, nothing) = (json!({"name": "main"}), Value::Null);
    for (desk, verb, path, said, wanted, sentence) in [
        (&nobody, "POST", "notify", to("Main"), (401, "unauthorized"), "want the header Authorization"),
        (&nobody, "GET", "bot/keys", nothing.clone(), (401, "unauthorized"), "want the header"),
        (&one, "POST", "organisations", json!({"name": "Mine"}), NOT_FOR_IT, "make --all"),
        (&one, "DELETE", "organisations/1", nothing.clone(), NOT_FOR_IT, "make --all"),
        (&one, "POST", "recipients", json!({"title": "B", "phone": STRANGER}), NOT_FOR_IT, "make --all"),
        (&one, "DELETE", "recipients/1", nothing.clone(), NOT_FOR_IT, "make --all"),
        (&one, "POST", "notify", to("Bare"), NOT_FOR_IT, "the organisation has another sender"),
        (&all, "GET", "organisations/9", nothing.clone(), NOT_THERE, "there is no organisation 9"),
        (&all, "DELETE", "organisations/9", nothing.clone(), NOT_THERE, "there is no organisation 9"),
        (&all, "GET", "recipients/9", nothing.clone(), NOT_THERE, "there is no recipient 9"),
        (&all, "DELETE", "recipients/9", nothing.clone(), NOT_THERE, "there is no recipient 9"),
        (&all, "POST", "recipients", json!({"id": 9, "title": "B"}), NOT_THERE, "no such recipient"),
        (&all, "GET", "notify/9", nothing.clone(), NOT_THERE, "there is no notification 9"),
        (&all, "GET", "notify/x", nothing.clone(), NOT_THERE, "want a number, as /api/v1/notify/7"),
        (
            &all,
            "POST",
            "notify",
            json!({"recipient": {"id": 9}, "text": "x"}),
            (404, "dialog_not_found"),
            "there is no such recipient",
        ),
        (&all, "PUT", "notify", nothing.clone(), OTHER_VERB, "want GET or POST"),
        (&all, "POST", "notify/1", nothing.clone(), OTHER_VERB, "want GET"),
        (&all, "PATCH", "recipients", nothing.clone(), OTHER_VERB, "want GET or POST"),
        (&all, "POST", "organisations/1", nothing.clone(), OTHER_VERB, "want GET or DELETE"),
        (&all, "POST", "bot/keys", nothing.clone(), OTHER_VERB, "want GET"),
        (&all, "GET", "bot/check-token", nothing.clone(), OTHER_VERB, "want POST"),
        (&all, "POST", "organisations", main, TAKEN, "organisation 1 is called so already"),
        (&all, "POST", "recipients", json!({"title": "B", "phone": ANNA}), TAKEN, "has it already"),
        (&all, "POST", "recipients", json!({"title": "B", "key": "500"}), TAKEN, "has it already"),
        (&all, "POST", "notify", asked("second"), TAKEN, "each notification wants its own"),
        (&all, "POST", "notify", to("Bare"), (409, "not_authorized"), "\"Bare\" (2) has no sender"),
    ] {
        let body = if said.is_null() { String::new() } else { said.to_string() };
        let message = desk.fails(verb, path, body, wanted).await;
        assert!(message.contains(sentence), "{verb} {path}: {message}");
    }
    assert_eq!(known().await, before);
    assert!(texts(&scene).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_be_done_soon_and_what_is_broken_is_told_by_its_code() {
    let (scene, _gateway, _client, desk) = office().await;
    desk.post("organisations", json!({"name": "Main", "sender": phone()})).await;
    let to = |organisation: &str| {
        json!({"recipient": ANNA, "text": "at last", "organisation": organisation}).to_string()
    };
    let absent = (503, "timeout");
    let keys = desk.fails("GET", "bot/keys", String::new(), absent).await;
    let check = json!({"token": BOT_TOKEN}).to_string();
    let check = desk.fails("POST", "bot/check-token", check, absent).await;
    assert!(keys.contains("tgtrunk-bot does not run") && check == keys, "{keys} {check}");

    // A line that nobody has opened yet.
    let other: Phone = "+79060000001".parse().unwrap();
    Lines::add(&scene.state, LineDraft::new(&other).set("pbx", "127.0.0.1:5061")).unwrap();
    desk.post("organisations", json!({"name": "Branch", "sender": other})).await;
    let starting = desk.fails("POST", "notify", to("Branch"), (503, "not_authorized")).await;
    assert!(starting.contains("+79060000001 is starting, or switched off"), "{starting}");

    let fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
        INSERT INTO notification (created_s, updated_s, scope, word, asked, channel, target, text, state, doubtful, tries,
        next_s) SELECT unixepoch(), 1, 'all', i, '', 'user', '', '', 'queued', 0, 0, 1 << 40 FROM n";
    sql(&scene, fill).await;
    let full = desk.fails("POST", "notify", to("Main"), (503, "flood_wait")).await;
    assert!(full.starts_with("10000 notifications are on their way already"), "{full}");
    sql(&scene, "DELETE FROM notification").await;

    let broken =
        "CREATE TRIGGER broken BEFORE INSERT ON notification BEGIN SELECT RAISE(ABORT, 'broken'); END";
    sql(&scene, broken).await;
    let told = desk.fails("POST", "notify", to("Main"), (500, "internal")).await;
    assert_eq!(told, "the storage failed; the program's log says how");
    sql(&scene, "DROP TRIGGER broken").await;
    assert_eq!(desk.get("notify").await, json!([]));

    // What hindered it is gone.
    let sent = desk.post("notify", serde_json::from_str(&to("Main")).unwrap()).await;
    desk.becomes(&sent["id"], "sent").await;
    assert_eq!(texts(&scene), ["at last"]);
}
