//! Who waits, and who of them has been called.

use std::collections::BTreeMap;
use std::task::Waker;

use smallvec::SmallVec;

use super::claim::Claim;
use super::classes::Classes;
use super::order::{Order, Turn};
use crate::clock::Instant;

/// The wakers of those who are called.
pub(super) type Called = SmallVec<[Waker; 1]>;

/// Those who wait. Of them as many have been called as there are slots for, and
/// each of those may go in when its task next runs.
#[derive(Debug)]
pub(super) struct Queue {
    /// All of them by ticket, and so by arrival.
    waiting: BTreeMap<u64, Place>,
    /// The turns of those who have been called; the last is the first to be taken back.
    called: BTreeMap<Call, Turn>,
    calls: u64,
    /// Those who have not.
    order: Order,
}

/// The rank of a call and its number.
type Call = (usize, u64);

#[derive(Debug)]
struct Place {
    since: Instant,
    claim: Claim,
    /// There once it has been called.
    call: Option<Call>,
    /// There while nobody has used it.
    waker: Option<Waker>,
}

impl Queue {
    pub(super) fn new(classes: &Classes) -> Self {
        Self { waiting: BTreeMap::new(), called: BTreeMap::new(), calls: 0, order: Order::new(classes) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// When whoever has waited longest arrived.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.waiting.first_key_value().map(|(_, place)| place.since)
    }

    /// Takes the last place of its kind. Tickets must rise.
    pub(super) fn join(&mut self, ticket: u64, at: Instant, claim: Claim) {
        self.waiting.insert(ticket, Place { since: at, claim, call: None, waker: None });
        self.order.join(ticket, claim);
    }

    /// Whether the owner of this ticket may go in.
    pub(super) fn is_called(&self, ticket: u64) -> bool {
        self.waiting.get(&ticket).is_some_and(|place| place.call.is_some())
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
        match place.call {
            Some(call) => drop(self.called.remove(&call)),
            None => self.order.leave(ticket, place.claim),
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
        while self.called.len() < free {
            let Some(turn) = self.order.next() else { break };
            self.calls += 1;
            let call = (self.order.rank(&turn), self.calls);
            self.called.insert(call, turn);
            if let Some(place) = self.waiting.get_mut(&turn.ticket) {
                place.call = Some(call);
                wakers.extend(place.waker.take());
            }
        }
        while self.called.len() > free {
            let Some((_, turn)) = self.called.pop_last() else { break };
            self.order.take_back(turn);
            if let Some(place) = self.waiting.get_mut(&turn.ticket) {
                place.call = None;
            }
        }
        wakers
    }
}
