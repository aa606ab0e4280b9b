//! More calls than the line can take: new ones are sent away for a while, and nothing else is touched.

use std::collections::BTreeSet;

use tgtrunk_sip::{Event, TurnedAway};

use crate::calls_in::{sdp, talking, turned_away};
use crate::world::{PBX, Phone, World, header, seconds, start};

#[test]
fn a_crowd_beyond_the_limit_gets_503_and_running_calls_and_options_notice_nothing() {
    let mut world = World::with(|config| {
        config.max_calls = 1000;
        config.new_calls_per_second = 5;
    });
    let (mut phone, _) = talking(&mut world);
    let (mut served, mut waits) = (0, BTreeSet::new());
    for number in 0..50 {
        world.hears(&Phone::new(&format!("c{number}")).same_branch("INVITE", "", &sdp()));
        let said = world.said();
        if start(&said) == "100 Trying" {
            assert!(matches!(world.event(), Event::Incoming { .. }));
            served += 1;
            continue;
        }
        assert_eq!(start(&said), "503 Service Unavailable");
        waits.insert(header(&said, "Retry-After").parse::<u32>().unwrap());
        assert!(header(&said, "Reason").starts_with("Q.850;cause=42"), "{said}");
        turned_away(&mut world, TurnedAway::Crowded);
    }
    assert_eq!(waits, BTreeSet::from([2, 3, 4, 5]), "who came together does not come back together");
    assert_eq!((served, world.line.refused_for_load()), (9, 41));
    world.no_event();
    world.hears(&phone.request("INFO", "", ""));
    assert_eq!(start(&world.said()), "200 OK");
    world.hears(&phone.request("INVITE", "", &sdp()));
    assert_eq!((start(&world.said()), start(&world.said())), ("100 Trying", "200 OK"));
    world.hears(&Phone::new("o").same_branch("OPTIONS", "", ""));
    assert_eq!(start(&world.said()), "200 OK");
    world.pass(seconds(1));
    world.skip();
    world.hears(&Phone::new("later").same_branch("INVITE", "", &sdp()));
    assert_eq!(start(&world.said()), "100 Trying");
}

#[test]
fn a_line_whose_holder_has_too_much_to_do_reads_no_new_call_and_serves_running_ones() {
    let mut world = World::new();
    let (mut phone, _) = talking(&mut world);
    world.act(|line, _| line.shut_out(true));
    let first = Phone::new("c");
    // What would be refused with 488 otherwise: it is not even looked at.
    world.hears(&first.same_branch("INVITE", "", "v=0\r\n"));
    let said = world.said();
    assert_eq!(start(&said), "503 Service Unavailable");
    turned_away(&mut world, TurnedAway::Crowded);
    world.hears(&phone.request("INVITE", "", &sdp()));
    assert_eq!((start(&world.said()), start(&world.said())), ("100 Trying", "200 OK"));
    let replaces = format!("Replaces: a@127.0.0.1;to-tag={};from-tag=a-tag\n", phone.to_tag);
    world.hears(&Phone::new("b").same_branch("INVITE", &replaces, &sdp()));
    assert_eq!(start(&world.said()), "100 Trying", "it takes the place of one that runs");
    world.hears(&Phone::new("o").same_branch("OPTIONS", "", ""));
    assert_eq!(start(&world.said()), "200 OK");
    world.act(|line, _| line.shut_out(false));
    world.hears(&first.same_branch("INVITE", "", "v=0\r\n"));
    assert_eq!(world.said(), said, "a copy of what was refused is no second attempt");
    world.hears(&Phone::new("d").same_branch("INVITE", "", &sdp()));
    assert_eq!(start(&world.said()), "100 Trying");
    assert_eq!(world.line.refused_for_load(), 0, "the line itself had room");
}

#[test]
fn of_what_came_together_running_calls_are_served_first_and_whoever_gives_up_gave_up_their_own_call() {
    let mut world = World::new();
    let (mut phone, _) = talking(&mut world);
    let (first, second, third) = (Phone::new("c"), Phone::new("d"), Phone::new("e"));
    let burst = [
        first.same_branch("INVITE", "", &sdp()),
        second.same_branch("INVITE", "", &sdp()),
        second.same_branch("INVITE", "", &sdp()),
        third.same_branch("INVITE", "", &sdp()),
        third.same_branch("CANCEL", "", ""),
        phone.request("BYE", "", ""),
    ];
    let source = PBX.parse().unwrap();
    world.act(|line, now| {
        for datagram in &burst {
            line.handle_burst(now, source, datagram.as_bytes());
        }
        line.end_burst(now);
    });
    let said: Vec<(String, String)> = std::iter::from_fn(|| world.try_said())
        .map(|said| (start(&said).to_owned(), header(&said, "CSeq").to_owned()))
        .collect();
    let said: Vec<(&str, &str)> = said.iter().map(|(start, cseq)| (&start[..3], &**cseq)).collect();
    let bye = format!("{} BYE", phone.cseq);
    let wanted = [
        ("100", "1 INVITE"),
        ("200", "1 CANCEL"),
        ("487", "1 INVITE"),
        ("200", &*bye),
        ("100", "1 INVITE"),
        ("100", "1 INVITE"),
        ("100", "1 INVITE"),
    ];
    assert_eq!(
        said, wanted,
        "the third call, its end, the running call's end, the first, the second and its copy"
    );
}

#[test]
fn a_call_that_takes_the_place_of_another_is_none_of_the_crowd() {
    let mut world = World::with(|config| config.new_calls_per_second = 1);
    let (phone, _) = talking(&mut world);
    world.hears(&Phone::new("c").same_branch("INVITE", "", &sdp()));
    world.hears(&Phone::new("d").same_branch("INVITE", "", &sdp()));
    world.skip();
    let replaces = format!("Replaces: a@127.0.0.1;to-tag={};from-tag=a-tag\n", phone.to_tag);
    world.hears(&Phone::new("b").same_branch("INVITE", &replaces, &sdp()));
    assert_eq!(start(&world.said()), "100 Trying");
}
