//! Legends: what each colour of a picture stands for, in words.

use maud::{Markup, html};

use super::palette::Ink;
use crate::gate::{GapCause, SlotPhase};

/// How a thing looks in a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Area,
    Line,
    /// An area that others lie upon.
    Shade,
    Cross,
    Dot,
}

impl Mark {
    fn class(self) -> &'static str {
        match self {
            Self::Area => "area",
            Self::Line => "line",
            Self::Shade => "area shade",
            Self::Cross => "cross",
            Self::Dot => "dot",
        }
    }
}

/// What is to be seen, in the order given.
pub(super) fn legend(items: &[(Ink, Mark, &str)]) -> Markup {
    html! {
        ul.legend {
            @for (ink, mark, text) in items {
                li { span class={ "swatch " (mark.class()) } style={ "--swatch:" (ink.css()) } {} (text) }
            }
        }
    }
}

/// The phases of a slot.
pub(super) fn phases() -> impl Iterator<Item = (Ink, Mark, &'static str)> {
    SlotPhase::ALL.into_iter().map(|phase| (phase.into(), Mark::Area, phase.as_str()))
}

/// The causes of a gap.
pub(super) fn causes() -> impl Iterator<Item = (Ink, Mark, &'static str)> {
    let text = |cause| match cause {
        GapCause::Wakeup => "gap: wakeup",
        GapCause::Backoff => "gap: backoff",
        GapCause::Orchestration => "gap: orchestration",
    };
    GapCause::ALL.into_iter().map(move |cause| (cause.into(), Mark::Area, text(cause)))
}
