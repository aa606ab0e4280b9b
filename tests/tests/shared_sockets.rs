//! Calls of one gateway whose Telegram users' sound comes to sockets that the calls share: everybody hears their own peer,
//! also where the peers of several calls have one address, and the calls have no sockets of their own but then.

#![allow(clippy::unwrap_used)]

use std::net::Ipv4Addr;
use std::time::Duration;

use tgtrunk_sip::CallId;
use tgtrunk_test_telegram::NewUser;
use tgtrunk_tests::light_user::{self, LightUser, Muxed, Reason};
use tgtrunk_tests::measure::{Tones, Way};
use tgtrunk_tests::pbx::{self, Phone};
use tgtrunk_tests::player::circle;
use tgtrunk_tests::sockets::datagram_sockets;
use tgtrunk_tests::stage::{self, Line, Stage};
use tokio::time::sleep;

const LIMIT: Duration = Duration::from_secs(10);
const TALK: Duration = Duration::from_secs(3);
const LEAST_PLAYED: Duration = Duration::from_millis(2800);
/// What was on its way arrives within this time.
const TAIL: Duration = Duration::from_millis(300);
const TONES: Tones = Tones::USUAL;
const LINES: [&str; 2] = ["+79060000000", "+79060000001"];
/// Calls at once, whose people play tones so far apart from another.
const PEOPLE: u32 = 40;
const LOWEST_HZ: u32 = 500;
const APART_HZ: u32 = 40;
/// Calls between two lines of one gateway.
const BETWEEN_LINES: usize = 3;
/// Calls to people behind one socket, beyond those that threads have one each of.
const BEHIND_ONE: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn many_calls_on_few_sockets_hear_their_own_peers_alone() {
    let stage = open("shared").await;
    let line = stage.line(LINES[0]).unwrap();
    let mut phone = stage.desk(&line, phone(TONES.pbx_hz)).await.unwrap();
    let gateway = stage.run(&[&line]).await.unwrap();
    let pid = gateway.pid().unwrap();
    let before = datagram_sockets(pid).unwrap().len();
    let mut talks = Vec::new();
    for number in 0..PEOPLE {
        let hz = LOWEST_HZ + APART_HZ * number;
        let person = NewUser::new(format!("+7916200{number:04}"), format!("person{number}"));
        let app = light_user::Options::playing(circle(hz, 20).unwrap()).muted();
        talks.push(calls(&stage, &line, &mut phone, person, app, hz).await);
    }
    sleep(TAIL).await;
    let people = PEOPLE as usize;
    let threads = std::thread::available_parallelism().unwrap().get();
    let more = datagram_sockets(pid).unwrap().len() - before;
    assert!(more <= 2 * people + threads, "{more} sockets more for {people} calls");
    hear_each_other(&phone, &talks).await;
    for (user, call, ..) in &talks {
        user.hang_up(*call, Reason::Hangup).await;
    }
    for _ in &talks {
        phone.ended(LIMIT).await.unwrap();
    }
    sleep(TAIL).await;
    assert_eq!(datagram_sockets(pid).unwrap().len(), before, "the last call closes its socket");
    gateway.stop().await.unwrap();
    stage.done();
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_one_gateway_that_call_each_other_are_heard_both_ways() {
    for sockets in ["own", "shared"] {
        let stage = open(sockets).await;
        let lines = LINES.map(|number| stage.line(number).unwrap());
        let mut caller = stage.desk(&lines[0], phone(TONES.pbx_hz)).await.unwrap();
        let mut callee = stage.desk(&lines[1], phone(TONES.telegram_hz)).await.unwrap();
        let gateway = stage.run(&[&lines[0], &lines[1]]).await.unwrap();
        let mut calls = Vec::new();
        for _ in 0..BETWEEN_LINES {
            let call = caller.call(LINES[1]).await.unwrap();
            let incoming = callee.incoming(LIMIT).await.unwrap();
            caller.answered(LIMIT).await.unwrap();
            calls.push((call, incoming.call));
        }
        sleep(TAIL).await;
        for phone in [&caller, &callee] {
            phone.mute(false).await.unwrap();
        }
        sleep(TALK).await;
        for phone in [&caller, &callee] {
            phone.mute(true).await.unwrap();
        }
        sleep(TAIL).await;
        for (there, here) in &calls {
            let (there, here) = (caller.heard(*there), callee.heard(*here));
            let ways =
                [Way::between(&there, &here, TONES.pbx_hz), Way::between(&here, &there, TONES.telegram_hz)];
            for way in ways {
                way.unwrap().check(LEAST_PLAYED).unwrap_or_else(|error| panic!("{sockets}: {error:#}"));
            }
        }
        gateway.stop().await.unwrap();
        stage.done();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_behind_one_socket_are_told_apart_and_heard() {
    let stage = open("shared").await;
    let line = stage.line(LINES[0]).unwrap();
    let mut phone = stage.desk(&line, phone(TONES.pbx_hz)).await.unwrap();
    let gateway = stage.run(&[&line]).await.unwrap();
    let pid = gateway.pid().unwrap();
    let before = datagram_sockets(pid).unwrap().len();
    let muxed = Muxed::open(Ipv4Addr::LOCALHOST.into()).await.unwrap();
    let threads = std::thread::available_parallelism().unwrap().get();
    let people = threads + BEHIND_ONE;
    let mut talks = Vec::new();
    for number in 0..people as u32 {
        let hz = LOWEST_HZ + APART_HZ * number;
        let person = NewUser::new(format!("+7916300{number:04}"), format!("behind{number}"));
        let app = light_user::Options::playing(circle(hz, 20).unwrap()).muted();
        let app = light_user::Options { muxed: Some(muxed.clone()), ..app };
        talks.push(calls(&stage, &line, &mut phone, person, app, hz).await);
    }
    sleep(TAIL).await;
    let more = datagram_sockets(pid).unwrap().len() - before;
    assert!(
        more >= 3 * people,
        "{more} sockets more: the first of a thread shares, the others have their own"
    );
    hear_each_other(&phone, &talks).await;
    gateway.stop().await.unwrap();
    stage.done();
}

/// A call of a person who plays a tone: the person, the call there, the PBX's, and the tone.
type Talk = (LightUser, i64, CallId, u32);

/// A person calls the line, and is answered.
async fn calls(
    stage: &Stage,
    line: &Line,
    phone: &mut Phone,
    person: NewUser,
    app: light_user::Options,
    hz: u32,
) -> Talk {
    let mut user = stage.person(person, app).unwrap();
    let call = user.call(line.account).await.unwrap();
    let incoming = phone.incoming(LIMIT).await.unwrap();
    user.connected(LIMIT).await.unwrap();
    (user, call, incoming.call, hz)
}

/// Lets all talk at once, and nobody hears but their own peer.
async fn hear_each_other(phone: &Phone, talks: &[Talk]) {
    phone.mute(false).await.unwrap();
    for (user, ..) in talks {
        user.mute(false).await;
    }
    sleep(TALK).await;
    phone.mute(true).await.unwrap();
    for (user, ..) in talks {
        user.mute(true).await;
    }
    sleep(TAIL).await;
    for (user, call, pbx_call, hz) in talks {
        let (at_user, at_phone) = (user.heard(*call), phone.heard(*pbx_call));
        let ways = [Way::between(&at_user, &at_phone, *hz), Way::between(&at_phone, &at_user, TONES.pbx_hz)];
        for way in ways {
            way.unwrap().check(LEAST_PLAYED).unwrap_or_else(|error| panic!("{hz} Hz: {error:#}"));
        }
    }
}

async fn open(sockets: &str) -> Stage {
    let settings = format!("media_sockets = \"{sockets}\"");
    Stage::set_up(stage::Options { settings, ..stage::Options::default() }).await.unwrap()
}

fn phone(hz: u32) -> pbx::Options {
    pbx::Options::playing(circle(hz, 20).unwrap()).muted()
}
