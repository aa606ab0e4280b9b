//! A line's two lamps: the account, and whether callers get their keypad.

use std::sync::{Mutex, PoisonError};

use tgtrunk_config::{ClientStatus, Lamp, Said};
use tgtrunk_telegram::{Sentence, Status};
use tokio::sync::watch;

use crate::clock;
use crate::trouble::Trouble;

/// A trouble that Telegram gives no end to is believed for so long, in milliseconds; then it is tried again.
const LIMITED_MS: u64 = 3_600_000;
/// A wait that is over before a caller hangs up.
const SHORT_S: u32 = 15;

/// The owner of a line's status.
#[derive(Debug)]
pub(crate) struct Lamps {
    status: watch::Sender<ClientStatus>,
    facts: Mutex<Facts>,
}

/// What decides on the keypad's lamp.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Facts {
    gateway: bool,
    account: bool,
    keypad: bool,
    bot: BotFact,
    limit: Option<Limit>,
    /// Telegram did not answer whether the last message was sent.
    unanswered: bool,
}

/// How it stands with the line's bot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BotFact {
    /// The line has none.
    NotSet,
    /// It has not been visited yet.
    Unvisited,
    /// The dialog with it is open, and it answers.
    Open,
    /// It does not do what it is there for; whether a person has to mend that.
    Amiss { red: bool, reason: Said },
}

/// Telegram lets the account write to nobody for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Limit {
    reason: Said,
    until_ms: u64,
}

impl Lamps {
    pub(crate) fn new(status: watch::Sender<ClientStatus>) -> Self {
        let facts = Facts {
            gateway: false,
            account: false,
            keypad: true,
            bot: BotFact::Unvisited,
            limit: None,
            unanswered: false,
        };
        Self { status, facts: Mutex::new(facts) }
    }

    /// Shows the account's own lamp.
    pub(crate) fn account(&self, status: &Status) {
        let (lamp, reason) = match status {
            Status::Green { .. } => (Lamp::Green, Said::new("connected", "на связи")),
            Status::Orange { reason } => (Lamp::Orange, Sentence::from(reason).clause()),
            Status::Red { reason } => (Lamp::Red, Sentence::from(reason).clause()),
        };
        let now_ms = clock::unix_ms();
        self.status.send_if_modified(|status| {
            status.written_ms = now_ms;
            status.telegram.turn(lamp, reason, now_ms)
        });
        self.note(|facts| facts.account = lamp == Lamp::Green);
    }

    pub(crate) fn gateway(&self, is_there: bool) {
        self.note(|facts| facts.gateway = is_there);
    }

    /// Whether the settings want keypads.
    pub(crate) fn keypad(&self, is_wanted: bool) {
        self.note(|facts| facts.keypad = is_wanted);
    }

    pub(crate) fn bot(&self, fact: BotFact) {
        self.note(|facts| facts.bot = fact);
    }

    /// Whether the bot is known not to do what it is there for.
    pub(crate) fn is_bot_amiss(&self) -> bool {
        let facts = self.facts.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(facts.bot, BotFact::Amiss { .. })
    }

    /// Something was sent: whatever limited the account is over.
    pub(crate) fn sent(&self) {
        self.note(|facts| (facts.limit, facts.unanswered) = (None, false));
    }

    /// Telegram did not answer whether something was sent.
    pub(crate) fn unanswered(&self) {
        self.note(|facts| facts.unanswered = true);
    }

    /// Keeps a limit of the account, if this is one that outlasts a call.
    pub(crate) fn limited(&self, trouble: &Trouble) {
        let now_ms = clock::unix_ms();
        let until_ms = match trouble {
            Trouble::Flood { seconds } if !is_short(*seconds) => now_ms + u64::from(*seconds) * 1000,
            Trouble::PeerFlood | Trouble::Frozen { .. } => now_ms + LIMITED_MS,
            _ => return,
        };
        self.note(|facts| facts.limit = Some(Limit { reason: trouble.said(), until_ms }));
    }

    /// Whether writing would be in vain now, and make things worse.
    pub(crate) fn is_limited(&self) -> bool {
        let now_ms = clock::unix_ms();
        let facts = self.facts.lock().unwrap_or_else(PoisonError::into_inner);
        facts.limit.as_ref().is_some_and(|limit| limit.until_ms > now_ms)
    }

    /// Shows the line as one that is not at work.
    pub(crate) fn broken(status: &watch::Sender<ClientStatus>, reason: &Said) {
        let now_ms = clock::unix_ms();
        status.send_modify(|status| {
            status.written_ms = now_ms;
            status.telegram.turn(Lamp::Orange, reason.clone(), now_ms);
            status.keypad.turn(Lamp::Orange, reason.clone(), now_ms);
        });
    }

    /// Looks at the clock: limits end by themselves.
    pub(crate) fn tick(&self) {
        self.note(|_| {});
    }

    fn note(&self, change: impl FnOnce(&mut Facts)) {
        let now_ms = clock::unix_ms();
        let (lamp, reason) = {
            let mut facts = self.facts.lock().unwrap_or_else(PoisonError::into_inner);
            change(&mut facts);
            light(&facts, now_ms)
        };
        self.status.send_if_modified(|status| {
            status.written_ms = now_ms;
            status.keypad.turn(lamp, reason, now_ms)
        });
    }
}

/// Whether a wait that Telegram asks for may be over before the call is.
pub(crate) fn is_short(seconds: u32) -> bool {
    seconds <= SHORT_S
}

/// The keypad's lamp: what is most worth knowing.
fn light(facts: &Facts, now_ms: u64) -> (Lamp, Said) {
    let orange = |en: &str, ru: &str| (Lamp::Orange, Said::new(en, ru));
    if !facts.keypad {
        let reason = ("the line's settings want no keypad", "в настройках линии кнопки выключены");
        return (Lamp::Off, Said::new(reason.0, reason.1));
    }
    if !facts.gateway {
        return orange("the gateway does not run", "шлюз не запущен");
    }
    if !facts.account {
        return orange("waiting for the account", "ожидается вход в аккаунт");
    }
    if let Some(limit) = facts.limit.as_ref().filter(|limit| limit.until_ms > now_ms) {
        let until = clock::time_of_day(limit.until_ms);
        let told = limit.reason.within(|en| format!("{en}; until {until}"), |ru| format!("{ru}; до {until}"));
        return (Lamp::Orange, told);
    }
    if facts.unanswered {
        return orange(
            "Telegram did not answer whether the last message was sent",
            "Telegram не ответил, отправлено ли последнее сообщение",
        );
    }
    match &facts.bot {
        BotFact::NotSet => (
            Lamp::Green,
            Said::new(
                "no bot is set: callers are asked to type digits",
                "бот не указан: звонящих просят набирать цифры сообщением",
            ),
        ),
        BotFact::Unvisited => orange("the bot is being looked for", "ищем бота"),
        BotFact::Open => (Lamp::Green, Said::new("the bot answers", "бот отвечает")),
        BotFact::Amiss { red, reason } => {
            let lamp = if *red { Lamp::Red } else { Lamp::Orange };
            let told = reason.within(
                |en| format!("{en}; callers are asked to type digits"),
                |ru| format!("{ru}; звонящих просят набирать цифры сообщением"),
            );
            (lamp, told)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = 1_800_000_000_000;

    #[test]
    fn the_keypads_lamp_is_green_when_gateway_account_and_bot_are_there() {
        assert_eq!(light(&well(), NOW_MS), (Lamp::Green, Said::new("the bot answers", "бот отвечает")));
        for (facts, lamp, reason) in [
            (Facts { keypad: false, ..well() }, Lamp::Off, "the line's settings want no keypad"),
            (Facts { gateway: false, account: false, ..well() }, Lamp::Orange, "the gateway does not run"),
            (Facts { account: false, ..well() }, Lamp::Orange, "waiting for the account"),
            (
                Facts { unanswered: true, ..well() },
                Lamp::Orange,
                "Telegram did not answer whether the last message was sent",
            ),
            (Facts { bot: BotFact::Unvisited, ..well() }, Lamp::Orange, "the bot is being looked for"),
            (
                Facts { bot: BotFact::NotSet, ..well() },
                Lamp::Green,
                "no bot is set: callers are asked to type digits",
            ),
        ] {
            let (shown, said) = light(&facts, NOW_MS);
            assert_eq!((shown, said.en.as_str()), (lamp, reason));
            assert!(!said.ru.is_empty(), "{reason}");
        }
    }

    #[test]
    fn a_bot_that_a_person_has_to_mend_is_red_and_one_that_may_come_back_orange() {
        let amiss = |red| Facts {
            bot: BotFact::Amiss { red, reason: Said::new("it sleeps", "он спит") },
            ..well()
        };
        assert_eq!(light(&amiss(true), NOW_MS).0, Lamp::Red);
        let (lamp, told) = light(&amiss(false), NOW_MS);
        assert_eq!((lamp, told.en.as_str()), (Lamp::Orange, "it sleeps; callers are asked to type digits"));
        assert_eq!(told.ru, "он спит; звонящих просят набирать цифры сообщением");
    }

    #[test]
    fn a_limit_says_until_when_and_ends_by_itself() {
        let limit =
            Limit { reason: Said::new("slow down", "помедленнее"), until_ms: NOW_MS + 60_000 };
        let facts = Facts { limit: Some(limit), ..well() };
        let until = clock::time_of_day(NOW_MS + 60_000);
        let told = Said::new(format!("slow down; until {until}"), format!("помедленнее; до {until}"));
        assert_eq!(light(&facts, NOW_MS), (Lamp::Orange, told));
        assert_eq!(light(&facts, NOW_MS + 60_000).0, Lamp::Green);
    }

    #[test]
    fn a_wait_that_a_call_may_outlast_is_no_limit() {
        let (status, _) = watch::channel(ClientStatus::waiting("+79060000000".parse().unwrap(), 1, 1));
        let lamps = Lamps::new(status);
        lamps.limited(&Trouble::Flood { seconds: 3 });
        assert!(!lamps.is_limited());
        lamps.limited(&Trouble::Flood { seconds: 600 });
        assert!(lamps.is_limited());
        lamps.sent();
        assert!(!lamps.is_limited());
        lamps.limited(&Trouble::PeerFlood);
        assert!(lamps.is_limited());
    }

    fn well() -> Facts {
        Facts {
            gateway: true,
            account: true,
            keypad: true,
            bot: BotFact::Open,
            limit: None,
            unanswered: false,
        }
    }
}
