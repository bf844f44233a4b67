//! The automaton that finds where a piece ends.

use std::collections::HashMap;
use std::fmt;

use regex_automata::dfa::{Automaton as _, StartKind, dense};
use regex_automata::util::primitives::StateID;
use regex_automata::util::start;
use regex_automata::{Anchored, MatchKind};

/// `\s+(?!\S)` without a look-ahead: what it matches ends before the last character.
const BLANKS_BEFORE_A_BLANK: &str = r"\s+\s";

/// What is left of blanks: one before a character of another kind.
const BLANKS: &str = r"\s+";

/// Which pattern's matches end before their last character.
const WITHOUT_LAST_PATTERN: usize = 1;

const MATCH: u32 = 1;
const LAST: u32 = 2;
const WITHOUT_LAST: u32 = 4;
const FLAGS: u32 = 3;

/// One anchored, leftmost-first automaton over the patterns of an encoding, as
/// a flat table. Unlike the automaton that it is made from, it knows of a match
/// that it is the last one without being shown one byte more.
pub(super) struct Automaton {
    classes: [u8; 256],
    /// A row for each state, a column for each class of bytes and, last, the end.
    table: Vec<Step>,
    columns: usize,
}

/// A step: the state it leads to, and what is known of the text before the byte
/// that was taken.
#[derive(Clone, Copy)]
pub(super) struct Step(u32);

impl Step {
    /// The start of a piece.
    pub(super) const START: Self = Self(0);

    /// Whether a match ends here. A longer one may follow.
    #[inline]
    pub(super) fn is_match(self) -> bool {
        self.0 & MATCH != 0
    }

    /// Whether no further match can follow: the last one stands.
    #[inline]
    pub(super) fn is_last(self) -> bool {
        self.0 & LAST != 0
    }

    /// Whether either holds.
    #[inline]
    pub(super) fn is_special(self) -> bool {
        self.0 & (MATCH | LAST) != 0
    }

    /// Whether the piece is the match without its last character.
    #[inline]
    pub(super) fn is_without_last(self) -> bool {
        self.0 & WITHOUT_LAST != 0
    }

    #[inline]
    fn row(self) -> usize {
        (self.0 >> FLAGS) as usize
    }
}

impl Automaton {
    /// # Panics
    ///
    /// If `pattern` is not valid. Ours are, which the tests show.
    pub(super) fn new(pattern: &str) -> Self {
        let config = dense::Config::new()
            .accelerate(false)
            .match_kind(MatchKind::LeftmostFirst)
            .start_kind(StartKind::Anchored);
        let dfa = dense::Builder::new()
            .configure(config)
            .build_many(&[pattern, BLANKS_BEFORE_A_BLANK, BLANKS])
            .expect("the patterns are valid");
        Self::flatten(&dfa)
    }

    fn flatten(dfa: &dense::DFA<Vec<u32>>) -> Self {
        let mut classes = [0; 256];
        let mut representatives = Vec::new();
        for byte in 0..=u8::MAX {
            let class = dfa.byte_classes().get(byte);
            classes[usize::from(byte)] = class;
            if usize::from(class) == representatives.len() {
                representatives.push(byte);
            }
        }
        let steps = |state: StateID| {
            let bytes = representatives.iter().map(move |byte| dfa.next_state(state, *byte));
            bytes.chain(std::iter::once(dfa.next_eoi_state(state)))
        };
        let columns = representatives.len() + 1;
        let start = dfa
            .start_state(&start::Config::new().anchored(Anchored::Yes))
            .expect("the automaton is anchored and no byte stops it");
        let mut rows = HashMap::from([(start, 0)]);
        let mut states = vec![start];
        let mut table = Vec::new();
        let mut done = 0;
        while let Some(&state) = states.get(done) {
            done += 1;
            for next in steps(state) {
                let is_match = dfa.is_match_state(next);
                let mut flags = if is_match { MATCH } else { 0 };
                if is_match && dfa.match_pattern(next, 0).as_usize() == WITHOUT_LAST_PATTERN {
                    flags |= WITHOUT_LAST;
                }
                if dfa.is_dead_state(next) || steps(next).all(|after| dfa.is_dead_state(after)) {
                    table.push(Step(flags | LAST));
                    continue;
                }
                let row = *rows.entry(next).or_insert_with(|| {
                    states.push(next);
                    (states.len() - 1) * columns
                });
                let row = u32::try_from(row << FLAGS).expect("the table is small");
                table.push(Step(row | flags));
            }
        }
        Self { classes, table, columns }
    }

    /// Takes one more byte.
    #[inline]
    pub(super) fn next(&self, from: Step, byte: u8) -> Step {
        self.table[from.row() + usize::from(self.classes[usize::from(byte)])]
    }

    /// Takes the end of the text.
    pub(super) fn end(&self, from: Step) -> Step {
        self.table[from.row() + self.columns - 1]
    }
}

impl fmt::Debug for Automaton {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Automaton")
            .field("states", &(self.table.len() / self.columns))
            .finish_non_exhaustive()
    }
}
