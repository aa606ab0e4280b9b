//! A call with its keypad, from the first ring to the end.

use std::time::Duration;

use serde_json::{Value, json};
use tgtrunk_tests::chat_stage::{BOT, Caller, ChatStage, LIMIT, Options};
use tgtrunk_tests::clock::now;
use tgtrunk_tests::figures::show;
use tgtrunk_tests::light_user::Reason;
use tgtrunk_tests::program::Kind;
use tgtrunk_tests::stage::{Line, username};
use tokio::task::JoinSet;

const CALLERS: usize = 50;
const LINES: usize = 10;

/// Everybody presses the last digits of their own number, and the first caller 2-0-4.
#[tokio::test(flavor = "multi_thread")]
async fn fifty_callers_on_ten_lines_press_their_own_extensions_at_once() {
    let options = Options { lines: LINES, callers: CALLERS, ..Options::default() };
    let (stage, callers) = ChatStage::open(options).await.unwrap();
    let mut calls = JoinSet::new();
    for (number, caller) in callers.into_iter().enumerate() {
        let (line, keys) = (stage.lines[number % LINES].clone(), extension(number));
        calls.spawn(async move { (dialogue(caller, line, &keys).await, keys) });
    }
    let (mut keypads, mut presses) = (Vec::new(), Vec::new());
    for (outcome, keys) in calls.join_all().await {
        let (caller, keypad, answers) = outcome.unwrap_or_else(|error| panic!("{keys}: {error:#}"));
        stage.received(&caller, &keys).await.unwrap();
        keypads.push(keypad);
        presses.extend(answers);
    }
    show(&format!(
        "{CALLERS} calls at once: keypad {}, answer to a press {}",
        spread(keypads),
        spread(presses)
    ));
    stage.close().await.unwrap();
}

fn extension(caller: usize) -> String {
    if caller == 0 { "204".to_owned() } else { format!("{}{:02}", 1 + caller % 9, caller) }
}

/// How long the keypad took to come, and each answer.
async fn dialogue(
    mut caller: Caller,
    line: Line,
    keys: &str,
) -> anyhow::Result<(Caller, Duration, Vec<Duration>)> {
    let (call, keypad, took) = caller.call_with_keypad(&line).await?;
    let mut answers = Vec::new();
    for key in keys.chars() {
        let began = now();
        caller.press(&keypad, &key.to_string()).await?;
        answers.push(began.elapsed());
    }
    // The last key may stand behind others, and the machine have other work.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    caller.hang_up(call, &keypad).await?;
    Ok((caller, took, answers))
}

#[tokio::test(flavor = "multi_thread")]
async fn named_rows_send_the_whole_extension_and_the_text_is_the_lines_own() {
    let options = Options {
        line: |line| {
            line.set("language", "ru")
                .set("company", "Ромашка")
                .set("menu", menu(&[("Продажи", "101"), ("Помощь", "102#")]))
        },
        ..Options::default()
    };
    let (stage, mut callers) = ChatStage::open(options).await.unwrap();
    let caller = &mut callers[0];
    let (call, keypad, _) = caller.call_with_keypad(&stage.lines[0]).await.unwrap();
    let labels: Vec<Vec<&str>> =
        keypad.buttons.iter().map(|row| row.iter().map(|(label, _)| label.as_str()).collect()).collect();
    assert_eq!(
        labels,
        [
            vec!["Продажи"],
            vec!["Помощь"],
            vec!["1", "2", "3"],
            vec!["4", "5", "6"],
            vec!["7", "8", "9"],
            vec!["*", "0", "#"]
        ]
    );
    assert_eq!(keypad.via, stage.info.as_ref().map(|info| info.id));
    assert!(keypad.text.contains("добавочн") || keypad.text.contains("внутренн"), "{}", keypad.text);
    let pressed = caller.chat.press(&keypad, "Помощь", LIMIT).await.unwrap();
    assert!(pressed.answer.unwrap().contains('✓'));
    caller.press(&keypad, "9").await.unwrap();
    stage.received(caller, "102#9").await.unwrap();
    caller.hang_up(call, &keypad).await.unwrap();
    stage.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_press_by_another_or_after_the_call_does_nothing_and_says_so() {
    let options = Options { owners: true, ..Options::default() };
    let (mut stage, mut callers) = ChatStage::open(options).await.unwrap();
    let mut owner = stage.owner(0).unwrap();
    let caller = &mut callers[0];
    let (call, keypad, _) = caller.call_with_keypad(&stage.lines[0]).await.unwrap();
    let own_copy = owner.message("the company's copy", LIMIT, |seen| !seen.buttons.is_empty()).await.unwrap();
    let pressed = owner.press(&own_copy, "7", LIMIT).await.unwrap();
    let said = pressed.answer.unwrap();
    assert!(!said.is_empty() && !said.contains('✓'), "{said}");
    caller.press(&keypad, "5").await.unwrap();
    // The client is not there to take the keypad away, so that it outlives its call.
    stage.kill(Kind::Client).await.unwrap();
    caller.device.hang_up(call, Reason::Hangup).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let pressed = caller.chat.press(&keypad, "6", LIMIT).await.unwrap();
    let said = pressed.answer.unwrap();
    assert!(!said.is_empty() && !said.contains('✓'), "{said}");
    stage.received(caller, "5").await.unwrap();
    stage.restart(Kind::Client).await.unwrap();
    caller.chat.deleted(keypad.id, LIMIT).await.unwrap();
    stage.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_bot_the_caller_is_asked_to_type_and_what_is_typed_counts() {
    let options = Options { bot: false, ..Options::default() };
    let (stage, mut callers) = ChatStage::open(options).await.unwrap();
    let line = stage.lines[0].clone();
    let caller = &mut callers[0];
    let call = caller.device.call(line.account).await.unwrap();
    let asked =
        caller.chat.message("the question", LIMIT, |seen| !seen.out && seen.action.is_none()).await.unwrap();
    assert!(asked.buttons.is_empty(), "{asked:?}");
    caller.device.connected(LIMIT).await.unwrap();
    caller.chat.send(username(&line.phone), "20").await.unwrap();
    caller.chat.send(username(&line.phone), " 4# ").await.unwrap();
    caller.chat.send(username(&line.phone), "hello, 5").await.unwrap();
    stage.received(caller, "204#").await.unwrap();
    caller.hang_up(call, &asked).await.unwrap();
    let typed: Vec<_> =
        caller.chat.messages_so_far().into_iter().filter(|seen| seen.out && seen.action.is_none()).collect();
    for seen in typed {
        let counts = seen.text != "hello, 5";
        assert_eq!(
            counts,
            caller.chat.deleted(seen.id, Duration::from_millis(500)).await.is_ok(),
            "{seen:?}"
        );
    }
    stage.close().await.unwrap();
}

/// The bot's greeting and key, for anybody who opens it.
#[tokio::test(flavor = "multi_thread")]
async fn anybody_gets_a_greeting_and_their_key_while_everything_else_is_down() {
    let (mut stage, mut callers) = ChatStage::open(Options::default()).await.unwrap();
    stage.kill(Kind::Client).await.unwrap();
    stage.gateway.take().unwrap().kill().await.unwrap();
    let caller = &mut callers[0];
    caller.chat.start(BOT).await.unwrap();
    let greeting = caller.chat.message("the greeting", LIMIT, |seen| !seen.out).await.unwrap();
    assert!(!greeting.text.is_empty());
    for asked in ["мой ключ", "  МОЙ  КЛЮЧ ", "/key", "my key"] {
        caller.chat.send(BOT, asked).await.unwrap();
        let key = caller.chat.message(asked, LIMIT, |seen| !seen.out).await.unwrap();
        assert!(key.text.contains(&caller.device.id.to_string()), "{asked}: {}", key.text);
    }
    stage.close().await.unwrap();
}

/// The rows of `[[menu]]`.
fn menu(rows: &[(&str, &str)]) -> Value {
    rows.iter().map(|(name, extension)| json!({ "name": name, "extension": extension })).collect()
}

/// The middle, the slow end and the slowest.
fn spread(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
    format!("p50 {:?}, p99 {:?}, worst {:?}", at(50), at(99), at(100))
}
