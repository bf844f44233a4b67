//! The pictures of a run: what they are drawn from, and on which scales.

use std::time::Duration;

use maud::Markup;

use super::draw::over_time::{self, Scale};
use super::draw::spread::{self, Bar};
use super::draw::{Frame, Room, axes, lanes, picture};
use super::figures;
use super::spreads::Spreads;
use crate::analysis::lanes::Lanes;
use crate::analysis::{Run, Summary, Window};

/// What the pictures of a run are drawn from.
#[derive(Clone, Debug)]
pub(super) struct Pictures<'a> {
    pub(super) summary: &'a Summary,
    windows: Vec<Window>,
    spreads: Spreads,
    lanes: Option<Lanes>,
    scale: Scale,
}

/// How much there is of a run: in pictures, and in its longest table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Detail {
    pub(super) windows: u32,
    pub(super) lanes: usize,
    /// Windows in the table of those that were asked for.
    pub(super) rows: usize,
}

/// What the pictures of several runs have in common.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    scale: Scale,
    ttft: (f64, f64),
    stream_tps: (f64, f64),
}

impl Shared {
    pub(super) fn of(all: &[&Pictures<'_>]) -> Self {
        let reach = |of: fn(&Spreads) -> &[Bar]| {
            let reaches = all.iter().map(|pictures| Spreads::reach(of(&pictures.spreads)));
            reaches.fold((f64::INFINITY, 0.0), |(least, most): (f64, f64), reach| {
                (least.min(reach.0), most.max(reach.1))
            })
        };
        Self {
            scale: all.iter().fold(Scale::default(), |scale, pictures| scale.max(pictures.scale)),
            ttft: reach(|spreads| &spreads.ttft),
            stream_tps: reach(|spreads| &spreads.stream_tps),
        }
    }
}

impl<'a> Pictures<'a> {
    pub(super) fn of(run: &Run, summary: &'a Summary, detail: Detail) -> Self {
        // A little longer than its share, or the rest would be a window of next to no time.
        let length = run.window_time() / detail.windows.max(1) + Duration::from_nanos(1);
        let windows = run.windows(length);
        Self {
            summary,
            scale: Scale::of(&windows),
            windows,
            spreads: Spreads::of(run),
            lanes: Lanes::of(run, detail.lanes).filter(|lanes| !lanes.lanes.is_empty()),
        }
    }

    /// How long each rate over time is of.
    pub(super) fn step(&self) -> String {
        let rates = over_time::rates(&self.windows);
        rates.first().map_or_else(String::new, |(from, until, _)| figures::time_text(until - from))
    }

    pub(super) fn slots(&self, room: Room, shared: &Shared) -> Option<Markup> {
        (!self.windows.is_empty()).then(|| {
            picture(
                "Slots over time, stacked by what they did, and the cap",
                room,
                over_time_height,
                |frame, area| over_time::draw_slots(frame, area, &self.windows, shared.scale),
            )
        })
    }

    pub(super) fn queue(&self, room: Room, shared: &Shared) -> Option<Markup> {
        (!self.windows.is_empty()).then(|| {
            picture(
                "Queue depth over time, and the share of the time that was a gap",
                room,
                over_time_height,
                |frame, area| over_time::draw_queue(frame, area, &self.windows, shared.scale),
            )
        })
    }

    pub(super) fn tps(&self, room: Room, shared: &Shared) -> Option<Markup> {
        let mean = self.summary.system_tps.filter(|_| !self.windows.is_empty())?;
        let height = |frame: Frame| if frame.is_wide() { 440 } else { 400 };
        Some(picture("Output tokens a second over time, and their mean", room, height, |frame, area| {
            over_time::draw_tps(frame, area, &self.windows, mean, shared.scale)
        }))
    }

    pub(super) fn ttft(&self, room: Room, shared: &Shared) -> Option<Markup> {
        let text = |seconds: f64| match seconds {
            _ if seconds < 0.999e-3 => format!("{} µs", axes::plain(seconds * 1e6)),
            _ if seconds < 0.999 => format!("{} ms", axes::plain(seconds * 1e3)),
            _ => format!("{} s", axes::plain(seconds)),
        };
        bars(
            "Time to the first token by output tokens",
            "TTFT by output tokens",
            &self.spreads.ttft,
            shared.ttft,
            room,
            text,
        )
    }

    pub(super) fn stream_tps(&self, room: Room, shared: &Shared) -> Option<Markup> {
        let (bars_of, reach) = (&self.spreads.stream_tps, shared.stream_tps);
        bars(
            "Speed of streams by output tokens",
            "stream_tps by output tokens, tokens/s",
            bars_of,
            reach,
            room,
            axes::plain,
        )
    }

    pub(super) fn lanes(&self, room: Room) -> Option<Markup> {
        let all = self.lanes.as_ref()?;
        Some(picture(
            "Requests around the worst gap, by what became of their time",
            room,
            |frame| lanes::height(frame, all.lanes.len()),
            |frame, area| lanes::draw(frame, area, all),
        ))
    }
}

impl Pictures<'_> {
    /// What the lanes show, and how many requests have none.
    pub(super) fn lanes_caption(&self) -> String {
        let Some(all) = &self.lanes else { return String::new() };
        let what = if all.gaps.is_empty() {
            "There was no gap: this is the middle of the run"
        } else {
            "The shade is the gap that lost the most slot-time"
        };
        let (from, until) = (figures::time_text(all.from), figures::time_text(all.until));
        let left_out = match all.left_out {
            0 => String::new(),
            1 => "; 1 request more was under way".to_owned(),
            more => format!("; {} requests more were under way", figures::count(more as u64)),
        };
        format!("{what}; the axis goes from {from} to {until} after the start{left_out}.")
    }
}

fn over_time_height(frame: Frame) -> u32 {
    if frame.is_wide() { 560 } else { 520 }
}

fn bars(
    label: &'static str,
    title: &'static str,
    bars: &[Bar],
    reach: (f64, f64),
    room: Room,
    text: fn(f64) -> String,
) -> Option<Markup> {
    (!bars.is_empty()).then(|| {
        picture(
            label,
            room,
            |frame| spread::height(frame, bars.len()),
            |frame, area| spread::draw(frame, area, bars, reach, title, text),
        )
    })
}
