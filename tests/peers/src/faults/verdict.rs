//! Whether what the gateway tells of calls is what happened: each ended once, and is written down once and whole.

use std::collections::BTreeMap;

use anyhow::ensure;
use tgtrunk_config::CallId;
use tgtrunk_config::control::CallRecord;

use crate::witness::{Witness, is_over};

/// A call ended once, as far as that could be heard.
pub(super) fn ended_once(witness: &Witness, call: CallId) -> anyhow::Result<()> {
    let seen = witness.seen();
    let ends = seen.ends.get(&call).copied().unwrap_or_default();
    ensure!(ends == 1 || ends == 0 && seen.missed > 0, "call {call} came to its final state {ends} times");
    Ok(())
}

/// Whether it says how its call ended.
pub(super) fn is_whole(record: &CallRecord) -> bool {
    is_over(record) && record.end.as_ref().is_some_and(|end| !end.cause.is_empty())
}

/// No call of either side is written down twice, and none as going on.
pub(super) fn one_each(records: &[CallRecord], witness: &Witness) -> anyhow::Result<()> {
    let (mut by_telegram, mut by_sip) = (BTreeMap::<i64, u32>::new(), BTreeMap::<&str, u32>::new());
    for record in records {
        ensure!(is_whole(record), "a record does not say how its call ended: {record:?}");
        ended_once(witness, record.call)?;
        if let Some(call) = record.telegram_call {
            *by_telegram.entry(call).or_default() += 1;
        }
        if let Some(call) = record.trunk.sip_call_id.as_deref() {
            *by_sip.entry(call).or_default() += 1;
        }
    }
    by_telegram.retain(|_, records| *records > 1);
    by_sip.retain(|_, records| *records > 1);
    ensure!(
        by_telegram.is_empty() && by_sip.is_empty(),
        "records of the same calls: {by_telegram:?}, {by_sip:?}"
    );
    Ok(())
}
