//! Who hears of what was measured.

mod metrics;
mod run_log;
mod sample;

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

pub use self::metrics::{BUCKETS, Metrics, exposition};
pub use self::run_log::{Dropped, RunLog};
pub use self::sample::Sample;
use crate::clock::Instant;
use crate::gate::Change;
use crate::record::RequestRecord;

/// Hears of all that a pool measures. Each method runs in the task that made
/// the news, and must not block. A panic in one is caught and costs nobody else
/// a thing.
pub trait Observer: Debug + Send + Sync + 'static {
    /// The pool starts. Told once, before everything else.
    fn start(&self, start: &Start) {
        let _ = start;
    }

    /// The first token of a request has come.
    fn first_token(&self, first: &FirstToken) {
        let _ = first;
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

    /// The pool ends, and how it stood then. Told once, when its requests have
    /// been told; a change that comes later may still be.
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

/// All who hear of one pool.
#[derive(Debug)]
pub(crate) struct Observers(Vec<Box<dyn Observer>>);

impl Observers {
    pub(crate) fn new(observers: Vec<Box<dyn Observer>>) -> Self {
        Self(observers)
    }

    /// Tells each. A record may be made while a body is dropped, where a panic
    /// that got out could end the process.
    pub(crate) fn tell(&self, news: impl Fn(&dyn Observer)) {
        for observer in &self.0 {
            let _ = catch_unwind(AssertUnwindSafe(|| news(&**observer)));
        }
    }
}
