//! A line with a bot: the keypad is drawn by it, and the card has a button. The bot here answers as the test wants.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tgtrunk_config::Lamp;
use tgtrunk_config::control::{Answer, Ask, CheckName, Found};
use tgtrunk_shell::asking;
use tgtrunk_test_telegram::world::{Action, Match, NewBot};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::support::{Scene, eventually, line, stays};

const KEYPAD: &str = "Enter the extension";
const TEXT: &str = "To dial an extension, send its digits right here in this chat.";

#[tokio::test(flavor = "multi_thread")]
async fn a_callers_keypad_is_drawn_by_the_bot_at_once_and_goes_with_the_call() {
    let (scene, bot) = scene().await;
    let gateway = scene.gateway();
    scene.log_in().await;
    let _client = scene.client().await;
    scene.until_lamp("keypad", Lamp::Green, |status| status.keypad.lamp).await;
    assert_eq!(scene.status().keypad.reason, "the bot answers");
    let began = Instant::now();
    let (_anna, _, call) = scene.anna_calls(&gateway).await;
    eventually("a keypad", || scene.anna_sees().iter().any(|message| message.via_bot == Some(bot.id))).await;
    let took = began.elapsed();
    assert!(took < Duration::from_millis(300), "{took:?}");
    assert_eq!(scene.anna_sees()[0].text, KEYPAD);
    gateway.ends(&call);
    eventually("no keypad", || scene.anna_sees().is_empty() && scene.company_sees().is_empty()).await;
    let starts = scene.world().chat(scene.company, bot.id);
    assert_eq!(starts.iter().filter(|message| message.text == "/start").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_callers_at_once_have_their_keypads_each_its_own() {
    let (scene, _bot) = scene().await;
    let gateway = scene.gateway();
    scene.log_in().await;
    let _client = scene.client().await;
    scene.until_lamp("keypad", Lamp::Green, |status| status.keypad.lamp).await;
    let (_anna, _, call) = scene.anna_calls(&gateway).await;
    eventually("a keypad", || scene.anna_sees().len() == 1).await;
    gateway.ends(&call);
    eventually("no keypad", || scene.anna_sees().is_empty()).await;
    // She is known from now on; the calls themselves need no Telegram.
    let began = Instant::now();
    let calls: Vec<_> = (1..=20)
        .map(|number| {
            let direction = tgtrunk_config::control::Direction::TelegramToPbx;
            let call = crate::support::info(number, scene.anna, direction);
            gateway.tell(&call);
            call
        })
        .collect();
    eventually("twenty keypads", || scene.anna_sees().len() == 20).await;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
    let mut named: Vec<String> =
        scene.anna_sees().iter().map(|message| message.buttons[0][0].data.clone().unwrap()).collect();
    named.sort();
    let wanted: Vec<String> = calls.iter().map(|call| format!("d:{}:1", call.call)).collect();
    assert_eq!(named, wanted);
    for call in &calls {
        gateway.ends(call);
    }
    eventually("no keypads", || scene.anna_sees().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_bot_is_not_waited_for_and_what_it_says_later_is_not_sent() {
    let (scene, bot) = scene().await;
    let gateway = scene.gateway();
    scene.log_in().await;
    let _client = scene.client().await;
    scene.until_lamp("keypad", Lamp::Green, |status| status.keypad.lamp).await;
    *bot.delay.lock().unwrap() = Duration::from_secs(3);
    let (_anna, _, call) = scene.anna_calls(&gateway).await;
    eventually("a text", || scene.anna_sees().iter().any(|message| message.text == TEXT)).await;
    stays("a text alone", Duration::from_secs(3), || scene.anna_sees().len() == 1).await;
    gateway.ends(&call);
    eventually("no text", || scene.anna_sees().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_that_cannot_be_asked_once_is_asked_again_and_else_callers_type() {
    let (scene, bot) = scene().await;
    let gateway = scene.gateway();
    scene.log_in().await;
    let _client = scene.client().await;
    let asking = || Match::method("messages.getInlineBotResults").user(scene.company);
    for (is_once, code, message) in [
        (true, 500, "RPC_CALL_FAIL"),
        (false, 500, "RPC_CALL_FAIL"),
        (false, -503, "Timeout"),
        (true, 420, "FLOOD_WAIT_1"),
        (false, 420, "FLOOD_WAIT_600"),
        (true, 400, "PEER_ID_INVALID"),
        (false, 400, "PEER_ID_INVALID"),
    ] {
        scene.until_lamp("keypad", Lamp::Green, |status| status.keypad.lamp).await;
        let fault = if is_once { asking().once() } else { asking() };
        scene.world().add_fault(fault, Action::Error { code, message: message.into() });
        let (_anna, _, call) = scene.anna_calls(&gateway).await;
        eventually(&format!("something after {message}"), || scene.anna_sees().len() == 1).await;
        let seen = scene.anna_sees().remove(0);
        assert_eq!(seen.via_bot == Some(bot.id), is_once, "{message}: {}", seen.text);
        scene.world().clear_faults();
        gateway.ends(&call);
        eventually("no keypad", || scene.anna_sees().is_empty()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bots_keypad_is_cleared_after_a_crash_even_if_its_sending_was_not_answered() {
    let (scene, _bot) = scene().await;
    let gateway = scene.gateway();
    scene.log_in().await;
    let client = scene.client().await;
    scene.until_lamp("keypad", Lamp::Green, |status| status.keypad.lamp).await;
    let fault = Match::method("messages.sendInlineBotResult").user(scene.company);
    scene.world().add_fault(fault, Action::LoseAnswer);
    let (_anna, _, call) = scene.anna_calls(&gateway).await;
    eventually("a keypad", || scene.anna_sees().len() == 1).await;
    client.kill().await;
    gateway.ends(&call);
    scene.world().clear_faults();
    let _client = scene.client().await;
    eventually("no keypad", || scene.anna_sees().is_empty() && scene.company_sees().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_has_the_bots_button_and_is_not_taken_for_a_keypad() {
    let (scene, bot) = scene().await;
    let gateway = scene.gateway();
    scene.log_in().await;
    let _client = scene.client().await;
    scene.until_lamp("keypad", Lamp::Green, |status| status.keypad.lamp).await;
    scene.anna_misses_a_call().await;
    eventually("a card", || scene.anna_sees().iter().any(|message| message.via_bot == Some(bot.id))).await;
    let card = &scene.anna_sees()[0];
    let wanted = format!("c:{}:{}", crate::support::phone(), scene.anna);
    assert_eq!(card.buttons[0][0].data.as_deref(), Some(wanted.as_str()));
    let (_anna, _, call) = scene.anna_calls(&gateway).await;
    eventually("a keypad", || scene.anna_sees().len() == 2).await;
    gateway.ends(&call);
    eventually("the card alone", || scene.anna_sees().len() == 1).await;
    assert_eq!(scene.anna_sees()[0].id, card.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_without_inline_mode_turns_the_lamp_red_and_callers_type() {
    let (scene, bot) = scene().await;
    scene.world().set_inline(bot.id, false);
    let gateway = scene.gateway();
    scene.log_in().await;
    let _client = scene.client().await;
    scene.until_lamp("keypad", Lamp::Red, |status| status.keypad.lamp).await;
    assert!(scene.status().keypad.reason.contains("/setinline"), "{}", scene.status().keypad.reason);
    let (_anna, _, call) = scene.anna_calls(&gateway).await;
    eventually("a text", || scene.anna_sees().iter().any(|message| message.text == TEXT)).await;
    gateway.ends(&call);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_check_names_what_is_missing_and_is_content_when_nothing_is() {
    let (scene, _bot) = scene().await;
    let (well, told) = check(&scene).await;
    let missing = ["the gateway does not run", "no session yet (tgtrunk-client login +79060000000)"];
    assert!(!well && missing.iter().all(|missing| told.contains(missing)), "{told}");
    let _gateway = scene.gateway();
    scene.log_in().await;
    let (well, told) = check(&scene).await;
    assert!(well && told.contains("@acme_bot answers"), "{told}");
    let _client = scene.client().await;
    scene.until_lamp("keypad", Lamp::Green, |status| status.keypad.lamp).await;
    let (well, told) = check(&scene).await;
    assert!(well && told.contains("keypad Green (the bot answers)"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dialog_with_a_blocked_bot_is_told_by_the_checks_and_opened_by_one_word() {
    let (scene, bot) = scene().await;
    let _gateway = scene.gateway();
    scene.log_in().await;
    let _client = scene.client().await;
    scene.until_lamp("keypad", Lamp::Green, |status| status.keypad.lamp).await;
    let checks = Ask::Checks { line: crate::support::phone() };
    let well = [(CheckName::InlineMode, Found::Good, false), (CheckName::BotDialog, Found::Good, false)];
    assert_eq!(found(&scene, checks.clone()).await, well);
    scene.world().set_blocked(scene.company, bot.id, true);
    scene.world().set_inline(bot.id, false);
    let amiss = [(CheckName::InlineMode, Found::Bad, false), (CheckName::BotDialog, Found::Bad, true)];
    assert_eq!(found(&scene, checks).await, amiss);
    let fix = Ask::FixCheck { line: crate::support::phone(), check: CheckName::BotDialog };
    assert_eq!(found(&scene, fix).await, [amiss[0], well[1]]);
    let starts = scene.world().chat(scene.company, bot.id);
    assert_eq!(starts.iter().filter(|message| message.text == "/start").count(), 2);
    let fix = Ask::FixCheck { line: crate::support::phone(), check: CheckName::InlineMode };
    let refusal = asking::ask(&scene.state.client_socket(), fix).await.unwrap_err();
    assert!(refusal.to_string().contains("only a person"), "{refusal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_is_restarted_comes_up_again_and_its_bot_is_greeted_no_second_time() {
    let (scene, bot) = scene().await;
    let _gateway = scene.gateway();
    scene.log_in().await;
    let _client = scene.client().await;
    scene.until_lamp("keypad", Lamp::Green, |status| status.keypad.lamp).await;
    let restart = Ask::RestartLine { line: crate::support::phone() };
    asking::ask(&scene.state.client_socket(), restart).await.unwrap();
    eventually("the line opened again", || scene.client_log().matches("line opened").count() == 2).await;
    scene.until_lamp("keypad", Lamp::Green, |status| status.keypad.lamp).await;
    let starts = scene.world().chat(scene.company, bot.id);
    assert_eq!(starts.iter().filter(|message| message.text == "/start").count(), 1);
}

/// Nobody calls meanwhile: it is asked all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_bot_that_ceases_to_answer_is_noticed_within_a_minute() {
    let (scene, bot) = scene().await;
    let _gateway = scene.gateway();
    scene.log_in().await;
    let _client = scene.client().await;
    scene.until_lamp("keypad", Lamp::Green, |status| status.keypad.lamp).await;
    bot.task.abort();
    let began = Instant::now();
    while scene.status().keypad.lamp == Lamp::Green {
        assert!(began.elapsed() < Duration::from_secs(80), "nobody asks the bot");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(scene.status().keypad.lamp, Lamp::Orange, "{:?}", scene.status().keypad);
}

/// What the client's checks find.
async fn found(scene: &Scene, ask: Ask) -> Vec<(CheckName, Found, bool)> {
    match asking::ask(&scene.state.client_socket(), ask).await.unwrap() {
        Answer::Checks(checks) => {
            checks.iter().map(|check| (check.check, check.found, check.can_fix)).collect()
        }
        other => panic!("{other:?}"),
    }
}

async fn check(scene: &Scene) -> (bool, String) {
    let done = scene.command(&["check"]).output().await.unwrap();
    (done.status.success(), String::from_utf8_lossy(&done.stdout).into_owned())
}

/// A line whose bot is at work.
async fn scene() -> (Scene, Bot) {
    let scene = Scene::new(line().set("bot", "acme_bot").set("call_back", "2001")).await;
    let info = scene.world().add_bot(NewBot::new("acme_bot", "Acme")).unwrap();
    let delay = Arc::new(Mutex::new(Duration::ZERO));
    let url = scene.telegram.bot_api_url();
    let task = tokio::spawn(work(url, info.token.clone(), Arc::clone(&delay)));
    (scene, Bot { id: info.id, delay, task })
}

struct Bot {
    id: i64,
    /// How long it thinks about a keypad.
    delay: Arc<Mutex<Duration>>,
    task: JoinHandle<()>,
}

impl Drop for Bot {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Answers inline queries as the line's bot does.
async fn work(url: String, token: String, delay: Arc<Mutex<Duration>>) {
    let mut offset = 0;
    loop {
        let updates = post(&url, &token, "getUpdates", json!({"offset": offset, "timeout": 5})).await;
        for update in updates["result"].as_array().into_iter().flatten() {
            offset = update["update_id"].as_i64().unwrap() + 1;
            let Some(query) = update.get("inline_query") else { continue };
            let (id, text) = (query["id"].clone(), query["query"].as_str().unwrap().to_owned());
            let article = match text.split_once(':') {
                Some(("keypad", call)) => Some(article(KEYPAD, "1", &format!("d:{call}:1"))),
                Some(("card", who)) => Some(article("Not reached", "Call back", &format!("c:{who}"))),
                _ => None,
            };
            let pause = if article.is_some() { *delay.lock().unwrap() } else { Duration::ZERO };
            let answer = json!({
                "inline_query_id": id, "results": article.into_iter().collect::<Vec<_>>(), "cache_time": 0,
                "is_personal": true,
            });
            let (url, token) = (url.clone(), token.clone());
            tokio::spawn(async move {
                tokio::time::sleep(pause).await;
                post(&url, &token, "answerInlineQuery", answer).await;
            });
        }
    }
}

fn article(text: &str, button: &str, data: &str) -> Value {
    json!({
        "type": "article", "id": "1", "title": text, "input_message_content": {"message_text": text},
        "reply_markup": {"inline_keyboard": [[{"text": button, "callback_data": data}]]},
    })
}

/// One request of the Bot API, on a connection of its own.
async fn post(url: &str, token: &str, method: &str, body: Value) -> Value {
    let host = url.trim_start_matches("http://").trim_end_matches('/');
    let body = body.to_string();
    let request = format!(
        "POST /bot{token}/{method} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let Ok(mut stream) = TcpStream::connect(host).await else { return std::future::pending().await };
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok();
    let answer = String::from_utf8_lossy(&answer);
    let start = answer.find("\r\n\r\n").map_or(0, |at| at + 4);
    serde_json::from_str(&answer[start..]).unwrap_or_default()
}
