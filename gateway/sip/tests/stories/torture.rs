//! Messages that are odd or wrong, one file each; a file's name begins with the status that it is to get.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tgtrunk_sip::Event;

use crate::world::{PBX, World, start};

#[test]
fn each_odd_message_gets_the_status_in_its_name() {
    let files = corpus();
    assert!(files.len() >= 100, "{}", files.len());
    for (name, datagram) in files {
        let mut world = World::new();
        world.hears_from(PBX, &datagram);
        let wanted = name.split('-').next().unwrap();
        if wanted == "ignored" {
            world.is_silent();
            world.no_event();
            continue;
        }
        let said = world.said();
        assert!(start(&said).starts_with(wanted), "{name}: {said}");
        match wanted {
            "100" => assert!(matches!(world.event(), Event::Incoming { .. }), "{name}"),
            _ => {
                world.skip_turned_away();
                world.ends_clean();
            }
        }
    }
}

#[test]
fn what_is_odd_in_a_call_is_still_understood() {
    let told = |name: &str| {
        let mut world = World::new();
        world.hears_from(PBX, &corpus()[name]);
        let Event::Incoming { dialled, from_display, remote, .. } = world.event() else { panic!("{name}") };
        (dialled, from_display, remote.is_some())
    };
    let plain = |dialled: &str| (dialled.to_owned(), "A".to_owned(), true);
    assert_eq!(told("100-no-content-length"), plain("+79060000000"));
    assert_eq!(told("100-user-percent-encoded"), plain("tg#durov"));
    assert_eq!(told("100-request-uri-tel"), plain("+79060000000"));
    assert_eq!(told("100-request-uri-brackets"), plain("+79060000000"));
    assert_eq!(told("100-request-uri-ipv6"), plain("+79060000000"));
    assert_eq!(told("100-compact-headers"), plain("+79060000000"));
    assert_eq!(told("100-folded-headers"), plain("+79060000000"));
    assert_eq!(told("100-extra-bytes-after-body"), plain("+79060000000"));
    assert!(!told("100-no-offer").2);
    assert_eq!(told("100-display-name-escaped").1, r#"A "B" \ <x>, ;y"#);
    assert_eq!(told("100-display-name-in-cp1251").1, "\u{fffd}\u{fffd}\u{fffd}\u{fffd}");
}

/// Name and bytes of each file.
pub(crate) fn corpus() -> BTreeMap<String, Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/torture");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), std::fs::read(path).unwrap()))
        .collect()
}
