//! A pool's state as JSON, in the words of the definitions. Times are seconds.

use std::time::Duration;

use serde_json::{Value, json};
use tower_tps::Pool;
use tower_tps::clock::Instant;
use tower_tps::diagnosis::Diagnosis;
use tower_tps::gate::{HeldSlot, Queued, Reading};
use tower_tps::observe::Sample;

use super::recent::Recent;

/// The window of the diagnosis, of the rates and of the ledger beside it.
const WINDOW: Duration = Duration::from_secs(60);
/// How far back the history goes.
const HISTORY: Duration = Duration::from_secs(300);
/// How many of those under way are listed, of each kind.
const MOST_LISTED: usize = 100;

/// The counts and ages, the totals since the pool started, the last minute and
/// where throughput was lost in it, what recent requests were like, and who is
/// under way: all but the recent of one instant. Nobody hears of it.
pub(super) fn of(pool: &Pool, recent: &Recent) -> Value {
    let under_way = pool.under_way(MOST_LISTED);
    let sample = &under_way.sample;
    let before = pool.sample_before(sample, WINDOW);
    let (counts, totals, ages) = (&sample.reading.counts, &sample.reading.totals, &sample.reading.ages);
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
        "diagnosis": Diagnosis::of(&before, sample),
        "last_minute": since(&before, sample),
        "recent": recent.of(&sample.pool, totals.window_time()),
        "under_way": {
            "in_flight": each(&under_way.in_flight, |slot| in_flight(slot, &sample.reading)),
            "queued": each(&under_way.queued, |place| queued(place, &sample.reading)),
        },
    });
    for (name, time) in totals.named() {
        status[name] = seconds(time).into();
    }
    status
}

/// How the pool stood in the last minutes, from the oldest: what a chart of them
/// is drawn from.
pub(super) fn history(pool: &Pool) -> Vec<Value> {
    each(&pool.samples_since(&pool.snapshot(), HISTORY), |sample| {
        let (counts, totals) = (&sample.reading.counts, &sample.reading.totals);
        json!({
            "queue_depth": counts.queue_depth(),
            "window_time": seconds(totals.window_time()),
            "cap_slot_time": seconds(totals.cap_slot_time()),
            "busy_slot_time": seconds(totals.busy_slot_time()),
            "gap_slot_time": seconds(totals.gap_slot_time()),
        })
    })
}

/// The rates and the slot-time of the window between two samples.
fn since(before: &Sample, now: &Sample) -> Value {
    let totals = now.reading.since(&before.reading);
    let window = seconds(totals.window_time());
    let rate = |then: u64, now: u64| (window > 0.0).then(|| now.saturating_sub(then) as f64 / window);
    let mut last = json!({
        "window_time": window,
        "system_tps": rate(before.output_tokens, now.output_tokens),
        "emitted_tps": rate(before.emitted_tokens, now.emitted_tokens),
        "gap_fraction": totals.gap_fraction(),
        "gap_share": totals.gap_share(),
    });
    for (name, time) in totals.named() {
        last[name] = seconds(time).into();
    }
    last
}

fn in_flight(slot: &HeldSlot, reading: &Reading) -> Value {
    json!({
        "arrival": slot.arrival,
        "phase": slot.phase.as_str(),
        "age": age(slot.admitted_at, reading),
        "tokens": slot.tokens,
        "silence": slot.last_token_at.map(|at| age(at, reading)),
    })
}

fn queued(place: &Queued, reading: &Reading) -> Value {
    json!({"arrival": place.arrival, "age": age(place.queued_at, reading)})
}

fn age(since: Instant, reading: &Reading) -> f64 {
    seconds(reading.at.since(since))
}

fn each<T>(of: &[T], to: impl Fn(&T) -> Value) -> Vec<Value> {
    of.iter().map(to).collect()
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}
