//! The keypad in the demo: a caller's chat on Telethon, the keys as SIPp's PBX receives them.

use std::time::Duration;

use anyhow::Context as _;
use tgtrunk_tests::chat_stage::{ChatStage, LIMIT, Options};
use tgtrunk_tests::chat_users::Seen;
use tgtrunk_tests::light_user::{Answering, Event, Reason};

use crate::tell;

const EXTENSION: &str = "204";
const CALL_BACK: &str = "200";

pub(crate) async fn run() -> anyhow::Result<()> {
    tell(
        "\nAnother company has a bot. Its account gets a second session, by a token that the gateway accepts; client and \
         bot start beside the gateway, and SIPp is the PBX.",
    );
    let options = Options {
        answering: Answering::Rings,
        line: |line| line.set("company", "Acme").set("call_back", CALL_BACK),
        ..Options::default()
    };
    let (stage, mut callers) = ChatStage::open(options).await?;
    let line = stage.lines.first().context("a line")?.clone();
    let caller = callers.first_mut().context("a caller")?;

    tell(format!("\nAnna calls {}.", line.phone));
    let (call, keypad, took) = caller.call_with_keypad(&line).await?;
    tell(format!("A keypad is in her chat {} ms later: \"{}\"", took.as_millis(), keypad.text));
    for row in &keypad.buttons {
        let labels: Vec<&str> = row.iter().map(|(label, _)| label.as_str()).collect();
        tell(format!("    [ {} ]", labels.join(" ] [ ")));
    }
    let mut answers = Vec::new();
    for key in EXTENSION.chars() {
        let pressed = caller.chat.press(&keypad, &key.to_string(), LIMIT).await?;
        answers.push(format!(
            "\"{}\" after {} ms",
            pressed.answer.map_err(anyhow::Error::msg)?,
            pressed.took.as_millis()
        ));
    }
    tell(format!("She presses {EXTENSION}; the buttons answer {}.", answers.join(", ")));
    if stage.capture.is_some() {
        stage.received(caller, EXTENSION).await?;
        tell(format!("The PBX received {EXTENSION} as events of RFC 4733."));
    } else {
        tell("What the PBX receives is not looked at: that needs root.");
    }
    caller.hang_up(call, &keypad).await?;
    tell("She hangs up, and the keypad is gone from the chat.");

    tell("\nThe company calls Anna, who declines.");
    let dialled = stage.dial(0, "tg%23anna00")?;
    let missed = incoming(caller).await?;
    caller.device.hang_up(missed, Reason::Busy).await;
    let card =
        caller.chat.message("the card", LIMIT, |seen: &Seen| !seen.out && !seen.buttons.is_empty()).await?;
    dialled.await??;
    let label = card.buttons.iter().flatten().next().context("a button")?.0.clone();
    tell(format!("A card comes: \"{}\" [ {label} ]", card.text));
    let pressed = caller.chat.press(&card, &label, LIMIT).await?;
    tell(format!("She presses it: \"{}\"", pressed.answer.map_err(anyhow::Error::msg)?));
    let edited = |seen: &Seen| seen.id == card.id;
    caller.chat.edited("that it is under way", LIMIT, edited).await?;
    let back = incoming(caller).await?;
    tell(format!("Extension {CALL_BACK} has answered, and Anna's Telegram rings."));
    caller.device.answer(back).await;
    caller.device.connected(LIMIT).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    caller.device.hang_up(back, Reason::Hangup).await;
    let outcome = caller
        .chat
        .edited("the outcome", LIMIT, |seen| seen.id == card.id && seen.buttons.is_empty())
        .await?;
    tell(format!("They talk, she hangs up, and the card says: \"{}\"", outcome.text));
    stage.close().await
}

async fn incoming(caller: &mut tgtrunk_tests::chat_stage::Caller) -> anyhow::Result<i64> {
    let pick = |event: &Event| match event {
        Event::Incoming { call, .. } => Some(*call),
        Event::Ringing { .. } | Event::Connected { .. } | Event::Discarded { .. } => None,
    };
    caller.device.wait_for("incoming call", LIMIT, pick).await
}
