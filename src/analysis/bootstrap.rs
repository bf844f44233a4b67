//! How far a difference between two runs could be chance: a moving-block
//! bootstrap over time, since neighbouring moments depend on each other.
//!
//! Künsch (1989): whole blocks of consecutive bins are drawn with replacement,
//! here around the circle (Politis and Romano, 1992), so that every bin is
//! drawn as often as any other.

use super::Run;
use super::logical;
use crate::outcome::Outcome;

/// Bins that a run's window is cut into.
const BINS: usize = 48;
/// Resamples of each run.
const RESAMPLES: usize = 2_000;
/// The same runs give the same interval.
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
pub(super) fn bins(run: &Run) -> Vec<Bin> {
    let width = run.window_time().as_secs_f64() / BINS as f64;
    if width <= 0.0 {
        return Vec::new();
    }
    let mut bins = vec![Bin { seconds: width, ..Bin::default() }; BINS];
    for request in logical::requests(&run.records) {
        let Some(released) = request.last.timeline.released_at else { continue };
        let at = released.since(run.start.at).as_secs_f64();
        let bin = &mut bins[((at / width) as usize).min(BINS - 1)];
        bin.requests += 1.0;
        bin.retries += request.retries as f64;
        bin.judged += f64::from(u8::from(request.last.outcome != Outcome::Cancelled));
        if request.last.outcome == Outcome::Completed {
            bin.completed += 1.0;
            bin.tokens += request.last.output_tokens().unwrap_or(0) as f64;
        }
    }
    let mut before = 0.0;
    for (index, bin) in bins.iter_mut().enumerate() {
        let until = gap_until(run, width * (index + 1) as f64);
        bin.gap = until - before;
        before = until;
    }
    bins
}

/// `gap_time` from the start until `at`: exact at the samples, even between them.
fn gap_until(run: &Run, at: f64) -> f64 {
    let mut last = (0.0, 0.0);
    for sample in &run.samples {
        let here = sample.reading.at.since(run.start.at).as_secs_f64();
        let gap = sample.reading.totals.gap_time().as_secs_f64();
        if here >= at {
            let part = if here > last.0 { (at - last.0) / (here - last.0) } else { 1.0 };
            return last.1 + (gap - last.1) * part;
        }
        last = (here, gap);
    }
    last.1
}

/// The interval that holds `confidence` of the resampled differences
/// `candidate - baseline` of a figure; absent where a run has no bins.
pub(super) fn interval(
    baseline: &[Bin],
    candidate: &[Bin],
    figure: Figure,
    confidence: f64,
) -> Option<(f64, f64)> {
    if baseline.is_empty() || candidate.is_empty() {
        return None;
    }
    let mut random = fastrand::Rng::with_seed(SEED);
    let mut differences: Vec<f64> = (0..RESAMPLES)
        .map(|_| figure(&resampled(candidate, &mut random)) - figure(&resampled(baseline, &mut random)))
        .filter(|difference| difference.is_finite())
        .collect();
    differences.sort_by(f64::total_cmp);
    let last = differences.len().checked_sub(1)?;
    let at = |share: f64| differences[((share * last as f64).round() as usize).min(last)];
    let tail = (1.0 - confidence) / 2.0;
    Some((at(tail), at(1.0 - tail)))
}

fn resampled(bins: &[Bin], random: &mut fastrand::Rng) -> Bin {
    // The usual rate of growth for the length of a block: n^(1/3).
    let length = (bins.len() as f64).cbrt().ceil() as usize;
    let mut sum = Bin::default();
    let mut drawn = 0;
    while drawn < bins.len() {
        let start = random.usize(..bins.len());
        let block = length.min(bins.len() - drawn);
        bins.iter().cycle().skip(start).take(block).for_each(|bin| sum.add(bin));
        drawn += block;
    }
    sum
}

impl Bin {
    pub(super) fn add(&mut self, other: &Self) {
        self.seconds += other.seconds;
        self.tokens += other.tokens;
        self.completed += other.completed;
        self.judged += other.judged;
        self.requests += other.requests;
        self.retries += other.retries;
        self.gap += other.gap;
    }
}
