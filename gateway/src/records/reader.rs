//! All records that a filter finds, one after the other, the newest first over all lines: however many there are, a few
//! hundred are in memory.

use std::collections::VecDeque;

use tgtrunk_config::control::{CallRecord, RecordFilter};
use tgtrunk_config::{Phone, StateDir};

use super::search::{SearchError, stores};
use super::store::{Place, Store, StoreError};

/// Records of one line that are read at once.
const AT_ONCE: i64 = 100;

/// Reads records, the newest first.
pub(crate) struct Reader {
    filter: RecordFilter,
    lines: Vec<OfLine>,
}

struct OfLine {
    line: Phone,
    store: Store,
    read: VecDeque<(Place, CallRecord)>,
    last: Option<Place>,
    is_all: bool,
}

impl Reader {
    /// Begins with the newest record that the filter finds; its `skip` and `limit` say nothing here. No line need run.
    ///
    /// # Errors
    /// [`SearchError`].
    pub(crate) async fn open(state: &StateDir, filter: RecordFilter) -> Result<Self, SearchError> {
        let stores = stores(state, &filter).await?.into_iter();
        let of_line =
            |(line, store)| OfLine { line, store, read: VecDeque::new(), last: None, is_all: false };
        Ok(Self { lines: stores.map(of_line).collect(), filter })
    }

    /// The next record; none after the last.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn next(&mut self) -> Result<Option<CallRecord>, StoreError> {
        for line in &mut self.lines {
            line.read_on(&self.filter).await?;
        }
        let newest = self.lines.iter_mut().max_by_key(|line| line.read.front().map(|(place, _)| *place));
        Ok(newest.and_then(|line| Some(line.read.pop_front()?.1)))
    }

    /// Closes the files.
    pub(crate) async fn close(self) {
        for line in self.lines {
            line.store.close().await;
        }
    }
}

impl OfLine {
    async fn read_on(&mut self, filter: &RecordFilter) -> Result<(), StoreError> {
        if !self.read.is_empty() || self.is_all {
            return Ok(());
        }
        let found = self.store.page(&self.line, filter, self.last, AT_ONCE).await?;
        self.is_all = found.is_empty();
        self.last = found.last().map(|(place, _)| *place).or(self.last);
        self.read = found.into();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::store::tests::{line, room, sample};
    use super::*;

    #[tokio::test]
    async fn every_record_comes_once_the_newest_first_whichever_line_it_is_of() {
        let (_room, state) = room();
        let other: Phone = "+79060000001".parse().unwrap();
        state.make_phone_dir(&other).unwrap();
        std::fs::File::create(state.gateway_db(&other)).unwrap();
        let stores = [
            Store::open(&state.gateway_db(&line())).await.unwrap(),
            Store::open(&state.gateway_db(&other)).await.unwrap(),
        ];
        let mut rows: [Vec<_>; 2] = Default::default();
        for call in 1..=450_u64 {
            // Several at the same moment.
            let record = CallRecord { started_ms: call / 3, ..sample(call) };
            rows[usize::from(call % 5 == 0)].push(record.into());
        }
        for (store, rows) in stores.iter().zip(&rows) {
            store.put(rows).await.unwrap();
        }
        assert_eq!(all(&state, RecordFilter::default()).await, (1..=450).rev().collect::<Vec<_>>());
        let of = RecordFilter { line: Some(other), from_ms: Some(100), ..RecordFilter::default() };
        assert_eq!(all(&state, of).await, (300..=450).rev().filter(|call| call % 5 == 0).collect::<Vec<_>>());
    }

    async fn all(state: &StateDir, filter: RecordFilter) -> Vec<u64> {
        let mut reader = Reader::open(state, filter).await.unwrap();
        let mut calls = Vec::new();
        while let Some(record) = reader.next().await.unwrap() {
            calls.push(record.call.0);
        }
        reader.close().await;
        calls
    }
}
