//! What a request's slot was doing at each moment it was held.
//!
//! A record has the sums by phase, and the instants between which each lies.
//! Stalls may lie anywhere between two of them: they are spread evenly there.

use super::row::Row;
use crate::clock::Instant;
use crate::gate::{PhaseTimes, SlotPhase};

/// A stretch of a slot's time, of which so much was spent stalled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stretch {
    pub(super) from: Instant,
    pub(super) until: Instant,
    pub(super) phase: SlotPhase,
    /// The share of it that was a stall instead, in 0..=1.
    pub(super) stalled: f64,
}

/// The stretches of a row in the order of time; none if it never held a slot.
pub(super) fn stretches(row: &Row) -> Vec<Stretch> {
    let timeline = &row.timeline;
    let Some(admitted_at) = timeline.admitted_at else { return Vec::new() };
    let released_at = row.ended_at();
    let headers_at = timeline.headers_at.unwrap_or(released_at);
    let first_at = timeline.first_token_at.unwrap_or(released_at);
    let last_at = timeline.last_token_at.unwrap_or(released_at);
    let mut stretches = Vec::with_capacity(4);

    let mut from = admitted_at;
    let retries = row.retried.as_ref().map_or(&[][..], |retried| &retried.inside);
    for (index, again) in retries.iter().enumerate() {
        // One that failed again before it went out waited until then.
        let until = retries.get(index + 1).map_or(headers_at, |next| next.failed_at);
        let resumed_at = again.resumed_at.unwrap_or(until);
        push(&mut stretches, from, again.failed_at, SlotPhase::Dispatch, None);
        push(&mut stretches, again.failed_at, resumed_at, SlotPhase::Backoff, None);
        from = resumed_at;
    }
    push(&mut stretches, from, headers_at, SlotPhase::Dispatch, None);

    let nanos = row.phases.nanos();
    // Where phases were not told, what the instants say is all there is.
    let spent = |phase: SlotPhase| (nanos.iter().any(|nanos| *nanos > 0)).then(|| nanos[phase as usize]);
    let prefill = spent(SlotPhase::Prefill);
    push(&mut stretches, headers_at, first_at, SlotPhase::Prefill, prefill);
    push(&mut stretches, first_at, last_at, SlotPhase::Generate, spent(SlotPhase::Generate));
    push(&mut stretches, last_at, released_at, SlotPhase::Drain, spent(SlotPhase::Drain));
    stretches
}

/// What a slot did, by the instants alone: as if nobody had stalled. For a row whose
/// phases were not told.
pub(super) fn phases_by_instants(row: &Row) -> PhaseTimes {
    let mut nanos = [0; SlotPhase::ALL.len()];
    for stretch in stretches(row) {
        nanos[stretch.phase as usize] += stretch.until.nanos_since(stretch.from);
    }
    PhaseTimes::from_nanos(nanos)
}

/// What a slot did from this instant on, of a row that held it before.
pub(super) fn phases_since(row: &Row, since: Instant) -> PhaseTimes {
    let mut nanos = [0; SlotPhase::ALL.len()];
    for Stretch { from, until, phase, stalled } in stretches(row) {
        let time = until.nanos_since(from.max(since));
        let in_a_stall = ((time as f64 * stalled).round() as u64).min(time);
        nanos[SlotPhase::Stall as usize] += in_a_stall;
        nanos[phase as usize] += time - in_a_stall;
    }
    PhaseTimes::from_nanos(nanos)
}

/// Adds a stretch unless it is empty. `spent` of its time was not a stall.
fn push(stretches: &mut Vec<Stretch>, from: Instant, until: Instant, phase: SlotPhase, spent: Option<u64>) {
    let length = until.nanos_since(from);
    if length > 0 {
        let stalled = spent.map_or(0.0, |spent| 1.0 - (spent as f64 / length as f64).min(1.0));
        stretches.push(Stretch { from, until, phase, stalled });
    }
}
