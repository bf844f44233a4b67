//! Axes: round figures to mark, the unit of time that suits a run, and the grid.

use std::ops::Range;

use plotters::chart::{ChartBuilder, ChartContext};
use plotters::coord::Shift;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::{Cartesian2d, DrawingArea, SVGBackend, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, TRANSPARENT};

use super::{Area, Frame};
use crate::analysis::html::figures;
use crate::analysis::html::palette::Ink;

/// A picture with its axes, in which figures have their places.
pub(crate) type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Axis, Axis>>;

/// An axis with marks of our own.
#[derive(Clone)]
pub(crate) struct Axis {
    range: RangedCoordf64,
    ticks: Vec<f64>,
}

/// A unit of time to mark an axis in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unit {
    pub(crate) name: &'static str,
    /// Seconds in one.
    pub(crate) seconds: f64,
}

/// The two axes of a picture. All figures are finite, and the most is above the least.
#[derive(Clone, Debug)]
pub(crate) struct Axes {
    pub(crate) x: (f64, f64),
    pub(crate) x_ticks: Vec<f64>,
    pub(crate) y: (f64, f64),
    pub(crate) y_ticks: Vec<f64>,
    /// What stands above the vertical axis.
    pub(crate) title: &'static str,
}

impl Unit {
    /// The one for so many seconds.
    pub(crate) fn of(seconds: f64) -> Self {
        let (name, seconds) = match seconds {
            _ if seconds < 1e-3 => ("µs", 1e-6),
            _ if seconds < 1.0 => ("ms", 1e-3),
            _ if seconds < 600.0 => ("s", 1.0),
            _ if seconds < 4.0 * 3_600.0 => ("min", 60.0),
            _ if seconds < 4.0 * 86_400.0 => ("h", 3_600.0),
            _ => ("d", 86_400.0),
        };
        Self { name, seconds }
    }
}

impl Axis {
    fn new((from, until): (f64, f64), ticks: &[f64]) -> Self {
        Self { range: (from..until).into(), ticks: ticks.to_vec() }
    }
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        self.range.map(value, limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.range.range()
    }
}

/// Round figures between these, about so many of them.
pub(crate) fn ticks((from, until): (f64, f64), about: f64) -> Vec<f64> {
    let span = until - from;
    let rough = span / about.max(1.0);
    if !(rough.is_finite() && rough > 0.0) {
        return Vec::new();
    }
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|step| step * power).find(|step| *step >= rough * 0.75);
    let step = step.unwrap_or(power * 10.0);
    let first = (from / step - 1e-9).ceil();
    // Not so many that they could run away: the step follows from the span.
    (0..=64)
        .map(|index| (first + f64::from(index)) * step)
        .take_while(|tick| *tick <= until + step * 1e-6)
        .collect()
}

/// The most that an axis from zero shows for figures up to this.
pub(crate) fn most(value: f64) -> f64 {
    if value.is_finite() && value > 0.0 { value * 1.06 } else { 1.0 }
}

/// The grid with its figures, drawn; what is to be seen comes on it.
pub(crate) fn chart<'a, 'b>(
    frame: Frame,
    area: &'a Area<'b>,
    axes: &Axes,
    x_text: impl Fn(f64) -> String,
    y_text: impl Fn(f64) -> String,
) -> Result<Chart<'a, 'b>, Box<dyn std::error::Error>> {
    let widest = axes.y_ticks.iter().map(|tick| y_text(*tick).chars().count()).max().unwrap_or(1);
    // Pictures below each other begin at the same place.
    let left = frame.lines(0.68 * widest.max(6) as f64 + 0.8);
    let has_x = !axes.x_ticks.is_empty();
    let mut chart = ChartBuilder::on(area)
        .margin_top(frame.lines(if axes.title.is_empty() { 0.6 } else { 1.9 }))
        .margin_right(frame.lines(2.2))
        .y_label_area_size(left)
        .x_label_area_size(if has_x { frame.lines(1.9) } else { frame.lines(0.9) })
        .build_cartesian_2d(Axis::new(axes.x, &axes.x_ticks), Axis::new(axes.y, &axes.y_ticks))?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .bold_line_style(Ink::Grid.rgb().stroke_width(2))
        .light_line_style(TRANSPARENT)
        .axis_style(Ink::Grid.rgb().stroke_width(2))
        .set_all_tick_mark_size(if has_x { 8 } else { 0 })
        .x_labels(axes.x_ticks.len())
        .y_labels(axes.y_ticks.len())
        .x_label_style(frame.style())
        .y_label_style(frame.style())
        .x_label_formatter(&|value| x_text(*value))
        .y_label_formatter(&|value| y_text(*value))
        .draw()?;
    title(frame, area, axes.title)?;
    Ok(chart)
}

/// The plain figure of a tick.
pub(crate) fn plain(value: f64) -> String {
    if value != 0.0 && value.abs() < 0.01 {
        return figures::number(value);
    }
    // As many decimals as it has, up to two.
    let text = format!("{:.2}", value.abs());
    let text = text.trim_end_matches('0').trim_end_matches('.');
    let (whole, fraction) = text.split_once('.').map_or((text, ""), |(whole, fraction)| (whole, fraction));
    let sign = if value < 0.0 && text != "0" { "−" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{}{point}{fraction}", figures::count(whole.parse().unwrap_or(0)))
}

fn title(
    frame: Frame,
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    title: &'static str,
) -> Result<(), Box<dyn std::error::Error>> {
    let style = frame.style().pos(Pos::new(HPos::Left, VPos::Top));
    area.draw(&Text::new(title, (4, 0), style))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Round, not too many, and none where there is no room.
    #[test]
    fn round_figures() {
        assert_eq!(ticks((0.0, 10.0), 5.0), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(ticks((0.0, 8.5), 4.0), [0.0, 2.0, 4.0, 6.0, 8.0]);
        assert!(ticks((0.0, 0.0), 4.0).is_empty() && ticks((0.0, f64::NAN), 4.0).is_empty());
        assert!(ticks((0.0, 1e300), 4.0).len() < 10);
        assert_eq!([0.0, 0.5, 0.001, 1_500.0, -2.0].map(plain), ["0", "0.5", "0.00100", "1,500", "−2"]);
    }
}
