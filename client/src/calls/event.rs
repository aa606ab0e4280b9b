//! What programs are told of a call: which events it has, and what stands in them. Pure.

use chrono::{DateTime, SecondsFormat};
use serde_json::{Map, Value, json};
use tgtrunk_config::Language;
use tgtrunk_config::control::{
    CallEnd, CallInfo, CallRecord, CallState, Direction, Ender, LegQuality, Muted, Peer, Quality,
};
use tgtrunk_messages::CallNews;

/// What happened to a call. Each happens once to a call at most, and one of the last two to every call that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It began to ring.
    Start,
    /// Both sides talk.
    Answer,
    /// They talked, and that is over.
    End,
    /// It is over, and they did not talk.
    Missed,
}

/// A call as it was last told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) info: CallInfo,
    /// When it was over, in milliseconds since 1970.
    pub(crate) ended_ms: Option<u64>,
}

impl Kind {
    /// Its name.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Start => "call.start",
            Self::Answer => "call.answer",
            Self::End => "call.end",
            Self::Missed => "call.missed",
        }
    }

    /// Reads its name.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        [Self::Start, Self::Answer, Self::End, Self::Missed].into_iter().find(|kind| kind.word() == word)
    }
}

impl Known {
    /// A call of which the gateway tells at `now_ms`.
    pub(crate) fn heard(info: CallInfo, now_ms: u64) -> Self {
        let ended_ms = (info.state == CallState::Ended).then(|| {
            let talked = info.answered_ms.zip(info.duration_ms);
            talked.map_or(now_ms, |(answered_ms, duration_ms)| answered_ms.saturating_add(duration_ms))
        });
        Self { info, ended_ms }
    }

    /// A call that is over and of which the gateway has a record.
    pub(crate) fn of_record(record: CallRecord) -> Self {
        let talked_ms = record.answered_ms.zip(record.ended_ms).map(|(from, to)| to.saturating_sub(from));
        let info = CallInfo {
            call: record.call,
            line: record.line,
            direction: record.direction,
            state: CallState::Ended,
            peer: record.peer,
            dialled: record.dialled,
            extension: record.extension,
            refused_by: None,
            telegram_call: record.telegram_call,
            emoji: record.emoji,
            trunk: record.trunk,
            recording: record.recording,
            started_ms: record.started_ms,
            ringing_ms: record.ringing_ms,
            answered_ms: record.answered_ms,
            duration_ms: Some(talked_ms.unwrap_or(0)),
            end: record.end,
            quality: record.quality,
            muted: Muted::default(),
            pbx: record.pbx,
        };
        Self { ended_ms: record.ended_ms.or(Some(info.started_ms)), info }
    }

    /// A call that is over without a record of it: nobody knows since when.
    pub(crate) fn lost(info: CallInfo) -> Self {
        let end = CallEnd {
            by: Ender::Gateway,
            cause: "The other side lost the call".to_owned(),
            sip_status: None,
            q850: Some(41),
        };
        let info = CallInfo { state: CallState::Ended, duration_ms: None, end: Some(end), ..info };
        Self { info, ended_ms: None }
    }

    /// Whether it is over.
    pub(crate) fn is_over(&self) -> bool {
        self.info.state == CallState::Ended
    }

    /// What is to be told now, in its order. Of a call that was over before anybody heard of it, its end alone.
    pub(crate) fn due(&self, told: &[Kind], is_live: bool) -> Vec<Kind> {
        let is_begun = told.contains(&Kind::Start);
        // A record that was not written any more does not know of the answer.
        let is_answered = self.info.answered_ms.is_some() || told.contains(&Kind::Answer);
        let last = if is_answered { Kind::End } else { Kind::Missed };
        let is_told_over = told.contains(&Kind::End) || told.contains(&Kind::Missed);
        [
            (Kind::Start, is_live && !is_begun),
            (Kind::Answer, is_answered && (is_live || is_begun) && !told.contains(&Kind::Answer)),
            (last, self.is_over()),
        ]
        .into_iter()
        .filter(|(_, is_due)| *is_due && !is_told_over)
        .map(|(kind, _)| kind)
        .collect()
    }

    /// What programs of the account's messages are told of a call to it, as GREEN-API tells of calls: none of one that the
    /// account makes. Of a call that was over before anybody heard of it, its end alone.
    pub(crate) fn news(&self, is_live: bool) -> Option<CallNews> {
        let info = &self.info;
        if info.direction != Direction::TelegramToPbx {
            return None;
        }
        let (is_answered, mut statuses) = (info.answered_ms.is_some(), Vec::new());
        if is_live {
            statuses.push("offer");
        }
        if is_live && is_answered {
            statuses.push("pickUp");
        }
        if self.is_over() {
            let is_declined = info.refused_by.is_some() || info.end.as_ref().is_some_and(is_refusal);
            statuses.push(match (is_answered, is_declined) {
                (true, _) => "hangUp",
                (false, true) => "declined",
                (false, false) => "missed",
            });
        }
        let phone =
            || info.peer.phone.as_ref().map(|phone| format!("{}@c.us", phone.trim_start_matches('+')));
        let from = info.peer.id.map(|id| id.number().to_string()).or_else(phone).unwrap_or_default();
        Some(CallNews { id: info.call.to_string(), from, line: info.line.as_str().to_owned(), statuses })
    }

    /// An event's number, the same however often it is told.
    pub(crate) fn event_id(&self, kind: Kind) -> String {
        format!("{}.{}", self.info.call, kind.word().trim_start_matches("call."))
    }

    /// An event as JSON, noted at `now_ms`.
    pub(crate) fn event(&self, kind: Kind, now_ms: u64) -> Value {
        let at_ms = match kind {
            Kind::Start => Some(self.info.started_ms),
            Kind::Answer => self.info.answered_ms,
            Kind::End | Kind::Missed => self.ended_ms,
        };
        let mut event = Map::new();
        event.insert("event".to_owned(), kind.word().into());
        event.insert("event_id".to_owned(), self.event_id(kind).into());
        put_time(&mut event, "occurred", at_ms.or(Some(now_ms)));
        let mut facts = self.facts();
        // What a call became is told by its end alone.
        if matches!(kind, Kind::Start | Kind::Answer) {
            for key in ["ended_at", "ended_ms", "duration_ms", "ended_by", "cause", "quality", "recording"] {
                facts.insert(key.to_owned(), Value::Null);
            }
            facts.insert("state".to_owned(), if kind == Kind::Answer { "talking" } else { "ringing" }.into());
        }
        if kind == Kind::Start {
            for key in ["ringing_at", "ringing_ms", "answered_at", "answered_ms", "ring_ms"] {
                facts.insert(key.to_owned(), Value::Null);
            }
        }
        facts.remove("rings");
        event.append(&mut facts);
        Value::Object(event)
    }

    /// What is known of the call, as programs are told: what nobody knows is null.
    pub(crate) fn facts(&self) -> Map<String, Value> {
        let CallInfo { call, line, direction, peer, trunk, pbx, end, .. } = &self.info;
        let info = &self.info;
        let (state, rings) = self.state();
        let mut facts = Map::new();
        let mut put = |key: &str, value: Value| facts.insert(key.to_owned(), value);
        put("call_id", call.to_string().into());
        put("line", line.as_str().into());
        put("direction", direction_word(*direction).into());
        put("state", state.into());
        put("rings", rings.into());
        put("peer", person(peer));
        put("extension", self.extension().into());
        put("dialled", info.dialled.clone().into());
        put("pbx_name", pbx.as_ref().and_then(|side| side.name.clone()).into());
        put("sip_call_id", trunk.sip_call_id.clone().into());
        // Wider than what every reader of JSON keeps whole.
        put("telegram_call_id", info.telegram_call.map(|id| id.to_string()).into());
        let is_ended = self.is_over() && self.ended_ms.is_some();
        put("duration_ms", is_ended.then(|| info.duration_ms.unwrap_or(0)).into());
        put("ring_ms", self.ring_ms().into());
        put("ended_by", end.as_ref().map(|end| end.by.as_str()).into());
        put("cause", end.as_ref().map(cause).into());
        put("quality", info.quality.as_deref().map(quality).into());
        let recording = info.recording.as_ref();
        put("recording", recording.map(|files| json!({"telegram": files.telegram, "pbx": files.pbx})).into());
        put_time(&mut facts, "started", Some(info.started_ms));
        put_time(&mut facts, "ringing", info.ringing_ms);
        put_time(&mut facts, "answered", info.answered_ms);
        put_time(&mut facts, "ended", self.ended_ms);
        facts
    }

    /// How far it is, and who rings now.
    pub(super) fn state(&self) -> (&'static str, Option<&'static str>) {
        let (extension, user) = (Some("extension"), Some("user"));
        match self.info.state {
            CallState::Ended => ("ended", None),
            CallState::Answered => ("talking", None),
            CallState::Incoming => ("ringing", extension),
            // A joined call asks the extension first.
            CallState::Dialling if self.info.extension.is_some() => ("ringing", extension),
            CallState::Ringing if self.info.direction == Direction::TelegramToPbx => ("ringing", extension),
            CallState::Dialling | CallState::Ringing => ("ringing", user),
        }
    }

    /// Who is at the PBX's end, as far as the PBX told.
    fn extension(&self) -> Option<String> {
        let caller = || self.info.pbx.as_ref().and_then(|side| side.number.clone());
        self.info.extension.clone().or_else(|| self.info.trunk.taken_by.clone()).or_else(caller)
    }

    /// For how long it rang: until the answer, or to the end.
    fn ring_ms(&self) -> Option<u64> {
        let from_ms = self.info.ringing_ms.unwrap_or(self.info.started_ms);
        Some(self.info.answered_ms.or(self.ended_ms)?.saturating_sub(from_ms))
    }
}

/// Whether the PBX did not want a call: busy, or refused (ITU-T Q.850; RFC 3261, 21.4.24 and 21.6).
fn is_refusal(end: &CallEnd) -> bool {
    end.by == Ender::Pbx
        && (matches!(end.sip_status, Some(486 | 600 | 603)) || matches!(end.q850, Some(17 | 21)))
}

fn direction_word(direction: Direction) -> &'static str {
    match direction {
        Direction::TelegramToPbx => "in",
        Direction::PbxToTelegram => "out",
    }
}

fn person(peer: &Peer) -> Value {
    json!({
        "id": peer.id.map(|id| id.number()),
        "username": peer.username,
        "phone": peer.phone.as_ref().map(|phone| format!("+{}", phone.trim_start_matches('+'))),
        "name": peer.name,
    })
}

fn cause(end: &CallEnd) -> Value {
    json!({
        "text": end.cause,
        "text_ru": end.words(Language::Russian),
        "sip_status": end.sip_status,
        "q850": end.q850,
    })
}

fn quality(quality: &Quality) -> Value {
    let scores = [&quality.telegram, &quality.pbx].map(|leg| leg.mos_hundredths);
    let leg = |leg: &LegQuality| {
        json!({
            "codec": leg.codec,
            "mos": leg.mos_hundredths.map(score),
            "packets_lost": leg.lost,
            "jitter_ms": leg.jitter_ms,
            "round_trip_ms": leg.round_trip_ms,
        })
    };
    json!({
        "mos": scores.into_iter().flatten().min().map(score),
        "telegram": leg(&quality.telegram),
        "pbx": leg(&quality.pbx),
    })
}

/// A mean opinion score, 1.00 to 5.00.
fn score(hundredths: u32) -> f64 {
    f64::from(hundredths) / 100.0
}

/// A time in both forms: as ISO 8601 (RFC 3339, UTC) and in milliseconds since 1970.
fn put_time(facts: &mut Map<String, Value>, what: &str, at_ms: Option<u64>) {
    let text = at_ms.and_then(|at_ms| DateTime::from_timestamp_millis(i64::try_from(at_ms).ok()?));
    let text = text.map(|time| time.to_rfc3339_opts(SecondsFormat::Millis, true));
    facts.insert(format!("{what}_at"), text.into());
    facts.insert(format!("{what}_ms"), at_ms.into());
}

#[cfg(test)]
pub(crate) mod tests {
    use tgtrunk_config::control::{CallResult, TrunkEnd};
    use tgtrunk_config::{CallId, UserId};

    use super::*;

    #[test]
    fn a_call_that_was_heard_of_is_told_from_its_beginning_and_ends_once() {
        let ringing = Known::heard(call(CallState::Incoming), 0);
        assert_eq!(ringing.due(&[], true), [Kind::Start]);
        assert_eq!(ringing.due(&[Kind::Start], true), []);
        let talking = CallInfo { answered_ms: Some(3_000), ..call(CallState::Answered) };
        let talking = Known::heard(talking, 0);
        assert_eq!(talking.due(&[Kind::Start], true), [Kind::Answer]);
        assert_eq!(talking.due(&[], true), [Kind::Start, Kind::Answer]);
        let over = Known { info: CallInfo { state: CallState::Ended, ..talking.info }, ended_ms: Some(1) };
        assert_eq!(over.due(&[Kind::Start, Kind::Answer], true), [Kind::End]);
        assert_eq!(over.due(&[Kind::Start], false), [Kind::Answer, Kind::End], "begun before, ended unheard");
        assert_eq!(over.due(&[Kind::Start, Kind::Answer, Kind::End], true), []);
        let missed = Known::heard(call(CallState::Ended), 9_000);
        assert_eq!(missed.due(&[], true), [Kind::Start, Kind::Missed]);
        assert_eq!(missed.due(&[Kind::Start, Kind::Missed], true), []);
    }

    #[test]
    fn programs_of_messages_hear_of_calls_to_the_account_and_how_they_end() {
        let statuses = |info: CallInfo, is_live| Known::heard(info, 0).news(is_live).unwrap().statuses;
        let ended = |by, q850| {
            let end = CallEnd { by, cause: String::new(), sip_status: None, q850: Some(q850) };
            CallInfo { end: Some(end), ..call(CallState::Ended) }
        };
        let talked = CallInfo { answered_ms: Some(3_000), ..ended(Ender::Pbx, 17) };
        assert_eq!(statuses(call(CallState::Incoming), true), ["offer"]);
        let talking = CallInfo { answered_ms: Some(3_000), ..call(CallState::Answered) };
        assert_eq!(statuses(talking, true), ["offer", "pickUp"]);
        assert_eq!(statuses(talked.clone(), true), ["offer", "pickUp", "hangUp"]);
        assert_eq!(statuses(talked, false), ["hangUp"], "nobody heard how it began");
        assert_eq!(statuses(ended(Ender::Pbx, 17), true), ["offer", "declined"], "busy");
        assert_eq!(statuses(ended(Ender::Pbx, 19), true), ["offer", "missed"], "nobody answers");
        assert_eq!(statuses(ended(Ender::Telegram, 21), true), ["offer", "missed"], "the caller gave up");
        let out = CallInfo { direction: Direction::PbxToTelegram, ..call(CallState::Ringing) };
        assert_eq!(Known::heard(out, 0).news(true), None);
        let mut nameless = call(CallState::Incoming);
        assert_eq!(Known::heard(nameless.clone(), 0).news(true).unwrap().from, "5");
        (nameless.peer.id, nameless.peer.phone) = (None, Some("+79161112233".into()));
        assert_eq!(Known::heard(nameless, 0).news(true).unwrap().from, "79161112233@c.us");
    }

    #[test]
    fn of_a_call_that_nobody_heard_of_the_end_alone_is_told() {
        let missed = Known::of_record(record(None));
        assert_eq!(missed.due(&[], false), [Kind::Missed]);
        let talked = Known::of_record(record(Some(2_000)));
        assert_eq!(talked.due(&[], false), [Kind::End]);
    }

    #[test]
    fn a_call_that_was_answered_is_never_missed_and_of_a_lost_one_nobody_knows_how_long_it_was() {
        let unwritten = Known::of_record(record(None));
        assert_eq!(unwritten.due(&[Kind::Start, Kind::Answer], false), [Kind::End]);
        let talking = CallInfo { answered_ms: Some(3_000), ..call(CallState::Answered) };
        let lost = Known::lost(talking);
        assert_eq!(lost.due(&[Kind::Start, Kind::Answer], false), [Kind::End]);
        let event = lost.event(Kind::End, 99_500);
        let nobody_knows = ["duration_ms", "ended_ms", "ended_at"];
        assert!(nobody_knows.iter().all(|key| event[key].is_null()), "{event}");
        assert_eq!((&event["occurred_ms"], &event["state"]), (&json!(99_500), &json!("ended")));
    }

    #[test]
    fn an_event_says_what_programs_are_promised() {
        let info = CallInfo {
            answered_ms: Some(3_000),
            ringing_ms: Some(1_500),
            duration_ms: Some(60_000),
            telegram_call: Some(-7_000_000_000_000_000_001),
            trunk: TrunkEnd { sip_call_id: Some("b7@192.0.2.1".into()), taken_by: Some("204".into()) },
            end: Some(CallEnd {
                by: Ender::Pbx,
                cause: "Normal call clearing".into(),
                sip_status: None,
                q850: Some(16),
            }),
            ..call(CallState::Ended)
        };
        let known = Known::heard(info, 99_000);
        let cause = json!({
            "text": "Normal call clearing", "text_ru": "обычное завершение", "sip_status": null, "q850": 16,
        });
        assert_eq!(
            known.event(Kind::End, 99_500),
            json!({
                "event": "call.end", "event_id": "00000000000000a1.end",
                "occurred_at": "1970-01-01T00:01:03.000Z", "occurred_ms": 63_000,
                "call_id": "00000000000000a1", "line": "+79060000000", "direction": "in", "state": "ended",
                "peer": {"id": 5, "username": "anna", "phone": "+79161112233", "name": "Анна"},
                "extension": "204", "dialled": null, "pbx_name": null, "sip_call_id": "b7@192.0.2.1",
                "telegram_call_id": "-7000000000000000001",
                "started_at": "1970-01-01T00:00:01.000Z", "started_ms": 1_000,
                "ringing_at": "1970-01-01T00:00:01.500Z", "ringing_ms": 1_500,
                "answered_at": "1970-01-01T00:00:03.000Z", "answered_ms": 3_000,
                "ended_at": "1970-01-01T00:01:03.000Z", "ended_ms": 63_000,
                "duration_ms": 60_000, "ring_ms": 1_500, "ended_by": "pbx", "cause": cause,
                "quality": null, "recording": null,
            })
        );
        let start = known.event(Kind::Start, 99_500);
        assert_eq!((&start["state"], &start["occurred_ms"]), (&json!("ringing"), &json!(1_000)));
        assert!(["ended_at", "cause", "answered_ms", "duration_ms"].iter().all(|key| start[*key].is_null()));
        let answer = known.event(Kind::Answer, 99_500);
        assert_eq!((&answer["state"], &answer["ring_ms"]), (&json!("talking"), &json!(1_500)));
        assert_eq!((&answer["occurred_ms"], &answer["ended_ms"]), (&json!(3_000), &Value::Null));
    }

    #[test]
    fn who_rings_depends_on_who_was_asked_first() {
        let joined = |state| CallInfo {
            direction: Direction::PbxToTelegram,
            extension: Some("201".into()),
            ..call(state)
        };
        let rings = |info| Known::heard(info, 0).facts()["rings"].clone();
        assert_eq!(rings(joined(CallState::Dialling)), "extension");
        assert_eq!(rings(joined(CallState::Ringing)), "user");
        assert_eq!(rings(CallInfo { extension: None, ..joined(CallState::Dialling) }), "user");
        assert_eq!(rings(call(CallState::Ringing)), "extension");
        assert_eq!(rings(joined(CallState::Answered)), Value::Null);
    }

    #[test]
    fn words_of_events_are_read_back() {
        for kind in [Kind::Start, Kind::Answer, Kind::End, Kind::Missed] {
            assert_eq!(Kind::from_word(kind.word()), Some(kind));
        }
        assert_eq!(Kind::from_word("call"), None);
    }

    /// A call from Anna at the first second.
    pub(crate) fn call(state: CallState) -> CallInfo {
        CallInfo {
            call: CallId(0xa1),
            line: "+79060000000".parse().unwrap(),
            direction: Direction::TelegramToPbx,
            state,
            peer: Peer {
                id: UserId::new(5).ok(),
                name: Some("Анна".into()),
                username: Some("anna".into()),
                phone: Some("79161112233".into()),
            },
            dialled: None,
            extension: None,
            refused_by: None,
            telegram_call: None,
            emoji: None,
            trunk: TrunkEnd::default(),
            recording: None,
            started_ms: 1_000,
            ringing_ms: None,
            answered_ms: None,
            duration_ms: None,
            end: None,
            quality: None,
            muted: Muted::default(),
            pbx: None,
        }
    }

    /// The gateway's record of it.
    pub(crate) fn record(answered_ms: Option<u64>) -> CallRecord {
        let info = call(CallState::Ended);
        CallRecord {
            call: info.call,
            line: info.line,
            direction: info.direction,
            peer: info.peer,
            dialled: None,
            extension: None,
            telegram_call: None,
            emoji: None,
            trunk: TrunkEnd::default(),
            recording: None,
            started_ms: info.started_ms,
            ringing_ms: None,
            answered_ms,
            ended_ms: Some(5_000),
            result: if answered_ms.is_some() { CallResult::Answered } else { CallResult::Missed },
            end: None,
            quality: None,
            mos_tenths: Vec::new(),
            pbx: None,
        }
    }
}
