//! The small picture of a change: its interval against zero.

use maud::Markup;
use plotters::element::{Circle, PathElement, Rectangle};
use plotters::style::Color;

use super::{Drawn, svg};
use crate::analysis::html::palette::Ink;

const SIZE: (u32, u32) = (880, 72);

/// A change and its interval, with zero in the middle; nothing where they are no numbers.
pub(crate) fn interval(label: &str, change: f64, (low, high): (f64, f64), holds: bool) -> Option<Markup> {
    let reach = [change, low, high].into_iter().map(f64::abs).fold(0.0, f64::max);
    if ![change, low, high].into_iter().all(f64::is_finite) {
        return None;
    }
    let (width, height) = (f64::from(SIZE.0), SIZE.1 as i32);
    // Where nothing changes, all of it is at zero.
    let place = |value: f64| {
        let share = if reach > 0.0 { value / reach } else { 0.0 };
        (width / 2.0 + share * (width / 2.0 - 20.0)).round() as i32
    };
    let ink = if holds { Ink::Good } else { Ink::Bad };
    Some(svg(label, "interval", SIZE, |area| -> Drawn {
        let middle = height / 2;
        let axis = vec![(0, middle), (SIZE.0 as i32, middle)];
        area.draw(&PathElement::new(axis, Ink::Grid.rgb().stroke_width(3)))?;
        let (from, until) = (place(low), place(high).max(place(low) + 2));
        area.draw(&Rectangle::new([(from, middle - 11), (until, middle + 11)], ink.rgb().filled()))?;
        let zero = vec![(place(0.0), 0), (place(0.0), height)];
        area.draw(&PathElement::new(zero, Ink::Text.rgb().stroke_width(3)))?;
        area.draw(&Circle::new((place(change), middle), 19, ink.rgb().filled()))?;
        area.draw(&Circle::new((place(change), middle), 8, Ink::Idle.rgb().filled()))?;
        Ok(())
    }))
}
