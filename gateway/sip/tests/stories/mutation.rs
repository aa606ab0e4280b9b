//! Real messages with bytes changed at random, thrown at a line in the middle of its calls: nothing panics, nothing stays.

use tgtrunk_sip::{CallId, Event, Memory};

use crate::calls_in::busy;
use crate::world::{Chance, PBX, Phone, World, answer, invite, local_audio, ms, reply, seconds, testdata};

#[test]
fn mutated_messages_neither_panic_nor_stay() {
    for seed in 0..12 {
        let mut random = Chance::new(seed);
        let mut world = World::with(|config| config.max_calls = 50);
        let mut open: Vec<CallId> = Vec::new();
        let mut corpus: Vec<Vec<u8>> = crate::torture::corpus().into_values().collect();
        for round in 0..4000 {
            if round % 40 == 0 {
                corpus.truncate(120);
                corpus.extend(fresh(&mut world, &mut random, round));
            }
            let mut datagram = corpus[random.below(corpus.len())].clone();
            for _ in 0..random.below(6) {
                mutate(&mut datagram, &mut random);
            }
            world.hears_from(PBX, &datagram);
            act_at_random(&mut world, &mut random, &mut open);
            world.pass(ms(u64::try_from(random.below(300)).unwrap()));
            while world.try_said().is_some() {}
            assert!(world.line.memory().calls < 200, "seed {seed}: {:?}", world.line.memory());
        }
        end_all(&mut world, &mut open);
        world.pass(seconds(100));
        end_all(&mut world, &mut open);
        world.pass(seconds(200));
        world.line.handle_timeout(world.now);
        assert_eq!(world.line.memory(), Memory::default(), "seed {seed}");
    }
}

/// Messages of a dialog that really exists, so that mutations reach behind the edge.
fn fresh(world: &mut World, random: &mut Chance, round: usize) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    let mut phone = Phone::new(&format!("m{round}"));
    let file = ["asterisk-invite.sip", "baresip-invite.sip", "sipp-invite.sip"][random.below(3)];
    messages.push(phone.invite(file).into_bytes());
    messages.push(phone.same_branch("CANCEL", "", "").into_bytes());
    world.hears(&phone.invite(file));
    phone.to_tag = "x".to_owned();
    if let Some(said) = last_said(world) {
        phone.learn(&said);
    }
    for method in ["ACK", "BYE", "INFO", "UPDATE", "INVITE", "OPTIONS", "REFER"] {
        messages.push(phone.request(method, "", &testdata("torture/100-plain.sip")[400..]).into_bytes());
    }
    world.act(|line, now| line.invite(now, invite()));
    if let Some(request) = last_said(world).filter(|said| said.starts_with("INVITE")) {
        for status in ["100 Trying", "180 Ringing", "200 OK", "486 Busy Here", "302 Moved"] {
            messages.push(
                reply(&request, status, "b", "Reason: Q.850;cause=1\nRetry-After: 5\n", "").into_bytes(),
            );
        }
        for file in ["asterisk-183.sip", "asterisk-200.sip", "sipp-200.sip"] {
            messages.push(answer(&request, file, ["b", "c"][random.below(2)]).into_bytes());
        }
        let method = ["BYE", "UPDATE", "INVITE", "INFO"][random.below(4)];
        messages.push(crate::calls_out::from_pbx(&request, method, 7, "", "").into_bytes());
    }
    messages
}

fn last_said(world: &mut World) -> Option<String> {
    let mut last = None;
    while let Some(said) = world.try_said() {
        last = Some(said);
    }
    last
}

fn act_at_random(world: &mut World, random: &mut Chance, open: &mut Vec<CallId>) {
    open.extend(drain_events(world));
    if open.is_empty() || random.below(3) > 0 {
        return;
    }
    let at = random.below(open.len());
    let call = open[at];
    match random.below(5) {
        0 => world.act(|line, now| line.ringing(now, call, Vec::new())),
        1 | 2 => {
            world.act(|line, now| line.answer(now, call, local_audio(), Vec::new()));
        }
        3 => world.act(|line, now| line.reject(now, call, busy())),
        _ => {
            open.swap_remove(at);
            world.act(|line, now| line.hang_up(now, call, None));
        }
    }
}

/// Calls that turned up.
fn drain_events(world: &mut World) -> Vec<CallId> {
    let mut calls = Vec::new();
    while let Some(event) = world.try_event() {
        if let Event::Incoming { call, .. } | Event::Ringing { call } | Event::Answered { call, .. } = event {
            calls.push(call);
        }
    }
    calls
}

fn end_all(world: &mut World, open: &mut Vec<CallId>) {
    open.extend(drain_events(world));
    for call in open.drain(..) {
        world.act(|line, now| line.hang_up(now, call, None));
    }
    while world.try_said().is_some() {}
}

fn mutate(datagram: &mut Vec<u8>, random: &mut Chance) {
    const WORDS: [&[u8]; 18] = [
        b"\r\n",
        b"\r\n\r\n",
        b"\"",
        b"<",
        b">",
        b";tag=",
        b"Content-Length: 99999999999999999999\r\n",
        b"sip:",
        b"tel:",
        b"\0",
        b"\xff\xfe",
        b"a=sendonly\r\n",
        b"m=audio 0 RTP/AVP 0\r\n",
        b"CSeq: 4294967295 INVITE\r\n",
        b"[::1]",
        b"Via: SIP/2.0/UDP x;branch=z9hG4bK\r\n",
        b"Require: x\r\n",
        b"%00%ff%",
    ];
    let at = random.below(datagram.len() + 1);
    match random.below(6) {
        0 if at < datagram.len() => datagram[at] = u8::try_from(random.below(256)).unwrap(),
        1 if at < datagram.len() => {
            datagram.remove(at);
        }
        2 => {
            let word = WORDS[random.below(WORDS.len())];
            datagram.splice(at..at, word.iter().copied());
        }
        3 => datagram.truncate(at),
        4 => {
            let end = (at + random.below(60)).min(datagram.len());
            let piece = datagram[at..end].to_vec();
            let to = random.below(datagram.len() + 1);
            datagram.splice(to..to, piece);
        }
        _ => {
            let end = (at + random.below(30)).min(datagram.len());
            datagram.drain(at..end);
        }
    }
}
