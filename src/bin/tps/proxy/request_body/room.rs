//! Room in memory for what has been read of all requests that wait.

use std::sync::{Arc, LazyLock};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// All of it together, in pieces.
const PIECES: usize = 1024 * 1024;
/// The size of one in bytes.
const PIECE: usize = 1024;

static FREE: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(PIECES)));

/// Room that one request takes up, until it is dropped.
#[derive(Debug, Default)]
pub(super) struct Room(Option<OwnedSemaphorePermit>);

impl Room {
    /// Grows to so many bytes, if there is room for them.
    #[must_use]
    pub(super) fn grows_to(&mut self, bytes: usize) -> bool {
        let taken = self.0.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let more = bytes.div_ceil(PIECE).saturating_sub(taken);
        if more == 0 {
            return true;
        }
        let Ok(more) = u32::try_from(more) else { return false };
        let Ok(more) = FREE.clone().try_acquire_many_owned(more) else { return false };
        match &mut self.0 {
            Some(taken) => taken.merge(more),
            none => *none = Some(more),
        }
        true
    }
}
