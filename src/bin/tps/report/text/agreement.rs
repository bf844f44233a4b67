//! Whether the pool told what follows from its requests.

use std::io::{self, Write};

use console::style;
use tower_tps::analysis::Agreement;

use crate::text::figures::{count, seconds};
use crate::text::lines::{row, title};

pub(super) fn write(out: &mut impl Write, agreement: &Agreement) -> io::Result<()> {
    title(out, "Recomputed from the requests, against what the pool told")?;
    let samples = count(agreement.samples);
    let end = if agreement.has_end { "the end included" } else { "without an end" };
    if agreement.samples == 0 && agreement.holds() {
        return row(out, "", "the pool told no totals to hold it against");
    }
    if agreement.holds() {
        return row(out, "", &format!("the same to the nanosecond, {samples} times, {end}"));
    }
    if !agreement.has_end {
        row(
            out,
            "",
            "requests that were under way where the log ends have no line: of them, what the pool told is right",
        )?;
    }
    for one in &agreement.disagreements {
        let differs = format!(
            "told {}, recomputed {}; {} times, first at {}",
            one.told,
            one.recomputed,
            count(one.samples),
            seconds(Some(one.first_at)),
        );
        row(out, one.name, &style(differs).red().to_string())?;
    }
    Ok(())
}
