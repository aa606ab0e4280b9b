//! Who may ask over the HTTP API of a whole program: bearers of tokens that are no instance's own.

use crate::id::InstanceId;

/// For what a bearer's token is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// One instance alone.
    Instance(InstanceId),
    /// All of them; the request names one.
    All,
}

/// Knows the tokens of a program's HTTP API, and whose number is whose instance. Nothing here waits for a disk.
pub trait Gate: Send + Sync {
    /// What a bearer may ask for; none once the token is revoked, or never was one.
    fn admits(&self, token: &str) -> Option<Grant>;
    /// The instance of a line's phone number: its digits, with or without `+`.
    fn instance_of(&self, phone: &str) -> Option<InstanceId>;
}
