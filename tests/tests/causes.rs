//! The cause table on the wire: what ends a call on one side, and the very words that the other side hears.
//!
//! The PBX here reads SIP as bare text. The tables are written down again from the agreed one, not taken from the code.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tgtrunk_test_telegram::NewUser;
use tgtrunk_test_telegram::world::{Action, Audience, Ending, Match, PrivacyKind, Puppet};
use tgtrunk_tests::light_user::{self, Answering, Event, LightUser, Reason};
use tgtrunk_tests::player::circle;
use tgtrunk_tests::stage::{self, GREEN_LIMIT};
use tgtrunk_tests::stories::Stories;
use tgtrunk_tests::wire_pbx::Message;
use tgtrunk_tests::wire_stage::{Post, USER_HZ, WireStage, phone_of};
use tokio::time::{Instant, sleep};

/// How long anything may take that should take no time.
const LIMIT: Duration = Duration::from_secs(20);
/// What Telegram's own timers are multiplied by: a device that is off counts as missed after 2 s, a ringing one after 9 s.
const HASTE: f64 = 0.1;

/// What the PBX must hear.
#[derive(Debug, Clone, Copy)]
struct Heard {
    status: u16,
    phrase: &'static str,
    q850: u16,
    retry_after_s: Option<(u32, u32)>,
}

const BUSY: Heard = heard(486, "Busy Here", 17);
const NO_ANSWER: Heard = heard(480, "Temporarily Unavailable", 19);
const DECLINED: Heard = heard(603, "Decline", 21);
const DISCONNECTED: Heard = heard(503, "Service Unavailable", 41);
const FORBIDDEN: Heard = heard(403, "Forbidden", 21);
const GONE: Heard = heard(410, "Gone", 22);
const NOT_FOUND: Heard = heard(404, "Not Found", 1);
const INCOMPLETE: Heard = heard(484, "Address Incomplete", 28);
const INCOMPATIBLE: Heard = heard(488, "Not Acceptable Here", 88);
const FLOODED: Heard = heard(503, "Service Unavailable", 42);
const LINE_DOWN: Heard = heard(503, "Service Unavailable", 38);
const LINE_FULL: Heard = Heard { retry_after_s: Some((2, 5)), ..heard(503, "Service Unavailable", 34) };
const NO_MEDIA: Heard = heard(504, "Server Time-out", 102);

const fn heard(status: u16, phrase: &'static str, q850: u16) -> Heard {
    Heard { status, phrase, q850, retry_after_s: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_telegram_says_of_an_unanswered_call_reaches_the_pbx_by_the_table() {
    let scene = open("+79060000001", HASTE).await.unwrap();
    let world = scene.world();
    let company = scene.post.line.account;
    let mut rows: Vec<(&'static str, String, Heard, bool)> = Vec::new();
    let mut people = Vec::new();
    let app = light_user::Options::playing(circle(USER_HZ, 60).unwrap());
    let mut phones = (1..).map(|number| format!("+7916100{number:04}"));
    let mut phone = || phones.next().unwrap();

    for (name, answering, heard, rings) in [
        ("a callee who declines as the apps do", Answering::Declines, BUSY, true),
        ("a callee who is busy", Answering::Refuses(Reason::Busy), BUSY, true),
        ("a callee who misses it", Answering::Refuses(Reason::Missed), NO_ANSWER, true),
        ("a callee who hangs up", Answering::Refuses(Reason::Hangup), DECLINED, true),
        ("a callee who is cut off", Answering::Refuses(Reason::Disconnect), DISCONNECTED, true),
        ("a device that rings for Telegram's ring time", Answering::Rings, NO_ANSWER, true),
        ("a device that is off", Answering::Silent, NO_ANSWER, false),
    ] {
        let phone = phone();
        people
            .push(scene.stage.person(NewUser::new(&phone, name), app.clone().answering(answering)).unwrap());
        rows.push((name, phone, heard, rings));
    }
    let mut user = |name: &'static str, heard: Heard, change: &dyn Fn(i64)| {
        let phone = phone();
        let id = scene.stage.user(NewUser::new(&phone, name)).unwrap();
        change(id);
        rows.push((name, phone, heard, false));
        id
    };
    user("an account without any device", NO_ANSWER, &|_| {});
    user("a callee who lets nobody call", FORBIDDEN, &|id| {
        world.set_privacy(id, PrivacyKind::PhoneCall, Audience::Nobody);
    });
    user("a callee who lets contacts call", FORBIDDEN, &|id| {
        world.set_privacy(id, PrivacyKind::PhoneCall, Audience::Contacts);
    });
    user("a callee who blocked the company", FORBIDDEN, &|id| world.set_blocked(id, company, true));
    user("a callee with an application of old", INCOMPATIBLE, &|id| world.set_outdated(id, true));
    user("a number that nobody may find", NOT_FOUND, &|id| {
        world.set_privacy(id, PrivacyKind::AddedByPhone, Audience::Nobody);
    });

    for (name, dialled, heard) in [
        ("a number without Telegram", "+79991234567", NOT_FOUND),
        ("a name that nobody has", "tg%23nobody_has_it", NOT_FOUND),
        ("an id that was never met", "id%23424242", NOT_FOUND),
        ("a word", "reception", INCOMPLETE),
        ("a name of one letter", "tg%23x", INCOMPLETE),
        ("no name", "tg%23", INCOMPLETE),
        ("no id", "id%23", INCOMPLETE),
        ("a plus alone", "+", INCOMPLETE),
        ("a number that is too short", "+123", INCOMPLETE),
        ("a number that is too long", "+7916123456789012", INCOMPLETE),
    ] {
        rows.push((name, dialled.to_owned(), heard, false));
    }
    check_all(&scene, rows).await.unwrap();
    drop(people);
    scene.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_telegram_refuses_a_request_with_reaches_the_pbx_by_the_table() {
    let scene = open("+79060000002", HASTE).await.unwrap();
    let world = scene.world();
    for (number, (code, error, heard)) in [
        (403, "USER_PRIVACY_RESTRICTED", FORBIDDEN),
        (403, "USER_IS_BLOCKED", FORBIDDEN),
        (400, "INPUT_USER_DEACTIVATED", GONE),
        (400, "USER_ID_INVALID", NOT_FOUND),
        (400, "PARTICIPANT_VERSION_OUTDATED", INCOMPATIBLE),
        (400, "CALL_PROTOCOL_FLAGS_INVALID", INCOMPATIBLE),
        (400, "CALL_PROTOCOL_LAYER_INVALID", INCOMPATIBLE),
        (406, "CALL_PROTOCOL_COMPAT_LAYER_INVALID", INCOMPATIBLE),
    ]
    .into_iter()
    .enumerate()
    {
        let phone = format!("+7916200{number:04}");
        scene.stage.user(NewUser::new(&phone, error)).unwrap();
        let fault = world.add_fault(
            Match::method("phone.requestCall").user(scene.post.line.account),
            Action::Error { code, message: error.to_owned() },
        );
        let answer = refused(&scene, &phone).await;
        answer.and_then(|answer| check(&answer, &heard)).unwrap_or_else(|wrong| panic!("{error}: {wrong:#}"));
        world.remove_fault(fault);
    }
    // A person who was met before and is gone since.
    let gone = "+79162009999";
    let id = scene.stage.user(NewUser::new(gone, "Gone").username("was_here")).unwrap();
    let mut call = scene.post.pbx.call("tg%23was_here").await.unwrap();
    call.final_answer(LIMIT).await.unwrap();
    world.set_deactivated(id, true);
    let answer = refused(&scene, "tg%23was_here").await.unwrap();
    check(&answer, &GONE).unwrap();
    scene.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_pbx_says_reaches_the_telegram_caller_by_the_table() {
    let scene = open("+79060000003", 1.0).await.unwrap();
    type Row = (u16, &'static str, &'static [&'static str], Reason);
    let rows: [Row; 24] = [
        (486, "Busy Here", &["Reason: Q.850;cause=17"], Reason::Busy),
        (600, "Busy Everywhere", &[], Reason::Busy),
        (603, "Decline", &["Reason: Q.850;cause=21;text=\"Call Rejected\""], Reason::Busy),
        (480, "Temporarily Unavailable", &["Reason: Q.850;cause=19"], Reason::Missed),
        (408, "Request Timeout", &[], Reason::Missed),
        (487, "Request Terminated", &[], Reason::Missed),
        (302, "Moved Temporarily", &["Contact: <sip:200@127.0.0.1>"], Reason::Missed),
        (305, "Use Proxy", &[], Reason::Missed),
        (404, "Not Found", &["Reason: Q.850;cause=1"], Reason::Disconnect),
        (410, "Gone", &[], Reason::Disconnect),
        (484, "Address Incomplete", &[], Reason::Disconnect),
        (488, "Not Acceptable Here", &["Warning: 305 pbx \"no codec\""], Reason::Disconnect),
        (400, "Bad Request", &[], Reason::Disconnect),
        (401, "Unauthorized", &["WWW-Authenticate: Digest realm=\"pbx\", nonce=\"1\""], Reason::Disconnect),
        (403, "Forbidden", &[], Reason::Disconnect),
        (405, "Method Not Allowed", &[], Reason::Disconnect),
        (407, "Proxy Authentication Required", &[], Reason::Disconnect),
        (482, "Loop Detected", &[], Reason::Disconnect),
        (500, "Server Internal Error", &[], Reason::Disconnect),
        (501, "Not Implemented", &[], Reason::Disconnect),
        (503, "Service Unavailable", &["Retry-After: 5"], Reason::Disconnect),
        (606, "Not Acceptable", &[], Reason::Disconnect),
        (480, "Temporarily Unavailable", &["Reason: Q.850;cause=26"], Reason::Hangup),
        (486, "Busy Here", &["Reason: SIP;cause=200", "Reason: Q.850;cause=26"], Reason::Hangup),
    ];
    let mut callers = Vec::new();
    for number in 0..rows.len() {
        callers.push(scene.person(number, Answering::Silent).unwrap());
    }
    for caller in &callers {
        caller.call(scene.post.line.account).await.unwrap();
    }
    for _ in &rows {
        let mut call = scene.post.pbx.incoming(LIMIT).await.unwrap();
        let id: i64 = call.invite().unwrap().header("X-TG-ID").unwrap().parse().unwrap();
        let number = callers.iter().position(|caller| caller.id == id).unwrap();
        let (status, phrase, headers, _) = rows[number];
        if number % 2 == 0 {
            call.respond(180, "Ringing", &[]);
        }
        call.respond(status, phrase, headers);
        call.request("ACK", LIMIT).await.unwrap();
    }
    for (caller, row) in callers.iter_mut().zip(&rows) {
        let (reason, duration_s) = caller.discarded(LIMIT).await.unwrap();
        assert_eq!((reason, duration_s), (Some(row.3), 0), "{row:?}");
    }
    scene.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_of_the_pbx_who_gives_up_leaves_a_missed_call_and_one_served_elsewhere_does_not() {
    let scene = open("+79060000004", 1.0).await.unwrap();
    for (number, headers, told) in [
        (1, &[][..], Reason::Missed),
        (2, &["Reason: Q.850;cause=16;text=\"Normal Clearing\""], Reason::Missed),
        (3, &["Reason: SIP;cause=487"], Reason::Missed),
        (4, &["Reason: Q.850;cause=26"], Reason::Hangup),
    ] {
        let mut user = scene.person(number, Answering::Rings).unwrap();
        let mut call = scene.post.pbx.call(&phone_of(number)).await.unwrap();
        call.rings(LIMIT).await.unwrap();
        call.cancel(headers);
        let cancelled =
            call.wait_for("200 to CANCEL", LIMIT, |message| message.cseq().1 == "CANCEL").await.unwrap();
        assert_eq!(cancelled.status(), Some(200));
        let answer = call.final_answer(LIMIT).await.unwrap();
        assert_eq!((answer.status(), answer.phrase()), (Some(487), "Request Terminated"));
        assert_eq!(user.discarded(LIMIT).await.unwrap(), (Some(told), 0), "{headers:?}");
    }
    scene.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answered_call_ends_as_a_hang_up_with_its_true_length_whoever_ends_it() {
    let scene = open("+79060000005", 1.0).await.unwrap();
    let talk = Duration::from_millis(2200);
    for (number, headers) in
        [&[][..], &["Reason: Q.850;cause=16"], &["Reason: Q.850;cause=26"]].into_iter().enumerate()
    {
        let mut user = scene.person(number, Answering::After(Duration::ZERO)).unwrap();
        let mut call = scene.post.pbx.call(&phone_of(number)).await.unwrap();
        call.answered(LIMIT).await.unwrap();
        sleep(talk).await;
        call.bye(headers);
        let ended = user.discarded(LIMIT).await.unwrap();
        assert!(
            ended == (Some(Reason::Hangup), 2) || ended == (Some(Reason::Hangup), 3),
            "{headers:?}: {ended:?}"
        );
    }
    for (number, reason, q850) in [
        (10, Reason::Hangup, 16),
        (11, Reason::Busy, 16),
        (12, Reason::Missed, 16),
        (13, Reason::Disconnect, 41),
    ] {
        let mut user = scene.person(number, Answering::Silent).unwrap();
        let telegram = user.call(scene.post.line.account).await.unwrap();
        let mut call = scene.post.pbx.incoming(LIMIT).await.unwrap();
        call.answer().unwrap();
        user.connected(LIMIT).await.unwrap();
        user.hang_up(telegram, reason).await;
        let bye = call.request("BYE", LIMIT).await.unwrap();
        check_reason(&bye, q850).unwrap_or_else(|wrong| panic!("{reason:?}: {wrong:#}"));
    }
    scene.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_device_of_the_account_takes_a_call_and_the_pbx_stops_ringing() {
    let scene = open("+79060000015", 1.0).await.unwrap();
    let app = light_user::Options::playing(circle(USER_HZ, 60).unwrap()).answering(Answering::Silent);
    let mut owner = LightUser::switch_on(scene.world(), scene.post.line.account, app).unwrap();
    let mut user = scene.person(1, Answering::Silent).unwrap();
    let telegram = user.call(scene.post.line.account).await.unwrap();
    let mut call = scene.post.pbx.incoming(LIMIT).await.unwrap();
    call.respond(180, "Ringing", &[]);
    owner
        .wait_for("incoming call", LIMIT, |event| matches!(event, Event::Incoming { .. }).then_some(()))
        .await
        .unwrap();
    owner.answer(telegram).await;
    user.connected(LIMIT).await.unwrap();
    call.request("CANCEL", LIMIT).await.unwrap();
    call.request("ACK", LIMIT).await.unwrap();
    scene.no_calls_of(&scene.post.line).await.unwrap();
    // They talk on: the gateway has not ended what is not its own.
    sleep(Duration::from_millis(500)).await;
    owner.hang_up(telegram, Reason::Hangup).await;
    assert_eq!(user.discarded(LIMIT).await.unwrap().0, Some(Reason::Hangup));
    scene.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_floods_and_lost_authorization_keep_the_pbx_away_as_the_table_says() {
    let scene = open("+79060000006", 1.0).await.unwrap();
    let ring = scene.post("+79060000007", |draft| draft.set("ring_limit_s", 5)).await.unwrap();
    let one = scene.post("+79060000008", |draft| draft.set("max_calls_to_telegram", 1)).await.unwrap();
    let full = scene.post("+79060000009", |draft| draft.set("max_calls", 1)).await.unwrap();
    let flood = scene.post("+79060000010", |draft| draft).await.unwrap();
    let short = scene.post("+79060000011", |draft| draft).await.unwrap();
    let spam = scene.post("+79060000012", |draft| draft).await.unwrap();
    let revoked = scene.post("+79060000013", |draft| draft).await.unwrap();
    let dead = scene.post("+79060000014", |draft| draft).await.unwrap();
    let strange = scene.post("+79060000015", |draft| draft.set("strangers_per_day", 1)).await.unwrap();
    dead.pbx.silence(true);
    scene.reload(&[&ring, &one, &full, &flood, &short, &spam, &revoked, &strange]).await.unwrap();
    let scene = Arc::new(scene);
    let mut stories = Stories::default();
    let it = || Arc::clone(&scene);
    stories.begin("a phone that nobody answers", ring_limit(it(), ring));
    stories.begin("a line with one call to Telegram", line_is_full(it(), one, 20));
    stories.begin("a line with one call", line_is_full(it(), full, 21));
    stories.begin("FLOOD_WAIT_31", flooded(it(), flood));
    stories.begin("FLOOD_WAIT_2", flood_passes(it(), short));
    stories.begin("PEER_FLOOD", spam_verdict(it(), spam));
    stories.begin("a second stranger", strangers(it(), strange));
    stories.begin("a revoked session", revocation(it(), revoked));
    stories.begin("a PBX that is dead", dead_pbx(it(), dead));
    stories.begin("an answer without media", no_media(it()));
    stories.end().await.unwrap();
    Arc::into_inner(scene).unwrap().close().await.unwrap();
}

/// The line's own limit comes before Telegram's 90 s.
async fn ring_limit(scene: Arc<WireStage>, post: Post) -> anyhow::Result<()> {
    let mut user = scene.person(30, Answering::Rings)?;
    let mut call = post.pbx.call(&phone_of(30)).await?;
    call.rings(LIMIT).await?;
    let began = Instant::now();
    let answer = call.final_answer(LIMIT).await?;
    check(&answer, &NO_ANSWER)?;
    let waited = began.elapsed();
    ensure!((4800..7000).contains(&waited.as_millis()), "the ring limit of 5 s took {waited:?}");
    let ended = user.discarded(LIMIT).await?;
    ensure!(ended == (Some(Reason::Missed), 0), "the user saw {ended:?}");

    user.call(post.line.account).await?;
    let mut call = post.pbx.incoming(LIMIT).await?;
    call.respond(180, "Ringing", &[]);
    let began = Instant::now();
    check_reason(&call.request("CANCEL", LIMIT).await?, 19)?;
    let waited = began.elapsed();
    ensure!((4800..7000).contains(&waited.as_millis()), "the PBX was cancelled after {waited:?}, want 5 s");
    let ended = user.discarded(LIMIT).await?;
    ensure!(ended == (Some(Reason::Missed), 0), "the caller saw {ended:?}");
    Ok(())
}

async fn line_is_full(scene: Arc<WireStage>, post: Post, number: usize) -> anyhow::Result<()> {
    let mut user = scene.person(number, Answering::Rings)?;
    let mut first = post.pbx.call(&phone_of(number)).await?;
    first.rings(LIMIT).await?;
    let mut second = post.pbx.call(&phone_of(number)).await?;
    check(&second.final_answer(LIMIT).await?, &LINE_FULL)?;
    first.cancel(&[]);
    ensure!(first.final_answer(LIMIT).await?.status() == Some(487), "the first call was cancelled");
    user.discarded(LIMIT).await?;
    scene.no_calls_of(&post.line).await?;
    let mut third = post.pbx.call(&phone_of(number)).await?;
    third.rings(LIMIT).await.context("there is room again")?;
    third.cancel(&[]);
    third.final_answer(LIMIT).await?;
    Ok(())
}

/// Telegram is left alone for as long as it asked.
async fn flooded(scene: Arc<WireStage>, post: Post) -> anyhow::Result<()> {
    let (world, company) = (scene.world(), post.line.account);
    scene.stage.user(NewUser::new(phone_of(40), "Wanted"))?;
    let fault = world.add_fault(
        Match::method("phone.requestCall").user(company),
        Action::Error { code: 420, message: "FLOOD_WAIT_31".to_owned() },
    );
    let began = Instant::now();
    let answer = post.pbx.call(&phone_of(40)).await?.final_answer(LIMIT).await?;
    let answered = Instant::now();
    check(&answer, &Heard { retry_after_s: Some((32, 32)), ..FLOODED })?;
    world.remove_fault(fault);
    let last = world.journal(0).last().map_or(0, |entry| entry.number);
    for dialled in [phone_of(40), phone_of(41), "tg%23whoever".to_owned(), "12345".to_owned()] {
        // The pause began somewhere between the first call and its answer.
        let longest = 33 - u32::try_from(answered.elapsed().as_secs())?;
        let answer = post.pbx.call(&dialled).await?.final_answer(LIMIT).await?;
        let shortest = 31 - u32::try_from(began.elapsed().as_secs())?;
        check(&answer, &Heard { retry_after_s: Some((shortest, longest)), ..FLOODED })?;
        sleep(Duration::from_millis(600)).await;
    }
    let asked: Vec<&str> = world
        .journal(last)
        .iter()
        .filter(|entry| entry.user == Some(company))
        .map(|entry| entry.method)
        .filter(|method| !["ping", "ping_delay_disconnect", "updates.getState"].contains(method))
        .collect();
    ensure!(asked.is_empty(), "Telegram was asked while it wanted peace: {asked:?}");
    Ok(())
}

async fn flood_passes(scene: Arc<WireStage>, post: Post) -> anyhow::Result<()> {
    let _user = scene.person(50, Answering::Rings)?;
    scene.world().add_fault(
        Match::method("phone.requestCall").user(post.line.account).once(),
        Action::Error { code: 420, message: "FLOOD_WAIT_2".to_owned() },
    );
    let answer = post.pbx.call(&phone_of(50)).await?.final_answer(LIMIT).await?;
    check(&answer, &Heard { retry_after_s: Some((3, 3)), ..FLOODED })?;
    let answer = post.pbx.call(&phone_of(50)).await?.final_answer(LIMIT).await?;
    check(&answer, &Heard { retry_after_s: Some((1, 3)), ..FLOODED })?;
    sleep(Duration::from_secs(3)).await;
    let mut call = post.pbx.call(&phone_of(50)).await?;
    call.rings(LIMIT).await.context("the flood is over")?;
    call.cancel(&[]);
    call.final_answer(LIMIT).await?;
    Ok(())
}

async fn spam_verdict(scene: Arc<WireStage>, post: Post) -> anyhow::Result<()> {
    let (world, company) = (scene.world(), post.line.account);
    scene.stage.user(NewUser::new(phone_of(60), "Stranger"))?;
    world.add_fault(
        Match::method("phone.requestCall").user(company),
        Action::Error { code: 400, message: "PEER_FLOOD".to_owned() },
    );
    let answer = post.pbx.call(&phone_of(60)).await?.final_answer(LIMIT).await?;
    check(&answer, &Heard { retry_after_s: Some((3600, 3600)), ..FLOODED })?;
    let last = world.journal(0).last().map_or(0, |entry| entry.number);
    let answer = post.pbx.call(&phone_of(60)).await?.final_answer(LIMIT).await?;
    check(&answer, &Heard { retry_after_s: Some((3590, 3600)), ..FLOODED })?;
    let asked = world.journal(last);
    let asked: Vec<&str> = asked
        .iter()
        .filter(|entry| entry.user == Some(company) && entry.method.starts_with("phone."))
        .map(|entry| entry.method)
        .collect();
    ensure!(asked.is_empty(), "trying again makes it worse: {asked:?}");
    let reason = scene.telegram_lamp(&post.line).await?;
    ensure!(reason.starts_with("Green: limited"), "the line's status does not tell of the limit: {reason:?}");
    Ok(())
}

/// One stranger a day; whoever calls the company is none.
async fn strangers(scene: Arc<WireStage>, post: Post) -> anyhow::Result<()> {
    let _first = scene.person(100, Answering::Rings)?;
    let mut second = scene.person(101, Answering::Rings)?;
    for _ in 0..2 {
        let mut call = post.pbx.call(&phone_of(100)).await?;
        call.rings(LIMIT).await.context("a stranger counts once")?;
        call.cancel(&[]);
        call.final_answer(LIMIT).await?;
    }
    let last = scene.world().journal(0).last().map_or(0, |entry| entry.number);
    let answer = post.pbx.call(&phone_of(101)).await?.final_answer(LIMIT).await?;
    check(&answer, &Heard { retry_after_s: Some((1, 90_001)), ..FLOODED })?;
    let asked = scene.world().journal(last);
    let asked = asked.iter().filter(|entry| entry.user == Some(post.line.account));
    let asked: Vec<&str> =
        asked.map(|entry| entry.method).filter(|name| name.starts_with("contacts.")).collect();
    ensure!(asked.is_empty(), "nobody is looked up any more: {asked:?}");

    second.call(post.line.account).await?;
    let call = post.pbx.incoming(LIMIT).await?;
    call.respond(486, "Busy Here", &[]);
    second.discarded(LIMIT).await?;
    let mut call = post.pbx.call(&second.id.to_string()).await?;
    call.rings(LIMIT).await.context("whoever called is a stranger no more")?;
    call.cancel(&[]);
    call.final_answer(LIMIT).await?;
    let report = scene.gateway.control().await?.status().await?;
    let told = report.line(&post.line.phone.parse()?).and_then(|line| line.status.strangers);
    ensure!(told.is_some_and(|told| (told.used, told.limit) == (1, 1)), "the status tells of {told:?}");
    Ok(())
}

async fn revocation(scene: Arc<WireStage>, post: Post) -> anyhow::Result<()> {
    let _user = scene.person(70, Answering::After(Duration::ZERO))?;
    let mut talking = post.pbx.call(&phone_of(70)).await?;
    talking.answered(LIMIT).await?;
    scene.world().revoke_user(post.line.account, "SESSION_REVOKED");
    // The running call ends, on the side that can still be told.
    let bye = talking.request("BYE", LIMIT).await?;
    check_reason(&bye, 38)?;
    let refusal = post.pbx.line_answers(503, LIMIT).await?;
    check_reason(&refusal, 38)?;
    let answer = post.pbx.call(&phone_of(70)).await?.final_answer(LIMIT).await?;
    check(&answer, &LINE_DOWN)?;
    scene.wait_for_lamp(&post.line, "Red", Duration::ZERO).await?;
    scene.no_calls_of(&post.line).await?;
    Ok(())
}

/// Timer B of the INVITE, 32 s (RFC 3261 section 17.1.1.2).
async fn dead_pbx(scene: Arc<WireStage>, post: Post) -> anyhow::Result<()> {
    scene.wait_for_lamp(&post.line, "Green", GREEN_LIMIT).await?;
    let mut user = scene.person(80, Answering::Silent)?;
    user.call(post.line.account).await?;
    let (reason, _) = user.discarded(Duration::from_secs(40)).await?;
    ensure!(reason == Some(Reason::Disconnect), "the caller saw {reason:?}");
    Ok(())
}

/// The callee's device takes the call and its media never comes.
async fn no_media(scene: Arc<WireStage>) -> anyhow::Result<()> {
    let id = scene.stage.user(NewUser::new(phone_of(90), "Deaf"))?;
    let puppet = Puppet::new(scene.world(), id).map_err(|error| anyhow::anyhow!("{error:?}"))?;
    let mut call = scene.post.pbx.call(&phone_of(90)).await?;
    let telegram = loop {
        match puppet.calls().first() {
            Some(call) => break call.id,
            None => sleep(Duration::from_millis(20)).await,
        }
    };
    puppet.accept(telegram).await.map_err(|error| anyhow::anyhow!("{error:?}"))?;
    let answer = call.final_answer(Duration::from_secs(30)).await?;
    check(&answer, &NO_MEDIA)?;
    ensure!(call.seen().iter().all(|message| message.status() != Some(200)), "no 200 before the sound");
    let until = Instant::now() + Duration::from_secs(1);
    while puppet.call(telegram).and_then(|call| call.ending) != Some(Ending::Disconnect) {
        ensure!(Instant::now() < until, "the callee saw {:?}", puppet.call(telegram));
        sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

async fn refused(scene: &WireStage, dialled: &str) -> anyhow::Result<Message> {
    scene.post.pbx.call(dialled).await?.final_answer(LIMIT).await
}

async fn open(phone: &str, timers_scale: f64) -> anyhow::Result<WireStage> {
    WireStage::open(phone, stage::Options { timers_scale, ..Default::default() }).await
}

/// Places all these calls at once: name, what is dialled, what must be heard, whether 180 comes before.
async fn check_all(scene: &WireStage, rows: Vec<(&'static str, String, Heard, bool)>) -> anyhow::Result<()> {
    let mut calls = Stories::default();
    for (name, dialled, heard, rings) in rows {
        let pbx = Arc::clone(&scene.post.pbx);
        calls.begin(format!("{name} ({dialled})"), async move {
            let mut call = pbx.call(&dialled).await?;
            let answer = call.final_answer(LIMIT).await?;
            check(&answer, &heard)?;
            let rang = call.seen().iter().any(|message| message.status() == Some(180));
            ensure!(rang == rings, "180 was heard: {rang}");
            Ok(())
        });
    }
    calls.end().await
}

fn check(answer: &Message, heard: &Heard) -> anyhow::Result<()> {
    let Heard { status, phrase, q850, retry_after_s } = *heard;
    ensure!(
        answer.start == format!("SIP/2.0 {status} {phrase}"),
        "{:?}, want {status} {phrase}",
        answer.start
    );
    check_reason(answer, q850)?;
    let retry: Option<u32> = answer.header("Retry-After").map(str::parse).transpose()?;
    match (retry, retry_after_s) {
        (None, None) => Ok(()),
        (Some(told), Some((least, most))) if (least..=most).contains(&told) => Ok(()),
        _ => bail!("Retry-After is {retry:?}, want {retry_after_s:?}"),
    }
}

/// One Reason header (RFC 3326) with this cause of Q.850 and its name.
fn check_reason(message: &Message, q850: u16) -> anyhow::Result<()> {
    let reasons: Vec<&str> = message.all("Reason").collect();
    let [reason] = reasons[..] else { bail!("{}: the Reason headers are {reasons:?}", message.start) };
    let text = reason.strip_prefix(&format!("Q.850;cause={q850};text=\""));
    let text = text.and_then(|text| text.strip_suffix('"')).filter(|text| !text.is_empty());
    ensure!(text.is_some(), "Reason is {reason:?}, want Q.850;cause={q850} with a text");
    Ok(())
}
