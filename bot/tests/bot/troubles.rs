//! What operators are told, once, and once that it is over.

use std::time::Duration;

use tgtrunk_config::{ClientStatus, GatewayStatus, Lamp, Light, LinePause, PauseReason, StateDir};
use tokio::time::sleep;

use crate::gateway::ACCOUNT;
use crate::room::Room;

const SOON: &str = "notice_after_s = 1\noperators = [600]\nlanguage = \"ru\"\n";

/// Until a message that Telegram has is written off.
const SENT: Duration = Duration::from_millis(500);

#[tokio::test(flavor = "multi_thread")]
async fn operators_hear_of_a_lines_trouble_once_and_of_its_end_once_also_over_restarts() {
    let mut room = Room::running(SOON, "").await;
    let line = room.line(1);
    room.gateway.has_line(&line, |status| turn(&mut status.sip, Lamp::Orange, "no answer to OPTIONS"));
    told(&room, "Линия +79060000001: АТС не отвечает.", 2).await;
    room.gateway.has_line(&line, |status| turn(&mut status.telegram, Lamp::Red, "log in again"));
    told(&room, "Линия +79060000001: в аккаунт Telegram нужно войти заново.", 2).await;
    // What is being sent while the program dies may be sent again; what was sent is not.
    sleep(SENT).await;
    room.kills().await;
    room.starts().await;
    sleep(Duration::from_millis(2_500)).await;
    assert_eq!(room.telegram.asked("SendMessage").len(), 4);
    let well = |status: &mut GatewayStatus| {
        status.telegram.turn(Lamp::Green, "", 3);
        status.sip.turn(Lamp::Green, "", 3);
    };
    room.gateway.has_line(&line, well);
    told(&room, "Снова в порядке: +79060000001.\nАТС отвечает.", 2).await;
    told(&room, "Снова в порядке: +79060000001.\nВход в аккаунт Telegram выполнен.", 2).await;
    let people: Vec<_> =
        room.telegram.asked("SendMessage").iter().map(|body| body["chat_id"].as_i64().unwrap()).collect();
    assert_eq!(people.iter().filter(|person| **person == ACCOUNT).count(), 4);
    assert_eq!(people.iter().filter(|person| **person == 600).count(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_hear_of_floods_and_of_a_gateway_that_is_gone() {
    let mut room = Room::running(SOON, "").await;
    let line = room.line(1);
    let pause = LinePause { reason: PauseReason::Flood, until_ms: u64::MAX / 1_000_000 };
    room.gateway.has_line(&line, |status| status.pause = Some(pause));
    starts_with(&room, "Линия +79060000001: Telegram ограничил звонки").await;
    room.gateway.has_line(&line, |status| status.pause = None);
    told(&room, "Снова в порядке: +79060000001.\nИсходящие звонки снова возможны.", 2).await;
    room.gateway.stops().await;
    told(&room, "Шлюз звонков не работает. Без связи: +79060000001.", 2).await;
    room.shows(|bot| bot.gateway.reason == "the gateway does not run").await;
    sleep(SENT).await;
    room.kills().await;
    room.starts().await;
    sleep(Duration::from_millis(2_000)).await;
    assert_eq!(room.telegram.asked("SendMessage").len(), 6);
    room.gateway.starts();
    told(&room, "Снова в порядке: +79060000001.\nШлюз звонков работает.", 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_hear_of_a_clients_login_and_of_a_limit_of_the_account() {
    let room = Room::running(SOON, "").await;
    let state = StateDir::open(room.state()).unwrap();
    let mut status = ClientStatus::waiting(room.line(1), std::process::id(), unix_ms());
    turn(&mut status.telegram, Lamp::Red, "Log in");
    turn(&mut status.keypad, Lamp::Orange, "waiting for the account");
    status.written_ms = unix_ms();
    status.write(&state).unwrap();
    starts_with(&room, "Линия +79060000001: программа, которая пишет звонящим, должна заново войти").await;
    turn(&mut status.telegram, Lamp::Green, "");
    turn(&mut status.keypad, Lamp::Orange, "Telegram asks to wait 600 s; until 14:05");
    status.written_ms = unix_ms();
    status.write(&state).unwrap();
    told(&room, "Снова в порядке: +79060000001.\nВход для сообщений звонящим выполнен.", 2).await;
    starts_with(&room, "Линия +79060000001: Telegram ограничил сообщения аккаунта").await;
    turn(&mut status.keypad, Lamp::Green, "");
    status.written_ms = unix_ms();
    status.write(&state).unwrap();
    told(&room, "Снова в порядке: +79060000001.\nКлавиши и визитки снова отправляются.", 2).await;
    assert_eq!(room.telegram.asked("SendMessage").len(), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_trouble_is_told_to_nobody() {
    let room = Room::running(SOON, "").await;
    let line = room.line(1);
    for _ in 0..4 {
        room.gateway.has_line(&line, |status| turn(&mut status.sip, Lamp::Orange, "away"));
        sleep(Duration::from_millis(300)).await;
        room.gateway.has_line(&line, |status| turn(&mut status.sip, Lamp::Green, ""));
        sleep(Duration::from_millis(300)).await;
    }
    assert!(room.telegram.asked("SendMessage").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_that_comes_back_waits_until_it_has_left() {
    let room = Room::running("", "").await;
    room.telegram.is_slow("SendMessage", Duration::from_millis(1_500));
    room.telegram.says(500, "/key");
    room.telegram.hears("SendMessage", |_| true).await;
    let file = room.state().join("bots/acme_bot/bot.toml");
    let aside = room.state().join("aside.toml");
    std::fs::rename(&file, &aside).unwrap();
    room.commands(&["reload"]).await;
    // Somebody saves another file meanwhile.
    room.commands(&["reload"]).await;
    std::fs::rename(&aside, &file).unwrap();
    room.commands(&["reload"]).await;
    room.shows(|bot| bot.telegram.lamp == Lamp::Green).await;
    sleep(Duration::from_millis(500)).await;
    assert_eq!(room.telegram.asked("SendMessage").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_whose_file_became_wrong_goes_on_as_it_was() {
    let room = Room::running("", "").await;
    let file = room.state().join("bots/acme_bot/bot.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{text}notice_after_s = 0\n")).unwrap();
    let (told, _) = room.commands(&["reload"]).await;
    assert!(told.contains("notice_after_s"), "{told}");
    room.telegram.says(500, "/key");
    room.telegram.hears("SendMessage", |body| body["text"] == "Your key: 500").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_come_by_webhook_where_the_settings_say_so() {
    let spare = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = spare.local_addr().unwrap();
    drop(spare);
    let webhook = format!("[bot.webhook]\nlisten = \"{address}\"\nurl = \"http://{address}/hooks\"\n");
    let room = Room::running("", &webhook).await;
    let set = room.telegram.hears("SetWebhook", |_| true).await;
    assert_eq!(set["url"], format!("http://{address}/hooks/acme_bot"));
    room.gateway.rings(&room.line(1), 1, 500);
    room.shows(|bot| bot.telegram.lamp == Lamp::Green).await;
    let update = serde_json::json!({"update_id": 1, "callback_query": {
        "id": "1", "from": {"id": 500, "is_bot": false, "first_name": "P"}, "inline_message_id": "m",
        "chat_instance": "1", "data": "d:0000000000000001:5"
    }});
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let call = async |secret: &str| {
        let request =
            http.post(set["url"].as_str().unwrap()).header("X-Telegram-Bot-Api-Secret-Token", secret);
        request.body(update.to_string()).send().await.unwrap().status().as_u16()
    };
    assert_eq!(call("wrong").await, 404);
    assert_eq!(call(set["secret_token"].as_str().unwrap()).await, 200);
    // Telegram repeats what it did not see taken.
    assert_eq!(call(set["secret_token"].as_str().unwrap()).await, 200);
    assert_eq!(room.gateway.pressed().len(), 1);
    assert!(room.telegram.asked("GetUpdates").is_empty());
}

fn turn(light: &mut Light, lamp: Lamp, reason: &str) {
    light.turn(lamp, reason, 2);
}

/// Waits until so many people were told, and sees that none was told twice.
async fn told(room: &Room, text: &str, people: usize) {
    let count = || room.telegram.asked("SendMessage").iter().filter(|body| body["text"] == text).count();
    room.telegram.hears("SendMessage", |body| body["text"] == text).await;
    for _ in 0..200 {
        if count() >= people {
            break;
        }
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(count(), people, "{text}");
}

async fn starts_with(room: &Room, text: &str) {
    room.telegram.hears("SendMessage", |body| body["text"].as_str().unwrap().starts_with(text)).await;
}

#[expect(clippy::disallowed_methods, reason = "as the program that writes the file")]
fn unix_ms() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    now.as_millis().try_into().unwrap()
}
