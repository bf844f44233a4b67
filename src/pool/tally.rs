//! What a pool counts beside its gate.

use std::sync::atomic::{AtomicU64, Ordering};
#[cfg(feature = "connect")]
use std::time::Duration;

use crate::gate::{PhaseTimes, SlotPhase};
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
    failed_requests: AtomicU64,
    failed: [AtomicU64; SlotPhase::ALL.len()],
    abandoned_attempts: AtomicU64,
    abandoned: [AtomicU64; SlotPhase::ALL.len()],
}

#[cfg(feature = "connect")]
#[derive(Debug, Default)]
struct Connects {
    made: AtomicU64,
    failed: AtomicU64,
    made_time: AtomicU64,
    failed_time: AtomicU64,
}

impl Tally {
    pub(super) fn completed(&self, output_tokens: u64) {
        add(&self.completed, 1);
        add(&self.output_tokens, output_tokens);
    }

    /// Tokens became certain after their slot had gone back.
    pub(crate) fn late_tokens(&self, tokens: u64) {
        add(&self.late_tokens, tokens);
    }

    /// Requests went out to the upstream.
    pub(crate) fn dispatched(&self, count: u64) {
        add(&self.dispatched, count);
    }

    #[cfg(feature = "connect")]
    pub(super) fn connect_ended(&self, is_made: bool, elapsed: Duration) {
        self.connects.ended(is_made, elapsed);
    }

    /// A slot worked so long for a request that came to nothing.
    pub(crate) fn failed(&self, worked: &PhaseTimes) {
        add(&self.failed_requests, 1);
        add_phases(&self.failed, worked);
    }

    /// A slot worked so long for attempts that were given up for another.
    pub(crate) fn abandoned(&self, worked: &PhaseTimes, attempts: u64) {
        add(&self.abandoned_attempts, attempts);
        add_phases(&self.abandoned, worked);
    }

    /// What was told as so many failed requests is given up for another attempt.
    #[cfg(feature = "retry")]
    pub(crate) fn abandoned_after_all(&self, worked: &PhaseTimes, requests: u64) {
        self.failed_requests.fetch_sub(requests, Ordering::Relaxed);
        for (sum, time) in self.failed.iter().zip(worked.nanos()) {
            sum.fetch_sub(time, Ordering::Relaxed);
        }
        self.abandoned(worked, requests);
    }

    /// Fills in a sample, which has the tokens that passed while slots were held.
    pub(super) fn complete(&self, sample: &mut Sample) {
        sample.completed = count(&self.completed);
        sample.output_tokens = count(&self.output_tokens);
        sample.emitted_tokens += count(&self.late_tokens);
        sample.dispatched = count(&self.dispatched);
        sample.failed_requests = count(&self.failed_requests);
        sample.failed_phases = PhaseTimes::from_nanos(self.failed.each_ref().map(count));
        sample.abandoned_attempts = count(&self.abandoned_attempts);
        sample.abandoned_phases = PhaseTimes::from_nanos(self.abandoned.each_ref().map(count));
        #[cfg(feature = "connect")]
        self.connects.complete(sample);
    }
}

#[cfg(feature = "connect")]
impl Connects {
    fn ended(&self, is_made: bool, elapsed: Duration) {
        let Self { made, failed, made_time, failed_time } = self;
        let (number, time) = if is_made { (made, made_time) } else { (failed, failed_time) };
        add(number, 1);
        add(time, u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX));
    }

    fn complete(&self, sample: &mut Sample) {
        let time = |of: &AtomicU64| Duration::from_nanos(count(of));
        sample.connections = count(&self.made);
        sample.connects_failed = count(&self.failed);
        sample.connect_time = time(&self.made_time);
        sample.connect_failed_time = time(&self.failed_time);
    }
}

fn count(of: &AtomicU64) -> u64 {
    of.load(Ordering::Relaxed)
}

fn add(to: &AtomicU64, count: u64) {
    to.fetch_add(count, Ordering::Relaxed);
}

fn add_phases(to: &[AtomicU64; SlotPhase::ALL.len()], times: &PhaseTimes) {
    to.iter().zip(times.nanos()).for_each(|(sum, time)| add(sum, time));
}
