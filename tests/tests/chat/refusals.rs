//! Telegram refuses, slows down or stays silent: each ends in a sentence in the log and a status, and never in a call.

use std::time::Duration;

use tgtrunk_test_telegram::world::{Action, BotAction, BotMatch, Match};
use tgtrunk_tests::chat_stage::{ChatStage, LIMIT, Options};
use tgtrunk_tests::light_user::Event;
use tgtrunk_tests::program::Kind;

fn refused(code: i32, message: &str) -> Action {
    Action::Error { code, message: message.to_owned() }
}

/// What the client is told when it wants to send, and a word of what it says about that.
fn refusals() -> Vec<(Action, &'static str)> {
    vec![
        (refused(420, "FLOOD_WAIT_30"), "30"),
        (refused(400, "PEER_FLOOD"), "SpamBot"),
        (refused(420, "FROZEN_METHOD_INVALID"), "frozen"),
        (refused(406, "PRIVACY_PREMIUM_REQUIRED"), "Premium"),
        (refused(400, "USER_IS_BLOCKED"), "blocked"),
        (Action::Silence, "answer"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keypad_that_telegram_refuses_is_told_of_and_the_call_is_untouched() {
    let refusals = refusals();
    let options = Options { callers: refusals.len(), lines: refusals.len(), ..Options::default() };
    let (stage, callers) = ChatStage::open(options).await.unwrap();
    for (number, ((action, word), mut caller)) in refusals.into_iter().zip(callers).enumerate() {
        let line = stage.lines[number].clone();
        for method in ["messages.sendInlineBotResult", "messages.sendMessage"] {
            stage.stage.world().add_fault(Match::method(method).user(line.account), action.clone());
        }
        let before = stage.client.as_ref().unwrap().log().len();
        let call = caller.device.call(line.account).await.unwrap();
        caller.device.connected(LIMIT).await.unwrap();
        tokio::time::sleep(Duration::from_secs(2)).await;
        let dropped = caller.device.event(Duration::from_millis(1)).await;
        assert!(!matches!(dropped, Ok(Event::Discarded { .. })), "{action:?}: {dropped:?}");
        let until = tokio::time::Instant::now() + LIMIT;
        loop {
            let log = stage.client.as_ref().unwrap().log();
            let told = log[before..].lines().any(|row| row.contains("WARN") && row.contains(word));
            if told {
                break;
            }
            assert!(
                tokio::time::Instant::now() < until,
                "{action:?}: no word {word:?} in\n{}",
                &log[before..]
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let status = Kind::Client.status(&stage.stage.installation).await.unwrap();
        let of_line = status.lines().find(|row| row.contains(&line.phone)).unwrap_or_default().to_owned();
        println!("{action:?}: {of_line}");
        caller.device.hang_up(call, tgtrunk_tests::light_user::Reason::Hangup).await;
        stage.stage.world().clear_faults();
    }
    stage.close().await.unwrap();
}

/// What becomes of the bot's requests, one fault after the other, while somebody presses.
const FAULTS: [(&str, BotAction); 8] = [
    ("answerCallbackQuery", BotAction::RetryAfter { seconds: 1 }),
    ("answerCallbackQuery", BotAction::Html { code: 502 }),
    ("answerCallbackQuery", BotAction::Hang),
    ("answerCallbackQuery", BotAction::Drop),
    ("getUpdates", BotAction::Html { code: 502 }),
    ("getUpdates", BotAction::RetryAfter { seconds: 1 }),
    ("getUpdates", BotAction::Drop),
    ("getUpdates", BotAction::LoseAnswer),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_press_reaches_the_call_once_whatever_becomes_of_the_bots_requests() {
    let (stage, mut callers) = ChatStage::open(Options::default()).await.unwrap();
    let caller = &mut callers[0];
    let (call, keypad, _) = caller.call_with_keypad(&stage.lines[0]).await.unwrap();
    let mut pressed = String::new();
    for (number, (method, action)) in FAULTS.into_iter().enumerate() {
        stage.stage.world().add_bot_fault(BotMatch::method(method).times(1), action);
        // A poll that waits already is not the one that fails: the second press meets it.
        for _ in 0..2 {
            let key = number.to_string();
            caller.chat.press(&keypad, &key, LIMIT).await.unwrap();
            pressed.push_str(&key);
        }
        stage.received(caller, &pressed).await.unwrap_or_else(|error| panic!("{method} {error:#}"));
    }
    caller.hang_up(call, &keypad).await.unwrap();
    stage.close().await.unwrap();
}

/// Somebody else polls with the bot's token: said once, and the keypad comes back by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_used_elsewhere_is_told_and_got_over() {
    let (stage, mut callers) = ChatStage::open(Options::default()).await.unwrap();
    let caller = &mut callers[0];
    let conflict =
        "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running";
    let action = BotAction::Error { code: 409, description: conflict.to_owned() };
    stage.stage.world().add_bot_fault(BotMatch::method("getUpdates").times(3), action);
    let log = || stage.bot.as_ref().unwrap().log();
    let until = tokio::time::Instant::now() + Duration::from_secs(30);
    while stage.stage.world().bot_faults().iter().any(|rule| rule.acted < 3) {
        assert!(tokio::time::Instant::now() < until, "{}", log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    stage.ready(true).await.unwrap();
    let (call, keypad, _) = caller.call_with_keypad(&stage.lines[0]).await.unwrap();
    caller.press(&keypad, "5").await.unwrap();
    caller.hang_up(call, &keypad).await.unwrap();
    let told = log().lines().filter(|row| row.contains("WARN") && row.contains("token")).count();
    assert_eq!(told, 1, "{}", log());
    stage.close().await.unwrap();
}
