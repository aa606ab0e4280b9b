//! The calls of one line: which task has which call, by our number, the PBX's and Telegram's.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use tgtrunk_bridge::policy::Rule;
use tgtrunk_bridge::{Cause, Leg, Record};
use tgtrunk_config::control::{
    self, CallEnd, CallInfo, CallState, DigitInfo, DigitWay, Ender, Muted, PbxSide, Peer, Quality, Recording,
    Refusal, RefusedBy, TRANSFERS_TOLD, TransferInfo,
};
use tgtrunk_config::{Audio, CallId, CallLimits, Phone, UserId};
use tgtrunk_media::Side;
use tgtrunk_media::dtmf::{Digit, Press, Way};
use tgtrunk_telegram::Resolved;
use tokio::sync::oneshot;

use super::Keys;
use super::orphans::Orphans;
use crate::call::{Handle, Input, Levels, Progress, State};
use crate::clock;
use crate::records::Sparkline;
use crate::rush::Place;
use crate::telegram::CallRef;

/// Places in a call's queue that signaling leaves free.
const RESERVED: usize = 32;

/// Who placed a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    FromTelegram,
    ToTelegram,
}

/// The calls of a line.
pub(crate) struct Calls {
    line: Phone,
    calls: BTreeMap<u64, Entry>,
    by_sip: HashMap<tgtrunk_sip::CallId, u64>,
    by_telegram: HashMap<i64, u64>,
    pub(super) orphans: Orphans,
    /// Calls that ended and have goodbyes on their way.
    leaving: usize,
}

/// The halves of a call that no task has any more, and what is to be told of it.
pub(crate) type Remains = (Option<tgtrunk_sip::CallId>, Option<CallRef>, CallInfo, Sparkline);

struct Entry {
    direction: Direction,
    handle: Option<Handle>,
    sip: Option<tgtrunk_sip::CallId>,
    /// The leg on which the PBX called: who is there took nothing.
    caller: Option<tgtrunk_sip::CallId>,
    /// Its second trunk leg, while the PBX sends it on.
    other: Option<tgtrunk_sip::CallId>,
    person: Option<Resolved>,
    telegram: Option<CallRef>,
    /// It is a joined call whose extension has not come: nothing was done at Telegram.
    fetching: bool,
    info: CallInfo,
    mos: Sparkline,
    /// Its place among the calls of all lines.
    _place: Place,
}

impl Calls {
    pub(crate) fn new(line: Phone) -> Self {
        Self {
            line,
            calls: BTreeMap::new(),
            by_sip: HashMap::new(),
            by_telegram: HashMap::new(),
            orphans: Orphans::default(),
            leaving: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.calls.len()
    }

    /// For how long calls to Telegram that are up have lasted since then, all together, in milliseconds.
    pub(crate) fn lasted_ms(&self, now_ms: u64, since_ms: u64) -> u64 {
        let placed = self.calls.values().filter(|entry| entry.direction == Direction::ToTelegram);
        let answered = placed.filter_map(|entry| entry.info.answered_ms);
        answered.map(|answered_ms| now_ms.saturating_sub(answered_ms.max(since_ms))).sum()
    }

    /// Whether the line may have no further call of this direction.
    pub(crate) fn is_full(&self, direction: Direction, limits: &CallLimits) -> bool {
        let same = self.calls.values().filter(|entry| entry.direction == direction).count();
        let limit = match direction {
            Direction::FromTelegram => limits.from_telegram,
            Direction::ToTelegram => limits.to_telegram,
        };
        self.calls.len() >= limits.total as usize || same >= limit as usize
    }

    /// A place for a new call, under a number that no other call of any line has.
    pub(crate) fn reserve(&mut self, direction: Direction, dialled: Option<String>, place: Place) -> u64 {
        // 53 bits: a number that every JSON reader keeps whole.
        let key = loop {
            let key = u64::from_le_bytes(clock::random()) >> 11;
            if key != 0 && !self.calls.contains_key(&key) {
                break key;
            }
        };
        let info = CallInfo {
            call: CallId(key),
            line: self.line.clone(),
            direction: match direction {
                Direction::FromTelegram => control::Direction::TelegramToPbx,
                Direction::ToTelegram => control::Direction::PbxToTelegram,
            },
            state: match direction {
                Direction::FromTelegram => CallState::Incoming,
                Direction::ToTelegram => CallState::Dialling,
            },
            peer: Peer::default(),
            dialled,
            extension: None,
            refused_by: None,
            telegram_call: None,
            emoji: None,
            trunk: Default::default(),
            ringing_ms: None,
            recording: None,
            muted: Muted::default(),
            pbx: None,
            quality: None,
            started_ms: clock::unix_ms(),
            answered_ms: None,
            duration_ms: None,
            end: None,
        };
        let entry = Entry {
            direction,
            handle: None,
            sip: None,
            caller: None,
            other: None,
            person: None,
            telegram: None,
            fetching: false,
            info,
            mos: Sparkline::default(),
            _place: place,
        };
        self.calls.insert(key, entry);
        key
    }

    /// Notes who is at Telegram's end, as soon as that is known.
    pub(crate) fn meet(&mut self, key: u64, person: &Resolved) {
        if let Some(entry) = self.calls.get_mut(&key) {
            entry.info.peer = peer(person.clone());
            entry.person = Some(person.clone());
        }
    }

    /// Notes which rule of the line kept a caller from the line's own user part at the PBX.
    pub(crate) fn met_rule(&mut self, key: u64, rule: Rule) {
        if let Some(entry) = self.calls.get_mut(&key) {
            entry.info.refused_by = Some(match rule {
                Rule::List => RefusedBy::List,
                Rule::Hours => RefusedBy::Hours,
                Rule::Rate => RefusedBy::Rate,
            });
        }
    }

    /// Forgets a call that had no task: nobody was called for it.
    pub(crate) fn refused(&mut self, key: u64, cause: Cause) -> Option<(CallInfo, Sparkline)> {
        let (_, _, mut info, mos) = self.remove_ended(key, cause)?;
        // The PBX heard nothing of a call from Telegram.
        if info.direction == control::Direction::TelegramToPbx
            && let Some(end) = &mut info.end
        {
            end.sip_status = None;
        }
        Some((info, mos))
    }

    /// Notes whom at the PBX the gateway calls first.
    pub(crate) fn fetch(&mut self, key: u64, extension: String) {
        if let Some(entry) = self.calls.get_mut(&key) {
            entry.info.extension = Some(extension);
            entry.fetching = true;
        }
    }

    /// The call's task runs.
    pub(crate) fn begun(&mut self, key: u64, handle: Handle) -> Option<CallInfo> {
        let entry = self.calls.get_mut(&key)?;
        entry.handle = Some(handle);
        if let Some(call) = entry.telegram {
            self.adopt(key, call.id);
        }
        self.calls.get(&key).map(|entry| entry.info.clone())
    }

    pub(crate) fn bind_sip(&mut self, key: u64, sip: tgtrunk_sip::CallId) {
        if let Some(entry) = self.calls.get_mut(&key) {
            entry.sip = Some(sip);
            self.by_sip.insert(sip, key);
        }
    }

    /// The same for a call that the PBX places.
    pub(crate) fn bind_caller(&mut self, key: u64, sip: tgtrunk_sip::CallId) {
        self.bind_sip(key, sip);
        if let Some(entry) = self.calls.get_mut(&key) {
            entry.caller = Some(sip);
        }
    }

    pub(crate) fn sip(&self, key: u64) -> Option<tgtrunk_sip::CallId> {
        self.calls.get(&key)?.sip
    }

    /// What the PBX calls the call.
    pub(crate) fn name_sip(&mut self, key: u64, sip_call_id: &str) {
        if let Some(entry) = self.calls.get_mut(&key) {
            entry.info.trunk.sip_call_id = Some(sip_call_id.to_owned());
        }
    }

    /// Notes who took the call at the PBX, on this leg; whoever called on it took nothing.
    pub(crate) fn taken_by(&mut self, key: u64, sip: tgtrunk_sip::CallId, party: &str) {
        if let Some(entry) = self.calls.get_mut(&key)
            && entry.caller != Some(sip)
        {
            entry.info.trunk.taken_by = Some(party.to_owned());
        }
    }

    /// Notes where the call is recorded.
    pub(crate) fn recorded(&mut self, key: u64, recording: Recording) -> Option<CallInfo> {
        let entry = self.calls.get_mut(&key)?;
        entry.info.recording = Some(recording);
        Some(entry.info.clone())
    }

    /// The call that the PBX's belongs to.
    pub(crate) fn of_sip(&self, sip: tgtrunk_sip::CallId) -> Option<u64> {
        self.by_sip.get(&sip).copied()
    }

    /// How a call is now, and its half at Telegram.
    pub(crate) fn info(&self, key: u64) -> Option<(&CallInfo, Option<CallRef>)> {
        let entry = self.calls.get(&key)?;
        Some((&entry.info, entry.telegram))
    }

    /// Which call has this leg as its first.
    pub(crate) fn key(&self, sip: tgtrunk_sip::CallId) -> Option<u64> {
        let key = *self.by_sip.get(&sip)?;
        self.calls.get(&key).filter(|entry| entry.sip == Some(sip)).map(|_| key)
    }

    /// Which call has this leg as its second.
    pub(crate) fn key_of_other(&self, sip: tgtrunk_sip::CallId) -> Option<u64> {
        let key = *self.by_sip.get(&sip)?;
        self.calls.get(&key).filter(|entry| entry.other == Some(sip)).map(|_| key)
    }

    /// A call's second trunk leg.
    pub(crate) fn other(&self, key: u64) -> Option<tgtrunk_sip::CallId> {
        self.calls.get(&key)?.other
    }

    /// Gives a call a second trunk leg.
    pub(crate) fn bind_other(&mut self, key: u64, sip: tgtrunk_sip::CallId) {
        self.drop_other(key);
        if let Some(entry) = self.calls.get_mut(&key) {
            entry.other = Some(sip);
            self.by_sip.insert(sip, key);
        }
    }

    /// The second leg is over, or the PBX's alone.
    pub(crate) fn drop_other(&mut self, key: u64) {
        if let Some(other) = self.calls.get_mut(&key).and_then(|entry| entry.other.take()) {
            self.by_sip.remove(&other);
        }
    }

    /// The second leg becomes the first.
    pub(crate) fn swap(&mut self, sip: tgtrunk_sip::CallId) -> Option<u64> {
        let key = self.key_of_other(sip)?;
        let entry = self.calls.get_mut(&key)?;
        std::mem::swap(&mut entry.sip, &mut entry.other);
        Some(key)
    }

    /// Who is at Telegram's end.
    pub(crate) fn person(&self, key: u64) -> Option<Resolved> {
        self.calls.get(&key)?.person.clone()
    }

    /// Notes what the PBX told of its end.
    pub(crate) fn tell_pbx_side(&mut self, key: u64, side: PbxSide) {
        if let Some(entry) = self.calls.get_mut(&key)
            && !side.is_empty()
        {
            entry.info.pbx = Some(Box::new(side));
        }
    }

    /// Notes that the PBX sends a call on.
    pub(crate) fn transfer_begins(&mut self, key: u64, transfer: TransferInfo) {
        let Some(entry) = self.calls.get_mut(&key) else { return };
        let transfers = &mut entry.info.pbx.get_or_insert_default().transfers;
        if transfers.len() < TRANSFERS_TOLD {
            transfers.push(transfer);
        }
    }

    /// Notes what became of it; `None` where that is known already.
    pub(crate) fn transfer_ends(&mut self, key: u64, status: u16) -> Option<CallInfo> {
        let info = &mut self.calls.get_mut(&key)?.info;
        let last = info.pbx.as_mut()?.transfers.last_mut().filter(|last| last.status.is_none())?;
        last.status = Some(status);
        Some(info.clone())
    }

    /// Updates about this id belong to the call; those that came before are handed over.
    pub(crate) fn bind_telegram(&mut self, now: Instant, key: u64, call: CallRef) {
        self.handle_timeout(now);
        if let Some(entry) = self.calls.get_mut(&key) {
            entry.telegram = Some(call);
            entry.info.telegram_call = Some(call.id);
            self.by_telegram.insert(call.id, key);
            self.adopt(key, call.id);
        }
    }

    pub(crate) fn knows(&self, telegram: i64) -> bool {
        self.by_telegram.contains_key(&telegram)
    }

    pub(crate) fn tell_sip(&mut self, sip: tgtrunk_sip::CallId, input: Input) {
        match self.by_sip.get(&sip) {
            Some(&key) => {
                self.tell(key, input);
            }
            None => tracing::debug!(?input, "news of a call that is gone"),
        }
    }

    pub(crate) fn tell_telegram(&mut self, now: Instant, id: i64, input: Input) {
        match self.by_telegram.get(&id) {
            Some(&key) => {
                self.tell(key, input);
            }
            None => self.orphans.keep(now, id, input),
        }
    }

    /// Whether a call to somebody is requested at Telegram, or about to be, and its id not known yet.
    pub(super) fn is_asking(&self, callee: i64) -> bool {
        self.calls.values().any(|entry| {
            entry.direction == Direction::ToTelegram
                && entry.telegram.is_none()
                && entry.person.as_ref().is_some_and(|person| person.id == callee)
        })
    }

    /// The extension of a joined call came: true where a person is to be called now.
    pub(crate) fn fetched(&mut self, sip: tgtrunk_sip::CallId) -> bool {
        let entry = self.by_sip.get(&sip).and_then(|key| self.calls.get_mut(key));
        entry.is_some_and(|entry| std::mem::take(&mut entry.fetching))
    }

    /// Tells the joined calls whose extensions have not come.
    pub(crate) fn tell_fetching(&mut self, input: impl Fn() -> Input) {
        let fetching: Vec<u64> =
            self.calls.iter().filter(|(_, entry)| entry.fetching).map(|(key, _)| *key).collect();
        for key in fetching {
            self.tell(key, input());
        }
    }

    pub(crate) fn tell_all(&mut self, input: impl Fn() -> Input) {
        for key in self.calls.keys().copied().collect::<Vec<_>>() {
            self.tell(key, input());
        }
    }

    /// Tells one call; false when there is none.
    ///
    /// A far end may flood a call with signaling: it is what is left out then, and never the word that ends the call. A
    /// task that lets even that wait is given up, and ends by that.
    pub(crate) fn tell(&mut self, key: u64, input: Input) -> bool {
        let Some(entry) = self.calls.get_mut(&key) else { return false };
        let Some(handle) = &entry.handle else { return false };
        if matches!(input, Input::Signaling(_)) && handle.inputs.capacity() < RESERVED {
            tracing::debug!(call = %CallId(key), "signaling left out: the call has too much to read");
            return true;
        }
        if let Err(error) = handle.inputs.try_send(Box::new(input)) {
            tracing::error!(call = %CallId(key), %error, "a call does not listen and is given up");
            entry.handle = None;
        }
        true
    }

    /// Presses keys for the PBX in one call, which answers by itself; without such a call there is no answer.
    pub(crate) fn dial(
        &mut self,
        call: CallId,
        keys: Keys,
        settings: &Audio,
        answer: oneshot::Sender<Result<(), Refusal>>,
    ) {
        let digits = keys.digits.keys().iter().filter_map(|key| Digit::from_char(key.char())).collect();
        let tone = keys.tone.unwrap_or(settings.dtmf_tone);
        let pause = keys.pause.unwrap_or(settings.dtmf_pause);
        self.tell(call.0, Input::Dial { digits, tone, pause, key: keys.key, answer });
    }

    /// A key of one call, as it is told.
    pub(crate) fn pressed(&self, key: u64, side: Side, press: Press, way: Way) -> Option<DigitInfo> {
        let digit = tgtrunk_config::Digit::new(press.digit.to_char())?;
        self.calls.contains_key(&key).then(|| DigitInfo {
            call: CallId(key),
            line: self.line.clone(),
            from: match side {
                Side::Trunk => control::Side::Pbx,
                Side::Telegram => control::Side::Telegram,
            },
            digit,
            duration_ms: press.duration.as_millis().try_into().unwrap_or(u32::MAX),
            way: match way {
                Way::Rfc4733 => DigitWay::Rfc4733,
                Way::Info => DigitWay::Info,
                Way::InBand => DigitWay::InBand,
            },
        })
    }

    /// How loud both sides of one call are, as it is told.
    pub(crate) fn levels(&self, key: u64, levels: Levels) -> control::Levels {
        let Levels { telegram, trunk } = levels;
        control::Levels { call: CallId(key), line: self.line.clone(), telegram, pbx: trunk }
    }

    /// A call's task is gone after its end.
    pub(crate) fn gone(&mut self) {
        self.leaving = self.leaving.saturating_sub(1);
    }

    /// Whether every goodbye of ended calls is said.
    pub(crate) fn is_settled(&self) -> bool {
        self.calls.is_empty() && self.leaving == 0
    }

    /// Forgets a call whose task broke: its halves, for whoever ends them.
    pub(crate) fn broken(&mut self, key: u64) -> Option<Remains> {
        self.remove_ended(key, Cause::Internal)
    }

    fn remove_ended(&mut self, key: u64, cause: Cause) -> Option<Remains> {
        let entry = self.calls.remove(&key)?;
        for sip in entry.sip.into_iter().chain(entry.other) {
            self.by_sip.remove(&sip);
        }
        if let Some(call) = entry.telegram {
            self.by_telegram.remove(&call.id);
        }
        let row = cause.row();
        let mut info = entry.info;
        info.state = CallState::Ended;
        info.duration_ms = Some(0);
        info.end = Some(CallEnd {
            by: Ender::Gateway,
            cause: cause.words().to_owned(),
            sip_status: info.answered_ms.is_none().then_some(row.status),
            q850: Some(row.q850),
        });
        Some((entry.sip, entry.telegram, info, entry.mos))
    }

    /// Notes how answered calls sound now; to be called evenly.
    pub(crate) fn listen(&mut self) {
        for entry in self.calls.values_mut().filter(|entry| entry.info.answered_ms.is_some()) {
            if let Some(quality) = entry.handle.as_ref().and_then(|handle| handle.quality.borrow().clone()) {
                entry.mos.take(&quality);
            }
        }
    }

    pub(crate) fn progressed(&mut self, key: u64, progress: Progress) -> Option<CallInfo> {
        let entry = self.calls.get_mut(&key)?;
        let info = &mut entry.info;
        info.state = match progress.state {
            State::Unchanged => info.state,
            State::Ringing => CallState::Ringing,
            State::Answered => CallState::Answered,
        };
        if progress.state == State::Ringing && info.ringing_ms.is_none() {
            info.ringing_ms = Some(clock::unix_ms());
        }
        if progress.state == State::Answered && info.answered_ms.is_none() {
            info.answered_ms = Some(clock::unix_ms());
        }
        if let Some(person) = progress.peer {
            entry.person = Some(person.clone());
            info.peer = peer(person);
        }
        info.emoji = progress.emoji.or_else(|| info.emoji.take());
        info.muted = Muted { telegram: progress.muted.telegram, pbx: progress.muted.trunk };
        Some(info.clone())
    }

    /// Forgets a call; what is left of it is told to whoever listens.
    pub(crate) fn ended(
        &mut self,
        key: u64,
        record: &Record,
        quality: Box<Quality>,
    ) -> Option<(CallInfo, Sparkline)> {
        let mut entry = self.calls.remove(&key)?;
        if entry.mos.is_empty() && entry.info.answered_ms.is_some() {
            entry.mos.take(&quality);
        }
        for sip in entry.sip.into_iter().chain(entry.other) {
            self.by_sip.remove(&sip);
        }
        if let Some(call) = entry.telegram {
            self.by_telegram.remove(&call.id);
        }
        self.leaving += 1;
        let row = record.cause.row();
        let mut info = entry.info;
        info.state = CallState::Ended;
        info.quality = Some(quality);
        info.duration_ms = Some(record.talked.as_millis().try_into().unwrap_or(u64::MAX));
        info.end = Some(CallEnd {
            by: match record.ended_by {
                tgtrunk_bridge::Ender::Far(Leg::Telegram) => Ender::Telegram,
                tgtrunk_bridge::Ender::Far(Leg::Trunk) => Ender::Pbx,
                tgtrunk_bridge::Ender::Failure(_) | tgtrunk_bridge::Ender::Gateway => Ender::Gateway,
            },
            cause: record.cause.words().to_owned(),
            sip_status: info.answered_ms.is_none().then_some(match record.cause {
                Cause::TrunkRefused { status } => status,
                _ => row.status,
            }),
            q850: Some(row.q850),
        });
        Some((info, entry.mos))
    }

    pub(crate) fn list(&self) -> Vec<CallInfo> {
        let now = |entry: &Entry| {
            let quality = entry.handle.as_ref().and_then(|handle| handle.quality.borrow().clone());
            CallInfo { quality: quality.map(Box::new), ..entry.info.clone() }
        };
        self.calls.values().map(now).collect()
    }

    /// When the oldest unclaimed news is forgotten.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.orphans.poll_timeout()
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.orphans.handle_timeout(now);
    }

    fn adopt(&mut self, key: u64, id: i64) {
        if self.calls.get(&key).is_none_or(|entry| entry.handle.is_none()) {
            return;
        }
        for news in self.orphans.take(id) {
            self.tell(key, news);
        }
    }
}

fn peer(person: Resolved) -> Peer {
    let name = [person.first_name, person.last_name].into_iter().flatten().collect::<Vec<_>>().join(" ");
    Peer {
        id: UserId::new(person.id).ok(),
        name: Some(name).filter(|name| !name.is_empty()),
        username: person.username,
        phone: person.phone,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rush::Rush;

    #[test]
    fn whoever_called_on_a_leg_took_nothing_and_who_takes_its_place_did() {
        let mut calls = Calls::new("+79060000000".parse().unwrap());
        let place = Rush::new(10, 10, crate::strain::Strain::none()).place();
        let key = calls.reserve(Direction::ToTelegram, Some("+79161112233".to_owned()), place);
        let (caller, other) = (tgtrunk_sip::CallId(1), tgtrunk_sip::CallId(2));
        calls.bind_caller(key, caller);
        calls.taken_by(key, caller, "201");
        let taken_by = |calls: &Calls| calls.info(key).unwrap().0.trunk.taken_by.clone();
        assert_eq!(taken_by(&calls), None);
        calls.bind_other(key, other);
        calls.swap(other);
        calls.taken_by(key, other, "202");
        assert_eq!(taken_by(&calls).as_deref(), Some("202"));
    }
}
