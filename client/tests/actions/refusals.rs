//! Every code that an account's instance gives, by its cause.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use tgtrunk_test_telegram::world::{Action, Match};

use crate::stage::{ANNA, Caller, Stage, Told, a_while};

/// All codes (they are promised in the documents), and the status of each.
const CODES: [(&str, u16); 20] = [
    ("attachment_failed", 422),
    ("attachment_too_large", 413),
    ("bad_request", 400),
    ("dialog_not_found", 404),
    ("flood_wait", 429),
    ("internal", 500),
    ("markup_error", 400),
    ("message_not_found", 404),
    ("no_telegram_account", 404),
    ("not_authorized", 409),
    ("not_editable", 409),
    ("not_modified", 409),
    ("peer_flood", 429),
    ("privacy_restricted", 403),
    ("timeout", 504),
    ("too_long", 400),
    ("unauthorized", 401),
    ("unsupported_for_bot", 400),
    ("unsupported_for_user", 400),
    ("user_blocked_bot", 403),
];
/// What only a bot's instance says.
const OF_BOTS: [&str; 1] = ["unsupported_for_bot"];
/// Those that are gone after a while.
const PASSING: [&str; 5] = ["flood_wait", "internal", "not_authorized", "peer_flood", "timeout"];

/// What goes wrong at Telegram.
enum Cause {
    /// Nothing but the request.
    Request,
    /// The next call of a method is answered so.
    Says(&'static str, i32, &'static str),
    /// The next call of a method is answered late.
    Late(&'static str),
    /// Anna has blocked the account.
    Blocked,
    /// Anna takes messages of Premium accounts only.
    PremiumOnly,
    /// The account's session is ended from another device.
    Revoked,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_code_has_a_cause_a_status_and_a_sentence() {
    use Cause::{Blocked, Late, PremiumOnly, Request, Revoked, Says};
    const SEND: &str = "messages.sendMessage";
    let stage = Stage::open().await;
    let (world, own, anna) = (stage.scene.world(), stage.own.id, stage.anna.id);
    let sent = stage.does("send_message", json!({"dialog": format!("+{ANNA}"), "text": "mine"})).await;
    let mine = sent["message_id"].clone();
    stage.boris.can("send", json!({"chat": own, "text": "theirs"})).await;
    let theirs = stage.own.message(stage.boris.id, |message| message["text"] == "theirs").await["id"].clone();
    let large = stage.web.gives_zeros("large.bin", 101 * 1024 * 1024);
    let text = |dialog: Value| json!({"dialog": dialog, "text": "never sent"});
    let long = "x".repeat(4097);
    let boris = stage.boris.id;
    let cases: Vec<(&str, Cause, &str, Value, &[&str])> = vec![
        (
            "bad_request",
            Request,
            "send_message",
            json!({"dialog": anna}),
            &["'text'", "'attachments'", "missing"],
        ),
        ("dialog_not_found", Request, "send_message", text(json!("@nobody_here")), &["@nobody_here"]),
        ("dialog_not_found", Request, "send_message", text(json!(123_456_789)), &["123456789"]),
        (
            "dialog_not_found",
            Request,
            "get_messages",
            json!({"dialog": -1_001_234_567_890_i64}),
            &["-1001234567890"],
        ),
        ("no_telegram_account", Request, "send_message", text(json!("+79009999999")), &["+79009999999"]),
        (
            "no_telegram_account",
            Request,
            "get_messages",
            json!({"dialog": "+79009999999"}),
            &["+79009999999"],
        ),
        ("message_not_found", Request, "get_messages", json!({"dialog": anna, "ids": [99_999]}), &["'ids'"]),
        (
            "message_not_found",
            Request,
            "delete_message",
            json!({"dialog": anna, "message_ids": [99_999]}),
            &["99999"],
        ),
        (
            "not_editable",
            Request,
            "edit_message",
            json!({"dialog": boris, "message_id": theirs, "text": "x"}),
            &["own"],
        ),
        (
            "not_modified",
            Request,
            "edit_message",
            json!({"dialog": anna, "message_id": mine, "text": "mine"}),
            &["already"],
        ),
        (
            "too_long",
            Request,
            "send_message",
            json!({"dialog": anna, "text": long}),
            &["'text'", "4096", "4097"],
        ),
        (
            "too_long",
            Request,
            "edit_message",
            json!({"dialog": anna, "message_id": mine, "text": long}),
            &["'text'", "4096"],
        ),
        (
            "markup_error",
            Request,
            "send_message",
            json!({"dialog": anna, "text": "*a", "format": "markdown"}),
            &["'text'"],
        ),
        (
            "markup_error",
            Request,
            "edit_message",
            json!({"dialog": anna, "message_id": mine, "text": "<x>", "format": "html"}),
            &["'text'", "<x>"],
        ),
        (
            "attachment_failed",
            Request,
            "send_message",
            json!({"dialog": anna, "attachments": [{"url": stage.web.link("nothing.pdf")}]}),
            &["404"],
        ),
        (
            "attachment_too_large",
            Request,
            "send_message",
            json!({"dialog": anna, "attachments": [{"url": large}]}),
            &["100"],
        ),
        (
            "unsupported_for_user",
            Request,
            "send_message",
            json!({"dialog": anna, "text": "x", "buttons": {"inline_keyboard": []}}),
            &["'buttons'", "bots"],
        ),
        (
            "unsupported_for_user",
            Request,
            "edit_message",
            json!({"dialog": anna, "message_id": mine, "text": "x", "buttons": []}),
            &["'buttons'", "bots"],
        ),
        (
            "privacy_restricted",
            Says(SEND, 403, "USER_PRIVACY_RESTRICTED"),
            "send_message",
            text(json!(anna)),
            &["privacy"],
        ),
        (
            "privacy_restricted",
            Says("messages.forwardMessages", 400, "CHAT_FORWARDS_RESTRICTED"),
            "forward_message",
            json!({"dialog": boris, "from_dialog": anna, "message_ids": [mine]}),
            &["protected"],
        ),
        ("privacy_restricted", PremiumOnly, "send_message", text(json!(anna)), &["Premium"]),
        ("user_blocked_bot", Blocked, "send_message", text(json!(anna)), &["blocked"]),
        (
            "not_editable",
            Says("messages.editMessage", 400, "MESSAGE_EDIT_TIME_EXPIRED"),
            "edit_message",
            json!({"dialog": anna, "message_id": mine, "text": "x"}),
            &["too old"],
        ),
        (
            "markup_error",
            Says(SEND, 400, "ENTITY_BOUNDS_INVALID"),
            "send_message",
            text(json!(anna)),
            &["markup"],
        ),
        (
            "internal",
            Says("messages.getHistory", 500, "RPC_CALL_FAIL"),
            "get_messages",
            json!({"dialog": anna}),
            &["RPC_CALL_FAIL"],
        ),
        (
            "timeout",
            Late("messages.getHistory"),
            "get_messages",
            json!({"dialog": anna, "timeout_ms": 300}),
            &["in time"],
        ),
        (
            "flood_wait",
            Says("messages.editMessage", 420, "FLOOD_WAIT_77"),
            "edit_message",
            json!({"dialog": anna, "message_id": mine, "text": "x"}),
            &["77"],
        ),
        ("flood_wait", Says("messages.getDialogs", 420, "FLOOD_WAIT_78"), "get_dialogs", json!({}), &["78"]),
        ("peer_flood", Says(SEND, 400, "PEER_FLOOD"), "send_message", text(json!(anna)), &["PEER_FLOOD"]),
        // The account rests from here on, and is logged out at the end.
        (
            "flood_wait",
            Says(SEND, 420, "FLOOD_WAIT_79"),
            "send_message",
            text(json!(boris)),
            &["s are left", "not sent"],
        ),
        ("not_authorized", Revoked, "send_message", text(json!(boris)), &["notAuthorized", "queue"]),
        ("not_authorized", Request, "get_messages", json!({"dialog": anna}), &["authorized"]),
    ];
    let mut seen = BTreeSet::from(["unauthorized"]);
    for (code, cause, action, said, words) in cases {
        match cause {
            Request => {}
            Says(method, status, message) => {
                let fault = Action::Error { code: status, message: message.to_owned() };
                world.add_fault(Match::method(method).user(own), fault);
            }
            Late(method) => {
                world.add_fault(Match::method(method).user(own), Action::Delay { ms: 2_000 });
            }
            Blocked => world.set_blocked(anna, own, true),
            PremiumOnly => world.set_premium_only(anna, true),
            Revoked => {
                world.revoke_user(own, "SESSION_REVOKED");
                stage
                    .scene
                    .until_lamp("session", tgtrunk_config::Lamp::Red, |status| status.telegram.lamp)
                    .await;
            }
        }
        let told = stage.caller.asks(action, &said).await;
        let what = format!("{action} {said}: {told:?}").chars().take(600).collect::<String>();
        let error = told.refused(code, &what);
        let status = CODES.iter().find(|(known, _)| *known == code).unwrap().1;
        assert_eq!(told.status, status, "{what}");
        assert_eq!(error["retryable"], PASSING.contains(&code), "{what}");
        for word in words {
            assert!(error["message"].as_str().unwrap().contains(word), "no {word} in {what}");
        }
        if code == "flood_wait" {
            let seconds = error["retry_after"].as_u64().unwrap();
            assert!((70..=80).contains(&seconds), "{what}");
        }
        assert_eq!(stage.queued().await, 0, "{what}");
        if code == "no_telegram_account" {
            // Whoever is asked for by importing them is kept among the contacts, unless they are taken out again.
            assert!(world.count(own, "contacts.importContacts") > 0);
            assert_eq!(stage.own.can("saved", json!({})).await, 0, "{what}");
        }
        seen.insert(code);
        world.clear_faults();
        world.set_blocked(anna, own, false);
        world.set_premium_only(anna, false);
    }
    let wanted: BTreeSet<&str> =
        CODES.iter().map(|(code, _)| *code).filter(|code| !OF_BOTS.contains(code)).collect();
    assert_eq!(seen, wanted, "each has its cause above");
    a_while().await;
    assert_eq!(stage.at_anna(), ["mine"], "what was refused is not done");
    assert_eq!(world.chat(boris, own).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_so_is_named_with_what_is_allowed() {
    let stage = Stage::open().await;
    let good = || json!({"dialog": stage.anna.id, "text": "x"});
    let with = |key: &str, value: Value| {
        let mut said = good();
        said[key] = value;
        said
    };
    let files = |items: Value| with("attachments", items);
    let url = "https://example.org/a.pdf";
    let eleven: Vec<Value> = (0..11).map(|_| json!({"url": url})).collect();
    let place = |latitude: Value, longitude: Value| json!({"dialog": stage.anna.id, "latitude": latitude, "longitude": longitude});
    let cases: Vec<(&str, Value, &[&str])> = vec![
        ("send_message", json!({"text": "x"}), &["'dialog'", "missing", "@anna"]),
        ("send_message", with("dialog", json!("anna")), &["'dialog'", "\"anna\"", "@anna"]),
        ("send_message", with("dialog", json!("+12")), &["'dialog'", "\"+12\""]),
        ("send_message", with("dialog", json!([1])), &["'dialog'", "[1]"]),
        ("send_message", with("dialog", json!("")), &["'dialog'"]),
        ("send_message", with("text", json!("  \n")), &["'text'", "empty"]),
        ("send_message", with("text", json!({"a": 1})), &["'text'", "{\"a\":1}"]),
        (
            "send_message",
            with("format", json!("bbcode")),
            &["'format'", "bbcode", "markdown", "html", "none"],
        ),
        ("send_message", with("silent", json!("perhaps")), &["'silent'", "perhaps", "true or false"]),
        ("send_message", with("split", json!(2)), &["'split'", "2", "true or false"]),
        ("send_message", with("reply_to_message_id", json!("first")), &["'reply_to_message_id'", "first"]),
        ("send_message", with("reply_to_message_id", json!(-1)), &["'reply_to_message_id'", "-1"]),
        ("send_message", with("past", json!("ignore")), &["'past'", "ignore", "send", "error"]),
        ("send_message", with("mode", json!("later")), &["'mode'", "later", "wait", "queue"]),
        ("send_message", with("connection", json!("bot")), &["'connection'", "\"bot\"", "\"user\""]),
        ("send_message", with("connection", json!("fax")), &["'connection'", "fax", "user", "bot"]),
        ("send_message", with("line", json!("+79990000000")), &["'line'", "+79990000000"]),
        ("send_message", with("timeout_ms", json!(99)), &["'timeout_ms'", "99", "100", "600000"]),
        ("send_message", with("timeout_ms", json!("long")), &["'timeout_ms'", "long"]),
        ("send_message", with("idempotency_key", json!("k".repeat(256))), &["'idempotency_key'", "255"]),
        ("send_message", with("colour", json!(1)), &["'colour'", "send_message", "silent", "mode"]),
        (
            "send_message",
            with("attachments_as", json!("zip")),
            &["'attachments_as'", "zip", "media", "documents"],
        ),
        ("send_message", files(json!({"url": url})), &["'attachments'", "list"]),
        ("send_message", files(json!(eleven)), &["'attachments'", "11", "10"]),
        ("send_message", files(json!([url])), &["attachments[0]", "url"]),
        ("send_message", files(json!([{"title": "a.pdf"}])), &["attachments[0].url", "missing"]),
        (
            "send_message",
            files(json!([{"url": "ftp://example.org/a"}])),
            &["attachments[0].url", "ftp://", "https://"],
        ),
        ("send_message", files(json!([{"url": url, "name": "a"}])), &["'name'", "attachments[0]", "title"]),
        ("send_location", place(json!(91), json!(0)), &["'latitude'", "91", "-90", "90"]),
        ("send_location", place(json!(0), json!(-180.5)), &["'longitude'", "-180.5", "180"]),
        ("send_location", place(json!("north"), json!(0)), &["'latitude'", "north"]),
        ("send_location", json!({"dialog": 1, "longitude": 0}), &["'latitude'", "missing"]),
        ("send_location", with("latitude", json!(1)), &["'text'", "send_location", "longitude"]),
        ("send_contact", json!({"dialog": 1, "first_name": "A"}), &["'phone'"]),
        (
            "send_contact",
            json!({"dialog": 1, "phone": "12", "first_name": "A"}),
            &["'phone'", "12", "digits"],
        ),
        ("send_contact", json!({"dialog": 1, "phone": "+79991234567"}), &["'first_name'"]),
        ("forward_message", json!({"dialog": 1, "message_ids": [1]}), &["'from_dialog'", "missing"]),
        ("forward_message", json!({"dialog": 1, "from_dialog": 1}), &["'message_ids'", "missing", "100"]),
        (
            "forward_message",
            json!({"dialog": 1, "from_dialog": 1, "message_ids": []}),
            &["'message_ids'", "[]"],
        ),
        (
            "forward_message",
            json!({"dialog": 1, "from_dialog": 1, "message_ids": vec![1; 101]}),
            &["'message_ids'", "100"],
        ),
        ("edit_message", json!({"dialog": 1, "text": "x"}), &["'message_id'", "missing"]),
        ("edit_message", json!({"dialog": 1, "message_id": 1}), &["'text'", "missing"]),
        ("delete_message", json!({"dialog": 1, "message_ids": ["x"]}), &["'message_ids'", "\"x\""]),
        (
            "delete_message",
            json!({"dialog": 1, "message_ids": [1], "for_everyone": "maybe"}),
            &["'for_everyone'", "maybe"],
        ),
        ("get_dialogs", json!({"limit": 0}), &["'limit'", "0", "500"]),
        ("get_dialogs", json!({"offset": -1}), &["'offset'", "-1"]),
        ("get_dialogs", json!({"type": "people"}), &["'type'", "people", "private", "channel"]),
        ("get_profile", json!({"dialog": "everybody"}), &["'dialog'", "everybody"]),
        ("get_messages", json!({}), &["'dialog'", "missing"]),
        ("get_messages", json!({"dialog": 1, "limit": 101}), &["'limit'", "101", "100"]),
        ("get_messages", json!({"dialog": 1, "since": "yesterday"}), &["'since'", "yesterday", "1970"]),
        ("get_messages", json!({"dialog": 1, "from_id": "last"}), &["'from_id'", "last"]),
    ];
    for (action, said, words) in cases {
        let told = stage.caller.asks(action, &said).await;
        let what = format!("{action} {said}: {told:?}");
        let error = told.refused("bad_request", &what);
        assert_eq!((told.status, &error["retryable"]), (400, &json!(false)), "{what}");
        for word in words {
            assert!(error["message"].as_str().unwrap().contains(word), "no {word} in {what}");
        }
        let sentence = error["message"].as_str().unwrap();
        assert!(sentence.chars().count() < 420, "too long to be read: {sentence}");
    }
    // Named by what is said in the single URL as well.
    let cases: [(Value, &[&str]); 4] = [
        (json!({"dialog": 1}), &["'action'", "missing", "send_message", "get_messages"]),
        (json!({"action": "send_fax"}), &["'action'", "send_fax", "send_message"]),
        (json!({"action": 7}), &["'action'", "7"]),
        (json!({"action": "send_message", "text": "x"}), &["'dialog'"]),
    ];
    for (said, words) in cases {
        let told = stage.caller.asks("", &said).await;
        let error = told.refused("bad_request", &said.to_string());
        for word in words {
            assert!(error["message"].as_str().unwrap().contains(word), "no {word} in {error}");
        }
    }
    let other = json!({"action": "get_dialogs"});
    stage.refuses("get_profile", other, "bad_request").await;
    assert_eq!((stage.queued().await, stage.at_anna().len()), (json!(0), 0));
}

/// Whoever is nobody, and what is no call at all.
#[tokio::test(flavor = "multi_thread")]
async fn strangers_and_what_is_no_call_are_refused() {
    let stage = Stage::open().await;
    let said = json!({"dialog": stage.anna.id, "text": "x"}).to_string();
    let call = async |verb: Method, path: &str, authorization: Option<&str>, body: &str| {
        let request = stage.caller.http.request(verb, format!("{}{path}", stage.caller.url));
        let request = request.header("content-type", "application/json").body(body.to_owned());
        let request = match authorization {
            Some(value) => request.header("authorization", value),
            None => request,
        };
        Told::of(request.send().await.unwrap()).await
    };
    let path = "/api/v1/actions/send_message";
    let good = format!("Bearer {}", stage.caller.token);
    let basic = format!("Basic {}", stage.caller.token);
    let query = format!("{path}?token={}", stage.caller.token);
    for (path, authorization) in [
        (path, None),
        (path, Some("Bearer wrong")),
        (path, Some("Bearer ")),
        (path, Some("Bearer")),
        (path, Some(basic.as_str())),
        (path, Some(stage.caller.token.as_str())),
        (query.as_str(), None),
        ("/api/v1/actions", None),
        ("/api/v1/jobs/0123456789abcdef01234567", None),
        ("/api/v1/actions/no_such_thing", Some("Bearer wrong")),
    ] {
        let told = call(Method::POST, path, authorization, &said).await;
        assert_eq!(told.status, 401, "{path} {authorization:?}: {told:?}");
        let error = told.refused("unauthorized", path);
        assert_eq!(error["retryable"], false);
        assert!(!told.body.to_string().contains(&stage.caller.token), "{told:?}");
    }
    for (verb, path, body, status, words) in [
        (Method::GET, path, "", 405, "POST"),
        (Method::DELETE, path, "", 405, "POST"),
        (Method::GET, "/api/v1/actions", "", 405, "POST"),
        (Method::POST, "/api/v1/jobs/0123456789abcdef01234567", "{}", 405, "GET"),
        (Method::POST, "/api/v1/actions/send_fax", "{}", 404, "send_message"),
        (Method::POST, "/api/v1/actions/send_message/now", "{}", 404, "send_message"),
        (Method::POST, path, "{\"dialog\": 1,", 400, "JSON"),
        (Method::POST, path, "dialog=1&text=x", 400, "JSON"),
        (Method::POST, path, "[1]", 400, "object"),
        (Method::POST, path, "\"x\"", 400, "object"),
        (Method::POST, path, "", 400, "'dialog'"),
        (Method::POST, "/api/v1/actions/get_profile/", "{\"dialog\": 0}", 400, "'dialog'"),
    ] {
        let told = call(verb.clone(), path, Some(&good), body).await;
        assert_eq!(told.status, status, "{verb} {path} {body}: {told:?}");
        let error = told.refused("bad_request", body);
        assert!(error["message"].as_str().unwrap().contains(words), "{verb} {path} {body}: {error}");
    }
    // More than anybody says: it is refused while it comes, and the next call is answered.
    let huge = format!("{{\"dialog\": 1, \"text\": \"{}\"}}", "x".repeat(3 << 20));
    let told = call(Method::POST, path, Some(&good), &huge).await;
    assert!([400, 413].contains(&told.status), "{told:?}");
    let told = call(Method::POST, "/api/v1/actions/get_profile/", Some(&good), "").await;
    told.done("a slash at the end, and nothing in the body");
    let lower = good.replace("Bearer", "bearer");
    call(Method::POST, "/api/v1/actions/get_profile", Some(&lower), "{}").await.done("in small letters");
    assert_eq!((stage.queued().await, stage.at_anna().len()), (json!(0), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_all_lines_names_the_line_until_it_is_revoked() {
    let stage = Stage::open().await;
    let all = Caller::new(&stage.scene, "--all").await;
    let error = all.asks("get_profile", &json!({})).await.refused("bad_request", "no line");
    assert!(error["message"].as_str().unwrap().contains("'line'"), "{error}");
    for line in ["+79060000000", "79060000000"] {
        let card = all.does("get_profile", json!({"line": line})).await;
        assert_eq!(card["id"], stage.own.id, "{card}");
    }
    let said = json!({"line": "+79060000000", "dialog": format!("+{ANNA}"), "text": "from all"});
    let sent = all.asks("send_message", &said).await;
    let result = sent.done("a message");
    for caller in [&all, &stage.caller] {
        let job = caller.job(sent.job()).await.done("the job of either");
        assert_eq!(job["result"], result);
    }
    let listed = stage.scene.command(&["action-token", "list", "--json"]).output().await.unwrap();
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let tokens = listed.as_array().unwrap();
    assert!(!listed.to_string().contains(&all.token), "{listed}");
    let number = tokens.iter().find(|one| one["line"].is_null()).unwrap()["number"].to_string();
    let revoked = stage.scene.command(&["action-token", "revoke", &number]).output().await.unwrap();
    assert!(revoked.status.success(), "{revoked:?}");
    let told = all.asks("get_profile", &json!({"line": "+79060000000"})).await;
    told.refused("unauthorized", "a dead token");
    stage.does("get_profile", json!({})).await;
    assert_eq!(stage.at_anna(), ["from all"]);
}
