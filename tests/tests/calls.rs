//! Whole calls through the gateway on loopback, between the built-in phone and light Telegram users.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use tgtrunk_config::LineDraft;
use tgtrunk_config::control::{Answer, Ask, CallState, CheckName, Direction, Ender, Found, RefusalCode};
use tgtrunk_test_telegram::NewUser;
use tgtrunk_test_telegram::world::{self, Action, Audience, Match, PrivacyKind};
use tgtrunk_tests::control::Control;
use tgtrunk_tests::gateway::{Gateway, Solo};
use tgtrunk_tests::light_user::{self, Answering, Event, LightUser, Reason};
use tgtrunk_tests::measure::{self, Tones, Way};
use tgtrunk_tests::pbx::{self, Phone};
use tgtrunk_tests::player::circle;
use tgtrunk_tests::raw_sip;
use tgtrunk_tests::stage::{self, Line, Stage};
use tokio::time::{Instant, sleep};

/// How long anything may take that should take no time.
const LIMIT: Duration = Duration::from_secs(10);
/// How long the other side may go on believing in a call that is over.
const END_LIMIT: Duration = Duration::from_secs(1);
const TALK: Duration = Duration::from_secs(3);
const LEAST_PLAYED: Duration = Duration::from_millis(2800);
const TONES: Tones = Tones::USUAL;
const COMPANY: &str = "+79060000000";
const ANNA: &str = "+79161111111";

#[tokio::test(flavor = "multi_thread")]
async fn a_telegram_user_calls_the_company_and_both_hear_each_other() {
    let mut scene = Scene::open(pbx().muted(), app().muted()).await;
    let call = scene.anna.call(scene.line.account).await.unwrap();
    let incoming = scene.phone.incoming(LIMIT).await.unwrap();
    assert_eq!(incoming.dialled, COMPANY);
    scene.anna.connected(LIMIT).await.unwrap();
    scene.answered().await;
    let ways = measure::talk(&scene.anna, call, &scene.phone, incoming.call, TONES, TALK).await.unwrap();
    ways.check(LEAST_PLAYED).unwrap();
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_company_calls_a_telegram_user_and_both_hear_each_other() {
    let mut scene = Scene::open(pbx().muted(), app().muted()).await;
    let (call, pbx_call) = scene.connect(Direction::PbxToTelegram).await;
    let ways = measure::talk(&scene.anna, call, &scene.phone, pbx_call, TONES, TALK).await.unwrap();
    ways.check(LEAST_PLAYED).unwrap();
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn packets_of_every_usual_length_pass_both_ways() {
    for (phone_ms, app_ms) in [(10, 20), (40, 40), (60, 10)] {
        let phone = pbx::Options::playing(circle(TONES.pbx_hz, phone_ms).unwrap()).muted();
        let app = light_user::Options::playing(circle(TONES.telegram_hz, app_ms).unwrap()).muted();
        let mut scene = Scene::open(phone, app).await;
        let (call, pbx_call) = scene.connect(Direction::PbxToTelegram).await;
        let ways = measure::talk(&scene.anna, call, &scene.phone, pbx_call, TONES, TALK).await.unwrap();
        ways.check(LEAST_PLAYED).unwrap_or_else(|error| panic!("{phone_ms} and {app_ms} ms: {error:#}"));
        scene.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_may_be_dialled_reaches_the_person_meant() {
    let mut scene = Scene::open(pbx(), app()).await;
    let id = scene.anna.id;
    let ways = [
        ANNA.to_owned(),
        "79161111111".to_owned(),
        "89161111111".to_owned(),
        "0079161111111".to_owned(),
        "81079161111111".to_owned(),
        "tg#anna".to_owned(),
        "TG#Anna".to_owned(),
        "tg%23anna".to_owned(),
        // The account has met her by now.
        id.to_string(),
        format!("id#{id}"),
    ];
    for dialled in ways {
        let call = scene.phone.call(&dialled).await.unwrap();
        let connected = scene.anna.connected(LIMIT).await;
        connected.unwrap_or_else(|error| panic!("{dialled}: {error:#}"));
        scene.phone.answered(LIMIT).await.unwrap();
        scene.phone.hang_up(call).await.unwrap();
        scene.anna.discarded(LIMIT).await.unwrap();
    }
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hash_in_the_request_uri_is_taken_as_it_is_and_escaped() {
    let scene = Scene::open(pbx(), app().answering(Answering::Rings)).await;
    for user in ["tg#anna", "tg%23anna"] {
        let seen = raw_sip::invite(scene.line.sip, user, LIMIT).await.unwrap();
        assert!(seen.contains(&180), "{user}: {seen:?}");
        assert_eq!(seen.last(), Some(&487), "{user}: cancelled after it rang");
    }
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_means_nobody_is_refused_with_its_status_and_cause() {
    let mut scene = Scene::open(pbx(), app()).await;
    for (dialled, status, cause) in [
        ("+79169999999", 404, 1),
        ("tg#nobody_here", 404, 1),
        ("id#4242424242", 404, 1),
        ("reception", 484, 28),
        ("tg#9", 484, 28),
        ("+123", 484, 28),
    ] {
        scene.phone.call(dialled).await.unwrap();
        let (seen, reason) = scene.phone.refused(LIMIT).await.unwrap();
        assert_eq!((seen, reason.map(|reason| reason.cause)), (status, Some(cause)), "{dialled}");
    }
    assert!(scene.stage.world().calls().is_empty(), "nobody's Telegram was bothered");
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pbx_learns_who_calls_and_no_name_breaks_its_headers() {
    let mut scene = Scene::open(pbx(), app()).await;
    let forged = NewUser::new("+79163333333", "Eve\"\r\nX-TG-Phone: 112\r\n\"")
        .last_name("O'Neil \\\"<sip:0@0>;\u{202e}drow\t\u{0}")
        .username("eve_1");
    let eve = scene.stage.person(forged, app()).unwrap();
    let call = eve.call(scene.line.account).await.unwrap();
    let incoming = scene.phone.incoming(LIMIT).await.unwrap();
    let header = |name: &str| incoming.header(name).map(str::to_owned);
    assert_eq!(header("X-TG-ID"), Some(eve.id.to_string()));
    assert_eq!(header("X-TG-Username").as_deref(), Some("eve_1"));
    assert_eq!(header("X-TG-FirstName").as_deref(), Some("Eve\" X-TG-Phone: 112 \""));
    assert_eq!(header("X-TG-LastName").as_deref(), Some("O'Neil \\\"<sip:0@0>; drow"));
    assert_eq!(header("X-TG-Phone"), None, "she does not show her number, and cannot forge one");
    assert!(header("X-GW-Context").is_some_and(|context| !context.is_empty()));
    assert_eq!(incoming.from_user, "eve_1", "the best that is known of her");
    assert!(incoming.from_display.starts_with("Eve\" X-TG-Phone: 112"), "{}", incoming.from_display);
    assert_eq!(
        incoming.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("X-TG-Phone")).count(),
        0
    );
    eve.hang_up(call, Reason::Hangup).await;
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_caller_id_is_phone_then_username_then_id() {
    let mut scene = Scene::open(pbx(), app()).await;
    for (user, shows, want) in [
        (
            NewUser::new("+79164444441", "Open").username("open_one"),
            Audience::Everybody,
            "+79164444441".to_owned(),
        ),
        (
            NewUser::new("+79164444442", "Named").username("named_one"),
            Audience::Nobody,
            "named_one".to_owned(),
        ),
        (NewUser::new("+79164444443", "Bare").id(7_123_456_789), Audience::Nobody, "7123456789".to_owned()),
    ] {
        let person = scene.stage.person(user, app()).unwrap();
        scene.stage.world().set_privacy(person.id, PrivacyKind::PhoneNumber, shows);
        let call = person.call(scene.line.account).await.unwrap();
        let incoming = scene.phone.incoming(LIMIT).await.unwrap();
        assert_eq!(incoming.from_user, want);
        let phone = matches!(shows, Audience::Everybody).then_some("79164444441");
        assert_eq!(incoming.header("X-TG-Phone"), phone);
        person.hang_up(call, Reason::Hangup).await;
        scene.phone.ended(LIMIT).await.unwrap();
    }
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_pbx_is_shown_of_a_caller_is_made_by_the_lines_templates() {
    let mut scene = Scene::open_line(pbx(), app(), |draft| {
        draft
            .set("caller_id", vec!["00{digits}", "tg-{username}", "{id}"])
            .set("caller_name", vec!["{last_name}, {first_name}", "{name} (TG)"])
            .set("caller_name_ascii", true)
    })
    .await;
    for (user, shows, number, name) in [
        (
            NewUser::new("+79164444451", "Иван 👍").last_name("Щукин"),
            Audience::Everybody,
            "0079164444451",
            "Shchukin, Ivan",
        ),
        (
            NewUser::new("+79164444452", "Юля").username("julia_k"),
            Audience::Nobody,
            "tg-julia_k",
            "Iulia (TG)",
        ),
        (NewUser::new("+79164444453", "🦄").id(7_123_456_780), Audience::Nobody, "7123456780", "7123456780"),
    ] {
        let person = scene.stage.person(user, app()).unwrap();
        scene.stage.world().set_privacy(person.id, PrivacyKind::PhoneNumber, shows);
        let call = person.call(scene.line.account).await.unwrap();
        let incoming = scene.phone.incoming(LIMIT).await.unwrap();
        assert_eq!((incoming.from_user.as_str(), incoming.from_display.as_str()), (number, name));
        person.hang_up(call, Reason::Hangup).await;
        scene.phone.ended(LIMIT).await.unwrap();
    }
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_phone_hears_ringing_only_when_the_other_device_rings() {
    let mut scene = Scene::open(pbx(), app().answering(Answering::Silent)).await;
    scene.phone.call(ANNA).await.unwrap();
    let call = scene.incoming_at_anna().await;
    let early = scene.phone.ringing(Duration::from_millis(1500)).await;
    assert!(early.is_err(), "180 though no device has rung");
    scene.anna.ring(call).await;
    scene.phone.ringing(END_LIMIT).await.unwrap();
    scene.anna.answer(call).await;
    scene.phone.answered(LIMIT).await.unwrap();
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_phone_is_answered_only_when_its_first_packet_can_be_heard() {
    const DELAY: Duration = Duration::from_millis(1500);
    let mut scene = Scene::open(pbx(), app()).await;
    let late = Match::method("updatePhoneCallSignalingData").user(scene.line.account);
    scene.stage.world().add_fault(late, Action::DelayPush { ms: 1500 });
    let pbx_call = scene.phone.call(ANNA).await.unwrap();
    scene.incoming_at_anna().await;
    let taken = Instant::now();
    scene.phone.answered(LIMIT).await.unwrap();
    assert!(taken.elapsed() >= DELAY, "200 after {:?}, before media could be there", taken.elapsed());
    sleep(TALK).await;
    scene.phone.mute(true).await.unwrap();
    sleep(Duration::from_millis(300)).await;
    let call = scene.stage.world().calls()[0].id;
    let (said, heard) = (scene.phone.heard(pbx_call), scene.anna.heard(call));
    Way::between(&said, &heard, TONES.pbx_hz).unwrap().check(LEAST_PLAYED).unwrap();
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_hangs_up_the_other_side_knows_within_a_second() {
    let mut scene = Scene::open(pbx(), app()).await;
    for direction in [Direction::TelegramToPbx, Direction::PbxToTelegram] {
        for ender in [Ender::Telegram, Ender::Pbx, Ender::Gateway] {
            let (telegram_call, pbx_call) = scene.connect(direction).await;
            let up = scene.control.calls().await.unwrap();
            assert_eq!((up.len(), up[0].direction, up[0].state), (1, direction, CallState::Answered));
            assert!(up[0].emoji.is_some(), "both see the same four emoji");
            sleep(Duration::from_millis(1100)).await;
            match ender {
                Ender::Telegram => {
                    scene.anna.hang_up(telegram_call, Reason::Hangup).await;
                    let reason = scene.phone.ended(END_LIMIT).await.unwrap();
                    assert_eq!(reason.map(|reason| reason.cause), Some(16), "{direction:?}");
                }
                Ender::Pbx => {
                    scene.phone.hang_up(pbx_call).await.unwrap();
                    let (reason, duration_s) = scene.anna.discarded(END_LIMIT).await.unwrap();
                    assert_eq!(reason, Some(Reason::Hangup), "{direction:?}");
                    assert!((1..=2).contains(&duration_s), "{duration_s} s");
                }
                Ender::Gateway => {
                    scene.control.hang_up(up[0].call).await.unwrap();
                    scene.phone.ended(END_LIMIT).await.unwrap();
                    scene.anna.discarded(END_LIMIT).await.unwrap();
                }
            }
            let ended = scene.control.call_state(CallState::Ended, LIMIT).await.unwrap();
            assert_eq!((ended.call, ended.end.map(|end| end.by)), (up[0].call, Some(ender)), "{direction:?}");
            assert!(
                ended.duration_ms.is_some_and(|ms| (1000..3000).contains(&ms)),
                "{:?}",
                ended.duration_ms
            );
            assert!(scene.control.calls().await.unwrap().is_empty());
        }
    }
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_lines_ring_their_own_phones_and_a_wrong_third_harms_nobody() {
    let stage = Stage::on_loopback().await.unwrap();
    let (first, second) = (stage.line("+79060000001").unwrap(), stage.line("+79060000002").unwrap());
    let mut desks = [stage.desk(&first, pbx()).await.unwrap(), stage.desk(&second, pbx()).await.unwrap()];
    let wrong = stage.installation.state.join("+79060000003");
    std::fs::create_dir(&wrong).unwrap();
    std::fs::write(
        wrong.join("line.toml"),
        "phone = \"+79060000003\"\nsip_port = 99999\npbx = \"127.0.0.1\"\n",
    )
    .unwrap();
    let gateway = stage.run(&[&first, &second]).await.unwrap();

    let report = gateway.control().await.unwrap().status().await.unwrap();
    assert_eq!(report.lines.len(), 2);
    let [problem] = report.problems.as_slice() else { panic!("{:?}", report.problems) };
    for part in ["+79060000003", "sip_port", "99999", "line.toml"] {
        assert!(problem.en.contains(part) && problem.ru.contains(part), "{part:?} is not named: {problem:?}");
    }

    let mut anna = stage.person(NewUser::new(ANNA, "Anna"), app()).unwrap();
    for (line, mine) in [(&first, 0), (&second, 1)] {
        let call = anna.call(line.account).await.unwrap();
        let incoming = desks[mine].incoming(LIMIT).await.unwrap();
        assert_eq!(incoming.dialled, line.phone);
        anna.connected(LIMIT).await.unwrap();
        anna.hang_up(call, Reason::Hangup).await;
        desks[mine].ended(END_LIMIT).await.unwrap();
        assert!(desks[1 - mine].incoming(Duration::from_millis(200)).await.is_err());
    }
    for (line, desk) in [&first, &second].into_iter().zip(&mut desks) {
        let call = desk.call(ANNA).await.unwrap();
        anna.connected(LIMIT).await.unwrap();
        let calls = stage.world().calls();
        let caller = calls.iter().find(|call| call.stage == world::Stage::Active).map(|call| call.caller);
        assert_eq!(caller, Some(line.account), "the line's own account calls");
        desk.hang_up(call).await.unwrap();
        anna.discarded(END_LIMIT).await.unwrap();
    }
    gateway.stop().await.unwrap();
    stage.done();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_added_while_running_is_up_within_a_second_and_touches_no_call() {
    let mut scene = Scene::open(pbx(), app()).await;
    let (telegram_call, pbx_call) = scene.connect(Direction::TelegramToPbx).await;

    let second = scene.stage.line("+79060000002").unwrap();
    scene.stage.log_in(&second).await.unwrap();
    let mut desk = Phone::switch_on(second.sip, pbx()).await.unwrap();
    let draft = stage::draft(&second).unwrap();
    let draft = draft.set("sip_port", i64::from(second.sip.port())).set("pbx", desk.sip.to_string());
    let added = Instant::now();
    scene.control.add_line(draft).await.unwrap();
    stage::green(&scene.gateway, &second, END_LIMIT.saturating_sub(added.elapsed())).await.unwrap();

    let boris = scene.stage.person(NewUser::new("+79162222222", "Boris"), app()).unwrap();
    boris.call(second.account).await.unwrap();
    assert_eq!(desk.incoming(LIMIT).await.unwrap().dialled, second.phone);

    let before = scene.phone.heard(pbx_call).received_ms;
    sleep(Duration::from_millis(500)).await;
    assert!(scene.phone.heard(pbx_call).received_ms > before + 300, "the first call goes on");
    scene.anna.hang_up(telegram_call, Reason::Hangup).await;
    scene.phone.ended(END_LIMIT).await.unwrap();
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_on_a_taken_port_is_refused_with_a_plain_sentence() {
    let mut scene = Scene::open(pbx(), app()).await;
    let second = scene.stage.line("+79060000002").unwrap();
    let draft = stage::draft(&second).unwrap();
    let draft = draft.set("sip_port", i64::from(scene.line.sip.port())).set("pbx", "127.0.0.1:5060");
    let ask = Ask::AddLine { line: draft };
    let refusal = scene.control.refusal(ask).await.unwrap();
    assert!(refusal.message.contains("sip_port") && refusal.message.contains(COMPANY), "{refusal}");
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_accounts_settings_and_the_pbx_are_checked_and_one_word_opens_what_is_shut() {
    let mut scene = Scene::open(pbx(), app()).await;
    let (world, account) = (scene.stage.world().clone(), scene.line.account);
    for kind in [PrivacyKind::PhoneNumber, PrivacyKind::PhoneCall, PrivacyKind::PhoneP2p] {
        world.set_privacy(account, kind, Audience::Contacts);
    }
    let line: tgtrunk_config::Phone = COMPANY.parse().unwrap();
    let shut = found(&mut scene.control, Ask::Checks { line: line.clone() }).await;
    let names = [CheckName::PhoneVisible, CheckName::CallsFromEverybody, CheckName::PeerToPeer];
    let amiss = names.map(|name| (name, Found::Bad, true));
    assert_eq!(shut[..3], amiss);
    let pbx = [(CheckName::PbxAnswers, Found::Good, false), (CheckName::OpusAllowed, Found::Unknown, false)];
    assert_eq!(shut[3..], pbx);
    for (at, check) in names.into_iter().enumerate() {
        let now = found(&mut scene.control, Ask::FixCheck { line: line.clone(), check }).await;
        assert!(now[..=at].iter().all(|(_, found, can_fix)| (*found, *can_fix) == (Found::Good, false)));
        assert_eq!(now[at + 1..3], amiss[at + 1..]);
    }
    let fix = Ask::FixCheck { line: line.clone(), check: CheckName::OpusAllowed };
    assert!(scene.control.refusal(fix).await.unwrap().message.contains("only a person"));

    let (call, _) = scene.connect(Direction::TelegramToPbx).await;
    let seen = found(&mut scene.control, Ask::Checks { line: line.clone() }).await[4].1;
    assert_ne!(seen, Found::Unknown);
    scene.anna.hang_up(call, Reason::Hangup).await;
    scene.phone.ended(END_LIMIT).await.unwrap();
    world.set_privacy(account, PrivacyKind::PhoneCall, Audience::Nobody);
    let ask = |words: &'static [&str]| scene.stage.installation.ask(words, LIMIT);
    let (status, said, _) = ask(&["checks", COMPANY]).await.unwrap();
    assert!(!status.success() && said.contains("Not everybody may call the account"), "{said}");
    let (_, said, _) = ask(&["checks", COMPANY, "--fix"]).await.unwrap();
    assert!(said.contains("Everybody may call the account."), "{said}");
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_is_restarted_ends_its_calls_and_takes_new_ones() {
    let mut scene = Scene::open(pbx(), app()).await;
    scene.connect(Direction::TelegramToPbx).await;
    let line: tgtrunk_config::Phone = COMPANY.parse().unwrap();
    scene.control.ask(Ask::RestartLine { line }).await.unwrap();
    scene.phone.ended(END_LIMIT).await.unwrap();
    scene.anna.discarded(END_LIMIT).await.unwrap();
    stage::green(&scene.gateway, &scene.line, LIMIT).await.unwrap();
    let (call, _) = scene.connect(Direction::PbxToTelegram).await;
    scene.anna.hang_up(call, Reason::Hangup).await;
    scene.phone.ended(END_LIMIT).await.unwrap();
    let unknown = Ask::RestartLine { line: "+79060000099".parse().unwrap() };
    assert_eq!(scene.control.refusal(unknown).await.unwrap().code, RefusalCode::UnknownLine);
    scene.close().await;
}

/// What the gateway's checks find.
async fn found(control: &mut Control, ask: Ask) -> Vec<(CheckName, Found, bool)> {
    match control.ask(ask).await.unwrap() {
        Answer::Checks(checks) => {
            checks.iter().map(|check| (check.check, check.found, check.can_fix)).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incoming_video_call_is_taken_as_audio() {
    let mut scene = Scene::open(pbx().muted(), app().muted()).await;
    let call = scene.anna.video_call(scene.line.account).await.unwrap();
    let incoming = scene.phone.incoming(LIMIT).await.unwrap();
    scene.anna.connected(LIMIT).await.unwrap();
    scene.answered().await;
    let ways = measure::talk(&scene.anna, call, &scene.phone, incoming.call, TONES, TALK).await.unwrap();
    ways.check(LEAST_PLAYED).unwrap();
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn echo_answers_without_a_pbx_and_plays_back_what_it_hears() {
    let (stage, line, mut anna) = without_pbx().await;
    let mut solo = Solo::start(&stage.installation, &["echo", COMPANY]).unwrap();
    solo.says("answers now", LIMIT).await.unwrap();
    let call = anna.call(line.account).await.unwrap();
    anna.connected(LIMIT).await.unwrap();
    solo.says("hears the echo", LIMIT).await.unwrap();
    hears_herself(&anna, call).await;
    anna.hang_up(call, Reason::Hangup).await;
    solo.says("over after", END_LIMIT).await.unwrap();
    assert!(solo.stop().await.unwrap().success());
    stage.done();
}

#[tokio::test(flavor = "multi_thread")]
async fn call_rings_a_person_without_a_pbx_and_plays_back_what_they_say() {
    let (stage, _line, mut anna) = without_pbx().await;
    let mut solo = Solo::start(&stage.installation, &["call", COMPANY, "tg#anna"]).unwrap();
    let call = anna.connected(LIMIT).await.unwrap();
    solo.says("hears the echo", LIMIT).await.unwrap();
    hears_herself(&anna, call).await;
    anna.hang_up(call, Reason::Hangup).await;
    assert!(solo.ends(LIMIT).await.unwrap().success());

    let (status, _, complaint) =
        stage.installation.ask(&["call", COMPANY, "tg#nobody_here"], LIMIT).await.unwrap();
    assert!(!status.success() && complaint.contains("did not come about"), "{complaint}");
    stage.done();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_for_people_tell_lines_and_calls() {
    let mut scene = Scene::open(pbx(), app()).await;
    let ask = |words: &'static [&str]| scene.stage.installation.ask(words, LIMIT);
    let (status, said, _) = ask(&["status"]).await.unwrap();
    assert!(status.success() && said.contains(COMPANY), "{said}");
    for words in [&["calls"][..], &["calls", "--running"]] {
        let (_, said, _) = ask(words).await.unwrap();
        assert_eq!(said.trim(), "no calls");
    }
    let call = scene.anna.call(scene.line.account).await.unwrap();
    scene.anna.connected(LIMIT).await.unwrap();
    let (_, said, _) = scene.stage.installation.ask(&["calls", "--running", "--json"], LIMIT).await.unwrap();
    let told: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&told["line"], &told["result"]), (&COMPANY.into(), &"running".into()));
    assert!(told["answered_ms"].is_u64() && told["sip_call_id"].is_string(), "{told}");
    scene.anna.hang_up(call, Reason::Hangup).await;
    scene.close().await;
}

/// A line with a phone, one user of Telegram, and the gateway between them, all green.
struct Scene {
    stage: Stage,
    line: Line,
    phone: Phone,
    anna: LightUser,
    gateway: Gateway,
    /// Hears the gateway's events.
    control: Control,
}

impl Scene {
    async fn open(phone: pbx::Options, app: light_user::Options) -> Self {
        Self::open_line(phone, app, |draft| draft).await
    }

    /// With settings of the line's own.
    async fn open_line(
        phone: pbx::Options,
        app: light_user::Options,
        settings: impl FnOnce(LineDraft) -> LineDraft,
    ) -> Self {
        let stage = Stage::on_loopback().await.unwrap();
        let line = stage.line(COMPANY).unwrap();
        let phone = Phone::switch_on(line.sip, phone).await.unwrap();
        stage.open(&line, phone.sip, settings(stage::draft(&line).unwrap())).await.unwrap();
        let anna = stage.person(NewUser::new(ANNA, "Anna").username("anna"), app).unwrap();
        let gateway = stage.run(&[&line]).await.unwrap();
        let mut control = gateway.control().await.unwrap();
        control.subscribe().await.unwrap();
        Self { stage, line, phone, anna, gateway, control }
    }

    async fn close(self) {
        self.gateway.stop().await.unwrap();
        self.stage.done();
    }

    /// Sound can flow both ways: an end may be connected some milliseconds before the gateway is.
    async fn answered(&mut self) {
        self.control.call_state(CallState::Answered, LIMIT).await.unwrap();
    }

    async fn incoming_at_anna(&mut self) -> i64 {
        let pick = |event: &Event| match event {
            Event::Incoming { call, .. } => Some(*call),
            _ => None,
        };
        self.anna.wait_for("incoming call", LIMIT, pick).await.unwrap()
    }

    /// A call in this direction that both sides have answered: its names at Telegram and at the phone.
    async fn connect(&mut self, direction: Direction) -> (i64, tgtrunk_sip::CallId) {
        self.phone.forget();
        match direction {
            Direction::TelegramToPbx => {
                let call = self.anna.call(self.line.account).await.unwrap();
                let pbx_call = self.phone.answered(LIMIT).await.unwrap();
                self.anna.connected(LIMIT).await.unwrap();
                self.answered().await;
                (call, pbx_call)
            }
            Direction::PbxToTelegram => {
                let pbx_call = self.phone.call(ANNA).await.unwrap();
                self.phone.answered(LIMIT).await.unwrap();
                self.answered().await;
                (self.anna.connected(LIMIT).await.unwrap(), pbx_call)
            }
        }
    }
}

async fn without_pbx() -> (Stage, Line, LightUser) {
    let stage = Stage::on_loopback().await.unwrap();
    let line = stage.line(COMPANY).unwrap();
    stage.log_in(&line).await.unwrap();
    let anna = stage.person(NewUser::new(ANNA, "Anna").username("anna"), app().muted()).unwrap();
    (stage, line, anna)
}

async fn hears_herself(anna: &LightUser, call: i64) {
    anna.mute(false).await;
    sleep(TALK).await;
    anna.mute(true).await;
    sleep(Duration::from_millis(300)).await;
    let heard = anna.heard(call);
    Way::between(&heard, &heard, TONES.telegram_hz).unwrap().check(LEAST_PLAYED).unwrap();
}

/// A phone that takes every call at once and plays its tone.
fn pbx() -> pbx::Options {
    pbx::Options::playing(circle(TONES.pbx_hz, 20).unwrap())
}

/// A Telegram user who takes every call at once and plays their tone.
fn app() -> light_user::Options {
    light_user::Options::playing(circle(TONES.telegram_hz, 60).unwrap())
}
