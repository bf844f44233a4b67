//! The report as text.

use std::io::{self, Write};

use console::style;
use tower_tps::analysis::{Agreement, Distributions, Fleet, LeftOut, Report, RunReport, Traffic, Window};

use crate::text::figures::{by_source, count, counts, number, percent, rate, seconds, time};
use crate::text::losses;

/// How wide a line of text may be.
const WIDTH: usize = 100;

/// Writes it all.
pub(super) fn write(out: &mut impl Write, report: &Report) -> io::Result<()> {
    for run in &report.runs {
        one(out, run)?;
    }
    for fleet in &report.fleets {
        together(out, fleet)?;
    }
    left_out(out, &report.left_out)
}

fn one(out: &mut impl Write, run: &RunReport) -> io::Result<()> {
    head(out, run)?;
    let (summary, slots) = (&run.summary, &run.summary.slots);
    requests(out, &summary.traffic)?;
    title(out, "Tokens a second")?;
    row(out, "system", &per_source(summary.system_tps, &summary.system_tps_by_source))?;
    row(out, "emitted", &rate(summary.emitted_tps))?;
    distributions(out, &summary.traffic)?;

    title(out, "Slots")?;
    let cap = match (slots.least_cap, slots.most_cap) {
        (least, most) if least == most => format!("{most}"),
        (least, most) => format!("{} at the end, {least} to {most}", slots.cap),
    };
    row(out, "cap", &cap)?;
    row(
        out,
        "in flight",
        &format!("{} on the mean, {} at most", rate(slots.mean_in_flight), slots.most_in_flight),
    )?;
    let queued = count(slots.most_queue_depth);
    row(out, "queue", &format!("{} on the mean, {queued} at most", rate(slots.mean_queue_depth)))?;
    let gap = percent(slots.gap_fraction);
    let gap = if slots.gap_fraction > Some(0.1) { style(gap).red() } else { style(gap).green() };
    row(out, "gap_fraction", &format!("{gap} of the time"))?;
    row(out, "gap_share", &format!("{} of the time in which work waited", percent(slots.gap_share)))?;
    let causes = [
        ("wakeup", slots.gap_time_wakeup, slots.lost_slot_time_wakeup),
        ("backoff", slots.gap_time_backoff, slots.lost_slot_time_backoff),
        ("orchestration", slots.gap_time_orchestration, slots.lost_slot_time_orchestration),
    ];
    let of = |figure: fn(&(&str, f64, f64)) -> f64| {
        let each = causes.iter().filter(|cause| figure(cause) > 0.0);
        let each: Vec<_> = each.map(|cause| format!("{} {}", cause.0, time(Some(figure(cause))))).collect();
        if each.is_empty() { String::new() } else { format!(": {}", each.join(", ")) }
    };
    row(out, "gap_time", &format!("{}{}", time(Some(slots.gap_time)), of(|cause| cause.1)))?;
    row(out, "lost_slot_time", &format!("{}{}", time(Some(slots.lost_slot_time)), of(|cause| cause.2)))?;
    row(out, "lost tokens", &number(slots.lost_tokens))?;
    if slots.connections + slots.connects_failed > 0 {
        let reused = percent(slots.connection_reuse_ratio);
        let made = format!(
            "{} made in {}, {} failed, {reused} of what was sent needed none",
            count(slots.connections),
            time(Some(slots.connect_time)),
            count(slots.connects_failed),
        );
        row(out, "connections", &made)?;
    }
    ledger(out, run)?;
    losses::write(out, "the", &summary.diagnosis, slots.cap_slot_time)?;
    groups(out, run)?;
    windows(out, &run.windows)?;
    agreement(out, &summary.agreement)?;
    writeln!(out)
}

fn head(out: &mut impl Write, run: &RunReport) -> io::Result<()> {
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
    if run.dropped_records > 0 {
        let lines = count(run.dropped_records);
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

fn requests(out: &mut impl Write, traffic: &Traffic) -> io::Result<()> {
    title(out, "Requests")?;
    row(out, "ended", &count(traffic.requests))?;
    for (outcome, phases) in &traffic.phases {
        let all: u64 = phases.values().sum();
        let phases = match counts(phases) {
            Some(phases) if *outcome != "completed" => format!("{} ({phases})", count(all)),
            _ => count(all),
        };
        row(out, &format!("  {outcome}"), &phases)?;
    }
    row(out, "success_rate", &percent(traffic.success_rate))?;
    row(out, "cancel_rate", &percent(traffic.cancel_rate))?;
    let causes = counts(&traffic.retry_causes).map_or_else(String::new, |causes| format!(": {causes}"));
    row(out, "retry_rate", &format!("{}{causes}", percent(traffic.retry_rate)))?;
    for (name, words) in [("error_type", &traffic.error_types), ("finish_reason", &traffic.finish_reasons)] {
        if let Some(words) = counts(words) {
            row(out, name, &words)?;
        }
    }
    Ok(())
}

fn distributions(out: &mut impl Write, traffic: &Traffic) -> io::Result<()> {
    if traffic.buffered_streams > 0 {
        let streams = count(traffic.buffered_streams);
        row(
            out,
            "",
            &format!(
                "{streams} streams were buffered on their way: their stream and decode rates are left out"
            ),
        )?;
    }
    type Of = fn(&Distributions) -> Option<&tower_tps::analysis::Distribution>;
    let rates: [(&str, Of); 3] = [
        ("stream_tps", |all| all.stream_tps.as_ref()),
        ("decode_tps", |all| all.decode_tps.as_ref()),
        ("end_to_end_tps", |all| all.end_to_end_tps.as_ref()),
    ];
    let times: [(&str, Of); 3] = [
        ("ttft", |all| all.ttft.as_ref()),
        ("t_queue", |all| all.t_queue.as_ref()),
        ("max_token_gap", |all| all.max_token_gap.as_ref()),
    ];
    for (kind, all, figure) in [
        ("rates", rates, rate as fn(Option<f64>) -> String),
        ("times", times, time as fn(Option<f64>) -> String),
    ] {
        if kind == "times" {
            title(out, "Times")?;
        }
        header(out, &["", "count", "mean", "p50", "p90", "p99", "max"])?;
        for (name, of) in all {
            let mut line = |name: &str, all: &Distributions| match of(all) {
                None => row(out, name, "-"),
                Some(all) => {
                    let values =
                        [all.mean, all.p50, all.p90, all.p99, all.max].map(|value| figure(Some(value)));
                    cells(out, name, &[[count(all.count as u64)].as_slice(), values.as_slice()].concat())
                }
            };
            line(name, &traffic.distributions)?;
            for length in traffic.by_length.iter().filter(|_| traffic.by_length.len() > 1) {
                line(&format!("  {} tokens", length.output_tokens), &length.distributions)?;
            }
        }
    }
    Ok(())
}

fn ledger(out: &mut impl Write, run: &RunReport) -> io::Result<()> {
    let slots = &run.summary.slots;
    title(out, "Where every slot-second went")?;
    let there_was = slots.cap_slot_time;
    for (name, time) in [
        ("dispatch", slots.busy_slot_time_dispatch),
        ("backoff", slots.busy_slot_time_backoff),
        ("prefill", slots.busy_slot_time_prefill),
        ("generate", slots.busy_slot_time_generate),
        ("stall", slots.busy_slot_time_stall),
        ("drain", slots.busy_slot_time_drain),
        ("unattributed", slots.busy_slot_time_unattributed),
        ("gap", slots.gap_slot_time),
        ("idle", slots.idle_slot_time),
        ("over", -slots.over_slot_time),
    ] {
        if time != 0.0 {
            let share = (there_was > 0.0).then(|| time / there_was);
            writeln!(out, "  {name:<18}{:>14} {:>8}", seconds(Some(time)), percent(share))?;
        }
    }
    writeln!(out, "  {:<18}{:>14}", "all", seconds(Some(there_was)))?;
    writeln!(out)
}

fn groups(out: &mut impl Write, run: &RunReport) -> io::Result<()> {
    for (by, groups) in &run.by {
        title(out, &format!("By {by}"))?;
        header(out, &["", "requests", "success", "system", "stream p50", "ttft p50", "ttft p99"])?;
        for (name, group) in groups {
            let (traffic, all) = (&group.traffic, &group.traffic.distributions);
            let values = [
                count(traffic.requests),
                percent(traffic.success_rate),
                rate(group.system_tps),
                rate(all.stream_tps.as_ref().map(|all| all.p50)),
                time(all.ttft.as_ref().map(|all| all.p50)),
                time(all.ttft.as_ref().map(|all| all.p99)),
            ];
            cells(out, name, &values)?;
        }
    }
    Ok(())
}

fn windows(out: &mut impl Write, windows: &[Window]) -> io::Result<()> {
    if windows.is_empty() {
        return Ok(());
    }
    title(out, "Over time")?;
    header(
        out,
        &["from", "requests", "system", "cap", "in flight", "queue", "gap", "lost", "ttft p50", "ttft p99"],
    )?;
    for window in windows {
        let ttft = window.ttft.as_ref();
        let values = [
            count(window.requests),
            rate(window.system_tps),
            rate(Some(window.cap)),
            rate(Some(window.in_flight)),
            rate(Some(window.queue_depth)),
            percent(window.gap_fraction),
            time(Some(window.lost_slot_time)),
            time(ttft.map(|ttft| ttft.p50)),
            time(ttft.map(|ttft| ttft.p99)),
        ];
        cells(out, &seconds(Some(window.start)), &values)?;
    }
    Ok(())
}

fn agreement(out: &mut impl Write, agreement: &Agreement) -> io::Result<()> {
    title(out, "Recomputed from the requests, against what the pool told")?;
    let samples = count(agreement.samples);
    let end = if agreement.has_end { "the end included" } else { "without an end" };
    if agreement.samples == 0 {
        return row(out, "", "the pool told nothing: there is no sample and no end");
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
            "told {}, recomputed {}; differs at {} of {samples} samples, first at {}",
            one.told,
            one.recomputed,
            count(one.samples),
            seconds(Some(one.first_at)),
        );
        row(out, one.name, &style(differs).red().to_string())?;
    }
    Ok(())
}

fn together(out: &mut impl Write, fleet: &Fleet) -> io::Result<()> {
    let of = fleet.pool.as_ref().map_or_else(|| "all pools".to_owned(), |pool| format!("pool {pool}"));
    writeln!(out, "{}", style(format!("All {} runs of {of} together", fleet.runs)).bold().underlined())?;
    row(
        out,
        "time",
        &format!("{}, {} on at once at most", seconds(Some(fleet.window_time)), fleet.most_at_once),
    )?;
    row(out, "requests", &counts(&fleet.traffic.outcomes).unwrap_or_else(|| "0".to_owned()))?;
    row(out, "success_rate", &percent(fleet.traffic.success_rate))?;
    row(out, "system tokens/s", &per_source(fleet.system_tps, &fleet.system_tps_by_source))?;
    row(out, "gap_fraction", &format!("{} of the time", percent(fleet.gap_fraction)))?;
    row(out, "gap_share", &format!("{} of the time in which work waited", percent(fleet.gap_share)))?;
    let gap = format!(
        "{}, of which {} with no gap in any run: work waited at full ones",
        time(Some(fleet.gap_time)),
        time(Some(fleet.gap_time_routing)),
    );
    row(out, "gap_time", &gap)?;
    row(
        out,
        "",
        &format!("the runs' own add up to {}, which is another figure", time(Some(fleet.gap_time_of_runs))),
    )?;
    row(out, "lost_slot_time", &time(Some(fleet.lost_slot_time)))?;
    let off = time(Some(fleet.gap_time_per_clock_second as f64 / 1_000.0));
    row(
        out,
        "clocks",
        &format!("each millisecond by which the runs' clocks differ can move gap_time by {off} at most"),
    )?;
    writeln!(out)
}

fn left_out(out: &mut impl Write, left_out: &LeftOut) -> io::Result<()> {
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

fn per_source(one: Option<f64>, each: &std::collections::BTreeMap<String, f64>) -> String {
    match one {
        Some(_) => rate(one),
        None => {
            let each: Vec<_> =
                each.iter().map(|(source, tps)| format!("{} {source}", rate(Some(*tps)))).collect();
            each.join(", ")
        }
    }
}

fn title(out: &mut impl Write, text: &str) -> io::Result<()> {
    writeln!(out, "\n{}", style(text).bold())
}

/// A name and what it is, over as many lines as it takes.
fn row(out: &mut impl Write, name: &str, text: &str) -> io::Result<()> {
    // What has colours is short.
    let width = if text.contains('\u{1b}') { usize::MAX } else { WIDTH - 20 };
    let (mut line, mut name) = (String::new(), name);
    for word in text.split(' ') {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            writeln!(out, "  {name:<18}{line}")?;
            name = "";
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    writeln!(out, "  {name:<18}{line}")
}

fn header(out: &mut impl Write, names: &[&str]) -> io::Result<()> {
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    let (first, rest) =
        names.split_first().map_or(("", [].as_slice()), |(first, rest)| (first.as_str(), rest));
    let cells: String = rest.iter().map(|name| format!("{name:>11}")).collect();
    writeln!(out, "{}", style(format!("  {first:<18}{cells}")).dim())
}

fn cells(out: &mut impl Write, name: &str, values: &[String]) -> io::Result<()> {
    let cells: String = values.iter().map(|value| format!("{value:>11}")).collect();
    writeln!(out, "  {name:<18}{cells}")
}
