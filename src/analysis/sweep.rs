//! The pool's state at every instant, from the requests and the changes alone,
//! and from it the exact integrals, by the very meter that keeps them online.

use super::run::Run;
use crate::clock::Instant;
use crate::gate::{Change, Counts, GapMeter, Quantity, Reading};

/// Where a count rises and where it falls, each in the order of time.
#[derive(Debug, Default)]
struct Steps {
    up: Vec<Instant>,
    down: Vec<Instant>,
}

/// A run's state as it goes on.
#[derive(Debug)]
pub(super) struct Sweep<'a> {
    meter: GapMeter,
    waiting: Steps,
    in_flight: Steps,
    /// In the order of time.
    changes: Vec<&'a Change>,
    next: Cursor,
    /// Sums of the differences that were told, which may come out of their order.
    told: [i128; 3],
    /// `∫ queue_depth`, in nanoseconds.
    queue_time: u128,
    since: Instant,
    peaks: Peaks,
}

/// How a run stood at one instant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) reading: Reading,
    /// `∫ queue_depth` since the start, in seconds.
    pub(super) queue_time: f64,
    /// Since the moment before.
    pub(super) peaks: Peaks,
}

/// The extremes of a window, for as long as they may have lasted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peaks {
    pub(super) least_cap: u32,
    pub(super) most_cap: u32,
    pub(super) most_in_flight: u32,
    pub(super) most_queued: u64,
}

/// How far it has come in each list.
#[derive(Debug, Default)]
struct Cursor {
    waiting: (usize, usize),
    in_flight: (usize, usize),
    change: usize,
}

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    Waits,
    WaitsNoMore,
    Holds,
    HoldsNoMore,
    Changes(&'a Change),
}

impl Steps {
    fn sort(&mut self) {
        self.up.sort_unstable();
        self.down.sort_unstable();
    }
}

impl<'a> Sweep<'a> {
    pub(super) fn new(run: &'a Run) -> Self {
        let (mut waiting, mut in_flight) = (Steps::default(), Steps::default());
        for row in &run.rows {
            let (queued_at, until) = (row.timeline.queued_at, row.waited_until());
            // One that found a slot free, or was refused on its arrival, never waited.
            if until > queued_at {
                waiting.up.push(queued_at);
                waiting.down.push(until);
            }
            if let Some(at) = row.timeline.admitted_at {
                in_flight.up.push(at);
                in_flight.down.push(row.ended_at());
            }
        }
        waiting.sort();
        in_flight.sort();
        let mut changes: Vec<_> = run.changes.iter().collect();
        changes.sort_by_key(|change| change.at);
        let counts = run.meta.counts();
        Self {
            meter: GapMeter::new(counts, run.meta.started_at),
            waiting,
            in_flight,
            changes,
            next: Cursor::default(),
            told: [counts.cap.into(), counts.backlog.into(), counts.backoff.into()],
            queue_time: 0,
            since: run.meta.started_at,
            peaks: Peaks::of(&counts),
        }
    }

    /// When something changes next; absent where nothing does any more.
    pub(super) fn next_at(&self) -> Option<Instant> {
        self.peek().map(|(at, _)| at)
    }

    /// The counts as they stand.
    pub(super) fn counts(&self) -> &Counts {
        self.meter.counts()
    }

    /// Goes on by one step, to the instant that [`next_at`](Self::next_at) gave.
    pub(super) fn step(&mut self) {
        let Some((at, step)) = self.peek() else { return };
        self.pass(at);
        let next = &mut self.next;
        match step {
            Step::Waits => next.waiting.0 += 1,
            Step::WaitsNoMore => next.waiting.1 += 1,
            Step::Holds => next.in_flight.0 += 1,
            Step::HoldsNoMore => next.in_flight.1 += 1,
            Step::Changes(_) => next.change += 1,
        }
        if let Step::Changes(change) = step {
            self.told[change.quantity as usize] += i128::from(change.to) - i128::from(change.from);
        }
        let told = &self.told;
        self.meter.update(at, |counts| match step {
            Step::Waits => counts.waiting += 1,
            Step::WaitsNoMore => counts.waiting = counts.waiting.saturating_sub(1),
            Step::Holds => counts.in_flight = counts.in_flight.saturating_add(1),
            Step::HoldsNoMore => counts.in_flight = counts.in_flight.saturating_sub(1),
            Step::Changes(change) => {
                let told = told[change.quantity as usize].max(0);
                let number = u64::try_from(told).unwrap_or(u64::MAX);
                match change.quantity {
                    Quantity::Cap => counts.cap = u32::try_from(told).unwrap_or(u32::MAX),
                    Quantity::Backlog => counts.backlog = number,
                    Quantity::Backoff => counts.backoff = number,
                }
            }
        });
    }

    /// Goes on to this instant, all that happens at it included, and reads the meter there.
    pub(super) fn read(&mut self, at: Instant) -> Moment {
        while self.next_at().is_some_and(|next| next <= at) {
            self.step();
        }
        self.pass(at);
        let peaks = std::mem::replace(&mut self.peaks, Peaks::of(self.meter.counts()));
        let queue_time = self.queue_time as f64 / 1e9;
        Moment { reading: self.meter.reading(at), queue_time, peaks }
    }

    /// The counts stood as they are until this instant.
    fn pass(&mut self, at: Instant) {
        let time = at.nanos_since(self.since);
        if time > 0 {
            let counts = self.meter.counts();
            self.queue_time += u128::from(time) * u128::from(counts.queue_depth());
            self.peaks.add(&Peaks::of(counts));
            self.since = at;
        }
    }

    /// The earliest step. Of several at one instant, a rise comes before a fall.
    fn peek(&self) -> Option<(Instant, Step<'a>)> {
        let (waiting, in_flight) = (&self.waiting, &self.in_flight);
        let next = &self.next;
        let change = self.changes.get(next.change).copied();
        let steps = [
            (change.map(|change| change.at), change.map_or(Step::Waits, Step::Changes)),
            (waiting.up.get(next.waiting.0).copied(), Step::Waits),
            (in_flight.up.get(next.in_flight.0).copied(), Step::Holds),
            (waiting.down.get(next.waiting.1).copied(), Step::WaitsNoMore),
            (in_flight.down.get(next.in_flight.1).copied(), Step::HoldsNoMore),
        ];
        let steps = steps.into_iter().filter_map(|(at, step)| Some((at?, step)));
        steps.min_by_key(|(at, _)| *at)
    }
}

impl Peaks {
    fn of(counts: &Counts) -> Self {
        Self {
            least_cap: counts.cap,
            most_cap: counts.cap,
            most_in_flight: counts.in_flight,
            most_queued: counts.queue_depth(),
        }
    }

    fn add(&mut self, other: &Self) {
        self.least_cap = self.least_cap.min(other.least_cap);
        self.most_cap = self.most_cap.max(other.most_cap);
        self.most_in_flight = self.most_in_flight.max(other.most_in_flight);
        self.most_queued = self.most_queued.max(other.most_queued);
    }
}
