//! Calls that the gateway places to both sides: an extension of the PBX first, then a person at Telegram.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use tgtrunk_config::control::{Answer, Ask, CallInfo, CallState, Direction, Ender, Event, RefusalCode};
use tgtrunk_config::{CallId, Callee, LineDraft, UserId};
use tgtrunk_test_telegram::NewUser;
use tgtrunk_test_telegram::world::{Action, Match};
use tgtrunk_tests::baresip::{self, Baresip};
use tgtrunk_tests::clock::now;
use tgtrunk_tests::codec::Codec;
use tgtrunk_tests::control::Control;
use tgtrunk_tests::gateway::Gateway;
use tgtrunk_tests::light_user::{self, Answering, LightUser, Reason};
use tgtrunk_tests::measure::{self, LEAST_SHARE, Tones};
use tgtrunk_tests::pbx::{self, Phone};
use tgtrunk_tests::player::circle;
use tgtrunk_tests::stage::{self, Line, Stage};
use tgtrunk_tests::tone::{self, Meter};
use tokio::time::sleep;

/// How long anything may take that should take no time.
const LIMIT: Duration = Duration::from_secs(10);
/// How long the other side may go on believing in a call that is over.
const END_LIMIT: Duration = Duration::from_secs(1);
/// How long a gateway that is to end lets people talk on, as the stage sets it.
const GRACE: Duration = Duration::from_secs(2);
const TALK: Duration = Duration::from_secs(3);
const LEAST_PLAYED: Duration = Duration::from_millis(2800);
const TONES: Tones = Tones::USUAL;
const COMPANY: &str = "+79060000000";
const ANNA: &str = "+79161111111";
const EXTENSION: &str = "2001";
/// Ringing as Russia has it (ITU-T E.180 supplement 2): it sounds for one second of five.
const RINGING_HZ: u32 = 425;

#[tokio::test(flavor = "multi_thread")]
async fn the_extension_is_called_first_then_the_person_and_both_hear_each_other() {
    let mut scene = Scene::open(pbx().muted(), app().muted(), |draft| draft.set("ringback", "off")).await;
    let call = scene.join().await;
    let incoming = scene.phone.incoming(LIMIT).await.unwrap();
    assert_eq!(incoming.dialled, EXTENSION);
    assert_eq!(incoming.from_user, "anna", "the operator sees who it is");
    assert_eq!(incoming.header("X-TG-ID"), Some(scene.anna.id.to_string().as_str()));
    assert_eq!(incoming.header("X-TG-Call-Back"), Some("1"));
    let begun = scene.state(CallState::Dialling).await;
    assert_eq!((begun.call, begun.direction), (call, Direction::PbxToTelegram));
    assert_eq!(begun.extension.as_deref(), Some(EXTENSION));
    assert_eq!(begun.peer.id.map(UserId::number), Some(scene.anna.id));
    scene.state(CallState::Ringing).await;
    let called = now();
    let at_anna = scene.anna.connected(LIMIT).await.unwrap();
    let answered = scene.state(CallState::Answered).await;
    assert_eq!(answered.telegram_call, Some(at_anna));
    let ways = measure::talk(&scene.anna, at_anna, &scene.phone, incoming.call, TONES, TALK).await.unwrap();
    ways.check(LEAST_PLAYED).unwrap();
    scene.phone.hang_up(incoming.call).await.unwrap();
    let (reason, duration_s) = scene.anna.discarded(END_LIMIT).await.unwrap();
    assert_eq!(reason, Some(Reason::Hangup));
    let (talked_s, most) = (u64::try_from(duration_s).unwrap(), now() - called);
    assert!((TALK.as_secs()..=most.as_secs()).contains(&talked_s), "{talked_s} s of at most {most:?}");
    assert_eq!(scene.state(CallState::Ended).await.end.unwrap().by, Ender::Pbx);
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_extension_hears_ringing_until_the_person_answers_and_the_person_may_hang_up() {
    let rings = Answering::After(Duration::from_millis(2_500));
    let mut scene = Scene::open(pbx(), app().answering(rings), |draft| draft.set("ringback", "ru")).await;
    scene.join().await;
    let at_phone = scene.phone.answered(LIMIT).await.unwrap();
    scene.state(CallState::Ringing).await;
    sleep(Duration::from_millis(900)).await;
    let heard = scene.phone.heard(at_phone);
    let share = share_of(&heard.payloads, RINGING_HZ).unwrap();
    assert!(share >= LEAST_SHARE, "{share} of what the extension hears is ringing");
    let at_anna = scene.anna.connected(LIMIT).await.unwrap();
    scene.state(CallState::Answered).await;
    let before = scene.phone.heard(at_phone).payloads.len();
    sleep(TALK).await;
    let heard = scene.phone.heard(at_phone);
    // What was on its way when the person came is still ringing.
    let share = share_of(&heard.payloads[before + 10..], TONES.telegram_hz).unwrap();
    assert!(share >= LEAST_SHARE, "{share} of what the extension hears is the person");
    scene.anna.hang_up(at_anna, Reason::Hangup).await;
    let reason = scene.phone.ended(END_LIMIT).await.unwrap().unwrap();
    assert_eq!(reason.cause, 16);
    assert_eq!(scene.state(CallState::Ended).await.end.unwrap().by, Ender::Telegram);
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extension_that_does_not_come_leaves_the_person_alone() {
    let mut scene = Scene::open(pbx(), app(), |draft| draft.set("ring_limit_s", 10)).await;
    let before = scene.stage.world().calls().len();
    for (answering, sip_status, q850) in [
        (pbx::Answering::Refuses(486, Some(17)), 486, 17),
        (pbx::Answering::Refuses(404, None), 404, 1),
        (pbx::Answering::Refuses(603, None), 603, 21),
        (pbx::Answering::Rings, 480, 19),
    ] {
        scene.phone.answering(answering.clone()).await.unwrap();
        scene.join().await;
        let ended = scene.state(CallState::Ended).await;
        let end = ended.end.unwrap();
        assert_eq!(
            (end.by, end.sip_status, end.q850),
            (Ender::Pbx, Some(sip_status), Some(q850)),
            "{answering:?}"
        );
        assert_eq!(ended.telegram_call, None);
    }
    scene.phone.ended(END_LIMIT).await.unwrap();
    assert_eq!(scene.stage.world().calls().len(), before, "nobody's Telegram was bothered");
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_does_not_come_frees_the_extension_with_the_reason() {
    let mut scene = Scene::open(pbx(), app(), |draft| draft.set("ring_limit_s", 10)).await;
    for (answering, q850) in [(Answering::Declines, 17), (Answering::Rings, 19)] {
        let anna = LightUser::switch_on(scene.stage.world(), scene.anna.id, app().answering(answering));
        scene.anna = anna.unwrap();
        scene.join().await;
        scene.phone.answered(LIMIT).await.unwrap();
        let reason = scene.phone.ended(LIMIT + LIMIT).await.unwrap().unwrap();
        assert_eq!(reason.cause, q850, "{answering:?}");
        let ended = scene.state(CallState::Ended).await;
        assert!(ended.telegram_call.is_some());
        assert_eq!(ended.end.unwrap().by, Ender::Telegram, "{answering:?}");
    }
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn telegrams_id_of_a_call_is_told_before_its_end_however_early_that_comes() {
    let mut scene = Scene::open(pbx(), app().answering(Answering::Silent), |draft| draft).await;
    let mut asker = scene.asker().await;
    let call = scene.join().await;
    let told = scene.events.wait_for("a call with an id", LIMIT, |event| match event {
        Event::Call(call) if call.telegram_call.is_some() || call.state == CallState::Ended => {
            Some(call.clone())
        }
        _ => None,
    });
    let told = told.await.unwrap();
    assert_eq!((told.call, told.state), (call, CallState::Dialling), "no device rings");
    asker.hang_up(call).await.unwrap();
    assert_eq!(scene.state(CallState::Ended).await.telegram_call, told.telegram_call);
    scene.phone.ended(LIMIT).await.unwrap();

    let slow = Match::method("phone.requestCall").user(scene.line.account);
    scene.stage.world().add_fault(slow, Action::Delay { ms: 500 });
    let before = scene.stage.world().calls().len();
    let call = scene.join().await;
    while scene.stage.world().calls().len() == before {
        sleep(Duration::from_millis(10)).await;
    }
    asker.hang_up(call).await.unwrap();
    let ended = scene.state(CallState::Ended).await;
    assert!(ended.telegram_call.is_some_and(|id| Some(id) != told.telegram_call), "{ended:?}");
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extension_that_leaves_while_the_person_rings_is_a_missed_call_to_them() {
    let mut scene = Scene::open(pbx(), app().answering(Answering::Rings), |draft| draft).await;
    scene.join().await;
    let at_phone = scene.phone.answered(LIMIT).await.unwrap();
    scene.state(CallState::Ringing).await;
    scene.phone.hang_up(at_phone).await.unwrap();
    assert_eq!(scene.anna.discarded(END_LIMIT).await.unwrap(), (Some(Reason::Missed), 0));
    assert_eq!(scene.state(CallState::Ended).await.end.unwrap().by, Ender::Pbx);
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_or_the_gateways_end_withdraws_both_at_any_moment() {
    let mut scene = Scene::open(pbx().answering(pbx::Answering::Rings), app(), |draft| draft).await;
    let call = scene.join().await;
    scene.phone.incoming(LIMIT).await.unwrap();
    scene.asker().await.hang_up(call).await.unwrap();
    scene.phone.ended(END_LIMIT).await.unwrap();
    assert_eq!(scene.state(CallState::Ended).await.end.unwrap().by, Ender::Gateway);
    scene.phone.answering(pbx::Answering::After(Duration::ZERO)).await.unwrap();
    scene.anna =
        LightUser::switch_on(scene.stage.world(), scene.anna.id, app().answering(Answering::Rings)).unwrap();
    scene.join().await;
    scene.state(CallState::Ringing).await;
    scene.gateway.stop().await.unwrap();
    scene.phone.ended(END_LIMIT).await.unwrap();
    scene.anna.discarded(END_LIMIT).await.unwrap();
    scene.stage.done();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateways_end_does_not_wait_for_an_extension_that_has_not_come() {
    let mut scene = Scene::open(pbx().answering(pbx::Answering::Rings), app(), |draft| draft).await;
    scene.join().await;
    scene.phone.incoming(LIMIT).await.unwrap();
    let asked = now();
    scene.gateway.stop().await.unwrap();
    let took = now() - asked;
    assert!(took < GRACE, "{took:?}");
    scene.phone.ended(END_LIMIT).await.unwrap();
    scene.stage.done();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_not_called_once_telegram_wants_a_pause_however_late_the_extension_comes() {
    let late = pbx::Answering::After(Duration::from_secs(5));
    let mut scene = Scene::open(pbx().answering(late), app(), |draft| draft).await;
    let late = scene.join().await;
    scene.phone.incoming(LIMIT).await.unwrap();
    let flood = Match::method("phone.requestCall").user(scene.line.account);
    let message = "FLOOD_WAIT_3600".to_owned();
    let fault = scene.stage.world().add_fault(flood, Action::Error { code: 420, message });
    scene.phone.answering(pbx::Answering::After(Duration::ZERO)).await.unwrap();
    let early = scene.join().await;
    let ended = scene.state(CallState::Ended).await;
    assert_eq!((ended.call, ended.end.unwrap().q850), (early, Some(42)));
    scene.stage.world().remove_fault(fault);
    let before = scene.stage.world().calls().len();
    let ended = scene.state(CallState::Ended).await;
    assert_eq!((ended.call, ended.telegram_call), (late, None));
    let end = ended.end.unwrap();
    assert_eq!((end.by, end.q850), (Ender::Gateway, Some(42)));
    scene.phone.ended(END_LIMIT).await.unwrap();
    assert_eq!(scene.stage.world().calls().len(), before, "Telegram was not asked again");
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_joined_is_refused_and_nobody_is_called() {
    let mut scene = Scene::open(pbx().answering(pbx::Answering::Rings), app(), |draft| {
        draft.set("max_calls_to_telegram", 1)
    })
    .await;
    let mut asker = scene.asker().await;
    let known = UserId::new(scene.anna.id).unwrap();
    let ask = |line: &str, person| Ask::JoinCall {
        line: line.parse().unwrap(),
        extension: EXTENSION.to_owned(),
        person: Callee::from(person),
        key: None,
    };
    let refusal = asker.refusal(ask("+79069999999", known)).await.unwrap();
    assert_eq!(refusal.code, RefusalCode::UnknownLine);
    let refusal = asker.refusal(ask(COMPANY, UserId::new(424_242).unwrap())).await.unwrap();
    assert_eq!(refusal.code, RefusalCode::BadRequest);
    assert!(refusal.message.contains("does not know person 424242"), "{refusal}");
    scene.phone.incoming(Duration::from_millis(300)).await.unwrap_err();
    assert!(asker.calls().await.unwrap().is_empty(), "nobody was called");

    let call = scene.join().await;
    scene.phone.incoming(LIMIT).await.unwrap();
    let refusal = asker.refusal(ask(COMPANY, known)).await.unwrap();
    assert_eq!(refusal.code, RefusalCode::Limit);
    asker.hang_up(call).await.unwrap();
    scene.state(CallState::Ended).await;

    let flood = Match::method("phone.requestCall").user(scene.line.account);
    let message = "FLOOD_WAIT_3600".to_owned();
    let fault = scene.stage.world().add_fault(flood, Action::Error { code: 420, message });
    scene.phone.answering(pbx::Answering::After(Duration::ZERO)).await.unwrap();
    scene.join().await;
    let end = scene.state(CallState::Ended).await.end.unwrap();
    assert_eq!((end.by, end.q850), (Ender::Gateway, Some(42)), "nobody can say that the person did not come");
    scene.stage.world().remove_fault(fault);
    let refusal = asker.refusal(ask(COMPANY, known)).await.unwrap();
    assert_eq!(refusal.code, RefusalCode::Telegram);
    assert!(refusal.message.starts_with("Telegram wants no calls for 3"), "{refusal}");
    let report = asker.status().await.unwrap();
    let status = &report.line(&COMPANY.parse().unwrap()).unwrap().status;
    assert_eq!(status.account.map(UserId::number), Some(scene.line.account));
    assert!(status.pause.is_some(), "{status:?}");
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_may_be_named_by_number_or_username_and_is_looked_up_first() {
    let mut scene = Scene::open(pbx().answering(pbx::Answering::Rings), app(), |draft| draft).await;
    let boris = scene.stage.user(NewUser::new("+79162222222", "Boris").username("boris_k")).unwrap();
    let mut asker = scene.asker().await;
    let ask = |callee: &str| Ask::JoinCall {
        line: COMPANY.parse().unwrap(),
        extension: EXTENSION.to_owned(),
        person: callee.parse().unwrap(),
        key: None,
    };
    for (callee, person) in [("+7 916 222-22-22", boris), ("@boris_k", boris), ("@anna", scene.anna.id)] {
        let Answer::Call { call } = asker.ask(ask(callee)).await.unwrap() else { panic!("no call") };
        scene.phone.incoming(LIMIT).await.unwrap();
        let begun = scene.state(CallState::Dialling).await;
        assert_eq!((begun.call, begun.peer.id.map(UserId::number)), (call, Some(person)), "{callee}");
        asker.hang_up(call).await.unwrap();
        scene.state(CallState::Ended).await;
        scene.phone.ended(LIMIT).await.unwrap();
    }
    for nobody in ["+79169999999", "@nobody_k"] {
        let refusal = asker.refusal(ask(nobody)).await.unwrap();
        assert_eq!(refusal.code, RefusalCode::UnknownPerson, "{nobody}");
        assert!(refusal.message.contains(nobody), "{refusal}");
    }
    let flood = Match::method("contacts.resolveUsername").user(scene.line.account);
    let message = "FLOOD_WAIT_3600".to_owned();
    scene.stage.world().add_fault(flood, Action::Error { code: 420, message });
    assert_eq!(asker.refusal(ask("@somebody_k")).await.unwrap().code, RefusalCode::Telegram);
    assert!(asker.calls().await.unwrap().is_empty(), "nobody was called");
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_again_with_the_same_key_gets_the_same_call_also_when_it_is_over() {
    let mut scene = Scene::open(pbx().answering(pbx::Answering::Rings), app(), |draft| draft).await;
    let call = scene.join_under(Some("once")).await;
    scene.phone.incoming(LIMIT).await.unwrap();
    assert_eq!(scene.join_under(Some("once")).await, call);
    let mut asker = scene.asker().await;
    assert_eq!(asker.calls().await.unwrap().len(), 1);
    asker.hang_up(call).await.unwrap();
    assert_eq!(scene.state(CallState::Ended).await.call, call);
    assert_eq!(scene.join_under(Some("once")).await, call);
    assert!(asker.calls().await.unwrap().is_empty(), "nothing was placed");
    assert_ne!(scene.join_under(Some("twice")).await, call);
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_gives_the_same_call_by_name_too_though_the_line_may_call_nobody_now() {
    let mut scene = Scene::open(pbx().answering(pbx::Answering::Rings), app(), |draft| draft).await;
    let mut asker = scene.asker().await;
    let ask = |callee: &str, key: &str| Ask::JoinCall {
        line: COMPANY.parse().unwrap(),
        extension: EXTENSION.to_owned(),
        person: callee.parse().unwrap(),
        key: Some(key.to_owned()),
    };
    let Answer::Call { call } = asker.ask(ask("@anna", "once")).await.unwrap() else { panic!("no call") };
    scene.phone.incoming(LIMIT).await.unwrap();
    let flood = Match::method("contacts.resolveUsername").user(scene.line.account);
    let message = "FLOOD_WAIT_3600".to_owned();
    scene.stage.world().add_fault(flood, Action::Error { code: 420, message });
    let refusal = asker.refusal(ask("@somebody_k", "other")).await.unwrap();
    assert_eq!(refusal.code, RefusalCode::Telegram, "the line pauses");
    let Answer::Call { call: again } = asker.ask(ask("@anna", "once")).await.unwrap() else {
        panic!("no call")
    };
    assert_eq!(again, call);
    asker.hang_up(call).await.unwrap();
    scene.state(CallState::Ended).await;
    let mut used = async || {
        let report = asker.status().await.unwrap();
        report.line(&COMPANY.parse().unwrap()).unwrap().status.strangers.unwrap().used
    };
    let before = used().await;
    let refusal = scene.asker().await.refusal(ask("+79169999999", "another")).await.unwrap();
    assert_eq!(refusal.code, RefusalCode::Telegram);
    assert_eq!(used().await, before, "nobody was looked up");
    assert!(asker.calls().await.unwrap().is_empty(), "nobody was called");
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_joins_a_foreign_phone_and_a_person() {
    let stage = Stage::on_loopback().await.unwrap();
    let line = stage.line(COMPANY).unwrap();
    let phone = Baresip::start(&baresip::Options { codec: Codec::Pcma, ..baresip::Options::default() })
        .await
        .unwrap();
    stage.open(&line, phone.sip, stage::draft(&line).unwrap().set("pbx_user", baresip::USER)).await.unwrap();
    let mut anna = stage.person(NewUser::new(ANNA, "Anna").username("anna"), app()).unwrap();
    let gateway = stage.run(&[&line]).await.unwrap();
    let mut phone = phone;
    // The account has to meet her first.
    let first = anna.call(line.account).await.unwrap();
    anna.connected(LIMIT).await.unwrap();
    anna.hang_up(first, Reason::Hangup).await;
    phone.wait_for("CALL_CLOSED", LIMIT).await.unwrap();

    let person = anna.id.to_string();
    let (status, said, wrong) =
        stage.installation.ask(&["join", COMPANY, baresip::USER, &person], LIMIT).await.unwrap();
    assert!(status.success(), "{wrong}");
    let call: CallId = said.trim().parse().unwrap();
    let at_anna = anna.connected(LIMIT).await.unwrap();
    assert!(gateway.control().await.unwrap().calls().await.unwrap().iter().any(|known| known.call == call));
    sleep(TALK).await;
    anna.hang_up(at_anna, Reason::Hangup).await;
    phone.wait_for("CALL_CLOSED", LIMIT).await.unwrap();
    let share = share_of(&anna.heard(at_anna).payloads[10..], TONES.pbx_hz).unwrap();
    assert!(share >= LEAST_SHARE, "{share} of what the person hears is the phone");
    let heard = phone.finish().await.unwrap();
    assert_eq!(heard.lost, 0);
    let tone = tone::share_of(&heard.samples[heard.samples.len() / 2..], heard.rate_hz, &[TONES.telegram_hz]);
    assert!(tone >= LEAST_SHARE, "{tone} of what the phone hears is the person");

    let (status, _, wrong) = stage.installation.ask(&["join", COMPANY, "a@b", &person], LIMIT).await.unwrap();
    assert!(!status.success() && wrong.contains("want an extension or a queue"), "{wrong}");
    gateway.stop().await.unwrap();
    stage.done();
}

/// A line with a phone, one user of Telegram whom the account has met, and the gateway between them, all green.
struct Scene {
    stage: Stage,
    line: Line,
    phone: Phone,
    anna: LightUser,
    gateway: Gateway,
    /// Hears the gateway's events.
    events: Control,
}

impl Scene {
    async fn open(
        phone: pbx::Options,
        app: light_user::Options,
        change: impl FnOnce(LineDraft) -> LineDraft,
    ) -> Self {
        let stage = Stage::on_loopback().await.unwrap();
        let line = stage.line(COMPANY).unwrap();
        let answering = phone.answering.clone();
        let phone = phone.answering(pbx::Answering::Silent);
        let mut phone = Phone::switch_on(line.sip, phone).await.unwrap();
        stage.open(&line, phone.sip, change(stage::draft(&line).unwrap())).await.unwrap();
        let anna = stage.person(NewUser::new(ANNA, "Anna").username("anna"), app).unwrap();
        let gateway = stage.run(&[&line]).await.unwrap();
        let call = anna.call(line.account).await.unwrap();
        phone.incoming(LIMIT).await.unwrap();
        anna.hang_up(call, Reason::Hangup).await;
        phone.ended(LIMIT).await.unwrap();
        phone.answering(answering).await.unwrap();
        let mut events = gateway.control().await.unwrap();
        while !events.calls().await.unwrap().is_empty() {
            sleep(Duration::from_millis(10)).await;
        }
        events.subscribe().await.unwrap();
        Self { stage, line, phone, anna, gateway, events }
    }

    async fn asker(&self) -> Control {
        self.gateway.control().await.unwrap()
    }

    async fn join(&self) -> CallId {
        self.join_under(None).await
    }

    async fn join_under(&self, key: Option<&str>) -> CallId {
        let person = UserId::new(self.anna.id).unwrap().into();
        let (line, key) = (COMPANY.parse().unwrap(), key.map(ToOwned::to_owned));
        let ask = Ask::JoinCall { line, extension: EXTENSION.to_owned(), person, key };
        let Answer::Call { call } = self.asker().await.ask(ask).await.unwrap() else { panic!("no call") };
        call
    }

    /// The next call that is told to be in this state.
    async fn state(&mut self, state: CallState) -> CallInfo {
        self.events.call_state(state, LIMIT + LIMIT).await.unwrap()
    }

    async fn close(self) {
        self.gateway.stop().await.unwrap();
        self.stage.done();
    }
}

fn share_of(payloads: &[Vec<u8>], hz: u32) -> anyhow::Result<f64> {
    let mut meter = Meter::new(hz)?;
    for payload in payloads {
        meter.feed(payload)?;
    }
    Ok(meter.share())
}

/// A phone that takes every call at once and plays its tone.
fn pbx() -> pbx::Options {
    pbx::Options::playing(circle(TONES.pbx_hz, 20).unwrap())
}

/// A Telegram user who takes every call at once and plays their tone.
fn app() -> light_user::Options {
    light_user::Options::playing(circle(TONES.telegram_hz, 60).unwrap())
}
