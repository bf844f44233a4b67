//! Several runs together.

use std::io::{self, Write};

use tower_tps::analysis::Fleet;

use super::per_source;
use crate::text::figures::{counts, percent, seconds, time};
use crate::text::lines::{headline, row};

pub(super) fn write(out: &mut impl Write, fleet: &Fleet) -> io::Result<()> {
    let of = fleet.pool.as_ref().map_or_else(|| "all pools".to_owned(), |pool| format!("pool {pool}"));
    headline(out, &format!("All {} runs of {of} together", fleet.runs))?;
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
    let [behind, ahead] = fleet.gap_time_of_clocks_apart.map(|gap| time(Some(gap)));
    let apart =
        format!("with every other run's clock 10 ms behind or ahead, gap_time would be {behind} or {ahead}");
    row(out, "clocks", &apart)?;
    writeln!(out)
}
