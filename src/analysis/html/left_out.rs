//! What of the logs could not be read, so that nothing is left out silently.

use maud::{Markup, html};

use super::figures;
use super::table::{counts, folded};
use crate::analysis::LeftOut;

/// The troubles with the logs; nothing where there were none.
pub(super) fn left_out(left_out: &LeftOut) -> Markup {
    if left_out.is_empty() && left_out.unknown_types.is_empty() {
        return html! {};
    }
    let kinds = left_out.kinds.iter().map(|(kind, count)| (*kind, *count));
    let types = left_out.unknown_types.iter().map(|(kind, count)| (kind.as_str(), *count));
    html! {
        section {
            h2 { "What could not be read" }
            @if !left_out.is_empty() {
                p.warning {
                    strong { (figures::count(left_out.skipped)) " of " (figures::count(left_out.lines)) " lines" }
                    " of the logs were left out."
                }
            }
            div.columns {
                @if let Some(table) = counts("trouble", "times", kinds) { div { (table) } }
                @if let Some(table) = counts("unknown type", "lines", types) {
                    div { (table) p.aside { "Lines of unknown types are no trouble." } }
                }
            }
            @if !left_out.problems.is_empty() {
                (folded("The first of each kind", &problems(left_out)))
            }
        }
    }
}

fn problems(left_out: &LeftOut) -> Markup {
    html! {
        div.scroll {
            table.text {
                thead {
                    tr { th scope="col" { "log" } th.figure scope="col" { "line" } th scope="col" { "trouble" } th scope="col" { "what it is" } }
                }
                tbody {
                    @for problem in &left_out.problems {
                        tr {
                            td { (figures::short(&problem.file)) }
                            td.figure { (figures::count(problem.line)) }
                            td { (problem.kind.as_str()) }
                            td { (figures::short(&problem.reason)) }
                        }
                    }
                }
            }
        }
    }
}
