//! The tables under the pictures: the slot-time ledger, the gap, the rates, the distributions.

use maud::{Markup, html};

use super::figures;
use super::table::{Row, table};
use crate::analysis::{Distribution, Distributions, Summary, Traffic};

/// Every slot-second of the run, by what became of it.
pub(super) fn ledger(summary: &Summary) -> Markup {
    let slots = &summary.slots;
    let share = |time: f64| match slots.cap_slot_time {
        all if all > 0.0 => figures::percent(time / all),
        _ => figures::ABSENT.to_owned(),
    };
    let row = |name: &str, note, time: f64| Row::new(name, note, vec![figures::number(time), share(time)]);
    let mut rows = vec![
        row("dispatch", "admitted, no headers yet", slots.busy_slot_time_dispatch),
        row("backoff", "waiting to be tried again, in a slot", slots.busy_slot_time_backoff),
        row("prefill", "headers, no token yet", slots.busy_slot_time_prefill),
        row("generate", "first to last token", slots.busy_slot_time_generate),
        row("stall", "waiting on the caller", slots.busy_slot_time_stall),
        row("drain", "last token to release", slots.busy_slot_time_drain),
    ];
    if slots.busy_slot_time_unattributed != 0.0 {
        rows.push(row("not decided", "the log ends within it", slots.busy_slot_time_unattributed));
    }
    rows.push(row("busy", "the sum of these", slots.busy_slot_time).main());
    rows.push(row("gap", "free while work waited", slots.gap_slot_time));
    rows.push(row("idle", "free while nothing waited", slots.idle_slot_time));
    rows.push(row("over", "in flight above a lowered cap", slots.over_slot_time));
    rows.push(row("cap", "busy + gap + idle − over", slots.cap_slot_time).main());
    html! { div.slim { (table(&["slot-time", "slot-s", "of cap"], &rows)) } }
}

/// The time with work waiting, and what of it was a gap, by cause.
pub(super) fn gap(summary: &Summary) -> Markup {
    let slots = &summary.slots;
    let share =
        |time: f64, of: f64| if of > 0.0 { figures::percent(time / of) } else { figures::ABSENT.to_owned() };
    let row = |name: &str, note, time: f64, lost: Option<f64>| {
        let figures = vec![
            figures::number(time),
            share(time, summary.window_time),
            lost.map_or_else(String::new, figures::number),
        ];
        Row::new(name, note, figures)
    };
    let rows = [
        row("backlog_time", "work waited", slots.backlog_time, None),
        row("gap_time", "and a slot was free", slots.gap_time, Some(slots.lost_slot_time)).main(),
        row("wakeup", "its task did not run", slots.gap_time_wakeup, Some(slots.lost_slot_time_wakeup)),
        row(
            "backoff",
            "work waited to be tried again",
            slots.gap_time_backoff,
            Some(slots.lost_slot_time_backoff),
        ),
        row(
            "orchestration",
            "work was never submitted",
            slots.gap_time_orchestration,
            Some(slots.lost_slot_time_orchestration),
        ),
    ];
    let one = |name: &str, note, figure: String| Row::new(name, note, vec![figure]);
    let sums = [
        one("gap_fraction", "gap_time / window", figures::maybe_percent(slots.gap_fraction)).main(),
        one("gap_share", "gap_time / backlog_time", figures::maybe_percent(slots.gap_share)),
        one("gap_slot_time", "slot-s that stood free in it", figures::number(slots.gap_slot_time)),
        one("lost_slot_time", "slot-s a perfect scheduler had used", figures::number(slots.lost_slot_time)),
        one("lost tokens", "at tokens for each busy slot-s", figures::maybe(slots.lost_tokens)),
        one("queue depth", "mean", figures::maybe(slots.mean_queue_depth)),
        one("queue depth", "most", figures::count(slots.most_queue_depth)),
    ];
    html! {
        div.columns {
            div { (table(&["time", "s", "of window", "lost slot-s"], &rows)) }
            div { (table(&["gap", "figure"], &sums)) }
        }
    }
}

/// Throughput of the whole, and the rates of streams and of slots.
pub(super) fn rates(summary: &Summary) -> Markup {
    let of = &summary.traffic.distributions;
    let whole = |name: &str, note, rate: Option<f64>| Row::new(name, note, vec![figures::maybe(rate)]);
    let mut rows = vec![whole("system_tps", "of completed requests", summary.system_tps).main()];
    if summary.system_tps.is_none() {
        let by_source = summary.system_tps_by_source.iter().take(12);
        rows.extend(by_source.map(|(source, rate)| whole(source, "by itself", Some(*rate))));
    }
    rows.push(whole("emitted_tps", "whatever became of their request", summary.emitted_tps));
    let each = [
        ("stream_tps", "tokens / (first to last token)", of.stream_tps),
        ("decode_tps", "the same without the first frame", of.decode_tps),
        ("end_to_end_tps", "tokens / time in a slot", of.end_to_end_tps),
    ];
    let each = each.map(|(name, note, values)| distribution(name, note, values, figures::number));
    html! {
        div.columns {
            div { (table(&["of the whole", "tokens/s"], &rows)) }
            div.wider { (table(&["of a request, tokens/s", "count", "mean", "p50", "p90", "p99", "max"], &each)) }
        }
    }
}

/// The distributions by length.
pub(super) fn lengths(summary: &Summary) -> Markup {
    let traffic = &summary.traffic;
    html! {
        div.columns {
            div { (times_by_length("TTFT", traffic, |of| of.ttft)) }
            div { (by_length("stream_tps, tokens/s", traffic, |of| of.stream_tps, figures::number)) }
        }
        div.columns {
            div { (times_by_length("t_queue", traffic, |of| of.t_queue)) }
            div { (times_by_length("max_token_gap", traffic, |of| of.max_token_gap)) }
        }
    }
}

/// In milliseconds where all of them are short.
fn times_by_length(name: &str, traffic: &Traffic, of: fn(&Distributions) -> Option<Distribution>) -> Markup {
    let is_short = of(&traffic.distributions).is_some_and(|times| times.max < 1.0);
    if is_short {
        by_length(&format!("{name}, ms"), traffic, of, |seconds| figures::number(seconds * 1e3))
    } else {
        by_length(&format!("{name}, s"), traffic, of, figures::number)
    }
}

fn by_length(
    title: &str,
    traffic: &Traffic,
    of: fn(&Distributions) -> Option<Distribution>,
    text: fn(f64) -> String,
) -> Markup {
    let all = distribution("all", "", of(&traffic.distributions), text).main();
    let classes = traffic.by_length.iter();
    let classes = classes.map(|class| distribution(class.output_tokens, "", of(&class.distributions), text));
    let rows: Vec<_> = std::iter::once(all).chain(classes).collect();
    table(&[title, "count", "mean", "p50", "p90", "p99", "max"], &rows)
}

fn distribution(
    name: &str,
    note: &'static str,
    values: Option<Distribution>,
    text: fn(f64) -> String,
) -> Row {
    let cells = match values {
        Some(of) => {
            let figures = [of.mean, of.p50, of.p90, of.p99, of.max].map(text);
            std::iter::once(figures::count(of.count as u64)).chain(figures).collect()
        }
        None => vec![figures::ABSENT.to_owned(); 6],
    };
    Row::new(name, note, cells)
}
