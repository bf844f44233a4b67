//! What the pool told, held against what was recomputed from the requests.

use maud::{Markup, html};

use super::figures;
use super::table::{Row, table};
use crate::analysis::Agreement;

/// Whether both agree; what differs is a warning.
pub(super) fn agreement(agreement: &Agreement) -> Markup {
    let rows = agreement.disagreements.iter().map(|one| {
        let figures = vec![
            figures::number(one.told),
            figures::number(one.recomputed),
            figures::count(one.samples),
            figures::time_text(one.first_at),
        ];
        Row::new(one.name, "", figures)
    });
    let rows: Vec<_> = rows.collect();
    html! {
        section {
            h3 { "Can these figures be trusted?" }
            @if agreement.samples == 0 {
                p { "The pool told nothing to hold them against." }
            } @else if rows.is_empty() {
                p.good {
                    "What was recomputed from the requests is, to the nanosecond, what the pool told: "
                    @if agreement.samples == 1 { "once" } @else { (figures::count(agreement.samples)) " times" }
                    @if agreement.has_end { ", its end included." } @else { ", without an end." }
                }
            } @else {
                p.warning {
                    strong { (rows.len()) " figures differ from what the pool told." }
                    " Requests or changes may be missing from the log."
                }
                (table(&["figure", "told", "recomputed", "samples", "first at"], &rows))
            }
        }
    }
}
