//! `GET /events`: the state of all pools, at once and then every second.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::{Event, Sse};
use tokio::sync::{Semaphore, watch};
use tokio::time::MissedTickBehavior;
use tokio_stream::wrappers::WatchStream;
use tokio_stream::{Stream, StreamExt};

/// How many may listen at once.
const MOST: usize = 32;
/// How often they hear, and when who lost the connection asks again.
const CADENCE: Duration = Duration::from_secs(1);

/// Where listeners come in.
#[derive(Clone, Debug)]
pub(super) struct Events {
    states: watch::Receiver<Arc<str>>,
    places: Arc<Semaphore>,
}

/// Who tells them. When it is gone, their streams end.
#[derive(Debug)]
pub(super) struct Teller {
    states: watch::Sender<Arc<str>>,
    places: Arc<Semaphore>,
}

pub(super) fn events() -> (Teller, Events) {
    let (sender, receiver) = watch::channel(Arc::default());
    let places = Arc::new(Semaphore::new(MOST));
    (Teller { states: sender, places: places.clone() }, Events { states: receiver, places })
}

impl Teller {
    /// Tells all who listen of the state, which is asked for once for all of
    /// them, and not while nobody does.
    pub(super) async fn tell(self, state: impl Fn() -> String) {
        let mut ticks = tokio::time::interval(CADENCE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            if self.places.available_permits() < MOST {
                self.states.send_replace(state().into());
            }
        }
    }
}

impl Events {
    /// A stream that begins with this state; absent where as many listen as may.
    /// Who reads slowly misses states, and holds back nobody.
    pub(super) fn listen(
        &self,
        state: String,
    ) -> Option<Sse<impl Stream<Item = Result<Event, Infallible>> + use<>>> {
        let place = self.places.clone().try_acquire_owned().ok()?;
        let mut states = self.states.clone();
        states.mark_unchanged();
        let states = tokio_stream::once(Arc::from(state)).chain(WatchStream::from_changes(states));
        Some(Sse::new(states.map(move |state: Arc<str>| {
            // It goes with the stream.
            let _place = &place;
            Ok(Event::default().retry(CADENCE).data(&*state))
        })))
    }
}
