//! Exhibits: a picture, the sentence that says what to see, its legend, and its table.

use maud::{Markup, html};

use super::accounts;
use super::draw::Room;
use super::figures;
use super::legend::{Mark, causes, legend, phases};
use super::palette::Ink;
use super::pictures::{Pictures, Shared};
use crate::analysis::Summary;

/// What is shown of a run, in the order of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exhibit {
    Slots,
    Queue,
    Throughput,
    Lengths,
    Lanes,
}

impl Exhibit {
    pub(super) const ALL: [Self; 5] =
        [Self::Slots, Self::Queue, Self::Throughput, Self::Lengths, Self::Lanes];

    fn title(self) -> &'static str {
        match self {
            Self::Slots => "What the slots did",
            Self::Queue => "What waited, and when that was a gap",
            Self::Throughput => "Throughput",
            Self::Lengths => "Waiting and speed, by length",
            Self::Lanes => "Around the worst gap",
        }
    }

    /// Why there is no picture.
    fn without(self) -> &'static str {
        match self {
            Self::Slots | Self::Queue => "No time passed in this run, so there is nothing to draw.",
            Self::Throughput => {
                "There is no one rate to draw: no time passed, or tokens are of several sources."
            }
            Self::Lengths => "No request had a token, so there is nothing to draw.",
            Self::Lanes => "No request ended, so there is nothing to draw.",
        }
    }

    fn pictures(self, of: &Pictures<'_>, room: Room, shared: &Shared) -> Vec<Markup> {
        let pictures = match self {
            Self::Slots => [of.slots(room, shared), None],
            Self::Queue => [of.queue(room, shared), None],
            Self::Throughput => [of.tps(room, shared), None],
            Self::Lengths => [of.ttft(room, shared), of.stream_tps(room, shared)],
            Self::Lanes => [of.lanes(room), None],
        };
        pictures.into_iter().flatten().collect()
    }

    fn legend(self) -> Markup {
        match self {
            Self::Slots => {
                let mut items: Vec<_> = phases().collect();
                items.push((Ink::Gap, Mark::Area, "gap: free while work waited"));
                items.push((Ink::Idle, Mark::Area, "idle: free, nothing waited"));
                items.push((Ink::Line, Mark::Line, "cap"));
                legend(&items)
            }
            Self::Queue => {
                let mut items = vec![(Ink::Queue, Mark::Area, "queue depth, mean")];
                items.extend(causes());
                legend(&items)
            }
            Self::Throughput => legend(&[
                (Ink::Generate, Mark::Area, "system_tps of each window"),
                (Ink::Line, Mark::Line, "mean of the run"),
            ]),
            Self::Lengths => legend(&[
                (Ink::Line, Mark::Line, "p50"),
                (Ink::Generate, Mark::Area, "p10 to p90"),
                (Ink::Generate, Mark::Line, "p1 to p99"),
                (Ink::Queue, Mark::Dot, "max"),
            ]),
            Self::Lanes => {
                let mut items = vec![(Ink::Queue, Mark::Line, "queue")];
                let stall =
                    |(ink, mark, text)| (ink, mark, if text == "stall" { "stall, by height" } else { text });
                items.extend(phases().map(stall));
                items.push((Ink::Gap, Mark::Shade, "gap"));
                items.push((Ink::Line, Mark::Cross, "did not complete"));
                legend(&items)
            }
        }
    }

    fn caption(self, of: &Pictures<'_>) -> String {
        let (summary, slots) = (of.summary, &of.summary.slots);
        let share = |time: f64| (slots.cap_slot_time > 0.0).then(|| time / slots.cap_slot_time);
        let distributions = &summary.traffic.distributions;
        match self {
            Self::Slots => format!(
                "{} of the slot-time was busy, {} stood free while work waited, and {} while nothing did.",
                figures::maybe_percent(share(slots.busy_slot_time)),
                figures::maybe_percent(share(slots.gap_slot_time)),
                figures::maybe_percent(share(slots.idle_slot_time)),
            ),
            Self::Queue if slots.backlog_time > 0.0 => format!(
                "Work waited for {}; for {} of that time a slot was free, and that is the gap.",
                figures::time_text(slots.backlog_time),
                figures::maybe_percent(slots.gap_share),
            ),
            Self::Queue => "No work ever waited, so there was no gap.".to_owned(),
            Self::Throughput => format!(
                "Tokens count where their request completed, in windows of {}; the line is the mean, {} tokens/s.",
                of.step(),
                figures::maybe(summary.system_tps),
            ),
            Self::Lengths => format!(
                "Half of all requests had their first token within {}, and half of all streams ran at {} tokens/s or less.",
                figures::maybe_time(distributions.ttft.map(|ttft| ttft.p50)),
                figures::maybe(distributions.stream_tps.map(|rate| rate.p50)),
            ),
            Self::Lanes => of.lanes_caption(),
        }
    }

    /// What is to be seen in two runs beside each other.
    fn comparing(self) -> &'static str {
        match self {
            Self::Slots => "More of what generates and less of what is a gap is better.",
            Self::Queue => "The less of a gap there is while work waits, the better.",
            Self::Throughput => "Higher is better; the line is the mean.",
            Self::Lengths => "Further left is sooner, above; further right is faster, below.",
            Self::Lanes => "The worst gap of each run, each on an axis of its own.",
        }
    }

    fn table(self, summary: &Summary) -> Option<Markup> {
        match self {
            Self::Slots => Some(accounts::ledger(summary)),
            Self::Queue => Some(accounts::gap(summary)),
            Self::Throughput => Some(accounts::rates(summary)),
            Self::Lengths => Some(accounts::lengths(summary)),
            Self::Lanes => None,
        }
    }

    /// The exhibit of one run.
    pub(super) fn of_one(self, of: &Pictures<'_>, shared: &Shared) -> Markup {
        let pictures = self.pictures(of, Room::Whole, shared);
        html! {
            section.exhibit {
                h3 { (self.title()) }
                @if pictures.is_empty() {
                    p.empty { (self.without()) }
                } @else {
                    figure {
                        figcaption { (self.caption(of)) }
                        (self.legend())
                        @for picture in &pictures { (picture) }
                    }
                }
                @if let Some(table) = self.table(of.summary) { (table) }
            }
        }
    }

    /// The exhibit of two runs, each with its name, on the same scales.
    pub(super) fn of_two(self, runs: [(&str, &Pictures<'_>); 2], shared: &Shared) -> Markup {
        html! {
            section.exhibit {
                h3 { (self.title()) }
                p.caption { (self.comparing()) }
                (self.legend())
                div.pair {
                    @for (name, of) in runs {
                        figure {
                            figcaption { strong { (name) } " " (self.caption(of)) }
                            @let pictures = self.pictures(of, Room::Half, shared);
                            @for picture in &pictures { (picture) }
                            @if pictures.is_empty() { p.empty { (self.without()) } }
                        }
                    }
                }
            }
        }
    }
}
