//! Checks and the verdict.

use std::io::{self, Write};

use console::style;
use tower_tps::analysis::{Check, Verdict};

use super::figures::{percent, rate};

/// The verdict in words.
pub(crate) fn word(verdict: &Verdict) -> &'static str {
    verdict.decision().as_str()
}

/// A figure as its check has it: a share as a percentage, a rate as such.
pub(crate) fn figure(check: &Check, value: Option<f64>) -> String {
    if check.name == "system_tps" { rate(value) } else { percent(value) }
}

/// A change with its sign; of shares, in percentage points.
pub(crate) fn change(check: &Check, value: f64) -> String {
    if check.name == "system_tps" { format!("{value:+.1}") } else { format!("{:+.2} pp", value * 100.0) }
}

/// The interval of the change.
pub(crate) fn interval(check: &Check) -> String {
    check.interval.map_or_else(
        || "no interval".to_owned(),
        |(low, high)| format!("{} .. {}", change(check, low), change(check, high)),
    )
}

/// Writes each check, and then the verdict.
pub(crate) fn write(out: &mut impl Write, verdict: &Verdict) -> io::Result<()> {
    let confidence = format!("{:.4}", verdict.demands.confidence * 100.0);
    let confidence = confidence.trim_end_matches('0').trim_end_matches('.');
    for check in &verdict.checks {
        let mark = if check.holds { style("holds").green() } else { style("fails").red() };
        writeln!(
            out,
            "{mark}  {:<13} {:<14} {:>9} -> {:>9} {:>9}  {confidence} % in {}, {} and {} requests",
            check.name,
            check.rule.as_str(),
            figure(check, check.baseline),
            figure(check, check.candidate),
            check.relative_change.map_or_else(String::new, |change| format!("({:+.1} %)", change * 100.0)),
            interval(check),
            check.requests.0,
            check.requests.1,
        )?;
    }
    for reason in &verdict.not_judged {
        writeln!(out, "cannot be judged: {reason}")?;
    }
    let word = match word(verdict) {
        "accepted" => style("accepted").green(),
        "rejected" => style("rejected").red(),
        word => style(word).yellow(),
    };
    writeln!(out, "{}", word.bold())
}
