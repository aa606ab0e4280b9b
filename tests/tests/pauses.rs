//! What Telegram and a line's own rules forbid stays forbidden whichever way it is tried: after a kill, on a line that is
//! opened anew, by another call, or under another name. And whatever was refused is found in the records.

#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;
use tgtrunk_config::LineDraft;
use tgtrunk_config::control::Ask;
use tgtrunk_test_telegram::NewUser;
use tgtrunk_test_telegram::world::{Action, Match};
use tgtrunk_tests::database;
use tgtrunk_tests::gateway::Gateway;
use tgtrunk_tests::light_user::{self, Answering, Reason};
use tgtrunk_tests::player::circle;
use tgtrunk_tests::ports;
use tgtrunk_tests::prometheus;
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
    let mut wanted = scene.person(1, Answering::Rings).unwrap();
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
    // When its time is over the line calls as before.
    scene.gateway.kill().await.unwrap();
    for post in [&flood, &spam] {
        let database = scene.stage.installation.state.join(&post.line.phone).join("gateway.db");
        let over = database::change(&database, "UPDATE pause SET until_ms = ?", &[1]).unwrap();
        assert_eq!(over, 1);
    }
    scene.gateway = Gateway::start(&scene.stage.installation).await.unwrap();
    for post in [&flood, &spam] {
        stage::green(&scene.gateway, &post.line, GREEN_LIMIT).await.unwrap();
        let mut call = post.pbx.call(&phone_of(1)).await.unwrap();
        call.rings(LIMIT).await.unwrap();
        call.cancel(&[]);
        call.final_answer(LIMIT).await.unwrap();
        wanted.discarded(LIMIT).await.unwrap();
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

#[tokio::test(flavor = "multi_thread")]
async fn every_call_that_came_to_nothing_is_in_the_records_and_a_rush_of_them_is_counted() {
    let address = SocketAddr::from(([127, 0, 0, 1], ports::free().unwrap()));
    let settings = format!("metrics = \"{address}\"");
    let options = stage::Options { settings, ..Default::default() };
    let scene = WireStage::open("+79060002031", options).await.unwrap();
    let one = |draft: LineDraft| {
        draft.set("max_calls", 1).set("to_telegram", json!({"deny": ["+7495*"], "calls_per_minute": 0}))
    };
    let one = scene.post("+79060002032", one).await.unwrap();
    let owner = |draft: LineDraft| draft.set("owner", json!({"takes": "first", "seconds": 2}));
    let owner = scene.post("+79060002033", owner).await.unwrap();
    scene.reload(&[&one, &owner]).await.unwrap();

    // A number that the line's lists deny, one that means nobody, and a line that is full, both ways.
    let from = ["P-Asserted-Identity: \"Reception\" <sip:201@127.0.0.1>".to_owned()];
    let mut refused = one.pbx.call_with("+74951112233", &from).await.unwrap();
    assert_eq!(refused.final_answer(LIMIT).await.unwrap().status(), Some(403));
    assert_eq!(call(&one, "reception").await.status(), Some(484));
    let _callee = scene.person(5, Answering::Rings).unwrap();
    let mut busy = one.pbx.call(&phone_of(5)).await.unwrap();
    busy.rings(LIMIT).await.unwrap();
    assert_eq!(call(&one, &phone_of(6)).await.status(), Some(503));
    let mut caller = scene.person(7, Answering::Silent).unwrap();
    caller.call(one.line.account).await.unwrap();
    assert_eq!(caller.discarded(LIMIT).await.unwrap().0, Some(Reason::Busy));
    busy.cancel(&[]);
    busy.final_answer(LIMIT).await.unwrap();
    // A call that waits for the account's owner, whose caller gives up.
    let waits = caller.call(owner.line.account).await.unwrap();
    sleep(Duration::from_millis(500)).await;
    caller.hang_up(waits, Reason::Missed).await;
    // A rush at a line that Telegram does not let in.
    scene.world().revoke_user(scene.post.line.account, "SESSION_REVOKED");
    scene.post.pbx.line_answers(503, LIMIT).await.unwrap();
    for _ in 0..100 {
        assert_eq!(call(&scene.post, "+79161112233").await.status(), Some(503));
    }

    let told = records(&scene, &one, "+74951112233").await;
    let denied = told.lines().find(|row| row.contains("+74951112233")).unwrap();
    for wanted in ["pbx-to-telegram", "201", "Not allowed by the line's lists", ",403,"] {
        assert!(denied.contains(wanted), "{wanted}: {denied}");
    }
    let row = |told: &str, way: &str, cause: &str, whom: &str| {
        let is_it = |row: &&str| [way, cause, whom].iter().all(|wanted| row.contains(wanted));
        assert!(told.lines().any(|row| is_it(&row)), "{way} {cause} {whom}: {told}");
    };
    row(&told, "pbx-to-telegram", "Invalid number format", "reception");
    let full = "The line has as many calls as it may have";
    row(&told, "pbx-to-telegram", full, &phone_of(6));
    row(&told, "telegram-to-pbx", full, &caller.id.to_string());
    let told = records(&scene, &owner, "gave up").await;
    row(&told, "telegram-to-pbx", "The caller gave up", &caller.id.to_string());
    let told = records(&scene, &scene.post, "not connected").await;
    assert_eq!(told.matches("The line is not connected to Telegram").count(), 60, "as many as a minute has");
    let page = prometheus::page(address).await.unwrap();
    let line = format!("line=\"{}\"", scene.post.line.sip.port());
    let labels = [line.as_str(), "direction=\"pbx-to-telegram\"", "q850=\"38\""];
    assert_eq!(prometheus::sum(&page, "tgtrunk_calls_refused_total", &labels), 100.0, "all are counted");
    scene.close().await.unwrap();
}

/// The line's records as CSV, when these words are there.
async fn records(scene: &WireStage, post: &Post, wanted: &str) -> String {
    let words = ["calls", "--csv", "--line", &post.line.phone];
    for _ in 0..50 {
        let (status, told, said) = scene.stage.installation.ask(&words, LIMIT).await.unwrap();
        assert!(status.success(), "{said}");
        if told.contains(wanted) {
            return told;
        }
        sleep(Duration::from_millis(100)).await;
    }
    panic!("{wanted:?} is in no record of {}", post.line.phone)
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
