//! The cap, what held its slots, and what waited for them.

use std::io::{self, Write};

use console::style;
use tower_tps::analysis::Slots;

use crate::text::figures::{count, number, percent, rate, seconds, time};
use crate::text::lines::{row, title, warning};
use crate::text::table::Table;

pub(super) fn write(out: &mut impl Write, slots: &Slots) -> io::Result<()> {
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
    if let Some(words) = slots.impossible() {
        warning(out, words)?;
    }
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
    Ok(())
}

pub(super) fn ledger(out: &mut impl Write, slots: &Slots) -> io::Result<()> {
    title(out, "Where every slot-second went")?;
    let there_was = slots.cap_slot_time;
    let mut table = Table::new();
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
            table.row(name, [seconds(Some(time)), percent(share)]);
        }
    }
    table.row("all", [seconds(Some(there_was))]);
    table.write(out)?;
    writeln!(out)
}
