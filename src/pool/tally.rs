//! What a pool counts beside its gate.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::observe::Sample;

/// Running totals since the pool's start. Times are nanoseconds.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    completed: AtomicU64,
    output_tokens: AtomicU64,
    late_tokens: AtomicU64,
    dispatched: AtomicU64,
    #[cfg(feature = "connect")]
    connects: Connects,
    failed: AtomicU64,
    failed_wait: AtomicU64,
    abandoned: AtomicU64,
}

#[cfg(feature = "connect")]
#[derive(Debug, Default)]
struct Connects {
    made: AtomicU64,
    failed: AtomicU64,
    time: AtomicU64,
}

impl Tally {
    pub(super) fn completed(&self, output_tokens: u64) {
        add(&self.completed, 1);
        add(&self.output_tokens, output_tokens);
    }

    /// Tokens became certain after their slot had gone back.
    pub(super) fn late_tokens(&self, tokens: u64) {
        add(&self.late_tokens, tokens);
    }

    /// Requests went out to the upstream.
    pub(crate) fn dispatched(&self, count: u64) {
        add(&self.dispatched, count);
    }

    #[cfg(feature = "connect")]
    pub(super) fn connect_ended(&self, is_made: bool, elapsed: Duration) {
        add(if is_made { &self.connects.made } else { &self.connects.failed }, 1);
        add(&self.connects.time, nanos(elapsed));
    }

    /// A slot worked so long for a request that came to nothing, and so long of
    /// it before there was a token.
    pub(crate) fn failed(&self, worked: Duration, waited: Duration) {
        add(&self.failed, nanos(worked));
        add(&self.failed_wait, nanos(waited));
    }

    /// A slot worked so long for an attempt that was followed by another.
    pub(crate) fn abandoned(&self, worked: Duration) {
        add(&self.abandoned, nanos(worked));
    }

    /// What counted as failed turns out to be followed by another attempt. No
    /// token had come of it.
    #[cfg(feature = "retry")]
    pub(crate) fn abandoned_after_all(&self, worked: Duration) {
        self.failed.fetch_sub(nanos(worked), Ordering::Relaxed);
        self.failed_wait.fetch_sub(nanos(worked), Ordering::Relaxed);
        self.abandoned(worked);
    }

    /// Fills in a sample, which has the tokens that passed while slots were held.
    pub(super) fn complete(&self, sample: &mut Sample) {
        let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
        let time = |of: &AtomicU64| Duration::from_nanos(count(of));
        sample.completed = count(&self.completed);
        sample.output_tokens = count(&self.output_tokens);
        sample.emitted_tokens += count(&self.late_tokens);
        sample.dispatched = count(&self.dispatched);
        sample.failed_slot_time = time(&self.failed);
        sample.failed_wait_time = time(&self.failed_wait);
        sample.abandoned_slot_time = time(&self.abandoned);
        #[cfg(feature = "connect")]
        {
            sample.connections = count(&self.connects.made);
            sample.connects_failed = count(&self.connects.failed);
            sample.connect_time = time(&self.connects.time);
        }
    }
}

fn add(to: &AtomicU64, count: u64) {
    to.fetch_add(count, Ordering::Relaxed);
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
