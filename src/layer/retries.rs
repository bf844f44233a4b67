//! How a retry inside the meter tells of itself.

use std::sync::Arc;

use crate::gate::Account;
#[cfg(feature = "retry")]
use crate::pool::Pool;
use crate::pool::PoolId;

/// The retries of one request that the meter sees once: those made inside,
/// while its slot is held. The layer puts it in the extensions of the request
/// as it goes to the inner service, where the service that retries finds it.
#[derive(Clone, Debug)]
pub struct Retries {
    /// Asked for by who retries on either side. No handle: what is kept of a
    /// request keeps no pool from ending.
    #[cfg_attr(not(feature = "retry"), expect(dead_code, reason = "nobody asks"))]
    pool: PoolId,
    account: Arc<Account>,
    /// Those of a meter further out, whose slot is held all the while too.
    outer: Option<Box<Self>>,
}

impl Retries {
    pub(super) fn new(pool: PoolId, account: Arc<Account>, outer: Option<Self>) -> Self {
        Self { pool, account, outer: outer.map(Box::new) }
    }

    /// Whether a slot of this pool is held.
    #[cfg(feature = "retry")]
    pub(crate) fn are_of(&self, pool: &Pool) -> bool {
        self.pool.is(pool) || self.outer.as_ref().is_some_and(|outer| outer.are_of(pool))
    }

    /// An attempt has failed with this cause and will be tried again:
    /// `status_429`, `status_5xx`, `connect`, `timeout` and the like. From here
    /// on the slot's time is `backoff`. Once there is a response, or the request
    /// has ended, it does nothing.
    pub fn failed(&self, cause: &'static str) {
        self.account.failed(cause);
        if let Some(outer) = &self.outer {
            outer.failed(cause);
        }
    }

    /// The next attempt goes out now.
    pub fn resumed(&self) {
        self.account.resumed();
        if let Some(outer) = &self.outer {
            outer.resumed();
        }
    }
}
