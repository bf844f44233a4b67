//! The picture of requests side by side: a bar each, by what became of its time.

use plotters::prelude::{Cross, PathElement, Rectangle};
use plotters::style::Color;

use super::axes::{Axes, Chart, Unit, chart, plain, ticks};
use super::{Area, Drawn, Frame};
use crate::analysis::html::palette::Ink;
use crate::analysis::lanes::{Lane, Lanes};
use crate::outcome::Outcome;

/// What the picture needs from the top to the bottom.
pub(crate) fn height(frame: Frame, lanes: usize) -> u32 {
    frame.lines(4.4) + frame.lines(0.78) * lanes.max(4) as u32
}

/// The lanes, the first at the top, with the gaps behind them.
pub(crate) fn draw(frame: Frame, area: &Area<'_>, lanes: &Lanes) -> Drawn {
    // Long after the start, short times are told from each other by where they begin.
    let span = (lanes.until - lanes.from).max(1e-9);
    let unit = Unit::of(span);
    let x = (0.0, span / unit.seconds);
    let rows = lanes.lanes.len() as f64;
    let axes = Axes {
        x,
        x_ticks: ticks(x, if frame.is_wide() { 10.0 } else { 4.0 }),
        y: (0.0, rows.max(4.0)),
        y_ticks: Vec::new(),
        title: "requests in the order of their arrival",
    };
    let last = axes.x_ticks.last().copied();
    let text = |value: f64| {
        let is_last = last.is_some_and(|last| (last - value).abs() <= last.abs() * 1e-9);
        if is_last { format!("{} {}", plain(value), unit.name) } else { plain(value) }
    };
    let mut chart = chart(frame, area, &axes, text, |_| String::new())?;
    let at = |seconds: f64| (seconds - lanes.from) / unit.seconds;
    for (from, until) in &lanes.gaps {
        // One that is too short for a shade is a line.
        if until - from < span / 400.0 {
            let line = vec![(at(*from), axes.y.1), (at(*from), 0.0)];
            chart.draw_series([PathElement::new(line, Ink::Gap.rgb().mix(0.5).stroke_width(2))])?;
            continue;
        }
        bar(&mut chart, (at(*from), at(*until)), (axes.y.1, 0.0), Ink::Gap, 0.22)?;
    }
    for (index, lane) in lanes.lanes.iter().enumerate() {
        draw_lane(&mut chart, lane, axes.y.1 - index as f64, &at, frame)?;
    }
    Ok(())
}

fn draw_lane(
    chart: &mut Chart<'_, '_>,
    lane: &Lane,
    top: f64,
    at: &dyn Fn(f64) -> f64,
    frame: Frame,
) -> Drawn {
    if let Some((from, until)) = lane.queued {
        // Waiting is thinner than being served.
        bar(chart, (at(from), at(until)), (top - 0.38, top - 0.62), Ink::Queue, 1.0)?;
    }
    for doing in &lane.stretches {
        let time = (at(doing.from), at(doing.until));
        bar(chart, time, (top - 0.1, top - 0.9), doing.phase.into(), 1.0)?;
        if doing.stalled > 0.0 {
            // When within it is not known: so much of its height.
            bar(chart, time, (top - 0.9 + 0.8 * doing.stalled, top - 0.9), Ink::Stall, 1.0)?;
        }
    }
    if let Some(ended) = lane.ended.filter(|_| lane.outcome != Outcome::Completed) {
        let style = Ink::Line.rgb().stroke_width(3);
        chart.draw_series([Cross::new((at(ended), top - 0.5), frame.lines(0.3), style)])?;
    }
    Ok(())
}

fn bar(
    chart: &mut Chart<'_, '_>,
    (from, until): (f64, f64),
    (top, bottom): (f64, f64),
    ink: Ink,
    opacity: f64,
) -> Drawn {
    chart.draw_series([Rectangle::new([(from, top), (until, bottom)], ink.rgb().mix(opacity).filled())])?;
    Ok(())
}
