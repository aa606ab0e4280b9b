//! Who may ask over the HTTP API of a whole program: bearers of tokens that are no instance's own.

use async_trait::async_trait;

use crate::id::InstanceId;

/// For what a bearer's token is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// One instance alone.
    Instance(InstanceId),
    /// All of them; the request names one.
    All,
}

/// Why a bearer is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// The token is revoked, or never was one.
    Nobody,
    /// The token is good for an instance that is being opened.
    Starting,
}

/// Knows the tokens of a program's HTTP API, and whose number is whose instance.
#[async_trait]
pub trait Gate: Send + Sync {
    /// What a bearer may ask for.
    async fn admits(&self, token: &str) -> Result<Grant, Denied>;
    /// The command that makes a token.
    fn maker(&self) -> &'static str {
        "tgtrunk-client action-token"
    }
    /// The instance of a line's phone number: its digits, with or without `+`.
    fn instance_of(&self, phone: &str) -> Option<InstanceId>;
}
