//! How rates and times are distributed, and by length too.

use std::io::{self, Write};

use tower_tps::analysis::{Distribution, Distributions, Traffic};

use crate::text::figures::{count, rate, time};
use crate::text::lines::{title, warning};
use crate::text::table::Table;

pub(super) fn write(out: &mut impl Write, traffic: &Traffic) -> io::Result<()> {
    if traffic.buffered_streams > 0 {
        let streams = count(traffic.buffered_streams);
        warning(
            out,
            &format!(
                "{streams} streams were buffered on their way: their stream and decode rates are left out"
            ),
        )?;
    }
    type Of = fn(&Distributions) -> Option<&Distribution>;
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
        let mut table = Table::with(&["count", "mean", "p50", "p90", "p99", "max"]);
        for (name, of) in all {
            let mut line = |name: &str, all: &Distributions| match of(all) {
                None => table.row(name, ["0".to_owned()]),
                Some(all) => {
                    let values = [all.mean, all.p50, all.p90, all.p99, all.max];
                    let values = values.into_iter().map(|value| figure(Some(value)));
                    table.row(name, [count(all.count as u64)].into_iter().chain(values));
                }
            };
            line(name, &traffic.distributions);
            for length in traffic.by_length.iter().filter(|_| traffic.by_length.len() > 1) {
                line(&format!("  {} tokens", length.output_tokens), &length.distributions);
            }
        }
        table.write(out)?;
    }
    Ok(())
}
