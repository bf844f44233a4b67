//! The one clock: monotonic instants, and the one anchor that turns them into
//! wall time.
//!
//! It stands on tokio's clock, so that a test can pause it. An instant never
//! carries wall time: a stepped system clock bends no duration.

use std::num::NonZeroU64;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const NANOS_A_SECOND: u64 = 1_000_000_000;

/// What instants are counted from: a day before the clock is first asked, since
/// a paused clock stands a little before the real one.
static ORIGIN: LazyLock<tokio::time::Instant> = LazyLock::new(|| {
    // Not tokio's: a paused clock may have been moved far ahead.
    #[expect(clippy::disallowed_types, reason = "the one clock stands on it")]
    let now = std::time::Instant::now();
    tokio::time::Instant::from_std(now.checked_sub(DAY).unwrap_or(now))
});

/// A moment on the monotonic clock, to the nanosecond.
///
/// It takes eight bytes, and so does an `Option` of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(NonZeroU64);

impl Instant {
    /// The present moment.
    #[must_use]
    pub fn now() -> Self {
        let elapsed = tokio::time::Instant::now().saturating_duration_since(*ORIGIN);
        // 584 years fit; where a paused clock has been moved further, it stands still.
        let seconds = elapsed.as_secs().saturating_mul(NANOS_A_SECOND);
        let nanos = seconds.saturating_add(elapsed.subsec_nanos().into());
        Self(NonZeroU64::new(nanos).unwrap_or(NonZeroU64::MIN))
    }

    /// The time from `earlier` to this instant; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.nanos_since(earlier))
    }

    /// The instant `delay` after this one; absent where the clock cannot hold it.
    #[must_use]
    pub fn after(self, delay: Duration) -> Option<Self> {
        let nanos = u64::try_from(delay.as_nanos()).ok()?;
        self.0.checked_add(nanos).map(Self)
    }

    /// A number other than zero, for where only a number can be kept.
    pub(crate) fn to_bits(self) -> u64 {
        self.0.get()
    }

    /// The instant of these bits; absent for zero.
    pub(crate) fn from_bits(bits: u64) -> Option<Self> {
        NonZeroU64::new(bits).map(Self)
    }

    pub(crate) fn nanos_since(self, earlier: Self) -> u64 {
        self.0.get().saturating_sub(earlier.0.get())
    }

    /// Absent where tokio's clock cannot hold it.
    pub(crate) fn into_tokio(self) -> Option<tokio::time::Instant> {
        ORIGIN.checked_add(Duration::from_nanos(self.0.get()))
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

    /// The anchor of instants that are nanoseconds since the Unix epoch.
    #[cfg(feature = "analysis")]
    pub(crate) fn unix() -> Self {
        Self { instant: Instant(NonZeroU64::MIN), wall: SystemTime::UNIX_EPOCH + Duration::from_nanos(1) }
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
