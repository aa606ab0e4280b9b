//! The sound of one call: packets from either side through the relay, what the relay makes by itself, and keys.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tgcall::Received;
use tgtrunk_bridge::{Cause, Event, Leg};
use tgtrunk_config::control::{Quality, Refusal, RefusalCode};
use tgtrunk_media::codec::EncoderSettings;
use tgtrunk_media::dtmf::info::Form;
use tgtrunk_media::dtmf::{self, Digit, Press, Way};
use tgtrunk_media::{Audio, Event as Heard, Outcome, Side, TAIL_BYTES, codec};
use tgtrunk_sip::{Direction, RemoteAudio};

use super::{Said, State, Task};
use crate::call::quality::{self, Refused, Spoken};
use crate::call::streams::StreamNews;
use crate::call::trunk_leg::{SipWord, TrunkLeg};
use crate::clock;
use crate::plane::Desk;

/// Names of keys pressed that a call remembers; the oldest goes first.
const DIALLED: usize = 64;
/// What we encode for Telegram holds so much sound: its own applications send 60 ms, and take anything.
const TELEGRAM_PTIME_MS: u32 = 20;
/// How long a PBX that announced something may be silent before the caller hears ringing instead.
const PATIENCE: Duration = Duration::from_millis(500);

/// Where a socket of a call stands.
#[derive(Debug, Clone, Copy)]
enum Place {
    Trunk,
    TrunkReports,
    Telegram,
}

// Packets are encrypted where the relay wrote them.
const _: () = assert!(TAIL_BYTES >= tgcall::srtp::TAIL_BYTES);

impl Task {
    /// Takes packets that came to one of the legs' sockets; whether they were nothing but sound that passes.
    pub(super) fn take_packets(&mut self, now: Instant, socket: usize, came: usize, desk: &mut Desk) -> bool {
        let Some((from, local)) = self.place_of(socket) else { return true };
        let mut is_sound_alone = true;
        for number in 0..came {
            let Some((source, datagram)) = desk.inbox.datagram(number) else { continue };
            is_sound_alone &= match from {
                Place::Trunk => self.take_from_trunk(now, source, datagram),
                Place::TrunkReports => self.take_report(now, source, datagram),
                Place::Telegram => self.take_from_telegram(now, local, source, datagram),
            };
        }
        is_sound_alone
    }

    /// Where a socket stands, and its address. A leg that is not heard has its sockets, too.
    fn place_of(&self, socket: usize) -> Option<(Place, SocketAddr)> {
        if let Some(pair) = self.trunk.sockets() {
            for (port, place) in [(&pair.rtp, Place::Trunk), (&pair.rtcp, Place::TrunkReports)] {
                if port.is(socket) {
                    return Some((place, port.local()));
                }
            }
        }
        self.telegram.ports.local_of(socket).map(|local| (Place::Telegram, local))
    }

    pub(super) fn take_from_telegram(
        &mut self,
        now: Instant,
        local: SocketAddr,
        source: SocketAddr,
        datagram: &mut [u8],
    ) -> bool {
        let Some(media) = &mut self.telegram.media else { return true };
        if let Ok(sound) = media.open(now, source, local, datagram) {
            return sound.is_none_or(|rtp| self.hear_telegram(now, rtp));
        }
        match media.handle_datagram(now, source, local, datagram) {
            Some(Received::Rtp(rtp)) => {
                let passed = self.hear_telegram(now, rtp);
                self.telegram.drain_media();
                passed
            }
            other => {
                let _entered = self.span.clone().entered();
                if let Some(Received::Rtcp(rtcp)) = other {
                    self.hear_report(now, Side::Telegram, rtcp);
                }
                self.telegram.drain_media();
                false
            }
        }
    }

    pub(super) fn take_from_relay(&mut self, now: Instant, news: &StreamNews, bytes: &[u8]) {
        self.telegram.handle_stream(now, news, bytes);
        let mut packet = std::mem::take(&mut self.outgoing);
        while let Some(media) = &mut self.telegram.media {
            // The packet lies in the call's own buffer, which is needed again before the sound has gone on.
            packet.clear();
            let is_sound = match media.poll_stream_media(now) {
                Some(Received::Rtp(rtp)) => {
                    packet.extend_from_slice(rtp);
                    true
                }
                Some(Received::Rtcp(rtcp)) => {
                    packet.extend_from_slice(rtcp);
                    false
                }
                None => break,
            };
            if is_sound {
                self.hear_telegram(now, &packet);
            } else {
                self.hear_report(now, Side::Telegram, &packet);
            }
        }
        self.outgoing = packet;
        self.telegram.drain_media();
    }

    /// A packet of the Telegram user's sound; whether it led to nothing else.
    fn hear_telegram(&mut self, now: Instant, rtp: &[u8]) -> bool {
        if !self.joined && !self.trunk_listens {
            return true;
        }
        self.tape.take(now, Side::Telegram, rtp);
        self.batch.clear();
        let outcome = match self.trunk {
            TrunkLeg::Echo => {
                let outcome = self.relay.handle_packet(now, Side::Trunk, rtp, &mut self.batch);
                self.send_batch_to_telegram(now);
                outcome
            }
            TrunkLeg::Pbx(_) => {
                let outcome = self.relay.handle_packet(now, Side::Telegram, rtp, &mut self.batch);
                for number in 0..self.batch.len() {
                    let Some((room, length)) = self.batch.room(number) else { break };
                    self.trunk.send(room, length);
                }
                outcome
            }
        };
        self.tell_heard(now);
        is_sound(outcome)
    }

    fn take_from_trunk(&mut self, now: Instant, source: SocketAddr, datagram: &mut [u8]) -> bool {
        let flows = self.joined && !self.is_left();
        let Some(packet) = self.trunk.open_rtp(now, source, datagram).filter(|_| flows) else { return true };
        self.batch.clear();
        let outcome = self.relay.handle_packet(now, Side::Trunk, packet, &mut self.batch);
        self.send_batch_to_telegram(now);
        self.tell_heard(now);
        is_sound(outcome)
    }

    fn take_report(&mut self, now: Instant, source: SocketAddr, datagram: &mut [u8]) -> bool {
        if let Some(report) = self.trunk.open_rtcp(source, datagram) {
            let _entered = self.span.clone().entered();
            self.hear_report(now, Side::Trunk, report);
        }
        false
    }

    fn hear_report(&mut self, now: Instant, from: Side, rtcp: &[u8]) {
        if let Err(error) = self.relay.handle_rtcp(now, from, rtcp) {
            tracing::trace!(?from, %error, "RTCP not understood");
        }
    }

    fn send_batch_to_telegram(&mut self, now: Instant) {
        for number in 0..self.batch.len() {
            let Some((room, length)) = self.batch.room(number) else { break };
            self.tape.take(now, Side::Trunk, &room[..length]);
            self.telegram.send_rtp_in(now, room, length, &mut self.outgoing);
        }
    }

    /// Sends what the clock has the relay make: decoded sound, tones, keys, silence.
    pub(super) fn play(&mut self, now: Instant) {
        self.relay.handle_timeout(now);
        while let Some(side) = self.relay.poll_packet(&mut self.outgoing) {
            match side {
                Side::Trunk => {
                    let length = self.outgoing.len();
                    self.outgoing.resize(length + TAIL_BYTES, 0);
                    self.trunk.send(&mut self.outgoing, length);
                }
                Side::Telegram => {
                    self.tape.take(now, Side::Trunk, &self.outgoing);
                    self.telegram.send_rtp(now, &mut self.outgoing);
                }
            }
        }
        while let Some(side) = self.relay.poll_rtcp(&mut self.outgoing) {
            self.send_report(now, side);
            self.show_quality();
        }
        self.tell_heard(now);
    }

    /// The caller hears what the PBX plays, or that it rings.
    pub(super) fn join_early(&mut self, now: Instant) {
        self.joined = true;
        // What the PBX said it would play may begin a little later, or never.
        self.ringback_at = Some(if self.trunk_plays { now + PATIENCE } else { now });
        self.progress(State::Ringing);
    }

    /// Lets a caller who hears nothing hear that it rings.
    pub(super) fn ring_back(&mut self, now: Instant) {
        if self.ringback_at.take_if(|at| *at <= now).is_some()
            && self.relay.quality(Side::Trunk).packets_in == 0
        {
            self.relay.play(now, Side::Telegram, self.limits.ringback);
        }
    }

    /// Says goodbye to both sides' media.
    pub(super) fn say_bye(&mut self, now: Instant) {
        for side in [Side::Trunk, Side::Telegram] {
            self.outgoing.clear();
            if self.relay.bye(now, side, &mut self.outgoing) {
                self.send_report(now, side);
            }
        }
    }

    fn send_report(&mut self, now: Instant, side: Side) {
        match side {
            Side::Trunk => self.trunk.send_rtcp(&mut self.outgoing),
            Side::Telegram => self.telegram.send_rtcp(now, &mut self.outgoing),
        }
    }

    fn tell_heard(&mut self, now: Instant) {
        while let Some(heard) = self.relay.poll_event() {
            let _entered = self.span.clone().entered();
            match heard {
                Heard::Lost(side) => {
                    let limit_s = self.limits.media_timeout.as_secs();
                    tracing::info!(?side, limit_s, "no audio came any more");
                    self.bridge.handle(now, Event::Fails(Leg::Trunk, Cause::MediaLost));
                }
                Heard::Digit { from, press, way } => self.pressed(now, from, press, way),
                Heard::SendInfo { to: Side::Trunk, press } => {
                    self.info.1 = Some(press);
                    let form = self.info.0;
                    self.words.push(Said::Sip(SipWord::Info(form, form.write(press))));
                }
                Heard::SendInfo { to: Side::Telegram, .. } => {}
                Heard::DigitsSent(side) => tracing::debug!(?side, "keys sent"),
            }
        }
    }

    /// Dials keys to the PBX, all of them or none.
    pub(super) fn dial_keys(
        &mut self,
        now: Instant,
        digits: &[Digit],
        (tone, pause): (Duration, Duration),
        key: Option<String>,
    ) -> Result<(), Refusal> {
        if key.as_ref().is_some_and(|key| self.dialled.contains(key)) {
            return Ok(());
        }
        let refusal = |code, message: &str| Err(Refusal { code, message: message.to_owned() });
        match self.relay.room_for_digits(Side::Trunk).filter(|_| self.trunk_speaks.is_some()) {
            None => refusal(RefusalCode::NoAudio, "the call has no audio to the PBX yet"),
            Some(room) if room < digits.len() => {
                refusal(RefusalCode::Full, "too many keys of this call wait already")
            }
            Some(_) => {
                self.relay.send_digits(now, Side::Trunk, digits, tone, pause);
                if let Some(key) = key {
                    if self.dialled.len() >= DIALLED {
                        self.dialled.pop_front();
                    }
                    self.dialled.push_back(key);
                }
                self.play(now);
                Ok(())
            }
        }
    }

    /// A PBX that takes keys in the other form of INFO gets them in that one from now on.
    pub(super) fn key_refused(&mut self, status: u16) {
        match self.info {
            (Form::Relay, Some(press)) if status == 415 => {
                tracing::debug!("the PBX takes no application/dtmf-relay");
                self.info = (Form::Plain, Some(press));
                self.words.push(Said::Sip(SipWord::Info(Form::Plain, Form::Plain.write(press))));
            }
            (form, Some(_)) => {
                tracing::warn!(
                    status,
                    "the PBX refuses keys in INFO: dtmf in line.toml may be set otherwise"
                );
                self.info = (form, None);
            }
            (_, None) => tracing::debug!(status, "the PBX refused another key"),
        }
    }

    /// A key that one side pressed: the line tells of it, and the other side hears it.
    pub(super) fn pressed(&mut self, now: Instant, from: Side, press: Press, way: Way) {
        tracing::debug!(?from, ?way, held_ms = press.duration.as_millis(), "key");
        self.words.push(Said::Digit(from, press, way));
        // Keys that are tones already pass with the sound; Telegram has no other ones.
        if from == Side::Trunk && way != Way::InBand && self.joined {
            let tone = press.duration.max(dtmf::TONE);
            self.relay.send_digits(now, Side::Telegram, &[press.digit], tone, dtmf::PAUSE);
        }
    }

    pub(super) fn set_trunk_audio(&mut self, now: Instant, remote: RemoteAudio) {
        let packet_ms = remote.packet_ms();
        let (direction, listens) = (remote.direction, remote.listens());
        let audio = Audio {
            ptime_ms: packet_ms,
            maxptime_ms: remote.maxptime_ms,
            receive_payload_type: Some(remote.receive_payload_type),
            events: remote.telephone_event.map(|event| dtmf::Format {
                payload_type: event.payload_type,
                receive_payload_type: event.receive_payload_type,
                clock_hz: event.clock_hz,
            }),
            ..Audio::new(remote.codec, remote.payload_type, self.trunk_ssrc)
        };
        self.trunk.set_remote(now, remote);
        let audio = Audio { digits: self.trunk.dtmf_way(), encoder: self.encoder(), ..audio };
        self.relay.set_audio(Side::Trunk, audio);
        if self.trunk_speaks.replace(Spoken::from(&audio)).is_none() {
            self.begin_reports(now, Side::Trunk);
        }
        self.relay.hold(now, Side::Trunk, !listens);
        self.relay.excuse(now, Side::Trunk, !matches!(direction, Direction::SendRecv));
        let mutes = matches!(direction, Direction::RecvOnly | Direction::Inactive);
        if self.muted.trunk != mutes {
            self.muted.trunk = mutes;
            self.tell_trunk_mute(now);
            self.progress(State::Unchanged);
        }
    }

    /// Has the Telegram user's device show what is known of the PBX's microphone.
    pub(super) fn tell_trunk_mute(&mut self, now: Instant) {
        if let Some(media) = &mut self.telegram.media {
            media.set_muted(now, self.muted.trunk);
            self.telegram.drain_media();
        }
    }

    pub(super) fn set_telegram_audio(&mut self, now: Instant) {
        let Some(format) = self.telegram.media.as_ref().and_then(tgcall::Call::outgoing) else { return };
        let audio = Audio {
            ptime_ms: TELEGRAM_PTIME_MS,
            encoder: self.encoder(),
            ..Audio::new(&codec::OPUS, format.payload_type, format.ssrc)
        };
        self.relay.set_audio(Side::Telegram, audio);
        if matches!(self.trunk, TrunkLeg::Echo) {
            self.relay.set_audio(Side::Trunk, audio);
        }
        if self.telegram_speaks.replace(Spoken::from(&audio)).is_none() {
            self.begin_reports(now, Side::Telegram);
        }
    }

    fn begin_reports(&mut self, now: Instant, side: Side) {
        // A name for this call and leg alone (RFC 7022 section 4.2).
        let cname = format!("{:016x}", u64::from_le_bytes(clock::random()));
        self.relay.report_to(now, side, u64::from_le_bytes(clock::random()), cname);
    }

    /// How both legs are now.
    pub(super) fn quality(&mut self) -> Quality {
        let path = self.telegram.path();
        let refused = Refused { telegram: self.telegram.refused(), pbx: self.trunk.refused() };
        quality::of_call(&self.relay, self.telegram_speaks, self.trunk_speaks, refused, path.as_ref())
    }

    fn show_quality(&mut self) {
        let quality = self.quality();
        self.shown.send_replace(Some(quality));
    }

    pub(super) fn telegram_mutes(&mut self, now: Instant, muted: bool) {
        tracing::debug!(muted, "the Telegram user's microphone");
        self.muted.telegram = muted;
        if self.limits.comfort {
            self.relay.mute(now, Side::Telegram, muted);
            self.play(now);
        }
        self.progress(State::Unchanged);
    }

    fn encoder(&self) -> EncoderSettings {
        EncoderSettings { complexity: self.limits.opus_complexity, ..EncoderSettings::default() }
    }
}

/// Whether a packet was sound and led to nothing else, but that what is encoded may be due.
fn is_sound(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Sent | Outcome::Waits => true,
        Outcome::Dropped(_) => false,
    }
}
