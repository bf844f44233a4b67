//! What a service under the meter may ask and tell of the request that it serves.

use std::sync::Arc;
use std::time::Duration;

use super::error_type::ErrorType;
use crate::gate::Account;

/// A request that holds its slot. The layer puts it in the extensions of the
/// request as it goes to the inner service, where a service that keeps time
/// limits, say, finds it.
///
/// It keeps neither the slot nor the pool.
#[derive(Clone, Debug)]
pub struct InFlight(Arc<Account>);

impl InFlight {
    pub(super) fn new(account: Arc<Account>) -> Self {
        Self(account)
    }

    /// For how long the upstream has been waited for since the last token; absent
    /// while there is none. The time in which the caller did not ask for more is
    /// not in it.
    #[must_use]
    pub fn silence(&self) -> Option<Duration> {
        self.0.silence()
    }

    /// What the record is to call the failure of the service or of the body that
    /// follows. It changes nothing by itself; the first one counts.
    pub fn fails_with(&self, error: ErrorType) {
        self.0.fails_with(error.0);
    }
}
