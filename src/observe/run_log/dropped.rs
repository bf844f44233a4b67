//! What a log could not keep.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::sync::Mutex;

/// The count of lines that a log could not keep, which outlives the log.
#[derive(Clone, Debug, Default)]
pub struct Dropped(Arc<Mutex<BTreeMap<Arc<str>, u64>>>);

impl Dropped {
    /// Lines so far that found the buffer full or did not reach the disk.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.lock().values().sum()
    }

    /// Those of one pool.
    pub(super) fn of(&self, pool: &Arc<str>) -> u64 {
        self.0.lock().get(pool).copied().unwrap_or(0)
    }

    pub(super) fn add(&self, pool: &Arc<str>) {
        *self.0.lock().entry(pool.clone()).or_default() += 1;
    }
}
