//! The figures by which two runs are set side by side, by the names of the
//! definitions.

use tower_tps::analysis::{Distribution, Summary};

use crate::text::figures::{by_source, count, number, percent, rate, seconds, time};

/// A figure's name, and how it is written.
type Row = (&'static str, fn(&Summary) -> String);

/// In the order in which they are read.
pub(super) const ROWS: [Row; 23] = [
    ("requests", |run| count(run.traffic.requests)),
    ("success_rate", |run| percent(run.traffic.success_rate)),
    ("cancel_rate", |run| percent(run.traffic.cancel_rate)),
    ("retry_rate", |run| percent(run.traffic.retry_rate)),
    ("window_time", |run| seconds(Some(run.window_time))),
    ("output_tokens", |run| by_source(&run.traffic.output_tokens)),
    ("system_tps", |run| rate(run.system_tps)),
    ("stream_tps, p50", |run| rate(median(run.traffic.distributions.stream_tps.as_ref()))),
    ("decode_tps, p50", |run| rate(median(run.traffic.distributions.decode_tps.as_ref()))),
    ("end_to_end_tps, p50", |run| rate(median(run.traffic.distributions.end_to_end_tps.as_ref()))),
    ("ttft, p50", |run| time(median(run.traffic.distributions.ttft.as_ref()))),
    ("ttft, p99", |run| time(run.traffic.distributions.ttft.as_ref().map(|ttft| ttft.p99))),
    ("in flight, mean", |run| rate(run.slots.mean_in_flight)),
    ("gap_fraction", |run| percent(run.slots.gap_fraction)),
    ("  gap_time, wakeup", |run| seconds(Some(run.slots.gap_time_wakeup))),
    ("  gap_time, backoff", |run| seconds(Some(run.slots.gap_time_backoff))),
    ("  gap_time, orchestration", |run| seconds(Some(run.slots.gap_time_orchestration))),
    ("lost_slot_time", |run| seconds(Some(run.slots.lost_slot_time))),
    ("lost tokens", |run| number(run.slots.lost_tokens)),
    ("wasted tokens", |run| by_source(&run.traffic.wasted_tokens)),
    ("connections", |run| count(run.slots.connections)),
    ("  connect_time", |run| time(Some(run.slots.connect_time))),
    ("  reused", |run| percent(run.slots.connection_reuse_ratio)),
];

fn median(distribution: Option<&Distribution>) -> Option<f64> {
    distribution.map(|distribution| distribution.p50)
}
