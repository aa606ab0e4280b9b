//! A row on its way to the disk.

use tgtrunk_config::control::CallRecord;
use tokio::sync::oneshot;

use crate::telegram::CallRef;

/// A record as it is now.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) record: CallRecord,
    pub(crate) legs: Legs,
    /// Who waits until it is written.
    pub(crate) done: Option<oneshot::Sender<()>>,
}

/// What is needed to end both halves of a call that is up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Legs {
    pub(crate) sip: Option<tgtrunk_sip::Remains>,
    pub(crate) telegram: Option<CallRef>,
    /// The person is called, and may ring before Telegram tells the id of the call.
    pub(crate) calls: bool,
}

impl Legs {
    /// What stands for the Telegram leg in the row: it is there while there is one. No call has zero for its hash.
    pub(super) fn hash(&self) -> Option<i64> {
        self.telegram.map(|call| call.access_hash).or(self.calls.then_some(0))
    }
}

impl From<CallRecord> for Row {
    fn from(record: CallRecord) -> Self {
        Self { record, legs: Legs::default(), done: None }
    }
}
