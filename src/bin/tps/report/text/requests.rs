//! How requests ended.

use std::io::{self, Write};

use tower_tps::analysis::Traffic;

use crate::text::figures::{count, counts, percent};
use crate::text::lines::{row, title};

pub(super) fn write(out: &mut impl Write, traffic: &Traffic) -> io::Result<()> {
    title(out, "Requests")?;
    row(out, "ended", &count(traffic.requests))?;
    for (outcome, phases) in &traffic.outcomes_by_phase {
        let all: u64 = phases.values().sum();
        let phases = match counts(phases) {
            Some(phases) if *outcome != "completed" => format!("{} ({phases})", count(all)),
            _ => count(all),
        };
        row(out, &format!("  {outcome}"), &phases)?;
    }
    row(out, "success_rate", &percent(traffic.success_rate))?;
    row(out, "cancel_rate", &percent(traffic.cancel_rate))?;
    let causes = counts(&traffic.retry_causes).map_or_else(String::new, |causes| format!(": {causes}"));
    row(out, "retry_rate", &format!("{}{causes}", percent(traffic.retry_rate)))?;
    for (name, words) in [("error_type", &traffic.error_types), ("finish_reason", &traffic.finish_reasons)] {
        if let Some(words) = counts(words) {
            row(out, name, &words)?;
        }
    }
    Ok(())
}
