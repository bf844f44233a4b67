//! Where a run lost throughput.

use std::io::{self, Write};

use console::style;
use tower_tps::diagnosis::Diagnosis;

use super::figures::{number, percent, seconds};

/// The share of the slot-time from which on a loss is written.
const WORTH_A_LINE: f64 = 0.001;

/// Writes it, the first to look at first. `whose` is the run, `there_was` its slot-time.
pub(crate) fn write(
    out: &mut impl Write,
    whose: &str,
    diagnosis: &Diagnosis,
    there_was: f64,
) -> io::Result<()> {
    writeln!(out, "Where {whose} throughput went, of {there_was:.1} slot-seconds:")?;
    let mut findings = diagnosis.findings.iter().filter(|finding| finding.share >= WORTH_A_LINE).peekable();
    if findings.peek().is_none() {
        writeln!(out, "  nowhere: no slot-time was lost")?;
    }
    for finding in findings {
        let tokens =
            finding.tokens.map_or_else(String::new, |tokens| format!("{} tokens", number(Some(tokens))));
        let (time, share, loss) =
            (seconds(Some(finding.slot_time.as_secs_f64())), percent(Some(finding.share)), finding.loss);
        writeln!(out, "  {time:>12}  {share:>7}  {tokens:>16}  {}", style(loss.as_str()).bold())?;
        writeln!(out, "      {}", loss.advice())?;
    }
    writeln!(out)
}
