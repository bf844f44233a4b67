//! A report or a comparison as one page to look at: figures, pictures, tables.
//!
//! A page is one HTML document that needs nothing else: no network, no script. It
//! is readable on a phone, on a screen, in the dark and on paper. What comes from a
//! log is escaped wherever it stands. Pages are bounded, whatever the size of the
//! log: of many runs, groups or windows the first are shown, and the page says so.

mod accounts;
mod compare;
mod draw;
mod exhibits;
mod facts;
mod figures;
mod findings;
mod groups;
mod left_out;
mod legend;
mod outcomes;
mod page;
mod palette;
mod pictures;
mod reporting;
mod run;
mod spreads;
mod table;
mod tiles;
mod together;
mod trust;
mod verdict;
mod windows;

use super::{Comparison, Report, Run};

/// The page of a report. `runs` are those that it was made of, in the same order:
/// the pictures are drawn from them.
#[must_use]
pub fn report(report: &Report, runs: &[Run]) -> String {
    reporting::page(report, runs).into_string()
}

/// The page of a comparison of these two runs.
#[must_use]
pub fn comparison(comparison: &Comparison, baseline: &Run, candidate: &Run) -> String {
    compare::page(comparison, baseline, candidate).into_string()
}
