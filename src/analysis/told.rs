//! What the pool itself told of its running totals: on its cadence, and at its end.

use std::time::Duration;

use crate::clock::Instant;
use crate::gate::Totals;
use crate::observe::Sample;

/// One sample, or the end. What was not told is absent.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) at: Instant,
    totals: [Option<Duration>; TOTALS],
    counters: [Option<u64>; Self::COUNTERS.len()],
    times: [Option<Duration>; Self::TIMES.len()],
}

/// So many integrals are told.
const TOTALS: usize = 18;

impl Told {
    /// Running totals that are numbers.
    const COUNTERS: [&str; 9] = [
        "requests",
        "completed",
        "output_tokens",
        "emitted_tokens",
        "dispatched",
        "connections",
        "connects_failed",
        "failed_requests",
        "abandoned_attempts",
    ];
    /// Running totals of time that are no integrals of the counts.
    const TIMES: [&str; 4] =
        ["connect_time", "connect_failed_time", "failed_slot_time", "abandoned_slot_time"];

    pub(super) fn of(sample: &Sample) -> Self {
        Self {
            at: sample.reading.at,
            totals: sample.reading.totals.named().map(|(_, time)| Some(time)),
            counters: [
                sample.requests,
                sample.completed,
                sample.output_tokens,
                sample.emitted_tokens,
                sample.dispatched,
                sample.connections,
                sample.connects_failed,
                sample.failed_requests,
                sample.abandoned_attempts,
            ]
            .map(Some),
            times: [
                sample.connect_time,
                sample.connect_failed_time,
                sample.failed_slot_time(),
                sample.abandoned_slot_time(),
            ]
            .map(Some),
        }
    }

    /// By name, as a line of the log has it.
    pub(super) fn read(
        at: Instant,
        number: impl Fn(&str) -> Option<u64>,
        time: impl Fn(&str) -> Option<Duration>,
    ) -> Self {
        Self {
            at,
            totals: Totals::default().named().map(|(name, _)| time(name)),
            counters: Self::COUNTERS.map(number),
            times: Self::TIMES.map(&time),
        }
    }

    /// In time, and of those at one instant by what they count, which only grows.
    pub(super) fn order(&self) -> impl Ord + use<> {
        (self.at, self.counters, self.times)
    }

    /// A counter by its name; absent where it was not told.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        Self::COUNTERS.iter().zip(self.counters).find_map(|(of, number)| (*of == name).then_some(number)?)
    }

    /// A time that is no integral, by its name; absent where it was not told.
    pub(super) fn time(&self, name: &str) -> Option<Duration> {
        Self::TIMES.iter().zip(self.times).find_map(|(of, time)| (*of == name).then_some(time)?)
    }

    /// The integrals, in the order of [`Totals::named`].
    pub(super) fn totals(&self) -> &[Option<Duration>; TOTALS] {
        &self.totals
    }
}
