//! What a run says of itself, and whose tokens they are.

use std::io::{self, Write};

use console::style;
use tower_tps::analysis::RunReport;

use super::lines::row;
use crate::text::figures::{by_source, count, seconds};

pub(super) fn write(out: &mut impl Write, run: &RunReport) -> io::Result<()> {
    let name = if run.run_id.is_empty() { "without a name" } else { &run.run_id };
    writeln!(out, "{}", style(format!("Run {name}, pool {}", run.pool)).bold().underlined())?;
    if let Some(file) = &run.file {
        row(out, "log", file)?;
    }
    row(
        out,
        "time",
        &format!("{} to {}, {}", run.started_at, run.ended_at, seconds(Some(run.summary.window_time))),
    )?;
    if !run.has_end {
        row(
            out,
            "",
            &style("its end is missing: requests that were under way are not in it").yellow().to_string(),
        )?;
    }
    if run.summary.dropped_records > 0 {
        let lines = count(run.summary.dropped_records);
        row(
            out,
            "",
            &style(format!("{lines} lines could not be written, and are not in it")).yellow().to_string(),
        )?;
    }
    for (key, value) in &run.labels {
        row(out, key, value)?;
    }
    let traffic = &run.summary.traffic;
    let mut tokens = format!("{}, of completed requests", by_source(&traffic.output_tokens));
    if !traffic.wasted_tokens.is_empty() {
        tokens = format!("{tokens}; of others {}: waste", by_source(&traffic.wasted_tokens));
    }
    row(out, "tokens", &tokens)?;
    if traffic.output_tokens.len() > 1 {
        row(
            out,
            "",
            &style("they are of several sources, and not added up: see them apart by token_source below")
                .yellow()
                .to_string(),
        )?;
    }
    row(out, "tokenizer", &run.summary.tokenizer)?;
    if let Some(mismatch) = traffic.token_mismatch {
        let both = format!(
            "{} by usage, {} by the tokenizer, of the {} requests with both",
            count(mismatch.usage_output_tokens),
            count(mismatch.counted_tokens),
            count(mismatch.requests),
        );
        row(out, "", &both)?;
    }
    for (name, tokens) in
        [("input_tokens", traffic.input_tokens), ("reasoning_tokens", traffic.reasoning_tokens)]
    {
        if let Some(tokens) = tokens {
            row(out, name, &count(tokens))?;
        }
    }
    Ok(())
}
