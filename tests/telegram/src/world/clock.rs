//! The world's clock: Unix time, and timers that a test may scale.

use std::sync::Weak;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::handle::Inner;
use super::outbox::Parcel;
use crate::ahead;
use crate::link::Answer;

/// What may come due.
#[derive(Debug)]
pub(crate) enum Due {
    /// No device of the callee said `receivedCall` in time.
    Unreceived(i64),
    /// It rang, and nobody answered in time.
    Unanswered(i64),
    /// Accepted, but the caller never confirmed.
    Unconfirmed(i64),
    /// A call to a callee who is held busy ends right after its request was answered.
    Occupied(i64),
    /// A bot has not answered this inline query in time.
    InlineUnanswered(i64),
    /// A bot has not answered this press of a button in time.
    PressUnanswered(i64),
    /// A login code has grown too old.
    CodeExpires(String),
    /// A login token has grown too old.
    TokenExpires(Vec<u8>),
    /// A message's time has come.
    Scheduled {
        /// Whose.
        user: i64,
        /// Into which chat.
        to: i64,
        /// Its number among those that wait.
        id: i32,
        /// For when it was meant, Unix time.
        date: i32,
    },
    /// A push that a fault held back.
    Push(Box<Parcel>),
    /// A push that waited for a later one to overtake it.
    Release(i64),
}

/// Sets timers on the runtime that started the world.
#[derive(Debug)]
pub(crate) struct Clock {
    runtime: Handle,
    world: Weak<Inner>,
    /// What the protocol's timers are multiplied by.
    pub(crate) scale: f64,
}

impl Clock {
    pub(crate) fn new(runtime: Handle, world: Weak<Inner>, scale: f64) -> Self {
        Self { runtime, world, scale }
    }

    /// A timer of the protocol, as long as the scale makes it.
    pub(crate) fn scaled(&self, period: Duration) -> Duration {
        period.mul_f64(self.scale)
    }

    /// A scaled timer.
    pub(crate) fn after_scaled(&self, period: Duration, due: Due) {
        self.after(self.scaled(period), due);
    }

    /// A timer in real time.
    pub(crate) fn after(&self, period: Duration, due: Due) {
        let world = self.world.clone();
        self.runtime.spawn(async move {
            tokio::time::sleep(period).await;
            if let Some(world) = world.upgrade() {
                world.lock().fire(due);
            }
        });
    }

    /// An answer that comes late, in real time.
    pub(crate) fn late(&self, period: Duration, answer: Answer) -> Answer {
        let (tx, rx) = oneshot::channel();
        self.runtime.spawn(async move {
            tokio::time::sleep(period).await;
            let _gone = tx.send(answer);
        });
        Answer::Later(rx)
    }
}

/// Unix time in seconds.
pub(crate) fn unix_now() -> i32 {
    i32::try_from(unix_now_ms() / 1000).unwrap_or(i32::MAX)
}

/// Unix time in milliseconds.
pub(crate) fn unix_now_ms() -> u64 {
    u64::try_from(ahead::unix_now().as_millis()).unwrap_or(u64::MAX)
}
