//! Messages that programs have the bot write, over the control socket.

use tgtrunk_config::UserId;
use tgtrunk_config::control::{Answer, Ask, LetterInfo, LetterState, Refusal, RefusalCode};
use tgtrunk_shell::asking::ask;
use tokio::time::{Duration, Instant, sleep};

use crate::room::Room;

#[tokio::test(flavor = "multi_thread")]
async fn a_person_whom_the_bot_knows_is_written_to_once_by_each_key() {
    let room = Room::running("", "").await;
    let stranger = wants(&room, 500, "k1", "invoice 7").await.unwrap_err();
    assert_eq!(stranger.code, RefusalCode::UnknownPerson);
    assert!(stranger.message.contains("the key 500"), "{stranger}");
    knows(&room, 500).await;
    for _ in 0..3 {
        wants(&room, 500, "k1", "invoice 7").await.unwrap();
    }
    let sent = becomes(&room, 500, "k1", LetterState::Sent).await;
    assert!(!sent.blocked && sent.reason.is_none(), "{sent:?}");
    wants(&room, 500, "k2", "invoice 7").await.unwrap();
    becomes(&room, 500, "k2", LetterState::Sent).await;
    let told = room.telegram.asked("SendMessage").into_iter().filter(|body| body["text"] == "invoice 7");
    assert_eq!(told.count(), 2);
    let nobody = ask(&room.state().join("bot.sock"), errand("other_bot", 500, "k", "x")).await.unwrap_err();
    assert_eq!(nobody.downcast::<Refusal>().unwrap().code, RefusalCode::UnknownBot);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_blocked_the_bot_is_told_of_and_marked() {
    let room = Room::running("", "").await;
    knows(&room, 500).await;
    room.telegram.fails("SendMessage", 403, "Forbidden: bot was blocked by the user", 1);
    wants(&room, 500, "k1", "invoice 7").await.unwrap();
    let failed = becomes(&room, 500, "k1", LetterState::Failed).await;
    assert!(failed.blocked && failed.reason.as_ref().unwrap().contains("blocked by the user"), "{failed:?}");
    let (told, _) = room.commands(&["keys", "acme_bot"]).await;
    assert!(told.contains("has blocked the bot"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_program_was_promised_outlives_a_kill_and_tells_meanwhile_why_it_waits() {
    let mut room = Room::running("", "").await;
    knows(&room, 500).await;
    room.telegram.fails("SendMessage", 429, "Too Many Requests: retry after 1", 1_000);
    wants(&room, 500, "k1", "invoice 7").await.unwrap();
    let limit = Instant::now() + Duration::from_secs(20);
    while wants(&room, 500, "k1", "invoice 7").await.unwrap().reason.is_none() {
        assert!(Instant::now() < limit, "nobody says why it waits");
        sleep(Duration::from_millis(20)).await;
    }
    room.kills().await;
    let tried = room.telegram.asked("SendMessage").len();
    room.telegram.is_well();
    room.starts().await;
    becomes(&room, 500, "k1", LetterState::Sent).await;
    assert_eq!(room.telegram.asked("SendMessage").len(), tried + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_to_be_sent_goes_out_though_no_news_come_in() {
    let room = Room::running("", "").await;
    knows(&room, 500).await;
    room.telegram.fails("GetUpdates", 502, "", 1_000_000);
    room.shows(|bot| bot.telegram.lamp == tgtrunk_config::Lamp::Orange).await;
    room.telegram.says(500, "/key");
    wants(&room, 500, "k1", "invoice 7").await.unwrap();
    becomes(&room, 500, "k1", LetterState::Sent).await;
    assert_eq!(room.telegram.waiting(), 1, "nothing was received meanwhile");
}

/// Of what people get by asking themselves a second one does no harm.
#[tokio::test(flavor = "multi_thread")]
async fn what_telegram_may_have_is_not_written_again_but_keys_are() {
    let room = Room::running("", "").await;
    room.telegram.fails("SendMessage", 502, "", 2);
    knows(&room, 500).await;
    // The key is told however often that fails.
    let limit = Instant::now() + Duration::from_secs(20);
    while room.telegram.asked("SendMessage").len() < 3 {
        assert!(Instant::now() < limit, "it is not told again");
        sleep(Duration::from_millis(20)).await;
    }
    room.telegram.fails("SendMessage", 502, "", 1);
    wants(&room, 500, "k1", "invoice 7").await.unwrap();
    let failed = becomes(&room, 500, "k1", LetterState::Failed).await;
    let reason = failed.reason.unwrap();
    assert!(reason.contains("(502)") && reason.contains("Telegram may have it"), "{reason}");
    // What follows goes out.
    wants(&room, 500, "k2", "invoice 7").await.unwrap();
    becomes(&room, 500, "k2", LetterState::Sent).await;
    assert_eq!(room.telegram.asked("SendMessage").len(), 5);
}

async fn knows(room: &Room, person: i64) {
    room.telegram.says(person, "/key");
    let key = format!("Your key: {person}");
    room.telegram.hears("SendMessage", |body| body["text"] == key.as_str()).await;
}

fn errand(bot: &str, person: i64, key: &str, text: &str) -> Ask {
    Ask::WriteTo {
        bot: bot.parse().unwrap(),
        person: UserId::new(person).unwrap(),
        text: text.to_owned(),
        key: key.to_owned(),
    }
}

async fn wants(room: &Room, person: i64, key: &str, text: &str) -> Result<LetterInfo, Refusal> {
    match ask(&room.state().join("bot.sock"), errand("acme_bot", person, key, text)).await {
        Ok(Answer::Letter(info)) => Ok(info),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.downcast().unwrap()),
    }
}

async fn becomes(room: &Room, person: i64, key: &str, state: LetterState) -> LetterInfo {
    let limit = Instant::now() + Duration::from_secs(20);
    loop {
        let info = wants(room, person, key, "invoice 7").await.unwrap();
        if info.state == state {
            return info;
        }
        assert!(Instant::now() < limit, "{info:?}");
        sleep(Duration::from_millis(20)).await;
    }
}
