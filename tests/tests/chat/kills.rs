//! Each program killed at each step of a call with a keypad, as a crash would: the call goes on, no keypad stays, no digit is
//! lost, no card comes twice.

use std::time::Duration;

use tgtrunk_test_telegram::world::{Action, Match};
use tgtrunk_tests::chat_stage::{Caller, ChatStage, LIMIT, Options};
use tgtrunk_tests::chat_users::Seen;
use tgtrunk_tests::light_user::{Answering, Event, Reason};
use tgtrunk_tests::program::Kind;
use tgtrunk_tests::stage::username;
use tokio::time::sleep;

/// How far a call is when a program dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Before anybody calls.
    Before,
    /// The call is under way, and perhaps the keypad.
    Ringing,
    /// The keypad is there and nothing is pressed.
    Shown,
    /// Between two presses.
    Pressing,
    /// While the call ends.
    Ending,
}

const STEPS: [Step; 5] = [Step::Before, Step::Ringing, Step::Shown, Step::Pressing, Step::Ending];

#[tokio::test(flavor = "multi_thread")]
async fn the_client_may_die_at_any_step() {
    at_each_step(Kind::Client).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bot_may_die_at_any_step() {
    at_each_step(Kind::Bot).await;
}

async fn at_each_step(kind: Kind) {
    let options = Options { callers: STEPS.len(), ..Options::default() };
    let (mut stage, callers) = ChatStage::open(options).await.unwrap();
    for (step, mut caller) in STEPS.into_iter().zip(callers) {
        let outcome = one_call(&mut stage, &mut caller, kind, step).await;
        outcome.unwrap_or_else(|error| panic!("{} killed, {step:?}: {error:#}", kind.name()));
    }
    stage.close().await.unwrap();
}

async fn one_call(stage: &mut ChatStage, caller: &mut Caller, kind: Kind, step: Step) -> anyhow::Result<()> {
    let line = stage.lines[0].clone();
    let company = username(&line.phone);
    if step == Step::Before {
        stage.kill(kind).await?;
    }
    let call = caller.device.call(line.account).await?;
    if step == Step::Ringing {
        stage.kill(kind).await?;
    }
    if matches!(step, Step::Before | Step::Ringing) {
        sleep(Duration::from_millis(200)).await;
        stage.restart(kind).await?;
    }
    // Without the bot, which is not back in time, the caller is asked to type.
    let asked =
        caller.chat.message("keypad or question", LIMIT, |seen| !seen.out && seen.action.is_none()).await?;
    caller.device.connected(LIMIT).await?;
    if step == Step::Shown {
        stage.kill(kind).await?;
        stage.restart(kind).await?;
    }
    enter(caller, &asked, &company, "2").await?;
    if step == Step::Pressing {
        stage.kill(kind).await?;
        let (entered, restarted) = tokio::join!(enter(caller, &asked, &company, "0"), async {
            sleep(Duration::from_millis(300)).await;
            stage.restart(kind).await
        });
        restarted?;
        entered?;
    } else {
        enter(caller, &asked, &company, "0").await?;
    }
    enter(caller, &asked, &company, "4").await?;
    stage.received(caller, "204").await?;
    let dropped = caller.device.event(Duration::from_millis(1)).await;
    anyhow::ensure!(!matches!(dropped, Ok(Event::Discarded { .. })), "the call was dropped");
    if step == Step::Ending {
        let (killed, ()) = tokio::join!(stage.kill(kind), caller.device.hang_up(call, Reason::Hangup));
        killed?;
        sleep(Duration::from_millis(300)).await;
        stage.restart(kind).await?;
    } else {
        caller.device.hang_up(call, Reason::Hangup).await;
    }
    gone(caller, &asked).await
}

/// Presses a key, or types it where there are none.
async fn enter(caller: &mut Caller, asked: &Seen, company: &str, key: &str) -> anyhow::Result<()> {
    if asked.buttons.is_empty() {
        caller.chat.send(company, key).await
    } else {
        caller.press(asked, key).await
    }
}

/// Everything that was sent for the call is gone, were it twice.
async fn gone(caller: &mut Caller, asked: &Seen) -> anyhow::Result<()> {
    caller.chat.deleted(asked.id, LIMIT).await?;
    for more in caller.chat.messages_so_far() {
        if !more.out && more.action.is_none() {
            caller.chat.deleted(more.id, LIMIT).await?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_dies_takes_its_call_along_and_no_keypad_stays() {
    let (mut stage, mut callers) = ChatStage::open(Options::default()).await.unwrap();
    let line = stage.lines[0].clone();
    let caller = &mut callers[0];
    for step in [Step::Ringing, Step::Shown, Step::Pressing, Step::Ending] {
        let call = caller.device.call(line.account).await.unwrap();
        if step == Step::Ringing {
            stage.gateway.take().unwrap().kill().await.unwrap();
        } else {
            let keypad =
                caller.chat.message("the keypad", LIMIT, |seen| !seen.buttons.is_empty()).await.unwrap();
            caller.device.connected(LIMIT).await.unwrap();
            caller.press(&keypad, "2").await.unwrap();
            let gateway = stage.gateway.take().unwrap();
            match step {
                Step::Pressing => {
                    // Nothing may be promised that was not done.
                    let (pressed, killed) =
                        tokio::join!(caller.chat.press(&keypad, "5", LIMIT), gateway.kill());
                    killed.unwrap();
                    println!("a press as the gateway dies: {:?}", pressed.unwrap().answer);
                }
                Step::Ending => {
                    let (killed, ()) =
                        tokio::join!(gateway.kill(), caller.device.hang_up(call, Reason::Hangup));
                    killed.unwrap();
                }
                Step::Before | Step::Ringing | Step::Shown => gateway.kill().await.unwrap(),
            }
        }
        sleep(Duration::from_millis(300)).await;
        stage.gateway = Some(stage.stage.run(&[&line]).await.unwrap());
        if step != Step::Ending {
            caller.device.hang_up(call, Reason::Disconnect).await;
        }
        sleep(Duration::from_secs(2)).await;
        let account = line.account;
        let left = stage.stage.world().chat(caller.device.id, account);
        let left: Vec<_> = left.into_iter().filter(|message| !message.buttons.is_empty()).collect();
        assert!(left.is_empty(), "{step:?}: {left:?}");
        caller.chat.forget();
    }
    let (call, keypad, _) = caller.call_with_keypad(&line).await.unwrap();
    caller.press(&keypad, "1").await.unwrap();
    caller.hang_up(call, &keypad).await.unwrap();
    stage.close().await.unwrap();
}

/// Where the client dies while it sends a card.
const CARD_STEPS: [Option<(&str, Action)>; 4] = [
    // Before the call is over.
    None,
    Some(("messages.getInlineBotResults", Action::Delay { ms: 700 })),
    Some(("messages.sendInlineBotResult", Action::LoseAnswer)),
    Some(("messages.sendInlineBotResult", Action::Delay { ms: 700 })),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_missed_call_brings_one_card_wherever_the_client_dies() {
    let options = Options {
        callers: CARD_STEPS.len(),
        answering: Answering::Declines,
        line: |line| line.set("call_back", "200"),
        ..Options::default()
    };
    let (mut stage, callers) = ChatStage::open(options).await.unwrap();
    for (number, (step, mut caller)) in CARD_STEPS.into_iter().zip(callers).enumerate() {
        let account = stage.lines[0].account;
        match &step {
            None => stage.kill(Kind::Client).await.unwrap(),
            Some((method, action)) => {
                stage.stage.world().add_fault(Match::method(*method).user(account).once(), action.clone());
            }
        }
        let dialled = stage.dial(0, &format!("tg%23anna{number:02}")).unwrap();
        sleep(Duration::from_millis(400)).await;
        if step.is_some() {
            stage.kill(Kind::Client).await.unwrap();
        }
        sleep(Duration::from_millis(500)).await;
        stage.restart(Kind::Client).await.unwrap();
        assert_eq!(dialled.await.unwrap().unwrap().failed, 1);
        let is_card = |seen: &Seen| !seen.out && !seen.buttons.is_empty();
        caller.chat.message("the card", LIMIT, is_card).await.unwrap();
        sleep(Duration::from_secs(2)).await;
        let more: Vec<Seen> = caller.chat.messages_so_far().into_iter().filter(is_card).collect();
        assert!(more.is_empty(), "{step:?}: {more:?}");
    }
    stage.close().await.unwrap();
}
