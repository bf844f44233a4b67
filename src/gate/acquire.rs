//! The wait for a slot.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::time::Sleep;

use super::Inner;
use super::claim::Claim;
use super::slot::{Departure, Slot};
use super::state::Arrival;
use crate::clock::Instant;

/// The future of [`Gate::acquire`](super::Gate::acquire). Dropping it leaves the queue.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled, and this one holds a place in the queue"]
pub struct Acquire {
    queued_at: Instant,
    place: Place,
}

/// Why a request was not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// As many as `max_queue` allows were waiting already.
    QueueFull,
    /// It waited for `queue_timeout` in vain.
    QueueTimeout,
}

/// A request that was not admitted: why, and from when to when it waited.
#[derive(Clone, Copy, Debug)]
pub struct Refusal {
    /// The reason.
    pub reason: Refused,
    /// When it arrived.
    pub queued_at: Instant,
    /// When and into what it left.
    pub departure: Departure,
}

#[derive(Debug)]
enum Place {
    Admitted(Slot),
    Queued { gate: Arc<Inner>, ticket: u64, timer: Option<Pin<Box<Sleep>>> },
    Refused(Refusal),
    Done,
}

// === impl Acquire ===

impl Acquire {
    pub(super) fn new(gate: &Arc<Inner>, claim: Claim) -> Self {
        let (arrival, gate) = {
            // The handle too under the lock, while its line is at hand.
            let mut state = gate.state.lock();
            (state.arrive(claim, gate.max_queue), Arc::clone(gate))
        };
        let (queued_at, place) = match arrival {
            Arrival::Admitted(admission) => {
                (admission.at, Place::Admitted(Slot::new(gate, admission.at, admission)))
            }
            Arrival::Waits { at, ticket } => (at, Place::Queued { gate, ticket, timer: None }),
            Arrival::Refused { at, counts } => {
                let departure = Departure { at, counts };
                (at, Place::Refused(Refusal { reason: Refused::QueueFull, queued_at: at, departure }))
            }
        };
        Self { queued_at, place }
    }

    /// When the request arrived.
    #[must_use]
    pub fn queued_at(&self) -> Instant {
        self.queued_at
    }

    /// What the arrival itself decided, a slot or a refusal, without waiting to
    /// be polled; absent while the request waits, and once it has resolved.
    pub fn settled(&mut self) -> Option<Result<Slot, Refusal>> {
        if let Place::Queued { .. } | Place::Done = self.place {
            return None;
        }
        match std::mem::replace(&mut self.place, Place::Done) {
            Place::Admitted(slot) => Some(Ok(slot)),
            Place::Refused(refusal) => Some(Err(refusal)),
            Place::Queued { .. } | Place::Done => None,
        }
    }

    /// Gives up, as dropping it does, and tells when that was; absent once it
    /// has resolved, or was refused.
    pub fn cancel(&mut self) -> Option<Departure> {
        match std::mem::replace(&mut self.place, Place::Done) {
            Place::Admitted(slot) => Some(slot.release()),
            Place::Queued { gate, ticket, .. } => Some(leave(&gate, ticket)),
            Place::Refused(_) | Place::Done => None,
        }
    }

    /// Waits in line until called, or until time is up.
    fn poll_queued(&mut self, cx: &mut Context<'_>) -> Poll<Result<Slot, Refusal>> {
        let Place::Queued { gate, ticket, timer } = &mut self.place else { return Poll::Pending };
        let ticket = *ticket;
        let waker = cx.waker().clone();
        let (admitted, after) = gate.state.lock().admit(ticket, waker);
        after.finish();
        if let Some(admission) = admitted {
            let slot = Slot::new(Arc::clone(gate), self.queued_at, admission);
            self.place = Place::Done;
            return Poll::Ready(Ok(slot));
        }
        if timer.is_none() {
            let deadline = gate.queue_timeout.and_then(|timeout| self.queued_at.after(timeout)?.into_tokio());
            *timer = deadline.map(|at| Box::pin(tokio::time::sleep_until(at)));
        }
        let Some(timer) = timer else { return Poll::Pending };
        ready!(timer.as_mut().poll(cx));
        let departure = leave(gate, ticket);
        self.place = Place::Done;
        Poll::Ready(Err(Refusal { reason: Refused::QueueTimeout, queued_at: self.queued_at, departure }))
    }
}

fn leave(gate: &Inner, ticket: u64) -> Departure {
    let (departure, after) = gate.state.lock().leave(ticket);
    after.finish();
    departure
}

impl Future for Acquire {
    type Output = Result<Slot, Refusal>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.settled() {
            Some(decided) => Poll::Ready(decided),
            // Once it has resolved there is nothing more to come.
            None => self.poll_queued(cx),
        }
    }
}

impl Drop for Acquire {
    fn drop(&mut self) {
        if !matches!(self.place, Place::Done) {
            self.cancel();
        }
    }
}

// === impl Refused ===

impl Refused {
    /// The reason in DEFINITIONS' words: `queue_full` or `queue_timeout`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::QueueTimeout => "queue_timeout",
        }
    }
}

// === impl Refusal ===

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.reason {
            Refused::QueueFull => "the queue is full: try again later, or raise max_queue",
            Refused::QueueTimeout => "no slot came free in time: try again later, or raise queue_timeout",
        })
    }
}

impl std::error::Error for Refusal {}
