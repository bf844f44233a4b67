//! What a pool's slots did, and what waited for them.

use serde::Serialize;

use super::recomputed::Recomputed;
use super::sweep::Moment;
use crate::gate::{GapCause, SlotPhase, Totals};

/// A pool's slots and queue in figures. Times are seconds, of the wall or of slots.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Slots {
    /// The cap at the end.
    pub cap: u32,
    /// The lowest it was.
    pub least_cap: u32,
    /// The highest it was.
    pub most_cap: u32,
    /// Requests in flight, on the average of time.
    pub mean_in_flight: Option<f64>,
    /// The most that there were.
    pub most_in_flight: u32,
    /// Work with no slot, on the average of time.
    pub mean_queue_depth: Option<f64>,
    /// The most that there was.
    pub most_queue_depth: u64,
    /// Time with work waiting.
    pub backlog_time: f64,
    /// Time with work waiting and a slot free.
    pub gap_time: f64,
    /// The part of it in which a task that was called did not run.
    pub gap_time_wakeup: f64,
    /// The part of it in which work waited in back-off.
    pub gap_time_backoff: f64,
    /// The part of it in which work was declared and not submitted.
    pub gap_time_orchestration: f64,
    /// `gap_time / window_time`.
    pub gap_fraction: Option<f64>,
    /// `gap_time / backlog_time`.
    pub gap_share: Option<f64>,
    /// Slot-seconds that stood idle in the gap.
    pub gap_slot_time: f64,
    /// Slot-seconds that a perfect scheduler would have used.
    pub lost_slot_time: f64,
    /// The part of them that was lost to a task that did not run.
    pub lost_slot_time_wakeup: f64,
    /// The part of them that was lost to back-off.
    pub lost_slot_time_backoff: f64,
    /// The part of them that was lost to work not submitted.
    pub lost_slot_time_orchestration: f64,
    /// `lost_slot_time` × output tokens of completed requests for each busy
    /// slot-second; absent where none completed, and where their tokens are of several
    /// sources or not known.
    pub lost_tokens: Option<f64>,
    /// Slot-seconds that there were: busy + gap + idle - over.
    pub cap_slot_time: f64,
    /// Slot-seconds in flight, the sum of the next seven.
    pub busy_slot_time: f64,
    /// From admission to the headers.
    pub busy_slot_time_dispatch: f64,
    /// Waiting to be tried again with the slot held.
    pub busy_slot_time_backoff: f64,
    /// From the headers to the first token.
    pub busy_slot_time_prefill: f64,
    /// From the first token to the last, waiting on the upstream.
    pub busy_slot_time_generate: f64,
    /// Waiting on the caller.
    pub busy_slot_time_stall: f64,
    /// From the last token to the release.
    pub busy_slot_time_drain: f64,
    /// Not decided: zero at the end of a whole run.
    pub busy_slot_time_unattributed: f64,
    /// Slot-seconds free while nothing waited.
    pub idle_slot_time: f64,
    /// Slot-seconds in flight above a cap that was lowered.
    pub over_slot_time: f64,
    /// Requests sent to the upstream, each attempt that the pool saw or was told of.
    pub dispatched: u64,
    /// Connections made for them; zero where no connector was measured, as the next two.
    pub connections: u64,
    /// Connections that could not be made. Their time is not in the next.
    pub connects_failed: u64,
    /// Time that those made took, added up.
    pub connect_time: f64,
    /// The share of what was sent that found a connection already made.
    pub connection_reuse_ratio: Option<f64>,
}

impl Slots {
    /// What cannot be, in words: no pool lets in more than its cap ever was. Absent
    /// where all can be.
    #[must_use]
    pub fn impossible(&self) -> Option<&'static str> {
        (self.most_in_flight > self.most_cap)
            .then_some("more were in flight than its cap ever was: lines are missing, or there twice")
    }

    pub(super) fn of(end: &Recomputed, tokens: Option<u64>) -> Self {
        let Recomputed { sample, moment, .. } = end;
        let Moment { reading, queue_time, peaks } = moment;
        let totals: &Totals = &reading.totals;
        let window = totals.window_time().as_secs_f64();
        let mean = |sum: f64| (window > 0.0).then(|| sum / window);
        let gap = |cause| totals.gap_time_of(cause).as_secs_f64();
        let lost = |cause| totals.lost_slot_time_of(cause).as_secs_f64();
        let phase = |phase| totals.slot_time_of(phase).as_secs_f64();
        let (busy, lost_slot_time) =
            (totals.busy_slot_time().as_secs_f64(), totals.lost_slot_time().as_secs_f64());
        Self {
            cap: reading.counts.cap,
            least_cap: peaks.least_cap,
            most_cap: peaks.most_cap,
            mean_in_flight: mean(busy),
            most_in_flight: peaks.most_in_flight,
            mean_queue_depth: mean(*queue_time),
            most_queue_depth: peaks.most_queued,
            backlog_time: totals.backlog_time().as_secs_f64(),
            gap_time: totals.gap_time().as_secs_f64(),
            gap_time_wakeup: gap(GapCause::Wakeup),
            gap_time_backoff: gap(GapCause::Backoff),
            gap_time_orchestration: gap(GapCause::Orchestration),
            gap_fraction: totals.gap_fraction(),
            gap_share: totals.gap_share(),
            gap_slot_time: totals.gap_slot_time().as_secs_f64(),
            lost_slot_time,
            lost_slot_time_wakeup: lost(GapCause::Wakeup),
            lost_slot_time_backoff: lost(GapCause::Backoff),
            lost_slot_time_orchestration: lost(GapCause::Orchestration),
            lost_tokens: tokens
                .filter(|tokens| *tokens > 0 && busy > 0.0)
                .map(|tokens| tokens as f64 / busy * lost_slot_time),
            cap_slot_time: totals.cap_slot_time().as_secs_f64(),
            busy_slot_time: busy,
            busy_slot_time_dispatch: phase(SlotPhase::Dispatch),
            busy_slot_time_backoff: phase(SlotPhase::Backoff),
            busy_slot_time_prefill: phase(SlotPhase::Prefill),
            busy_slot_time_generate: phase(SlotPhase::Generate),
            busy_slot_time_stall: phase(SlotPhase::Stall),
            busy_slot_time_drain: phase(SlotPhase::Drain),
            busy_slot_time_unattributed: totals.unattributed_slot_time().as_secs_f64(),
            idle_slot_time: totals.idle_slot_time().as_secs_f64(),
            over_slot_time: totals.over_slot_time().as_secs_f64(),
            dispatched: sample.dispatched,
            connections: sample.connections,
            connects_failed: sample.connects_failed,
            connect_time: sample.connect_time.as_secs_f64(),
            connection_reuse_ratio: sample.connection_reuse_ratio(),
        }
    }
}
