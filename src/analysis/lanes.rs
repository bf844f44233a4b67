//! The requests around a run's worst gap, each with what became of its time.

use std::time::Duration;

use super::row::Row;
use super::run::Run;
use super::spread::{self, Stretch};
use super::sweep::Sweep;
use crate::clock::Instant;
use crate::gate::SlotPhase;
use crate::outcome::Outcome;

/// A stretch of time in which a run had its worst gap, and the requests in it.
/// Times are seconds from the run's start.
#[derive(Clone, Debug)]
pub(super) struct Lanes {
    pub(super) from: f64,
    pub(super) until: f64,
    /// When there was a gap in it.
    pub(super) gaps: Vec<(f64, f64)>,
    /// In the order of their arrival.
    pub(super) lanes: Vec<Lane>,
    /// Requests in it for which there was no lane left.
    pub(super) left_out: usize,
}

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Lane {
    pub(super) outcome: Outcome,
    /// When it ended; absent if that was later.
    pub(super) ended: Option<f64>,
    pub(super) queued: Option<(f64, f64)>,
    pub(super) stretches: Vec<Doing>,
}

/// What a slot was doing for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doing {
    pub(super) from: f64,
    pub(super) until: f64,
    pub(super) phase: SlotPhase,
    /// The share of it that was a stall instead, in 0..=1. When in it is not known.
    pub(super) stalled: f64,
}

/// A gap.
type Gap = (Instant, Instant);

impl Lanes {
    /// Those around the gap that lost the most slot-time, up to `most` requests;
    /// where there was no gap, those of the busiest time. Absent without requests.
    pub(super) fn of(run: &Run, most: usize) -> Option<Self> {
        let gaps = gaps(run);
        let worst = gaps.iter().max_by_key(|(_, lost)| *lost).map(|(gap, _)| *gap);
        let middle = match worst {
            // Its beginning: a gap may be longer than can be shown.
            Some((begins, _)) => begins,
            None => run.rows.get(run.rows.len() / 2)?.ended_at(),
        };
        let (from, until) = around(run, middle, span(run, worst, most), most)?;
        let start = run.meta.started_at;
        let seconds = |at: Instant| at.clamp(from, until).since(start).as_secs_f64();

        let is_in = |begins: Instant, ends: Instant| begins < until && ends > from;
        let mut rows: Vec<_> =
            run.rows.iter().filter(|row| is_in(row.timeline.queued_at, row.ended_at())).collect();
        let left_out = rows.len().saturating_sub(most);
        // Those that held a slot come before those that only waited.
        let held = |row: &Row| row.timeline.admitted_at.is_some_and(|at| is_in(at, row.ended_at()));
        rows.sort_by_key(|row| (!held(row), row.timeline.queued_at));
        rows.truncate(most);
        rows.sort_by_key(|row| row.timeline.queued_at);
        let lanes = rows.into_iter().map(|row| {
            let (queued_at, waited_until) = (row.timeline.queued_at, row.waited_until());
            let doing = |stretch: Stretch| Doing {
                from: seconds(stretch.from),
                until: seconds(stretch.until),
                phase: stretch.phase,
                stalled: stretch.stalled,
            };
            let stretches = spread::stretches(row).into_iter();
            Lane {
                outcome: row.outcome,
                ended: (row.ended_at() < until).then(|| seconds(row.ended_at())),
                queued: (waited_until > queued_at).then(|| (seconds(queued_at), seconds(waited_until))),
                stretches: stretches
                    .filter(|stretch| is_in(stretch.from, stretch.until))
                    .map(doing)
                    .collect(),
            }
        });
        let lanes = lanes.collect();
        let gaps = gaps
            .iter()
            .filter(|((begins, ends), _)| is_in(*begins, *ends))
            .map(|((begins, ends), _)| (seconds(*begins), seconds(*ends)))
            .collect();
        Some(Self { from: seconds(from), until: seconds(until), gaps, lanes, left_out })
    }
}

/// The time around this instant, at most so long, in which no more requests held a
/// slot than have a lane.
fn around(run: &Run, middle: Instant, mut span: Duration, most: usize) -> Option<(Instant, Instant)> {
    loop {
        let from = middle.to_bits().saturating_sub(span.as_nanos() as u64 / 2);
        let from = Instant::from_bits(from)?.max(run.meta.started_at).min(run.ends_at());
        let until = from.after(span)?.min(run.ends_at());
        let held = run
            .rows
            .iter()
            .filter(|row| row.timeline.admitted_at.is_some_and(|at| at < until && row.ended_at() > from));
        if held.count() <= most || span < Duration::from_micros(1) {
            return Some((from, until));
        }
        span = span * 2 / 3;
    }
}

/// Every gap of the run, with the slot-time it lost in nanoseconds.
fn gaps(run: &Run) -> Vec<(Gap, u128)> {
    let mut sweep = Sweep::new(run);
    let mut gaps: Vec<(Gap, u128)> = Vec::new();
    let mut since = run.meta.started_at;
    while let Some(at) = sweep.next_at().filter(|at| *at <= run.ends_at()) {
        let counts = *sweep.counts();
        let nanos = at.nanos_since(since);
        if nanos > 0 && counts.gap().is_some() {
            let lost = u128::from(nanos) * u128::from(counts.queue_depth().min(counts.free().into()));
            match gaps.last_mut() {
                // A state that changed within it.
                Some(((_, until), sum)) if *until == since => {
                    *until = at;
                    *sum += lost;
                }
                _ => gaps.push(((since, at), lost)),
            }
        }
        since = since.max(at);
        sweep.step();
    }
    gaps
}

/// How much time to show: some of what is around the gap, and about as many
/// requests as have a lane.
fn span(run: &Run, worst: Option<Gap>, most: usize) -> Duration {
    let window = run.window_time();
    let gap = worst.map_or(Duration::ZERO, |(from, until)| until.since(from));
    let each = window / u32::try_from(run.rows.len().max(1)).unwrap_or(u32::MAX);
    let wanted = each.saturating_mul(u32::try_from(most).unwrap_or(u32::MAX)) / 2;
    wanted.max(gap.saturating_mul(2)).min(window)
}
