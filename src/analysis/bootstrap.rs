//! How far a difference between two runs could be chance: a moving-block
//! bootstrap over time, since neighbouring moments depend on each other.
//!
//! Künsch (1989): whole blocks of consecutive bins are drawn with replacement,
//! here around the circle (Politis and Romano, 1992), so that every bin is
//! drawn as often as any other.

use std::time::Duration;

use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

use super::Run;
use super::row::Row;
use super::sweep::Sweep;
use crate::clock::Instant;
use crate::outcome::Outcome;

/// Bins that a run's window is cut into.
const BINS: usize = 48;
/// Resamples of each run.
const RESAMPLES: usize = 2_000;
const SEED: u64 = 0x7470_735f_7365_6564;

/// What happened in a stretch of a run.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bin {
    pub(super) seconds: f64,
    pub(super) tokens: f64,
    pub(super) completed: f64,
    /// All that ended but the cancelled.
    pub(super) judged: f64,
    pub(super) requests: f64,
    pub(super) retries: f64,
    pub(super) gap: f64,
}

/// A figure of a run, from the sum of its bins.
pub(super) type Figure = fn(&Bin) -> f64;

/// A run's window, cut into bins.
#[derive(Debug)]
pub(super) struct Bins {
    bins: Vec<Bin>,
    /// So many consecutive ones are drawn at once.
    block: usize,
}

/// The sums of a run's bins, drawn anew many times; none where it has no bins.
#[derive(Debug)]
pub(super) struct Drawn {
    resamples: Vec<Bin>,
    /// So many blocks there were to draw from.
    blocks: usize,
}

impl Bins {
    /// Blocks that a run must have at least: of fewer there is too little to draw from.
    pub(super) const FEWEST_BLOCKS: usize = 5;

    /// Those of a run of which most requests took no longer than this.
    pub(super) fn of(run: &Run, most_took: Option<f64>) -> Self {
        let bins = bins(run);
        // The usual rate of growth for the length of a block: n^(1/3). One request
        // must fit in it, since what its moments have in common would else seem to be
        // had in common by none.
        let usual = (bins.len() as f64).cbrt().ceil();
        let taken = most_took.zip(bins.first()).map_or(0.0, |(took, bin)| (took / bin.seconds).ceil());
        Self { bins, block: usual.max(taken).max(1.0) as usize }
    }

    /// Whether it has so few blocks that nothing can be said of chance.
    pub(super) fn are_too_few(&self) -> bool {
        self.block.saturating_mul(Self::FEWEST_BLOCKS) > self.bins.len()
    }

    /// What the run might as well have been.
    pub(super) fn draw(&self, random: &mut fastrand::Rng) -> Drawn {
        let resamples = if self.bins.is_empty() { 0 } else { RESAMPLES };
        let resamples = (0..resamples).map(|_| self.resampled(random)).collect();
        Drawn { resamples, blocks: self.bins.len() / self.block }
    }

    fn resampled(&self, random: &mut fastrand::Rng) -> Bin {
        let mut sum = Bin::default();
        let mut drawn = 0;
        while drawn < self.bins.len() {
            let start = random.usize(..self.bins.len());
            let block = self.block.min(self.bins.len() - drawn);
            self.bins.iter().cycle().skip(start).take(block).for_each(|bin| sum.add(bin));
            drawn += block;
        }
        sum
    }
}

fn bins(run: &Run) -> Vec<Bin> {
    let width = run.window_time().as_secs_f64() / BINS as f64;
    if width <= 0.0 {
        return Vec::new();
    }
    let mut bins = vec![Bin { seconds: width, ..Bin::default() }; BINS];
    let start = run.meta.started_at;
    for row in run.requests() {
        let at = row.ended_at().since(start).as_secs_f64();
        let bin = &mut bins[((at / width) as usize).min(BINS - 1)];
        bin.requests += 1.0;
        bin.retries += row.retries() as f64;
        bin.judged += f64::from(u8::from(row.outcome != Outcome::Cancelled));
        bin.completed += f64::from(u8::from(row.is_completed()));
        if let Some(tokens) = row.output_tokens.get().filter(|_| row.is_completed()) {
            spread(&mut bins, width, generated(row).map(|at| at.since(start).as_secs_f64()), tokens as f64);
        }
    }
    let mut sweep = Sweep::new(run);
    let mut before = Duration::ZERO;
    for (index, bin) in bins.iter_mut().enumerate() {
        let until = start.after(Duration::from_secs_f64(width * (index + 1) as f64));
        let gap = sweep.read(until.unwrap_or(run.ends_at())).reading.totals.gap_time();
        bin.gap = gap.saturating_sub(before).as_secs_f64();
        before = gap;
    }
    bins
}

/// The source of chance: the same runs give the same interval.
pub(super) fn random() -> fastrand::Rng {
    fastrand::Rng::with_seed(SEED)
}

/// From when to when a request's tokens were made, as far as it is known.
fn generated(row: &Row) -> [Instant; 2] {
    let timeline = &row.timeline;
    let last = timeline.last_token_at.unwrap_or(row.ended_at());
    let first = timeline.first_token_at.filter(|first| *first < last);
    [first.or(timeline.admitted_at).unwrap_or(last), last]
}

/// Spreads tokens evenly over the time that they were made in. Where they all
/// counted at once, at the end, the bins of a steady run would differ by whole
/// requests, and chance would seem to do more than it can.
fn spread(bins: &mut [Bin], width: f64, [from, until]: [f64; 2], tokens: f64) {
    let index = |at: f64| ((at / width) as usize).min(BINS - 1);
    let (first, last) = (index(from), index(until));
    for (index, bin) in bins.iter_mut().enumerate().take(last + 1).skip(first) {
        let (begins, ends) = (width * index as f64, width * (index + 1) as f64);
        let share = if first == last { 1.0 } else { (ends.min(until) - begins.max(from)) / (until - from) };
        bin.tokens += tokens * share;
    }
}

/// The interval that holds `confidence` of the resampled differences
/// `candidate - baseline` of a figure, which came out as `change`; absent where a
/// run has no bins.
///
/// Of few blocks the resamples differ less than the runs do: the interval is
/// widened about the change as that of Student's t is against the normal one's,
/// by the run that has fewer.
pub(super) fn interval(
    [baseline, candidate]: [&Drawn; 2],
    figure: Figure,
    change: f64,
    confidence: f64,
) -> Option<(f64, f64)> {
    let both = baseline.resamples.iter().zip(&candidate.resamples);
    let mut differences: Vec<f64> = both
        .map(|(baseline, candidate)| figure(candidate) - figure(baseline))
        .filter(|difference| difference.is_finite())
        .collect();
    differences.sort_by(f64::total_cmp);
    let last = differences.len().checked_sub(1)?;
    let tail = (1.0 - confidence) / 2.0;
    let wider = widening(baseline.blocks.min(candidate.blocks), tail)?;
    let at = |share: f64| {
        let difference = differences[((share * last as f64).round() as usize).min(last)];
        change + (difference - change) * wider
    };
    Some((at(tail), at(1.0 - tail)))
}

/// By how much an interval with this in each tail is too narrow where it comes
/// from so many blocks.
fn widening(blocks: usize, tail: f64) -> Option<f64> {
    let freedom = blocks.checked_sub(1).filter(|freedom| *freedom > 0)? as f64;
    let student = StudentsT::new(0.0, 1.0, freedom).ok()?.inverse_cdf(1.0 - tail);
    let normal = Normal::standard().inverse_cdf(1.0 - tail);
    Some(student / normal * ((freedom + 1.0) / freedom).sqrt())
}

impl Bin {
    fn add(&mut self, other: &Self) {
        self.seconds += other.seconds;
        self.tokens += other.tokens;
        self.completed += other.completed;
        self.judged += other.judged;
        self.requests += other.requests;
        self.retries += other.retries;
        self.gap += other.gap;
    }
}
