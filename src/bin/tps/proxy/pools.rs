//! The pools there are, which a reload adds to and takes from.

use std::sync::Arc;

use parking_lot::RwLock;
use tower_tps::Pool;

/// All pools, in the order of the configuration. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Pools(Arc<RwLock<Vec<Pool>>>);

impl Pools {
    pub(super) fn all(&self) -> Vec<Pool> {
        self.0.read().clone()
    }

    pub(super) fn get(&self, name: &str) -> Option<Pool> {
        self.0.read().iter().find(|pool| **pool.name() == *name).cloned()
    }

    /// Puts others in their place, and gives those that are there no more.
    pub(super) fn replace(&self, pools: Vec<Pool>) -> Vec<Pool> {
        let names: Vec<_> = pools.iter().map(|pool| pool.name().clone()).collect();
        let before = std::mem::replace(&mut *self.0.write(), pools);
        before.into_iter().filter(|pool| !names.contains(pool.name())).collect()
    }
}
