//! A bot's lamps.

use std::sync::{Arc, Mutex, PoisonError};

use tgtrunk_config::{BotPrograms, BotStatus, Lamp, Light, Phone, Said, StateDir, StateError};
use tokio::sync::watch;

use crate::admission;
use crate::calls::Standing;
use crate::clock;
use crate::telegram::{Failure, Profile};

/// A bot's lamps. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Lamps {
    status: watch::Sender<BotStatus>,
    /// What is wrong though Telegram answers.
    fault: Arc<Mutex<Option<(Lamp, Said)>>>,
}

impl Lamps {
    pub(crate) fn new(status: watch::Sender<BotStatus>) -> Self {
        Self { status, fault: Arc::default() }
    }

    /// Telegram did what it was asked, or did not. Tells when that changes the lamp.
    pub(crate) fn telegram(&self, done: Result<(), &Failure>) {
        let (lamp, reason) = match done {
            Ok(()) => self.standing_fault().unwrap_or((Lamp::Green, Said::default())),
            Err(failure @ Failure::Token) => (Lamp::Red, failure.said()),
            Err(failure @ Failure::Conflict(_)) => (Lamp::Orange, admission::conflict(failure)),
            Err(failure) => (Lamp::Orange, failure.said()),
        };
        self.turn(lamp, reason);
    }

    /// Telegram's lamp has this colour, for this reason.
    pub(crate) fn turn(&self, lamp: Lamp, reason: Said) {
        let told = reason.en.clone();
        let mut before = None;
        self.status.send_if_modified(|status| {
            before = Some(status.telegram.lamp);
            status.telegram.turn(lamp, reason, clock::unix_ms())
        });
        match (before, lamp) {
            (Some(before), _) if before == lamp => tracing::debug!(%lamp, reason = told, "telegram"),
            (_, Lamp::Green) => tracing::info!("telegram answers"),
            (_, Lamp::Red) => tracing::error!(reason = told, "telegram refuses the bot"),
            (_, Lamp::Orange | Lamp::Off) => tracing::warn!(reason = told, "telegram does not do its part"),
        }
    }

    /// Telegram answers, and something is wrong all the same; or nothing is any more.
    pub(crate) fn fault(&self, fault: Option<(Lamp, Said)>) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
        self.telegram(Ok(()));
    }

    fn standing_fault(&self) -> Option<(Lamp, Said)> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the lamps show, as it changes.
    pub(crate) fn follow(&self) -> watch::Receiver<BotStatus> {
        self.status.subscribe()
    }

    /// The gateway is there, or not.
    pub(crate) fn gateway(&self, standing: Standing) {
        let (lamp, reason) = match standing {
            Standing::Up => (Lamp::Green, Said::default()),
            Standing::Unknown => (Lamp::Orange, waiting()),
            Standing::Gone => (Lamp::Orange, Said::new("the gateway does not run", "шлюз не запущен")),
        };
        self.status.send_if_modified(|status| status.gateway.turn(lamp, reason, clock::unix_ms()));
    }

    /// Who the bot is.
    pub(crate) fn profile(&self, profile: &Profile) {
        self.status.send_modify(|status| {
            status.id = Some(profile.id);
            status.name = Some(profile.name.clone());
        });
    }

    /// How the other programs do that lead it.
    pub(crate) fn programs(&self, programs: BotPrograms) {
        self.status.send_if_modified(|status| status.programs.replace(programs.clone()) != Some(programs));
    }

    /// Which lines it serves.
    pub(crate) fn lines(&self, lines: &[Phone]) {
        self.status.send_if_modified(|status| {
            let news = status.lines != lines;
            if news {
                status.lines = lines.to_vec();
            }
            news
        });
    }
}

fn waiting() -> Said {
    let Light { reason, reason_ru, .. } = Light::waiting(0);
    Said::new(reason, reason_ru)
}

/// Puts the status on the disk, as one that is told now.
pub(crate) fn put(status: &BotStatus, state: &StateDir) -> Result<(), StateError> {
    BotStatus { written_ms: clock::unix_ms(), ..status.clone() }.write(state)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tgtrunk_shell::status_file;

    use super::*;

    #[test]
    fn the_lamp_is_red_for_a_token_orange_for_what_passes_and_a_fault_outlives_answers() {
        let (lamps, status) = lamps();
        let shown = || {
            let status = status.borrow();
            (status.telegram.lamp, status.telegram.reason.clone())
        };
        lamps.telegram(Ok(()));
        assert_eq!(shown(), (Lamp::Green, String::new()));
        lamps.telegram(Err(&Failure::Token));
        assert_eq!(shown().0, Lamp::Red);
        assert!(status.borrow().telegram.reason_ru.starts_with("Telegram не знает этого токена"));
        lamps.telegram(Err(&Failure::Conflict("two".into())));
        assert!(shown().0 == Lamp::Orange && shown().1.starts_with("another program polls with this token"));
        lamps.fault(Some((Lamp::Orange, Said::new("inline mode is off", "выключен"))));
        lamps.telegram(Ok(()));
        assert_eq!(shown(), (Lamp::Orange, "inline mode is off".into()));
        lamps.fault(None);
        assert_eq!(shown().0, Lamp::Green);
    }

    #[tokio::test]
    async fn the_last_word_is_on_the_disk_when_the_bot_ends() {
        let room = tempfile::tempdir().unwrap();
        let state = StateDir::open(room.path()).unwrap();
        let bot = "acme_bot".parse().unwrap();
        state.make_bot_dir(&bot).unwrap();
        let (lamps, status) = lamps();
        let keeper = tokio::spawn(status_file::keep(state.clone(), status, put));
        lamps.turn(Lamp::Red, "over".into());
        lamps.gateway(Standing::Gone);
        drop(lamps);
        keeper.await.unwrap();
        let read = BotStatus::read(&state, &bot, clock::unix_ms(), Duration::from_secs(30));
        assert_eq!((read.telegram.reason.as_str(), read.gateway.lamp), ("over", Lamp::Orange));
    }

    fn lamps() -> (Lamps, watch::Receiver<BotStatus>) {
        let waiting = BotStatus::waiting("acme_bot".parse().unwrap(), std::process::id(), 1);
        let (shown, status) = watch::channel(waiting);
        (Lamps::new(shown), status)
    }
}
