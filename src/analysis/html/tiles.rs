//! The figures that a run is judged by, large.

use maud::{Markup, html};

use super::figures;
use crate::analysis::Summary;

struct Tile {
    label: &'static str,
    name: &'static str,
    figure: String,
    unit: &'static str,
    note: String,
}

/// The tiles of a run.
pub(super) fn tiles(summary: &Summary) -> Markup {
    html! {
        ul.tiles {
            @for tile in all(summary) {
                li {
                    span.label { (tile.label) }
                    span.value { (tile.figure) @if !tile.unit.is_empty() { " " span.unit { (tile.unit) } } }
                    span.note { @if !tile.name.is_empty() { code { (tile.name) } " " } (tile.note) }
                }
            }
        }
    }
}

fn all(summary: &Summary) -> [Tile; 8] {
    let (traffic, slots) = (&summary.traffic, &summary.slots);
    let (ttft, stream) = (traffic.distributions.ttft, traffic.distributions.stream_tps);
    let time = |seconds: Option<f64>| seconds.map_or_else(|| (figures::ABSENT.to_owned(), ""), figures::time);
    let (ttft_figure, ttft_unit) = time(ttft.map(|ttft| ttft.p50));
    let (lost, lost_unit) = time(Some(slots.lost_slot_time));
    let lost_unit = if lost_unit == "s" { "slot-s" } else { lost_unit };
    let percent = |share: Option<f64>| figures::maybe_percent(share).replace(" %", "");
    let percent_unit = |share: Option<f64>| if share.is_some() { "%" } else { "" };
    let completed = traffic.outcomes.get("completed").copied().unwrap_or(0);
    let of_slots = (slots.cap_slot_time > 0.0).then(|| slots.lost_slot_time / slots.cap_slot_time);
    [
        Tile {
            label: "Throughput",
            name: "system_tps",
            figure: figures::maybe(summary.system_tps),
            unit: if summary.system_tps.is_some() { "tokens/s" } else { "" },
            note: match summary.system_tps {
                Some(_) => format!("over {}", figures::time_text(summary.window_time)),
                None if summary.system_tps_by_source.len() > 1 => "tokens are of several sources".to_owned(),
                None => "no time passed".to_owned(),
            },
        },
        Tile {
            label: "Gap",
            name: "gap_fraction",
            figure: percent(slots.gap_fraction),
            unit: percent_unit(slots.gap_fraction),
            note: "of the time".to_owned(),
        },
        Tile {
            label: "Lost tokens",
            name: "",
            figure: figures::maybe(slots.lost_tokens),
            unit: "",
            note: "that the gap cost, at this run's rate".to_owned(),
        },
        Tile {
            label: "Lost slot-time",
            name: "lost_slot_time",
            figure: lost,
            unit: lost_unit,
            note: of_slots.map_or_else(String::new, |share| format!("{} of all", figures::percent(share))),
        },
        Tile {
            label: "Success",
            name: "success_rate",
            figure: percent(traffic.success_rate),
            unit: percent_unit(traffic.success_rate),
            note: String::new(),
        },
        Tile {
            label: "Time to first token",
            name: "ttft",
            figure: ttft_figure,
            unit: ttft_unit,
            note: format!("p50; p99 {}", figures::maybe_time(ttft.map(|ttft| ttft.p99))),
        },
        Tile {
            label: "Speed of a stream",
            name: "stream_tps",
            figure: figures::maybe(stream.map(|stream| stream.p50)),
            unit: if stream.is_some() { "tokens/s" } else { "" },
            note: "p50".to_owned(),
        },
        Tile {
            label: "Requests",
            name: "",
            figure: figures::count(traffic.requests),
            unit: "",
            note: format!("{} completed", figures::count(completed)),
        },
    ]
}
