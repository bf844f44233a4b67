//! The comparison as text.

use std::io::{self, Write};

use console::style;
use tower_tps::analysis::Comparison;

use super::rows::ROWS;
use crate::text::{losses, verdict};

/// Writes both runs side by side, where each lost throughput, and the verdict.
pub(crate) fn write(out: &mut impl Write, comparison: &Comparison) -> io::Result<()> {
    let Comparison { baseline, candidate, verdict, .. } = comparison;
    writeln!(out, "\n{:<28}{:>14}{:>14}", "", style("baseline").bold(), style("candidate").bold())?;
    for (name, of) in ROWS {
        writeln!(out, "{name:<28}{:>14}{:>14}", of(baseline), of(candidate))?;
    }
    writeln!(out)?;
    losses::write(out, "the baseline's", &baseline.diagnosis, baseline.slots.cap_slot_time)?;
    losses::write(out, "the candidate's", &candidate.diagnosis, candidate.slots.cap_slot_time)?;
    for (run, name) in [(baseline, "baseline"), (candidate, "candidate")] {
        if !run.agreement.holds() {
            let warning = format!("the {name}'s figures are not those its pool told: see tps report");
            writeln!(out, "{}", style(warning).yellow())?;
        }
    }
    verdict::write(out, verdict)
}
