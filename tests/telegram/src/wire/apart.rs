//! A client's bytes taken apart without a socket and without keys, for the fuzzer.

use std::time::Duration;

use super::container::Message;
use super::exchange::Exchange;
use super::peel::Introduction;
use super::session::{Moment, RpcError, Session, Task};
use super::transport::Transport;

/// Longest frame, as a connection takes it.
const LONGEST: usize = 1 << 20;
/// When all of it happens, since the Unix epoch.
const NOW: Duration = Duration::from_secs(1_700_000_000);
/// What stands before a message's body: identifier and sequence number.
const HEAD: usize = 12;

/// What a stream comes to in readings of `step` bytes: each frame is a step of a key exchange and a message that a session
/// received. Gives the number of frames.
pub fn take_apart(stream: &[u8], step: usize) -> usize {
    let mut transport = Transport::new(LONGEST);
    let mut exchange = Exchange::new(2, 0);
    let mut session = Session::new(1, Introduction::default(), 512);
    let mut frames = 0;
    for reading in stream.chunks(step.max(1)) {
        transport.feed(reading);
        while let Ok(Some(frame)) = transport.poll_frame() {
            frames += 1;
            // Who breaks an exchange is hung up on.
            if exchange.handle(&frame.payload, NOW).is_err() {
                exchange = Exchange::new(2, 0);
            }
            receive(&mut session, &frame.payload);
        }
    }
    frames
}

fn receive(session: &mut Session, payload: &[u8]) {
    let Some((head, body)) = payload.split_first_chunk::<HEAD>() else { return };
    let moment = Moment { now: NOW, salt: 7 };
    let msg_id = i64::from_le_bytes(std::array::from_fn(|at| head[at]));
    let seqno = i32::from_le_bytes(std::array::from_fn(|at| head[8 + at]));
    session.receive(moment, Message { msg_id, seqno, body: body.to_vec() });
    while let Some(task) = session.poll_task() {
        match task {
            Task::Call { msg_id, body } if body.len().is_multiple_of(8) => {
                session.reply(moment, msg_id, Ok(body))
            }
            Task::Call { msg_id, .. } => {
                let error = RpcError { code: 400, message: "METHOD_INVALID".to_owned() };
                session.reply(moment, msg_id, Err(error));
            }
            Task::FutureSalts { msg_id, .. } => session.acknowledge(msg_id),
            Task::DestroySession { .. } | Task::DestroyKey => session.reconnect(),
        }
    }
    while session.poll_packet(moment).is_some() {}
}
