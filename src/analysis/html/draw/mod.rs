//! Pictures: plotters draws them as SVG, and here they become part of the page.
//!
//! Each is drawn twice, wide and narrow, so that its text can be read on any
//! screen; the style sheet shows the one that fits. No word of a log is drawn.

pub(super) mod axes;
pub(super) mod intervals;
pub(super) mod lanes;
pub(super) mod over_time;
pub(super) mod spread;

use maud::{Markup, PreEscaped, html};
use plotters::coord::Shift;
use plotters::prelude::{DrawingArea, IntoDrawingArea, SVGBackend};
use plotters::style::{FontDesc, FontFamily, FontStyle, TextStyle};

use super::palette::Ink;

/// Where a picture, or a part of it, is drawn.
pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// Drawing into memory fails only where a picture has no room.
pub(super) type Drawn = Result<(), Box<dyn std::error::Error>>;

/// A picture's width in its own units, and the size of its text in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) width: u32,
    pub(super) text: u32,
    class: &'static str,
}

/// For screens of more than about 760 px, and paper.
const WIDE: Frame = Frame { width: 2_000, text: 28, class: "wide" };
/// For half of such a screen: two beside each other.
const HALF: Frame = Frame { width: 1_000, text: 25, class: "wide" };
/// For phones.
const NARROW: Frame = Frame { width: 760, text: 25, class: "narrow" };

/// Which of the two are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// All of the page's width.
    Whole,
    /// Half of it; all of a narrow one.
    Half,
}

impl Frame {
    pub(super) fn is_wide(self) -> bool {
        self == WIDE
    }

    /// The text of axes.
    pub(super) fn style(self) -> TextStyle<'static> {
        // Plotters takes a size of its own, which is that of the letters by 1.24.
        let font = FontDesc::new(FontFamily::SansSerif, f64::from(self.text) * 1.24, FontStyle::Normal);
        font.color(&Ink::Text.rgb())
    }

    /// Units for this many lines of text.
    pub(super) fn lines(self, lines: f64) -> u32 {
        (f64::from(self.text) * lines) as u32
    }
}

/// A picture in the variants that its room asks for. `label` says what it shows to
/// those who cannot see it; `height` is in units of its frame.
pub(super) fn picture(
    label: &str,
    room: Room,
    height: impl Fn(Frame) -> u32,
    draw: impl Fn(Frame, &Area<'_>) -> Drawn,
) -> Markup {
    let frames = [if room == Room::Whole { WIDE } else { HALF }, NARROW];
    html! {
        div.picture {
            @for frame in frames {
                (svg(label, frame.class, (frame.width, height(frame)), |area| draw(frame, area)))
            }
        }
    }
}

/// One SVG. Nothing where it cannot be drawn.
pub(super) fn svg(
    label: &str,
    class: &str,
    (width, height): (u32, u32),
    draw: impl FnOnce(&Area<'_>) -> Drawn,
) -> Markup {
    let mut text = String::new();
    let drawn = {
        let area = SVGBackend::with_string(&mut text, (width, height)).into_drawing_area();
        draw(&area).and_then(|()| Ok(area.present()?))
    };
    if drawn.is_err() {
        return html! {};
    }
    // What plotters says of the picture itself is for a file of its own.
    let inner = text.split_once('>').and_then(|(_, rest)| rest.rsplit_once("</svg>"));
    let inner = inner.map_or("", |(inner, _)| inner);
    let inner = inner.replace(" opacity=\"1\"", "").replace("\" stroke=\"none\"", "\"");
    html! {
        svg class=(class) role="img" aria-label=(label) viewBox={ "0 0 " (width) " " (height) }
            preserveAspectRatio="xMidYMid meet" {
            (PreEscaped(inner))
        }
    }
}
