//! Several runs: all of them in one table, and the fleet that they are.

use maud::{Markup, html};

use super::table::{Row, table};
use super::{figures, run};
use crate::analysis::{Fleet, RunReport};

/// So many runs are in the table.
const MOST: usize = 300;
/// So many fleets are shown.
const MOST_FLEETS: usize = 12;

/// A row for each run.
pub(super) fn overview(runs: &[RunReport]) -> Markup {
    let heads = [
        "run",
        "tokens/s",
        "gap",
        "lost tokens",
        "success",
        "TTFT p50",
        "TTFT p99",
        "stream p50",
        "requests",
    ];
    let row = |report: &RunReport| {
        let summary = &report.summary;
        let of = &summary.traffic.distributions;
        let cells = vec![
            figures::maybe(summary.system_tps),
            figures::maybe_percent(summary.slots.gap_fraction),
            figures::maybe(summary.slots.lost_tokens),
            figures::maybe_percent(summary.traffic.success_rate),
            figures::maybe_time(of.ttft.map(|ttft| ttft.p50)),
            figures::maybe_time(of.ttft.map(|ttft| ttft.p99)),
            figures::maybe(of.stream_tps.map(|rate| rate.p50)),
            figures::count(summary.traffic.requests),
        ];
        Row::new(run::name(report), "", cells)
    };
    let rows: Vec<_> = runs.iter().take(MOST).map(row).collect();
    html! {
        section {
            h2 { "All runs" }
            (table(&heads, &rows))
            @if runs.len() > MOST { p.aside { "And " (figures::count((runs.len() - MOST) as u64)) " runs more." } }
        }
    }
}

/// What the runs come to together.
pub(super) fn fleets(fleets: &[Fleet]) -> Markup {
    html! {
        @for fleet in fleets.iter().take(MOST_FLEETS) {
            section {
                h2 {
                    "The fleet"
                    @match &fleet.pool {
                        Some(pool) => { " " (figures::short(pool)) }
                        None => " of all pools",
                    }
                }
                p {
                    "As one capacity: " (fleet.runs) " runs, up to " (fleet.most_at_once) " at once. "
                    "The fleet's gap is not the sum of its runs' gaps: two gaps at once are one, and work that "
                    "waits at a full run while another has a slot free is in none of theirs."
                }
                (figures_of(fleet))
                p.aside {
                    "Runs have clocks of their own. With every other run's clock 10 ms behind or ahead, "
                    code { "gap_time" } " would be " (figures::time_text(fleet.gap_time_of_clocks_apart[0])) " or "
                    (figures::time_text(fleet.gap_time_of_clocks_apart[1])) "."
                }
            }
        }
    }
}

fn figures_of(fleet: &Fleet) -> Markup {
    let one = |name: &str, note, figure: String| Row::new(name, note, vec![figure]);
    let rates = [
        one("system_tps", "tokens/s", figures::maybe(fleet.system_tps)).main(),
        one("requests", "", figures::count(fleet.traffic.requests)),
        one("success_rate", "", figures::maybe_percent(fleet.traffic.success_rate)),
        one("window_time", "s with a run on", figures::number(fleet.window_time)),
        one("cap_slot_time", "slot-s", figures::number(fleet.cap_slot_time)),
        one("busy_slot_time", "slot-s", figures::number(fleet.busy_slot_time)),
    ];
    let gaps = [
        one("gap_fraction", "gap_time / window", figures::maybe_percent(fleet.gap_fraction)).main(),
        one("gap_share", "gap_time / backlog_time", figures::maybe_percent(fleet.gap_share)),
        one("backlog_time", "s", figures::number(fleet.backlog_time)),
        one("gap_time", "s", figures::number(fleet.gap_time)),
        one("gap_time of the runs", "s, added up", figures::number(fleet.gap_time_of_runs)),
        one(
            "gap_time_routing",
            "s in which no run had a gap of its own",
            figures::number(fleet.gap_time_routing),
        ),
        one("gap_slot_time", "slot-s", figures::number(fleet.gap_slot_time)),
        one("lost_slot_time", "slot-s", figures::number(fleet.lost_slot_time)),
    ];
    html! {
        div.columns {
            div { (table(&["the fleet", "figure"], &rates)) }
            div { (table(&["its gap", "figure"], &gaps)) }
        }
    }
}
