//! One run, from its largest figures to its smallest.

use maud::{Markup, html};

use super::exhibits::Exhibit;
use super::pictures::{Detail, Pictures, Shared};
use super::{facts, figures, findings, groups, outcomes, tiles, trust, windows};
use crate::analysis::{Run, RunReport};

/// All that is shown of a run. `has_heading` where there are others.
pub(super) fn run(report: &RunReport, run: &Run, detail: Detail, has_heading: bool) -> Markup {
    let pictures = Pictures::of(run, &report.summary, detail);
    let shared = Shared::of(&[&pictures]);
    html! {
        article.run {
            @if has_heading { h2 { (name(report)) } }
            (tiles::tiles(&report.summary))
            (facts::facts(report))
            (findings::findings(&report.summary.diagnosis))
            @if !report.summary.agreement.holds() { (trust::agreement(&report.summary.agreement)) }
            @for exhibit in Exhibit::ALL { (exhibit.of_one(&pictures, &shared)) }
            (outcomes::outcomes(&report.summary.traffic))
            (groups::groups(&report.by))
            (windows::windows(&report.windows, detail.rows))
            @if report.summary.agreement.holds() { (trust::agreement(&report.summary.agreement)) }
        }
    }
}

/// What a run is called: its id, or else its pool.
pub(super) fn name(report: &RunReport) -> String {
    let (id, pool) = (figures::short(&report.run_id), figures::short(&report.pool));
    match (id.is_empty(), pool.is_empty()) {
        (false, false) => format!("{id} · {pool}"),
        (false, true) => id,
        (true, false) => pool,
        (true, true) => "A run without a name".to_owned(),
    }
}
