//! What the gate's one lock guards: the counts with their meter, and the queue.

use std::sync::Arc;
use std::task::Waker;

use slab::Slab;

use super::Arrivals;
use super::change::{Change, Quantity};
use super::claim::Claim;
use super::classes::Classes;
use super::counts::Counts;
use super::ledger::{Account, Open, PhaseTimes};
use super::meter::{Ages, GapMeter, Reading};
use super::queue::{Called, Queue};
use super::slot::Departure;
use crate::clock::Instant;

/// The gate's books. There is no second set of them: whether a slot is free is read
/// off the counts, and after every change as many of the queue have been called
/// as there are free slots.
// Laid out as written: what each transition touches lies on few cache lines.
#[derive(Debug)]
#[repr(C)]
pub(super) struct State {
    queue: Queue,
    held: Slab<Held>,
    arrivals: u64,
    ended: u64,
    released: u64,
    /// Tokens that have passed while slots were held that have been given back.
    tokens: u64,
    meter: GapMeter,
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

/// A slot that is held.
#[derive(Debug)]
struct Held {
    admitted_at: Instant,
    /// Opened by whoever has something to enter. Without it all is dispatch.
    account: Option<Arc<Account>>,
}

/// A slot as it is taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Admission {
    pub(super) at: Instant,
    key: usize,
}

/// What an arrival finds.
#[derive(Debug)]
pub(super) enum Arrival {
    Admitted(Admission),
    Waits { at: Instant, ticket: u64 },
    Refused { at: Instant, counts: Counts },
}

impl State {
    pub(super) fn new(cap: u32, classes: &Classes, at: Instant) -> Self {
        let counts = Counts { cap, in_flight: 0, waiting: 0, backoff: 0, backlog: 0 };
        Self {
            meter: GapMeter::new(counts, at),
            queue: Queue::new(classes),
            held: Slab::new(),
            arrivals: 0,
            ended: 0,
            released: 0,
            tokens: 0,
        }
    }

    pub(super) fn counts(&self) -> &Counts {
        self.meter.counts()
    }

    /// The counts and integrals, without what the slots are doing.
    pub(super) fn integrals(&self) -> Reading {
        self.meter.reading(Instant::now())
    }

    /// The same, and the ledger with every open account up to date, and with the
    /// tokens that have passed while slots were held. It takes time for each slot
    /// that is held.
    pub(super) fn reading(&self) -> (Reading, u64) {
        let at = Instant::now();
        let mut open = Open::default();
        for (_, held) in &self.held {
            open.add(held.admitted_at, held.account.as_deref(), at);
        }
        // Not before what some account has entered meanwhile.
        let mut reading = self.integrals();
        reading.totals.add_phases(&open.times);
        let age = |since: Instant| reading.at.since(since);
        reading.ages = Ages {
            oldest_queued: self.queue.oldest().map(age),
            oldest_in_flight: open.oldest.map(age),
            longest_silence: open.quietest.map(age),
        };
        (reading, self.tokens.saturating_add(open.tokens))
    }

    pub(super) fn arrivals(&self) -> Arrivals {
        Arrivals { arrivals: self.arrivals, ended: self.ended, released: self.released }
    }

    /// A request arrives: it goes in if a slot is free and nobody waits, else
    /// into the queue, unless `max_queue` are there already.
    pub(super) fn arrive(&mut self, claim: Claim, max_queue: Option<u64>) -> Arrival {
        let (at, counts) = (Instant::now(), *self.counts());
        self.arrivals += 1;
        if counts.free() > 0 && self.queue.is_empty() {
            self.meter.update(at, |counts| counts.in_flight += 1);
            return Arrival::Admitted(self.hold(at));
        }
        if max_queue.is_some_and(|most| counts.waiting >= most) {
            self.ended += 1;
            return Arrival::Refused { at, counts };
        }
        let ticket = self.arrivals;
        self.meter.update(at, |counts| counts.waiting += 1);
        self.queue.join(ticket, at, claim);
        // It may be called at once; it has no waker yet, and will see it when it runs.
        let _ = self.call();
        Arrival::Waits { at, ticket }
    }

    /// Lets in a waiter that has been called; else it waits on with this waker.
    pub(super) fn admit(&mut self, ticket: u64, waker: Waker) -> (Option<Admission>, After) {
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
        let admission = self.hold(at);
        (Some(admission), After { called: self.call(), stale: Some(waker) })
    }

    /// A waiter leaves without a slot.
    pub(super) fn leave(&mut self, ticket: u64) -> (Departure, After) {
        let departure = Departure { at: Instant::now(), counts: *self.counts() };
        self.ended += 1;
        self.meter.update(departure.at, |counts| counts.waiting = counts.waiting.saturating_sub(1));
        let stale = self.queue.leave(ticket);
        (departure, After { called: self.call(), stale })
    }

    pub(super) fn release(&mut self, slot: &Admission) -> (Departure, After) {
        let account = self.held.try_remove(slot.key).and_then(|held| held.account);
        let (at, phases) = match &account {
            // Read by the account itself, whose last entry it does not precede.
            Some(account) => {
                self.tokens = self.tokens.saturating_add(account.tokens());
                account.close()
            }
            None => {
                let at = Instant::now();
                (at, PhaseTimes::dispatch(at.nanos_since(slot.at)))
            }
        };
        let departure = Departure { at, counts: *self.counts() };
        self.ended += 1;
        self.released += 1;
        self.meter.update(at, |counts| counts.in_flight = counts.in_flight.saturating_sub(1));
        self.meter.attribute(&phases);
        (departure, After { called: self.call(), stale: None })
    }

    /// The account of a slot that is held; opened, if it was not before.
    pub(super) fn account(&mut self, slot: &Admission) -> Arc<Account> {
        let new = || Arc::new(Account::new(slot.at));
        match self.held.get_mut(slot.key) {
            Some(held) => held.account.get_or_insert_with(new).clone(),
            None => new(),
        }
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

    fn hold(&mut self, at: Instant) -> Admission {
        let key = self.held.insert(Held { admitted_at: at, account: None });
        Admission { at, key }
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
