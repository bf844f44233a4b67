//! What becomes of an attempt: whether another follows, and for how long a slot
//! worked for it.

use std::sync::Arc;

use crate::gate::PhaseTimes;
use crate::pool::Pool;
use crate::sync::Mutex;

/// One attempt, known to the service that retries outside the meter and to the
/// meter's flight. The one knows whether another follows, the other for how long
/// the slot worked, and either may know first: the flight of an error's response
/// ends with its body, that of a failed service before anyone has decided. A
/// service between the two may make several flights of one attempt.
#[derive(Clone, Debug)]
pub(crate) struct Fate(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    pool: Pool,
    state: Mutex<State>,
}

// Nobody but `retry` makes one.
#[cfg_attr(not(feature = "retry"), allow(dead_code))]
#[derive(Clone, Copy, Debug)]
enum State {
    /// So long a slot has worked for it, and been told as failed.
    Open(PhaseTimes),
    /// Another attempt was decided on.
    Abandoned,
}

#[cfg(feature = "retry")]
impl Fate {
    /// That of an attempt which goes out now, through this pool.
    pub(crate) fn new(pool: Pool) -> Self {
        Self(Arc::new(Shared { pool, state: Mutex::new(State::Open(PhaseTimes::default())) }))
    }

    /// Another attempt is decided on.
    pub(crate) fn abandon(&self) {
        let before = std::mem::replace(&mut *self.0.state.lock(), State::Abandoned);
        if let State::Open(worked) = before {
            self.0.pool.tally().abandoned_after_all(&worked);
        }
    }
}

impl Fate {
    /// Whether it goes through this pool.
    pub(crate) fn is_of(&self, pool: &Pool) -> bool {
        self.0.pool.is_same(pool)
    }

    /// A slot has worked so long for nothing. True if it is known that another
    /// attempt follows; else it may yet turn out.
    pub(super) fn failed(&self, worked: &PhaseTimes) -> bool {
        match &mut *self.0.state.lock() {
            State::Open(sum) => {
                *sum = sum.plus(worked);
                false
            }
            State::Abandoned => true,
        }
    }
}
