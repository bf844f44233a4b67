//! The two primitives that the gate stands on, which the model check replaces.

#[cfg(shuttle)]
pub(super) use self::model::{Mutex, Semaphore};
#[cfg(not(shuttle))]
pub(super) use self::real::{Mutex, Semaphore};

#[cfg(not(shuttle))]
mod real {
    use std::sync::{MutexGuard, PoisonError};

    pub(in crate::gate) use tokio::sync::Semaphore;

    /// A mutex without poisoning: no critical section of the gate can panic
    /// half-way, and telemetry must not fail a request.
    #[derive(Debug)]
    pub(in crate::gate) struct Mutex<T>(std::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(in crate::gate) fn new(value: T) -> Self {
            Self(std::sync::Mutex::new(value))
        }

        pub(in crate::gate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }
}

#[cfg(shuttle)]
mod model {
    use std::sync::Arc;

    use shuttle::future::batch_semaphore::{AcquireError, BatchSemaphore, Fairness};
    use shuttle::sync::MutexGuard;

    #[derive(Debug)]
    pub(in crate::gate) struct Mutex<T>(shuttle::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(in crate::gate) fn new(value: T) -> Self {
            Self(shuttle::sync::Mutex::new(value))
        }

        pub(in crate::gate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
        }
    }

    /// tokio's semaphore, as far as the gate uses it, on shuttle's.
    #[derive(Debug)]
    pub(in crate::gate) struct Semaphore(BatchSemaphore);

    #[derive(Debug)]
    pub(in crate::gate) struct Permit;

    impl Permit {
        pub(in crate::gate) fn forget(self) {}
    }

    impl Semaphore {
        pub(in crate::gate) fn new(permits: usize) -> Self {
            Self(BatchSemaphore::new(permits, Fairness::StrictlyFair))
        }

        pub(in crate::gate) fn try_acquire(&self) -> Result<Permit, ()> {
            self.0.try_acquire(1).map(|()| Permit).map_err(drop)
        }

        pub(in crate::gate) async fn acquire_owned(self: Arc<Self>) -> Result<Permit, AcquireError> {
            self.0.acquire(1).await.map(|()| Permit)
        }

        pub(in crate::gate) fn add_permits(&self, permits: usize) {
            self.0.release(permits);
        }

        pub(in crate::gate) fn forget_permits(&self, permits: usize) -> usize {
            (0..permits).take_while(|_| self.try_acquire().is_ok()).count()
        }
    }
}
