//! What the client says about a line, in `<phone>/client.status.json`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Lamp, Light, dim, is_believed, neediest, publish, told};
use crate::state::{StateDir, StateError};
use crate::units::Phone;

/// What the client says about one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientStatus {
    /// Version of this shape: [`ClientStatus::VERSION`].
    pub version: u32,
    /// The line.
    pub line: Phone,
    /// The process that wrote this.
    pub pid: u32,
    /// When it wrote this, in milliseconds since 1970 (UTC).
    pub written_ms: u64,
    /// The client's own session of the line's account.
    pub telegram: Light,
    /// Whether callers get their keypad: the gateway is heard, the bot answers.
    pub keypad: Light,
}

impl ClientStatus {
    /// Version of the shape that this code writes and reads.
    pub const VERSION: u32 = 1;

    /// A line about which nothing is known yet: both lamps orange.
    pub fn waiting(line: Phone, pid: u32, now_ms: u64) -> Self {
        let light = Light::waiting(now_ms);
        let keypad = light.clone();
        Self { version: Self::VERSION, line, pid, written_ms: now_ms, telegram: light, keypad }
    }

    /// The lamp that stands for all: the one that needs a person most.
    pub fn lamp(&self) -> Lamp {
        neediest(&[self.telegram.lamp, self.keypad.lamp])
    }

    /// Replaces the line's status file as a whole, without waiting for the disk.
    ///
    /// # Errors
    /// [`StateError::Io`].
    pub fn write(&self, state: &StateDir) -> Result<(), StateError> {
        publish(state, &state.client_status(&self.line), self)
    }

    /// Reads a line's status as somebody else, as [`crate::GatewayStatus::read`] does.
    pub fn read(state: &StateDir, line: &Phone, now_ms: u64, stale_after: Duration) -> Self {
        let told = told(&state.client_status(line));
        let Some(mut status) = told.filter(|status: &Self| status.version == Self::VERSION) else {
            return Self::waiting(line.clone(), 0, now_ms);
        };
        if !is_believed(status.written_ms, status.pid, now_ms, stale_after) {
            dim([&mut status.telegram, &mut status.keypad], status.written_ms, now_ms);
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
        let status = status();
        let light = serde_json::json!({"lamp": "orange", "reason": WAITING, "reason_ru": WAITING_RU, "since_ms": NOW_MS, "checked_ms": NOW_MS});
        let promised = serde_json::json!({
            "version": 1, "line": "+79060000000", "pid": std::process::id(), "written_ms": NOW_MS,
            "telegram": light, "keypad": light,
        });
        assert_eq!(serde_json::to_value(&status).unwrap(), promised);
        assert_eq!(serde_json::from_value::<ClientStatus>(promised).unwrap(), status);
    }

    #[test]
    fn a_status_is_believed_while_its_writer_renews_it() {
        let room = tempfile::tempdir().unwrap();
        let state = StateDir::open(room.path()).unwrap();
        let mut status = status();
        let read = |now_ms| ClientStatus::read(&state, &status.line, now_ms, STALE);
        assert_eq!((read(NOW_MS).pid, read(NOW_MS).lamp()), (0, Lamp::Orange));
        state.make_phone_dir(&status.line).unwrap();
        status.telegram.turn(Lamp::Green, "", NOW_MS);
        status.keypad.turn(Lamp::Off, "the line has no keypad", NOW_MS);
        status.write(&state).unwrap();
        let read = |now_ms| ClientStatus::read(&state, &status.line, now_ms, STALE);
        assert_eq!(read(NOW_MS + 30_000), status);
        let stale = read(NOW_MS + 30_001);
        assert_eq!((stale.telegram.lamp, stale.keypad.lamp), (Lamp::Orange, Lamp::Off));
    }

    fn status() -> ClientStatus {
        ClientStatus::waiting("+79060000000".parse().unwrap(), std::process::id(), NOW_MS)
    }
}
