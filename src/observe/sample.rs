//! How a pool stands at one instant.

use std::sync::Arc;
use std::time::Duration;

use crate::gate::{PhaseTimes, Reading};

/// How a pool stands at one instant, with running totals since its start.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Sample {
    /// The pool's name.
    pub pool: Arc<str>,
    /// Its counts and integrals.
    pub reading: Reading,
    /// Requests that have arrived.
    pub requests: u64,
    /// Requests that have completed.
    pub completed: u64,
    /// Output tokens of the requests that have completed.
    pub output_tokens: u64,
    /// Tokens that have passed, whatever became of their request.
    pub emitted_tokens: u64,
    /// Requests sent to the upstream: one for each whose service was called, and one more for each
    /// time it was sent again while it held its slot, counted at its end.
    pub dispatched: u64,
    /// Connections made for them. Zero where no connector is measured: the feature `connect`.
    pub connections: u64,
    /// Connections that could not be made; zero where no connector is measured.
    pub connects_failed: u64,
    /// Time that those made took, added up; zero where no connector is measured.
    pub connect_time: Duration,
    /// Time that those took which could not be made, added up; zero where no connector is measured.
    pub connect_failed_time: Duration,
    /// Requests that held a slot and ended otherwise than completed, and were not given up for
    /// another attempt.
    pub failed_requests: u64,
    /// Slot-time spent working for them, by phase, told at their end: back-off and stalls are no
    /// work. It falls where a retry is decided on only later.
    pub failed_phases: PhaseTimes,
    /// Attempts that were given up for another.
    pub abandoned_attempts: u64,
    /// Slot-time spent working for them, by phase, told at their end.
    pub abandoned_phases: PhaseTimes,
}

impl Sample {
    /// A sample of which only this is known yet.
    pub(crate) fn new(pool: Arc<str>, reading: Reading, requests: u64, emitted_tokens: u64) -> Self {
        Self {
            pool,
            reading,
            requests,
            completed: 0,
            output_tokens: 0,
            emitted_tokens,
            dispatched: 0,
            connections: 0,
            connects_failed: 0,
            connect_time: Duration::ZERO,
            connect_failed_time: Duration::ZERO,
            failed_requests: 0,
            failed_phases: PhaseTimes::default(),
            abandoned_attempts: 0,
            abandoned_phases: PhaseTimes::default(),
        }
    }

    /// Slot-time spent working for requests that came to nothing: all of
    /// [`failed_phases`](Self::failed_phases).
    #[must_use]
    pub fn failed_slot_time(&self) -> Duration {
        self.failed_phases.total()
    }

    /// Slot-time spent working for attempts that were given up for another: all
    /// of [`abandoned_phases`](Self::abandoned_phases).
    #[must_use]
    pub fn abandoned_slot_time(&self) -> Duration {
        self.abandoned_phases.total()
    }

    /// `1 - connections / dispatched`, not below 0: the share of what was sent that found a
    /// connection already made. Absent where nothing was sent or no connection was made, as where
    /// no connector is measured.
    #[must_use]
    pub fn connection_reuse_ratio(&self) -> Option<f64> {
        let is_known = self.dispatched > 0 && self.connections > 0;
        is_known.then(|| (1.0 - self.connections as f64 / self.dispatched as f64).max(0.0))
    }
}
