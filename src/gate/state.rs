//! What the gate's lock guards: the counts with their meter, and the few
//! waiters that a lowered cap holds back.

use std::collections::BTreeMap;
use std::task::Waker;

use super::Arrivals;
use super::change::{Change, Quantity};
use super::meter::{Counts, GapMeter, Reading};
use crate::clock::Instant;

/// The gate's own books.
///
/// tokio's semaphore decides who is next; these counts decide what is true.
/// Its permits are `cap + surplus` at every moment: `surplus` is what a
/// lowered cap could not take back at once, because slots or woken waiters
/// held it. Each of them is paid off as it comes back.
#[derive(Debug)]
pub(super) struct State {
    meter: GapMeter,
    surplus: u32,
    /// Waiters that got a permit, and found the cap lowered meanwhile. They
    /// stand before everyone in the semaphore's queue, in the order of arrival.
    held_back: BTreeMap<u64, Waker>,
    arrivals: u64,
    ended: u64,
}

/// What is left to do once the lock is free: nothing that can run a stranger's
/// code happens under it, be it a waker's call or its drop.
#[derive(Debug, Default)]
#[must_use]
pub(super) struct After {
    pub(super) permits: usize,
    pub(super) wake: Option<Waker>,
    /// A waker that is of no more use, to be dropped.
    pub(super) stale: Option<Waker>,
}

impl State {
    pub(super) fn new(cap: u32, at: Instant) -> Self {
        let counts = Counts { cap, in_flight: 0, waiting: 0, backoff: 0, backlog: 0 };
        Self {
            meter: GapMeter::new(counts, at),
            surplus: 0,
            held_back: BTreeMap::new(),
            arrivals: 0,
            ended: 0,
        }
    }

    pub(super) fn counts(&self) -> &Counts {
        self.meter.counts()
    }

    pub(super) fn reading(&self) -> Reading {
        self.meter.reading(Instant::now())
    }

    pub(super) fn arrivals(&self) -> Arrivals {
        Arrivals { arrivals: self.arrivals, ended: self.ended }
    }

    /// Counts an arrival; its number is its place in the order of arrivals.
    pub(super) fn arrive(&mut self) -> u64 {
        self.arrivals += 1;
        self.arrivals
    }

    /// Whether an arrival may go straight in, if the semaphore has a permit.
    pub(super) fn is_open(&self) -> bool {
        self.held_back.is_empty() && self.counts().free() > 0
    }

    pub(super) fn enter(&mut self, at: Instant) {
        self.meter.update(at, |counts| counts.in_flight += 1);
    }

    pub(super) fn wait(&mut self, at: Instant) {
        self.meter.update(at, |counts| counts.waiting += 1);
    }

    pub(super) fn refuse(&mut self) {
        self.ended += 1;
    }

    /// Lets in a waiter that got its permit, or holds it back while the cap
    /// forbids it or an earlier one is held back.
    pub(super) fn admit(&mut self, ticket: u64, waker: &Waker) -> (Option<Instant>, After) {
        let next = self.held_back.keys().next().is_none_or(|&first| ticket <= first);
        if self.counts().free() == 0 || !next {
            let stale = self.held_back.insert(ticket, waker.clone());
            return (None, After { stale, ..After::default() });
        }
        let stale = self.held_back.remove(&ticket);
        let at = Instant::now();
        self.meter.update(at, |counts| {
            counts.waiting = counts.waiting.saturating_sub(1);
            counts.in_flight += 1;
        });
        (Some(at), self.after(0, stale))
    }

    /// A waiter leaves without a slot, and gives back the permit if it had one.
    pub(super) fn leave(&mut self, ticket: u64, permitted: bool) -> (Instant, Counts, After) {
        let (at, before) = (Instant::now(), *self.counts());
        let stale = self.held_back.remove(&ticket);
        self.ended += 1;
        self.meter.update(at, |counts| counts.waiting = counts.waiting.saturating_sub(1));
        let permits = if permitted { self.give_back() } else { 0 };
        (at, before, self.after(permits, stale))
    }

    pub(super) fn release(&mut self) -> (Instant, Counts, After) {
        let (at, before) = (Instant::now(), *self.counts());
        self.ended += 1;
        self.meter.update(at, |counts| counts.in_flight = counts.in_flight.saturating_sub(1));
        let permits = self.give_back();
        (at, before, self.after(permits, None))
    }

    /// Raises or lowers the cap; `forget` takes back as many free permits as it
    /// can of the number it is given, and says how many.
    pub(super) fn set_cap(&mut self, cap: u32, forget: impl FnOnce(u32) -> u32) -> (Change, After) {
        let (at, from) = (Instant::now(), self.counts().cap);
        let change = Change { quantity: Quantity::Cap, at, from: from.into(), to: cap.into() };
        self.meter.update(at, |counts| counts.cap = cap);
        if cap < from {
            let lowered = from - cap;
            self.surplus += lowered - forget(lowered);
            return (change, After::default());
        }
        let raised = cap - from;
        let paid = raised.min(self.surplus);
        self.surplus -= paid;
        (change, self.after((raised - paid) as usize, None))
    }

    /// Changes the backlog or the number in back-off.
    pub(super) fn adjust(&mut self, quantity: Quantity, to: impl FnOnce(u64) -> u64) -> Change {
        let at = Instant::now();
        let mut change = Change { quantity, at, from: 0, to: 0 };
        self.meter.update(at, |counts| {
            let value = match quantity {
                Quantity::Backoff => &mut counts.backoff,
                _ => &mut counts.backlog,
            };
            change.from = *value;
            *value = to(*value);
            change.to = *value;
        });
        change
    }

    fn give_back(&mut self) -> usize {
        if self.surplus > 0 {
            self.surplus -= 1;
            0
        } else {
            1
        }
    }

    fn after(&self, permits: usize, stale: Option<Waker>) -> After {
        let wake = if self.counts().free() > 0 { self.held_back.values().next().cloned() } else { None };
        After { permits, wake, stale }
    }
}
