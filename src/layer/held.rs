//! The time an attempt held its slot, where it may yet turn out to have been for
//! nothing.

use std::sync::Arc;
use std::time::Duration;

use crate::pool::Pool;
use crate::sync::Mutex;

/// One attempt, known to the service that retries outside the meter and to the
/// meter's flight. The one knows whether it is abandoned, the other for how long
/// it held its slot, and either may know first: the flight of an error's response
/// ends with its body, that of a failed service before anyone has decided.
#[derive(Clone, Debug)]
pub(crate) struct Held(Arc<Attempt>);

#[derive(Debug)]
struct Attempt {
    pool: Pool,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Open,
    Abandoned,
    Ended(Duration),
}

// Nobody but `retry` abandons.
#[cfg_attr(not(feature = "retry"), allow(dead_code))]
impl Held {
    /// An attempt that goes out now. `pool` is told if it was for nothing.
    pub(crate) fn new(pool: Pool) -> Self {
        Self(Arc::new(Attempt { pool, state: Mutex::new(State::Open) }))
    }

    /// Another attempt follows this one. To be called once.
    pub(crate) fn abandon(&self) {
        let before = std::mem::replace(&mut *self.0.state.lock(), State::Abandoned);
        if let State::Ended(held) = before {
            self.0.pool.abandoned(held);
        }
    }
}

impl Held {
    /// The slot has gone back after this time. To be called once.
    pub(super) fn ended(&self, held: Duration) {
        let before = std::mem::replace(&mut *self.0.state.lock(), State::Ended(held));
        if let State::Abandoned = before {
            self.0.pool.abandoned(held);
        }
    }
}
