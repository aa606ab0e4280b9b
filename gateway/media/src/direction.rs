//! One direction of a call: what one side says, and what we say ourselves, leaves towards the other under our numbers.
//!
//! The outgoing sequence and timestamp begin at random and run on over everything that breaks the incoming ones: a new
//! SSRC, a sender that began anew, a hold, a re-offer, a digit, another codec. Where both sides speak one codec, packets
//! pass at once; where they do not, the direction opens a studio. Passing carries nothing of it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::audio::Audio;
use crate::batch::Batch;
use crate::codec::OPUS;
use crate::comfort::Silent;
use crate::dtmf::{self, Digit, Receiver, Way};
use crate::event::Event;
use crate::jitter::duration;
use crate::keys::Keys;
use crate::meter::Meter;
use crate::numbers::Numbers;
use crate::pass;
use crate::playout::Playout;
use crate::quality::Reception;
use crate::relay::{Outcome, Side};
use crate::report::{Counters, Reason};
use crate::rtp::Packet;
use crate::source::{Course, Kind, Source};
use crate::studio::{self, Studio};
use crate::tone::Tone;

/// Digits that may wait where none waits yet.
const MOST_DIGITS: usize = 256;

/// A clock that is served later than this goes on from then.
const PATIENCE: Duration = Duration::from_millis(200);
/// Comfort silence waits so long for packets that are still on their way.
const COMFORT_WAIT: Duration = Duration::from_millis(60);

#[derive(Debug)]
pub(crate) struct Direction {
    to: Side,
    /// What the side takes that this leads to.
    outgoing: Option<Audio>,
    /// What the side sends that this comes from.
    incoming: Option<Audio>,
    source: Source,
    numbers: Numbers,
    counters: Counters,
    held: bool,
    muted: bool,
    /// When the next packet of silence is due.
    comfort: Option<Instant>,
    /// Packets came that must be decoded though both sides speak one codec.
    too_long: bool,
    studio: Option<Box<Studio>>,
    /// A moment of the beat on which studios start.
    beat: Option<Instant>,
    /// A tone that waits for the side to agree on its audio.
    tone: Option<(Instant, Tone)>,
    keys: Option<Box<Keys>>,
    dials: bool,
    receiver: Option<Box<Receiver>>,
    /// Only while somebody watches.
    meter: Option<Box<Meter>>,
}

impl Direction {
    pub(crate) fn new(to: Side, random: u64) -> Self {
        Self {
            to,
            outgoing: None,
            incoming: None,
            source: Source::default(),
            numbers: Numbers::new(random, OPUS.clock_hz),
            counters: Counters::default(),
            held: false,
            muted: false,
            comfort: None,
            too_long: false,
            studio: None,
            beat: None,
            tone: None,
            keys: None,
            dials: false,
            receiver: None,
            meter: None,
        }
    }

    /// What is encoded starts on the beat that `moment` belongs to.
    pub(crate) fn set_beat(&mut self, moment: Instant) {
        self.beat = Some(moment);
    }

    pub(crate) fn counters(&self) -> Counters {
        let playout = self.studio.as_ref().and_then(|studio| studio.playout.as_ref());
        let playback = playout.map_or(self.counters.playback, Playout::playback);
        Counters { playback, ..self.counters }
    }

    /// The side that this leads to has agreed on something new.
    pub(crate) fn set_outgoing(&mut self, audio: Audio) {
        if let (Some(keys), Some(events)) = (&mut self.keys, audio.events)
            && let Keys::Events(sender) = &mut **keys
        {
            sender.set_format(events, Duration::from_millis(audio.ptime_ms.into()));
        }
        self.numbers.set_clock(audio.codec.clock_hz);
        self.outgoing = Some(audio);
        self.arrange();
        if let Some((since, tone)) = self.tone.take() {
            self.play(since, Some(tone));
        }
    }

    /// The side that this comes from has agreed on something new.
    pub(crate) fn set_incoming(&mut self, audio: Audio) {
        match (&mut self.receiver, audio.events) {
            (Some(receiver), Some(events)) => receiver.set_format(events),
            (receiver, events) => *receiver = events.map(|events| Box::new(Receiver::new(events))),
        }
        self.incoming = Some(audio);
        if let Some(meter) = &mut self.meter {
            meter.set_codec(audio.codec);
        }
        self.arrange();
    }

    /// Whether the level of what comes is measured.
    pub(crate) fn meter(&mut self, is_watched: bool) {
        let codec = self.incoming.map_or(&OPUS, |audio| audio.codec);
        self.meter = is_watched.then(|| Box::new(Meter::new(codec)));
    }

    /// The level of what came since this was asked last.
    pub(crate) fn level(&mut self) -> Option<u8> {
        self.meter.as_mut().map(|meter| meter.take())
    }

    /// Somebody else speaks from now on.
    pub(crate) fn replace_source(&mut self) {
        self.source.replace();
    }

    pub(crate) fn hold(&mut self, now: Instant, held: bool) {
        let ends = self.held && !held;
        self.held = held;
        if held {
            self.source.break_off();
        }
        let goes_on = self.decodes() && (self.muted || self.to == Side::Trunk && self.numbers.has_begun());
        match &mut self.studio {
            Some(studio) if held => studio.flush(),
            Some(studio) if ends && (goes_on || studio.has_own_sound()) => studio.start(now),
            Some(_) | None => {}
        }
    }

    /// The side that this comes from said that it is muted, or no more.
    pub(crate) fn mute(&mut self, now: Instant, muted: bool) {
        self.muted = muted;
        self.comfort = muted.then(|| self.comfort_due(now));
        if let (true, Some(studio)) = (muted && self.decodes(), &mut self.studio) {
            studio.start(now);
        }
    }

    pub(crate) fn play(&mut self, now: Instant, tone: Option<Tone>) {
        if self.outgoing.is_none() {
            self.tone = tone.map(|tone| (now, tone));
            return;
        }
        if tone.is_some() {
            self.open_studio();
        }
        if let Some(studio) = &mut self.studio {
            studio.play(tone);
            if tone.is_some() {
                studio.start(now);
            }
        }
    }

    /// Sounds a tone for so long in the place of what is said; nothing before anything was agreed.
    pub(crate) fn beep(&mut self, now: Instant, tone: Tone, length: Duration) {
        if self.held {
            return;
        }
        self.open_studio();
        if let Some(studio) = &mut self.studio {
            studio.beep(tone, length);
            studio.start(now);
        }
    }

    /// How many digits may be sent now; `None` before anything was agreed.
    pub(crate) fn room_for_digits(&mut self) -> Option<usize> {
        let audio = self.outgoing?;
        let keys = self.keys.as_ref().filter(|_| audio.way() != Way::InBand).map(|keys| keys.room());
        let tones = self.studio.as_mut().map(|studio| studio.digits().room());
        Some(keys.or(tones).unwrap_or(MOST_DIGITS))
    }

    pub(crate) fn send_digits(&mut self, now: Instant, digits: &[Digit], tone: Duration, pause: Duration) {
        let Some(audio) = self.outgoing else { return };
        self.dials |= !digits.is_empty();
        let keys = match (audio.way(), audio.events) {
            (Way::Rfc4733, Some(events)) => {
                let ptime = Duration::from_millis(audio.ptime_ms.into());
                self.keys.get_or_insert_with(|| Box::new(Keys::events(events, ptime)))
            }
            (Way::Info, _) => self.keys.get_or_insert_with(|| Box::new(Keys::info())),
            (Way::Rfc4733 | Way::InBand, _) => {
                self.open_studio();
                let Some(studio) = &mut self.studio else { return };
                for digit in digits {
                    if studio.digits().push(*digit, tone, pause).is_err() {
                        tracing::debug!("no room for a digit");
                    }
                }
                studio.start(now);
                return;
            }
        };
        for digit in digits {
            keys.push(now, *digit, tone, pause);
        }
    }

    /// The side loses such a share of what we send.
    pub(crate) fn set_loss(&mut self, share: f32) {
        if let Some(studio) = &mut self.studio {
            studio.set_loss(share);
        }
    }

    /// Takes one datagram; what can go on at once is appended to `out`.
    pub(crate) fn take(
        &mut self,
        now: Instant,
        datagram: &[u8],
        reception: &mut Reception,
        out: &mut Batch,
    ) -> Outcome {
        match self.try_take(now, datagram, reception, out) {
            Ok(outcome) => outcome,
            Err(reason) => {
                self.counters.drop_for(reason);
                tracing::trace!(?reason, bytes = datagram.len(), "packet dropped");
                Outcome::Dropped(reason)
            }
        }
    }

    fn try_take(
        &mut self,
        now: Instant,
        datagram: &[u8],
        reception: &mut Reception,
        out: &mut Batch,
    ) -> Result<Outcome, Reason> {
        let packet = Packet::read(datagram).map_err(|_| Reason::NotRtp)?;
        if self.incoming.and_then(|audio| audio.remote_ssrc).is_some_and(|wanted| wanted != packet.ssrc) {
            return Err(Reason::OtherSource);
        }
        let measured = self.measure(&packet);
        let kind = match measured {
            Ok(sound) => Kind::Sound { ticks: sound.ticks, parts: sound.parts },
            // What is no sound of this call shares its numbers all the same, and they must not be missed.
            Err(Reason::PaddingOnly | Reason::OtherPayload | Reason::Event) => Kind::LeftOut,
            Err(_) => Kind::Broken,
        };
        let playout = self.studio.as_mut().and_then(|studio| studio.playout.as_mut());
        let numbers = playout.map_or(&mut self.numbers, |playout| &mut playout.line);
        let placed = self.source.place(now, &packet, kind, numbers, &mut self.counters);
        // A key may come under an SSRC of its own, or first where a sender begins anew.
        if let (Err(Reason::Event), Ok(_) | Err(Reason::Astray), Some(receiver)) =
            (measured, placed, &mut self.receiver)
        {
            receiver.hear(now, &packet, placed.is_ok());
        }
        if placed == Err(Reason::Astray) {
            measured?;
        } else if self.source.knows(packet.ssrc) {
            if placed == Ok(Course::BeginsAnew) {
                reception.begin_anew();
            }
            reception.handle_packet(now, &packet, measured.is_ok());
        }
        placed?;
        self.counters.last_packet = Some(now);
        let sound = measured?;
        if let (Some(receiver), Some(audio)) = (&mut self.receiver, self.incoming) {
            receiver.handle_sound(packet.timestamp, audio.codec.clock_hz);
        }
        if let Some(meter) = &mut self.meter {
            meter.handle_payload(packet.payload);
        }
        if self.outgoing.is_none() || self.incoming.is_none() {
            return Err(Reason::NoStream);
        }
        if self.held {
            return Err(Reason::Held);
        }
        if self.decodes() { self.keep(now, &packet, sound) } else { self.pass(now, &packet, sound, out) }
    }

    fn measure(&self, packet: &Packet<'_>) -> Result<pass::Sound, Reason> {
        if packet.is_padding_only() {
            return Err(Reason::PaddingOnly);
        }
        if let Some(audio) = &self.incoming {
            if audio.events.is_some_and(|events| events.receive_payload_type == packet.payload_type) {
                return Err(Reason::Event);
            }
            if audio.receive_payload_type.is_some_and(|wanted| wanted != packet.payload_type) {
                return Err(Reason::OtherPayload);
            }
        }
        let codec = self.incoming.map_or(&OPUS, |audio| audio.codec);
        let cut = self.outgoing.filter(|_| self.to == Side::Trunk);
        pass::Sound::measure(codec, packet.payload, cut.as_ref()).ok_or(Reason::Malformed)
    }

    /// Gives the packet to the studio's playout.
    fn keep(&mut self, now: Instant, packet: &Packet<'_>, sound: pass::Sound) -> Result<Outcome, Reason> {
        let Some(studio) = &mut self.studio else { return Err(Reason::NoStream) };
        let Some(playout) = &mut studio.playout else { return Err(Reason::NoStream) };
        let stamp = self.source.stamp(now, packet, sound.ticks, 1, &mut playout.line)?;
        studio.put(now, stamp.timestamp, packet.payload);
        Ok(Outcome::Waits)
    }

    fn pass(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        sound: pass::Sound,
        out: &mut Batch,
    ) -> Result<Outcome, Reason> {
        let Some(audio) = self.outgoing else { return Err(Reason::NoStream) };
        if sound.exceeds(&audio) && self.to == Side::Trunk {
            tracing::debug!(ticks = sound.ticks, "packets are longer than the side takes, and are decoded");
            self.too_long = true;
            self.arrange();
            return self.keep(now, packet, sound);
        }
        if self.is_replaced() {
            self.source.break_off();
            return Err(Reason::Replaced);
        }
        if let Some(mut studio) = self.studio.take() {
            // A tone was played until somebody speaks.
            let frame = studio.farewell(now);
            if self.write(now, frame.resumed, frame.ticks, frame.payload, &mut out.bytes) {
                out.end_packet();
            }
            self.source.break_off();
        }
        let stamp = self.source.stamp(now, packet, sound.ticks, sound.parts, &mut self.numbers)?;
        let marker = packet.marker || stamp.resumed;
        let header = Packet {
            marker,
            payload_type: audio.payload_type,
            sequence: stamp.sequence,
            timestamp: stamp.timestamp,
            ssrc: audio.ssrc,
            payload: packet.payload,
        };
        let written = sound.write(&header, stamp.parts, out);
        self.counters.packets += u64::from(written.packets);
        self.counters.octets += written.octets;
        self.counters.audio += duration(audio.codec.clock_hz, sound.ticks);
        if self.comfort.is_some() {
            self.comfort = Some(self.comfort_due(now));
        }
        Ok(Outcome::Sent)
    }

    /// When the next packet of what is encoded is to be made.
    pub(crate) fn poll_playout(&self) -> Option<Instant> {
        self.studio.as_ref().filter(|_| self.plays()).and_then(|studio| studio.poll_timeout())
    }

    /// When something else is to be made or said without a packet coming.
    pub(crate) fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        let digits = self.keys.as_ref().and_then(|keys| keys.poll_timeout()).map(|at| (at, "digits"));
        let comfort = self.comfort.filter(|_| self.comforts()).map(|at| (at, "comfort silence"));
        let released = self.receiver.as_ref().and_then(|receiver| receiver.poll_timeout());
        let released = released.map(|at| (at, "digit released"));
        [digits, comfort, released].into_iter().flatten().min()
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant, events: &mut VecDeque<Event>) {
        if let Some(receiver) = &mut self.receiver {
            receiver.handle_timeout(now);
        }
        if let Some(studio) = &mut self.studio {
            studio.catch_up(now, PATIENCE);
        }
        let timestamp = self.numbers.follows(now);
        if let Some(keys) = &mut self.keys
            && let Some(press) = keys.handle_timeout(now, timestamp)
        {
            events.push_back(Event::SendInfo { to: self.to, press });
        }
    }

    /// Makes the next packet that is due; `out` is cleared first. `false` when there is none.
    pub(crate) fn make(&mut self, now: Instant, out: &mut Vec<u8>) -> bool {
        out.clear();
        if let Some(event) = self.keys.as_mut().and_then(|keys| keys.poll_packet()) {
            return self.write_event(now, event, out);
        }
        while let Some(mut studio) = self.studio.take_if(|studio| {
            studio.poll_timeout().is_some_and(|due| due <= now) && !self.held && self.outgoing.is_some()
        }) {
            let goes_on = self.to == Side::Trunk || self.muted;
            let made = match studio.frame(goes_on && studio.playout.is_some()) {
                Some((due, frame)) if !self.is_dialling_events() => {
                    self.write(due, frame.resumed, frame.ticks, frame.payload, out)
                }
                Some(_) | None => false,
            };
            let passes = studio.playout.is_none();
            if passes && made {
                self.source.break_off();
            }
            let needed = !passes || studio.has_own_sound();
            self.studio = Some(studio).filter(|_| needed);
            if made {
                return true;
            }
        }
        if let Some(due) = self.comfort.filter(|due| *due <= now && self.comforts()) {
            return self.write_comfort(now, due, out);
        }
        false
    }

    /// What happened meanwhile that somebody should know.
    pub(crate) fn tell(&mut self, events: &mut VecDeque<Event>) {
        let from = self.to.other();
        if let Some(receiver) = &mut self.receiver {
            while let Some(press) = receiver.poll_press() {
                events.push_back(Event::Digit { from, press, way: Way::Rfc4733 });
            }
        }
        if let Some(playout) = self.studio.as_mut().and_then(|studio| studio.playout.as_mut()) {
            while let Some(press) = playout.poll_press() {
                events.push_back(Event::Digit { from, press, way: Way::InBand });
            }
        }
        self.keys.take_if(|keys| !keys.is_active());
        if self.dials && self.keys.is_none() && !self.sounds_digits() {
            self.dials = false;
            events.push_back(Event::DigitsSent(self.to));
        }
    }

    fn comfort_due(&self, now: Instant) -> Instant {
        self.numbers.sounds_until().map_or(now, |until| until.max(now)) + COMFORT_WAIT
    }

    /// Whether silence is due without a studio.
    fn comforts(&self) -> bool {
        let opus = self.outgoing.is_some_and(|audio| *audio.codec == OPUS);
        opus && !self.held && self.studio.is_none() && !self.is_dialling_events()
    }

    fn plays(&self) -> bool {
        !self.held && self.outgoing.is_some()
    }

    fn write_comfort(&mut self, now: Instant, due: Instant, out: &mut Vec<u8>) -> bool {
        let Some(audio) = self.outgoing else { return false };
        let silent = Silent::new(audio.ptime_ms);
        let due = if now > due + PATIENCE { now } else { due };
        self.comfort = Some(due + Duration::from_millis(silent.lasts_ms.into()));
        self.source.break_off();
        self.write(due, false, silent.lasts_ms * (OPUS.clock_hz / 1000), silent.payload(), out)
    }

    /// Writes a packet of our own; packets that pass begin anew after it.
    fn write(&mut self, now: Instant, marker: bool, ticks: u32, payload: &[u8], out: &mut Vec<u8>) -> bool {
        let Some(audio) = self.outgoing else { return false };
        if payload.is_empty() {
            return false;
        }
        let marker = marker || !self.numbers.has_begun();
        let timestamp = self.numbers.follows(now);
        let sequence = self.numbers.take_sequences(1);
        self.numbers.sent(now, timestamp, ticks);
        let (payload_type, ssrc) = (audio.payload_type, audio.ssrc);
        Packet { marker, payload_type, sequence, timestamp, ssrc, payload }.write(out);
        self.counters.made += 1;
        self.counters.octets_made += payload.len() as u64;
        self.counters.audio += duration(audio.codec.clock_hz, ticks);
        true
    }

    fn write_event(&mut self, now: Instant, event: dtmf::EventPacket, out: &mut Vec<u8>) -> bool {
        let Some((audio, events)) = self.outgoing.and_then(|audio| Some((audio, audio.events?))) else {
            return false;
        };
        if !self.decodes() {
            self.source.break_off();
        }
        let [.., high, low] = event.payload;
        let ticks = u32::from(u16::from_be_bytes([high, low]));
        if event.marker {
            self.numbers.sent(now, event.timestamp, ticks);
        } else {
            self.numbers.sounds(event.timestamp.wrapping_sub(self.numbers.timestamp()).wrapping_add(ticks));
        }
        let sequence = self.numbers.take_sequences(1);
        let packet = Packet {
            marker: event.marker,
            payload_type: events.payload_type,
            sequence,
            timestamp: event.timestamp,
            ssrc: audio.ssrc,
            payload: &event.payload,
        };
        packet.write(out);
        self.counters.made += 1;
        self.counters.octets_made += event.payload.len() as u64;
        true
    }

    fn decodes(&self) -> bool {
        self.studio.as_ref().is_some_and(|studio| studio.playout.is_some())
    }

    fn sounds_digits(&self) -> bool {
        self.studio.as_ref().is_some_and(|studio| studio.sounds_digits())
    }

    fn is_dialling_events(&self) -> bool {
        self.keys.as_ref().is_some_and(|keys| keys.is_sounding())
    }

    /// Whether what comes is left out, for something of ours takes its place.
    fn is_replaced(&self) -> bool {
        self.studio.as_ref().is_some_and(|studio| studio.replaces()) || self.is_dialling_events()
    }

    fn open_studio(&mut self) {
        let (None, Some(audio)) = (&self.studio, self.outgoing) else { return };
        match Studio::new(&audio, None, self.beat) {
            Ok(studio) => self.studio = Some(Box::new(studio)),
            Err(error) => tracing::warn!(%error, "nothing can be encoded"),
        }
    }

    /// Opens what the two sides' codecs need, and closes what they do not.
    fn arrange(&mut self) {
        let Some(to) = self.outgoing else { return };
        let from = self.incoming.filter(|from| self.too_long || from.codec != to.codec);
        let rate = from.and_then(|from| studio::common_rate(from.codec, to.codec));
        if let (Some(from), None) = (from, rate) {
            tracing::warn!(from = from.codec.name, to = to.codec.name, "no rate in common");
        }
        let decoded_before = self.decodes();
        let studio = match self.studio.take() {
            None => rate.map(|rate| Studio::new(&to, Some(rate), self.beat).map(Box::new)),
            Some(studio) if rate.is_none() && !studio.has_own_sound() => None,
            Some(studio) if studio.suits(&to) && rate.is_none_or(|rate| rate == studio.sample_hz()) => {
                Some(Ok(studio))
            }
            Some(studio) => Some(studio.remake(&to, rate)),
        };
        let opened = studio.transpose().and_then(|studio| {
            let Some(mut studio) = studio else { return Ok(None) };
            match (from, rate) {
                (Some(from), Some(rate)) => {
                    if studio.playout.as_ref().is_none_or(|playout| !playout.is(from.codec, rate)) {
                        studio.playout = Some(Playout::new(from.codec, rate)?);
                    }
                    let tones = self.to == Side::Telegram && from.way() == Way::InBand;
                    if let Some(playout) = &mut studio.playout {
                        playout.listen_for_digits(tones);
                    }
                }
                (_, _) => studio.playout = None,
            }
            Ok(Some(studio))
        });
        match opened {
            Ok(studio) => self.studio = studio,
            Err(error) => tracing::warn!(%error, "sound cannot be changed into the other side's"),
        }
        if self.decodes() != decoded_before {
            self.source.break_off();
        }
        // Silence that is due without a studio is due in it too.
        if let (true, Some(studio), Some(due)) = (self.decodes(), &mut self.studio, self.comfort) {
            studio.start(due);
        }
    }
}
