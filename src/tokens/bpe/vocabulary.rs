//! How many tokens a piece is.

use std::collections::HashSet;

use bpe::appendable_encoder::AppendableEncoder;
use bpe::byte_pair_encoding::BytePairEncoding;
use foldhash::fast::FixedState;

/// The longest piece that is counted in a stream's own scratch space, in bytes.
/// Longer ones are rare, and take space of their own that goes back at once.
const LONGEST_IN_SCRATCH: usize = 1024;

/// The most ASCII in such a piece. The way of counting that needs no space of
/// its own looks at every token that ends at a byte, and of those that are all
/// blanks or dashes there are dozens.
const MOST_ASCII_IN_SCRATCH: usize = 64;

/// The tokens of one encoding.
pub(super) struct Vocabulary {
    bpe: &'static BytePairEncoding,
    /// Every token. A piece that is one needs no encoding. Nothing that a
    /// stream says gets into it, so a fixed seed is no weakness.
    tokens: HashSet<&'static [u8], FixedState>,
}

impl Vocabulary {
    pub(super) fn new(bpe: &'static BytePairEncoding) -> Self {
        let ids = 0..u32::try_from(bpe.num_tokens()).unwrap_or(u32::MAX);
        Self { bpe, tokens: ids.map(|id| bpe.token_bytes(id)).collect() }
    }

    /// Space in which a stream's pieces are counted. Empty until it is needed.
    pub(super) fn scratch(&self) -> AppendableEncoder<'static> {
        AppendableEncoder::new(self.bpe)
    }

    pub(super) fn count(&self, piece: &[u8], scratch: &mut AppendableEncoder<'static>) -> u64 {
        if self.tokens.contains(piece) {
            1
        } else if fits_in_scratch(piece) {
            scratch.truncate(0);
            scratch.extend(piece.iter().copied());
            scratch.token_count() as u64
        } else {
            self.bpe.count(piece) as u64
        }
    }
}

fn fits_in_scratch(piece: &[u8]) -> bool {
    let ascii = || piece.iter().filter(|byte| byte.is_ascii()).count();
    piece.len() <= MOST_ASCII_IN_SCRATCH
        || piece.len() <= LONGEST_IN_SCRATCH && ascii() <= MOST_ASCII_IN_SCRATCH
}
