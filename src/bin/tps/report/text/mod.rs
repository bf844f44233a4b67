//! The report as text.

mod agreement;
mod apart;
mod fleet;
mod head;
mod left_out;
mod rates;
mod requests;
mod slots;

use std::collections::BTreeMap;
use std::io::{self, Write};

use tower_tps::analysis::{Report, RunReport};

use crate::text::figures::rate;
use crate::text::lines::{row, title};
use crate::text::losses;

/// Writes it all.
pub(super) fn write(out: &mut impl Write, report: &Report) -> io::Result<()> {
    for run in &report.runs {
        one(out, run)?;
    }
    for fleet in &report.fleets {
        fleet::write(out, fleet)?;
    }
    left_out::write(out, &report.left_out)
}

fn one(out: &mut impl Write, run: &RunReport) -> io::Result<()> {
    head::write(out, run)?;
    let (summary, slots) = (&run.summary, &run.summary.slots);
    requests::write(out, &summary.traffic)?;
    title(out, "Tokens a second")?;
    row(out, "system", &per_source(summary.system_tps, &summary.system_tps_by_source))?;
    row(out, "emitted", &rate(summary.emitted_tps))?;
    rates::write(out, &summary.traffic)?;

    slots::write(out, slots)?;
    slots::ledger(out, slots)?;
    losses::write(out, "the", &summary.diagnosis, slots.cap_slot_time)?;
    apart::groups(out, run)?;
    apart::windows(out, &run.windows)?;
    agreement::write(out, &summary.agreement)?;
    writeln!(out)
}

/// The rate of all, or of each source by itself.
fn per_source(one: Option<f64>, each: &BTreeMap<String, f64>) -> String {
    match one {
        Some(_) => rate(one),
        None => {
            let each: Vec<_> =
                each.iter().map(|(source, tps)| format!("{} {source}", rate(Some(*tps)))).collect();
            each.join(", ")
        }
    }
}
