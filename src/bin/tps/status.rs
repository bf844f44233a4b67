//! A pool's state as JSON, in the words of the definitions.

use serde_json::{Value, json};
use tower_tps::observe::Sample;

/// The counts, and the totals since the pool started. Times are seconds.
pub(crate) fn of(sample: &Sample) -> Value {
    let (counts, totals) = (&sample.reading.counts, &sample.reading.totals);
    let mut status = json!({
        "pool": &*sample.pool,
        "cap": counts.cap,
        "in_flight": counts.in_flight,
        "queue_depth": counts.queue_depth(),
        "backlog": counts.backlog,
        "backoff": counts.backoff,
        "window_time": totals.window_time().as_secs_f64(),
        "gap_fraction": totals.gap_fraction(),
        "gap_share": totals.gap_share(),
        "requests": sample.requests,
        "completed": sample.completed,
        "output_tokens": sample.output_tokens,
        "emitted_tokens": sample.emitted_tokens,
        "dispatched": sample.dispatched,
        "connections": sample.connections,
        "connects_failed": sample.connects_failed,
        "connect_time": sample.connect_time.as_secs_f64(),
        "connection_reuse_ratio": sample.connection_reuse_ratio(),
    });
    for (name, time) in totals.named() {
        status[name] = time.as_secs_f64().into();
    }
    status
}
