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
    let mut records: Vec<_> = records.iter().collect();
    records.sort_by_key(|record| record.timeline.released_at);
    let mut requests: Vec<Option<Logical<'_>>> = Vec::with_capacity(records.len());
    // Where each id was last seen, the latest last. Ids may repeat: what is joined
    // must be the next attempt, and begin after the one before has ended.
    let mut seen: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for record in records {
        let made_inside = record.retries.iter().filter(|retry| retry.resumed_at.is_some()).count();
        let mut retries = made_inside as u64 + u64::from(record.attempt > 1);
        let with_its_id = seen.entry(&record.request_id).or_default();
        if record.attempt > 1 {
            let is_before =
                |index: &usize| requests[*index].as_ref().is_some_and(|before| precedes(before.last, record));
            if let Some(at) = with_its_id.iter().rposition(is_before) {
                let before = requests[with_its_id.remove(at)].take();
                retries += before.map_or(0, |before| before.retries);
            }
        }
        with_its_id.push(requests.len());
        requests.push(Some(Logical { last: record, retries }));
    }
    requests.into_iter().flatten().collect()
}

/// Whether the one can be the attempt before the other.
fn precedes(before: &RequestRecord, after: &RequestRecord) -> bool {
    before.attempt.checked_add(1) == Some(after.attempt)
        && before.timeline.released_at.is_some_and(|released| released <= after.timeline.queued_at)
}
