//! The pools of the proxy, by name.

use tower_tps::Pool;

/// All of them. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Pools(Vec<Pool>);

impl Pools {
    pub(super) fn new(pool: Pool) -> Self {
        Self(vec![pool])
    }

    /// All, in the order in which they are shown.
    pub(super) fn all(&self) -> Vec<Pool> {
        self.0.clone()
    }
}
