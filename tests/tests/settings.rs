//! Settings of a line on the wire, each with it and without it: what is heard before the answer, who is shown to whom, who
//! else may call, and how much comes at once.
//!
//! Whose calls are let through is in `policies`, what Telegram limits in `causes`.

#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde_json::json;
use tgtrunk_config::control::{Answer, Ask, CallRecord, RecordFilter};
use tgtrunk_test_telegram::NewUser;
use tgtrunk_test_telegram::world::{Audience, PrivacyKind};
use tgtrunk_tests::codec::Codec;
use tgtrunk_tests::ffmpeg;
use tgtrunk_tests::light_user::{self, Answering, Reason};
use tgtrunk_tests::pcm::{Pcm, samples};
use tgtrunk_tests::player::circle;
use tgtrunk_tests::raw_sip;
use tgtrunk_tests::stage;
use tgtrunk_tests::tone;
use tgtrunk_tests::wire_pbx::{Message, WireCall};
use tgtrunk_tests::wire_stage::{Post, USER_HZ, WireStage, phone_of};
use tokio::time::{Instant, sleep};

/// How long anything may take that should take no time.
const LIMIT: Duration = Duration::from_secs(20);
/// For so long nothing happens where nothing is to happen.
const NEVER: Duration = Duration::from_millis(1_500);
/// The Russian ringback tone: a second of it, four of silence.
const RINGBACK_HZ: u32 = 425;

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_at_the_pbx_hears_the_lines_own_tone_while_telegram_rings_where_a_setting_says_so() {
    let scene = open("+79060002001", "").await;
    let plays = scene.post("+79060002002", |draft| draft.set("early_media", "ringback")).await.unwrap();
    scene.reload(&[&plays]).await.unwrap();
    let rings = Answering::After(Duration::from_secs(3));
    for (post, number, early) in [(&plays, 1, true), (&scene.post, 2, false)] {
        let mut user = scene.person(number, rings).unwrap();
        let mut call = post.pbx.call(&phone_of(number)).await.unwrap();
        let told = call
            .wait_for("180 or 183", LIMIT, |message| matches!(message.status(), Some(180 | 183)))
            .await
            .unwrap();
        assert_eq!(told.status(), Some(if early { 183 } else { 180 }));
        assert_eq!(told.opus().is_some(), early, "{}", told.body);
        sleep(Duration::from_secs(2)).await;
        assert!(!call.has_answer(), "it rings still");
        let sound = heard(&call);
        if early {
            let share = tone::share(&sound.part(0, samples(900, sound.rate_hz)).samples, RINGBACK_HZ);
            assert!(sound.length_ms() >= 900 && share >= 0.98, "{} ms, {share}", sound.length_ms());
        } else {
            assert_eq!(sound.length_ms(), 0, "nothing comes before the answer");
        }
        call.answered(LIMIT).await.unwrap();
        let other = if early { 180 } else { 183 };
        assert!(call.seen().iter().all(|message| message.status() != Some(other)), "one of both is enough");
        // What was on its way when it answered is tone still.
        sleep(Duration::from_millis(500)).await;
        let before = samples(u32::try_from(heard(&call).length_ms()).unwrap(), 48_000);
        sleep(Duration::from_secs(1)).await;
        let sound = heard(&call);
        let share = tone::share(&sound.part(before, sound.samples.len()).samples, USER_HZ);
        assert!(share >= 0.98, "the person is heard alone: {share}");
        call.bye(&[]);
        user.discarded(LIMIT).await.unwrap();
    }
    scene.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pbx_is_asked_to_show_a_telegram_caller_to_nobody_as_the_line_wants_it() {
    let scene = open("+79060002011", "").await;
    let hides =
        |which: &'static str| move |draft: tgtrunk_config::LineDraft| draft.set("caller_privacy", which);
    let without = scene.post("+79060002012", hides("without_phone")).await.unwrap();
    let always = scene.post("+79060002013", hides("always")).await.unwrap();
    scene.reload(&[&without, &always]).await.unwrap();
    let app = light_user::Options::playing(circle(USER_HZ, 60).unwrap());
    let person = |user| scene.stage.person(user, app.clone()).unwrap();
    let mut open = person(NewUser::new("+79163100001", "Open"));
    scene.world().set_privacy(open.id, PrivacyKind::PhoneNumber, Audience::Everybody);
    let mut hidden = person(NewUser::new("+79163100002", "Hidden").username("hidden_one"));
    for (post, asked) in [(&scene.post, [false, false]), (&without, [false, true]), (&always, [true, true])] {
        for ((user, shown), asked) in
            [(&mut open, "+79163100001"), (&mut hidden, "hidden_one")].into_iter().zip(asked)
        {
            user.call(post.line.account).await.unwrap();
            let mut call = post.pbx.incoming(LIMIT).await.unwrap();
            let invite = call.invite().unwrap();
            let wanted: &[&str] = if asked { &["id"] } else { &[] };
            assert_eq!(invite.all("Privacy").collect::<Vec<_>>(), wanted, "{} {shown}", post.line.phone);
            // The PBX itself is trusted, and learns who it is (RFC 3325 section 7).
            let asserted = invite.header("P-Asserted-Identity").unwrap();
            assert!(asserted.contains(&format!("<sip:{shown}@")), "{asserted}");
            call.respond(486, "Busy Here", &[]);
            user.discarded(LIMIT).await.unwrap();
        }
    }
    scene.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_at_the_pbx_wants_to_stay_unknown_is_in_no_record_and_others_are() {
    let scene = open("+79060002021", "").await;
    let mut user = scene.person(1, Answering::Rings).unwrap();
    let identity = "P-Asserted-Identity: \"Annabel\" <sip:4207731@pbx.test>";
    for (number, headers, private) in [
        (1, vec![identity, "Privacy: id"], true),
        (2, vec!["Remote-Party-ID: \"Annabel\" <sip:4207731@pbx.test>;party=calling;privacy=full"], true),
        (3, vec![identity, "Privacy: none"], false),
        (4, vec![identity], false),
    ] {
        let headers: Vec<String> = headers.into_iter().map(str::to_owned).collect();
        let mut call = scene.post.pbx.call_with(&phone_of(1), &headers).await.unwrap();
        call.rings(LIMIT).await.unwrap();
        let running = scene.gateway.control().await.unwrap().calls().await.unwrap();
        let running = serde_json::to_string(&running).unwrap();
        call.cancel(&[]);
        call.final_answer(LIMIT).await.unwrap();
        user.discarded(LIMIT).await.unwrap();
        scene.no_calls_of(&scene.post.line).await.unwrap();
        let told = records(&scene).await.unwrap();
        assert_eq!(told.len(), number);
        let side = told[0].pbx.as_deref().unwrap();
        let named = if private { [None, None] } else { [Some("4207731"), Some("Annabel")] };
        assert_eq!([side.number.as_deref(), side.name.as_deref()], named, "{headers:?}");
        assert_eq!(side.private, private, "{headers:?}");
        let kept = serde_json::to_string(&told[0]).unwrap();
        for words in [kept, running] {
            let is_named = words.contains("4207731") || words.contains("Annabel");
            assert!(!(private && is_named), "{headers:?}: {words}");
        }
    }
    scene.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_a_call_was_for_at_first_and_who_sent_it_on_is_in_its_record() {
    let scene = open("+79060002041", "").await;
    let mut user = scene.person(1, Answering::Rings).unwrap();
    let diversion = [
        "Diversion: <sip:303@pbx.test>;reason=no-answer",
        "Diversion: \"Reception\" <sip:100@pbx.test>;reason=unconditional",
    ];
    let history = [
        "History-Info: <sip:100@pbx.test>;index=1, <sip:303@pbx.test;cause=302>;index=1.1;mp=1, <sip:9@pbx.test;cause=408>;index=1.1.1;mp=1.1",
    ];
    for (number, headers, diverters) in [
        (1, diversion.to_vec(), [Some("100"), Some("303")]),
        (2, history.to_vec(), [Some("100"), Some("303")]),
        (3, Vec::new(), [None, None]),
    ] {
        let headers: Vec<String> = headers.into_iter().map(str::to_owned).collect();
        let mut call = scene.post.pbx.call_with(&phone_of(1), &headers).await.unwrap();
        call.rings(LIMIT).await.unwrap();
        call.cancel(&[]);
        call.final_answer(LIMIT).await.unwrap();
        user.discarded(LIMIT).await.unwrap();
        scene.no_calls_of(&scene.post.line).await.unwrap();
        let told = records(&scene).await.unwrap();
        assert_eq!(told.len(), number);
        let side = told[0].pbx.as_deref();
        let seen = [
            side.and_then(|side| side.first_diverter.as_deref()),
            side.and_then(|side| side.last_diverter.as_deref()),
        ];
        assert_eq!(seen, diverters, "{headers:?}");
    }
    let words = ["calls", "--csv"];
    let (status, told, _) = scene.stage.installation.ask(&words, LIMIT).await.unwrap();
    assert!(status.success() && told.lines().filter(|row| row.contains("303")).count() == 2, "{told}");
    scene.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_the_line_names_may_call_and_its_neighbour_gets_no_answer() {
    let scene = open("+79060002031", "").await;
    let shared = scene.post("+79060002032", |draft| draft.set("allowed_sources", json!(["127.0.0.7"])));
    let shared = shared.await.unwrap();
    scene.reload(&[&shared]).await.unwrap();
    let _user = scene.person(1, Answering::Rings).unwrap();
    let call = async |from: &str, post: &Post, limit| {
        let from: SocketAddr = format!("{from}:0").parse().unwrap();
        raw_sip::invite_from(from, post.line.sip, &phone_of(1), limit).await
    };
    let seen = call("127.0.0.7", &shared, LIMIT).await.unwrap();
    assert!(seen.contains(&180) && seen.last() == Some(&487), "{seen:?}");
    for (from, post) in [("127.0.0.8", &shared), ("127.0.0.7", &scene.post)] {
        let seen = call(from, post, NEVER).await.unwrap_err().to_string();
        assert!(seen.ends_with("only []"), "{from}: {seen}");
    }
    scene.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_new_calls_is_sent_away_for_a_while_and_the_running_one_notices_nothing() {
    const PER_SECOND: usize = 5;
    let scene = open("+79060002041", "").await;
    let busy = scene.post("+79060002042", |draft| draft.set("max_new_calls_per_s", 5)).await.unwrap();
    scene.reload(&[&busy]).await.unwrap();
    let mut user = scene.person(1, Answering::After(Duration::ZERO)).unwrap();
    let mut other = scene.person(2, Answering::Rings).unwrap();
    let mut talk = busy.pbx.call(&phone_of(1)).await.unwrap();
    talk.answered(LIMIT).await.unwrap();
    sleep(Duration::from_secs(2)).await;

    let (began, before) = (Instant::now(), talk.heard());
    let mut crowd = Vec::new();
    for _ in 0..40 {
        crowd.push(busy.pbx.call("+79991234567").await.unwrap());
    }
    let (mut admitted, mut sent_away) = (0, 0);
    let came = began.elapsed();
    for call in &mut crowd {
        let answer = call.final_answer(LIMIT).await.unwrap();
        match answer.status() {
            Some(404) => admitted += 1,
            Some(503) => {
                check_overload(&answer).unwrap();
                sent_away += 1;
            }
            _ => panic!("{}", answer.start),
        }
    }
    let most = 2 * PER_SECOND + PER_SECOND * usize::try_from(came.as_millis()).unwrap() / 1_000 + 1;
    assert!((2 * PER_SECOND..=most).contains(&admitted), "{admitted} of 40 were let in, {sent_away} not");
    // Another line has a crowd of its own, and who waits as asked gets in.
    for wait_s in [0, 5] {
        sleep(Duration::from_secs(wait_s)).await;
        let post = if wait_s == 0 { &scene.post } else { &busy };
        let mut call = post.pbx.call(&phone_of(2)).await.unwrap();
        call.rings(LIMIT).await.context("there is room").unwrap();
        call.cancel(&[]);
        call.final_answer(LIMIT).await.unwrap();
        other.discarded(LIMIT).await.unwrap();
    }
    let (after, lasted) = (talk.heard(), began.elapsed());
    let came_ms = u128::from(after.received_ms - before.received_ms);
    assert!(came_ms + 200 >= lasted.as_millis(), "{came_ms} ms of sound in {lasted:?}");
    assert!(!talk.is_over());
    talk.bye(&[]);
    user.discarded(LIMIT).await.unwrap();
    scene.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_full_sends_new_calls_of_every_line_away_until_one_ends() {
    let scene = open("+79060002051", "max_calls = 2").await;
    let second = scene.post("+79060002052", |draft| draft).await.unwrap();
    scene.reload(&[&second]).await.unwrap();
    let mut talking = scene.person(1, Answering::After(Duration::ZERO)).unwrap();
    let mut ringing = scene.person(2, Answering::Rings).unwrap();
    let mut third = scene.person(3, Answering::Rings).unwrap();
    let mut talk = scene.post.pbx.call(&phone_of(1)).await.unwrap();
    talk.answered(LIMIT).await.unwrap();
    let mut rings = second.pbx.call(&phone_of(2)).await.unwrap();
    rings.rings(LIMIT).await.unwrap();

    let last = scene.world().journal(0).last().map_or(0, |entry| entry.number);
    for post in [&scene.post, &second] {
        let answer = post.pbx.call(&phone_of(3)).await.unwrap().final_answer(LIMIT).await.unwrap();
        check_overload(&answer).unwrap();
    }
    let asked = scene.world().journal(last);
    let asked: Vec<_> =
        asked.iter().map(|entry| entry.method).filter(|name| name.starts_with("phone.")).collect();
    assert!(asked.is_empty(), "Telegram was asked: {asked:?}");
    third.call(second.line.account).await.unwrap();
    assert_eq!(third.discarded(LIMIT).await.unwrap(), (Some(Reason::Busy), 0));

    rings.cancel(&[]);
    rings.final_answer(LIMIT).await.unwrap();
    ringing.discarded(LIMIT).await.unwrap();
    scene.no_calls_of(&second.line).await.unwrap();
    assert!(!talk.is_over(), "the running call notices nothing");
    let mut call = scene.post.pbx.call(&phone_of(3)).await.unwrap();
    call.rings(LIMIT).await.context("there is room again").unwrap();
    call.cancel(&[]);
    call.final_answer(LIMIT).await.unwrap();
    talk.bye(&[]);
    talking.discarded(LIMIT).await.unwrap();
    scene.close().await.unwrap();
}

/// Everything that came at the PBX's end of a call.
fn heard(call: &WireCall) -> Pcm {
    ffmpeg::decoded(Codec::Opus, &call.heard().payloads).unwrap()
}

/// 503 with the time to wait, and Q.850's word for congestion (RFC 3261 section 21.5.4, RFC 3326).
fn check_overload(answer: &Message) -> anyhow::Result<()> {
    ensure!(answer.start == "SIP/2.0 503 Service Unavailable", "{}", answer.start);
    let wait_s: u32 = answer.header("Retry-After").context("no Retry-After")?.parse()?;
    ensure!((2..=5).contains(&wait_s), "Retry-After: {wait_s}");
    let reasons: Vec<&str> = answer.all("Reason").collect();
    ensure!(reasons == [r#"Q.850;cause=42;text="Switching equipment congestion""#], "{reasons:?}");
    Ok(())
}

/// What is remembered, the newest first, once no call of it goes on.
async fn records(scene: &WireStage) -> anyhow::Result<Vec<CallRecord>> {
    let until = Instant::now() + LIMIT;
    loop {
        let ask = Ask::Records { filter: RecordFilter::default() };
        let Answer::Records { records, .. } = scene.gateway.control().await?.ask(ask).await? else {
            bail!("records are answered otherwise");
        };
        if records.iter().all(|record| record.ended_ms.is_some()) {
            return Ok(records);
        }
        ensure!(Instant::now() < until, "a call goes on: {records:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

async fn open(phone: &str, settings: &str) -> WireStage {
    let settings = settings.to_owned();
    WireStage::open(phone, stage::Options { settings, ..Default::default() }).await.unwrap()
}
