//! The pool: one capacity, and all that measures it.

use std::sync::Arc;
use std::time::Duration;

use crate::gate::{Arrivals, Backlog, Backoff, Gate, InvalidCap, Reading};
use crate::layer::MeterLayer;
use crate::observe::Observer;
use crate::record::RequestRecord;
use crate::tokens::{Counter, Tokenizer};

/// The handle of one capacity: its gate and its observers. Cheap to clone; all
/// clones are the same pool.
#[derive(Clone, Debug)]
pub struct Pool {
    inner: Arc<Inner>,
}

/// Settings of a [`Pool`].
#[derive(Debug)]
pub struct Builder {
    name: Arc<str>,
    cap: u32,
    max_queue: Option<u64>,
    queue_timeout: Option<Duration>,
    tokenizer: Option<Box<dyn Tokenizer>>,
    observers: Vec<Box<dyn Observer>>,
}

#[derive(Debug)]
struct Inner {
    name: Arc<str>,
    gate: Gate,
    tokenizer: Option<Box<dyn Tokenizer>>,
    observers: Vec<Box<dyn Observer>>,
}

// === impl Pool ===

impl Pool {
    /// Settings for a pool of this name, with one slot unless told otherwise.
    #[must_use]
    pub fn builder(name: &str) -> Builder {
        Builder {
            name: name.into(),
            cap: 1,
            max_queue: None,
            queue_timeout: None,
            tokenizer: None,
            observers: Vec::new(),
        }
    }

    /// The Tower layer that runs requests through this pool.
    #[must_use]
    pub fn layer(&self) -> MeterLayer {
        MeterLayer::new(self.clone())
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

    pub(crate) fn gate(&self) -> &Gate {
        &self.inner.gate
    }

    /// A counter for one stream; none without a tokenizer, or from one that panics.
    pub(crate) fn counter(&self) -> Option<Box<dyn Counter>> {
        let tokenizer = self.inner.tokenizer.as_ref()?;
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| tokenizer.counter())).ok()
    }

    pub(crate) fn observe(&self, record: &RequestRecord) {
        for observer in &self.inner.observers {
            // A record may be made while a body is dropped: a panic that left
            // here could end the process. Nothing of ours is borrowed across it.
            let call = std::panic::AssertUnwindSafe(|| observer.request(record));
            let _ = std::panic::catch_unwind(call);
        }
    }
}

// === impl Builder ===

impl Builder {
    /// The number of slots, in 1..=[`Gate::MAX_CAP`].
    #[must_use]
    pub fn cap(mut self, cap: u32) -> Self {
        self.cap = cap;
        self
    }

    /// Refuses an arrival with 429 when this many wait already. Without it the
    /// queue is unbounded.
    #[must_use]
    pub fn max_queue(mut self, waiting: u64) -> Self {
        self.max_queue = Some(waiting);
        self
    }

    /// Refuses with 503 whoever has waited this long. Needs a tokio runtime
    /// with its timer on.
    #[must_use]
    pub fn queue_timeout(mut self, timeout: Duration) -> Self {
        self.queue_timeout = Some(timeout);
        self
    }

    /// Counts the tokens of what is generated. Without it they are known from
    /// the provider's usage, else as one for each event with content.
    #[must_use]
    pub fn tokenizer(mut self, tokenizer: impl Tokenizer) -> Self {
        self.tokenizer = Some(Box::new(tokenizer));
        self
    }

    /// Adds one who hears of every finished request.
    #[must_use]
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observers.push(Box::new(observer));
        self
    }

    /// Builds the pool; its meter starts now.
    ///
    /// # Errors
    /// [`InvalidCap`] when the cap is not in 1..=[`Gate::MAX_CAP`].
    pub fn build(self) -> Result<Pool, InvalidCap> {
        let mut gate = Gate::builder(self.cap);
        if let Some(waiting) = self.max_queue {
            gate = gate.max_queue(waiting);
        }
        if let Some(timeout) = self.queue_timeout {
            gate = gate.queue_timeout(timeout);
        }
        let inner = Inner {
            name: self.name,
            gate: gate.build()?,
            tokenizer: self.tokenizer,
            observers: self.observers,
        };
        Ok(Pool { inner: Arc::new(inner) })
    }
}
