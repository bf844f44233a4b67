//! The samples of the past, for windows that end now.

use std::time::Duration;

use crate::observe::Sample;
use crate::sync::Mutex;

/// How many samples are held at most.
const MOST: usize = 512;

/// Samples in the order of time: the first ever, and of the older half ever
/// fewer the older they are.
#[derive(Debug, Default)]
pub(super) struct History(Mutex<Vec<Sample>>);

impl History {
    pub(super) fn push(&self, sample: Sample) {
        let mut samples = self.0.lock();
        if samples.len() == MOST {
            let mut index = 0;
            samples.retain(|_| {
                index += 1;
                index > MOST / 2 || index % 2 == 1
            });
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
}
