//! More calls than the line can take: new ones are sent away for a while, and nothing else is touched.

use tgtrunk_sip::{Event, TurnedAway};

use crate::calls_in::{sdp, talking, turned_away};
use crate::world::{Phone, World, header, seconds, start};

#[test]
fn a_crowd_beyond_the_limit_gets_503_and_running_calls_and_options_notice_nothing() {
    let mut world = World::with(|config| {
        config.max_calls = 1000;
        config.new_calls_per_second = 5;
    });
    let (mut phone, _) = talking(&mut world);
    let mut served = 0;
    for number in 0..50 {
        world.hears(&Phone::new(&format!("c{number}")).same_branch("INVITE", "", &sdp()));
        let said = world.said();
        if start(&said) == "100 Trying" {
            assert!(matches!(world.event(), Event::Incoming { .. }));
            served += 1;
            continue;
        }
        assert_eq!((start(&said), header(&said, "Retry-After")), ("503 Service Unavailable", "2"));
        assert!(header(&said, "Reason").starts_with("Q.850;cause=42"), "{said}");
        turned_away(&mut world, TurnedAway::Crowded);
    }
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
