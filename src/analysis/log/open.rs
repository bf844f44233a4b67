//! The runs of one log that its lines may belong to.

use std::collections::HashMap;

use crate::clock::Instant;

/// A run of a pool: its id and the pool's name.
pub(super) type Key = (Box<str>, Box<str>);

/// The runs that have begun so far, by their names.
#[derive(Debug, Default)]
pub(super) struct Open {
    of: HashMap<Key, usize>,
    /// Those of each name in the order of their starts: a program that is started
    /// again may go on in the same log, by the same name.
    runs: Vec<Vec<Begun>>,
    /// The name that the last line had.
    last: Option<(Key, usize)>,
}

/// A run that has begun.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begun {
    pub(super) at: Instant,
    pub(super) goes: Goes,
}

/// Where the lines of a run go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goes {
    To(usize),
    /// They were read already.
    Nowhere,
}

/// Which name a line has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Name(usize),
    /// None that has begun.
    New,
    /// It lacks a part of it, and several would fit.
    Several,
}

impl Open {
    /// The name of a line. One that lacks a part of it has the only one that fits.
    pub(super) fn find(&mut self, run_id: Option<&str>, pool: Option<&str>) -> Found {
        if let Some(((last_id, last_pool), index)) = &self.last {
            if Some(&**last_id) == run_id && Some(&**last_pool) == pool {
                return Found::Name(*index);
            }
        }
        let (Some(run_id), Some(pool)) = (run_id, pool) else {
            let is = |of: &str, part: Option<&str>| part.is_none_or(|part| part == of);
            let mut fit = self.of.iter().filter(|((id, name), _)| is(id, run_id) && is(name, pool));
            return match (fit.next(), fit.next()) {
                (None, _) => Found::New,
                (Some((_, index)), None) => Found::Name(*index),
                _ => Found::Several,
            };
        };
        let key: Key = (run_id.into(), pool.into());
        match self.of.get(&key) {
            Some(index) => {
                self.last = Some((key, *index));
                Found::Name(*index)
            }
            None => Found::New,
        }
    }

    /// Of the runs of a name the one that a line of this instant belongs to: the last
    /// that had begun by then, or else the first.
    pub(super) fn at(&self, name: usize, at: Instant) -> Option<Begun> {
        let runs = self.runs.get(name)?;
        let begun = runs.partition_point(|begun| begun.at <= at);
        runs.get(begun.saturating_sub(1)).copied()
    }

    /// A run begins.
    pub(super) fn begin(&mut self, key: Key, begun: Begun) {
        let next = self.runs.len();
        let name = *self.of.entry(key).or_insert(next);
        if name == next {
            self.runs.push(Vec::new());
        }
        let runs = &mut self.runs[name];
        runs.insert(runs.partition_point(|other| other.at <= begun.at), begun);
    }

    /// The run turns out to have begun then.
    pub(super) fn began(&mut self, name: usize, index: usize, at: Instant) {
        let Some(runs) = self.runs.get_mut(name) else { return };
        if let Some(begun) = runs.iter_mut().find(|begun| begun.goes == Goes::To(index)) {
            begun.at = at;
        }
        runs.sort_by_key(|begun| begun.at);
    }
}
