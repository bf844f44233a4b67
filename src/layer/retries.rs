//! How a retry on either side of the meter tells of itself.

use std::sync::Arc;

use crate::gate::Account;
use crate::pool::Pool;

/// The retries of one request that the meter sees once: those made inside,
/// while its slot is held. The layer puts it in the extensions of the request
/// as it goes to the inner service, where the service that retries finds it.
#[derive(Clone, Debug)]
pub struct Retries {
    /// Asked for by who retries on either side.
    #[cfg_attr(not(feature = "retry"), expect(dead_code, reason = "nobody asks"))]
    pool: Pool,
    account: Arc<Account>,
}

/// Which attempt a request is, counted from 1, where the retrying is done
/// outside and the meter sees each attempt as a request. Whoever retries puts
/// it in the request's extensions. Without it the header
/// `x-stainless-retry-count` of the official SDKs tells, and without that an
/// attempt is the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt(pub u32);

impl Retries {
    pub(super) fn new(pool: Pool, account: Arc<Account>) -> Self {
        Self { pool, account }
    }

    /// The pool whose slot is held.
    #[cfg(feature = "retry")]
    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// An attempt has failed with this cause and will be tried again:
    /// `status_429`, `status_5xx`, `connect`, `timeout` and the like. From here
    /// on the slot's time is `backoff`. Once there is a response, or the request
    /// has ended, it does nothing.
    pub fn failed(&self, cause: &'static str) {
        self.account.failed(cause);
    }

    /// The next attempt goes out now.
    pub fn resumed(&self) {
        self.account.resumed();
    }
}
