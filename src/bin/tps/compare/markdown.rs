//! The comparison for a pull request.

use std::io::{self, Write};

use tower_tps::analysis::Comparison;

use super::rows::ROWS;
use crate::text::figures::percent;
use crate::text::verdict::{figure, interval, word};

/// Writes the verdict, its checks, and the figures of both runs.
pub(super) fn write(out: &mut impl Write, comparison: &Comparison) -> io::Result<()> {
    let Comparison { baseline, candidate, verdict, .. } = comparison;
    writeln!(out, "**tps: {}**\n", word(verdict))?;
    for reason in &verdict.not_judged {
        writeln!(out, "- cannot be judged: {reason}")?;
    }
    if !verdict.not_judged.is_empty() {
        writeln!(out)?;
    }
    let confidence = percent(Some(verdict.demands.confidence));
    writeln!(out, "| check | baseline | candidate | change | {confidence} interval | requests | |")?;
    writeln!(out, "|---|--:|--:|--:|--:|--:|---|")?;
    for check in &verdict.checks {
        writeln!(
            out,
            "| `{}` {} | {} | {} | {} | {} | {}, {} | {} |",
            check.name,
            check.rule.as_str(),
            figure(check, check.baseline),
            figure(check, check.candidate),
            check
                .relative_change
                .map_or_else(|| "–".to_owned(), |change| format!("{:+.1} %", change * 100.0)),
            interval(check),
            check.requests.0,
            check.requests.1,
            if check.holds { "holds" } else { "**fails**" },
        )?;
    }
    writeln!(out, "\n<details><summary>All figures</summary>\n")?;
    writeln!(out, "| | baseline | candidate |\n|---|--:|--:|")?;
    for (name, of) in ROWS {
        writeln!(out, "| {} | {} | {} |", name.trim(), of(baseline), of(candidate))?;
    }
    writeln!(out, "\n</details>")
}
