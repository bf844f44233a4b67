//! The same figures by group, and over time.

use std::io::{self, Write};

use tower_tps::analysis::{RunReport, Window};

use crate::text::figures::{count, percent, rate, seconds, time};
use crate::text::lines::title;
use crate::text::table::Table;

pub(super) fn groups(out: &mut impl Write, run: &RunReport) -> io::Result<()> {
    for (by, groups) in &run.by {
        title(out, &format!("By {by}"))?;
        let columns = ["requests", "success_rate", "system_tps", "stream_tps p50", "ttft p50", "ttft p99"];
        let mut table = Table::with(&columns);
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
            table.row(name, values);
        }
        table.write(out)?;
    }
    Ok(())
}

pub(super) fn windows(out: &mut impl Write, windows: &[Window]) -> io::Result<()> {
    if windows.is_empty() {
        return Ok(());
    }
    title(out, "Over time")?;
    let mut table = Table::with(&[
        "requests",
        "system_tps",
        "cap",
        "in flight",
        "queue",
        "gap_fraction",
        "lost",
        "ttft p50",
        "ttft p99",
    ]);
    for window in windows {
        let ttft = window.ttft.as_ref();
        let values = [
            count(window.requests),
            rate(window.system_tps),
            rate(Some(window.mean_cap)),
            rate(Some(window.mean_in_flight)),
            rate(Some(window.mean_queue_depth)),
            percent(window.gap_fraction),
            time(Some(window.lost_slot_time)),
            time(ttft.map(|ttft| ttft.p50)),
            time(ttft.map(|ttft| ttft.p99)),
        ];
        table.row(&format!("from {}", seconds(Some(window.start))), values);
    }
    table.write(out)
}
