//! The keypad of a line without a bot: a text that asks to type digits. It comes at once and goes with the call.

use std::time::Duration;

use tgtrunk_config::Lamp;
use tgtrunk_test_telegram::world::{Action, Match};
use tokio::time::Instant;

use crate::support::{Scene, eventually, line, stays};

const TEXT: &str = "To dial an extension, send its digits right here in this chat.";

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_is_asked_to_type_digits_at_once_and_the_text_goes_with_the_call() {
    let scene = Scene::new(line()).await;
    let gateway = scene.gateway();
    scene.log_in().await;
    let _client = scene.client().await;
    scene.until_lamp("keypad", Lamp::Green, |status| status.keypad.lamp).await;
    let began = Instant::now();
    let (_anna, _, call) = scene.anna_calls(&gateway).await;
    eventually("a text", || scene.anna_sees().iter().any(|message| message.text == TEXT)).await;
    let took = began.elapsed();
    assert!(took < Duration::from_millis(300), "{took:?}");
    gateway.ends(&call);
    eventually("no text", || scene.anna_sees().is_empty() && scene.company_sees().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_settings_are_taken_up_when_the_last_call_has_ended_and_cost_nobody_the_keypad() {
    let scene = Scene::new(line()).await;
    let gateway = scene.gateway();
    scene.log_in().await;
    let mut client = scene.client_that_is_started_again().await;
    let (_anna, _, call) = scene.anna_calls(&gateway).await;
    eventually("a text", || scene.anna_sees().len() == 1).await;
    let settings = std::fs::read_to_string(scene.settings()).unwrap();
    std::fs::write(scene.settings(), format!("{settings}\n[bot]\npoll_timeout_s = 41\n")).unwrap();
    stays("the keypad in the call", Duration::from_secs(6), || scene.anna_sees().len() == 1 && client.runs())
        .await;
    gateway.ends(&call);
    eventually("an end, to begin anew", || !client.runs()).await;
    assert!(scene.anna_sees().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_client_clears_what_it_left_when_it_is_back() {
    let scene = Scene::new(line()).await;
    let gateway = scene.gateway();
    scene.log_in().await;
    let client = scene.client().await;
    let (_anna, _, call) = scene.anna_calls(&gateway).await;
    eventually("a text", || scene.anna_sees().len() == 1).await;
    client.kill().await;
    let client = scene.client().await;
    stays("one text while the call lives", Duration::from_secs(2), || scene.anna_sees().len() == 1).await;
    client.kill().await;
    gateway.ends(&call);
    let _client = scene.client().await;
    eventually("no text", || scene.anna_sees().is_empty() && scene.company_sees().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keypad_whose_sending_was_not_answered_is_found_and_taken_away() {
    let scene = Scene::new(line()).await;
    let gateway = scene.gateway();
    scene.log_in().await;
    let client = scene.client().await;
    let fault = Match::method("messages.sendMessage").user(scene.company).once();
    scene.world().add_fault(fault, Action::LoseAnswer);
    let (_anna, _, call) = scene.anna_calls(&gateway).await;
    eventually("a text", || scene.anna_sees().len() == 1).await;
    client.kill().await;
    gateway.ends(&call);
    let _client = scene.client().await;
    eventually("no text", || scene.anna_sees().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stops_leaves_no_keypad_and_sends_it_anew_when_it_is_back() {
    let scene = Scene::new(line()).await;
    let gateway = scene.gateway();
    scene.log_in().await;
    let client = scene.client().await;
    let (_anna, _, call) = scene.anna_calls(&gateway).await;
    eventually("a text", || scene.anna_sees().len() == 1).await;
    client.terminate().await;
    assert_eq!(scene.anna_sees().len(), 0);
    let _client = scene.client().await;
    eventually("a text", || scene.anna_sees().len() == 1).await;
    gateway.ends(&call);
    eventually("no text", || scene.anna_sees().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_gone_takes_its_keypads_along() {
    let scene = Scene::new(line()).await;
    let gateway = scene.gateway();
    scene.log_in().await;
    let _client = scene.client().await;
    scene.anna_calls(&gateway).await;
    eventually("a text", || scene.anna_sees().len() == 1).await;
    drop(gateway);
    eventually("no text", || scene.anna_sees().is_empty()).await;
    scene.until_lamp("keypad", Lamp::Orange, |status| status.keypad.lamp).await;
    assert_eq!(scene.status().keypad.reason, "the gateway does not run");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_away_for_a_moment_keeps_the_keypads_of_its_calls() {
    let scene = Scene::new(line()).await;
    let gateway = scene.gateway();
    scene.log_in().await;
    let _client = scene.client().await;
    let (_anna, _, call) = scene.anna_calls(&gateway).await;
    eventually("a text", || scene.anna_sees().len() == 1).await;
    let id = scene.anna_sees()[0].id;
    drop(gateway);
    scene.until_lamp("keypad", Lamp::Orange, |status| status.keypad.lamp).await;
    let gateway = scene.gateway();
    gateway.tell(&call);
    scene.until_lamp("keypad", Lamp::Green, |status| status.keypad.lamp).await;
    let same = || scene.anna_sees().len() == 1 && scene.anna_sees()[0].id == id;
    stays("the same text", Duration::from_secs(4), same).await;
    drop(gateway);
    scene.until_lamp("keypad", Lamp::Orange, |status| status.keypad.lamp).await;
    let began = Instant::now();
    let _gateway = scene.gateway();
    eventually("no text", || scene.anna_sees().is_empty()).await;
    assert!(began.elapsed() < Duration::from_millis(2900), "a gateway that knows of no call was waited for");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_comes_back_while_its_keypad_is_taken_away_gets_another() {
    let scene = Scene::new(line()).await;
    let gateway = scene.gateway();
    scene.log_in().await;
    let _client = scene.client().await;
    let (_anna, _, call) = scene.anna_calls(&gateway).await;
    eventually("a text", || scene.anna_sees().len() == 1).await;
    let id = scene.anna_sees()[0].id;
    let fault = Match::method("messages.deleteMessages").user(scene.company).once();
    scene.world().add_fault(fault, Action::Error { code: 420, message: "FLOOD_WAIT_1".into() });
    gateway.ends(&call);
    eventually("an attempt", || scene.world().count(scene.company, "messages.deleteMessages") > 0).await;
    gateway.tell(&call);
    eventually("another text", || scene.anna_sees().len() == 1 && scene.anna_sees()[0].id != id).await;
    gateway.ends(&call);
    eventually("no text", || scene.anna_sees().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_cannot_be_deleted_says_that_the_call_is_over() {
    let scene = Scene::new(line()).await;
    let gateway = scene.gateway();
    scene.log_in().await;
    let _client = scene.client().await;
    let (_anna, _, call) = scene.anna_calls(&gateway).await;
    eventually("a text", || scene.anna_sees().len() == 1).await;
    let forbidden = Action::Error { code: 403, message: "MESSAGE_DELETE_FORBIDDEN".into() };
    scene.world().add_fault(Match::method("messages.deleteMessages").user(scene.company), forbidden);
    gateway.ends(&call);
    eventually("another text", || scene.anna_sees()[0].text == "The call has ended.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_wait_is_waited_and_a_long_one_is_told() {
    let scene = Scene::new(line()).await;
    let gateway = scene.gateway();
    scene.log_in().await;
    let _client = scene.client().await;
    let refuse = |message: &str, code| {
        let fault = Match::method("messages.sendMessage").user(scene.company).once();
        scene.world().add_fault(fault, Action::Error { code, message: message.into() });
    };
    refuse("FLOOD_WAIT_1", 420);
    let (_anna, _, call) = scene.anna_calls(&gateway).await;
    eventually("a text", || scene.anna_sees().len() == 1).await;
    gateway.ends(&call);
    eventually("no text", || scene.anna_sees().is_empty()).await;

    refuse("FLOOD_WAIT_600", 420);
    let (_anna, _, call) = scene.anna_calls(&gateway).await;
    eventually("a limit", || scene.status().keypad.reason.starts_with("Telegram asks to wait 600 s; until"))
        .await;
    gateway.ends(&call);
    assert_eq!(scene.anna_sees().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_has_its_sentence_and_the_next_call_its_keypad() {
    let scene = Scene::new(line()).await;
    let gateway = scene.gateway();
    scene.log_in().await;
    let _client = scene.client().await;
    for (code, word) in [(403, "USER_IS_BLOCKED"), (406, "PRIVACY_PREMIUM_REQUIRED")] {
        let fault = Match::method("messages.sendMessage").user(scene.company).once();
        scene.world().add_fault(fault, Action::Error { code, message: word.into() });
        let (_anna, _, call) = scene.anna_calls(&gateway).await;
        eventually("an attempt", || scene.world().count(scene.company, "messages.sendMessage") > 0).await;
        gateway.ends(&call);
        scene.world().clear_journal();
        let (_anna, _, call) = scene.anna_calls(&gateway).await;
        eventually("a text", || scene.anna_sees().len() == 1).await;
        gateway.ends(&call);
        eventually("no text", || scene.anna_sees().is_empty()).await;
        scene.world().clear_journal();
    }
    let fault = Match::method("messages.sendMessage").user(scene.company).once();
    scene.world().add_fault(fault, Action::Error { code: 400, message: "PEER_FLOOD".into() });
    let (_anna, _, call) = scene.anna_calls(&gateway).await;
    eventually("a limit", || scene.status().keypad.reason.contains("PEER_FLOOD")).await;
    assert_eq!(scene.status().keypad.lamp, Lamp::Orange);
    gateway.ends(&call);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keypad_that_cannot_be_deleted_now_is_deleted_later() {
    let scene = Scene::new(line()).await;
    let gateway = scene.gateway();
    scene.log_in().await;
    let mut client = scene.client().await;
    for (code, word) in [(500, "RPC_CALL_FAIL"), (-503, "Timeout"), (420, "FROZEN_METHOD_INVALID")] {
        let (_anna, _, call) = scene.anna_calls(&gateway).await;
        eventually("a text", || scene.anna_sees().len() == 1).await;
        let fault = Match::method("messages.deleteMessages").user(scene.company);
        scene.world().add_fault(fault, Action::Error { code, message: word.into() });
        gateway.ends(&call);
        eventually("an attempt", || scene.world().count(scene.company, "messages.deleteMessages") > 0).await;
        stays("an unchanged text", Duration::from_millis(300), || scene.anna_sees()[0].text == TEXT).await;
        scene.world().clear_faults();
        // What holds the account back is waited for long, and the next start tries at once.
        if word.starts_with("FROZEN") {
            client.kill().await;
            client = scene.client().await;
        }
        eventually("no text", || scene.anna_sees().is_empty()).await;
        scene.world().clear_journal();
    }
    drop(client);
}
