//! Counting tokens on text as it passes, and where a count comes from.

#[cfg(feature = "bpe")]
mod bpe;
mod choice;
mod counting;
#[cfg(feature = "hf")]
mod hf;
mod later;

use std::fmt::{self, Debug};

#[cfg(feature = "bpe")]
pub use self::bpe::Bpe;
pub use self::choice::Tokens;
pub(crate) use self::counting::Counting;
#[cfg(feature = "hf")]
pub use self::hf::{Hf, HfError};
pub(crate) use self::later::{Turn, count_later};

/// A way to cut text into tokens.
pub trait Tokenizer: Send + Sync + Debug + 'static {
    /// What the record calls it.
    fn name(&self) -> &str;

    /// A counter at the start of one text.
    fn counter(&self) -> Box<dyn Counter>;
}

/// Counts the tokens of one text that comes in pieces. How the text is cut
/// into pieces changes nothing about the sum.
pub trait Counter: Send + Sync + Debug {
    /// Takes the next piece, and tells how many tokens became certain with it.
    fn push(&mut self, text: &str) -> u64;

    /// Takes the end of the text, and tells how many tokens that leaves.
    fn finish(&mut self) -> u64;

    /// How many bytes of text are taken and not counted yet, so that a later
    /// call has to count them. Where that is much, no call is made from within
    /// a poll.
    fn pending(&self) -> usize {
        0
    }

    /// Whether the count was given up. What was told before then counts for
    /// nothing, and no more is asked of this counter.
    fn is_lost(&self) -> bool {
        false
    }
}

/// Where a count of output tokens comes from, best first. Counts of different
/// sources are never added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenSource {
    /// The provider's own final figure.
    Usage,
    /// Our tokenizer, on the text as it passed.
    Tokenizer,
    /// One for each event that carried content.
    Events,
}

impl TokenSource {
    /// The name in logs and labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Tokenizer => "tokenizer",
            Self::Events => "events",
        }
    }
}

impl fmt::Display for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
