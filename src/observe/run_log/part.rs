//! How a run's pools stand where its log is cut, so that each part can be read.

use crate::clock::Instant;
use crate::gate::{Change, Quantity};
use crate::observe::Start;

/// Where a part begins that goes on with a run: at the last instant of the lines
/// before. No request that was still under way then is in a part before, so this
/// part and those after it hold all that there is from then on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    pub(super) at: Instant,
}

/// A pool that has started and not ended, after all lines so far.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub(super) start: Start,
    /// By [`Quantity`]: changes may come out of their order, and only their sum is right.
    now: [i128; 3],
}

impl Standing {
    pub(super) fn new(start: Start) -> Self {
        let mut now = [0; 3];
        now[Quantity::Cap as usize] = start.cap.into();
        Self { start, now }
    }

    pub(super) fn change(&mut self, change: &Change) {
        self.now[change.quantity as usize] += i128::from(change.to) - i128::from(change.from);
    }

    /// Whether these are counts. Between two changes that came out of their order they may not be.
    pub(super) fn can_be(&self) -> bool {
        self.now.iter().all(|now| *now >= 0) && self.cap() > 0
    }

    pub(super) fn cap(&self) -> u64 {
        self.of(Quantity::Cap)
    }

    pub(super) fn backlog(&self) -> u64 {
        self.of(Quantity::Backlog)
    }

    pub(super) fn backoff(&self) -> u64 {
        self.of(Quantity::Backoff)
    }

    fn of(&self, quantity: Quantity) -> u64 {
        u64::try_from(self.now[quantity as usize]).unwrap_or(0)
    }
}
