//! What a run says of itself, and whose tokens they are.

use std::io::{self, Write};

use tower_tps::analysis::RunReport;

use crate::text::figures::{by_source, count, seconds};
use crate::text::lines::{headline, row, warning};

pub(super) fn write(out: &mut impl Write, run: &RunReport) -> io::Result<()> {
    let name = if run.run_id.is_empty() { "without a name" } else { &run.run_id };
    headline(out, &format!("Run {name}, pool {}", run.pool))?;
    if let Some(file) = &run.file {
        row(out, "log", file)?;
    }
    row(
        out,
        "time",
        &format!("{} to {}, {}", run.started_at, run.ended_at, seconds(Some(run.summary.window_time))),
    )?;
    if !run.has_end {
        warning(out, "its end is missing: requests that were under way are not in it")?;
    }
    if run.summary.dropped_records > 0 {
        let lines = count(run.summary.dropped_records);
        warning(out, &format!("{lines} lines could not be written, and are not in it"))?;
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
        warning(out, "they are of several sources, and not added up: see them apart by token_source below")?;
    }
    if traffic.completed_without_tokens > 0 {
        let requests = count(traffic.completed_without_tokens);
        warning(out, &format!("of {requests} completed requests nobody has counted the tokens"))?;
    }
    row(out, "tokenizer", &run.summary.tokenizer)?;
    if let Some(mismatch) = traffic.token_mismatch {
        let both = format!(
            "{} by usage, {} by the tokenizer, {} apart, of the {} requests with both",
            count(mismatch.usage_output_tokens),
            count(mismatch.counted_tokens),
            count(mismatch.difference),
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
