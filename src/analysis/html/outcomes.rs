//! How requests ended: outcomes by phase, errors, retries, finish reasons, and tokens.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::figures;
use super::table::{Row, counts, table};
use crate::analysis::Traffic;

/// The phases of a request, in the order of its life.
const PHASES: [&str; 6] = ["queued", "dispatch", "prefill", "streaming", "drain", "done"];

/// The tables of how requests ended.
pub(super) fn outcomes(traffic: &Traffic) -> Markup {
    html! {
        section {
            h3 { "How requests ended" }
            @if traffic.requests == 0 { p { "No request ended." } } @else {
                p {
                    code { "success_rate" } " " (figures::maybe_percent(traffic.success_rate)) ", "
                    code { "cancel_rate" } " " (figures::maybe_percent(traffic.cancel_rate)) ", "
                    code { "retry_rate" } " " (figures::maybe_percent(traffic.retry_rate)) "."
                }
                (by_phase(traffic))
            }
            div.columns {
                (listed("What went wrong", "error_type", &traffic.error_types))
                (listed("Why requests were tried again", "cause", &traffic.retry_causes))
                (listed("Why the model stopped", "finish_reason", &traffic.finish_reasons))
                (tokens(traffic))
            }
        }
    }
}

/// Outcomes down, phases across; a phase in which nothing ended is left out.
fn by_phase(traffic: &Traffic) -> Markup {
    let ended_in =
        |phase: &&str| traffic.outcomes_by_phase.values().any(|phases| phases.contains_key(*phase));
    let phases: Vec<_> = PHASES.into_iter().filter(ended_in).collect();
    let heads: Vec<_> = ["outcome", "all"].into_iter().chain(phases.iter().copied()).collect();
    let row = |(outcome, count): (&&str, &u64)| {
        let in_phase =
            |phase: &&str| traffic.outcomes_by_phase.get(outcome).and_then(|phases| phases.get(*phase));
        let cell = |phase: &&str| in_phase(phase).map_or_else(String::new, |count| figures::count(*count));
        let cells = [figures::count(*count)].into_iter().chain(phases.iter().map(cell));
        Row::new(*outcome, "", cells.collect())
    };
    table(&heads, &traffic.outcomes.iter().map(row).collect::<Vec<_>>())
}

fn listed(title: &str, head: &str, by_name: &BTreeMap<String, u64>) -> Markup {
    let table = counts(head, "requests", by_name.iter().map(|(name, count)| (name.as_str(), *count)));
    html! { @if let Some(table) = table { div { h4 { (title) } (table) } } }
}

/// Tokens by what became of them, and how far two counts of the same are apart.
fn tokens(traffic: &Traffic) -> Markup {
    let mut rows = Vec::new();
    let row = |name: String, note, tokens: u64| Row::new(name, note, vec![figures::count(tokens)]);
    for (source, tokens) in traffic.output_tokens.iter().take(12) {
        rows.push(row(format!("output, {source}"), "of completed requests", *tokens));
    }
    for (source, tokens) in traffic.wasted_tokens.iter().take(12) {
        rows.push(row(format!("wasted, {source}"), "of all other attempts", *tokens));
    }
    rows.extend(
        traffic.reasoning_tokens.map(|tokens| row("reasoning".into(), "a part of the output", tokens)),
    );
    rows.extend(traffic.input_tokens.map(|tokens| row("input".into(), "of completed requests", tokens)));
    html! {
        @if !rows.is_empty() { div { h4 { "Tokens" } (table(&["tokens", "count"], &rows)) } }
        @if let Some(mismatch) = traffic.token_mismatch {
            div {
                h4 { "Usage against the tokenizer" }
                p {
                    "Of " (figures::count(mismatch.requests)) " requests with both counts, the provider told "
                    (figures::count(mismatch.usage_output_tokens)) " tokens and the tokenizer counted "
                    (figures::count(mismatch.counted_tokens)) "."
                }
            }
        }
        @if traffic.buffered_streams > 0 {
            div {
                h4 { "Buffered streams" }
                p {
                    (figures::count(traffic.buffered_streams))
                    " streams came in one piece or nearly so. They are in no rate of a stream."
                }
            }
        }
    }
}
