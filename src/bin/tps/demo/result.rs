//! Both runs side by side, where throughput was lost in each, and the verdict.

use std::collections::BTreeMap;
use std::io::{self, Write};

use console::style;
use tower_tps::analysis::{Check, Comparison, Distribution, Summary};

use super::live::{number, percent};

/// A figure's name, and how it is written.
type Row = (&'static str, fn(&Summary) -> String);

/// The share of the slot-time from which on a loss is written.
const WORTH_A_LINE: f64 = 0.001;

/// Writes it all.
pub(super) fn write(out: &mut impl Write, comparison: &Comparison) -> io::Result<()> {
    let Comparison { baseline: old, candidate: new, verdict, .. } = comparison;
    writeln!(out, "\n{:<28}{:>12}{:>12}", "", style("baseline").bold(), style("candidate").bold())?;
    let rows: [Row; 19] = [
        ("requests", |run| run.traffic.requests.to_string()),
        ("completed", |run| percent(run.traffic.success_rate)),
        ("retries", |run| run.traffic.retries.to_string()),
        ("window", |run| format!("{:.2} s", run.window_time)),
        ("system tokens/s", |run| number(run.system_tps)),
        ("stream tokens/s, p50", |run| number(median(run.traffic.distributions.stream_tps.as_ref()))),
        ("end-to-end tokens/s, p50", |run| number(median(run.traffic.distributions.end_to_end_tps.as_ref()))),
        ("TTFT, p50", |run| seconds(median(run.traffic.distributions.ttft.as_ref()))),
        ("TTFT, p99", |run| seconds(run.traffic.distributions.ttft.as_ref().map(|ttft| ttft.p99))),
        ("gap", |run| percent(run.slots.gap_fraction)),
        ("  wakeup", |run| seconds(Some(run.slots.gap_time_wakeup))),
        ("  backoff", |run| seconds(Some(run.slots.gap_time_backoff))),
        ("  orchestration", |run| seconds(Some(run.slots.gap_time_orchestration))),
        ("lost slot-time", |run| seconds(Some(run.slots.lost_slot_time))),
        ("lost tokens", |run| number(run.slots.lost_tokens)),
        ("wasted tokens", |run| by_source(&run.traffic.wasted_tokens)),
        ("connections", |run| run.slots.connections.to_string()),
        ("  connect time", |run| format!("{:.2} ms", run.slots.connect_time * 1000.0)),
        ("  reused", |run| percent(run.slots.connection_reuse_ratio)),
    ];
    for (name, of) in rows {
        writeln!(out, "{name:<28}{:>12}{:>12}", of(old), of(new))?;
    }
    writeln!(out)?;
    losses(out, "baseline", old)?;
    losses(out, "candidate", new)?;
    for check in &verdict.checks {
        writeln!(out, "{}", line(check))?;
    }
    for reason in &verdict.not_judged {
        writeln!(out, "cannot be judged: {reason}")?;
    }
    let word = match (verdict.accepted, verdict.not_judged.is_empty()) {
        (true, _) => style("accepted").green(),
        (false, true) => style("rejected").red(),
        (false, false) => style("cannot be judged").yellow(),
    };
    writeln!(out, "{}", word.bold())
}

/// Where a run lost throughput, the first to look at first.
fn losses(out: &mut impl Write, name: &str, run: &Summary) -> io::Result<()> {
    let (diagnosis, cap) = (&run.diagnosis, run.slots.cap_slot_time);
    writeln!(out, "Where the {name}'s throughput went, of {cap:.1} slot-seconds:")?;
    for finding in diagnosis.findings.iter().filter(|finding| finding.share >= WORTH_A_LINE) {
        let tokens = finding.tokens.map_or_else(String::new, |tokens| format!("  {tokens:>5.0} tokens"));
        let (time, share, loss) =
            (finding.slot_time.as_secs_f64(), percent(Some(finding.share)), finding.loss);
        writeln!(out, "  {time:>6.2} s {share:>7}{tokens:<14}  {}", style(loss.as_str()).bold())?;
        writeln!(out, "      {}", loss.advice())?;
    }
    writeln!(out)
}

fn line(check: &Check) -> String {
    let mark = if check.holds { style("holds").green() } else { style("fails").red() };
    let value = |value: Option<f64>| value.map_or_else(|| "-".into(), |value| format!("{value:.3}"));
    let interval = check
        .interval
        .map_or_else(|| "no interval".into(), |(low, high)| format!("95 % in {low:+.3} .. {high:+.3}"));
    format!(
        "{mark}  {:<13} {:<14} {:>9} -> {:>9}  {interval}, {} and {} requests",
        check.name,
        check.rule.as_str(),
        value(check.baseline),
        value(check.candidate),
        check.requests.0,
        check.requests.1,
    )
}

/// Tokens of several sources stay apart.
fn by_source(tokens: &BTreeMap<String, u64>) -> String {
    let each: Vec<_> = tokens.iter().map(|(source, tokens)| format!("{tokens} {source}")).collect();
    if each.is_empty() { "0".into() } else { each.join(", ") }
}

fn median(distribution: Option<&Distribution>) -> Option<f64> {
    distribution.map(|distribution| distribution.p50)
}

fn seconds(value: Option<f64>) -> String {
    value.map_or_else(|| "-".into(), |value| format!("{value:.2} s"))
}
