//! Several runs together: the gap of the whole, which is not the sum of theirs.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use serde::Serialize;

use super::logical;
use super::row::Row;
use super::run::Run;
use super::sweep::Sweep;
use super::traffic::{Request, Traffic};
use crate::clock::Instant;
use crate::gate::Counts;

/// Several runs as one capacity: each instant's cap, slots and queue are those
/// of all runs that were on then, added up. Times are seconds, of the wall or of
/// slots.
///
/// The fleet has a gap where work waits anywhere while a slot is free anywhere.
/// That is not the sum of the runs' gaps: two gaps at once are one, and work that
/// waits at a full replica while another has a slot free is in none of theirs.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Fleet {
    /// The pool whose runs they are; absent for those of several pools.
    pub pool: Option<String>,
    /// How many runs there are.
    pub runs: usize,
    /// The most that were on at once.
    pub most_at_once: usize,
    /// Time with at least one of them on.
    pub window_time: f64,
    /// Output tokens of completed requests / window; absent where their tokens
    /// are of several sources.
    pub system_tps: Option<f64>,
    /// The same for each source by itself.
    pub system_tps_by_source: BTreeMap<String, f64>,
    /// Slot-seconds that there were.
    pub cap_slot_time: f64,
    /// Slot-seconds in flight.
    pub busy_slot_time: f64,
    /// Time with work waiting anywhere.
    pub backlog_time: f64,
    /// Time with work waiting anywhere and a slot free anywhere.
    pub gap_time: f64,
    /// `gap_time / window_time`.
    pub gap_fraction: Option<f64>,
    /// `gap_time / backlog_time`.
    pub gap_share: Option<f64>,
    /// Slot-seconds that stood idle in the gap.
    pub gap_slot_time: f64,
    /// Slot-seconds that a perfect scheduler over all runs would have used.
    pub lost_slot_time: f64,
    /// The part of `gap_time` in which no run had a gap of its own: work waited
    /// at full replicas while others had slots free.
    pub gap_time_routing: f64,
    /// The gaps of the runs, added up.
    pub gap_time_of_runs: f64,
    /// What `gap_time` would be if every other run's clock had been 10 ms behind
    /// what it was, and 10 ms ahead: how far it depends on clocks that agree. Those
    /// of machines kept by NTP differ by less than that, as a rule.
    pub gap_time_of_clocks_apart: [f64; 2],
    /// The requests of all runs. The attempts at one are one, at whichever runs they
    /// were made.
    #[serde(flatten)]
    pub traffic: Traffic,
}

/// How far apart clocks may be, in nanoseconds, for what it would do to the gap.
const CLOCKS_APART: i64 = 10_000_000;

/// Integrals of the fleet, in nanoseconds or slot-nanoseconds.
#[derive(Debug, Default)]
struct Sums {
    window: u128,
    cap: u128,
    busy: u128,
    backlog: u128,
    gap: u128,
    gap_slots: u128,
    lost: u128,
    routing: u128,
    /// The runs' own, added up.
    own_gaps: u128,
}

/// What the runs that are on come to.
#[derive(Debug, Default)]
struct State {
    runs: usize,
    cap: u64,
    busy: u64,
    free: u64,
    queued: u64,
    own_gaps: usize,
}

impl Fleet {
    /// The fleets of these runs: those of each pool that has several, and, where
    /// there are several pools, all of them together. None for a single run.
    #[must_use]
    pub fn all(runs: &[Run]) -> Vec<Self> {
        let mut by_pool: BTreeMap<&str, Vec<&Run>> = BTreeMap::new();
        for run in runs {
            by_pool.entry(run.pool()).or_default().push(run);
        }
        let pools = by_pool.len();
        let mut fleets: Vec<_> = by_pool
            .into_iter()
            .filter(|(_, runs)| runs.len() > 1)
            .map(|(pool, runs)| Self::of(Some(pool.to_owned()), &runs))
            .collect();
        if pools > 1 {
            fleets.push(Self::of(None, &runs.iter().collect::<Vec<_>>()));
        }
        fleets
    }

    fn of(pool: Option<String>, runs: &[&Run]) -> Self {
        let traffic = traffic(runs);
        let (sums, most_at_once) = integrate(runs, 0);
        let apart = [-CLOCKS_APART, CLOCKS_APART].map(|apart| integrate(runs, apart).0.gap);
        let seconds = |nanos: u128| nanos as f64 / 1e9;
        let share = |part: u128, whole: u128| (whole > 0).then(|| part as f64 / whole as f64);
        let (system_tps, system_tps_by_source) = traffic.per_second(seconds(sums.window));
        Self {
            pool,
            runs: runs.len(),
            most_at_once,
            window_time: seconds(sums.window),
            system_tps,
            system_tps_by_source,
            cap_slot_time: seconds(sums.cap),
            busy_slot_time: seconds(sums.busy),
            backlog_time: seconds(sums.backlog),
            gap_time: seconds(sums.gap),
            gap_fraction: share(sums.gap, sums.window),
            gap_share: share(sums.gap, sums.backlog),
            gap_slot_time: seconds(sums.gap_slots),
            lost_slot_time: seconds(sums.lost),
            gap_time_routing: seconds(sums.routing),
            gap_time_of_runs: seconds(sums.own_gaps),
            gap_time_of_clocks_apart: apart.map(seconds),
            traffic,
        }
    }
}

/// The requests of all runs, joined anew where an attempt may have gone to another
/// run than the one before.
fn traffic(runs: &[&Run]) -> Traffic {
    if !runs.iter().any(|run| run.rows.iter().any(|row| row.attempt > 1)) {
        return Traffic::of(runs.iter().flat_map(|run| run.attempts()));
    }
    let mut attempts: Vec<(Row, &Run)> =
        runs.iter().flat_map(|run| run.rows.iter().map(|row| (row.clone(), *run))).collect();
    attempts.sort_by_key(|(row, _)| (row.ended_at(), row.attempt));
    logical::join(&mut attempts.iter_mut().map(|(row, _)| row).collect::<Vec<_>>());
    Traffic::of(attempts.iter().map(|(row, run)| Request { run, row }))
}

/// Sweeps over all runs at once, with every other one's clock set by so many
/// nanoseconds. Gives the sums, and the most runs at once.
fn integrate(runs: &[&Run], apart: i64) -> (Sums, usize) {
    let by_its_clock = |index: usize, at: Instant| match index % 2 {
        0 => at,
        _ => Instant::from_bits(at.to_bits().saturating_add_signed(apart)).unwrap_or(at),
    };
    let mut sweeps: Vec<_> = runs.iter().map(|run| Sweep::new(run)).collect();
    let mut is_on = vec![false; runs.len()];
    let starts = runs.iter().enumerate();
    let mut next: BinaryHeap<_> =
        starts.map(|(index, run)| Reverse((by_its_clock(index, run.meta.started_at), index))).collect();
    let (mut sums, mut state, mut most) = (Sums::default(), State::default(), 0);
    let mut last: Option<Instant> = None;
    while let Some(Reverse((at, index))) = next.pop() {
        let at = last.map_or(at, |last| at.max(last));
        sums.add(&state, last.map_or(0, |last| at.nanos_since(last)));
        last = Some(at);
        let (run, sweep) = (runs[index], &mut sweeps[index]);
        if is_on[index] {
            state.remove(sweep.counts());
            if sweep.next_at().is_none_or(|next| next > run.ends_at()) {
                // It ends here.
                state.runs -= 1;
                continue;
            }
            sweep.step();
        } else {
            is_on[index] = true;
            state.runs += 1;
            most = most.max(state.runs);
        }
        state.insert(sweep.counts());
        let then = sweep.next_at().unwrap_or(run.ends_at()).min(run.ends_at());
        next.push(Reverse((by_its_clock(index, then), index)));
    }
    (sums, most)
}

impl State {
    fn insert(&mut self, counts: &Counts) {
        self.cap += u64::from(counts.cap);
        self.busy += u64::from(counts.in_flight);
        self.free += u64::from(counts.free());
        self.queued = self.queued.saturating_add(counts.queue_depth());
        self.own_gaps += usize::from(counts.gap().is_some());
    }

    fn remove(&mut self, counts: &Counts) {
        self.cap -= u64::from(counts.cap);
        self.busy -= u64::from(counts.in_flight);
        self.free -= u64::from(counts.free());
        self.queued = self.queued.saturating_sub(counts.queue_depth());
        self.own_gaps -= usize::from(counts.gap().is_some());
    }
}

impl Sums {
    fn add(&mut self, state: &State, nanos: u64) {
        let slots = |count: u64| u128::from(nanos) * u128::from(count);
        if state.runs > 0 {
            self.window += u128::from(nanos);
        }
        self.cap += slots(state.cap);
        self.busy += slots(state.busy);
        if state.queued == 0 {
            return;
        }
        self.backlog += u128::from(nanos);
        if state.free > 0 {
            self.gap += u128::from(nanos);
            self.gap_slots += slots(state.free);
            self.lost += slots(state.free.min(state.queued));
            self.own_gaps += slots(state.own_gaps as u64);
            if state.own_gaps == 0 {
                self.routing += u128::from(nanos);
            }
        }
    }
}
