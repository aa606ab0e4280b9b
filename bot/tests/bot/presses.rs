//! Pressed keys: in order, fast, never lost while the call lives, never twice.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tgtrunk_config::control::{Ender, RefusalCode};
use tgtrunk_config::{CallId, Lamp};
use tokio::time::{Instant, sleep};

use crate::gateway::ACCOUNT;
use crate::room::Room;

/// How long a press may take from Telegram's answer to the gateway, 99 of 100.
const LIMIT: Duration = Duration::from_millis(100);

#[tokio::test(flavor = "multi_thread")]
async fn fifty_people_press_204_at_once_and_each_call_hears_2_0_4() {
    let room = Room::running("", "").await;
    for person in 1..=50 {
        room.gateway.rings(&room.line(1), person, person.cast_signed());
    }
    let mut sent = BTreeMap::new();
    for key in ["2", "0", "4"] {
        for person in 1..=50_u64 {
            room.telegram.presses(person.cast_signed(), &data(person, key));
            sent.insert((CallId(person), key), Instant::now());
            sleep(Duration::from_millis(2)).await;
        }
    }
    let pressed = room.gateway.hears(150).await;
    let mut heard: BTreeMap<CallId, String> = BTreeMap::new();
    let mut delays = Vec::new();
    for press in &pressed {
        heard.entry(press.call).or_default().push_str(&press.digits);
        delays.push(press.at.saturating_duration_since(sent[&(press.call, press.digits.as_str())]));
    }
    assert_eq!(heard.len(), 50);
    assert!(heard.values().all(|digits| digits == "204"), "{heard:?}");
    delays.sort();
    let (middle, slow) = (delays[75], delays[148]);
    println!("150 presses: half within {middle:?}, 99 of 100 within {slow:?}");
    assert!(slow < LIMIT, "{slow:?}");
    let answer = room.telegram.hears("AnswerCallbackQuery", |body| body["text"] == "4 ✓").await;
    assert_ne!(answer["show_alert"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_telegram_refuses_loses_or_delays_hold_no_key_up() {
    let room = Room::running("", "").await;
    room.gateway.rings(&room.line(1), 1, 5);
    let telegram = &room.telegram;
    telegram.is_slow("AnswerCallbackQuery", Duration::from_secs(3));
    telegram.fails("AnswerCallbackQuery", 429, "Too Many Requests: retry after 1", 1);
    telegram.fails("AnswerCallbackQuery", 502, "", 1);
    telegram.fails("AnswerCallbackQuery", 400, "Bad Request: query is too old", 1);
    let begun = Instant::now();
    for key in ["2", "0", "4", "#"] {
        telegram.presses(5, &data(1, key));
    }
    let pressed = room.gateway.hears(4).await;
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(pressed.iter().map(|press| press.digits.as_str()).collect::<String>(), "204#");
    // The one that was told to wait is answered later.
    telegram.hears("AnswerCallbackQuery", |body| body["text"] == "# ✓").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_that_fail_are_tried_again_at_once_and_the_lamp_tells() {
    let room = Room::running("", "").await;
    room.gateway.rings(&room.line(1), 1, 5);
    room.shows(|bot| bot.telegram.lamp == Lamp::Green).await;
    room.telegram.fails("GetUpdates", 502, "", 1_000);
    room.shows(|bot| bot.telegram.reason.contains("out of order (502)")).await;
    room.telegram.is_well();
    room.telegram.fails("GetUpdates", 502, "", 2);
    room.telegram.presses(5, &data(1, "7"));
    room.gateway.hears(1).await;
    room.shows(|bot| bot.telegram.lamp == Lamp::Green).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_program_that_polls_is_told_of_once_and_a_wrong_token_is_red() {
    let mut room = Room::new("", "").await;
    room.gateway.starts();
    let conflict =
        "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running";
    room.telegram.fails("GetUpdates", 409, conflict, 3);
    room.starts().await;
    room.shows(|bot| bot.telegram.reason.contains("another program polls with this token")).await;
    room.shows(|bot| bot.telegram.lamp == Lamp::Green).await;
    assert_eq!(room.log().matches("telegram does not do its part").count(), 1);

    let file = room.state().join("bots/acme_bot/bot.toml");
    std::fs::write(file, "token = \"42:zzzzzzzzzzzzzzzzzzzzzzzzzz\"\n").unwrap();
    let (told, well) = room.commands(&["reload"]).await;
    assert!(well, "{told}");
    let bot = room.shows(|bot| bot.telegram.lamp == Lamp::Red).await;
    assert!(bot.telegram.reason.contains("take it anew from @BotFather"), "{}", bot.telegram.reason);
    let (told, well) = room.commands(&["status"]).await;
    assert!(!well && told.contains("@acme_bot Red"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_stands_in_the_way_of_polling_is_taken_away() {
    let mut room = Room::new("", "").await;
    room.gateway.starts();
    let conflict = "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first";
    room.telegram.fails("GetUpdates", 409, conflict, 1);
    room.starts().await;
    room.telegram.hears("DeleteWebhook", |_| true).await;
    room.shows(|bot| bot.telegram.lamp == Lamp::Green).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_bot_presses_nothing_twice_and_loses_nothing_that_waits_at_telegram() {
    let mut room = Room::running("", "").await;
    room.gateway.rings(&room.line(1), 1, 5);
    room.shows(|bot| bot.telegram.lamp == Lamp::Green).await;
    room.telegram.presses(5, &data(1, "2"));
    room.gateway.hears(1).await;
    // From now on Telegram sees nothing confirmed.
    room.telegram.fails("GetUpdates", 502, "", 1_000);
    sleep(Duration::from_millis(300)).await;
    room.kills().await;
    assert!(room.telegram.waiting() <= 1);
    room.telegram.presses(5, &data(1, "0"));
    room.telegram.presses(5, &data(1, "4"));
    room.telegram.is_well();
    room.starts().await;
    room.gateway.hears(3).await;
    room.telegram.hears("AnswerCallbackQuery", |body| body["text"] == "4 ✓").await;
    assert_eq!(digits(&room), "204");
    assert!(room.ends().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_killed_before_the_gateway_answered_presses_nothing_twice() {
    let mut room = Room::running("", "").await;
    room.gateway.rings(&room.line(1), 1, 5);
    room.shows(|bot| bot.telegram.lamp == Lamp::Green).await;
    room.gateway.is_silent(true);
    room.telegram.presses(5, &data(1, "2"));
    room.gateway.hears(1).await;
    room.kills().await;
    room.gateway.is_silent(false);
    room.telegram.presses(5, &data(1, "0"));
    room.starts().await;
    for told in ["2 ✓", "0 ✓"] {
        room.telegram.hears("AnswerCallbackQuery", |body| body["text"] == told).await;
    }
    assert_eq!(digits(&room), "20");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_press_waits_for_a_gateway_whose_connection_is_made_anew() {
    let mut room = Room::running("", "").await;
    room.gateway.rings(&room.line(1), 1, 5);
    room.telegram.presses(5, &data(1, "2"));
    room.gateway.hears(1).await;
    room.gateway.stops().await;
    room.shows(|bot| bot.gateway.reason == "the gateway does not run").await;
    room.telegram.presses(5, &data(1, "0"));
    room.telegram.presses(5, &data(1, "4"));
    sleep(Duration::from_millis(700)).await;
    room.gateway.starts();
    room.gateway.hears(3).await;
    assert_eq!(digits(&room), "204");

    room.gateway.stops().await;
    room.shows(|bot| bot.gateway.reason == "the gateway does not run").await;
    room.telegram.presses(5, &data(1, "9"));
    room.telegram.hears("AnswerCallbackQuery", |body| text(body).starts_with("9 — не получилось")).await;
    assert_eq!(digits(&room), "204");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_press_before_the_pbx_listens_is_pressed_when_it_does() {
    let room = Room::running("", "").await;
    room.gateway.rings(&room.line(1), 1, 5);
    room.gateway.refuses(&[RefusalCode::NoAudio; 10]);
    room.telegram.presses(5, &data(1, "2"));
    room.telegram.presses(5, &data(1, "101"));
    room.gateway.hears(2).await;
    assert_eq!(digits(&room), "2101");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_press_by_anybody_else_or_after_the_call_does_nothing_and_says_so() {
    let room = Room::running("", "").await;
    room.gateway.rings(&room.line(1), 1, 5);
    let answer = async |person: i64, data: &str, told: &str| {
        room.telegram.presses(person, data);
        room.telegram.hears("AnswerCallbackQuery", |body| text(body) == told).await;
    };
    answer(6, &data(1, "2"), "Эта кнопка предназначена не Вам").await;
    answer(600, &data(1, "2"), "This button is not for you").await;
    answer(5, &data(2, "2"), "Сейчас нет звонка").await;
    answer(600, "d:nonsense", "No call now").await;
    room.gateway.ends(CallId(1), Ender::Pbx);
    sleep(Duration::from_millis(50)).await;
    answer(5, &data(1, "3"), "Сейчас нет звонка").await;
    assert_eq!(digits(&room), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keypad_is_drawn_for_the_lines_own_account_alone() {
    let room = Room::running("", "").await;
    room.has_line(2, "language = \"ru\"\n[[menu]]\nname = \"Продажи\"\nextension = \"101\"\n");
    room.commands(&["reload"]).await;
    room.gateway.rings(&room.line(2), 1, 500);
    let results = async |person: i64, query: &str| {
        room.telegram.queries(person, query);
        let id = format!("q-{query}-{person}");
        let answer =
            room.telegram.hears("AnswerInlineQuery", |body| body["inline_query_id"] == id.as_str()).await;
        assert_eq!((&answer["cache_time"], &answer["is_personal"]), (&0.into(), &true.into()));
        answer["results"].as_array().unwrap().clone()
    };
    let call = format!("keypad:{}", CallId(1));
    let keypad = &results(ACCOUNT, &call).await[0];
    assert_eq!(keypad["input_message_content"]["message_text"], "Введите внутренний номер абонента");
    let rows = keypad["reply_markup"]["inline_keyboard"].as_array().unwrap();
    assert_eq!((rows.len(), &rows[0][0]["text"]), (5, &"Продажи".into()));
    assert_eq!(rows[0][0]["callback_data"], data(1, "101"));
    assert_eq!(rows[4][2]["callback_data"], data(1, "#"));
    assert!(results(500, &call).await.is_empty());
    assert!(results(ACCOUNT, &format!("keypad:{}", CallId(2))).await.is_empty());
    assert!(results(ACCOUNT, "keypad:").await.is_empty());

    let card = &results(ACCOUNT, &format!("card:{}:500", room.line(2))).await[0];
    let button = &card["reply_markup"]["inline_keyboard"][0][0];
    assert_eq!(button["callback_data"], format!("c:{}:500", room.line(2)));
    assert!(results(500, &format!("card:{}:500", room.line(2))).await.is_empty());
    assert!(results(ACCOUNT, &format!("card:{}:500", room.line(9))).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_that_telegram_asks_for_is_longer_than_anybody_waits_for_a_keypad() {
    let room = Room::running("", "").await;
    room.gateway.rings(&room.line(1), 1, 500);
    room.telegram.fails("AnswerInlineQuery", 429, "Too Many Requests: retry after 5", 100);
    room.telegram.queries(ACCOUNT, &format!("keypad:{}", CallId(1)));
    room.telegram.hears("AnswerInlineQuery", |_| true).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(room.telegram.asked("AnswerInlineQuery").len(), 1);
}

fn data(call: u64, digits: &str) -> String {
    format!("d:{}:{digits}", CallId(call))
}

fn digits(room: &Room) -> String {
    room.gateway.pressed().iter().map(|press| press.digits.as_str()).collect()
}

fn text(body: &Value) -> &str {
    body["text"].as_str().unwrap_or_default()
}
