//! Attempts joined to the requests they belong to.

use std::collections::HashMap;
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
    let mut records: Vec<_> = records.iter().collect();
    records.sort_by_key(|record| (record.timeline.released_at, record.attempt));
    let mut requests: Vec<Option<Logical<'_>>> = Vec::with_capacity(records.len());
    // Where the attempts of this id and number are, in the order of their ends. Ids
    // may repeat: what is joined must be the next attempt, and begin after the one
    // before has ended.
    let mut seen: HashMap<(&str, u32), Vec<usize>> = HashMap::new();
    for record in records {
        let mut retries = record.retries_made().count() as u64 + u64::from(record.attempt > 1);
        let before = record.attempt.checked_sub(1).filter(|before| *before > 0);
        if let Some(before) = before.and_then(|before| seen.get_mut(&(&*record.request_id, before))) {
            let has_ended = |index: &usize| {
                let last = requests[*index].as_ref().map(|before| before.last);
                last.is_some_and(|last| last.timeline.released_at <= Some(record.timeline.queued_at))
            };
            // The latest that had ended by then.
            if let Some(at) = before.partition_point(has_ended).checked_sub(1) {
                retries += requests[before.remove(at)].take().map_or(0, |before| before.retries);
            }
        }
        seen.entry((&record.request_id, record.attempt)).or_default().push(requests.len());
        requests.push(Some(Logical { last: record, retries }));
    }
    requests.into_iter().flatten().collect()
}
