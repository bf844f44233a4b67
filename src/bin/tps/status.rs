//! A pool's state as JSON, in the words of the definitions.

use serde_json::{Value, json};
use tower_tps::gate::GapCause;
use tower_tps::observe::Sample;

/// The counts, and the totals since the pool started. Times are seconds.
pub(crate) fn of(sample: &Sample) -> Value {
    let (counts, totals) = (&sample.reading.counts, &sample.reading.totals);
    let cause = |cause| totals.gap_time_of(cause).as_secs_f64();
    json!({
        "pool": &*sample.pool,
        "cap": counts.cap,
        "in_flight": counts.in_flight,
        "queue_depth": counts.queue_depth(),
        "backlog": counts.backlog,
        "backoff": counts.backoff,
        "window_time": totals.window_time().as_secs_f64(),
        "backlog_time": totals.backlog_time().as_secs_f64(),
        "gap_time": totals.gap_time().as_secs_f64(),
        "gap_time_wakeup": cause(GapCause::Wakeup),
        "gap_time_backoff": cause(GapCause::Backoff),
        "gap_time_orchestration": cause(GapCause::Orchestration),
        "gap_fraction": totals.gap_fraction(),
        "gap_share": totals.gap_share(),
        "gap_slot_time": totals.gap_slot_time().as_secs_f64(),
        "lost_slot_time": totals.lost_slot_time().as_secs_f64(),
        "cap_slot_time": totals.cap_slot_time().as_secs_f64(),
        "busy_slot_time": totals.busy_slot_time().as_secs_f64(),
        "idle_slot_time": totals.idle_slot_time().as_secs_f64(),
        "over_slot_time": totals.over_slot_time().as_secs_f64(),
        "requests": sample.requests,
        "completed": sample.completed,
        "output_tokens": sample.output_tokens,
        "emitted_tokens": sample.emitted_tokens,
    })
}
