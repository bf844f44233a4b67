//! The page of a comparison: the verdict, the checks, both runs beside each other.

use maud::{Markup, html};

use super::exhibits::Exhibit;
use super::pictures::{Detail, Pictures, Shared};
use super::table::{Row, table};
use super::{figures, page, verdict};
use crate::analysis::{Comparison, Run, Summary};

/// A figure of both runs: its name, what it is in words, how it is taken and written.
type Figure = (&'static str, &'static str, fn(&Summary) -> Option<f64>, fn(f64) -> String);

/// The unit of shares, which need none.
const SHARE: &str = "share";

/// All main figures.
const FIGURES: [Figure; 22] = [
    ("system_tps", "tokens/s", |run| run.system_tps, figures::number),
    ("emitted_tps", "tokens/s", |run| run.emitted_tps, figures::number),
    ("gap_fraction", SHARE, |run| run.slots.gap_fraction, figures::percent),
    ("gap_share", SHARE, |run| run.slots.gap_share, figures::percent),
    ("gap_time", "s", |run| Some(run.slots.gap_time), figures::number),
    ("backlog_time", "s", |run| Some(run.slots.backlog_time), figures::number),
    ("lost_slot_time", "slot-s", |run| Some(run.slots.lost_slot_time), figures::number),
    ("lost tokens", "", |run| run.slots.lost_tokens, figures::number),
    ("success_rate", SHARE, |run| run.traffic.success_rate, figures::percent),
    ("cancel_rate", SHARE, |run| run.traffic.cancel_rate, figures::percent),
    ("retry_rate", SHARE, |run| run.traffic.retry_rate, figures::percent),
    ("ttft p50", "s", |run| run.traffic.distributions.ttft.map(|of| of.p50), figures::number),
    ("ttft p99", "s", |run| run.traffic.distributions.ttft.map(|of| of.p99), figures::number),
    ("t_queue p50", "s", |run| run.traffic.distributions.t_queue.map(|of| of.p50), figures::number),
    ("t_queue p99", "s", |run| run.traffic.distributions.t_queue.map(|of| of.p99), figures::number),
    (
        "stream_tps p50",
        "tokens/s",
        |run| run.traffic.distributions.stream_tps.map(|of| of.p50),
        figures::number,
    ),
    (
        "decode_tps p50",
        "tokens/s",
        |run| run.traffic.distributions.decode_tps.map(|of| of.p50),
        figures::number,
    ),
    (
        "end_to_end_tps p50",
        "tokens/s",
        |run| run.traffic.distributions.end_to_end_tps.map(|of| of.p50),
        figures::number,
    ),
    ("mean in flight", "", |run| run.slots.mean_in_flight, figures::number),
    ("mean queue depth", "", |run| run.slots.mean_queue_depth, figures::number),
    ("requests", "", |run| Some(run.traffic.requests as f64), figures::number),
    ("window_time", "s", |run| Some(run.window_time), figures::number),
];

/// The page.
pub(super) fn page(comparison: &Comparison, baseline: &Run, candidate: &Run) -> Markup {
    let detail = Detail { windows: 200, lanes: 48, rows: 0 };
    let old = Pictures::of(baseline, &comparison.baseline, detail);
    let new = Pictures::of(candidate, &comparison.candidate, detail);
    let shared = Shared::of(&[&old, &new]);
    let subtitle = html! {
        "Baseline " strong { (name(baseline)) } ", candidate " strong { (name(candidate)) }
    };
    let body = html! {
        (verdict::verdict(&comparison.verdict))
        (verdict::checks(&comparison.verdict))
        section {
            h3 { "All main figures" }
            p.caption { "The change of a share is in percentage points, pp." }
            div.changes {
                (table(&["figure", "baseline", "candidate", "change", "relative"], &rows(comparison)))
            }
        }
        h2.part { "Both runs, on the same scales" }
        @for exhibit in Exhibit::ALL { (exhibit.of_two([("Baseline.", &old), ("Candidate.", &new)], &shared)) }
    };
    page::page(
        "Was the change worth it?",
        &format!("{} → {}", name(baseline), name(candidate)),
        &subtitle,
        &body,
    )
}

fn name(run: &Run) -> String {
    let (id, pool) = (figures::short(run.run_id()), figures::short(run.pool()));
    match (id.is_empty(), pool.is_empty()) {
        (true, true) => figures::ABSENT.to_owned(),
        (true, false) => pool,
        (false, true) => id,
        (false, false) => format!("{id} · {pool}"),
    }
}

/// How a change is written: that of a share in points, or it would be taken for a relative one.
fn in_change(unit: &str, text: fn(f64) -> String) -> fn(f64) -> String {
    if unit == SHARE { figures::points } else { text }
}

fn rows(comparison: &Comparison) -> Vec<Row> {
    let row = |(name, unit, of, text): &Figure| {
        let (before, after) = (of(&comparison.baseline), of(&comparison.candidate));
        let maybe = |value: Option<f64>| value.map_or_else(|| figures::ABSENT.to_owned(), text);
        let change = before.zip(after).map(|(before, after)| after - before);
        let relative = change.zip(before).filter(|(_, before)| *before != 0.0);
        let cells = vec![
            maybe(before),
            maybe(after),
            change.map_or_else(
                || figures::ABSENT.to_owned(),
                |change| figures::change(change, in_change(unit, *text)),
            ),
            relative.map_or_else(
                || figures::ABSENT.to_owned(),
                |(change, before)| figures::change(change / before, figures::percent),
            ),
        ];
        Row::new(*name, if *unit == SHARE { "" } else { unit }, cells)
    };
    FIGURES.iter().map(row).collect()
}
