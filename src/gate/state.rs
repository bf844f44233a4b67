//! What the gate's one lock guards: the counts with their meter, and the queue.

use std::task::Waker;

use super::Arrivals;
use super::change::{Change, Quantity};
use super::meter::{Counts, GapMeter, Reading};
use super::queue::{Called, Queue};
use crate::clock::Instant;

/// The gate's books. There is no second account: whether a slot is free is read
/// off the counts, and after every change as many of the queue have been called
/// as there are free slots.
#[derive(Debug)]
pub(super) struct State {
    meter: GapMeter,
    queue: Queue,
    arrivals: u64,
    ended: u64,
    released: u64,
}

/// What is left to do once the lock is free: nothing that can run a stranger's
/// code happens under it, be it a waker's call, its clone or its drop.
#[derive(Debug, Default)]
#[must_use]
pub(super) struct After {
    called: Called,
    /// A waker that is of no more use.
    stale: Option<Waker>,
}

/// What an arrival finds.
#[derive(Debug)]
pub(super) enum Arrival {
    Admitted(Instant),
    Waits { at: Instant, ticket: u64 },
    Refused { at: Instant, counts: Counts },
}

impl State {
    pub(super) fn new(cap: u32, at: Instant) -> Self {
        let counts = Counts { cap, in_flight: 0, waiting: 0, backoff: 0, backlog: 0 };
        Self { meter: GapMeter::new(counts, at), queue: Queue::default(), arrivals: 0, ended: 0, released: 0 }
    }

    pub(super) fn counts(&self) -> &Counts {
        self.meter.counts()
    }

    pub(super) fn reading(&self) -> Reading {
        self.meter.reading(Instant::now())
    }

    pub(super) fn arrivals(&self) -> Arrivals {
        Arrivals { arrivals: self.arrivals, ended: self.ended, released: self.released }
    }

    /// A request arrives: it goes in if a slot is free and nobody waits, else
    /// to the end of the queue, unless `max_queue` are there already.
    pub(super) fn arrive(&mut self, max_queue: Option<u64>) -> Arrival {
        let (at, counts) = (Instant::now(), *self.counts());
        self.arrivals += 1;
        if counts.free() > 0 && self.queue.is_empty() {
            self.meter.update(at, |counts| counts.in_flight += 1);
            return Arrival::Admitted(at);
        }
        if max_queue.is_some_and(|most| counts.waiting >= most) {
            self.ended += 1;
            return Arrival::Refused { at, counts };
        }
        let ticket = self.arrivals;
        self.meter.update(at, |counts| counts.waiting += 1);
        self.queue.join(ticket);
        // It may be called at once; it has no waker yet, and will see it when it runs.
        let _ = self.call();
        Arrival::Waits { at, ticket }
    }

    /// Lets in a waiter that has been called; else it waits on with this waker.
    pub(super) fn admit(&mut self, ticket: u64, waker: Waker) -> (Option<Instant>, After) {
        if !self.queue.is_called(ticket) {
            let stale = self.queue.register(ticket, waker);
            return (None, After { stale, ..After::default() });
        }
        // Whoever was called has no waker left here: the call took it, or there was none.
        let _ = self.queue.leave(ticket);
        let at = Instant::now();
        self.meter.update(at, |counts| {
            counts.waiting = counts.waiting.saturating_sub(1);
            counts.in_flight += 1;
        });
        (Some(at), After { called: self.call(), stale: Some(waker) })
    }

    /// A waiter leaves without a slot.
    pub(super) fn leave(&mut self, ticket: u64) -> (Instant, Counts, After) {
        let (at, before) = (Instant::now(), *self.counts());
        self.ended += 1;
        self.meter.update(at, |counts| counts.waiting = counts.waiting.saturating_sub(1));
        let stale = self.queue.leave(ticket);
        (at, before, After { called: self.call(), stale })
    }

    pub(super) fn release(&mut self) -> (Instant, Counts, After) {
        let (at, before) = (Instant::now(), *self.counts());
        self.ended += 1;
        self.released += 1;
        self.meter.update(at, |counts| counts.in_flight = counts.in_flight.saturating_sub(1));
        (at, before, After { called: self.call(), stale: None })
    }

    pub(super) fn set_cap(&mut self, cap: u32) -> (Change, After) {
        let (at, from) = (Instant::now(), self.counts().cap);
        self.meter.update(at, |counts| counts.cap = cap);
        let change = Change { quantity: Quantity::Cap, at, from: from.into(), to: cap.into() };
        (change, After { called: self.call(), stale: None })
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

    fn call(&mut self) -> Called {
        let free = self.counts().free();
        self.queue.call(free as usize)
    }
}

impl After {
    /// Does it.
    pub(super) fn finish(self) {
        self.called.into_iter().for_each(Waker::wake);
        drop(self.stale);
    }
}
