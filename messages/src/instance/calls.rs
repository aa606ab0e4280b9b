//! Calls of the account, for programs that follow them beside its messages.

use super::{Instance, Refused};
use crate::clock;
use crate::store::Told;

/// The switch of whoever wants to hear of calls.
const SWITCH: &str = "incomingCallWebhook";

/// Somebody calls, or called, the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallNews {
    /// The call's number.
    pub id: String,
    /// Who calls: a chat's number, or a phone number with `@c.us`; empty where nobody knows.
    pub from: String,
    /// Whose line it is: its phone number, as `+79991234567`.
    pub line: String,
    /// What became of it so far, in order: `offer`, `pickUp`, and at the end `hangUp`, `missed` or `declined`.
    pub statuses: Vec<&'static str>,
}

impl Instance {
    /// Whether programs are told of calls.
    #[must_use]
    pub fn hears_calls(&self) -> bool {
        self.inner.row().settings.is_on(SWITCH)
    }

    /// Tells what became of a call, unless it was told, or nobody wants to hear it; it is on the disk when this returns.
    ///
    /// # Errors
    /// [`Refused::Storage`]: not all was told.
    pub async fn tell_call(&self, call: &CallNews) -> Result<(), Refused> {
        if !self.hears_calls() {
            return Ok(());
        }
        for status in &call.statuses {
            let body = self.inner.told_call(call, status);
            let dedupe = format!("call:{}:{status}", call.id);
            let told = Told { kind: "incomingCall", dedupe, body };
            self.inner.store.tell(&told, clock::unix_ms()).await?;
        }
        self.inner.notifications.notify_waiters();
        Ok(())
    }
}
