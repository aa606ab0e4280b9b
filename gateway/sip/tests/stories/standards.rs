//! The torture messages of RFC 4475 and RFC 5118, each with the answer of an end that takes calls and registers nobody.

use std::path::PathBuf;

use tgtrunk_media::codec::{OPUS, PCMU};
use tgtrunk_sip::Event;

use crate::world::{PBX, World, header, headers, start};

/// A message and what it gets, as `testdata/verdicts.txt` says: `call` is a call that is taken, `-` silence, anything else the
/// status.
pub(crate) struct Verdict {
    pub(crate) folder: &'static str,
    pub(crate) name: &'static str,
    pub(crate) datagram: &'static str,
    pub(crate) stream: &'static str,
    pub(crate) why: &'static str,
}

/// All of them.
pub(crate) fn verdicts() -> Vec<Verdict> {
    let lines = include_str!("../../testdata/verdicts.txt").lines();
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let verdict = |line: &'static str| {
        let mut words = line.splitn(5, ' ');
        let mut word = || words.next().unwrap();
        Verdict { folder: word(), name: word(), datagram: word(), stream: word(), why: word() }
    };
    lines.map(verdict).collect()
}

#[test]
fn each_message_of_rfc_4475_gets_its_answer() {
    each_gets_its_answer("rfc4475", 49);
}

#[test]
fn each_message_of_rfc_5118_gets_its_answer() {
    each_gets_its_answer("rfc5118", 12);
}

#[test]
fn the_tortuous_invite_of_rfc_4475_is_a_call_when_it_begins_one() {
    let text = String::from_utf8(message("rfc4475", "wsinv")).unwrap();
    let mut world = talkative();
    world.hears(&text.replace(" ;   tag    = 1918181833n", ""));
    let trying = world.said();
    assert_eq!((start(&trying), header(&trying, "cseq")), ("100 Trying", "0009 INVITE"));
    assert_eq!(headers(&trying, "Via").len(), 2, "one line alone, two in a list");
    let Event::Incoming { dialled, from_display, from_user, remote: Some(remote), .. } = world.event() else {
        panic!("no call")
    };
    assert_eq!((dialled.as_str(), from_user.as_str()), ("vivekg", "jdrosen"));
    assert_eq!(
        (from_display.as_str(), remote.rtp.to_string().as_str()),
        (r#"J Rosenberg \""#, "192.0.2.4:49217")
    );
}

#[test]
fn what_is_meant_by_escapes_and_odd_offers_is_told() {
    let told = |folder: &str, name: &str| {
        let mut world = talkative();
        world.hears_from(PBX, &message(folder, name));
        let Event::Incoming { dialled, from_user, remote, .. } = world.event() else { panic!("{name}") };
        (dialled, from_user, remote.map(|remote| remote.rtp.to_string()).unwrap_or_default())
    };
    let of = |dialled: &str, from: &str, rtp: &str| (dialled.to_owned(), from.to_owned(), rtp.to_owned());
    assert_eq!(told("rfc4475", "esc01"), of("sips:user@example.com", "I have spaces", "192.0.2.1:49217"));
    assert_eq!(told("rfc4475", "inv2543"), of("UserB", "+13035551111", "192.0.2.5:49217"));
    assert_eq!(told("rfc5118", "mult-ip-in-sdp"), of("user", "user", "192.0.2.1:22334"));
}

fn each_gets_its_answer(folder: &str, messages: usize) {
    let files = std::fs::read_dir(path(folder)).unwrap().count();
    let mut table = verdicts();
    table.retain(|verdict| verdict.folder == folder);
    assert_eq!(
        (files, table.len()),
        (messages, messages),
        "a message without its expected answer, or the other way round"
    );
    for Verdict { name, datagram, why, .. } in table {
        let mut world = talkative();
        world.hears_from(PBX, &message(folder, name));
        match datagram {
            "-" => {}
            "call" => {
                assert_eq!(world.try_said().as_deref().map(start), Some("100 Trying"), "{name}: {why}");
                assert!(matches!(world.event(), Event::Incoming { .. }), "{name}: {why}");
            }
            status => {
                let said = world.try_said().unwrap_or_default();
                assert!(start(&said).starts_with(status), "{name}: {why}: {said}");
                world.skip_turned_away();
                world.no_event();
            }
        }
        world.is_silent();
        world.no_event();
    }
}

fn talkative() -> World {
    World::with(|config| config.codecs = vec![&OPUS, &PCMU])
}

pub(crate) fn message(folder: &str, name: &str) -> Vec<u8> {
    std::fs::read(path(folder).join(format!("{name}.sip"))).unwrap()
}

fn path(folder: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata").join(folder)
}
