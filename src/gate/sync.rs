//! The lock that the gate stands on, which the model check replaces.

use std::sync::PoisonError;

#[cfg(shuttle)]
use shuttle::sync as imp;
#[cfg(not(shuttle))]
use std::sync as imp;

/// A mutex without poisoning: no critical section of the gate can panic
/// half-way, and telemetry must not fail a request.
#[derive(Debug)]
pub(super) struct Mutex<T>(imp::Mutex<T>);

impl<T> Mutex<T> {
    pub(super) fn new(value: T) -> Self {
        Self(imp::Mutex::new(value))
    }

    pub(super) fn lock(&self) -> imp::MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
