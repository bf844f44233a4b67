//! The page of a report: its runs, what they come to together, and what could not be read.

use maud::{Markup, html};

use super::pictures::Detail;
use super::{left_out, page, run, together};
use crate::analysis::{Report, Run};

/// So many runs are shown in full.
const MOST_IN_FULL: usize = 5;

/// The page.
pub(super) fn page(report: &Report, runs: &[Run]) -> Markup {
    let several = report.runs.len() > 1;
    let pairs: Vec<_> = report.runs.iter().zip(runs).take(MOST_IN_FULL).collect();
    let detail = detail(pairs.len());
    let of = match report.runs.as_slice() {
        [] => "No run".to_owned(),
        [one] => run::name(one),
        all => format!("{} runs", all.len()),
    };
    let body = html! {
        @if several { (together::overview(&report.runs)) (together::fleets(&report.fleets)) }
        @for (told, run) in &pairs { (run::run(told, run, detail, several)) }
        @if report.runs.len() > pairs.len() {
            p.aside {
                "The first " (pairs.len()) " runs are shown in full. The others are in the table of all runs, "
                "and in the report as JSON."
            }
        }
        (left_out::left_out(&report.left_out))
    };
    page::page("Throughput and gaps", &of, &html! { (of) }, &body)
}

/// The more runs, the less of each, so that the page stays small.
fn detail(runs: usize) -> Detail {
    match runs {
        0..=2 => Detail { windows: 200, lanes: 48, rows: 200 },
        _ => Detail { windows: 100, lanes: 32, rows: 50 },
    }
}
