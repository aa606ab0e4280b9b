//! Looking for records over all lines: the newest first, whichever line they are of.

use tgtrunk_config::control::{Answer, CallRecord, RecordFilter, Refusal, RefusalCode};
use tgtrunk_config::{CallId, Phone, StateDir, StateError};

use super::store::{Place, Store, StoreError};

/// Records of one answer, where the asker does not say.
const LIMIT: u32 = 50;
/// Further back than this nobody pages.
const DEEPEST: i64 = 1_000_000;

/// Why nothing can be found.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SearchError {
    /// There is no such line, nor was there.
    #[error("there is no line {0}")]
    UnknownLine(Phone),
    /// The state directory cannot be listed.
    #[error(transparent)]
    State(#[from] StateError),
    /// A line's records cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Answers `records`.
///
/// # Errors
/// The refusal.
pub(crate) async fn answer(state: &StateDir, filter: RecordFilter) -> Result<Answer, Refusal> {
    let found = find(state, filter).await;
    found.map(|(records, total)| Answer::Records { records, total }).map_err(|error| {
        let code = match error {
            SearchError::UnknownLine(_) => RefusalCode::UnknownLine,
            SearchError::State(_) | SearchError::Store(_) => RefusalCode::Internal,
        };
        Refusal { code, message: error.to_string() }
    })
}

/// The records that a filter finds, the newest first, and how many there are in all. A line need not run for it.
///
/// # Errors
/// [`SearchError`].
pub(crate) async fn find(
    state: &StateDir,
    filter: RecordFilter,
) -> Result<(Vec<CallRecord>, u64), SearchError> {
    let stores = stores(state, &filter).await?;
    let (skip, limit) = (filter.skip as usize, filter.limit.unwrap_or(LIMIT) as usize);
    let most = i64::try_from(skip + limit).unwrap_or(DEEPEST).min(DEEPEST);
    let mut total = 0;
    let mut found: Vec<(Place, usize)> = Vec::new();
    for (at, (_, store)) in stores.iter().enumerate() {
        let (count, places) = store.places(&filter, most).await?;
        total += count;
        found.extend(places.into_iter().map(|place| (place, at)));
    }
    found.sort_unstable_by(|one, other| other.cmp(one));
    let mut records = Vec::new();
    for (place, at) in found.into_iter().skip(skip).take(limit) {
        let (line, store) = &stores[at];
        records.extend(store.record(line, place.call).await?);
    }
    for (_, store) in stores {
        store.close().await;
    }
    Ok((records, total))
}

/// The record of a call, whichever line it is of.
///
/// # Errors
/// [`SearchError`].
pub(crate) async fn of_call(state: &StateDir, call: CallId) -> Result<Option<CallRecord>, SearchError> {
    let number = i64::try_from(call.0).unwrap_or(i64::MAX);
    let mut found = None;
    for (line, store) in stores(state, &RecordFilter::default()).await? {
        if found.is_none() {
            found = store.record(&line, number).await?;
        }
        store.close().await;
    }
    Ok(found)
}

/// The records of the lines that a filter means, opened for reading.
pub(super) async fn stores(
    state: &StateDir,
    filter: &RecordFilter,
) -> Result<Vec<(Phone, Store)>, SearchError> {
    let lines = match &filter.line {
        Some(line) if !state.phone_dir(line).exists() => return Err(SearchError::UnknownLine(line.clone())),
        Some(line) => vec![line.clone()],
        None => state.phones()?,
    };
    let mut stores = Vec::new();
    for line in lines {
        if let Some(store) = Store::open_to_read(&state.gateway_db(&line)).await? {
            stores.push((line, store));
        }
    }
    Ok(stores)
}

#[cfg(test)]
mod tests {
    use super::super::store::tests::{line, room, sample};
    use super::*;

    #[tokio::test]
    async fn records_of_several_lines_come_the_newest_first_page_by_page() {
        let (_room, state) = room();
        let other: Phone = "+79060000001".parse().unwrap();
        let switched_off: Phone = "+79060000002".parse().unwrap();
        for phone in [&other, &switched_off] {
            state.make_phone_dir(phone).unwrap();
        }
        std::fs::File::create(state.gateway_db(&other)).unwrap();
        let stores = [
            Store::open(&state.gateway_db(&line())).await.unwrap(),
            Store::open(&state.gateway_db(&other)).await.unwrap(),
        ];
        for call in 1..=9_u64 {
            let record = CallRecord { started_ms: 1_000 * call, ..sample(call) };
            stores[usize::from(call % 3 == 0)].put(&[record.into()]).await.unwrap();
        }
        let page = async |filter: RecordFilter| {
            let (records, total) = find(&state, filter).await.unwrap();
            (records.iter().map(|record| record.call.0).collect::<Vec<_>>(), total)
        };
        let part = |skip, limit| RecordFilter { skip, limit: Some(limit), ..RecordFilter::default() };
        assert_eq!(page(RecordFilter::default()).await, (vec![9, 8, 7, 6, 5, 4, 3, 2, 1], 9));
        assert_eq!(page(part(0, 4)).await, (vec![9, 8, 7, 6], 9));
        assert_eq!(page(part(4, 4)).await, (vec![5, 4, 3, 2], 9));
        assert_eq!(page(part(8, 4)).await, (vec![1], 9));
        assert_eq!(page(part(u32::MAX, 4)).await, (vec![], 9));
        let of = |line: &Phone| RecordFilter { line: Some(line.clone()), ..RecordFilter::default() };
        assert_eq!(page(of(&other)).await, (vec![9, 6, 3], 3));
        assert_eq!(page(of(&switched_off)).await, (vec![], 0));
        let records = find(&state, of(&other)).await.unwrap().0;
        assert_eq!(records[0], CallRecord { started_ms: 9_000, line: other, ..sample(9) });
        assert_eq!(records[0].call, CallId(9));
        let nobody = "+79069999999".parse().unwrap();
        assert!(matches!(find(&state, of(&nobody)).await, Err(SearchError::UnknownLine(_))));
    }
}
