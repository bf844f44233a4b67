//! A slot: the right to be in flight, given back when dropped.

use std::sync::Arc;

use super::Inner;
use super::counts::Counts;
use super::ledger::Account;
use super::state::Admission;
use crate::clock::Instant;

/// A slot of the gate. Dropping it gives it back.
#[derive(Debug)]
#[must_use = "dropping a slot gives it back at once"]
pub struct Slot {
    gate: Arc<Inner>,
    queued_at: Instant,
    admission: Admission,
    released: bool,
}

/// How a request left the gate: when, and into what it left.
#[derive(Clone, Copy, Debug)]
pub struct Departure {
    /// When its slot, or its place in the queue, was given up.
    pub at: Instant,
    /// The counts just before, itself included unless it was refused on arrival.
    pub counts: Counts,
}

impl Slot {
    pub(super) fn new(gate: Arc<Inner>, queued_at: Instant, admission: Admission) -> Self {
        Self { gate, queued_at, admission, released: false }
    }

    /// When it arrived at the gate.
    #[must_use]
    pub fn queued_at(&self) -> Instant {
        self.queued_at
    }

    /// When its task resumed with the slot; the same reading as
    /// [`queued_at`](Self::queued_at) if a slot was free for it on arrival.
    #[must_use]
    pub fn admitted_at(&self) -> Instant {
        self.admission.at
    }

    /// Where what is done with the slot is entered.
    pub(crate) fn account(&self) -> Arc<Account> {
        self.gate.state.lock().account(&self.admission)
    }

    /// Gives the slot back and tells when that was.
    pub fn release(mut self) -> Departure {
        self.give_back()
    }

    fn give_back(&mut self) -> Departure {
        self.released = true;
        let (departure, after) = self.gate.state.lock().release(&self.admission);
        after.finish();
        departure
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !self.released {
            self.give_back();
        }
    }
}
