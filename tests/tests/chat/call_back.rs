//! A missed call, its card, and the call back.

use std::time::Duration;

use tgtrunk_tests::chat_stage::{Caller, ChatStage, LIMIT, Options};
use tgtrunk_tests::chat_users::{ChatUser, Seen};
use tgtrunk_tests::light_user::{Answering, Event, LightUser, Reason};
use tokio::time::sleep;

const EXTENSION: &str = "200";

fn is_card(seen: &Seen) -> bool {
    !seen.out && !seen.buttons.is_empty()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_missed_a_call_presses_the_button_and_talks_to_the_extension() {
    let options = Options {
        answering: Answering::Rings,
        echo: true,
        line: |line| line.set("call_back", EXTENSION).set("card_every_s", 0),
        ..Options::default()
    };
    let (stage, mut callers) = ChatStage::open(options).await.unwrap();
    let caller = &mut callers[0];
    let card = declined(&stage, caller).await;
    let label = card.buttons[0][0].0.clone();
    // The extension rings first, then the person.
    let pressed = caller.chat.press(&card, &label, LIMIT).await.unwrap();
    let said = pressed.answer.unwrap();
    assert!(!said.is_empty());
    let call = incoming(&mut caller.device).await;
    let offered = stage.exchange.offered();
    let offered = offered.last().unwrap();
    assert_eq!((offered.dialled.as_str(), offered.telegram_id), (EXTENSION, caller.device.id));
    caller.device.answer(call).await;
    caller.device.connected(LIMIT).await.unwrap();
    sleep(Duration::from_secs(2)).await;
    let heard = stage
        .capture
        .as_ref()
        .unwrap()
        .stream(|packet| packet.source == offered.audio && packet.destination == stage.exchange.media);
    let heard_ms: usize = heard.packets().len() * 20;
    assert!(heard_ms >= 1500, "the extension heard {heard_ms} ms");
    assert!(caller.device.heard(call).received_ms >= 1000, "the person heard nothing");
    let before = stage.exchange.received("BYE");
    caller.device.hang_up(call, Reason::Hangup).await;
    let outcome = caller.chat.edited("the outcome", LIMIT, |seen| seen.id == card.id).await.unwrap();
    println!("{:?} then {:?}", card.text, outcome.text);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(stage.exchange.received("BYE"), before + 1);
    stage.close().await.unwrap();
}

async fn incoming(device: &mut LightUser) -> i64 {
    let pick = |event: &Event| match event {
        Event::Incoming { call, .. } => Some(*call),
        _ => None,
    };
    device.wait_for("incoming call", LIMIT, pick).await.unwrap()
}

/// A card in the chat of somebody who declined a call.
async fn declined(stage: &ChatStage, caller: &mut Caller) -> Seen {
    let dialled = stage.dial(0, "tg%23anna00").unwrap();
    let missed = incoming(&mut caller.device).await;
    caller.device.hang_up(missed, Reason::Busy).await;
    assert_eq!(dialled.await.unwrap().unwrap().failed, 1);
    caller.chat.message("the card", LIMIT, is_card).await.unwrap()
}

async fn press(chat: &mut ChatUser, card: &Seen) -> String {
    let label = card.buttons[0][0].0.clone();
    chat.press(card, &label, LIMIT).await.unwrap().answer.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_person_may_press_and_not_twice_at_once() {
    let options = Options {
        owners: true,
        answering: Answering::Rings,
        line: |line| line.set("call_back", EXTENSION).set("card_every_s", 0),
        ..Options::default()
    };
    let (mut stage, mut callers) = ChatStage::open(options).await.unwrap();
    let mut owner = stage.owner(0).unwrap();
    let caller = &mut callers[0];
    let card = declined(&stage, caller).await;
    let own_copy = owner.message("the company's copy", LIMIT, |seen| !seen.buttons.is_empty()).await.unwrap();
    let refused = press(&mut owner, &own_copy).await;
    sleep(Duration::from_secs(1)).await;
    assert!(stage.exchange.offered().is_empty(), "{refused}");
    let soon = press(&mut caller.chat, &card).await;
    // The person's phone rings and nobody takes it: the extension is let go.
    let call = incoming(&mut caller.device).await;
    caller.device.hang_up(call, Reason::Missed).await;
    let outcome = |seen: &Seen| seen.id == card.id && seen.text != card.text && !seen.buttons.is_empty();
    let outcome = caller.chat.edited("the outcome", LIMIT, outcome).await.unwrap();
    let again = press(&mut caller.chat, &outcome).await;
    assert!(refused != soon && again != soon && again != refused, "{refused:?}, {soon:?}, {again:?}");
    assert_eq!(stage.exchange.offered().len(), 1);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(stage.exchange.received("BYE"), 1);
    stage.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_called_back_when_nobody_at_the_company_answers() {
    let options = Options {
        rings: Duration::from_secs(60),
        answering: Answering::Rings,
        line: |line| line.set("call_back", EXTENSION).set("ring_limit_s", 5),
        ..Options::default()
    };
    let (stage, mut callers) = ChatStage::open(options).await.unwrap();
    let caller = &mut callers[0];
    let card = declined(&stage, caller).await;
    press(&mut caller.chat, &card).await;
    let running = caller.chat.edited("that it is under way", LIMIT, |seen| seen.id == card.id).await.unwrap();
    let other = |seen: &Seen| seen.id == card.id && seen.text != running.text;
    let outcome = caller.chat.edited("the outcome", LIMIT, other).await.unwrap();
    assert!(!outcome.buttons.is_empty(), "another try is offered: {outcome:?}");
    let called = caller.device.event(Duration::from_millis(100)).await;
    assert!(!matches!(called, Ok(Event::Incoming { .. })), "{called:?}");
    stage.close().await.unwrap();
}
