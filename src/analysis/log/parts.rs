//! The parts of a run whose log was cut, and what is missing of them.

use std::collections::BTreeMap;

use crate::clock::Instant;

/// Those that were read, by their numbers.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// With the log and the line that each begins in.
    read: BTreeMap<u32, (Box<str>, u64)>,
    /// The one in which the run begins.
    first: Option<u32>,
    /// How it stood where the earliest of the others begins.
    cut: Option<(u32, Cut)>,
}

/// How a run stood where it was cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    pub(super) at: Instant,
    pub(super) cap: u32,
    pub(super) backlog: u64,
    pub(super) backoff: u64,
}

impl Parts {
    /// The log that this part was read from, if it was.
    pub(super) fn log_of(&self, part: u32) -> Option<&str> {
        self.read.get(&part).map(|(file, _)| &**file)
    }

    /// A part is read. Without a cut the run begins in it. True where it is the earliest so far.
    pub(super) fn add(&mut self, part: u32, cut: Option<Cut>, file: Box<str>, line: u64) -> bool {
        let is_earliest = self.read.first_key_value().is_none_or(|(first, _)| part < *first);
        self.read.insert(part, (file, line));
        match cut {
            None => self.first = Some(part),
            Some(cut) if self.cut.is_none_or(|(other, _)| part < other) => self.cut = Some((part, cut)),
            Some(_) => {}
        }
        is_earliest
    }

    /// How the run stood where it is read from, if that is not its beginning.
    pub(super) fn beginning(&self) -> Option<Cut> {
        self.cut.filter(|_| self.first.is_none()).map(|(_, cut)| cut)
    }

    /// The first part that was read: its number, its log and its line.
    pub(super) fn earliest(&self) -> Option<(u32, &str, u64)> {
        self.read.first_key_value().map(|(part, (file, line))| (*part, &**file, *line))
    }

    /// The parts that are missing between others, from the one to the other, and the log
    /// and the line after them.
    pub(super) fn missing(&self) -> impl Iterator<Item = (u32, u32, &str, u64)> {
        let both = self.read.iter().zip(self.read.iter().skip(1));
        both.filter_map(|((before, _), (after, (file, line)))| {
            (before + 1 < *after).then_some((before + 1, after - 1, &**file, *line))
        })
    }
}
