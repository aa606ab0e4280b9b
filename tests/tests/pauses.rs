//! What Telegram and a line's own rules forbid stays forbidden whichever way it is tried: after a kill, on a line that is
//! opened anew, by another call, or under another name. And whatever was refused is found in the records.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use serde_json::json;
use tgtrunk_config::LineDraft;
use tgtrunk_config::control::Ask;
use tgtrunk_test_telegram::NewUser;
use tgtrunk_test_telegram::world::{Action, Match};
use tgtrunk_tests::gateway::Gateway;
use tgtrunk_tests::light_user::{self, Answering};
use tgtrunk_tests::player::circle;
use tgtrunk_tests::stage::{self, GREEN_LIMIT};
use tgtrunk_tests::wire_pbx::Message;
use tgtrunk_tests::wire_stage::{Post, USER_HZ, WireStage, phone_of};
use tokio::time::sleep;

/// How long anything may take that should take no time.
const LIMIT: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn what_telegram_asked_for_holds_on_a_line_that_is_opened_anew_and_after_a_kill() {
    let mut scene = open("+79060002001").await;
    let spam = scene.post("+79060002002", |draft| draft).await.unwrap();
    scene.reload(&[&spam]).await.unwrap();
    let flood = scene.post.clone();
    scene.stage.user(NewUser::new(phone_of(1), "Wanted")).unwrap();
    for (post, code, message, retry_s) in
        [(&flood, 420, "FLOOD_WAIT_600", 601), (&spam, 400, "PEER_FLOOD", 3_600)]
    {
        scene.world().add_fault(
            Match::method("phone.requestCall").user(post.line.account).once(),
            Action::Error { code, message: message.to_owned() },
        );
        let answer = call(post, &phone_of(1)).await;
        assert_eq!(retry_after_s(&answer), Some(retry_s), "{message}");
    }
    for kill in [false, true] {
        if kill {
            scene.gateway.kill().await.unwrap();
            scene.gateway = Gateway::start(&scene.stage.installation).await.unwrap();
        } else {
            let mut control = scene.gateway.control().await.unwrap();
            for post in [&flood, &spam] {
                control.ask(Ask::RestartLine { line: post.line.phone.parse().unwrap() }).await.unwrap();
            }
        }
        for (post, least_s, most_s) in [(&flood, 500, 601), (&spam, 3_600, 3_600)] {
            stage::green(&scene.gateway, &post.line, GREEN_LIMIT).await.unwrap();
            let last = last_request(&scene);
            let answer = call(post, &phone_of(1)).await;
            assert_eq!(answer.status(), Some(503), "kill {kill}");
            let told_s = retry_after_s(&answer).unwrap();
            assert!((least_s..=most_s).contains(&told_s), "kill {kill}: {told_s} s");
            assert_eq!(asked(&scene, post, last), [""; 0], "kill {kill}");
            let lamp = scene.telegram_lamp(&post.line).await.unwrap();
            assert!(lamp.starts_with("Green: limited"), "kill {kill}: {lamp}");
        }
    }
    scene.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_being_placed_asks_nothing_more_once_another_one_was_told_to_wait() {
    let scene = open("+79060002011").await;
    let world = scene.world();
    scene.stage.user(NewUser::new(phone_of(2), "Quick")).unwrap();
    let _slow = scene.person(3, Answering::Rings).unwrap();
    let company = scene.post.line.account;
    world.add_fault(Match::method("contacts.resolvePhone").user(company).once(), Action::Delay { ms: 1_500 });
    let mut slow = scene.post.pbx.call(&phone_of(3)).await.unwrap();
    sleep(Duration::from_millis(400)).await;
    assert_eq!(world.count(company, "contacts.resolvePhone"), 1, "the first one is being looked up");
    world.add_fault(
        Match::method("phone.requestCall").user(company).once(),
        Action::Error { code: 420, message: "FLOOD_WAIT_31".to_owned() },
    );
    let answer = call(&scene.post, &phone_of(2)).await;
    assert_eq!(retry_after_s(&answer), Some(32));
    assert!(!slow.has_answer(), "the first one is still being looked up");
    let answer = slow.final_answer(LIMIT).await.unwrap();
    assert_eq!(answer.status(), Some(503));
    assert!(retry_after_s(&answer).is_some_and(|told| (25..=31).contains(&told)), "{answer:?}");
    assert_eq!(world.count(company, "phone.requestCall"), 1, "nobody was called after the first refusal");
    scene.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_denied_is_not_reached_by_another_of_their_names() {
    let scene = open("+79060002021").await;
    let denied = |list| move |draft: LineDraft| draft.set("to_telegram", list);
    let by_id = denied(json!({"deny": ["id:777021"], "calls_per_minute": 0}));
    let by_id = scene.post("+79060002022", by_id).await.unwrap();
    let by_name = denied(json!({"deny": ["@spam_kim"], "calls_per_minute": 2}));
    let by_name = scene.post("+79060002023", by_name).await.unwrap();
    scene.reload(&[&by_id, &by_name]).await.unwrap();
    let kim = NewUser::new("+79163000061", "Kim").username("spam_kim").id(777_021);
    let app = light_user::Options::playing(circle(USER_HZ, 60).unwrap()).answering(Answering::Rings);
    let _kim = scene.stage.person(kim, app).unwrap();
    let _other = scene.person(4, Answering::Rings).unwrap();
    let (phone, name) = ("+79163000061", "tg%23spam_kim");
    for (post, dialled) in [(&by_id, [phone, name, phone].as_slice()), (&by_name, &[phone, phone])] {
        for dialled in dialled {
            let answer = call(post, dialled).await;
            assert_eq!(answer.status(), Some(403), "{dialled}: {}", answer.start);
            assert!(
                answer.header("Reason").unwrap().contains("Not allowed by the line's lists"),
                "{answer:?}"
            );
        }
        assert_eq!(scene.world().count(post.line.account, "phone.requestCall"), 0, "nobody's phone rang");
        assert_eq!(scene.world().count(post.line.account, "contacts.resolvePhone"), 1, "who it is, is known");
    }
    // Of the two in a minute one is left.
    let mut other = by_name.pbx.call(&phone_of(4)).await.unwrap();
    other.rings(LIMIT).await.unwrap();
    other.cancel(&[]);
    other.final_answer(LIMIT).await.unwrap();
    scene.close().await.unwrap();
}

async fn call(post: &Post, dialled: &str) -> Message {
    post.pbx.call(dialled).await.unwrap().final_answer(LIMIT).await.unwrap()
}

fn retry_after_s(answer: &Message) -> Option<u32> {
    answer.header("Retry-After")?.parse().ok()
}

fn last_request(scene: &WireStage) -> u64 {
    scene.world().journal(0).last().map_or(0, |entry| entry.number)
}

/// What the line's account has asked Telegram about people or calls since.
fn asked(scene: &WireStage, post: &Post, since: u64) -> Vec<&'static str> {
    let asked = scene.world().journal(since);
    let asked = asked.iter().filter(|entry| entry.user == Some(post.line.account)).map(|entry| entry.method);
    asked.filter(|name| name.starts_with("phone.") || name.starts_with("contacts.")).collect()
}

async fn open(phone: &str) -> WireStage {
    WireStage::open(phone, Default::default()).await.unwrap()
}
