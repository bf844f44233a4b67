//! The figures over time that were asked for, as a table.

use maud::{Markup, html};

use super::figures;
use super::table::{Row, folded, table};
use crate::analysis::Window;

/// A row for each window, up to so many; nothing where none were asked for.
pub(super) fn windows(windows: &[Window], most: usize) -> Markup {
    if windows.is_empty() {
        return html! {};
    }
    let heads = [
        "from",
        "requests",
        "completed",
        "tokens/s",
        "in flight",
        "queued",
        "gap",
        "lost slot-s",
        "TTFT p50",
        "TTFT p99",
    ];
    let rows: Vec<_> = windows.iter().take(most).map(row).collect();
    html! {
        section {
            h3 { "Over time, in figures" }
            (folded(&format!("{} windows", figures::count(windows.len() as u64)), &html! {
                (table(&heads, &rows))
                @if windows.len() > most {
                    p.aside { "The first " (most) ". All are in the report as JSON." }
                }
            }))
        }
    }
}

fn row(window: &Window) -> Row {
    let cells = vec![
        figures::count(window.requests),
        figures::count(window.completed),
        figures::maybe(window.system_tps),
        figures::number(window.mean_in_flight),
        figures::number(window.mean_queue_depth),
        figures::maybe_percent(window.gap_fraction),
        figures::number(window.lost_slot_time),
        figures::maybe_time(window.ttft.map(|ttft| ttft.p50)),
        figures::maybe_time(window.ttft.map(|ttft| ttft.p99)),
    ];
    Row::new(figures::time_text(window.start), "", cells)
}
