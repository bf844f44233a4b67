//! How a retry on either side of the meter tells of itself.

use std::sync::Arc;

use crate::clock::Instant;
use crate::record::Retry;
use crate::sync::Mutex;

/// The retries of one request that the meter sees once: those made inside,
/// while its slot is held. The layer puts it in the request's extensions, where
/// the service that retries finds it.
#[derive(Clone, Debug, Default)]
pub struct Retries(Arc<Mutex<Vec<Retry>>>);

/// Which attempt a request is, counted from 1, where the retrying is done
/// outside and the meter sees each attempt as a request. Whoever retries puts
/// it in the request's extensions. Without it the header
/// `x-stainless-retry-count` of the official SDKs tells, and without that an
/// attempt is the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt(pub u32);

impl Retries {
    /// An attempt has failed with this cause and will be tried again:
    /// `status_429`, `status_5xx`, `connect`, `timeout` and the like.
    pub fn failed(&self, cause: &'static str) {
        self.0.lock().push(Retry { cause, failed_at: Instant::now(), resumed_at: None });
    }

    /// The next attempt goes out now.
    pub fn resumed(&self) {
        if let Some(retry) = self.0.lock().last_mut() {
            retry.resumed_at.get_or_insert_with(Instant::now);
        }
    }

    pub(super) fn take(&self) -> Vec<Retry> {
        std::mem::take(&mut *self.0.lock())
    }
}
