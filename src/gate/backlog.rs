//! Work that is not at the gate: a declared backlog, and retries in back-off.

use std::sync::Arc;

use super::Inner;
use super::change::Quantity;

/// Work that the program has declared and not yet submitted. What is left of it
/// when the guard is dropped is withdrawn.
#[derive(Debug)]
#[must_use = "a backlog that is dropped is withdrawn"]
pub struct Backlog {
    gate: Arc<Inner>,
    remaining: u64,
}

/// An iterator that hands out a batch and keeps its backlog true. An item
/// leaves the backlog as it is handed out: submit it then.
#[derive(Debug)]
pub struct Items<I> {
    backlog: Backlog,
    items: I,
}

/// One request in retry back-off, without a slot, while the guard lives.
#[derive(Debug)]
#[must_use = "a request is in back-off only while its guard lives"]
pub struct Backoff {
    gate: Arc<Inner>,
}

// === impl Backlog ===

impl Backlog {
    pub(super) fn new(gate: Arc<Inner>, count: u64) -> Self {
        let mut backlog = Self { gate, remaining: 0 };
        backlog.add(count);
        backlog
    }

    /// The pieces of work that are still to be submitted.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.remaining
    }

    /// Declares `count` more.
    pub fn add(&mut self, count: u64) {
        self.gate.adjust(Quantity::Backlog, |backlog| {
            // No more than the sum over all guards can count.
            let to = backlog.saturating_add(count);
            self.remaining += to - backlog;
            to
        });
    }

    /// Takes up to `count` out: they are submitted now, or not to be done. Says
    /// how many there were to take.
    pub fn take(&mut self, count: u64) -> u64 {
        let taken = count.min(self.remaining);
        self.remaining -= taken;
        self.gate.adjust(Quantity::Backlog, |backlog| backlog.saturating_sub(taken));
        taken
    }

    /// Hands out `items`, one of this backlog for each. A longer iterator goes
    /// on with nothing left to take; the rest of a longer backlog is withdrawn
    /// when the iterator is dropped.
    pub fn items<I: IntoIterator>(self, items: I) -> Items<I::IntoIter> {
        Items { backlog: self, items: items.into_iter() }
    }
}

impl Drop for Backlog {
    fn drop(&mut self) {
        self.take(self.remaining);
    }
}

// === impl Items ===

impl<I: Iterator> Iterator for Items<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        let item = self.items.next()?;
        self.backlog.take(1);
        Some(item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.items.size_hint()
    }
}

// === impl Backoff ===

impl Backoff {
    pub(super) fn new(gate: Arc<Inner>) -> Self {
        gate.adjust(Quantity::Backoff, |backoff| backoff.saturating_add(1));
        Self { gate }
    }
}

impl Drop for Backoff {
    fn drop(&mut self) {
        self.gate.adjust(Quantity::Backoff, |backoff| backoff.saturating_sub(1));
    }
}
