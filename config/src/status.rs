//! What programs say about themselves in their status files: lamps for people and programs.
//!
//! The gateway's is `<phone>/gateway.status.json`; those of the client and the bot are in the files under this one.
//!
//! One program writes a status file, any may read it. A file that nobody renews is not believed: a reader then sees
//! "waiting for the service to start" instead of yesterday's green.

use std::fmt;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::language::Language;
use crate::said::Said;
use crate::state::{StateDir, StateError};
use crate::units::{Phone, UserId};

mod bot;
mod client;

pub use bot::{BotPrograms, BotStatus, BotUpdate, BotWebhook, BotWebhookFault};
pub use client::ClientStatus;

/// What a reader is told when nobody stands behind a status.
pub const WAITING: &str = "waiting for the service to start";
const WAITING_RU: &str = "ожидается запуск сервиса";

/// A lamp's colour. It means the same in every program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lamp {
    /// Connected, by a check and not by a flag.
    Green,
    /// Waiting: the service starts, or reaches for the other side.
    Orange,
    /// Authorization needed.
    Red,
    /// Switched off by its owner.
    Off,
}

/// A lamp with its story. Times are milliseconds since 1970 (UTC).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Light {
    /// The colour.
    pub lamp: Lamp,
    /// Why, as a plain sentence without a full stop. Empty where green says it all.
    pub reason: String,
    /// The same in Russian; empty where only the English is known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason_ru: String,
    /// Since when it has this colour.
    pub since_ms: u64,
    /// When that was last found true.
    pub checked_ms: u64,
}

/// What the gateway says about one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayStatus {
    /// Version of this shape: [`GatewayStatus::VERSION`].
    pub version: u32,
    /// The line.
    pub line: Phone,
    /// The process that wrote this.
    pub pid: u32,
    /// When it wrote this, in milliseconds since 1970 (UTC).
    pub written_ms: u64,
    /// The line's account at Telegram.
    pub telegram: Light,
    /// The PBX, as its answers to our OPTIONS show it.
    pub sip: Light,
    /// Calls that are up now, ringing ones included.
    pub calls: u32,
    /// The line's account, once somebody is logged in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<UserId>,
    /// Why the line places no calls at Telegram for a while, and how long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<LinePause>,
    /// How many strangers the line may still call and look up today.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strangers: Option<StrangerBudget>,
}

/// How many people whom the account does not know a line may call or look up in a day. Telegram bans accounts that
/// approach many of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StrangerBudget {
    /// So many today.
    pub used: u32,
    /// At most so many.
    pub limit: u32,
    /// When the next day begins, in milliseconds since 1970 (UTC).
    pub resets_ms: u64,
}

/// A line places no calls at Telegram until this is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LinePause {
    /// Why.
    pub reason: PauseReason,
    /// Until when, in milliseconds since 1970 (UTC).
    pub until_ms: u64,
}

/// Why a line places no calls at Telegram for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseReason {
    /// Telegram asked to wait (`FLOOD_WAIT`).
    Flood,
    /// Telegram lets the account call no strangers (`PEER_FLOOD`).
    PeerFlood,
}

impl Light {
    /// A lamp that was lit at `now_ms`.
    pub fn new(lamp: Lamp, reason: impl Into<Said>, now_ms: u64) -> Self {
        let Said { en, ru } = reason.into();
        Self { lamp, reason: en, reason_ru: ru, since_ms: now_ms, checked_ms: now_ms }
    }

    /// A lamp behind which nobody stands yet.
    pub fn waiting(now_ms: u64) -> Self {
        Self::new(Lamp::Orange, Said::new(WAITING, WAITING_RU), now_ms)
    }

    /// Why, in one language; in English where there is no other.
    pub fn reason_in(&self, language: Language) -> &str {
        match language {
            Language::Russian if !self.reason_ru.is_empty() => &self.reason_ru,
            Language::Russian | Language::English => &self.reason,
        }
    }

    /// Notes what a check at `now_ms` found. True if colour or reason changed, so that someone may be told.
    pub fn turn(&mut self, lamp: Lamp, reason: impl Into<Said>, now_ms: u64) -> bool {
        let Said { en, ru } = reason.into();
        self.checked_ms = now_ms;
        let same_lamp = self.lamp == lamp;
        if same_lamp && self.reason == en && self.reason_ru == ru {
            return false;
        }
        if !same_lamp {
            self.lamp = lamp;
            self.since_ms = now_ms;
        }
        (self.reason, self.reason_ru) = (en, ru);
        true
    }
}

impl GatewayStatus {
    /// Version of the shape that this code writes and reads.
    pub const VERSION: u32 = 1;

    /// A line about which nothing is known yet: both lamps orange.
    pub fn waiting(line: Phone, pid: u32, now_ms: u64) -> Self {
        let light = Light::waiting(now_ms);
        let sip = light.clone();
        Self {
            version: Self::VERSION,
            line,
            pid,
            written_ms: now_ms,
            telegram: light,
            sip,
            calls: 0,
            account: None,
            pause: None,
            strangers: None,
        }
    }

    /// The lamp that stands for the whole line: the one that needs a person most.
    pub fn lamp(&self) -> Lamp {
        neediest(&[self.telegram.lamp, self.sip.lamp])
    }

    /// Replaces the line's status file as a whole, without waiting for the disk.
    ///
    /// # Errors
    /// [`StateError::Io`].
    pub fn write(&self, state: &StateDir) -> Result<(), StateError> {
        publish(state, &state.gateway_status(&self.line), self)
    }

    /// Reads a line's status as somebody else: a file that is missing, unreadable, older than `stale_after`, or whose
    /// writer is gone, reads as orange with the reason. A lamp that its owner switched off stays off.
    pub fn read(state: &StateDir, line: &Phone, now_ms: u64, stale_after: Duration) -> Self {
        let told = told(&state.gateway_status(line));
        let Some(mut status) = told.filter(|status: &Self| status.version == Self::VERSION) else {
            return Self::waiting(line.clone(), 0, now_ms);
        };
        if !is_believed(status.written_ms, status.pid, now_ms, stale_after) {
            (status.calls, status.pause) = (0, None);
            dim([&mut status.telegram, &mut status.sip], status.written_ms, now_ms);
        }
        status
    }
}

/// The lamp that stands for several: the one that needs a person most.
fn neediest(lamps: &[Lamp]) -> Lamp {
    let order = [Lamp::Red, Lamp::Off, Lamp::Orange];
    order.into_iter().find(|lamp| lamps.contains(lamp)).unwrap_or(Lamp::Green)
}

fn publish(state: &StateDir, path: &Path, status: &impl Serialize) -> Result<(), StateError> {
    let text = serde_json::to_vec_pretty(status)
        .map_err(|error| crate::state::failed("write", path)(error.into()))?;
    state.publish(path, &text)
}

fn told<T: DeserializeOwned>(path: &Path) -> Option<T> {
    fs::read(path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok())
}

/// Whether what was written at `written_ms` by `pid` still holds.
fn is_believed(written_ms: u64, pid: u32, now_ms: u64, stale_after: Duration) -> bool {
    u128::from(now_ms.saturating_sub(written_ms)) <= stale_after.as_millis() && lives(pid)
}

/// Turns lamps that nobody stands behind to orange. Those that are switched off stay so.
fn dim(lights: [&mut Light; 2], written_ms: u64, now_ms: u64) {
    for light in lights.into_iter().filter(|light| light.lamp != Lamp::Off) {
        *light = Light { since_ms: written_ms, ..Light::waiting(now_ms) };
    }
}

impl fmt::Display for Lamp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Green => "green",
            Self::Orange => "orange",
            Self::Red => "red",
            Self::Off => "off",
        })
    }
}

/// Whether a process with this id runs on this machine (proc(5)).
fn lives(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).is_dir()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = 1_800_000_000_000;
    const STALE: Duration = Duration::from_secs(30);

    #[test]
    fn a_fresh_status_reads_as_it_was_written() {
        let (_room, state, mut status) = running_line();
        status.telegram.turn(Lamp::Green, "", NOW_MS);
        status.calls = 3;
        status.write(&state).unwrap();
        assert_eq!(GatewayStatus::read(&state, &status.line, NOW_MS + 29_000, STALE), status);
    }

    #[test]
    fn a_status_nobody_renews_turns_orange_and_keeps_what_is_switched_off() {
        let (_room, state, mut status) = running_line();
        status.telegram.turn(Lamp::Green, "", NOW_MS);
        status.sip.turn(Lamp::Off, "switched off", NOW_MS);
        status.calls = 3;
        status.write(&state).unwrap();
        let read = GatewayStatus::read(&state, &status.line, NOW_MS + 30_001, STALE);
        assert_eq!((read.telegram.lamp, read.telegram.reason.as_str()), (Lamp::Orange, WAITING));
        assert_eq!((read.sip.lamp, read.calls), (Lamp::Off, 0));
    }

    #[test]
    fn a_status_of_a_dead_process_turns_orange_at_once() {
        let (_room, state, mut status) = running_line();
        status.telegram.turn(Lamp::Green, "", NOW_MS);
        status.pid = u32::MAX; // above the largest pid Linux gives
        status.write(&state).unwrap();
        let read = GatewayStatus::read(&state, &status.line, NOW_MS, STALE);
        assert_eq!(read.telegram.lamp, Lamp::Orange);
    }

    #[test]
    fn a_missing_torn_or_newer_status_reads_as_waiting() {
        let (_room, state, mut status) = running_line();
        let read = || GatewayStatus::read(&state, &status.line, NOW_MS, STALE).lamp();
        assert_eq!(read(), Lamp::Orange);
        fs::write(state.gateway_status(&status.line), b"{\"version\": 1, ").unwrap();
        assert_eq!(read(), Lamp::Orange);
        status.version = 2;
        status.telegram.lamp = Lamp::Green;
        status.sip.lamp = Lamp::Green;
        status.write(&state).unwrap();
        assert_eq!(GatewayStatus::read(&state, &status.line, NOW_MS, STALE).lamp(), Lamp::Orange);
    }

    #[test]
    fn a_lamp_keeps_its_since_while_its_colour_stays() {
        let mut light = Light::new(Lamp::Orange, "connecting", 1);
        assert!(light.turn(Lamp::Orange, "connecting again in 4 s", 2));
        assert!(!light.turn(Lamp::Orange, "connecting again in 4 s", 3));
        assert_eq!((light.since_ms, light.checked_ms), (1, 3));
        assert!(light.turn(Lamp::Green, "", 4));
        assert_eq!(light.since_ms, 4);
    }

    #[test]
    fn the_lines_lamp_is_the_one_that_needs_a_person_most() {
        let (_room, _state, mut status) = running_line();
        for (telegram, sip, whole) in [
            (Lamp::Green, Lamp::Green, Lamp::Green),
            (Lamp::Green, Lamp::Orange, Lamp::Orange),
            (Lamp::Red, Lamp::Orange, Lamp::Red),
            (Lamp::Off, Lamp::Orange, Lamp::Off),
        ] {
            (status.telegram.lamp, status.sip.lamp) = (telegram, sip);
            assert_eq!(status.lamp(), whole);
        }
    }

    #[test]
    fn the_files_shape_is_what_version_1_promises() {
        let (_room, _state, status) = running_line();
        let light = serde_json::json!({"lamp": "orange", "reason": WAITING, "reason_ru": WAITING_RU, "since_ms": NOW_MS, "checked_ms": NOW_MS});
        let promised = serde_json::json!({
            "version": 1, "line": "+79060000000", "pid": std::process::id(), "written_ms": NOW_MS,
            "telegram": light, "sip": light, "calls": 0,
        });
        assert_eq!(serde_json::to_value(&status).unwrap(), promised);
        assert_eq!(serde_json::from_value::<GatewayStatus>(promised).unwrap(), status);
    }

    #[test]
    fn the_account_and_a_pause_are_told_when_there_are_some_and_a_stale_pause_is_not_believed() {
        let (_room, state, mut status) = running_line();
        status.account = UserId::new(5_123_456_789).ok();
        status.pause = Some(LinePause { reason: PauseReason::PeerFlood, until_ms: NOW_MS + 60_000 });
        let told = serde_json::to_value(&status).unwrap();
        assert_eq!(told["account"], 5_123_456_789_i64);
        assert_eq!(told["pause"], serde_json::json!({"reason": "peer_flood", "until_ms": NOW_MS + 60_000}));
        status.write(&state).unwrap();
        assert_eq!(GatewayStatus::read(&state, &status.line, NOW_MS, STALE), status);
        let stale = GatewayStatus::read(&state, &status.line, NOW_MS + 31_000, STALE);
        assert_eq!((stale.account, stale.pause), (status.account, None));
    }

    fn running_line() -> (tempfile::TempDir, StateDir, GatewayStatus) {
        let room = tempfile::tempdir().unwrap();
        let state = StateDir::open(room.path()).unwrap();
        let line: Phone = "+79060000000".parse().unwrap();
        state.make_phone_dir(&line).unwrap();
        (room, state, GatewayStatus::waiting(line, std::process::id(), NOW_MS))
    }
}
