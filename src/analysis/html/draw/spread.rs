//! The picture of a distribution by length: one bar a class on a logarithmic axis.

use plotters::prelude::{Circle, PathElement, Rectangle};
use plotters::style::Color;

use super::axes::{Axes, chart};
use super::{Area, Drawn, Frame};
use crate::analysis::html::palette::Ink;

/// One bar: where the values of a class lie. All are above zero.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bar {
    pub(crate) name: &'static str,
    /// p1, p10, p50, p90 and p99.
    pub(crate) quantiles: [f64; 5],
    pub(crate) max: f64,
}

/// What the picture needs from the top to the bottom.
pub(crate) fn height(frame: Frame, bars: usize) -> u32 {
    frame.lines(4.2 + 1.9 * bars as f64)
}

/// The bars that have values, the first at the top; both ends of the axis are shared by
/// all that are held against each other.
pub(crate) fn draw(
    frame: Frame,
    area: &Area<'_>,
    bars: &[Bar],
    (least, most): (f64, f64),
    title: &'static str,
    text: impl Fn(f64) -> String,
) -> Drawn {
    let (from, until) = ends(least, most);
    let rows = bars.len() as f64;
    let axes = Axes {
        x: (from.log10(), until.log10()),
        x_ticks: ticks(from, until, frame.is_wide()),
        y: (0.0, rows),
        y_ticks: (0..bars.len()).map(|row| row as f64 + 0.5).collect(),
        title,
    };
    let place = |index: usize| rows - index as f64 - 0.5;
    let name = |y: f64| {
        bars.get((rows - y).floor().max(0.0) as usize).map_or_else(String::new, |bar| bar.name.to_owned())
    };
    let mut chart = chart(frame, area, &axes, |x| text(10f64.powf(x)), name)?;
    for (index, bar) in bars.iter().enumerate() {
        let (y, [p1, p10, p50, p90, p99], max) =
            (place(index), bar.quantiles.map(f64::log10), bar.max.log10());
        let ink = Ink::Generate.rgb();
        chart.draw_series([PathElement::new(vec![(p1, y), (p99, y)], ink.stroke_width(4))])?;
        chart.draw_series([PathElement::new(vec![(p99, y), (max, y)], Ink::Queue.rgb().stroke_width(2))])?;
        chart.draw_series([Rectangle::new([(p10, y + 0.24), (p90, y - 0.24)], ink.filled())])?;
        // A bar of no width is seen all the same.
        chart.draw_series([PathElement::new(vec![(p10, y + 0.24), (p10, y - 0.24)], ink.stroke_width(3))])?;
        for end in [p1, p99] {
            chart.draw_series([PathElement::new(
                vec![(end, y + 0.14), (end, y - 0.14)],
                ink.stroke_width(4),
            )])?;
        }
        chart.draw_series([Circle::new((max, y), 6, Ink::Queue.rgb().filled())])?;
        chart.draw_series([PathElement::new(
            vec![(p50, y + 0.34), (p50, y - 0.34)],
            Ink::Line.rgb().stroke_width(7),
        )])?;
    }
    Ok(())
}

/// Both ends with some room, never the same.
fn ends(least: f64, most: f64) -> (f64, f64) {
    let least = if least.is_finite() && least > 0.0 { least } else { 1e-3 };
    let most = if most.is_finite() && most > least { most } else { least };
    (least / 1.15, most * 1.15)
}

/// Round figures of each decade, fewer of them the more decades there are.
fn ticks(from: f64, until: f64, is_wide: bool) -> Vec<f64> {
    let decades = (until / from).log10() * if is_wide { 1.0 } else { 2.0 };
    let steps: &[f64] = match decades {
        _ if decades < 0.7 => &[1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0],
        _ if decades < 1.4 => &[1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0],
        _ if decades < 4.0 => &[1.0, 2.0, 5.0],
        _ => &[1.0],
    };
    let (first, last) = (from.log10().floor() as i32, until.log10().ceil() as i32);
    let every = if is_wide { 1 + (last - first) / 12 } else { 1 + (last - first) / 6 };
    let powers = (first..=last).filter(|power| (power - first) % every == 0);
    let all = powers.flat_map(|power| steps.iter().map(move |step| step * 10f64.powi(power)));
    all.filter(|tick| *tick >= from && *tick <= until).map(f64::log10).collect()
}
