//! The byte-pair encodings of OpenAI, counted exactly while the text streams.
//!
//! A byte-pair encoding does not see the text as a whole: a pattern first
//! splits it into pieces, and each piece is encoded for itself. So the count of
//! a stream is exact if the pieces are those of the whole text. One automaton
//! of the pattern's alternatives reads the bytes as they come, and a piece is
//! counted once the automaton has proven that no text to come can change it:
//! `split` does that, `vocabulary` counts a piece.

mod automaton;
mod counter;
mod encoding;
mod split;
mod vocabulary;

use self::counter::BpeCounter;
use self::encoding::Encoding;
use super::{Counter, Tokenizer};

/// The longest piece that is waited for, in bytes, unless told otherwise.
const LONGEST_PIECE: usize = 64 * 1024;

/// The shortest such bound: any single character fits, and the byte after it.
const LEAST_LONGEST_PIECE: usize = 16;

/// One of OpenAI's encodings, as `tiktoken`'s `encode_ordinary` counts it: the
/// names of special tokens are text like any other.
///
/// The count is exact however the text is cut, with one exception: a piece of
/// more than 64 KiB (see [`longest_piece`](Self::longest_piece)).
#[derive(Clone, Debug)]
pub struct Bpe {
    encoding: &'static Encoding,
    longest_piece: usize,
}

impl Bpe {
    /// `o200k_base`: GPT-4o and what came after it.
    ///
    /// The first call in a process loads the vocabulary, which takes a moment
    /// and blocks: call it before requests are served. All that follow share it.
    #[must_use]
    pub fn o200k() -> Self {
        Self { encoding: encoding::o200k(), longest_piece: LONGEST_PIECE }
    }

    /// `cl100k_base`: GPT-4 and GPT-3.5.
    ///
    /// Loads once, like [`o200k`](Self::o200k).
    #[must_use]
    pub fn cl100k() -> Self {
        Self { encoding: encoding::cl100k(), longest_piece: LONGEST_PIECE }
    }

    /// Bounds the text that a stream holds back until it is certain, in bytes:
    /// 64 KiB unless told otherwise, 16 at the least.
    ///
    /// A piece that grows to the bound is counted as it stands and the rest
    /// begins a new one, at the same place however the text is cut. There the
    /// count can differ from the reference, by a few tokens each time. Only
    /// a run of one kind gets so long: a word, a rule of dashes, or blanks.
    #[must_use]
    pub fn longest_piece(mut self, bytes: usize) -> Self {
        self.longest_piece = bytes.max(LEAST_LONGEST_PIECE);
        self
    }
}

impl Tokenizer for Bpe {
    fn name(&self) -> &str {
        self.encoding.name()
    }

    fn counter(&self) -> Box<dyn Counter> {
        Box::new(BpeCounter::new(self.encoding, self.longest_piece))
    }
}
