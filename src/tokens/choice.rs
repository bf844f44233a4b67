//! A pool's choice of how tokens are counted.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Counter, TokenSource, Tokenizer};

/// How a pool counts tokens. The provider's own final figure always comes
/// first; the choice is what stands in where it is missing.
#[derive(Debug)]
pub struct Tokens(Choice);

#[derive(Debug)]
enum Choice {
    Usage,
    Events,
    Tokenizer(Box<dyn Tokenizer>),
}

impl Tokens {
    /// Nothing stands in: without usage, tokens are unknown.
    #[must_use]
    pub fn usage() -> Self {
        Self(Choice::Usage)
    }

    /// One token for each event that carried content.
    #[must_use]
    pub fn events() -> Self {
        Self(Choice::Events)
    }

    /// A tokenizer counts the text as it passes; should it fail, events stand in.
    #[must_use]
    pub fn by(tokenizer: impl Tokenizer) -> Self {
        Self(Choice::Tokenizer(Box::new(tokenizer)))
    }

    /// OpenAI's `o200k_base`, exactly: [`Bpe::o200k`](super::Bpe::o200k).
    #[cfg(feature = "bpe")]
    #[must_use]
    pub fn o200k() -> Self {
        Self::by(super::Bpe::o200k())
    }

    /// OpenAI's `cl100k_base`, exactly: [`Bpe::cl100k`](super::Bpe::cl100k).
    #[cfg(feature = "bpe")]
    #[must_use]
    pub fn cl100k() -> Self {
        Self::by(super::Bpe::cl100k())
    }

    /// The tokenizer of a Hugging Face `tokenizer.json`; see [`Hf`](super::Hf).
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or is no such tokenizer.
    #[cfg(feature = "hf")]
    pub fn hf(path: impl AsRef<std::path::Path>) -> Result<Self, super::HfError> {
        super::Hf::load(path).map(Self::by)
    }

    /// `usage`, `events`, or the tokenizer's name.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.0 {
            Choice::Usage => TokenSource::Usage.as_str(),
            Choice::Events => TokenSource::Events.as_str(),
            Choice::Tokenizer(tokenizer) => tokenizer.name(),
        }
    }

    /// A counter for one stream; none without a tokenizer, or from one that panics.
    pub(crate) fn counter(&self) -> Option<Box<dyn Counter>> {
        match &self.0 {
            Choice::Tokenizer(tokenizer) => catch_unwind(AssertUnwindSafe(|| tokenizer.counter())).ok(),
            Choice::Usage | Choice::Events => None,
        }
    }

    /// Whether a figure of this source may stand.
    pub(crate) fn admits(&self, source: TokenSource) -> bool {
        source == TokenSource::Usage || !matches!(self.0, Choice::Usage)
    }
}
