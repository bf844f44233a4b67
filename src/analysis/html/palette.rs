//! The one list of colours, each with its light and its dark tone.
//!
//! Pictures are drawn in the light tones. The page's style sheet puts a variable
//! in the place of each, which is how they turn dark. The tones are those of Okabe
//! and Ito, which people of any colour vision can tell apart.

use std::fmt::Write;

use plotters::style::RGBColor;

use crate::gate::{GapCause, SlotPhase};

/// What is drawn, by what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    Dispatch,
    Backoff,
    Prefill,
    Generate,
    Stall,
    Drain,
    Gap,
    Idle,
    /// Waiting for a slot.
    Queue,
    Orchestration,
    /// Figures and axes.
    Text,
    /// Lines to compare with: the cap, a mean.
    Line,
    Grid,
    Good,
    Bad,
}

impl Ink {
    const ALL: [Self; 15] = [
        Self::Dispatch,
        Self::Backoff,
        Self::Prefill,
        Self::Generate,
        Self::Stall,
        Self::Drain,
        Self::Gap,
        Self::Idle,
        Self::Queue,
        Self::Orchestration,
        Self::Text,
        Self::Line,
        Self::Grid,
        Self::Good,
        Self::Bad,
    ];

    /// The variable's name, and the light and the dark tone.
    const fn tones(self) -> (&'static str, u32, u32) {
        match self {
            Self::Dispatch => ("dispatch", 0x009E73, 0x1DB88A),
            Self::Backoff => ("backoff", 0xCC79A7, 0xD88BB5),
            Self::Prefill => ("prefill", 0x7CC4EE, 0x8FD0F5),
            Self::Generate => ("generate", 0x0072B2, 0x2E8FD0),
            Self::Stall => ("stall", 0xE69F00, 0xF0AE1E),
            Self::Drain => ("drain", 0xE4D73A, 0xF0E442),
            Self::Gap => ("gap", 0xD55E00, 0xF0702A),
            Self::Idle => ("idle", 0xDFE3E8, 0x39414C),
            Self::Queue => ("queue", 0x8C96A3, 0x7F8A99),
            Self::Orchestration => ("orchestration", 0x6B4C9A, 0xA58BD6),
            Self::Text => ("ink", 0x4A5360, 0xB4BDC9),
            Self::Line => ("line", 0x14181F, 0xF2F5F9),
            Self::Grid => ("grid", 0xE6E9ED, 0x2C333D),
            Self::Good => ("good", 0x00795A, 0x2CC79A),
            Self::Bad => ("bad", 0xB84A00, 0xFF8A4C),
        }
    }

    /// The tone to draw in.
    pub(super) const fn rgb(self) -> RGBColor {
        let [_, red, green, blue] = self.tones().1.to_be_bytes();
        RGBColor(red, green, blue)
    }

    /// The colour in a `style` attribute.
    pub(super) fn css(self) -> String {
        format!("var(--{})", self.tones().0)
    }
}

impl From<SlotPhase> for Ink {
    fn from(phase: SlotPhase) -> Self {
        match phase {
            SlotPhase::Dispatch => Self::Dispatch,
            SlotPhase::Backoff => Self::Backoff,
            SlotPhase::Prefill => Self::Prefill,
            SlotPhase::Generate => Self::Generate,
            SlotPhase::Stall => Self::Stall,
            SlotPhase::Drain => Self::Drain,
        }
    }
}

impl From<GapCause> for Ink {
    fn from(cause: GapCause) -> Self {
        match cause {
            GapCause::Wakeup => Self::Gap,
            GapCause::Backoff => Self::Backoff,
            GapCause::Orchestration => Self::Orchestration,
        }
    }
}

/// The style sheet of the colours: the variables, and where the pictures take them.
pub(super) fn style_sheet() -> String {
    let variables = |dark: bool| {
        Ink::ALL.iter().fold(String::new(), |mut css, ink| {
            let (name, light, deep) = ink.tones();
            let tone = if dark { deep } else { light };
            let _ = write!(css, "--{name}:#{tone:06X};");
            css
        })
    };
    let mut css = format!(
        ":root{{{}}}@media screen and (prefers-color-scheme:dark){{:root{{{}}}}}",
        variables(false),
        variables(true)
    );
    for ink in Ink::ALL {
        let (name, tone, _) = ink.tones();
        let _ = write!(
            css,
            "svg [fill=\"#{tone:06X}\"]{{fill:var(--{name})}}svg [stroke=\"#{tone:06X}\"]{{stroke:var(--{name})}}"
        );
    }
    css
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No two share a tone, or the page could not tell them apart in the dark.
    #[test]
    fn tones_differ() {
        for (index, ink) in Ink::ALL.iter().enumerate() {
            assert!(Ink::ALL[..index].iter().all(|other| other.tones().1 != ink.tones().1), "{ink:?}");
        }
    }
}
