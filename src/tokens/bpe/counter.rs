//! The counter of one stream.

use std::fmt;

use bpe::appendable_encoder::AppendableEncoder;

use super::encoding::Encoding;
use super::split::Split;
use crate::tokens::Counter;

/// Counts one text: splits it, and adds up its pieces.
pub(super) struct BpeCounter {
    encoding: &'static Encoding,
    split: Split,
    scratch: AppendableEncoder<'static>,
}

impl BpeCounter {
    pub(super) fn new(encoding: &'static Encoding, longest_piece: usize) -> Self {
        Self { encoding, split: Split::new(longest_piece), scratch: encoding.vocabulary.scratch() }
    }
}

impl Counter for BpeCounter {
    fn push(&mut self, text: &str) -> u64 {
        let mut tokens = 0;
        let Encoding { automaton, vocabulary, .. } = self.encoding;
        self.split.push(automaton, text, |piece| tokens += vocabulary.count(piece, &mut self.scratch));
        tokens
    }

    fn pending(&self) -> usize {
        self.split.pending()
    }

    fn finish(&mut self) -> u64 {
        let mut tokens = 0;
        let Encoding { automaton, vocabulary, .. } = self.encoding;
        self.split.finish(automaton, |piece| tokens += vocabulary.count(piece, &mut self.scratch));
        tokens
    }
}

impl fmt::Debug for BpeCounter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BpeCounter").field("encoding", &self.encoding).finish_non_exhaustive()
    }
}
