//! The samples of the past, for windows that end now.

use std::time::Duration;

use crate::observe::Sample;
use crate::sync::Mutex;

/// How many samples are held at most.
const MOST: usize = 512;

/// Samples in the order of time: the first ever, the last, and between them the
/// fewer the longer ago.
#[derive(Debug, Default)]
pub(super) struct History(Mutex<Vec<Sample>>);

impl History {
    pub(super) fn push(&self, sample: Sample) {
        let mut samples = self.0.lock();
        if samples.len() >= MOST {
            thin(&mut samples, &sample);
        }
        samples.push(sample);
    }

    /// The last sample that is at least `window` older than `now`, or else the
    /// first; absent where there is none.
    pub(super) fn before(&self, now: &Sample, window: Duration) -> Option<Sample> {
        let samples = self.0.lock();
        let is_old = |sample: &Sample| now.reading.at.since(sample.reading.at) >= window;
        let old = samples.partition_point(is_old);
        samples.get(old.saturating_sub(1)).cloned()
    }

    /// Those that are at most `window` older than `now`, the oldest first.
    pub(super) fn since(&self, now: &Sample, window: Duration) -> Vec<Sample> {
        let samples = self.0.lock();
        let is_old = |sample: &Sample| now.reading.at.since(sample.reading.at) > window;
        samples[samples.partition_point(is_old)..].to_vec()
    }
}

/// Drops the sample without which the history is least coarse: the one whose
/// neighbours are closest together, as a share of its age.
fn thin(samples: &mut Vec<Sample>, now: &Sample) {
    let seconds = |later: &Sample, earlier: &Sample| later.reading.at.since(earlier.reading.at).as_secs_f64();
    let coarse = |three: &[Sample]| match three {
        [before, it, after] => seconds(after, before) / seconds(now, it),
        _ => f64::INFINITY,
    };
    let middle = samples.windows(3).map(coarse).enumerate();
    if let Some((index, _)) = middle.min_by(|a, b| a.1.total_cmp(&b.1)) {
        samples.remove(index + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Pool;

    /// A day at a cadence of a second fits, and every window in it is found to
    /// within a twentieth.
    #[tokio::test(start_paused = true)]
    async fn a_day_in_512_samples() {
        const DAY: u64 = 24 * 3_600;
        let pool = Pool::builder("test").sample_interval(Duration::from_secs(1 << 40)).build().unwrap();
        let (history, mut sample) = (History::default(), pool.sample());
        let start = sample.reading.at;
        for second in 0..=DAY {
            sample.reading.at = start.after(Duration::from_secs(second)).unwrap();
            history.push(sample.clone());
        }
        assert_eq!(history.0.lock().len(), MOST);
        for window in [1, 10, 60, 900, 3_600, 6 * 3_600, DAY - 1, DAY] {
            let found = history.before(&sample, Duration::from_secs(window)).unwrap();
            let found = sample.reading.at.since(found.reading.at).as_secs_f64();
            let coarse = (found - window as f64) / window as f64;
            assert!((0.0..0.05).contains(&coarse), "{found} s of {window}");
        }
        assert_eq!(history.before(&sample, Duration::MAX).unwrap().reading.at, start);
    }
}
