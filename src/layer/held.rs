//! The time a slot worked for an attempt, where it may yet turn out that another
//! follows.

use std::sync::Arc;
use std::time::Duration;

use crate::pool::Pool;
use crate::sync::Mutex;

/// One attempt, known to the service that retries outside the meter and to the
/// meter's flight. The one knows whether another follows, the other for how long
/// the slot worked, and either may know first: the flight of an error's response
/// ends with its body, that of a failed service before anyone has decided.
#[derive(Clone, Debug)]
pub(crate) struct Held(Arc<Attempt>);

#[derive(Debug)]
struct Attempt {
    pool: Pool,
    state: Mutex<State>,
}

// Nobody but `retry` makes one.
#[cfg_attr(not(feature = "retry"), allow(dead_code))]
#[derive(Clone, Copy, Debug)]
enum State {
    Open,
    Abandoned,
    Ended(Duration),
}

#[cfg(feature = "retry")]
impl Held {
    /// An attempt that goes out now, through this pool.
    pub(crate) fn new(pool: Pool) -> Self {
        Self(Arc::new(Attempt { pool, state: Mutex::new(State::Open) }))
    }

    /// Another attempt follows this one. To be called once.
    pub(crate) fn abandon(&self) {
        let before = std::mem::replace(&mut *self.0.state.lock(), State::Abandoned);
        if let State::Ended(worked) = before {
            self.0.pool.tally().abandoned_after_all(worked);
        }
    }
}

impl Held {
    /// Whether it goes through this pool.
    pub(super) fn is_of(&self, pool: &Pool) -> bool {
        self.0.pool.is_same(pool)
    }

    /// Its slot has worked so long for nothing. True if it is known that another
    /// follows. To be called once.
    pub(super) fn ended(&self, worked: Duration) -> bool {
        let before = std::mem::replace(&mut *self.0.state.lock(), State::Ended(worked));
        !matches!(before, State::Open)
    }
}
