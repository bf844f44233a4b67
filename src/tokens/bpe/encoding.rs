//! The encodings: loaded once a process, shared by every stream.

use std::fmt;
use std::sync::OnceLock;

use super::automaton::Automaton;
use super::vocabulary::Vocabulary;

/// Where a piece ends, `o200k_base`.
const O200K: &str = concat!(
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|",
    r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+$",
);

/// Where a piece ends, `cl100k_base`.
const CL100K: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|",
    r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+$",
);

/// One encoding: how text is split, and how many tokens a piece is.
pub(super) struct Encoding {
    name: &'static str,
    pub(super) automaton: Automaton,
    pub(super) vocabulary: Vocabulary,
}

impl Encoding {
    pub(super) fn name(&self) -> &'static str {
        self.name
    }
}

impl fmt::Debug for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoding").field("name", &self.name).finish_non_exhaustive()
    }
}

pub(super) fn o200k() -> &'static Encoding {
    static LOADED: OnceLock<Encoding> = OnceLock::new();
    LOADED.get_or_init(|| Encoding {
        name: "o200k_base",
        automaton: Automaton::new(O200K),
        vocabulary: Vocabulary::new(&bpe_openai::o200k_base().bpe),
    })
}

pub(super) fn cl100k() -> &'static Encoding {
    static LOADED: OnceLock<Encoding> = OnceLock::new();
    LOADED.get_or_init(|| Encoding {
        name: "cl100k_base",
        automaton: Automaton::new(CL100K),
        vocabulary: Vocabulary::new(&bpe_openai::cl100k_base().bpe),
    })
}
