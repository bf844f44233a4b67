//! What of the logs could not be read.

use std::io::{self, Write};

use console::style;
use tower_tps::analysis::LeftOut;

use crate::text::figures::{count, counts};

pub(super) fn write(out: &mut impl Write, left_out: &LeftOut) -> io::Result<()> {
    if let Some(types) = counts(&left_out.unknown_types) {
        writeln!(out, "Lines of types that are not known here, and were passed over: {types}")?;
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
        writeln!(out, "  {}:{}: {}: {}", problem.file, problem.line, problem.kind, problem.reason)?;
    }
    Ok(())
}
