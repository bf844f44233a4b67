//! What becomes of an attempt: whether another follows, and for how long a slot
//! worked for it.

use std::sync::Arc;

use crate::gate::PhaseTimes;
use crate::pool::{Pool, PoolId, Tally};
use crate::sync::Mutex;

/// One attempt, known to the service that retries outside the meter and to the
/// meter's flight. The one knows whether another follows, the other for how long
/// the slot worked, and either may know first: the flight of an error's response
/// ends with its body, that of a failed service before anyone has decided. A
/// service between the two may make several flights of one attempt.
///
/// No handle of the pool: what is kept of a request keeps no pool from ending.
#[derive(Clone, Debug)]
pub(crate) struct Fate(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    pool: PoolId,
    state: Mutex<State>,
}

// Nobody but `retry` makes one.
#[cfg_attr(not(feature = "retry"), allow(dead_code))]
#[derive(Clone, Copy, Debug)]
enum State {
    /// So many flights have failed, and so long slots worked for them.
    Open { flights: u64, worked: PhaseTimes },
    /// Another attempt was decided on.
    Abandoned,
}

#[cfg(feature = "retry")]
impl Fate {
    /// That of an attempt which goes out now, through this pool.
    pub(crate) fn new(pool: &Pool) -> Self {
        let state = State::Open { flights: 0, worked: PhaseTimes::default() };
        Self(Arc::new(Shared { pool: pool.id(), state: Mutex::new(state) }))
    }

    /// Another attempt is decided on, which `tally`, its pool's, is told.
    pub(crate) fn abandon(&self, tally: &Tally) {
        let mut state = self.0.state.lock();
        if let State::Open { flights, worked } = std::mem::replace(&mut *state, State::Abandoned) {
            tally.abandoned_after_all(&worked, flights);
        }
    }
}

impl Fate {
    /// Whether it goes through this pool.
    pub(crate) fn is_of(&self, pool: &Pool) -> bool {
        self.0.pool.is(pool)
    }

    /// A slot has worked so long for nothing, which `tally`, its pool's, is told:
    /// as failed, or as abandoned if it is known that another attempt follows.
    pub(super) fn failed(&self, more: &PhaseTimes, tally: &Tally) {
        match &mut *self.0.state.lock() {
            State::Open { flights, worked } => {
                *flights += 1;
                *worked = worked.plus(more);
                tally.failed(more);
            }
            State::Abandoned => tally.abandoned(more, 1),
        }
    }
}
