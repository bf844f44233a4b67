//! An observer that keeps a run in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Run;
use super::row::Row;
use super::run::{Gathering, Meta};
use super::told::Told;
use crate::clock::Anchor;
use crate::gate::Change;
use crate::observe::{Observer, Sample, Start};
use crate::record::RequestRecord;
use crate::sync::Mutex;

/// An observer that keeps a run in memory. All clones are the same recording.
#[derive(Clone, Debug, Default)]
pub struct Recording(Arc<Mutex<Option<Gathering>>>);

impl Recording {
    /// The run as it stands; absent before its start.
    #[must_use]
    pub fn run(&self) -> Option<Run> {
        let gathering = self.0.lock().clone();
        gathering.map(Gathering::finish)
    }

    fn add(&self, add: impl FnOnce(&mut Gathering)) {
        if let Some(gathering) = &mut *self.0.lock() {
            add(gathering);
        }
    }
}

impl Observer for Recording {
    fn start(&self, start: &Start) {
        let meta = Meta {
            run_id: "".into(),
            pool: (&*start.pool).into(),
            file: None,
            version: Some(env!("CARGO_PKG_VERSION").into()),
            started_at: start.at,
            cap: start.cap,
            backlog: 0,
            backoff: 0,
            tokenizer: (&*start.tokenizer).into(),
            labels: BTreeMap::new(),
            anchor: Anchor::now(),
            dropped_records: 0,
            end_in: None,
            begins_late: false,
        };
        *self.0.lock() = Some(Gathering::new(meta));
    }

    fn request(&self, record: &Arc<RequestRecord>) {
        self.add(|run| {
            let row = Row::of(record, &mut run.names);
            run.rows.push(row);
        });
    }

    fn change(&self, _: &Arc<str>, change: &Change) {
        self.add(|run| run.changes.push(*change));
    }

    fn sample(&self, sample: &Sample) {
        self.add(|run| run.sample(Told::of(sample)));
    }

    fn end(&self, sample: &Sample) {
        self.add(|run| run.end(Told::of(sample)));
    }
}
