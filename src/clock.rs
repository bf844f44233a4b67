//! The one clock: monotonic instants, and the one anchor that turns them into
//! wall time.
//!
//! It stands on tokio's clock, so that a test can pause it. An instant never
//! carries wall time: a stepped system clock bends no duration.

use std::time::{Duration, SystemTime};

/// A moment on the monotonic clock, to the nanosecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(tokio::time::Instant);

impl Instant {
    /// The present moment.
    #[must_use]
    pub fn now() -> Self {
        Self(tokio::time::Instant::now())
    }

    /// The time from `earlier` to this instant; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_duration_since(earlier.0)
    }

    /// The instant `delay` after this one; absent where the clock cannot hold it.
    #[must_use]
    pub fn after(self, delay: Duration) -> Option<Self> {
        self.0.checked_add(delay).map(Self)
    }

    pub(crate) fn into_tokio(self) -> tokio::time::Instant {
        self.0
    }
}

/// One moment read on both clocks, taken when a run starts.
#[derive(Clone, Copy, Debug)]
pub struct Anchor {
    instant: Instant,
    wall: SystemTime,
}

impl Anchor {
    /// An anchor at the present moment.
    #[must_use]
    pub fn now() -> Self {
        Self { instant: Instant::now(), wall: SystemTime::now() }
    }

    /// The wall time of `at`, as this anchor's moment and the monotonic clock
    /// give it. The differences of wall times are those of the instants, to
    /// the nanosecond. What the system's clock cannot hold is the anchor's own.
    #[must_use]
    pub fn wall(&self, at: Instant) -> SystemTime {
        let wall = if at >= self.instant {
            self.wall.checked_add(at.since(self.instant))
        } else {
            self.wall.checked_sub(self.instant.since(at))
        };
        wall.unwrap_or(self.wall)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Wall times on both sides of the anchor keep the distances of the instants.
    #[test]
    fn the_anchor_keeps_distances() {
        let early = Instant::now();
        let anchor = Anchor::now();
        let late = anchor.instant.after(Duration::from_nanos(1_000_000_007)).unwrap();
        let apart = anchor.wall(late).duration_since(anchor.wall(early)).unwrap();
        assert_eq!(apart, late.since(early));
    }
}
