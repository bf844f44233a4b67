//! A pool's state as JSON, in the words of the definitions.

use std::time::Duration;

use serde_json::{Value, json};
use tower_tps::Pool;

/// The window of the diagnosis.
const WINDOW: Duration = Duration::from_secs(60);

/// The counts and ages, the totals since the pool started, and where throughput
/// was lost in the last minute. Times are seconds.
pub(crate) fn of(pool: &Pool) -> Value {
    let sample = pool.sample();
    let (counts, totals, ages) = (&sample.reading.counts, &sample.reading.totals, &sample.reading.ages);
    let seconds = |time: Duration| time.as_secs_f64();
    let mut status = json!({
        "pool": &*sample.pool,
        "cap": counts.cap,
        "in_flight": counts.in_flight,
        "queue_depth": counts.queue_depth(),
        "backlog": counts.backlog,
        "backoff": counts.backoff,
        "oldest_queued": ages.oldest_queued.map(seconds),
        "oldest_in_flight": ages.oldest_in_flight.map(seconds),
        "longest_silence": ages.longest_silence.map(seconds),
        "window_time": seconds(totals.window_time()),
        "gap_fraction": totals.gap_fraction(),
        "gap_share": totals.gap_share(),
        "requests": sample.requests,
        "completed": sample.completed,
        "output_tokens": sample.output_tokens,
        "emitted_tokens": sample.emitted_tokens,
        "dispatched": sample.dispatched,
        "connections": sample.connections,
        "connects_failed": sample.connects_failed,
        "connect_time": seconds(sample.connect_time),
        "connection_reuse_ratio": sample.connection_reuse_ratio(),
        "connect_failed_time": seconds(sample.connect_failed_time),
        "failed_requests": sample.failed_requests,
        "failed_slot_time": seconds(sample.failed_slot_time()),
        "abandoned_attempts": sample.abandoned_attempts,
        "abandoned_slot_time": seconds(sample.abandoned_slot_time()),
        "diagnosis": pool.diagnose(WINDOW),
    });
    for (name, time) in totals.named() {
        status[name] = seconds(time).into();
    }
    status
}
