//! The settings of a pool, and its start.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use super::history::History;
use super::tally::Tally;
use super::{Inner, Pool};
use crate::gate::{self, Classes, Gate, InvalidCap};
use crate::observe::{Metrics, Observer, Observers, Start};
use crate::sync::Mutex;
use crate::tokens::Tokens;
use crate::wire::{self, Dialects};

/// Settings of a [`Pool`].
#[derive(Debug)]
pub struct Builder {
    name: Arc<str>,
    gate: gate::Builder,
    sample_interval: Duration,
    tokens: Tokens,
    dialects: Dialects,
    event_limit: usize,
    observers: Vec<Box<dyn Observer>>,
}

impl Builder {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            gate: Gate::builder(1),
            sample_interval: Duration::from_secs(1),
            tokens: Tokens::events(),
            dialects: Dialects::all(),
            event_limit: wire::DEFAULT_LIMIT,
            observers: vec![Box::new(Metrics)],
        }
    }

    /// The number of slots, in 1..=[`Gate::MAX_CAP`].
    #[must_use]
    pub fn cap(mut self, cap: u32) -> Self {
        self.gate = self.gate.cap(cap);
        self
    }

    /// The priority classes of those who wait. Without it they are all one. A
    /// request tells its own by a [`Claim`](crate::gate::Claim) in its extensions.
    #[must_use]
    pub fn classes(mut self, classes: Classes) -> Self {
        self.gate = self.gate.classes(classes);
        self
    }

    /// Refuses an arrival with 429 when this many wait already. Without it the
    /// queue is unbounded.
    #[must_use]
    pub fn max_queue(mut self, waiting: u64) -> Self {
        self.gate = self.gate.max_queue(waiting);
        self
    }

    /// Refuses with 503 whoever has waited this long. Needs a tokio runtime
    /// with its timer on.
    #[must_use]
    pub fn queue_timeout(mut self, timeout: Duration) -> Self {
        self.gate = self.gate.queue_timeout(timeout);
        self
    }

    /// The cadence of the samples: 1 s unless told otherwise, at least 1 ms.
    /// They are taken from the first tokio runtime that builds the pool or
    /// sends a request through it, and from the next one once that has ended.
    #[must_use]
    pub fn sample_interval(mut self, cadence: Duration) -> Self {
        self.sample_interval = cadence.max(Duration::from_millis(1));
        self
    }

    /// How tokens are counted where the provider gives no figure:
    /// [`Tokens::events`] unless told otherwise.
    #[must_use]
    pub fn tokenizer(mut self, tokens: Tokens) -> Self {
        self.tokens = tokens;
        self
    }

    /// The formats to look for, or the one to read whatever comes as:
    /// [`Dialects::all`] unless told otherwise.
    #[must_use]
    pub fn dialects(mut self, dialects: Dialects) -> Self {
        self.dialects = dialects;
        self
    }

    /// How large one event of a stream may be, in bytes, before it is skipped:
    /// [`wire::DEFAULT_LIMIT`] unless told otherwise. A reader holds no more
    /// than a few times that.
    #[must_use]
    pub fn event_limit(mut self, bytes: usize) -> Self {
        self.event_limit = bytes;
        self
    }

    /// Adds one who hears of all that is measured.
    #[must_use]
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observers.push(Box::new(observer));
        self
    }

    /// Builds the pool; its meter starts now. A tokio runtime that it is built
    /// in, or first used in, must have its timer on: it takes the samples.
    ///
    /// # Errors
    /// [`InvalidCap`] when the cap is not in 1..=[`Gate::MAX_CAP`].
    pub fn build(self) -> Result<Pool, InvalidCap> {
        let observers = Arc::new(Observers::new(self.observers));
        let (hears, name) = (observers.clone(), self.name.clone());
        let gate = self.gate.on_change(move |change| hears.tell(|observer| observer.change(&name, change)));
        let pool = Pool {
            inner: Arc::new(Inner {
                name: self.name,
                gate: gate.build()?,
                tokens: Arc::new(self.tokens),
                dialects: self.dialects,
                event_limit: self.event_limit,
                observers,
                sample_interval: self.sample_interval,
                sampling: AtomicBool::new(false),
                telling: Mutex::new(()),
                told: AtomicU64::new(0),
                tally: Tally::default(),
                history: History::default(),
                counts_open: AtomicU64::new(0),
                closing: AtomicBool::new(false),
                closed: AtomicBool::new(false),
            }),
        };
        let inner = &pool.inner;
        let start = Start {
            pool: inner.name.clone(),
            at: inner.gate.started_at(),
            cap: inner.gate.reading().counts.cap,
            tokenizer: inner.tokens.name().into(),
            sample_interval: inner.sample_interval,
        };
        inner.observers.tell(|observer| observer.start(&start));
        inner.history.push(inner.snapshot());
        pool.start_sampling();
        Ok(pool)
    }
}
