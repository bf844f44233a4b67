//! Both runs side by side, the causes of the gap, and the verdict.

use console::style;
use tower_tps::analysis::{Check, Distribution, Summary, Verdict};

use super::Outcome;
use super::live::{number, percent};

/// Prints it all on stdout.
pub(super) fn print(baseline: &Outcome, candidate: &Outcome, verdict: &Verdict) {
    println!();
    println!("{:<28}{:>12}{:>12}", "", style("baseline").bold(), style("candidate").bold());
    let (old, new) = (&baseline.summary, &candidate.summary);
    let row =
        |name: &str, of: &dyn Fn(&Summary) -> String| println!("{name:<28}{:>12}{:>12}", of(old), of(new));
    row("requests", &|run| run.requests.to_string());
    row("completed", &|run| percent(run.success_rate));
    row("retries", &|run| run.retries.to_string());
    println!("{:<28}{:>12}{:>12}", "connections", baseline.connections, candidate.connections);
    row("window", &|run| format!("{:.2} s", run.window_time));
    row("system tokens/s", &|run| number(run.system_tps));
    row("stream tokens/s, p50", &|run| number(median(run.stream_tps.as_ref())));
    row("end-to-end tokens/s, p50", &|run| number(median(run.end_to_end_tps.as_ref())));
    row("TTFT, p50", &|run| seconds(median(run.ttft.as_ref())));
    row("TTFT, p99", &|run| seconds(run.ttft.as_ref().map(|ttft| ttft.p99)));
    row("gap", &|run| percent(run.gap_fraction));
    row("  wakeup", &|run| seconds(Some(run.gap_time_wakeup)));
    row("  backoff", &|run| seconds(Some(run.gap_time_backoff)));
    row("  orchestration", &|run| seconds(Some(run.gap_time_orchestration)));
    row("lost slot-time", &|run| seconds(Some(run.lost_slot_time)));
    row("lost tokens", &|run| number(run.lost_tokens));
    causes(old);
    println!();
    for check in &verdict.checks {
        println!("{}", line(check));
    }
    for reason in &verdict.not_judged {
        println!("cannot be judged: {reason}");
    }
    let word = match (verdict.accepted, verdict.not_judged.is_empty()) {
        (true, _) => style("accepted").green(),
        (false, true) => style("rejected").red(),
        (false, false) => style("cannot be judged").yellow(),
    };
    println!("{}", word.bold());
}

/// What each cause of the baseline's gap says, the largest first.
fn causes(run: &Summary) {
    let mut causes = [
        (run.gap_time_wakeup, "wakeup: a slot was free and its task did not run: the executor was blocked"),
        (run.gap_time_backoff, "backoff: a slot was free and work slept before another attempt"),
        (run.gap_time_orchestration, "orchestration: a slot was free and the backlog was not submitted"),
    ];
    causes.sort_by(|a, b| b.0.total_cmp(&a.0));
    println!();
    println!("Where the baseline's {:.2} s of gap went:", run.gap_time);
    for (time, cause) in causes {
        println!("  {time:>6.2} s  {cause}");
    }
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

fn median(distribution: Option<&Distribution>) -> Option<f64> {
    distribution.map(|distribution| distribution.p50)
}

fn seconds(value: Option<f64>) -> String {
    value.map_or_else(|| "-".into(), |value| format!("{value:.2} s"))
}
