//! What people are answered who write, in their language, with the company's own words.

use std::time::Duration;

use tgtrunk_tests::chat_stage::{BOT, ChatStage, LIMIT, Options};
use tgtrunk_tests::chat_users::Seen;
use tgtrunk_tests::program::Kind;
use tgtrunk_tests::stage::username;
use tokio::time::sleep;

const TEXTS: &str = "[en]\nauto_answer = \"Call {company}, {name}\"\nkeypad = \"Extension?\"\n\
                     [ru]\nkeypad = \"Добавочный, {name}?\"\n";

fn of_the_company(seen: &Seen) -> bool {
    !seen.out && seen.action.is_none()
}

async fn edit_texts(stage: &ChatStage, text: &str) {
    let folder = stage.stage.installation.state.join(&stage.lines[0].phone);
    std::fs::write(folder.join("texts.toml"), text).unwrap();
    for kind in [Kind::Client, Kind::Bot] {
        kind.ask(&stage.stage.installation, &["reload"], "", LIMIT).await.ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_writes_is_answered_once_in_half_a_minute_with_the_lines_text() {
    let options =
        Options { line: |line| line.set("auto_answer", true).set("company", "Acme"), ..Options::default() };
    let (stage, mut callers) = ChatStage::open(options).await.unwrap();
    edit_texts(&stage, TEXTS).await;
    let (caller, company) = (&mut callers[0], username(&stage.lines[0].phone));
    // They have met by a call.
    let (call, keypad, _) = caller.call_with_keypad(&stage.lines[0]).await.unwrap();
    caller.hang_up(call, &keypad).await.unwrap();
    caller.chat.send(company.as_str(), "Are you open?").await.unwrap();
    let answer = caller.chat.message("the answer", LIMIT, of_the_company).await.unwrap();
    assert_eq!(answer.text, "Call Acme, Anna0");
    caller.chat.send(company.as_str(), "Hello?").await.unwrap();
    sleep(Duration::from_secs(3)).await;
    assert!(!caller.chat.messages_so_far().iter().any(of_the_company));
    sleep(Duration::from_secs(29)).await;
    caller.chat.send(company.as_str(), "Hello??").await.unwrap();
    caller.chat.message("the next answer", LIMIT, of_the_company).await.unwrap();
    stage.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_persons_language_is_remembered_from_their_press() {
    let (stage, mut callers) = ChatStage::open(Options::default()).await.unwrap();
    edit_texts(&stage, TEXTS).await;
    let caller = &mut callers[0];
    stage.stage.world().set_language(caller.device.id, "ru");
    let (call, keypad, _) = caller.call_with_keypad(&stage.lines[0]).await.unwrap();
    assert_eq!(keypad.text, "Extension?");
    caller.press(&keypad, "1").await.unwrap();
    caller.hang_up(call, &keypad).await.unwrap();
    let (call, keypad, _) = caller.call_with_keypad(&stage.lines[0]).await.unwrap();
    assert_eq!(keypad.text, "Добавочный, Anna0?");
    caller.hang_up(call, &keypad).await.unwrap();
    stage.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_placeholder_is_named_and_the_default_text_is_sent() {
    let (stage, mut callers) = ChatStage::open(Options::default()).await.unwrap();
    edit_texts(&stage, "[en]\nkeypad = \"Dear {nmae}\"\n").await;
    let told = Kind::Bot.status(&stage.stage.installation).await.unwrap();
    assert!(told.contains("texts.toml:2") && told.contains("nmae"), "{told}");
    let caller = &mut callers[0];
    let (call, keypad, _) = caller.call_with_keypad(&stage.lines[0]).await.unwrap();
    assert!(!keypad.text.is_empty() && !keypad.text.contains("nmae"), "{keypad:?}");
    caller.hang_up(call, &keypad).await.unwrap();
    stage.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_blocks_the_bot_is_marked() {
    let (stage, mut callers) = ChatStage::open(Options::default()).await.unwrap();
    let caller = &mut callers[0];
    caller.chat.start(BOT).await.unwrap();
    caller.chat.message("the greeting", LIMIT, |seen| !seen.out).await.unwrap();
    let id = caller.device.id.to_string();
    for blocked in [true, false] {
        caller.chat.block(BOT, blocked).await.unwrap();
        let until = tokio::time::Instant::now() + LIMIT;
        loop {
            let keys = Kind::Bot.ask(&stage.stage.installation, &["keys", BOT], "", LIMIT).await.unwrap();
            let row = keys.lines().find(|row| row.contains(&id)).unwrap_or_default().to_owned();
            if row.contains("blocked") == blocked && !row.is_empty() {
                break;
            }
            assert!(tokio::time::Instant::now() < until, "{blocked}: {keys}");
            sleep(Duration::from_millis(50)).await;
        }
    }
    stage.close().await.unwrap();
}
