//! The pool: one capacity, and all that measures it.

mod builder;
mod history;
mod tally;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use tokio::runtime::Handle;
use tokio::time::MissedTickBehavior;

pub use self::builder::Builder;
use self::history::History;
pub(crate) use self::tally::Tally;
use crate::diagnosis::Diagnosis;
use crate::gate::{Arrivals, Backlog, Backoff, Gate, HeldSlot, InvalidCap, Queued, Reading, Snapshot};
#[cfg(feature = "connect")]
use crate::observe::Connected;
use crate::observe::{FirstToken, Metrics, Observer, Observers, Sample};
use crate::outcome::Outcome;
use crate::record::RequestRecord;
use crate::sync::Mutex;
use crate::tokens::Tokens;
use crate::wire::{Dialects, Reader};

/// The handle of one capacity: its gate, its tokenizer and its observers. Cheap
/// to clone; all clones are the same pool.
///
/// The pool ends, and tells its observers so, with [`close`](Self::close) or
/// when the last clone is gone and no request is under way.
#[derive(Clone, Debug)]
pub struct Pool {
    inner: Arc<Inner>,
}

/// How a pool stands, and who is under way in it: see [`Pool::under_way`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UnderWay {
    /// How it stands.
    pub sample: Sample,
    /// The oldest that hold a slot, by admission.
    pub in_flight: Vec<HeldSlot>,
    /// The oldest that wait at the gate, by arrival.
    pub queued: Vec<Queued>,
}

/// Which pool it is, without being a handle of it.
#[derive(Clone, Debug)]
pub(crate) struct PoolId(Weak<Inner>);

#[derive(Debug)]
struct Inner {
    name: Arc<str>,
    gate: Gate,
    tokens: Arc<Tokens>,
    dialects: Dialects,
    event_limit: usize,
    observers: Arc<Observers>,
    sample_interval: Duration,
    sampling: AtomicBool,
    /// Held from a sample until it has been told, so that samples are told in order.
    telling: Mutex<()>,
    told: AtomicU64,
    tally: Tally,
    history: History,
    /// Requests that have ended and whose tokens are still being counted.
    counts_open: AtomicU64,
    closing: AtomicBool,
    closed: AtomicBool,
}

// === impl Pool ===

impl Pool {
    /// Settings for a pool of this name, with one slot unless told otherwise.
    #[must_use]
    pub fn builder(name: &str) -> Builder {
        Builder::new(name)
    }

    /// The pool's name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.inner.name
    }

    /// The counts and integrals at this moment, all of one instant.
    #[must_use]
    pub fn reading(&self) -> Reading {
        self.inner.gate.reading()
    }

    /// How many arrived and how many of them have ended.
    #[must_use]
    pub fn arrivals(&self) -> Arrivals {
        self.inner.gate.arrivals()
    }

    /// Takes a sample now, tells the observers of it, and gives it: a run log gets
    /// a line of it. See [`snapshot`](Self::snapshot) for one that is told to nobody.
    pub fn sample(&self) -> Sample {
        let _in_order = self.inner.telling.lock();
        let sample = self.inner.snapshot();
        self.inner.observers.tell(|observer| observer.sample(&sample));
        self.inner.history.push(sample.clone());
        sample
    }

    /// How the pool stands now, which nobody else is told of.
    #[must_use]
    pub fn snapshot(&self) -> Sample {
        self.inner.snapshot()
    }

    /// The same, and of the same instant the oldest `most` that hold a slot and
    /// the oldest `most` that wait. Beyond what a [`reading`](Self::reading) takes,
    /// it takes a moment more for each slot that is held.
    #[must_use]
    pub fn under_way(&self, most: usize) -> UnderWay {
        let (snapshot, in_flight, queued) = self.inner.gate.under_way(most);
        UnderWay { sample: self.inner.sample_of(snapshot), in_flight, queued }
    }

    /// Brings the metrics up to now, and tells nobody else. Whoever answers a
    /// scrape calls this first.
    pub fn publish(&self) {
        let _in_order = self.inner.telling.lock();
        Metrics.sample(&self.snapshot());
    }

    /// The sample that a window which ends with `now` begins with: the last that
    /// was taken at least `window` before it, or else the first. Samples are the
    /// fewer the longer ago, so the window that is found may be longer.
    #[must_use]
    pub fn sample_before(&self, now: &Sample, window: Duration) -> Sample {
        self.inner.history.before(now, window).unwrap_or_else(|| now.clone())
    }

    /// The samples that were taken at most `window` before `now`, the oldest first:
    /// no more than a few hundred, and the fewer the longer ago.
    #[must_use]
    pub fn samples_since(&self, now: &Sample, window: Duration) -> Vec<Sample> {
        self.inner.history.since(now, window)
    }

    /// Where throughput was lost in the last `window`, as far back as the pool
    /// reaches. The window that was found is in the diagnosis: see
    /// [`sample_before`](Self::sample_before).
    #[must_use]
    pub fn diagnose(&self, window: Duration) -> Diagnosis {
        let now = self.snapshot();
        Diagnosis::of(&self.sample_before(&now, window), &now)
    }

    /// Changes the number of slots while running: see [`Gate::set_cap`].
    ///
    /// # Errors
    /// [`InvalidCap`] when `cap` is not in 1..=[`Gate::MAX_CAP`].
    pub fn set_cap(&self, cap: u32) -> Result<(), InvalidCap> {
        self.inner.gate.set_cap(cap)
    }

    /// Declares work that is not submitted yet: see [`Gate::backlog`].
    pub fn backlog(&self, count: u64) -> Backlog {
        self.inner.gate.backlog(count)
    }

    /// Marks one request as waiting to be tried again: see [`Gate::backoff`].
    pub fn backoff(&self) -> Backoff {
        self.inner.gate.backoff()
    }

    /// Whether every request that has arrived has ended and been told of: the
    /// time to [`close`](Self::close).
    #[must_use]
    pub fn is_settled(&self) -> bool {
        // First what was told: it can only grow meanwhile.
        let told = self.inner.told.load(Ordering::Acquire);
        told == self.inner.gate.arrivals().arrivals
    }

    /// Ends the run: tells the observers that it is over, so that a log writes
    /// its last line. To be called when no request is under way any more; what
    /// ends later is told to nobody. A second call does nothing. A record whose
    /// tokens are still being counted goes out before the end, with its count
    /// given up if that has not begun; [`is_closed`](Self::is_closed) tells
    /// when that is done.
    pub fn close(&self) {
        self.inner.closing.store(true, Ordering::SeqCst);
        if self.inner.counts_open.load(Ordering::SeqCst) == 0 {
            self.inner.close();
        }
    }

    /// Whether the end of the run has been told to all.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inner.closed.load(Ordering::Acquire)
    }

    pub(crate) fn gate(&self) -> &Gate {
        &self.inner.gate
    }

    /// How tokens are counted.
    pub(crate) fn tokens(&self) -> &Tokens {
        &self.inner.tokens
    }

    /// A reader for one response.
    pub(crate) fn reader(&self, status: StatusCode, headers: &HeaderMap) -> Reader {
        Reader::new(status, headers)
            .with_dialects(self.inner.dialects.clone())
            .with_event_limit(self.inner.event_limit)
            .with_tokens(&self.inner.tokens)
    }

    /// What is counted beside the gate.
    pub(crate) fn tally(&self) -> &Tally {
        &self.inner.tally
    }

    pub(crate) fn id(&self) -> PoolId {
        PoolId(Arc::downgrade(&self.inner))
    }

    /// A record waits for the count of its tokens.
    pub(crate) fn count_begins(&self) {
        self.inner.counts_open.fetch_add(1, Ordering::SeqCst);
    }

    /// It has been told. The last one closes a pool that waits for it.
    pub(crate) fn count_ended(&self) {
        let was = self.inner.counts_open.fetch_sub(1, Ordering::SeqCst);
        if was == 1 && self.is_closing() {
            self.inner.close();
        }
    }

    /// Whether the run is over, so that counts that are still open are not waited for.
    pub(crate) fn is_closing(&self) -> bool {
        self.inner.closing.load(Ordering::SeqCst)
    }

    pub(crate) fn first_token(&self, ttft: Duration) {
        let first = FirstToken { pool: self.inner.name.clone(), ttft };
        self.inner.observers.tell(|observer| observer.first_token(&first));
    }

    /// A connection was made or could not be, and that was known after that time.
    #[cfg(feature = "connect")]
    pub(crate) fn connect_ended(&self, is_made: bool, elapsed: Duration) {
        self.inner.tally.connect_ended(is_made, elapsed);
        let connected = Connected { pool: self.inner.name.clone(), is_made, elapsed };
        self.inner.observers.tell(|observer| observer.connected(&connected));
    }

    pub(crate) fn ended(&self, record: RequestRecord) {
        let tally = &self.inner.tally;
        tally.dispatched(record.retries_made().count() as u64);
        if record.outcome == Outcome::Completed {
            tally.completed(record.output_tokens().unwrap_or(0));
        }
        let record = Arc::new(record);
        self.inner.observers.tell(|observer| observer.request(&record));
        self.inner.told.fetch_add(1, Ordering::Release);
    }

    /// Starts the samples, where there is a runtime to take them in and they
    /// have not started before.
    pub(crate) fn start_sampling(&self) {
        if self.inner.sampling.load(Ordering::Relaxed) {
            return;
        }
        let Ok(runtime) = Handle::try_current() else { return };
        if !self.inner.sampling.swap(true, Ordering::Relaxed) {
            let sampled = Sampled(Arc::downgrade(&self.inner));
            runtime.spawn(sample_on_cadence(sampled, self.inner.sample_interval));
        }
    }
}

// === impl PoolId ===

impl PoolId {
    /// Whether it is this one.
    pub(crate) fn is(&self, pool: &Pool) -> bool {
        std::ptr::eq(self.0.as_ptr(), Arc::as_ptr(&pool.inner))
    }
}

/// The pool that is sampled. Where the runtime ends before it, the next to send a
/// request through it takes over.
struct Sampled(Weak<Inner>);

impl Drop for Sampled {
    fn drop(&mut self) {
        // Not where taking samples is over, or cannot be.
        let inner = self.0.upgrade().filter(|inner| !inner.observers.have_ended());
        if let Some(inner) = inner.filter(|_| !std::thread::panicking()) {
            inner.sampling.store(false, Ordering::Relaxed);
        }
    }
}

async fn sample_on_cadence(pool: Sampled, cadence: Duration) {
    let mut ticks = tokio::time::interval(cadence);
    // After a pause the next sample is due at once, and then on the old cadence.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let Some(inner) = pool.0.upgrade() else { return };
        if inner.observers.have_ended() {
            return;
        }
        Pool { inner }.sample();
    }
}

// === impl Inner ===

impl Inner {
    fn snapshot(&self) -> Sample {
        self.sample_of(self.gate.snapshot())
    }

    fn sample_of(&self, (reading, seen, tokens): Snapshot) -> Sample {
        let mut sample = Sample::new(self.name.clone(), reading, seen.arrivals, tokens);
        self.tally.complete(&mut sample);
        sample
    }

    fn close(&self) {
        let told = self.observers.end(|| {
            let _in_order = self.telling.lock();
            self.snapshot()
        });
        if told {
            self.closed.store(true, Ordering::Release);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}
