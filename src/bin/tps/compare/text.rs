//! The comparison as text.

use std::io::{self, Write};

use tower_tps::analysis::Comparison;

use super::rows::ROWS;
use crate::text::table::Table;
use crate::text::{losses, verdict};

/// Writes both runs side by side, where each lost throughput, and the verdict.
pub(crate) fn write(out: &mut impl Write, comparison: &Comparison) -> io::Result<()> {
    let Comparison { baseline, candidate, verdict, .. } = comparison;
    let mut table = Table::with(&["baseline", "candidate"]);
    for (name, of) in ROWS {
        table.row(name, [of(baseline), of(candidate)]);
    }
    writeln!(out)?;
    table.write(out)?;
    writeln!(out)?;
    losses::write(out, "the baseline's", &baseline.diagnosis, baseline.slots.cap_slot_time)?;
    losses::write(out, "the candidate's", &candidate.diagnosis, candidate.slots.cap_slot_time)?;
    verdict::write(out, verdict)
}
