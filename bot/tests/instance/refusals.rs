//! Every code that a bot's instance gives, by its cause.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tgtrunk_test_telegram::world::{BotAction, BotMatch};
use tokio::time::sleep;

use crate::support::{Stage, WHILE};

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
/// What no bot is told, and why.
const OF_ACCOUNTS: [(&str, &str); 3] = [
    ("no_telegram_account", "a bot reaches nobody by a phone number: that is unsupported_for_bot"),
    (
        "peer_flood",
        "Telegram limits accounts alone for writing to strangers: a bot cannot write to them at all",
    ),
    ("unsupported_for_user", "that is what bots can and accounts cannot"),
];
/// Those that are gone after a while.
const PASSING: [&str; 5] = ["flood_wait", "internal", "not_authorized", "peer_flood", "timeout"];

/// What goes wrong at Telegram.
enum Cause {
    /// Nothing but the request.
    Request,
    /// The next call of a method is answered so.
    Says(&'static str, u16, &'static str),
    /// The next call of a method is answered so many seconds later, as Telegram wishes.
    Waits(&'static str, u32),
    /// The next call of a method is answered late.
    Late(&'static str),
    /// A page of what stands before Telegram's servers comes instead of the next answer.
    Down(&'static str),
    /// Anna has blocked the bot.
    Blocked,
    /// Its owner has taken a new token at @BotFather.
    Revoked,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_code_of_a_bot_has_a_cause_a_status_and_a_sentence() {
    use Cause::{Blocked, Down, Late, Request, Revoked, Says, Waits};
    let stage = Stage::open().await;
    let (world, bot, anna) = (stage.scene.world().clone(), stage.info.id, stage.anna.id);
    let sent = stage.does("send_message", json!({"dialog": anna, "text": "mine"})).await;
    let mine = sent["message_id"].clone();
    let forward = json!({"dialog": anna, "from_dialog": anna, "message_ids": [mine]});
    let forwarded = stage.does("forward_message", forward.clone()).await[0]["message_id"].clone();
    stage.anna.can("send", json!({"chat": bot, "text": "hers"})).await;
    let hers = crate::actions::shows(&stage, "hers").await["messages"][0]["message_id"].clone();
    let paper = stage.web.gives("paper.pdf", b"%PDF-1.4");
    // Telegram takes 50 MB of a bot, and tgtrunk 100 MB of whoever asks it.
    let large = stage.web.gives_zeros("large.bin", 53 << 20);
    let huge = stage.web.gives_zeros("huge.bin", 101 << 20);
    let text = |dialog: Value| json!({"dialog": dialog, "text": "never sent"});
    let file = |url: &str| json!({"dialog": anna, "attachments": [{"url": url}]});
    let edit = |id: &Value, text: &str| json!({"dialog": anna, "message_id": id, "text": text});
    let long = "x".repeat(4_097);
    let cases: Vec<(&str, Cause, &str, Value, &[&str])> = vec![
        ("bad_request", Request, "send_message", json!({"dialog": anna}), &["'text'", "missing"]),
        ("bad_request", Request, "get_messages", json!({"dialog": anna, "limit": 101}), &["'limit'", "100"]),
        (
            "bad_request",
            Says("sendMessage", 400, "Bad Request: BUTTON_URL_INVALID"),
            "send_message",
            text(json!(anna)),
            &["BUTTON_URL_INVALID"],
        ),
        ("dialog_not_found", Request, "send_message", text(json!(4_242)), &["chat not found"]),
        ("dialog_not_found", Request, "send_message", text(json!("@nobody_here")), &["@nobody_here"]),
        ("dialog_not_found", Request, "get_profile", json!({"dialog": 4_242}), &["chat not found"]),
        ("unsupported_for_bot", Request, "send_message", text(json!("+79990000001")), &["phone number"]),
        (
            "unsupported_for_bot",
            Request,
            "delete_message",
            json!({"dialog": anna, "message_ids": [mine], "for_everyone": false}),
            &["'for_everyone'"],
        ),
        ("message_not_found", Request, "get_messages", json!({"dialog": anna, "ids": [99_999]}), &["'ids'"]),
        (
            "message_not_found",
            Request,
            "send_message",
            json!({"dialog": anna, "text": "never sent", "reply_to_message_id": 99_999}),
            &["not found"],
        ),
        (
            "message_not_found",
            Says("editMessageText", 400, "Bad Request: message to edit not found"),
            "edit_message",
            edit(&mine, "x"),
            &["message to edit not found"],
        ),
        ("not_editable", Request, "edit_message", edit(&hers, "x"), &["can't be edited"]),
        ("not_editable", Request, "edit_message", edit(&forwarded, "x"), &["can't be edited"]),
        (
            "not_editable",
            Says("deleteMessage", 400, "Bad Request: message can't be deleted for everyone"),
            "delete_message",
            json!({"dialog": anna, "message_ids": [mine]}),
            &["can't be deleted for everyone"],
        ),
        ("not_modified", Request, "edit_message", edit(&mine, "mine"), &["already"]),
        (
            "too_long",
            Request,
            "send_message",
            json!({"dialog": anna, "text": long}),
            &["'text'", "4096", "4097"],
        ),
        ("too_long", Request, "edit_message", edit(&mine, &long), &["'text'", "4096"]),
        (
            "too_long",
            Says("sendMessage", 400, "Bad Request: message is too long"),
            "send_message",
            text(json!(anna)),
            &["message is too long"],
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
            "markup_error",
            Says("sendMessage", 400, "Bad Request: ENTITY_BOUNDS_INVALID"),
            "send_message",
            text(json!(anna)),
            &["ENTITY_BOUNDS_INVALID"],
        ),
        ("attachment_failed", Request, "send_message", file(&stage.web.link("none.pdf")), &["404"]),
        (
            "attachment_failed",
            Says("sendDocument", 400, "Bad Request: wrong file identifier/HTTP URL specified"),
            "send_message",
            file(&paper),
            &["wrong file identifier"],
        ),
        ("attachment_too_large", Request, "send_message", file(&huge), &["100"]),
        ("attachment_too_large", Request, "send_message", file(&large), &["413", "50 MB"]),
        (
            "privacy_restricted",
            Says("sendMessage", 403, "Forbidden: bot can't initiate conversation with a user"),
            "send_message",
            text(json!(anna)),
            &["can't initiate"],
        ),
        (
            "privacy_restricted",
            Says("sendMessage", 400, "Bad Request: have no write access to the chat"),
            "send_message",
            text(json!(anna)),
            &["no write access"],
        ),
        (
            "privacy_restricted",
            Says("forwardMessage", 400, "Bad Request: message has protected content and can't be forwarded"),
            "forward_message",
            forward,
            &["protected"],
        ),
        ("user_blocked_bot", Blocked, "send_message", text(json!(anna)), &["blocked"]),
        ("internal", Down("getChat"), "get_profile", json!({"dialog": anna}), &["502"]),
        ("timeout", Late("getChat"), "get_profile", json!({"dialog": anna, "timeout_ms": 300}), &["in time"]),
        ("flood_wait", Waits("editMessageText", 77), "edit_message", edit(&mine, "x"), &["77"]),
        ("flood_wait", Waits("getChat", 78), "get_profile", json!({"dialog": anna}), &["78"]),
        // The bot rests from here on: whoever waits a second is told at once, and not after the minute.
        (
            "flood_wait",
            Waits("sendMessage", 79),
            "send_message",
            json!({"dialog": anna, "text": "never sent", "timeout_ms": 1_000}),
            &["s are left", "not sent"],
        ),
        ("not_authorized", Revoked, "get_profile", json!({"dialog": anna}), &["authorized"]),
        ("not_authorized", Request, "send_message", text(json!(anna)), &["notAuthorized", "queue"]),
    ];
    let (status, told) = stage.calls_as("nobodys", "get_profile", &json!({})).await;
    assert_eq!((status, &told["error"]["code"]), (401, &json!("unauthorized")), "{told}");
    let mut seen = BTreeSet::from(["unauthorized"]);
    for (code, cause, action, said, words) in cases {
        let fault = |method, action| {
            world.add_bot_fault(BotMatch::method(method).times(1), action);
        };
        match cause {
            Request => {}
            Says(method, code, words) => {
                fault(method, BotAction::Error { code, description: words.to_owned() });
            }
            Waits(method, seconds) => fault(method, BotAction::RetryAfter { seconds }),
            Late(method) => fault(method, BotAction::Delay { ms: 2_000 }),
            Down(method) => fault(method, BotAction::Html { code: 502 }),
            Blocked => world.set_blocked(anna, bot, true),
            Revoked => {
                world.renew_bot_token(bot).unwrap();
            }
        }
        let (status, told) = stage.calls(action, &said).await;
        let what = format!("{action} {said}: {status} {told}").chars().take(600).collect::<String>();
        let error = &told["error"];
        assert_eq!(error["code"], code, "{what}");
        assert_eq!(status, CODES.iter().find(|(known, _)| *known == code).unwrap().1, "{what}");
        assert_eq!(error["retryable"], PASSING.contains(&code), "{what}");
        for word in words {
            assert!(error["message"].as_str().unwrap().contains(word), "no {word} in {what}");
        }
        if code == "flood_wait" {
            let seconds = error["retry_after"].as_u64().unwrap();
            assert!((70..=80).contains(&seconds), "{what}");
        }
        // What stays there goes out when the bot has rested, or has another token.
        assert_eq!(stage.queued().await, 0, "{what}");
        seen.insert(code);
        world.clear_bot_faults();
        world.set_blocked(anna, bot, false);
    }
    let others: BTreeSet<&str> = OF_ACCOUNTS.iter().map(|(code, _)| *code).collect();
    let wanted: BTreeSet<&str> =
        CODES.iter().map(|(code, _)| *code).filter(|code| !others.contains(code)).collect();
    assert_eq!(seen, wanted, "each has its cause above");
    sleep(WHILE).await;
    assert_eq!((stage.count("never sent"), stage.count("mine")), (0, 2), "what was refused is not done");
}

/// Telegram changes the words under a file by another method, and refuses the wrong one.
#[tokio::test(flavor = "multi_thread")]
async fn the_words_under_a_file_are_changed_as_a_text_is() {
    let stage = Stage::open().await;
    let anna = stage.anna.id;
    let paper = stage.web.gives("paper.pdf", b"%PDF-1.4");
    let said = json!({"dialog": anna, "text": "счёт", "attachments": [{"url": paper}]});
    let sent = stage.does("send_message", said).await;
    let edit = json!({"dialog": anna, "message_id": sent["message_id"], "text": "счёт оплачен"});
    stage.does("edit_message", edit).await;
    stage
        .anna_gets(|message| message["text"] == "счёт оплачен" && message["file"]["name"] == "paper.pdf")
        .await;
}
