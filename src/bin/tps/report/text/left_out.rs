//! What of the logs could not be read.

use std::io::{self, Write};

use console::style;
use tower_tps::analysis::LeftOut;

use crate::text::figures::{count, counts};
use crate::text::plain::plain;

pub(super) fn write(out: &mut impl Write, left_out: &LeftOut) -> io::Result<()> {
    if let Some(types) = counts(&left_out.unknown_types) {
        let told = format!("Lines of types that are not known here, and were passed over: {types}");
        writeln!(out, "{}", plain(&told))?;
    }
    if left_out.is_empty() {
        return Ok(());
    }
    let (skipped, lines) = (count(left_out.skipped), count(left_out.lines));
    let kinds = counts(&left_out.kinds).unwrap_or_default();
    writeln!(
        out,
        "{}",
        style(format!("{skipped} of {lines} lines were left out; troubles: {kinds}")).yellow()
    )?;
    for problem in &left_out.problems {
        let told = format!("  {}:{}: {}: {}", problem.file, problem.line, problem.kind, problem.reason);
        writeln!(out, "{}", plain(&told))?;
    }
    Ok(())
}
