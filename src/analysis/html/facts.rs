//! What a run says of itself: its name, its log, its times, its cap, and how it counted.

use maud::{Markup, html};

use super::figures;
use crate::analysis::{RunReport, Summary};

/// So many labels are shown.
const MOST_LABELS: usize = 24;

/// The facts of a run.
pub(super) fn facts(run: &RunReport) -> Markup {
    let summary = &run.summary;
    html! {
        dl.facts {
            (fact("Run", &or_dash(&run.run_id)))
            (fact("Pool", &or_dash(&run.pool)))
            @if let Some(file) = &run.file { (fact("Log", file)) }
            (fact("Started", &figures::instant(&run.started_at)))
            (fact(if run.has_end { "Ended" } else { "Last told of" }, &figures::instant(&run.ended_at)))
            (fact("Window", &figures::time_text(summary.window_time)))
            (fact("Cap", &cap(summary)))
            (fact("Tokens counted by", &sources(summary)))
            @if let Some(version) = &run.version { (fact("Written by", &format!("tower-tps {version}"))) }
            @for (key, value) in run.labels.iter().take(MOST_LABELS) { (fact(key, value)) }
        }
        @if run.labels.len() > MOST_LABELS {
            p.aside { "And " (run.labels.len() - MOST_LABELS) " labels more." }
        }
        @if !run.has_end {
            p.warning {
                strong { "This run has no end." }
                " Requests that were under way when its log stopped are in no figure."
            }
        }
        @if run.summary.dropped_records > 0 {
            p.warning {
                strong { (figures::count(run.summary.dropped_records)) " records are missing." }
                " The log's writer could not keep up, so the figures are of what is left."
            }
        }
    }
}

fn fact(name: &str, value: &str) -> Markup {
    html! { div { dt { (figures::short(name)) } dd { (figures::short(value)) } } }
}

fn or_dash(text: &str) -> String {
    if text.is_empty() { figures::ABSENT.to_owned() } else { text.to_owned() }
}

fn cap(summary: &Summary) -> String {
    let slots = &summary.slots;
    let now = figures::count(slots.cap.into());
    if slots.least_cap == slots.most_cap {
        return now;
    }
    let (least, most) = (figures::count(slots.least_cap.into()), figures::count(slots.most_cap.into()));
    format!("{now} at the end, {least} to {most}")
}

/// The sources of the tokens, each with its share of them; the tokenizer where there are none.
fn sources(summary: &Summary) -> String {
    let tokens = &summary.traffic.output_tokens;
    let all: u64 = tokens.values().sum();
    let source = |(name, tokens): (&String, &u64)| match all {
        _ if *tokens == all => name.clone(),
        _ => format!("{name} ({})", figures::percent(*tokens as f64 / all as f64)),
    };
    let sources: Vec<_> = tokens.iter().map(source).collect();
    match sources.is_empty() {
        true => or_dash(&summary.tokenizer),
        false => sources.join(", "),
    }
}
