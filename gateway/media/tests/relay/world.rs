//! Two phones, a relay between them, and a clock that jumps from one thing that is due to the next.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tgtrunk_media::codec::{Codec, Decoder, Encoder, EncoderSettings, OPUS};
use tgtrunk_media::rtp::Packet;
use tgtrunk_media::{Audio, Batch, Event, Outcome, Relay, Side};

/// Chance with a seed (SplitMix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// A phone that talks.
pub(crate) struct Talker {
    codec: &'static Codec,
    sample_hz: u32,
    encoder: Box<dyn Encoder>,
    ptime: Duration,
    payload_type: u8,
    sequence: u16,
    samples: u64,
    ssrc: u32,
    pub(crate) silent: bool,
}

/// Who talks, by what phone, and what they say.
pub(crate) type Voice = (Side, Talker, Box<dyn Fn(u64) -> i16>);

/// What a phone gets.
#[derive(Debug, Clone)]
pub(crate) struct Got {
    pub(crate) at: Duration,
    pub(crate) marker: bool,
    pub(crate) payload_type: u8,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) payload: Vec<u8>,
}

pub(crate) struct World {
    pub(crate) relay: Relay,
    pub(crate) start: Instant,
    pub(crate) now: Instant,
    pub(crate) trunk: Vec<Got>,
    pub(crate) telegram: Vec<Got>,
    pub(crate) events: Vec<Event>,
    pub(crate) reports: Vec<(Side, Vec<u8>)>,
    wire: BTreeMap<(Instant, u64), (Side, Vec<u8>)>,
    sent: u64,
    batch: Batch,
}

impl Talker {
    pub(crate) fn new(codec: &'static Codec, ptime_ms: u64, payload_type: u8) -> Self {
        let encoder = codec.encoder(codec.sample_hz, EncoderSettings::default()).unwrap();
        Self {
            codec,
            sample_hz: codec.sample_hz,
            encoder,
            ptime: Duration::from_millis(ptime_ms),
            payload_type,
            sequence: 65_500,
            samples: 0,
            ssrc: 0xaaaa,
            silent: false,
        }
    }

    /// The next packet of a sound; silent phones let time pass.
    pub(crate) fn packet(&mut self, sound: &dyn Fn(u64) -> i16) -> Option<Vec<u8>> {
        let count = self.ptime.as_millis() as u64 * u64::from(self.sample_hz) / 1000;
        let begin = self.samples;
        self.samples += count;
        if self.silent {
            return None;
        }
        let pcm: Vec<i16> = (begin..begin + count).map(sound).collect();
        let mut payload = Vec::new();
        // Telegram's packets of 60 ms are three frames, not one.
        if *self.codec == OPUS && self.ptime.as_millis() == 60 {
            let parts: Vec<Vec<u8>> = pcm
                .chunks(pcm.len() / 3)
                .map(|part| {
                    let mut out = Vec::new();
                    self.encoder.encode(part, &mut out);
                    out
                })
                .collect();
            payload = three(&parts);
        } else {
            self.encoder.encode(&pcm, &mut payload);
        }
        let timestamp = (begin * u64::from(self.codec.clock_hz) / u64::from(self.sample_hz)) as u32;
        let mut rtp = Vec::new();
        Packet {
            marker: false,
            payload_type: self.payload_type,
            sequence: self.sequence,
            timestamp: timestamp.wrapping_add(4_294_000_000),
            ssrc: self.ssrc,
            payload: &payload,
        }
        .write(&mut rtp);
        self.sequence = self.sequence.wrapping_add(1);
        Some(rtp)
    }

    pub(crate) fn ptime(&self) -> Duration {
        self.ptime
    }
}

/// Three packets of one frame each as one of three (RFC 6716 section 3.2.5); a change of mode keeps them apart.
fn three(parts: &[Vec<u8>]) -> Vec<u8> {
    let toc = parts[0][0];
    let mut packet = vec![toc | 3, 0x80 | 3];
    for part in &parts[..2] {
        let length = part.len() - 1;
        if length < 252 {
            packet.push(length as u8);
        } else {
            packet.extend([252 + (length & 3) as u8, ((length - 252 - (length & 3)) / 4) as u8]);
        }
    }
    for part in parts {
        assert_eq!(part[0], toc, "the encoder changed its mode inside 60 ms");
        packet.extend(&part[1..]);
    }
    packet
}

impl World {
    pub(crate) fn new(seed: u64, trunk: Audio, telegram: Audio) -> Self {
        let start = Instant::now();
        let mut relay = Relay::new(seed);
        relay.set_audio(Side::Trunk, trunk);
        relay.set_audio(Side::Telegram, telegram);
        Self {
            relay,
            start,
            now: start,
            trunk: Vec::new(),
            telegram: Vec::new(),
            events: Vec::new(),
            reports: Vec::new(),
            wire: BTreeMap::new(),
            sent: 0,
            batch: Batch::default(),
        }
    }

    /// Opus of 60 ms at Telegram, this codec at the trunk.
    pub(crate) fn with(seed: u64, codec: &'static Codec) -> Self {
        let payload_type = codec.static_payload_type.unwrap_or(codec.offered_payload_type);
        Self::new(seed, Audio::new(codec, payload_type, 0x1111), Audio::new(&OPUS, 111, 0x2222))
    }

    /// A datagram that a side sends, arriving later.
    pub(crate) fn send(&mut self, from: Side, after: Duration, rtp: Vec<u8>) {
        self.sent += 1;
        self.wire.insert((self.now + after, self.sent), (from, rtp));
    }

    /// Lets the clock run for a while.
    pub(crate) fn run(&mut self, time: Duration) {
        let until = self.now + time;
        self.serve();
        loop {
            let due = self.relay.poll_timeout().map(|(at, _)| at.max(self.now));
            let arrives = self.wire.first_key_value().map(|((at, _), _)| *at);
            let Some(next) = due.into_iter().chain(arrives).min().filter(|next| *next <= until) else {
                break;
            };
            self.now = self.now.max(next);
            if arrives.is_some_and(|at| at <= self.now) {
                let Some((_, (from, rtp))) = self.wire.pop_first() else { break };
                self.batch.clear();
                let outcome = self.relay.handle_packet(self.now, from, &rtp, &mut self.batch);
                assert!(outcome == Outcome::Sent || self.batch.is_empty());
                let packets: Vec<_> = self.batch.iter().map(<[u8]>::to_vec).collect();
                for packet in packets {
                    self.deliver(from.other(), &packet);
                }
            }
            self.serve();
        }
        self.now = until;
    }

    /// Lets both phones talk for a while, through networks that give each packet a delay or lose it.
    pub(crate) fn talk(
        &mut self,
        time: Duration,
        talkers: &mut [Voice],
        network: &mut dyn FnMut(Side) -> Option<Duration>,
    ) {
        let mut due: Vec<Instant> = talkers.iter().map(|_| self.now).collect();
        let until = self.now + time;
        while let Some((at, which)) = due.iter().copied().zip(0..).min().filter(|(at, _)| *at < until) {
            self.run(at.saturating_duration_since(self.now));
            let (side, talker, sound) = &mut talkers[which];
            due[which] = at + talker.ptime();
            let side = *side;
            if let Some(rtp) = talker.packet(sound)
                && let Some(delay) = network(side)
            {
                self.send(side, delay, rtp);
            }
        }
        self.run(until.saturating_duration_since(self.now));
    }

    fn serve(&mut self) {
        if self.relay.poll_timeout().is_some_and(|(at, _)| at <= self.now) {
            self.relay.handle_timeout(self.now);
            let mut packet = Vec::new();
            while let Some(side) = self.relay.poll_packet(&mut packet) {
                let packet = packet.clone();
                self.deliver(side, &packet);
            }
            while let Some(side) = self.relay.poll_rtcp(&mut packet) {
                self.reports.push((side, packet.clone()));
            }
        }
        while let Some(event) = self.relay.poll_event() {
            self.events.push(event);
        }
    }

    fn deliver(&mut self, side: Side, bytes: &[u8]) {
        let packet = Packet::read(bytes).unwrap();
        let ssrc = match side {
            Side::Trunk => 0x1111,
            Side::Telegram => 0x2222,
        };
        assert_eq!(packet.ssrc, ssrc);
        let got = Got {
            at: self.now.duration_since(self.start),
            marker: packet.marker,
            payload_type: packet.payload_type,
            sequence: packet.sequence,
            timestamp: packet.timestamp,
            payload: packet.payload.to_vec(),
        };
        match side {
            Side::Trunk => self.trunk.push(got),
            Side::Telegram => self.telegram.push(got),
        }
    }
}

/// Decodes what a phone got, in order, each packet at its timestamp; what is missing is silent.
pub(crate) fn hear(got: &[Got], codec: &'static Codec, sample_hz: u32) -> Vec<i16> {
    let mut decoder: Box<dyn Decoder> = codec.decoder(sample_hz).unwrap();
    let mut pcm: Vec<i16> = Vec::new();
    let Some(first) = got.first() else { return pcm };
    for packet in got {
        let ticks = u64::from(packet.timestamp.wrapping_sub(first.timestamp));
        let begin = (ticks * u64::from(sample_hz) / u64::from(codec.clock_hz)) as usize;
        assert!(begin >= pcm.len(), "a packet begins inside the one before it: {begin} {}", pcm.len());
        assert!(begin < pcm.len() + 60 * sample_hz as usize, "a hole of more than a minute");
        pcm.resize(begin, 0);
        decoder.decode(&packet.payload, &mut pcm).unwrap();
    }
    pcm
}

/// That numbers go up by one and timestamps never back.
pub(crate) fn assert_unbroken(got: &[Got]) {
    for pair in got.windows(2) {
        assert_eq!(pair[1].sequence.wrapping_sub(pair[0].sequence), 1, "{pair:?}");
        assert!((pair[1].timestamp.wrapping_sub(pair[0].timestamp) as i32) >= 0, "{pair:?}");
    }
}

pub(crate) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
