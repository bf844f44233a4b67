//! One run: all that was told of a pool from its start to its end.

use std::sync::Arc;
use std::time::Duration;

use crate::diagnosis::Diagnosis;
use crate::observe::{Observer, Sample, Start};
use crate::record::RequestRecord;
use crate::sync::Mutex;

/// What was told of one pool.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Run {
    /// How it started.
    pub start: Start,
    /// Every request that has ended, in the order of their ends.
    pub records: Vec<Arc<RequestRecord>>,
    /// How it stood, in the order of time. The last one closes the window.
    pub samples: Vec<Sample>,
}

/// An observer that keeps a run in memory. All clones are the same recording.
#[derive(Clone, Debug, Default)]
pub struct Recording(Arc<Mutex<Option<Run>>>);

impl Run {
    /// Where throughput was lost from the first sample to the last; absent
    /// before the first.
    #[must_use]
    pub fn diagnosis(&self) -> Option<Diagnosis> {
        Some(Diagnosis::of(self.samples.first()?, self.samples.last()?))
    }

    /// From the start to the last sample; zero without one.
    #[must_use]
    pub fn window_time(&self) -> Duration {
        self.samples.last().map_or(Duration::ZERO, |sample| sample.reading.at.since(self.start.at))
    }
}

impl Recording {
    /// The run as it stands; absent before its start.
    #[must_use]
    pub fn run(&self) -> Option<Run> {
        self.0.lock().clone()
    }

    fn add(&self, add: impl FnOnce(&mut Run)) {
        if let Some(run) = &mut *self.0.lock() {
            add(run);
        }
    }
}

impl Observer for Recording {
    fn start(&self, start: &Start) {
        *self.0.lock() = Some(Run { start: start.clone(), records: Vec::new(), samples: Vec::new() });
    }

    fn request(&self, record: &Arc<RequestRecord>) {
        self.add(|run| run.records.push(record.clone()));
    }

    fn sample(&self, sample: &Sample) {
        self.add(|run| run.samples.push(sample.clone()));
    }

    fn end(&self, sample: &Sample) {
        self.sample(sample);
    }
}
