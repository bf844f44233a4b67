//! Who hears of what was measured.

mod metrics;
mod run_log;
mod sample;

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub use self::metrics::{BUCKETS, Metrics, exposition};
pub use self::run_log::{Dropped, RunLog};
pub use self::sample::Sample;
use crate::clock::Instant;
use crate::gate::Change;
use crate::record::RequestRecord;

/// Hears of all that a pool measures. Each method runs where the news was made:
/// in the request's task, in that of the samples, or, for a record that waited
/// for its tokens to be counted, on the thread that counts. It must not block. A
/// panic in one is caught and costs nobody else a thing.
pub trait Observer: Debug + Send + Sync + 'static {
    /// The pool starts. Told once, before everything else.
    fn start(&self, start: &Start) {
        let _ = start;
    }

    /// The first token of a request has come.
    fn first_token(&self, first: &FirstToken) {
        let _ = first;
    }

    /// A connection to the upstream was made, or could not be. Told where a connector is measured.
    fn connected(&self, connected: &Connected) {
        let _ = connected;
    }

    /// A request has ended; its slot has gone back. Told once for each that arrived.
    fn request(&self, record: &Arc<RequestRecord>) {
        let _ = record;
    }

    /// The cap, the backlog or the number in back-off has changed.
    fn change(&self, pool: &Arc<str>, change: &Change) {
        let _ = (pool, change);
    }

    /// How the pool stands, on a fixed cadence.
    fn sample(&self, sample: &Sample) {
        let _ = sample;
    }

    /// The pool ends, and how it stood then. Told once, and nothing after it but
    /// what another thread was being told already.
    /// Here blocking is allowed: it is the time to write what is held.
    fn end(&self, sample: &Sample) {
        let _ = sample;
    }
}

/// What is known of a pool as it starts.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Start {
    /// The pool's name.
    pub pool: Arc<str>,
    /// When it started.
    pub at: Instant,
    /// Its cap.
    pub cap: u32,
    /// How it counts tokens: see [`Tokens::name`](crate::tokens::Tokens::name).
    pub tokenizer: Arc<str>,
    /// The cadence of its samples.
    pub sample_interval: Duration,
}

/// The first token of a request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FirstToken {
    /// The pool's name.
    pub pool: Arc<str>,
    /// What the user waited for it, the queue included.
    pub ttft: Duration,
}

/// The end of one attempt to connect to the upstream.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Connected {
    /// The pool's name.
    pub pool: Arc<str>,
    /// Whether there is a connection now.
    pub is_made: bool,
    /// How long it took: see the feature `connect`.
    pub elapsed: Duration,
}

/// All who hear of one pool, until they have been told of its end.
#[derive(Debug)]
pub(crate) struct Observers {
    all: Vec<Box<dyn Observer>>,
    ended: AtomicBool,
}

impl Observers {
    pub(crate) fn new(all: Vec<Box<dyn Observer>>) -> Self {
        Self { all, ended: AtomicBool::new(false) }
    }

    /// Tells each, unless the end has been told.
    pub(crate) fn tell(&self, news: impl Fn(&dyn Observer)) {
        if !self.have_ended() {
            self.each(news);
        }
    }

    /// Tells each of the end, once: how the pool stands then is asked only if
    /// so. True for the call that told it, when it has.
    pub(crate) fn end(&self, sample: impl FnOnce() -> Sample) -> bool {
        let is_first = !self.ended.swap(true, Ordering::AcqRel);
        if is_first {
            let sample = sample();
            self.each(|observer| observer.end(&sample));
        }
        is_first
    }

    pub(crate) fn have_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// A record may be made while a body is dropped, where a panic that got out
    /// could end the process.
    fn each(&self, news: impl Fn(&dyn Observer)) {
        for observer in &self.all {
            let _ = catch_unwind(AssertUnwindSafe(|| news(&**observer)));
        }
    }
}
