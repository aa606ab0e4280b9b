//! What operators are told: that something needs them, once, and once that it is over.
//!
//! Trouble is told of when it has held for a while, and its end likewise, so that a line that comes and goes is not a
//! flood of messages. It knows no clock, no store and no words: [`Notices::handle`] takes what is wrong now,
//! [`Notices::poll_notice`] gives what to tell, and what was told before a restart comes in at the beginning.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use tgtrunk_config::{ClientStatus, GatewayStatus, Lamp, Light, Phone, Said};

use crate::calls::{Calls, Standing};

/// What can be wrong. The text form names it in the store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trouble {
    /// The gateway does not run.
    Gateway,
    /// A line's account needs a login.
    Red(Phone),
    /// A line's PBX does not answer.
    Pbx(Phone),
    /// Telegram has a line wait.
    Flood(Phone),
    /// The client's own session of a line's account needs a login.
    Client(Phone),
    /// Telegram lets a line's account write to nobody.
    Writing(Phone),
}

/// Something to tell operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) trouble: Trouble,
    /// Why, as far as it is known; None when it is over.
    pub(crate) reason: Option<Reason>,
}

/// Why something is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Reason {
    pub(crate) sentence: Said,
    /// When it will be over, where that is known; milliseconds since 1970.
    pub(crate) until_ms: Option<u64>,
}

/// Decides what operators are told.
#[derive(Debug)]
pub(crate) struct Notices {
    after: Duration,
    /// Told of, and not over as far as anybody was told.
    told: BTreeSet<Trouble>,
    /// What differs from what was told, and since when.
    turning: BTreeMap<Trouble, Instant>,
    reasons: BTreeMap<Trouble, Reason>,
    notices: VecDeque<Notice>,
}

impl Trouble {
    /// Its name in the store.
    pub(crate) fn to_word(&self) -> String {
        match self {
            Self::Gateway => "gateway".to_owned(),
            Self::Red(line) => format!("red {line}"),
            Self::Pbx(line) => format!("pbx {line}"),
            Self::Flood(line) => format!("flood {line}"),
            Self::Client(line) => format!("client {line}"),
            Self::Writing(line) => format!("writing {line}"),
        }
    }

    /// Reads its name.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        let Some((kind, line)) = word.split_once(' ') else {
            return (word == "gateway").then_some(Self::Gateway);
        };
        let line = line.parse().ok()?;
        match kind {
            "red" => Some(Self::Red(line)),
            "pbx" => Some(Self::Pbx(line)),
            "flood" => Some(Self::Flood(line)),
            "client" => Some(Self::Client(line)),
            "writing" => Some(Self::Writing(line)),
            _ => None,
        }
    }

    /// Its line, if it is one line's.
    pub(crate) fn line(&self) -> Option<&Phone> {
        match self {
            Self::Gateway => None,
            Self::Red(line)
            | Self::Pbx(line)
            | Self::Flood(line)
            | Self::Client(line)
            | Self::Writing(line) => Some(line),
        }
    }
}

/// What is found wrong.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Findings {
    /// Trouble, with its reason.
    pub(crate) wrong: BTreeMap<Trouble, Reason>,
    /// Of which nobody can tell right now whether it is there.
    pub(crate) unsure: BTreeSet<Trouble>,
}

impl Findings {
    /// What is wrong with the gateway and with `lines` at `now_ms`.
    pub(crate) fn of(calls: &Calls, lines: &[Phone], now_ms: u64) -> Self {
        let mut found = Self::default();
        match calls.standing() {
            Standing::Unknown => drop(found.unsure.insert(Trouble::Gateway)),
            Standing::Gone => drop(found.wrong.insert(Trouble::Gateway, Reason::default())),
            Standing::Up => {}
        }
        for line in lines {
            match calls.lines().get(line).filter(|_| calls.standing() == Standing::Up) {
                Some(status) => found.look_at(status, now_ms),
                None => found.unsure.extend([
                    Trouble::Red(line.clone()),
                    Trouble::Pbx(line.clone()),
                    Trouble::Flood(line.clone()),
                ]),
            }
        }
        found
    }

    /// Adds what is wrong with the client's part in a line; None where nobody knows. A client that does not run, a
    /// gateway or a bot that it misses are no troubles of the account.
    pub(crate) fn look_at_client(&mut self, line: &Phone, status: Option<&ClientStatus>) {
        let (client, writing) = (Trouble::Client(line.clone()), Trouble::Writing(line.clone()));
        let Some(status) = status else {
            self.unsure.extend([client, writing]);
            return;
        };
        let because =
            |light: &Light| Reason { sentence: Said::new(&*light.reason, &*light.reason_ru), until_ms: None };
        match status.telegram.lamp {
            Lamp::Red => drop(self.wrong.insert(client, because(&status.telegram))),
            Lamp::Orange => drop(self.unsure.insert(client)),
            Lamp::Green | Lamp::Off => {}
        }
        match status.keypad.lamp {
            Lamp::Orange if is_limit(&status.keypad.reason) => {
                self.wrong.insert(writing, because(&status.keypad));
            }
            // Something else hides whether the limit holds.
            Lamp::Orange | Lamp::Red => drop(self.unsure.insert(writing)),
            Lamp::Green | Lamp::Off => {}
        }
    }

    fn look_at(&mut self, status: &GatewayStatus, now_ms: u64) {
        let line = || status.line.clone();
        let because =
            |light: &Light| Reason { sentence: Said::new(&*light.reason, &*light.reason_ru), until_ms: None };
        match status.telegram.lamp {
            Lamp::Red => drop(self.wrong.insert(Trouble::Red(line()), because(&status.telegram))),
            // It is being tried, and may well turn out red again.
            Lamp::Orange => drop(self.unsure.insert(Trouble::Red(line()))),
            Lamp::Green | Lamp::Off => {}
        }
        match status.sip.lamp {
            Lamp::Red | Lamp::Orange => {
                self.wrong.insert(Trouble::Pbx(line()), because(&status.sip));
            }
            Lamp::Green | Lamp::Off => {}
        }
        if let Some(pause) = status.pause.as_ref().filter(|pause| pause.until_ms > now_ms) {
            let reason = Reason { until_ms: Some(pause.until_ms), ..because(&status.telegram) };
            self.wrong.insert(Trouble::Flood(line()), reason);
        }
    }
}

/// Whether a keypad's lamp tells of a limit of the account: of all that it tells, only those end at a time.
fn is_limit(reason: &str) -> bool {
    reason.contains("; until ")
}

impl Notices {
    /// Begins with what was told before. Trouble and its end are told when they held for `after`.
    pub(crate) fn new(after: Duration, told: impl IntoIterator<Item = Trouble>) -> Self {
        Self {
            after,
            told: told.into_iter().collect(),
            turning: BTreeMap::new(),
            reasons: BTreeMap::new(),
            notices: VecDeque::new(),
        }
    }

    /// Takes what is found at `now`. Of lines that are not among `lines` any more, nobody is told anything.
    pub(crate) fn handle(&mut self, found: Findings, lines: &[Phone], now: Instant) {
        let Findings { wrong, unsure } = found;
        let (told, turning) = (&self.told, &mut self.turning);
        let ours = |trouble: &Trouble| trouble.line().is_none_or(|line| lines.contains(line));
        turning.retain(|trouble, _| {
            ours(trouble)
                && !unsure.contains(trouble)
                && wrong.contains_key(trouble) != told.contains(trouble)
        });
        let begun = wrong.keys().filter(|trouble| !told.contains(trouble));
        let over = told.iter().filter(|trouble| !wrong.contains_key(trouble) && !unsure.contains(trouble));
        for trouble in begun.chain(over).filter(|trouble| ours(trouble)) {
            turning.entry(trouble.clone()).or_insert(now);
        }
        self.reasons = wrong;
        self.handle_timeout(now);
    }

    /// Tells of what has held long enough at `now`.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        let after = self.after;
        let due = self.turning.extract_if(.., |_, since| now.saturating_duration_since(*since) >= after);
        for (trouble, _) in due {
            let reason = if self.told.remove(&trouble) {
                None
            } else {
                self.told.insert(trouble.clone());
                Some(self.reasons.get(&trouble).cloned().unwrap_or_default())
            };
            self.notices.push_back(Notice { trouble, reason });
        }
    }

    /// The next thing to tell.
    pub(crate) fn poll_notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    /// When to call [`Notices::handle_timeout`].
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.turning.values().min().map(|since| *since + self.after)
    }
}

#[cfg(test)]
mod tests {
    use tgtrunk_config::{LinePause, PauseReason};
    use tgtrunk_shell::asking::Told;

    use super::*;
    use crate::calls::tests::{line, up};

    const AFTER: Duration = Duration::from_secs(10);

    #[test]
    fn trouble_is_told_once_when_it_has_held_and_its_end_once() {
        let mut room = Room::new([]);
        room.at(0, &[Trouble::Red(line())]);
        room.at(9, &[Trouble::Red(line())]);
        assert_eq!(room.told(), []);
        room.tick(10);
        assert_eq!(room.told(), [(Trouble::Red(line()), true)]);
        room.at(500, &[Trouble::Red(line())]);
        room.tick(900);
        assert_eq!(room.told(), []);
        room.at(1_000, &[]);
        room.tick(1_009);
        assert_eq!(room.told(), []);
        room.tick(1_010);
        assert_eq!(room.told(), [(Trouble::Red(line()), false)]);
        assert_eq!(room.notices.poll_timeout(), None);
    }

    #[test]
    fn what_comes_and_goes_within_the_time_is_told_to_nobody() {
        let mut room = Room::new([]);
        for second in (0..100).step_by(10) {
            room.at(second, &[Trouble::Pbx(line())]);
            room.at(second + 5, &[]);
        }
        assert_eq!(room.told(), []);
        let mut room = Room::new([Trouble::Pbx(line())]);
        for second in (0..100).step_by(10) {
            room.at(second, &[]);
            room.at(second + 5, &[Trouble::Pbx(line())]);
        }
        assert_eq!(room.told(), []);
    }

    #[test]
    fn a_restart_repeats_nothing_and_tells_of_an_end_that_it_missed() {
        let mut room = Room::new([Trouble::Red(line()), Trouble::Gateway]);
        room.at(0, &[Trouble::Red(line())]);
        room.tick(10);
        assert_eq!(room.told(), [(Trouble::Gateway, false)]);
    }

    #[test]
    fn while_the_gateway_is_gone_no_line_is_in_order_again() {
        let mut room = Room::new([Trouble::Red(line())]);
        let mut calls = Calls::default();
        calls.handle(Told::Gone);
        let now = room.start;
        room.notices.handle(Findings::of(&calls, &[line()], 0), &[line()], now);
        room.tick(60);
        assert_eq!(room.told(), [(Trouble::Gateway, true)]);
        room.at(100, &[]);
        room.tick(110);
        assert_eq!(room.told(), [(Trouble::Gateway, false), (Trouble::Red(line()), false)]);
    }

    #[test]
    fn nothing_is_over_while_nothing_is_known() {
        let mut room = Room::new([Trouble::Gateway, Trouble::Red(line())]);
        let now = room.start;
        room.notices.handle(Findings::of(&Calls::default(), &[line()], 0), &[line()], now);
        room.tick(1_000);
        assert_eq!(room.told(), []);
    }

    #[test]
    fn a_line_that_is_gone_is_told_of_no_more() {
        let mut room = Room::new([Trouble::Red(line())]);
        let now = room.start;
        room.notices.handle(Findings::default(), &[], now);
        room.tick(1_000);
        assert_eq!(room.told(), []);
    }

    #[test]
    fn lamps_and_pauses_are_trouble_and_a_gateway_that_is_gone_is_one_trouble() {
        let look = |calls: &Calls, now_ms| Findings::of(calls, &[line()], now_ms);
        let all = [Trouble::Red(line()), Trouble::Pbx(line()), Trouble::Flood(line())];
        let mut calls = Calls::default();
        assert_eq!(look(&calls, 0).wrong.len(), 0);
        let lamps = |lamp| {
            let Told::Up { mut status, .. } = up(Vec::new()) else { panic!() };
            let line = &mut status.lines[0].status;
            line.telegram.turn(lamp, "log in", 1);
            line.pause = Some(LinePause { reason: PauseReason::PeerFlood, until_ms: 1_000 });
            Told::Up { calls: Vec::new(), status }
        };
        calls.handle(lamps(Lamp::Red));
        let found = look(&calls, 0);
        assert!(found.wrong.keys().eq(&all) && found.unsure.is_empty());
        assert_eq!(found.wrong[&all[0]].sentence, Said::from("log in"));
        assert_eq!(found.wrong[&all[2]].until_ms, Some(1_000));
        assert!(look(&calls, 1_000).wrong.keys().eq(&all[..2]));
        calls.handle(lamps(Lamp::Orange));
        assert!(look(&calls, 1_000).wrong.keys().eq(&all[1..2]) && look(&calls, 0).unsure.contains(&all[0]));
        calls.handle(Told::Gone);
        let found = look(&calls, 0);
        assert!(
            found.wrong.keys().eq([&Trouble::Gateway])
                && found.unsure.iter().eq({
                    let mut sorted: Vec<_> = all.iter().collect();
                    sorted.sort();
                    sorted
                })
        );
    }

    #[test]
    fn a_clients_red_lamp_and_a_limit_are_troubles_and_what_it_waits_for_is_none() {
        let (client, writing) = (Trouble::Client(line()), Trouble::Writing(line()));
        let look = |telegram, (keypad, reason): (Lamp, &str)| {
            let mut status = ClientStatus::waiting(line(), 1, 1);
            status.telegram.turn(telegram, "log in", 2);
            status.keypad.turn(keypad, reason, 2);
            let mut found = Findings::default();
            found.look_at_client(&line(), Some(&status));
            (found.wrong.into_keys().collect::<Vec<_>>(), found.unsure.into_iter().collect::<Vec<_>>())
        };
        let limit = "Telegram limits the account for writing to strangers (PEER_FLOOD); until 14:05";
        assert_eq!(look(Lamp::Green, (Lamp::Green, "")), (vec![], vec![]));
        assert_eq!(look(Lamp::Red, (Lamp::Green, "")), (vec![client.clone()], vec![]));
        assert_eq!(look(Lamp::Green, (Lamp::Orange, limit)), (vec![writing.clone()], vec![]));
        for reason in ["the gateway does not run", "the bot is being looked for"] {
            assert_eq!(look(Lamp::Green, (Lamp::Orange, reason)), (vec![], vec![writing.clone()]));
        }
        let waits = look(Lamp::Orange, (Lamp::Orange, "waiting for the account"));
        assert_eq!(waits, (vec![], vec![client, writing]));
    }

    #[test]
    fn a_troubles_name_reads_back() {
        for trouble in [
            Trouble::Gateway,
            Trouble::Red(line()),
            Trouble::Pbx(line()),
            Trouble::Flood(line()),
            Trouble::Client(line()),
            Trouble::Writing(line()),
        ] {
            assert_eq!(Trouble::from_word(&trouble.to_word()), Some(trouble));
        }
        assert_eq!(Trouble::from_word("rain +79060000000"), None);
    }

    struct Room {
        notices: Notices,
        start: Instant,
    }

    impl Room {
        fn new(told: impl IntoIterator<Item = Trouble>) -> Self {
            Self { notices: Notices::new(AFTER, told), start: crate::clock::now() }
        }

        fn at(&mut self, second: u64, wrong: &[Trouble]) {
            let wrong = wrong.iter().map(|trouble| (trouble.clone(), Reason::default())).collect();
            let found = Findings { wrong, unsure: BTreeSet::new() };
            self.notices.handle(found, &[line()], self.start + Duration::from_secs(second));
        }

        fn tick(&mut self, second: u64) {
            self.notices.handle_timeout(self.start + Duration::from_secs(second));
        }

        fn told(&mut self) -> Vec<(Trouble, bool)> {
            let told = std::iter::from_fn(|| self.notices.poll_notice());
            told.map(|notice| (notice.trouble, notice.reason.is_some())).collect()
        }
    }
}
