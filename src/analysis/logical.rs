//! Attempts joined to the requests they belong to.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::record::RequestRecord;

/// A request as its user sees it: its attempts, whether they were made inside
/// the meter (one record) or outside (a record each, with one `request_id`).
#[derive(Debug)]
pub(super) struct Logical<'a> {
    /// The attempt that decided: the last.
    pub(super) last: &'a RequestRecord,
    /// How often it was tried again.
    pub(super) retries: u64,
}

/// The requests of these records, in the order of their last attempts' ends.
pub(super) fn requests(records: &[Arc<RequestRecord>]) -> Vec<Logical<'_>> {
    // Only what says that it is a later attempt is joined: ids may repeat otherwise.
    let mut later: BTreeMap<&str, u32> = BTreeMap::new();
    for record in records.iter().filter(|record| record.attempt > 1) {
        let last = later.entry(&record.request_id).or_default();
        *last = record.attempt.max(*last);
    }
    let is_last = |record: &RequestRecord| {
        later.get(&*record.request_id).is_none_or(|&attempt| record.attempt == attempt)
    };
    let mut inside: BTreeMap<&str, u64> = BTreeMap::new();
    for record in records.iter().filter(|record| !is_last(record)) {
        *inside.entry(&record.request_id).or_default() += record.retries.len() as u64;
    }
    let last = records.iter().filter(|record| is_last(record));
    last.map(|record| {
        let abandoned = inside.get(&*record.request_id).copied().unwrap_or(0);
        let retries = record.retries.len() as u64 + u64::from(record.attempt.max(1) - 1) + abandoned;
        Logical { last: record, retries }
    })
    .collect()
}
