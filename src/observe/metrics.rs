//! The metrics: names, help, buckets, and when each is recorded.
//!
//! They go through the [`metrics`] facade, and nowhere unless the program
//! installs a recorder. Every pool has this observer.

use std::sync::Arc;
use std::time::Duration;

use ::metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use super::{Connected, FirstToken, Observer, Sample, Start};
use crate::gate::{GapCause, SlotPhase};
use crate::outcome::Outcome;
use crate::record::RequestRecord;
use crate::tokens::TokenSource;

const TTFT: &str = "gen_ai_server_time_to_first_token_seconds";
const PER_TOKEN: &str = "gen_ai_server_time_per_output_token_seconds";
const DURATION: &str = "gen_ai_server_request_duration_seconds";
const QUEUE: &str = "tps_queue_duration_seconds";
const STREAM_TPS: &str = "tps_stream_tokens_per_second";
const END_TO_END_TPS: &str = "tps_end_to_end_tokens_per_second";
const SLOT_HELD: &str = "tps_slot_held_seconds";
const MAX_TOKEN_GAP: &str = "tps_max_token_gap_seconds";
const REQUEST_TOKENS: &str = "tps_request_output_tokens";
const CAP: &str = "tps_cap";
const IN_FLIGHT: &str = "tps_in_flight";
const QUEUE_DEPTH: &str = "tps_queue_depth";
const GAP: &str = "tps_gap_seconds_total";
const BACKLOG: &str = "tps_backlog_seconds_total";
const OBSERVED: &str = "tps_observed_seconds_total";
const CAP_SLOTS: &str = "tps_cap_slot_seconds_total";
const GAP_SLOTS: &str = "tps_gap_slot_seconds_total";
const LOST_SLOTS: &str = "tps_lost_slot_seconds_total";
const IDLE_SLOTS: &str = "tps_idle_slot_seconds_total";
const BUSY_SLOTS: &str = "tps_busy_slot_seconds_total";
const UNATTRIBUTED: &str = "tps_unattributed_slot_seconds";
const OLDEST_QUEUED: &str = "tps_oldest_queued_seconds";
const OLDEST_IN_FLIGHT: &str = "tps_oldest_in_flight_seconds";
const LONGEST_SILENCE: &str = "tps_longest_silence_seconds";
const REQUESTS: &str = "tps_requests_total";
const OUTPUT_TOKENS: &str = "tps_output_tokens_total";
const EMITTED_TOKENS: &str = "tps_emitted_tokens_total";
const RETRIES: &str = "tps_retries_total";
const MISMATCH: &str = "tps_token_mismatch_tokens_total";
const DISPATCHED: &str = "tps_dispatched_total";
const CONNECTIONS: &str = "tps_connections_total";
const CONNECT: &str = "tps_connect_seconds";
const REUSE: &str = "tps_connection_reuse_ratio";
pub(super) const LOG_DROPPED: &str = "tps_log_dropped_records_total";

/// Counters of seconds. The facade's counters are whole numbers, so these go
/// out as gauges that only rise: see [`exposition`].
const SECONDS: [(&str, &str); 8] = [
    (GAP, "Time with work waiting and a slot free, by cause"),
    (BACKLOG, "Time with work waiting"),
    (OBSERVED, "Time since the pool started"),
    (CAP_SLOTS, "Slot-time that there was"),
    (GAP_SLOTS, "Slot-time that stood idle while work waited"),
    (LOST_SLOTS, "Slot-time that a perfect scheduler would have used"),
    (IDLE_SLOTS, "Slot-time of free slots while nothing waited"),
    (BUSY_SLOTS, "Slot-time in flight, by what the slot did, as far as that is known"),
];

/// Gauges of seconds.
const AGES: [(&str, &str); 4] = [
    (UNATTRIBUTED, "Slot-time in flight of which it is not known yet what the slot did"),
    (OLDEST_QUEUED, "Time that whoever waits at the gate longest has waited; 0 where nobody does"),
    (OLDEST_IN_FLIGHT, "Time that the slot held longest has been held; 0 where none is"),
    (LONGEST_SILENCE, "Time since the last token of the stream silent longest; 0 where none has had one"),
];

/// Histograms: name, buckets, unit, help.
type Histogram = (&'static str, &'static [f64], Unit, &'static str);

const RATES: &[f64] =
    &[1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 50.0, 75.0, 100.0, 150.0, 200.0, 300.0, 500.0, 1000.0, 2000.0, 5000.0];
const DURATIONS: &[f64] = &[
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84, 327.68,
    655.36,
];
const FIRST: &[f64] = &[
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0,
    80.0, 160.0,
];
const EACH: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5];
const QUEUED: &[f64] =
    &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0];
const TOKENS: &[f64] =
    &[1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262_144.0, 1_048_576.0, 4_194_304.0];

const CONNECTS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

const HISTOGRAMS: [Histogram; 10] = [
    (TTFT, FIRST, Unit::Seconds, "Time to the first token, the queue included"),
    (PER_TOKEN, EACH, Unit::Seconds, "Time for each output token after the first frame of them"),
    (DURATION, DURATIONS, Unit::Seconds, "Time from arrival to release of every admitted request"),
    (QUEUE, QUEUED, Unit::Seconds, "Time in the queue of every arrival"),
    (STREAM_TPS, RATES, Unit::Count, "Output tokens over the time from first to last token"),
    (END_TO_END_TPS, RATES, Unit::Count, "Output tokens over the time the slot was held"),
    (SLOT_HELD, DURATIONS, Unit::Seconds, "Time a slot was held"),
    (MAX_TOKEN_GAP, EACH, Unit::Seconds, "Longest time between two frames with content"),
    (REQUEST_TOKENS, TOKENS, Unit::Count, "Output tokens of a request, by source"),
    (CONNECT, CONNECTS, Unit::Seconds, "Time to connect to the upstream, by outcome"),
];

/// The buckets of every histogram, by its full name. An exporter must be given
/// them: without, it renders summaries, which do not add up over replicas.
pub const BUCKETS: [(&str, &[f64]); HISTOGRAMS.len()] = {
    let mut buckets: [(&str, &[f64]); HISTOGRAMS.len()] = [("", &[]); HISTOGRAMS.len()];
    let mut index = 0;
    while index < HISTOGRAMS.len() {
        buckets[index] = (HISTOGRAMS[index].0, HISTOGRAMS[index].1);
        index += 1;
    }
    buckets
};

/// Prometheus text with the type of our counters of seconds put right: the
/// facade has none with fractions, so they arrive there as gauges.
#[must_use]
pub fn exposition(text: &str) -> String {
    let mut right = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let name = line.strip_prefix("# TYPE ").and_then(|rest| rest.trim_end().strip_suffix(" gauge"));
        match name {
            Some(name) if SECONDS.iter().any(|(seconds, _)| *seconds == name) => {
                right.push_str("# TYPE ");
                right.push_str(name);
                right.push_str(" counter\n");
            }
            _ => right.push_str(line),
        }
    }
    right
}

/// Records a pool's metrics through the facade.
#[derive(Clone, Copy, Debug, Default)]
pub struct Metrics;

impl Observer for Metrics {
    fn start(&self, _: &Start) {
        for (name, _, unit, help) in HISTOGRAMS {
            describe_histogram!(name, unit, help);
        }
        for (name, help) in SECONDS.into_iter().chain(AGES) {
            describe_gauge!(name, Unit::Seconds, help);
        }
        describe_gauge!(CAP, Unit::Count, "Slots that may be held at once");
        describe_gauge!(IN_FLIGHT, Unit::Count, "Slots held");
        describe_gauge!(QUEUE_DEPTH, Unit::Count, "Work without a slot: waiting, in back-off, declared");
        describe_gauge!(REUSE, Unit::Count, "Share of what was sent upstream that needed no new connection");
        describe_counter!(
            DISPATCHED,
            Unit::Count,
            "Requests sent to the upstream, retries in the slot included"
        );
        describe_counter!(CONNECTIONS, Unit::Count, "Connections to the upstream, by outcome");
        describe_counter!(REQUESTS, Unit::Count, "Requests that ended, by outcome and phase");
        describe_counter!(OUTPUT_TOKENS, Unit::Count, "Output tokens of requests that ended");
        describe_counter!(EMITTED_TOKENS, Unit::Count, "Tokens as they pass");
        describe_counter!(RETRIES, Unit::Count, "Retries, by cause");
        describe_counter!(MISMATCH, Unit::Count, "Difference between the usage and the tokenizer");
        describe_counter!(LOG_DROPPED, Unit::Count, "Records that the run log could not keep");
    }

    fn first_token(&self, first: &FirstToken) {
        histogram!(TTFT, "pool" => first.pool.clone()).record(first.ttft);
    }

    fn connected(&self, connected: &Connected) {
        let pool = || connected.pool.clone();
        let outcome = if connected.is_made { "connected" } else { "failed" };
        counter!(CONNECTIONS, "pool" => pool(), "outcome" => outcome).increment(1);
        histogram!(CONNECT, "pool" => pool(), "outcome" => outcome).record(connected.elapsed);
    }

    fn request(&self, record: &Arc<RequestRecord>) {
        let pool = || record.pool.clone();
        let outcome = record.outcome.as_str();
        let timeline = &record.timeline;
        counter!(REQUESTS, "pool" => pool(), "outcome" => outcome, "phase" => record.phase.as_str())
            .increment(1);
        let inside = record.retries_made().map(|retry| retry.cause);
        for cause in inside.chain(record.attempt_cause) {
            counter!(RETRIES, "pool" => pool(), "cause" => cause).increment(1);
        }
        if let Some(queued) = timeline.t_queue().or(timeline.t_total()) {
            histogram!(QUEUE, "pool" => pool(), "outcome" => outcome).record(queued);
        }
        if let (Some(held), Some(total)) = (timeline.t_in_flight(), timeline.t_total()) {
            histogram!(SLOT_HELD, "pool" => pool()).record(held);
            match &record.error_type {
                Some(error) => {
                    histogram!(DURATION, "pool" => pool(), "error_type" => error.clone()).record(total);
                }
                None => histogram!(DURATION, "pool" => pool()).record(total),
            }
        }
        if let Some(gap) = timeline.max_token_gap() {
            histogram!(MAX_TOKEN_GAP, "pool" => pool()).record(gap);
        }
        tokens(record);
    }

    fn sample(&self, sample: &Sample) {
        let pool = || sample.pool.clone();
        let (counts, totals) = (&sample.reading.counts, &sample.reading.totals);
        let set = |name: &'static str, time: Duration| gauge!(name, "pool" => pool()).set(time);
        gauge!(CAP, "pool" => pool()).set(counts.cap);
        gauge!(IN_FLIGHT, "pool" => pool()).set(counts.in_flight);
        gauge!(QUEUE_DEPTH, "pool" => pool()).set(counts.queue_depth() as f64);
        for cause in GapCause::ALL {
            gauge!(GAP, "pool" => pool(), "cause" => cause.as_str()).set(totals.gap_time_of(cause));
        }
        set(BACKLOG, totals.backlog_time());
        set(OBSERVED, totals.window_time());
        set(CAP_SLOTS, totals.cap_slot_time());
        set(GAP_SLOTS, totals.gap_slot_time());
        set(LOST_SLOTS, totals.lost_slot_time());
        set(IDLE_SLOTS, totals.idle_slot_time());
        for phase in SlotPhase::ALL {
            gauge!(BUSY_SLOTS, "pool" => pool(), "phase" => phase.as_str()).set(totals.slot_time_of(phase));
        }
        // It falls as time is attributed, and so is no counter.
        set(UNATTRIBUTED, totals.unattributed_slot_time());
        let ages = &sample.reading.ages;
        set(OLDEST_QUEUED, ages.oldest_queued.unwrap_or_default());
        set(OLDEST_IN_FLIGHT, ages.oldest_in_flight.unwrap_or_default());
        set(LONGEST_SILENCE, ages.longest_silence.unwrap_or_default());
        counter!(EMITTED_TOKENS, "pool" => pool()).absolute(sample.emitted_tokens);
        counter!(DISPATCHED, "pool" => pool()).absolute(sample.dispatched);
        if let Some(ratio) = sample.connection_reuse_ratio() {
            gauge!(REUSE, "pool" => pool()).set(ratio);
        }
    }

    fn end(&self, sample: &Sample) {
        self.sample(sample);
    }
}

/// What is recorded of a request's tokens.
fn tokens(record: &RequestRecord) {
    let pool = || record.pool.clone();
    let Some(generated) = &record.generated else { return };
    // A usage that is not the final one says nothing of the tokenizer.
    if let (Some((usage, TokenSource::Usage)), Some(counted)) =
        (generated.output_tokens, generated.counted_tokens)
    {
        counter!(MISMATCH, "pool" => pool()).increment(usage.abs_diff(counted));
    }
    let Some((tokens, source)) = generated.output_tokens else { return };
    let source = source.as_str();
    histogram!(REQUEST_TOKENS, "pool" => pool(), "source" => source).record(tokens as f64);
    counter!(OUTPUT_TOKENS, "pool" => pool(), "outcome" => record.outcome.as_str(), "source" => source)
        .increment(tokens);
    if record.outcome != Outcome::Completed {
        return;
    }
    let timeline = &record.timeline;
    if let Some(rate) = timeline.end_to_end_tps(tokens) {
        histogram!(END_TO_END_TPS, "pool" => pool()).record(rate);
    }
    // A stream that was buffered on its way has no rate of its own.
    if timeline.is_buffered(tokens) {
        return;
    }
    if let Some(rate) = timeline.stream_tps(tokens) {
        histogram!(STREAM_TPS, "pool" => pool()).record(rate);
    }
    if let Some(time) = timeline.time_per_output_token(tokens) {
        histogram!(PER_TOKEN, "pool" => pool()).record(time);
    }
}
