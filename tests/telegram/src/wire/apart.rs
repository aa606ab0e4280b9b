//! A client's bytes taken apart without a socket and without keys, for the fuzzer.

use std::time::Duration;

use grammers_tl_types::types::FutureSalt;

use super::container::{self, CONTAINER, Message, constructor};
use super::envelope::INNER_HEAD;
use super::exchange::Exchange;
use super::peel::Introduction;
use super::session::{Moment, RpcError, Session, Task};
use super::transport::{Frame, Framing, Transport};

/// Longest frame, as a connection takes it.
const LONGEST: usize = 1 << 20;
/// When all of it happens, since the Unix epoch.
const MOMENT: Moment = Moment { now: Duration::from_secs(1_700_000_000), salt: 7 };
/// What stands before a message's body: identifier and sequence number.
const HEAD: usize = 12;
/// Salts that are told at once.
const SALTS: i32 = 64;
/// A result from 512 bytes on is packed, and this one is.
const LARGE: [u8; 600] = [0; 600];

/// What a stream comes to in readings of `step` bytes: each frame is a step of a key exchange and a message that a session
/// received, and what the session says goes back by the same framing, out of which it can be read. Gives the number of frames.
pub fn take_apart(stream: &[u8], step: usize) -> usize {
    let mut transport = Transport::new(LONGEST);
    let mut exchange = Exchange::new(2, 0);
    let mut session = Session::new(1, Introduction::default(), 512);
    let mut client = Transport::new(usize::MAX);
    let mut frames = 0;
    for reading in stream.chunks(step.max(1)) {
        transport.feed(reading);
        loop {
            let frame = match transport.poll_frame() {
                Ok(None) => break,
                Ok(Some(frame)) => frame,
                // Who sends garbage is told so and hung up on.
                Err(garbage) => {
                    assert!(!transport.error(-404).is_empty() && !garbage.to_string().is_empty());
                    return frames;
                }
            };
            frames += 1;
            // Who breaks an exchange is hung up on.
            if exchange.handle(&frame.payload, MOMENT.now).is_err() {
                exchange = Exchange::new(2, 0);
            }
            receive(&mut session, &frame);
            let _ = transport.quick_ack(frames as u32);
            while let Some(packet) = session.poll_packet(MOMENT) {
                check_packet(&packet);
                let framed = transport.frame(&packet);
                if transport.wanted_dc().is_none() {
                    check_frame(&mut client, transport.framing(), &framed, &packet);
                }
            }
        }
    }
    frames
}

fn receive(session: &mut Session, frame: &Frame) {
    let Some((head, body)) = frame.payload.split_first_chunk::<HEAD>() else { return };
    let msg_id = i64::from_le_bytes(std::array::from_fn(|at| head[at]));
    let seqno = i32::from_le_bytes(std::array::from_fn(|at| head[8 + at]));
    // A wrong salt is in no frame without keys.
    if seqno < 0 {
        session.refuse_salt(MOMENT, msg_id, seqno);
    } else {
        session.receive(MOMENT, Message { msg_id, seqno, body: body.to_vec() });
    }
    while let Some(task) = session.poll_task() {
        match task {
            Task::Call { msg_id, body } => answer(session, msg_id, body),
            Task::FutureSalts { msg_id, count } => {
                let salt = FutureSalt { valid_since: 0, valid_until: count, salt: msg_id };
                session.tell_future_salts(MOMENT, msg_id, vec![salt; count.clamp(0, SALTS) as usize]);
            }
            Task::DestroySession { session_id } => {
                session.tell_destroyed(MOMENT, session_id, session_id & 1 == 1);
            }
            Task::DestroyKey => session.tell_key_destroyed(MOMENT),
        }
    }
    if frame.quick_ack && session.is_announced() && !session.no_updates() {
        session.push(MOMENT, b"news".to_vec());
        session.announce_again(MOMENT);
    }
    if session.take_disconnect().is_some() {
        session.reconnect();
    }
}

/// The world answers in each of its ways; the request's last byte says which.
fn answer(session: &mut Session, msg_id: i64, body: Vec<u8>) {
    match body.last().map_or(0, |last| last % 8) {
        0 | 1 if body.len().is_multiple_of(4) => session.reply(MOMENT, msg_id, Ok(body)),
        2 => session.reply(MOMENT, msg_id, Ok(LARGE.to_vec())),
        3 => session.take_back(MOMENT, msg_id, 48),
        4 => session.take_back(MOMENT, msg_id, 16),
        5 => session.forget(msg_id),
        6 => session.acknowledge(msg_id),
        _ => {
            let layer = session.introduction().layer;
            let error = RpcError { code: 400, message: format!("METHOD_INVALID_{layer}") };
            session.reply(MOMENT, msg_id, Err(error));
        }
    }
}

/// A packet is salt, session and a message; of several messages it is a container that opens.
fn check_packet(packet: &[u8]) {
    let body = &packet[INNER_HEAD..];
    assert!(body.len().is_multiple_of(4), "{} bytes", body.len());
    assert!(
        constructor(body) != CONTAINER || container::open(body).is_some(),
        "a container that does not open"
    );
}

/// A client that reads the frame has the packet, behind which padded framing has up to three bytes more.
fn check_frame(client: &mut Transport, framing: Option<Framing>, framed: &[u8], packet: &[u8]) {
    if client.framing().is_none() {
        let tag: &[u8] = match framing {
            Some(Framing::Abridged) => &[0xef],
            Some(Framing::Padded) => &[0xdd; 4],
            Some(Framing::Intermediate) => &[0xee; 4],
            // The first frame shows it.
            Some(Framing::Full) | None => &[],
        };
        client.feed(tag);
    }
    client.feed(framed);
    let payload = client.poll_frame().ok().flatten().expect("a whole frame").payload;
    assert!(payload.starts_with(packet) && payload.len() < packet.len() + 4, "another packet");
}
