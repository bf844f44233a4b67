//! Requests told apart by what they asked for.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::figures;
use super::table::{Row, table};
use crate::analysis::Group;

/// So many groups are shown, those of the most requests.
const MOST: usize = 24;

/// A table for each thing that requests are told apart by.
pub(super) fn groups(by: &BTreeMap<&'static str, BTreeMap<String, Group>>) -> Markup {
    html! {
        @for (name, groups) in by {
            section {
                h3 { "By " (name) }
                (table(
                    &[name, "requests", "success", "tokens/s", "TTFT p50", "TTFT p99", "stream p50"],
                    &rows(groups),
                ))
                @if groups.len() > MOST { p.aside { "And " (groups.len() - MOST) " more, of fewer requests." } }
            }
        }
    }
}

fn rows(groups: &BTreeMap<String, Group>) -> Vec<Row> {
    let mut groups: Vec<_> = groups.iter().collect();
    groups.sort_by_key(|(_, group)| std::cmp::Reverse(group.traffic.requests));
    let row = |(name, group): (&String, &Group)| {
        let traffic = &group.traffic;
        let (ttft, stream) = (traffic.distributions.ttft, traffic.distributions.stream_tps);
        let cells = vec![
            figures::count(traffic.requests),
            figures::maybe_percent(traffic.success_rate),
            figures::maybe(group.system_tps),
            figures::maybe_time(ttft.map(|ttft| ttft.p50)),
            figures::maybe_time(ttft.map(|ttft| ttft.p99)),
            figures::maybe(stream.map(|stream| stream.p50)),
        ];
        Row::new(name.clone(), "", cells)
    };
    groups.into_iter().take(MOST).map(row).collect()
}
