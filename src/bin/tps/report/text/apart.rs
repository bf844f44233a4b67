//! The same figures by group, and over time.

use std::io::{self, Write};

use tower_tps::analysis::{RunReport, Window};

use super::lines::{cells, header, title};
use crate::text::figures::{count, percent, rate, seconds, time};

pub(super) fn groups(out: &mut impl Write, run: &RunReport) -> io::Result<()> {
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

pub(super) fn windows(out: &mut impl Write, windows: &[Window]) -> io::Result<()> {
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
