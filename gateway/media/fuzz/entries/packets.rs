//! RTP and RTCP of both sides into the relay of a call, while the call is held, muted, dialled on and agreed anew.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tgtrunk_media::codec::{OPUS, TABLE};
use tgtrunk_media::dtmf::{self, Digit, Way};
use tgtrunk_media::rtp::Packet;
use tgtrunk_media::{Audio, Batch, Latch, Relay, Side, Tone};

use super::script::Script;

/// Plays a script against one relay; whatever it sends must be RTP of ours.
pub fn take(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let how = script.byte();
    let mut line = Line::new(how);
    while let Some(step) = script.step() {
        let side = if step & 0x80 == 0 { Side::Trunk } else { Side::Telegram };
        match step % 8 {
            0 => line.hear(side, script.bytes()),
            1 => {
                let (ahead, ticks, kind) = (script.byte(), script.word(), script.byte());
                line.hear_next(side, ahead, ticks, kind, script.bytes());
            }
            2 => {
                let _ = line.relay.handle_rtcp(line.now, side, script.bytes());
            }
            3 => {
                // A header that is right as far as it goes.
                let (count, kind, body) = (script.byte(), script.byte(), script.bytes());
                let words = (body.len() / 4) as u16;
                let mut report = vec![0x80 | count & 0x3f, 192 + kind % 32];
                report.extend(words.to_be_bytes());
                report.extend_from_slice(&body[..usize::from(words) * 4]);
                let _ = line.relay.handle_rtcp(line.now, side, &report);
            }
            4 => line.sleep(u64::from(script.word()) % 5000),
            5 => line.agree(side, script.byte(), script.byte()),
            6 => {
                let word = script.byte();
                let (now, on) = (line.now, word & 1 == 0);
                match word >> 1 & 3 {
                    0 => line.relay.hold(now, side, on),
                    1 => line.relay.mute(now, side, on),
                    2 => line.relay.excuse(now, side, on),
                    _ => line.relay.watch(now, side, on.then_some(Duration::from_secs(30))),
                }
            }
            _ => {
                let word = script.byte();
                let digits: Vec<Digit> =
                    script.bytes().iter().filter_map(|&code| Digit::from_event_code(code)).collect();
                line.relay.send_digits(
                    line.now,
                    side,
                    &digits,
                    dtmf::TONE,
                    Duration::from_millis(word.into()),
                );
                let ms = |count: u8| Duration::from_millis(u64::from(count) * 5);
                let tone = Tone {
                    frequency_hz: u16::from(word) * 16,
                    second_hz: (word & 1 == 0).then_some(u16::from(word)),
                    below_dbm0: word % 40,
                    cadence: [(ms(word), ms(word / 2)), (ms(word % 7), ms(word % 5))],
                };
                line.relay.play(line.now, side, (word != 0).then_some(tone));
            }
        }
        line.drain();
    }
    let (mut goodbye, now) = (Vec::new(), line.now);
    line.relay.bye(now, Side::Trunk, &mut goodbye);
}

struct Line {
    relay: Relay,
    latch: Latch,
    now: Instant,
    sent: Batch,
    /// Sequence and timestamp of each side's next packet.
    next: [(u16, u32); 2],
    /// So often something still comes due while the call sleeps.
    ticks: u32,
}

/// How often something comes due in one script: every sound that goes on is 50 packets a second, each of them encoded.
const TICKS: u32 = 100;

impl Line {
    fn new(how: u8) -> Self {
        let now = Instant::now();
        let peer = SocketAddr::from(([127, 0, 0, 1], 4000));
        let mut line = Self {
            relay: Relay::new(7),
            latch: Latch::new(now, peer.ip(), peer, 96),
            now,
            sent: Batch::default(),
            next: [(65_530, 0xffff_f000), (1, 1)],
            ticks: TICKS,
        };
        line.agree(Side::Trunk, how, how >> 4);
        line.agree(Side::Telegram, 0, how >> 6);
        line.relay.report_to(now, Side::Trunk, 3, "us".to_owned());
        line.relay.report_to(now, Side::Telegram, 4, "us".to_owned());
        line.relay.watch(now, Side::Trunk, Some(Duration::from_secs(30)));
        line
    }

    fn agree(&mut self, side: Side, which: u8, how: u8) {
        let codec = match side {
            Side::Trunk => TABLE[usize::from(which) % TABLE.len()],
            Side::Telegram => &OPUS,
        };
        let mut audio = Audio::new(codec, 96, if side == Side::Trunk { 1 } else { 2 });
        audio.encoder.complexity = 0;
        audio.ptime_ms = [audio.ptime_ms, 10, 60, 40][usize::from(how & 3)];
        audio.maxptime_ms = (how & 4 != 0).then_some(20);
        audio.events = (how & 8 == 0).then_some(dtmf::Format {
            payload_type: 101,
            receive_payload_type: 101,
            clock_hz: if how & 16 == 0 { codec.clock_hz } else { 8_000 },
        });
        audio.digits = [Way::Rfc4733, Way::Info, Way::InBand][usize::from(how >> 5) % 3];
        self.relay.set_audio(side, audio);
    }

    fn hear(&mut self, side: Side, datagram: &[u8]) {
        self.latch.accept(self.now, SocketAddr::from(([127, 0, 0, 1], 4000)), datagram);
        self.relay.handle_packet(self.now, side, datagram, &mut self.sent);
    }

    fn hear_next(&mut self, side: Side, ahead: u8, ticks: u16, kind: u8, payload: &[u8]) {
        let next = &mut self.next[usize::from(side == Side::Telegram)];
        next.0 = next.0.wrapping_add_signed((ahead as i8).into());
        next.1 = next.1.wrapping_add(ticks.into());
        let packet = Packet {
            marker: kind & 0x80 != 0,
            payload_type: if kind & 7 == 7 { 101 } else { 96 },
            sequence: next.0,
            timestamp: next.1,
            ssrc: (kind >> 3 & 3).into(),
            payload,
        };
        let mut datagram = Vec::new();
        packet.write(&mut datagram);
        self.hear(side, &datagram);
    }

    fn sleep(&mut self, ms: u64) {
        let until = self.now + Duration::from_millis(ms);
        while let Some((due, why)) = self.relay.poll_timeout().filter(|(due, _)| *due <= until) {
            assert!(!why.is_empty());
            let Some(left) = self.ticks.checked_sub(1) else { break };
            self.ticks = left;
            self.now = self.now.max(due);
            self.relay.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
    }

    fn drain(&mut self) {
        for packet in self.sent.iter() {
            check(packet);
        }
        self.sent.clear();
        let mut out = Vec::new();
        while self.relay.poll_packet(&mut out).is_some() {
            check(&out);
        }
        while self.relay.poll_rtcp(&mut out).is_some() {
            assert!(tgtrunk_media::rtp::is_rtcp(&out));
        }
        while self.relay.poll_event().is_some() {}
        for side in [Side::Trunk, Side::Telegram] {
            let _ = self.relay.quality(side);
        }
    }
}

fn check(packet: &[u8]) {
    let packet = Packet::read(packet).expect("what we send is RTP");
    assert!([1, 2].contains(&packet.ssrc) && [96, 101].contains(&packet.payload_type));
    assert!(!packet.payload.is_empty());
}
