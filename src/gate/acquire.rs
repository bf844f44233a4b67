//! The wait for a slot.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::time::Sleep;

use super::Inner;
use super::slot::{Departure, Slot};
use crate::clock::Instant;

/// The future of [`Gate::acquire`](super::Gate::acquire). Dropping it leaves the queue.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled, and this one holds a place in the queue"]
pub struct Acquire {
    gate: Arc<Inner>,
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
    Queued(Waiter),
    Refused(Refusal),
    Done,
}

struct Waiter {
    ticket: u64,
    /// The place in the semaphore's queue; none once it has given its permit.
    permit: Option<Pin<Box<dyn Future<Output = bool> + Send + Sync>>>,
    timer: Option<Pin<Box<Sleep>>>,
}

// === impl Acquire ===

impl Acquire {
    pub(super) fn new(gate: Arc<Inner>) -> Self {
        let mut state = gate.state.lock();
        // Read under the lock, as every instant of the gate is: their order is
        // the order of the events.
        let queued_at = Instant::now();
        let ticket = state.arrive();
        let place = if state.is_open() && take_permit(&gate) {
            state.enter(queued_at);
            Place::Admitted(Slot::new(Arc::clone(&gate), queued_at, queued_at))
        } else if gate.max_queue.is_some_and(|most| state.counts().waiting >= most) {
            let departure = Departure { at: queued_at, counts: *state.counts() };
            state.refuse();
            Place::Refused(Refusal { reason: Refused::QueueFull, queued_at, departure })
        } else {
            state.wait(queued_at);
            // Polled under the lock, so that the semaphore's order is that of
            // the arrivals. The first poll of ours brings the true waker.
            let mut waiter = Waiter { ticket, permit: Some(wait_for_permit(&gate)), timer: None };
            waiter.poll_permit(&mut Context::from_waker(Waker::noop()));
            Place::Queued(waiter)
        };
        drop(state);
        Self { gate, queued_at, place }
    }

    /// When the request arrived.
    #[must_use]
    pub fn queued_at(&self) -> Instant {
        self.queued_at
    }

    /// What the arrival itself decided, a slot or a refusal, without waiting to
    /// be polled; absent while the request waits, and once it has resolved.
    pub fn settled(&mut self) -> Option<Result<Slot, Refusal>> {
        match std::mem::replace(&mut self.place, Place::Done) {
            Place::Admitted(slot) => Some(Ok(slot)),
            Place::Refused(refusal) => Some(Err(refusal)),
            waiting => {
                self.place = waiting;
                None
            }
        }
    }

    /// Gives up, as dropping it does, and tells when that was; absent once it
    /// has resolved, or was refused.
    pub fn cancel(&mut self) -> Option<Departure> {
        match std::mem::replace(&mut self.place, Place::Done) {
            Place::Admitted(slot) => Some(slot.release()),
            Place::Queued(waiter) => Some(self.leave(waiter)),
            Place::Refused(_) | Place::Done => None,
        }
    }

    fn leave(&self, waiter: Waiter) -> Departure {
        let permitted = waiter.permit.is_none();
        let (at, counts, after) = self.gate.state.lock().leave(waiter.ticket, permitted);
        // A permit that was handed over but not seen yet goes on from here.
        drop(waiter);
        self.gate.finish(after);
        Departure { at, counts }
    }

    fn poll_timer(gate: &Inner, queued_at: Instant, waiter: &mut Waiter, cx: &mut Context<'_>) -> Poll<()> {
        if waiter.timer.is_none() {
            let deadline = gate.queue_timeout.and_then(|timeout| queued_at.after(timeout));
            waiter.timer = deadline.map(|at| Box::pin(tokio::time::sleep_until(at.into_tokio())));
        }
        match &mut waiter.timer {
            Some(timer) => timer.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}

impl Future for Acquire {
    type Output = Result<Slot, Refusal>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Place::Queued(waiter) = &mut this.place {
            if waiter.poll_permit(cx) {
                let (admitted, after) = this.gate.state.lock().admit(waiter.ticket, cx.waker());
                this.gate.finish(after);
                if let Some(admitted_at) = admitted {
                    this.place = Place::Done;
                    let gate = Arc::clone(&this.gate);
                    return Poll::Ready(Ok(Slot::new(gate, this.queued_at, admitted_at)));
                }
            }
            if Self::poll_timer(&this.gate, this.queued_at, waiter, cx).is_pending() {
                return Poll::Pending;
            }
        }
        match std::mem::replace(&mut this.place, Place::Done) {
            Place::Admitted(slot) => Poll::Ready(Ok(slot)),
            Place::Refused(refusal) => Poll::Ready(Err(refusal)),
            Place::Queued(waiter) => {
                let departure = this.leave(waiter);
                let reason = Refused::QueueTimeout;
                Poll::Ready(Err(Refusal { reason, queued_at: this.queued_at, departure }))
            }
            // It has resolved before; there is nothing more to come.
            Place::Done => Poll::Pending,
        }
    }
}

impl Drop for Acquire {
    fn drop(&mut self) {
        self.cancel();
    }
}

/// Takes a free permit. Its own account is the gate's, so it is forgotten here
/// and given back with `add_permits`.
fn take_permit(gate: &Inner) -> bool {
    gate.semaphore.try_acquire().map(|permit| permit.forget()).is_ok()
}

fn wait_for_permit(gate: &Inner) -> Pin<Box<dyn Future<Output = bool> + Send + Sync>> {
    let semaphore = Arc::clone(&gate.semaphore);
    let acquire = async move { semaphore.acquire_owned().await.map(|permit| permit.forget()).is_ok() };
    // tokio's budget would else leave a first poll outside the queue.
    Box::pin(tokio::task::unconstrained(acquire))
}

// === impl Waiter ===

impl Waiter {
    /// Whether the permit is there. (The semaphore is never closed.)
    fn poll_permit(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(permit) = &mut self.permit else { return true };
        let there = permit.as_mut().poll(cx) == Poll::Ready(true);
        if there {
            self.permit = None;
        }
        there
    }
}

impl fmt::Debug for Waiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiter")
            .field("ticket", &self.ticket)
            .field("permitted", &self.permit.is_none())
            .finish_non_exhaustive()
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
