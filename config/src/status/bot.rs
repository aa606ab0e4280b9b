//! What a bot says about itself, in `bots/<username>/bot.status.json`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Lamp, Light, dim, is_believed, neediest, publish, told};
use crate::bot_name::BotName;
use crate::said::Said;
use crate::state::{StateDir, StateError};
use crate::units::{Phone, UserId};

/// What one bot says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BotStatus {
    /// Version of this shape: [`BotStatus::VERSION`].
    pub version: u32,
    /// The bot.
    pub bot: BotName,
    /// The process that wrote this.
    pub pid: u32,
    /// When it wrote this, in milliseconds since 1970 (UTC).
    pub written_ms: u64,
    /// The Bot API.
    pub telegram: Light,
    /// The gateway, which presses the keys.
    pub gateway: Light,
    /// The bot's Telegram id, once Telegram has told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<UserId>,
    /// The bot's name as people see it, once Telegram has told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The lines it serves.
    pub lines: Vec<Phone>,
    /// The other programs that lead it, where `[bot.api]` lets them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub programs: Option<BotPrograms>,
}

/// How the other programs do that lead a bot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BotPrograms {
    /// Updates that wait for them.
    pub waiting: u64,
    /// Why their webhook does not take updates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Said>,
    /// Where their updates are brought, while one of them has set a webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<BotWebhook>,
}

/// A webhook that a program has set for a bot. Times are milliseconds since 1970 (UTC).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BotWebhook {
    /// Its scheme and its host; what comes after may hold a secret.
    pub site: String,
    /// When it took an update last, since the program began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_ms: Option<u64>,
    /// What went wrong last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<BotWebhookFault>,
}

/// What went wrong last at a webhook.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BotWebhookFault {
    /// What, in Telegram's English words.
    pub message: String,
    /// Since when.
    pub since_ms: u64,
    /// When last.
    pub at_ms: u64,
    /// How often since then.
    pub attempts: u64,
    /// When it is tried again, while something waits for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_ms: Option<u64>,
    /// Whether updates are taken again since.
    pub is_over: bool,
    /// Which update was not taken last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update: Option<BotUpdate>,
}

/// An update that waits for a program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BotUpdate {
    /// The number by which programs know it: `update_id`.
    pub number: i64,
    /// What it is, in the Bot API's words: `message`, `callback_query`, ...
    pub kind: String,
}

impl BotStatus {
    /// Version of the shape that this code writes and reads.
    pub const VERSION: u32 = 1;

    /// A bot about which nothing is known yet: both lamps orange.
    pub fn waiting(bot: BotName, pid: u32, now_ms: u64) -> Self {
        let light = Light::waiting(now_ms);
        Self {
            version: Self::VERSION,
            bot,
            pid,
            written_ms: now_ms,
            telegram: light.clone(),
            gateway: light,
            id: None,
            name: None,
            lines: Vec::new(),
            programs: None,
        }
    }

    /// The lamp that stands for all: the one that needs a person most.
    pub fn lamp(&self) -> Lamp {
        neediest(&[self.telegram.lamp, self.gateway.lamp])
    }

    /// Replaces the bot's status file as a whole, without waiting for the disk.
    ///
    /// # Errors
    /// [`StateError::Io`].
    pub fn write(&self, state: &StateDir) -> Result<(), StateError> {
        publish(state, &state.bot_status(&self.bot), self)
    }

    /// Reads a bot's status as somebody else, as [`crate::GatewayStatus::read`] does.
    pub fn read(state: &StateDir, bot: &BotName, now_ms: u64, stale_after: Duration) -> Self {
        let told = told(&state.bot_status(bot));
        let Some(mut status) = told.filter(|status: &Self| status.version == Self::VERSION) else {
            return Self::waiting(bot.clone(), 0, now_ms);
        };
        if !is_believed(status.written_ms, status.pid, now_ms, stale_after) {
            dim([&mut status.telegram, &mut status.gateway], status.written_ms, now_ms);
        }
        status
    }
}

#[cfg(test)]
mod tests {
    use super::super::{WAITING, WAITING_RU};
    use super::*;

    const NOW_MS: u64 = 1_800_000_000_000;
    const STALE: Duration = Duration::from_secs(30);

    #[test]
    fn the_files_shape_is_what_version_1_promises() {
        let mut status = status();
        let light = serde_json::json!({"lamp": "orange", "reason": WAITING, "reason_ru": WAITING_RU, "since_ms": NOW_MS, "checked_ms": NOW_MS});
        let mut promised = serde_json::json!({
            "version": 1, "bot": "Acme_Bot", "pid": std::process::id(), "written_ms": NOW_MS,
            "telegram": light, "gateway": light, "lines": [],
        });
        assert_eq!(serde_json::to_value(&status).unwrap(), promised);
        status.id = UserId::new(7_000_000_001).ok();
        status.name = Some("Акме".into());
        status.lines.push("+79060000000".parse().unwrap());
        let update = Some(BotUpdate { number: 7, kind: "message".into() });
        let fault =
            BotWebhookFault { message: "gone".into(), attempts: 2, update, ..BotWebhookFault::default() };
        let webhook = BotWebhook { site: "http://a".into(), taken_ms: Some(5), fault: Some(fault) };
        let trouble = Some(Said::new("gone", "нет"));
        status.programs = Some(BotPrograms { waiting: 3, trouble, webhook: Some(webhook) });
        promised["id"] = 7_000_000_001_i64.into();
        promised["name"] = "Акме".into();
        promised["lines"] = serde_json::json!(["+79060000000"]);
        let fault = serde_json::json!({
            "message": "gone", "since_ms": 0, "at_ms": 0, "attempts": 2, "is_over": false,
            "update": {"number": 7, "kind": "message"},
        });
        promised["programs"] = serde_json::json!({
            "waiting": 3, "trouble": {"en": "gone", "ru": "нет"},
            "webhook": {"site": "http://a", "taken_ms": 5, "fault": fault},
        });
        assert_eq!(serde_json::to_value(&status).unwrap(), promised);
        assert_eq!(serde_json::from_value::<BotStatus>(promised).unwrap(), status);
    }

    #[test]
    fn a_status_is_believed_while_its_writer_renews_it() {
        let room = tempfile::tempdir().unwrap();
        let state = StateDir::open(room.path()).unwrap();
        let mut status = status();
        assert_eq!(BotStatus::read(&state, &status.bot, NOW_MS, STALE).lamp(), Lamp::Orange);
        state.make_bot_dir(&status.bot).unwrap();
        status.telegram.turn(Lamp::Red, "the token is wrong", NOW_MS);
        status.gateway.turn(Lamp::Green, "", NOW_MS);
        status.write(&state).unwrap();
        let read = |now_ms| BotStatus::read(&state, &"acme_bot".parse().unwrap(), now_ms, STALE);
        assert_eq!(read(NOW_MS), status);
        assert_eq!(read(NOW_MS).lamp(), Lamp::Red);
        assert_eq!(read(NOW_MS + 30_001).lamp(), Lamp::Orange);
    }

    fn status() -> BotStatus {
        BotStatus::waiting("Acme_Bot".parse().unwrap(), std::process::id(), NOW_MS)
    }
}
