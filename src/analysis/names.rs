//! The words of a run, each kept once.

use std::collections::HashMap;

/// A word of a run's [`Names`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Name(u16);

/// Each word once, in the order in which they were first met.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    words: Vec<Box<str>>,
    of: HashMap<Box<str>, Name>,
}

impl Names {
    /// What stands for every word that finds no room.
    const OTHER: &'static str = "(other)";
    /// So many words have room. What is counted by name has few; a foreign file may have any number.
    const MOST: usize = 4_096;

    pub(super) fn intern(&mut self, word: &str) -> Name {
        if let Some(name) = self.of.get(word) {
            return *name;
        }
        let word = if self.words.len() < Self::MOST { word } else { Self::OTHER };
        let next = Name(self.words.len() as u16);
        let name = *self.of.entry(word.into()).or_insert(next);
        if name == next {
            self.words.push(word.into());
        }
        name
    }

    pub(super) fn get(&self, name: Name) -> &str {
        self.words.get(usize::from(name.0)).map_or(Self::OTHER, |word| word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A word keeps its name, and what finds no room shares one.
    #[test]
    fn each_word_once() {
        let mut names = Names::default();
        let first = names.intern("a");
        assert_eq!((names.intern("a"), names.get(first)), (first, "a"));
        for word in 0..10_000 {
            names.intern(&word.to_string());
        }
        let (one, another) = (names.intern("b"), names.intern("c"));
        assert_eq!((one, names.get(one)), (another, Names::OTHER));
        assert_eq!(names.words.len(), Names::MOST + 1);
    }
}
