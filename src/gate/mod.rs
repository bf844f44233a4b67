//! The gate: an asynchronous semaphore that keeps books.
//!
//! It admits at most `cap` requests at once, first come first served unless
//! their [`Claim`]s differ, and counts exactly who holds a slot and who waits. A [`GapMeter`] under the same
//! lock integrates those counts, so that the time in which a slot was free
//! while work waited is known to the nanosecond. Nothing here knows HTTP.
//!
//! A request *arrives* with [`Gate::acquire`], which takes its place then and
//! there. If a slot is free and nobody waits, it is *in flight* from that
//! moment. Else it waits, is called when its turn comes, and is in flight from
//! the moment its own task resumes: a slot to which a task was called that does
//! not run shows as a gap. It is in flight until its [`Slot`] is released or
//! dropped.
//!
//! There is one set of books, under one lock. A semaphore beside it would be a
//! second one: between the counts and its permits there is always a moment in
//! which they differ, and in it an arrival is refused although a slot is free,
//! or overtakes one who was there before.

mod acquire;
mod backlog;
mod change;
mod claim;
mod classes;
mod counts;
mod ledger;
mod meter;
mod order;
mod queue;
mod slot;
mod state;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_utils::CachePadded;

pub use self::acquire::{Acquire, Refusal, Refused};
pub use self::backlog::{Backlog, Backoff, Items};
pub use self::change::{Change, Quantity};
pub use self::claim::Claim;
pub use self::classes::Classes;
pub use self::counts::{Counts, GapCause};
pub(crate) use self::ledger::{Account, Found};
pub use self::ledger::{PhaseTimes, Retry, SlotPhase};
pub use self::meter::{Ages, GapMeter, Reading, Totals};
pub use self::slot::{Departure, Slot};

use self::change::Listener;
use self::state::State;
use crate::clock::Instant;
use crate::sync::Mutex;

/// A cap-limited gate with an exact account of its slots and its queue. Cheap
/// to clone; all clones are the same gate.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use tower_tps::gate::Gate;
///
/// let gate = Gate::new(2).expect("2 is a valid cap");
/// let slot = gate.acquire().await.expect("no bound on the queue is set");
/// assert_eq!(gate.reading().counts.in_flight, 1);
/// drop(slot);
/// assert_eq!(gate.reading().counts.in_flight, 0);
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Gate {
    inner: Arc<Inner>,
}

/// Settings of a [`Gate`].
#[derive(Debug)]
pub struct Builder {
    cap: u32,
    classes: Classes,
    max_queue: Option<u64>,
    queue_timeout: Option<Duration>,
    listener: Listener,
}

/// A cap outside 1..=[`Gate::MAX_CAP`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidCap(u32);

/// How many requests have come to a gate, and how many have left it.
///
/// At every instant `arrivals == ended + in_flight + waiting`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrivals {
    /// All calls of [`Gate::acquire`] and [`Gate::acquire_as`].
    pub arrivals: u64,
    /// Those that released their slot, gave up, or were refused.
    pub ended: u64,
    /// Those that held a slot and have given it back.
    pub released: u64,
}

#[derive(Debug)]
struct Inner {
    started_at: Instant,
    /// On cache lines of its own: who clones or drops a handle does not take them
    /// from who holds the lock.
    state: CachePadded<Mutex<State>>,
    max_queue: Option<u64>,
    queue_timeout: Option<Duration>,
    listener: Listener,
}

// === impl Gate ===

impl Gate {
    /// The largest cap: 2^20 slots.
    pub const MAX_CAP: u32 = 1 << 20;

    /// A gate of `cap` slots, with no bound on its queue.
    ///
    /// # Errors
    /// [`InvalidCap`] when `cap` is not in 1..=[`MAX_CAP`](Self::MAX_CAP).
    pub fn new(cap: u32) -> Result<Self, InvalidCap> {
        Self::builder(cap).build()
    }

    /// Settings for a gate of `cap` slots.
    #[must_use]
    pub fn builder(cap: u32) -> Builder {
        Builder {
            cap,
            classes: Classes::default(),
            max_queue: None,
            queue_timeout: None,
            listener: Listener::default(),
        }
    }

    /// Arrives now: holds a slot at once if one is free and nobody waits, else
    /// takes a place in the queue: the last, where nobody makes a claim. The
    /// future resolves to the slot.
    ///
    /// Unlike most futures it stands in the queue before it is first polled.
    ///
    /// # Errors
    /// The future resolves to a [`Refusal`] when the queue is full or the wait
    /// took too long.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the queue at once; a slot that was on its
    /// way goes to the next in line.
    pub fn acquire(&self) -> Acquire {
        self.acquire_as(&Claim::default())
    }

    /// The same with a claim, which decides about the place in the queue; see
    /// [`Classes`].
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    ///
    /// # Cancel safety
    /// As [`acquire`](Self::acquire).
    pub fn acquire_as(&self, claim: &Claim) -> Acquire {
        Acquire::new(&self.inner, *claim)
    }

    /// Changes the number of slots. Above a lowered cap nothing new is
    /// admitted until enough of those in flight have left; none is ended.
    ///
    /// # Errors
    /// [`InvalidCap`] when `cap` is not in 1..=[`MAX_CAP`](Self::MAX_CAP); the
    /// cap then stays as it was.
    pub fn set_cap(&self, cap: u32) -> Result<(), InvalidCap> {
        check(cap)?;
        let (change, after) = self.inner.state.lock().set_cap(cap);
        after.finish();
        self.inner.listener.tell(&change);
        Ok(())
    }

    /// Declares `count` pieces of work that are to come and are not submitted
    /// yet. They count in `queue_depth` until the guard lets them go.
    pub fn backlog(&self, count: u64) -> Backlog {
        Backlog::new(Arc::clone(&self.inner), count)
    }

    /// Marks one request that holds no slot as waiting to be tried again. It
    /// counts in `queue_depth` while the guard lives.
    pub fn backoff(&self) -> Backoff {
        Backoff::new(Arc::clone(&self.inner))
    }

    /// The counts and integrals at this moment, all of one instant. It takes a
    /// moment for each slot that is held.
    #[must_use]
    pub fn reading(&self) -> Reading {
        self.inner.state.lock().reading().0
    }

    /// When the meter started.
    #[must_use]
    pub fn started_at(&self) -> Instant {
        self.inner.started_at
    }

    /// How many arrived and how many of them have ended.
    #[must_use]
    pub fn arrivals(&self) -> Arrivals {
        self.inner.state.lock().arrivals()
    }

    /// Both of the same instant, and the tokens that have passed while slots were held.
    pub(crate) fn snapshot(&self) -> (Reading, Arrivals, u64) {
        let state = self.inner.state.lock();
        let (reading, tokens) = state.reading();
        (reading, state.arrivals(), tokens)
    }

    /// Both at a cost that does not grow: without what the slots are doing.
    pub(crate) fn integrals(&self) -> (Reading, Arrivals) {
        let state = self.inner.state.lock();
        (state.integrals(), state.arrivals())
    }
}

fn check(cap: u32) -> Result<(), InvalidCap> {
    if (1..=Gate::MAX_CAP).contains(&cap) { Ok(()) } else { Err(InvalidCap(cap)) }
}

// === impl Builder ===

impl Builder {
    /// The number of slots, in 1..=[`Gate::MAX_CAP`].
    #[must_use]
    pub fn cap(mut self, cap: u32) -> Self {
        self.cap = cap;
        self
    }

    /// The priority classes of those who wait. Without it they are all one.
    #[must_use]
    pub fn classes(mut self, classes: Classes) -> Self {
        self.classes = classes;
        self
    }

    /// Refuses an arrival that would have to wait when this many already do.
    /// 0 means that nobody waits. Without it the queue is unbounded.
    #[must_use]
    pub fn max_queue(mut self, waiting: u64) -> Self {
        self.max_queue = Some(waiting);
        self
    }

    /// Refuses whoever has waited this long, as soon as its task runs. Needs a
    /// tokio runtime with its timer on. Without it a request waits for as long
    /// as it takes.
    #[must_use]
    pub fn queue_timeout(mut self, timeout: Duration) -> Self {
        self.queue_timeout = Some(timeout);
        self
    }

    /// Calls `listener` after each change of the cap, the backlog or the number
    /// in back-off. Together with what each request saw, these hold the whole
    /// state at every instant. It runs in the task that made the change and
    /// must not block.
    #[must_use]
    pub fn on_change(mut self, listener: impl Fn(&Change) + Send + Sync + 'static) -> Self {
        self.listener = Listener::new(listener);
        self
    }

    /// Builds the gate; its meter starts now.
    ///
    /// # Errors
    /// [`InvalidCap`] when the cap is not in 1..=[`Gate::MAX_CAP`].
    pub fn build(self) -> Result<Gate, InvalidCap> {
        check(self.cap)?;
        let started_at = Instant::now();
        let inner = Inner {
            started_at,
            state: CachePadded::new(Mutex::new(State::new(self.cap, &self.classes, started_at))),
            max_queue: self.max_queue,
            queue_timeout: self.queue_timeout,
            listener: self.listener,
        };
        Ok(Gate { inner: Arc::new(inner) })
    }
}

// === impl InvalidCap ===

impl fmt::Display for InvalidCap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a cap of {} is out of range: give 1 to {}", self.0, Gate::MAX_CAP)
    }
}

impl std::error::Error for InvalidCap {}

// === impl Inner ===

impl Inner {
    /// Changes the backlog or the number in back-off.
    fn adjust(&self, quantity: Quantity, to: impl FnOnce(u64) -> u64) {
        let change = self.state.lock().adjust(quantity, to);
        self.listener.tell(&change);
    }
}
