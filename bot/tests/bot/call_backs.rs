//! "Call me back": the extension first, then the person, and the message tells how it went, also after a crash.

use std::time::Duration;

use serde_json::Value;
use tgtrunk_config::control::{CallState, Ender, RefusalCode};
use tgtrunk_config::{CallId, UserId};
use tokio::time::sleep;

use crate::room::Room;

const FIRST: CallId = CallId(0xb1);

#[tokio::test(flavor = "multi_thread")]
async fn a_call_back_is_confirmed_placed_and_its_outcome_shown() {
    let room = Room::running("", "").await;
    presses(&room, 500, 500);
    answered(&room, "Thank you! We are calling you back.").await;
    shown(&room, "We are finding somebody").await;
    room.gateway.has_placed(1).await;
    assert_eq!(room.gateway.joined(), [(room.line(1), "2001".to_owned(), UserId::new(500).unwrap())]);
    // While it goes on, and for ten seconds, once is enough.
    presses(&room, 500, 500);
    answered(&room, "You have just asked for a call. Please wait a moment.").await;
    room.gateway.moves(FIRST, |call| call.state = CallState::Ringing);
    room.gateway.moves(FIRST, |call| (call.state, call.answered_ms) = (CallState::Answered, Some(5)));
    room.gateway.ends(FIRST, Ender::Telegram);
    let talked = shown(&room, "We called you back. Thank you").await;
    assert!(buttons(&talked).is_empty());
    assert_eq!(talked["inline_message_id"], "m500");
    presses(&room, 500, 500);
    sleep(Duration::from_millis(200)).await;
    assert_eq!(room.gateway.joined().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_did_not_answer_is_told_and_the_button_stays() {
    let room = Room::running("", "").await;
    for (person, by, told) in [
        (500, Some(Ender::Pbx), "Unfortunately, nobody can answer right now."),
        (501, Some(Ender::Telegram), "We called you back but could not reach you."),
        (502, None, "Unfortunately, calling you back did not work."),
    ] {
        let before = room.gateway.joined().len();
        if by.is_none() {
            room.gateway.refuses(&[RefusalCode::Limit]);
        }
        presses(&room, person, person);
        if let Some(by) = by {
            room.gateway.has_placed(before + 1).await;
            room.gateway.ends(CallId(0xb1 + u64::try_from(before).unwrap()), by);
        }
        let over = shown(&room, told).await;
        assert_eq!(buttons(&over)[0][0]["callback_data"], format!("c:{}:{person}", room.line(1)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_button_of_somebody_else_calls_nobody() {
    let room = Room::running("", "").await;
    presses(&room, 500, 501);
    answered(&room, "This button is not for you").await;
    assert!(room.gateway.joined().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_is_shown_however_often_telegram_fails() {
    let room = Room::running("", "").await;
    room.telegram.fails("EditMessageText", 429, "Too Many Requests: retry after 1", 1);
    room.telegram.fails("EditMessageText", 502, "", 2);
    presses(&room, 500, 500);
    answered(&room, "Thank you! We are calling you back.").await;
    room.gateway.has_placed(1).await;
    room.gateway.ends(FIRST, Ender::Pbx);
    shown(&room, "Unfortunately, nobody can answer right now.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_bot_finds_its_call_again_and_shows_how_it_ended() {
    let mut room = Room::running("", "").await;
    presses(&room, 500, 500);
    shown(&room, "We are finding somebody").await;
    room.gateway.has_placed(1).await;
    sleep(Duration::from_millis(300)).await;
    room.kills().await;
    room.starts().await;
    room.gateway.moves(FIRST, |call| (call.state, call.answered_ms) = (CallState::Answered, Some(5)));
    sleep(Duration::from_millis(300)).await;
    room.kills().await;
    // It ends while nobody looks.
    room.gateway.ends(FIRST, Ender::Telegram);
    room.starts().await;
    shown(&room, "We called you back. Thank you").await;
    assert_eq!(room.gateway.joined().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_killed_before_the_gateway_answered_places_no_second_call() {
    let mut room = Room::running("", "").await;
    room.gateway.is_silent(true);
    presses(&room, 500, 500);
    room.gateway.has_placed(1).await;
    room.kills().await;
    room.gateway.is_silent(false);
    room.starts().await;
    sleep(Duration::from_millis(500)).await;
    room.gateway.ends(FIRST, Ender::Pbx);
    shown(&room, "Unfortunately, nobody can answer right now.").await;
    assert_eq!(room.gateway.joined().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_back_waits_for_a_gateway_that_starts_again() {
    let mut room = Room::running("", "").await;
    room.gateway.stops().await;
    presses(&room, 500, 500);
    answered(&room, "Thank you! We are calling you back.").await;
    room.gateway.starts();
    shown(&room, "We are finding somebody").await;
    room.gateway.has_placed(1).await;
    // And one that dies takes its calls along, once it has said that it places them.
    sleep(Duration::from_millis(300)).await;
    room.gateway.stops().await;
    room.gateway.ends(FIRST, Ender::Gateway);
    room.gateway.starts();
    shown(&room, "Unfortunately, calling you back did not work.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_press_of_long_ago_calls_nobody_and_the_one_after_it_does() {
    let room = Room::running("operators = [600]\n", "").await;
    let old = "Bad Request: query is too old and response timeout expired or query ID is invalid";
    room.telegram.fails("AnswerCallbackQuery", 400, old, 1);
    presses(&room, 500, 500);
    presses(&room, 500, 500);
    room.gateway.has_placed(1).await;
    shown(&room, "We are finding somebody").await;
    assert_eq!(room.telegram.asked("AnswerCallbackQuery").len(), 2);
    room.gateway.ends(FIRST, Ender::Pbx);
    shown(&room, "Unfortunately, nobody can answer right now.").await;

    room.telegram.fails("AnswerCallbackQuery", 400, old, 1);
    room.telegram.presses(600, &format!("a:{}:501", room.line(1)));
    sleep(Duration::from_millis(300)).await;
    assert_eq!(room.gateway.joined().len(), 1);
    // Telegram that is out of order tells nothing of the press.
    room.telegram.fails("AnswerCallbackQuery", 502, "", 1);
    room.telegram.presses(600, &format!("a:{}:501", room.line(1)));
    room.gateway.has_placed(2).await;
    answered(&room, "Calling").await;
    room.telegram.presses(600, &format!("a:{}:502", room.line(1)));
    answered(&room, "You have just asked for a call. Please wait a moment.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_that_was_not_shown_before_a_kill_is_shown_after_it() {
    let mut room = Room::running("", "").await;
    presses(&room, 500, 500);
    shown(&room, "We are finding somebody").await;
    room.telegram.fails("EditMessageText", 502, "", 1_000);
    room.gateway.has_placed(1).await;
    room.gateway.ends(FIRST, Ender::Pbx);
    shown(&room, "Unfortunately, nobody can answer right now.").await;
    room.kills().await;
    let tried = room.telegram.asked("EditMessageText").len();
    room.telegram.is_well();
    room.starts().await;
    room.telegram.hears("GetUpdates", |_| true).await;
    sleep(Duration::from_millis(500)).await;
    let edits = room.telegram.asked("EditMessageText");
    let after: Vec<_> = edits[tried..].iter().map(|edit| edit["text"].as_str().unwrap()).collect();
    assert!(
        after.len() == 1 && after[0].starts_with("Unfortunately, nobody can answer right now."),
        "{after:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_came_and_went_while_the_bot_was_dead_is_placed_no_second_time() {
    let mut room = Room::running("operators = [600]\n", "").await;
    room.gateway.is_silent(true);
    room.telegram.presses(600, &format!("a:{}:501", room.line(1)));
    room.gateway.has_placed(1).await;
    presses(&room, 500, 500);
    room.gateway.has_placed(2).await;
    room.kills().await;
    room.gateway.is_silent(false);
    room.gateway.ends(FIRST, Ender::Pbx);
    room.gateway.ends(CallId(0xb2), Ender::Pbx);
    room.starts().await;
    shown(&room, "Unfortunately, calling you back did not work.").await;
    room.telegram.hears("SendMessage", |body| body["chat_id"] == 600).await;
    assert_eq!(room.gateway.joined().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_call_is_placed_though_telegram_does_not_show_how_the_last_one_ended() {
    let room = Room::running("", "").await;
    presses(&room, 500, 500);
    room.gateway.has_placed(1).await;
    room.telegram.fails("EditMessageText", 502, "", 1_000);
    room.gateway.ends(FIRST, Ender::Pbx);
    shown(&room, "Unfortunately, nobody can answer right now.").await;
    // As long as one and the same person is not called twice.
    sleep(Duration::from_secs(10)).await;
    presses(&room, 500, 500);
    room.gateway.has_placed(2).await;
    sleep(Duration::from_millis(100)).await;
    let tried = room.telegram.asked("EditMessageText").len();
    room.telegram.is_well();
    room.gateway.ends(CallId(0xb2), Ender::Telegram);
    shown(&room, "We called you back but could not reach you.").await;
    sleep(Duration::from_secs(1)).await;
    let edits = room.telegram.asked("EditMessageText");
    let old =
        edits[tried..].iter().filter(|edit| edit["text"].as_str().unwrap().contains("nobody can answer"));
    assert_eq!(old.count(), 0);
}

fn presses(room: &Room, person: i64, whose: i64) {
    room.telegram.presses(person, &format!("c:{}:{whose}", room.line(1)));
}

async fn answered(room: &Room, told: &str) {
    room.telegram.hears("AnswerCallbackQuery", |body| body["text"] == told).await;
}

async fn shown(room: &Room, told: &str) -> Value {
    room.telegram.hears("EditMessageText", |body| body["text"].as_str().unwrap().starts_with(told)).await
}

fn buttons(message: &Value) -> &[Value] {
    message["reply_markup"]["inline_keyboard"].as_array().unwrap()
}
