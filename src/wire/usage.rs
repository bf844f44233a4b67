//! The provider's own figures, and what they say of output with reasoning in it.

use super::json::Cursor;

/// The figures of one usage object, as the provider gave them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens generated, with or without reasoning.
    pub output: Option<u32>,
    /// Tokens of the prompt.
    pub input: Option<u32>,
    /// Tokens of reasoning.
    pub reasoning: Option<u32>,
    /// The provider's own total.
    pub total: Option<u32>,
    /// Whether the format itself says that `output` leaves reasoning out.
    pub reasoning_apart: bool,
}

/// Where a format has its figures in its usage object. What it has not is empty.
#[derive(Debug)]
pub(crate) struct UsageKeys {
    pub(super) output: &'static [u8],
    pub(super) input: &'static [u8],
    pub(super) total: &'static [u8],
    /// The paths at which it may stand; the last that is there counts.
    pub(super) reasoning: &'static [&'static [&'static [u8]]],
    /// See [`Usage::reasoning_apart`].
    pub(super) reasoning_apart: bool,
}

// === impl UsageKeys ===

impl UsageKeys {
    /// No figures at all.
    pub(super) const NONE: Self =
        Self { output: b"", input: b"", total: b"", reasoning: &[], reasoning_apart: false };
}

// === impl Usage ===

impl Usage {
    /// Reads a usage object; empty if the value is none.
    pub(super) fn read(mut value: Cursor<'_>, keys: &UsageKeys) -> Self {
        let mut usage = Self { reasoning_apart: keys.reasoning_apart, ..Self::default() };
        for path in keys.reasoning {
            let mut value = value;
            value.at(path, |value| usage.reasoning = value.figure().or(usage.reasoning));
        }
        value.object(|key, value| match key {
            b"" => {}
            key if key == keys.output => usage.output = value.figure(),
            key if key == keys.input => usage.input = value.figure(),
            key if key == keys.total => usage.total = value.figure(),
            _ => {}
        });
        usage
    }

    /// Output tokens with reasoning included, in whatever way the provider
    /// counts. Where its format does not say, its own total decides whether its
    /// output figure has reasoning already; where no total decides, reasoning
    /// is added if there is more of it than of output. Absent without a figure.
    #[must_use]
    pub fn normalised_output(&self) -> Option<u64> {
        let figure = |figure: Option<u32>| figure.map(u64::from);
        let Some(reasoning) = figure(self.reasoning) else { return figure(self.output) };
        if self.reasoning_apart {
            return Some(figure(self.output).unwrap_or(0) + reasoning);
        }
        let output = figure(self.output)?;
        let both = output + reasoning;
        if let (Some(input), Some(total)) = (figure(self.input), figure(self.total)) {
            if total == input + output {
                return Some(output);
            }
            if total == input + both {
                return Some(both);
            }
        }
        Some(if reasoning > output { both } else { output })
    }

    /// Takes the figures of a later object. Of each the last that is present
    /// stands; a total belongs to the output beside it.
    pub(super) fn update(&mut self, later: Self) {
        if later.output.is_some() {
            self.output = later.output;
            self.total = later.total;
        }
        self.input = later.input.or(self.input);
        self.reasoning = later.reasoning.or(self.reasoning);
        self.reasoning_apart |= later.reasoning_apart;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.output.is_none() && self.input.is_none() && self.reasoning.is_none()
    }
}
