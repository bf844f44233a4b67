//! Who waits, in the order of arrival, and who of them has been called.

use std::collections::BTreeMap;
use std::task::Waker;

use smallvec::SmallVec;

use crate::clock::Instant;

/// The wakers of those who are called.
pub(super) type Called = SmallVec<[Waker; 1]>;

/// The waiting line. Those who have been called are its head: as many as there
/// are slots for, and each may go in when its task next runs.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// By ticket, and so by arrival.
    waiting: BTreeMap<u64, Place>,
    /// Tickets below it have been called.
    next: u64,
    called: usize,
}

#[derive(Debug)]
struct Place {
    since: Instant,
    /// There while nobody has used it.
    waker: Option<Waker>,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// When whoever has waited longest arrived.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.waiting.first_key_value().map(|(_, place)| place.since)
    }

    /// Everyone in it with the time of arrival, the oldest first.
    pub(super) fn in_order(&self) -> impl Iterator<Item = (u64, Instant)> {
        self.waiting.iter().map(|(ticket, place)| (*ticket, place.since))
    }

    /// Takes the last place. Tickets must rise.
    pub(super) fn join(&mut self, ticket: u64, at: Instant) {
        self.waiting.insert(ticket, Place { since: at, waker: None });
    }

    /// Whether the owner of this ticket may go in.
    pub(super) fn is_called(&self, ticket: u64) -> bool {
        ticket < self.next && self.waiting.contains_key(&ticket)
    }

    /// Leaves a waker to be called with, and gives back the one it replaces.
    pub(super) fn register(&mut self, ticket: u64, waker: Waker) -> Option<Waker> {
        match self.waiting.get_mut(&ticket) {
            Some(place) => place.waker.replace(waker),
            // It does not wait: its waker is of no use.
            None => Some(waker),
        }
    }

    /// Gives up a place, and gives back the waker that was left there.
    pub(super) fn leave(&mut self, ticket: u64) -> Option<Waker> {
        let place = self.waiting.remove(&ticket)?;
        if ticket < self.next {
            self.called -= 1;
        }
        place.waker
    }

    /// Calls so many that `free` have been called, or takes the last calls back
    /// where a cap was lowered: who was woken by one finds out when it runs.
    pub(super) fn call(&mut self, free: usize) -> Called {
        let mut wakers = Called::new();
        if self.waiting.is_empty() {
            return wakers;
        }
        while self.called < free {
            let Some((&ticket, place)) = self.waiting.range_mut(self.next..).next() else { break };
            wakers.extend(place.waker.take());
            self.next = ticket + 1;
            self.called += 1;
        }
        while self.called > free {
            let Some((&ticket, _)) = self.waiting.range(..self.next).next_back() else { break };
            self.next = ticket;
            self.called -= 1;
        }
        wakers
    }
}
