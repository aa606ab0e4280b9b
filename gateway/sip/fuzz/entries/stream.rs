//! Streams of a hostile PBX: cut into messages, in readings as long as the script says, and heard by a line.

use std::time::Instant;

use tgtrunk_sip::{Availability, Config, Endpoint, Frame, Framer, Transport};

use super::config::config;
use super::script::Script;

const PBX: &str = "127.0.0.1:5060";
/// Longest message that is taken.
const MESSAGE_BYTES: usize = 32 * 1024;

/// Hears the script as one stream; the same bytes in one reading give the same frames.
pub fn take(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let step = usize::from(script.word()).max(1);
    let stream = script.rest();
    let now = Instant::now();
    let cut = frames(now, stream.chunks(step));
    let whole = frames(now, std::iter::once(stream));
    // Where the place is lost, and with how much of a head, depends on what had come by then.
    let sound = |frames: &[Frame]| {
        let sound = frames.iter().take_while(|frame| !matches!(frame, Frame::Broken(_)));
        sound.filter(|frame| matches!(frame, Frame::Message(_))).count()
    };
    assert_eq!(sound(&cut), sound(&whole));
    let mut line = line(now);
    for frame in &cut {
        if let Frame::Message(message) = frame {
            assert!(message.len() <= MESSAGE_BYTES);
        }
        line.handle_frame(now, Transport::Tcp, PBX.parse().unwrap(), frame);
        while line.poll_transmit().is_some() {}
    }
}

fn frames<'a>(now: Instant, readings: impl Iterator<Item = &'a [u8]>) -> Vec<Frame> {
    let mut framer = Framer::new(now);
    let mut frames = Vec::new();
    for reading in readings {
        framer.handle(now, reading);
        frames.extend(std::iter::from_fn(|| framer.poll_frame()));
        assert!(framer.poll_timeout() > now);
    }
    frames
}

fn line(now: Instant) -> Endpoint {
    let config = Config { transport: Transport::Tcp, ..config("127.0.0.1:30001", PBX) };
    let mut line = Endpoint::new(config, now);
    line.set_availability(Availability::Up);
    line
}
