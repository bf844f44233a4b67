//! The pictures over time: slots by what they did, the queue with its gap, and throughput.

use plotters::prelude::{PathElement, Polygon};
use plotters::style::Color;

use super::axes::{Axes, Chart, Unit, chart, most, plain, ticks};
use super::{Area, Drawn, Frame};
use crate::analysis::Window;
use crate::analysis::html::palette::Ink;
use crate::gate::GapCause;

/// How far the axes go: the same for runs that are held against each other.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scale {
    /// Seconds from the start.
    pub(crate) time: f64,
    pub(crate) slots: f64,
    pub(crate) queue_depth: f64,
    pub(crate) tps: f64,
}

/// A figure of each window.
type Figure<'a> = &'a dyn Fn(&Window) -> f64;

/// A figure, and from when to when it stood, in seconds.
pub(crate) type Step = (f64, f64, f64);

impl Scale {
    /// The one that shows all of these windows.
    pub(crate) fn of(windows: &[Window]) -> Self {
        let highest =
            |of: Figure<'_>| windows.iter().map(of).filter(|value| value.is_finite()).fold(0.0, f64::max);
        Self {
            time: highest(&|window| window.start + window.window_time),
            slots: highest(&|window| {
                slots(window).iter().map(|(slots, _)| slots).sum::<f64>().max(window.mean_cap)
            }),
            queue_depth: highest(&|window| window.mean_queue_depth),
            tps: rates(windows).iter().map(|(.., tps)| *tps).fold(0.0, f64::max),
        }
    }

    /// The one that shows what either shows.
    pub(crate) fn max(self, other: Self) -> Self {
        Self {
            time: self.time.max(other.time),
            slots: self.slots.max(other.slots),
            queue_depth: self.queue_depth.max(other.queue_depth),
            tps: self.tps.max(other.tps),
        }
    }

    fn axes(self, frame: Frame, unit: Unit, y: f64, title: &'static str) -> Axes {
        let x = (0.0, (if self.time > 0.0 { self.time } else { 1.0 }) / unit.seconds);
        Axes {
            x,
            x_ticks: ticks(x, if frame.is_wide() { 10.0 } else { 4.0 }),
            y: (0.0, most(y)),
            y_ticks: ticks((0.0, most(y)), 4.0),
            title,
        }
    }
}

/// The mean number of slots by what they did, from the bottom up.
fn slots(window: &Window) -> [(f64, Ink); 8] {
    let times = [
        (window.busy_slot_time_dispatch, Ink::Dispatch),
        (window.busy_slot_time_backoff, Ink::Backoff),
        (window.busy_slot_time_prefill, Ink::Prefill),
        (window.busy_slot_time_generate, Ink::Generate),
        (window.busy_slot_time_stall, Ink::Stall),
        (window.busy_slot_time_drain, Ink::Drain),
        (window.gap_slot_time, Ink::Gap),
        (window.idle_slot_time, Ink::Idle),
    ];
    times.map(|(time, ink)| (per_time(window, time), ink))
}

/// Slots over time, stacked, and the cap.
pub(crate) fn draw_slots(frame: Frame, area: &Area<'_>, windows: &[Window], scale: Scale) -> Drawn {
    let unit = Unit::of(scale.time);
    let axes = scale.axes(frame, unit, scale.slots, "slots");
    let mut chart = chart(frame, area, &axes, |x| x_text(x, unit, &axes), plain)?;
    // From the top down: each layer begins at zero and hides what is below it, so
    // that no seams show between them.
    for layer in (0..8).rev() {
        let top = |window: &Window| slots(window)[..=layer].iter().map(|(slots, _)| slots).sum::<f64>();
        let is_there = windows.iter().any(|window| slots(window)[layer].0 > 0.0);
        let ink = windows.first().map(|window| slots(window)[layer].1);
        if let Some(ink) = ink.filter(|_| is_there) {
            fill(&mut chart, &steps(windows, unit, &top), ink)?;
        }
    }
    line(&mut chart, steps(windows, unit, &|window| window.mean_cap), Ink::Line, 4)
}

/// The queue's depth above, the share of each window that was a gap below.
pub(crate) fn draw_queue(frame: Frame, area: &Area<'_>, windows: &[Window], scale: Scale) -> Drawn {
    let unit = Unit::of(scale.time);
    let (_, height) = area.dim_in_pixel();
    let (above, below) = area.split_vertically(height * 54 / 100);
    let mut axes = scale.axes(frame, unit, scale.queue_depth, "queue depth");
    let share = Axes { y: (0.0, 1.04), y_ticks: vec![0.0, 0.5, 1.0], title: "gap_fraction", ..axes.clone() };
    axes.x_ticks.clear();
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    let mut upper = chart(frame, &above, &axes, |_| String::new(), plain)?;
    fill(&mut upper, &steps(windows, unit, &|window| window.mean_queue_depth), Ink::Queue)?;
    let mut lower = chart(frame, &below, &share, |x| x_text(x, unit, &share), percent)?;
    for (index, cause) in GapCause::ALL.into_iter().enumerate().rev() {
        let top = |window: &Window| per_time(window, gaps(window)[..=index].iter().sum());
        if windows.iter().any(|window| gaps(window)[index] > 0.0) {
            fill(&mut lower, &steps(windows, unit, &top), cause.into())?;
        }
    }
    Ok(())
}

/// Throughput in each window, and the run's mean.
pub(crate) fn draw_tps(frame: Frame, area: &Area<'_>, windows: &[Window], mean: f64, scale: Scale) -> Drawn {
    let unit = Unit::of(scale.time);
    let axes = scale.axes(frame, unit, scale.tps.max(mean), "output tokens/s");
    let mut chart = chart(frame, area, &axes, |x| x_text(x, unit, &axes), plain)?;
    fill(&mut chart, &outline(rates(windows).into_iter(), unit), Ink::Generate)?;
    let until = windows.last().map_or(0.0, |last| last.start + last.window_time);
    line(&mut chart, vec![(0.0, mean), (until / unit.seconds, mean)], Ink::Line, 4)
}

/// Throughput in longer windows: in short ones, a completed request is but a spike.
pub(crate) fn rates(windows: &[Window]) -> Vec<Step> {
    const AT_ONCE: usize = 4;
    let rate = |windows: &[Window]| {
        let (first, last) = (windows.first()?, windows.last()?);
        let (from, until) = (first.start, last.start + last.window_time);
        let tokens: f64 =
            windows.iter().filter_map(|window| Some(window.system_tps? * window.window_time)).sum();
        Some((from, until, if until > from { tokens / (until - from) } else { 0.0 }))
    };
    windows.chunks(AT_ONCE).filter_map(rate).collect()
}

/// Gap time by cause, in their order.
fn gaps(window: &Window) -> [f64; 3] {
    GapCause::ALL.map(|cause| match cause {
        GapCause::Wakeup => window.gap_time_wakeup,
        GapCause::Backoff => window.gap_time_backoff,
        GapCause::Orchestration => window.gap_time_orchestration,
    })
}

fn per_time(window: &Window, time: f64) -> f64 {
    if window.window_time > 0.0 { time / window.window_time } else { 0.0 }
}

fn steps(windows: &[Window], unit: Unit, of: Figure<'_>) -> Vec<(f64, f64)> {
    outline(windows.iter().map(|window| (window.start, window.start + window.window_time, of(window))), unit)
}

/// The upper edge of what stood so from time to time. What does not change takes no room.
fn outline(steps: impl Iterator<Item = Step>, unit: Unit) -> Vec<(f64, f64)> {
    let mut points: Vec<(f64, f64)> = Vec::new();
    for (from, until, value) in steps {
        let is_level = points.last().is_some_and(|last| last.1 == value);
        if is_level {
            points.pop();
        } else {
            points.push((from / unit.seconds, value));
        }
        points.push((until / unit.seconds, value));
    }
    points
}

fn fill(chart: &mut Chart<'_, '_>, points: &[(f64, f64)], ink: Ink) -> Drawn {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return Ok(()) };
    let mut outline = points.to_vec();
    outline.extend([(last.0, 0.0), (first.0, 0.0)]);
    chart.draw_series([Polygon::new(outline, ink.rgb().filled())])?;
    Ok(())
}

fn line(chart: &mut Chart<'_, '_>, points: Vec<(f64, f64)>, ink: Ink, width: u32) -> Drawn {
    chart.draw_series([PathElement::new(points, ink.rgb().stroke_width(width))])?;
    Ok(())
}

/// The last figure of the axis names its unit.
fn x_text(value: f64, unit: Unit, axes: &Axes) -> String {
    let is_last = axes.x_ticks.last().is_some_and(|last| (last - value).abs() <= last.abs() * 1e-9);
    if is_last { format!("{} {}", plain(value), unit.name) } else { plain(value) }
}
