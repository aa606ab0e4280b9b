//! Who may call whom over a line, when, and how often: the line's own rules, asked before anything is done.
//!
//! A [`Policy`] answers for one line. The order is fixed: lists first, since whom nobody wants is not even asked about
//! the hour; then the owner of the account, whose own calls are none of the line's; then hours; then how many in a minute and
//! in an hour.

mod list;
mod owner;
mod pattern;
mod rate;
mod rewrite;
mod week;

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeZone};

use crate::cause::Cause;

pub use list::AccessList;
pub use owner::Owner;
pub use pattern::{Glob, Pattern, Subject};
pub use rate::Rate;
pub use rewrite::{RewriteError, Rewrites};
pub use week::{Holiday, Span, Spans};

/// The longest that a PBX is told to wait: it is to look again, in case the rules changed.
const LONGEST_WAIT: Duration = Duration::from_secs(86_400);

/// The rules of one line.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Whose calls from Telegram reach the PBX.
    pub callers: AccessList,
    /// What a caller gets who is not on that list.
    pub refused: Answer,
    /// How many calls from Telegram in a minute.
    pub from_telegram: Rate,
    /// Who may be called at Telegram.
    pub callees: AccessList,
    /// How many calls to Telegram in a minute.
    pub to_telegram: Rate,
    /// How many calls to Telegram in an hour.
    pub to_telegram_hourly: Rate,
    /// Which calls the owner of the account has on their own devices.
    pub owner: Owner,
    /// When the PBX takes calls; always, where there are none.
    pub work: Spans,
    /// What a caller gets at other times; `None`: as at work.
    pub outside: Option<Answer>,
    /// When nobody is called at Telegram.
    pub quiet: Spans,
}

/// What a Telegram caller gets instead of the PBX.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The line is busy.
    Busy,
    /// The call is declined.
    Decline,
    /// It rings until the caller, Telegram, or another device of the account ends it.
    Ignore,
    /// Another user part at the PBX.
    Extension(String),
}

/// Which rule a caller met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// The list of callers.
    List,
    /// The hours.
    Hours,
    /// How many in a minute.
    Rate,
}

/// What becomes of a call from Telegram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The PBX gets it.
    Take {
        /// After so long, in which the owner of the account may answer on another device.
        wait: Option<Duration>,
        /// At this user part instead of the line's, and by which rule.
        diverted: Option<(Rule, String)>,
    },
    /// It rings on the owner's devices alone.
    Leave,
    /// The caller gets this, never an extension.
    Refuse {
        /// By which rule.
        rule: Rule,
        /// What they get.
        answer: Answer,
    },
}

impl Policy {
    /// Rules that let everybody do everything.
    pub fn open() -> Self {
        Self {
            callers: AccessList::default(),
            refused: Answer::Busy,
            from_telegram: Rate::new(0),
            callees: AccessList::default(),
            to_telegram: Rate::new(0),
            to_telegram_hourly: Rate::hourly(0),
            owner: Owner::Nothing,
            work: Spans::default(),
            outside: None,
            quiet: Spans::default(),
        }
    }

    /// What becomes of a call of `caller`; a call that reaches the PBX counts. `local` is the time of day at the line.
    pub fn take<Z: TimeZone>(&mut self, now: Instant, local: &DateTime<Z>, caller: &Subject<'_>) -> Verdict {
        let listed = self.callers.admits(caller);
        if listed && self.owner.has_alone(caller) {
            return Verdict::Leave;
        }
        let answer = match &self.outside {
            _ if !listed => Some((Rule::List, &self.refused)),
            Some(outside) if !self.work.is_empty() && !self.work.hold(local) => Some((Rule::Hours, outside)),
            Some(_) | None => None,
        };
        let diverted = match answer {
            None => None,
            Some((rule, Answer::Extension(user))) => Some((rule, user.clone())),
            Some((rule, answer @ (Answer::Busy | Answer::Decline | Answer::Ignore))) => {
                return Verdict::Refuse { rule, answer: answer.clone() };
            }
        };
        match self.from_telegram.admit(now) {
            Ok(()) => Verdict::Take { wait: self.owner.wait(caller), diverted },
            Err(_) => Verdict::Refuse { rule: Rule::Rate, answer: Answer::Busy },
        }
    }

    /// Whether the PBX may call `callee` now; such a call counts.
    ///
    /// # Errors
    /// The cause that the PBX is told, and which no request to Telegram comes before.
    pub fn place<Z: TimeZone>(
        &mut self,
        now: Instant,
        local: &DateTime<Z>,
        callee: &Subject<'_>,
    ) -> Result<(), Cause> {
        if let Some(cause) = self.refusal(local, callee) {
            return Err(cause);
        }
        self.to_telegram_hourly
            .look(now)
            .map_err(|wait| Cause::TooManyInHour { wait_s: seconds_up(wait) })?;
        self.to_telegram.admit(now).map_err(|wait| Cause::TooOften { wait_s: seconds_up(wait) })?;
        self.to_telegram_hourly.admit(now).ok();
        Ok(())
    }

    /// Why `callee` cannot be called at this time of day, however few are.
    pub fn refusal<Z: TimeZone>(&self, local: &DateTime<Z>, callee: &Subject<'_>) -> Option<Cause> {
        if !self.callees.admits(callee) {
            return Some(Cause::NotAllowed);
        }
        let left = self.quiet.left(local)?;
        Some(Cause::QuietHours { wait_s: seconds_up(left.min(LONGEST_WAIT)) })
    }
}

impl Rule {
    /// Why a caller who met this rule did not reach the PBX.
    pub fn cause(self) -> Cause {
        match self {
            Self::List => Cause::NotAllowed,
            Self::Hours => Cause::OutsideHours,
            Self::Rate => Cause::TooOften { wait_s: 0 },
        }
    }
}

/// Whole seconds, never too few.
fn seconds_up(span: Duration) -> u32 {
    u32::try_from(span.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use chrono::Utc;

    use super::*;

    const ANNA: Subject<'_> = Subject {
        phone: Some("79161234567"),
        username: Some("anna"),
        id: Some(5),
        name: Some("Анна"),
        dialled: None,
        is_contact: false,
    };

    #[test]
    fn a_line_without_rules_takes_and_places_every_call() {
        let (mut policy, now) = (Policy::open(), Instant::now());
        for _ in 0..1_000 {
            assert_eq!(policy.take(now, &noon(), &ANNA), Verdict::Take { wait: None, diverted: None });
            assert_eq!(policy.place(now, &noon(), &ANNA), Ok(()));
        }
    }

    #[test]
    fn whoever_is_denied_gets_what_the_line_says_at_any_hour_and_counts_nowhere() {
        let now = Instant::now();
        let denied = AccessList { allow: vec![], deny: vec![Pattern::Username(Glob::new("anna"))] };
        let work = Spans::new(vec![Span::new([true; 7], 0, 1).unwrap()], vec![]);
        let outside = Some(Answer::Decline);
        let mut policy = Policy { callers: denied.clone(), work, outside, ..Policy::open() };
        policy.from_telegram = Rate::new(1);
        for answer in [Answer::Busy, Answer::Decline, Answer::Ignore] {
            policy.refused = answer.clone();
            assert_eq!(policy.take(now, &noon(), &ANNA), Verdict::Refuse { rule: Rule::List, answer });
        }
        policy.refused = Answer::Extension("100".into());
        let diverted = Some((Rule::List, "100".to_owned()));
        assert_eq!(policy.take(now, &noon(), &ANNA), Verdict::Take { wait: None, diverted });
        let busy = Verdict::Refuse { rule: Rule::Rate, answer: Answer::Busy };
        assert_eq!(policy.take(now, &noon(), &ANNA), busy, "what reaches the PBX counts");
        let mut policy = Policy { callees: denied, ..Policy::open() };
        assert_eq!(policy.place(now, &noon(), &ANNA), Err(Cause::NotAllowed));
    }

    #[test]
    fn outside_hours_a_caller_gets_what_the_line_says_and_at_work_the_pbx() {
        let now = Instant::now();
        let morning = Spans::new(vec![Span::new([true; 7], 9 * 60, 12 * 60).unwrap()], vec![]);
        let mut policy = Policy { work: morning, outside: Some(Answer::Decline), ..Policy::open() };
        let refused = Verdict::Refuse { rule: Rule::Hours, answer: Answer::Decline };
        assert_eq!(policy.take(now, &noon(), &ANNA), refused, "12:00 is after the morning");
        policy.outside = Some(Answer::Extension("900".into()));
        let diverted = Some((Rule::Hours, "900".to_owned()));
        assert_eq!(policy.take(now, &noon(), &ANNA), Verdict::Take { wait: None, diverted });
        policy.outside = None;
        assert_eq!(policy.take(now, &noon(), &ANNA), Verdict::Take { wait: None, diverted: None });
        policy.work = Spans::default();
        policy.outside = Some(Answer::Busy);
        assert_eq!(policy.take(now, &noon(), &ANNA), Verdict::Take { wait: None, diverted: None });
    }

    #[test]
    fn quiet_hours_send_the_pbx_away_until_they_end_and_a_day_at_most() {
        let noonish = Span::new([true; 7], 11 * 60, 13 * 60).unwrap();
        let mut policy = Policy { quiet: Spans::new(vec![noonish], vec![]), ..Policy::open() };
        let told = policy.place(Instant::now(), &noon(), &ANNA);
        assert_eq!(told, Err(Cause::QuietHours { wait_s: 3_600 }));
        policy.quiet = Spans::new(vec![Span::new([true; 7], 0, 1_440).unwrap()], vec![]);
        let told = policy.place(Instant::now(), &noon(), &ANNA);
        assert_eq!(told, Err(Cause::QuietHours { wait_s: 86_400 }));
    }

    #[test]
    fn calls_above_the_minutes_number_are_sent_away_until_there_is_room() {
        let (mut policy, now) = (Policy { to_telegram: Rate::new(2), ..Policy::open() }, Instant::now());
        let s = Duration::from_secs(1);
        assert_eq!(policy.place(now, &noon(), &ANNA), Ok(()));
        assert_eq!(policy.place(now + s * 10, &noon(), &ANNA), Ok(()));
        assert_eq!(policy.place(now + s * 20, &noon(), &ANNA), Err(Cause::TooOften { wait_s: 40 }));
        assert_eq!(policy.place(now + s * 60, &noon(), &ANNA), Ok(()));
    }

    #[test]
    fn calls_above_the_hours_number_are_sent_away_and_what_the_minute_refuses_is_none_of_them() {
        let (mut policy, now) = (Policy { to_telegram: Rate::new(1), ..Policy::open() }, Instant::now());
        policy.to_telegram_hourly = Rate::hourly(2);
        let s = Duration::from_secs(1);
        assert_eq!(policy.place(now, &noon(), &ANNA), Ok(()));
        assert_eq!(policy.place(now + s, &noon(), &ANNA), Err(Cause::TooOften { wait_s: 59 }));
        assert_eq!(policy.place(now + s * 60, &noon(), &ANNA), Ok(()));
        assert_eq!(policy.place(now + s * 120, &noon(), &ANNA), Err(Cause::TooManyInHour { wait_s: 3_480 }));
        assert_eq!(policy.place(now + s * 3_600, &noon(), &ANNA), Ok(()));
    }

    #[test]
    fn the_owner_has_contacts_alone_but_not_those_who_are_denied() {
        let now = Instant::now();
        let mut policy = Policy { owner: Owner::Contacts, ..Policy::open() };
        let friend = Subject { is_contact: true, ..ANNA };
        assert_eq!(policy.take(now, &noon(), &friend), Verdict::Leave);
        assert_eq!(policy.take(now, &noon(), &ANNA), Verdict::Take { wait: None, diverted: None });
        policy.callers.deny = vec![Pattern::Id(5)];
        let refused = Verdict::Refuse { rule: Rule::List, answer: Answer::Busy };
        assert_eq!(policy.take(now, &noon(), &friend), refused);
        let wait = Duration::from_secs(8);
        let mut policy = Policy { owner: Owner::First(wait), ..Policy::open() };
        assert_eq!(policy.take(now, &noon(), &ANNA), Verdict::Take { wait: Some(wait), diverted: None });
    }

    fn noon() -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2026, 11, 26, 12, 0, 0).unwrap()
    }
}
