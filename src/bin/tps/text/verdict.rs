//! Checks and the verdict.

use std::io::{self, Write};

use console::style;
use tower_tps::analysis::{Check, Decision, Verdict};

use super::figures::{percent, rate};
use super::plain::plain;
use super::table::Table;

/// A figure as its check has it: a share as a percentage, a rate as such.
pub(crate) fn figure(check: &Check, value: Option<f64>) -> String {
    if check.name == "system_tps" { rate(value) } else { percent(value) }
}

/// A change with its sign; of shares, in percentage points.
pub(crate) fn change(check: &Check, value: f64) -> String {
    if check.name == "system_tps" { format!("{value:+.1}") } else { format!("{:+.2} pp", value * 100.0) }
}

/// The change, and by what share that is.
pub(crate) fn changes(check: &Check) -> String {
    let relative = check.relative_change.map(|change| format!(" ({:+.1} %)", change * 100.0));
    let absolute = check.change.map(|value| change(check, value));
    absolute.map_or_else(|| "-".to_owned(), |change| change + relative.as_deref().unwrap_or(""))
}

/// The intervals that the check must hold by: over time, and by requests.
pub(crate) fn intervals(check: &Check) -> impl Iterator<Item = (f64, f64)> {
    check.interval.into_iter().chain(check.interval_by_request)
}

/// An interval of the change.
pub(crate) fn interval(check: &Check, (low, high): (f64, f64)) -> String {
    format!("{} .. {}", change(check, low), change(check, high))
}

/// Writes each check, and then the verdict.
pub(crate) fn write(out: &mut impl Write, verdict: &Verdict) -> io::Result<()> {
    let confidence = format!("{:.4}", verdict.demands.confidence * 100.0);
    let confidence = confidence.trim_end_matches('0').trim_end_matches('.');
    let mut table = Table::with(&["baseline", "candidate", "change", &format!("{confidence} %"), "requests"]);
    for check in &verdict.checks {
        let mark = if check.holds { style("holds").green() } else { style("fails").red() };
        let name = format!("{mark}  {} {}", check.name, check.rule.as_str());
        let mut all = intervals(check).map(|of| interval(check, of));
        let figures = [
            figure(check, check.baseline),
            figure(check, check.candidate),
            changes(check),
            all.next().unwrap_or_else(|| "-".to_owned()),
            format!("{}, {}", check.requests.0, check.requests.1),
        ];
        table.row(&name, figures);
        for other in all {
            table.row("       of single requests", [String::new(), String::new(), String::new(), other]);
        }
    }
    table.write(out)?;
    writeln!(out)?;
    for warning in &verdict.warnings {
        writeln!(out, "{}: {}", style("beware").yellow(), plain(warning))?;
    }
    for reason in &verdict.not_judged {
        writeln!(out, "cannot be judged: {}", plain(reason))?;
    }
    let decision = verdict.decision();
    let word = match decision {
        Decision::Accepted => style(decision.as_str()).green(),
        Decision::Rejected => style(decision.as_str()).red(),
        _ => style(decision.as_str()).yellow(),
    };
    writeln!(out, "{}", word.bold())
}
