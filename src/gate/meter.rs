//! The gap meter: exact integrals of a pool's counts over time.
//!
//! It is event-driven. Between two events the counts stand still, so each
//! interval adds a product, and nothing is ever sampled.

use std::time::Duration;

use super::counts::{Counts, GapCause};
use super::ledger::{PhaseTimes, SlotPhase};
use crate::clock::Instant;

/// Integrals over a window of time, in nanoseconds or slot-nanoseconds.
///
/// Sums of slot-time outgrow 64 bits within hours at the largest cap, hence
/// 128 of them.
// Laid out as written: what each transition touches comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Totals {
    busy_slots: u128,
    phases: [u128; SlotPhase::ALL.len()],
    backlog: u128,
    gap: [u128; GapCause::ALL.len()],
    lost_slots: [u128; GapCause::ALL.len()],
    gap_slots: u128,
    cap_slots: u128,
    over_slots: u128,
    window: u128,
    idle_slots: u128,
}

impl Totals {
    /// Adds an interval, in nanoseconds, in which the counts stood still. What
    /// follows from the rest is left to the reading, since this is done under the
    /// gate's lock: the window, the slots that there were, and those that idled.
    fn add(&mut self, counts: &Counts, nanos: u64) {
        if nanos == 0 {
            return;
        }
        // Both have 64 bits, so the processor multiplies them at once.
        let slots = |count: u64| u128::from(nanos) * u128::from(count);
        self.busy_slots += slots(counts.in_flight.into());
        if counts.in_flight > counts.cap {
            self.over_slots += slots((counts.in_flight - counts.cap).into());
        }
        let queued = counts.queue_depth();
        if queued == 0 {
            return;
        }
        self.backlog += u128::from(nanos);
        if let Some(cause) = counts.gap() {
            let free = counts.free().into();
            self.gap[cause as usize] += u128::from(nanos);
            self.gap_slots += slots(free);
            self.lost_slots[cause as usize] += slots(queued.min(free));
        }
    }

    pub(super) fn add_phases(&mut self, times: &[u128; SlotPhase::ALL.len()]) {
        self.phases.iter_mut().zip(times).for_each(|(sum, time)| *sum += time);
    }

    /// Enters what a slot did that has been given back.
    pub(crate) fn attribute(&mut self, times: &PhaseTimes) {
        times.add_to(&mut self.phases);
    }

    fn minus(&self, earlier: &Self) -> Self {
        Self {
            window: self.window.saturating_sub(earlier.window),
            backlog: self.backlog.saturating_sub(earlier.backlog),
            gap: minus(self.gap, earlier.gap),
            lost_slots: minus(self.lost_slots, earlier.lost_slots),
            gap_slots: self.gap_slots.saturating_sub(earlier.gap_slots),
            cap_slots: self.cap_slots.saturating_sub(earlier.cap_slots),
            busy_slots: self.busy_slots.saturating_sub(earlier.busy_slots),
            idle_slots: self.idle_slots.saturating_sub(earlier.idle_slots),
            over_slots: self.over_slots.saturating_sub(earlier.over_slots),
            phases: minus(self.phases, earlier.phases),
        }
    }

    /// The length of the window.
    #[must_use]
    pub fn window_time(&self) -> Duration {
        duration(self.window)
    }

    /// Time with `queue_depth > 0`.
    #[must_use]
    pub fn backlog_time(&self) -> Duration {
        duration(self.backlog)
    }

    /// Time with `queue_depth > 0 && in_flight < cap`: the sum over all causes.
    #[must_use]
    pub fn gap_time(&self) -> Duration {
        duration(self.gap.iter().sum())
    }

    /// The part of [`gap_time`](Self::gap_time) that has this cause.
    #[must_use]
    pub fn gap_time_of(&self, cause: GapCause) -> Duration {
        duration(self.gap[cause as usize])
    }

    /// `gap_time / window_time`, in 0..=1; absent for an empty window.
    #[must_use]
    pub fn gap_fraction(&self) -> Option<f64> {
        ratio(self.gap_time(), self.window_time())
    }

    /// `gap_time / backlog_time`, in 0..=1: of the time in which work waited,
    /// how much was not at the cap. Absent where nothing ever waited.
    #[must_use]
    pub fn gap_share(&self) -> Option<f64> {
        ratio(self.gap_time(), self.backlog_time())
    }

    /// Slot-time: `∫ cap`.
    #[must_use]
    pub fn cap_slot_time(&self) -> Duration {
        duration(self.cap_slots)
    }

    /// Slot-time: `∫ in_flight`.
    #[must_use]
    pub fn busy_slot_time(&self) -> Duration {
        duration(self.busy_slots)
    }

    /// Slot-time that stood idle in the gap: `∫ (cap - in_flight)` over it.
    #[must_use]
    pub fn gap_slot_time(&self) -> Duration {
        duration(self.gap_slots)
    }

    /// Slot-time that a perfect scheduler would have used:
    /// `∫ min(queue_depth, cap - in_flight)` over the gap.
    #[must_use]
    pub fn lost_slot_time(&self) -> Duration {
        duration(self.lost_slots.iter().sum())
    }

    /// The part of [`lost_slot_time`](Self::lost_slot_time) that has this cause.
    #[must_use]
    pub fn lost_slot_time_of(&self, cause: GapCause) -> Duration {
        duration(self.lost_slots[cause as usize])
    }

    /// The part of [`busy_slot_time`](Self::busy_slot_time) in which slots did this.
    #[must_use]
    pub fn slot_time_of(&self, phase: SlotPhase) -> Duration {
        duration(self.phases[phase as usize])
    }

    /// The part of [`busy_slot_time`](Self::busy_slot_time) of which it is not
    /// known yet what the slot did: the time since a token, which is `generate`
    /// if another follows and `drain` if none does, and that of a document that
    /// is not complete. Zero when no slot is held, and in a [`GapMeter`] that
    /// stands alone all of it.
    ///
    /// It falls as time is attributed: a window in which more was attributed
    /// than passed has none, and its phases add up to more than its busy time.
    #[must_use]
    pub fn unattributed_slot_time(&self) -> Duration {
        duration(self.busy_slots.saturating_sub(self.phases.iter().sum()))
    }

    /// Slot-time of free slots while nothing waited.
    #[must_use]
    pub fn idle_slot_time(&self) -> Duration {
        duration(self.idle_slots)
    }

    /// Slot-time in flight above a cap that was lowered.
    #[must_use]
    pub fn over_slot_time(&self) -> Duration {
        duration(self.over_slots)
    }

    /// All of them but the window, each with its name in logs and reports.
    #[must_use]
    pub fn named(&self) -> [(&'static str, Duration); 18] {
        [
            ("backlog_time", self.backlog_time()),
            ("gap_time", self.gap_time()),
            ("gap_time_wakeup", self.gap_time_of(GapCause::Wakeup)),
            ("gap_time_backoff", self.gap_time_of(GapCause::Backoff)),
            ("gap_time_orchestration", self.gap_time_of(GapCause::Orchestration)),
            ("gap_slot_time", self.gap_slot_time()),
            ("lost_slot_time", self.lost_slot_time()),
            ("cap_slot_time", self.cap_slot_time()),
            ("busy_slot_time", self.busy_slot_time()),
            ("busy_slot_time_dispatch", self.slot_time_of(SlotPhase::Dispatch)),
            ("busy_slot_time_backoff", self.slot_time_of(SlotPhase::Backoff)),
            ("busy_slot_time_prefill", self.slot_time_of(SlotPhase::Prefill)),
            ("busy_slot_time_generate", self.slot_time_of(SlotPhase::Generate)),
            ("busy_slot_time_stall", self.slot_time_of(SlotPhase::Stall)),
            ("busy_slot_time_drain", self.slot_time_of(SlotPhase::Drain)),
            ("busy_slot_time_unattributed", self.unattributed_slot_time()),
            ("idle_slot_time", self.idle_slot_time()),
            ("over_slot_time", self.over_slot_time()),
        ]
    }
}

/// How long the oldest of what is under way has been so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ages {
    /// Since the arrival of whoever has waited longest at the gate; absent where
    /// nobody waits.
    pub oldest_queued: Option<Duration>,
    /// Since the admission of whoever has held a slot longest; absent where no
    /// slot is held.
    pub oldest_in_flight: Option<Duration>,
    /// Since the last token of the stream that has been silent longest; absent
    /// where no stream under way has had a token.
    pub longest_silence: Option<Duration>,
}

/// The counts at one instant and the integrals from the meter's start up to it.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// When it was taken.
    pub at: Instant,
    /// The counts as they stood.
    pub counts: Counts,
    /// The integrals since the meter started, the running interval included.
    pub totals: Totals,
    /// The ages of what is under way; none are known to a [`GapMeter`] that
    /// stands alone.
    pub ages: Ages,
}

impl Reading {
    /// The integrals of the window from `earlier`, a reading of the same
    /// meter, to this one.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Totals {
        self.totals.minus(&earlier.totals)
    }
}

/// Integrates [`Counts`] over time, event by event.
///
/// It stands alone and knows neither requests nor locks: whoever owns the
/// counts tells it of each change, in the order of time.
///
/// ```
/// use std::time::Duration;
/// use tower_tps::{clock::Instant, gate::{Counts, GapMeter}};
///
/// let start = Instant::now();
/// let mut meter = GapMeter::new(
///     Counts { cap: 2, in_flight: 1, waiting: 0, backoff: 0, backlog: 5 },
///     start,
/// );
/// let later = start.after(Duration::from_secs(3)).expect("in range");
/// meter.update(later, |counts| counts.backlog = 0);
/// assert_eq!(meter.reading(later).totals.gap_time(), Duration::from_secs(3));
/// ```
// Laid out as written, for the same reason.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct GapMeter {
    counts: Counts,
    at: Instant,
    started_at: Instant,
    /// Since when the cap has stood.
    cap_since: Instant,
    /// Without what is left to the reading; of the slots that there were, those
    /// until `cap_since`.
    totals: Totals,
}

impl GapMeter {
    /// A meter that starts at `at` with these counts.
    #[must_use]
    pub fn new(counts: Counts, at: Instant) -> Self {
        Self { counts, at, started_at: at, cap_since: at, totals: Totals::default() }
    }

    /// The counts as they stand.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Closes the interval that ends at `at`, then changes the counts.
    ///
    /// An instant before the last event counts as that event's: the integrals
    /// never run backwards.
    pub fn update(&mut self, at: Instant, change: impl FnOnce(&mut Counts)) {
        self.totals.add(&self.counts, at.nanos_since(self.at));
        self.at = self.at.max(at);
        let cap = self.counts.cap;
        change(&mut self.counts);
        if self.counts.cap != cap {
            self.totals.cap_slots += self.slots_since(cap);
            self.cap_since = self.at;
        }
    }

    /// The integrals up to `at`, the running interval included.
    #[must_use]
    pub fn reading(&self, at: Instant) -> Reading {
        let mut now = self.clone();
        now.update(at, |_| {});
        let Self { counts, at, mut totals, .. } = now;
        totals.window = at.nanos_since(self.started_at).into();
        totals.cap_slots += now.slots_since(counts.cap);
        // A slot is held, free while work waits, or free while none does; and
        // some may be held above the cap.
        let there_were = totals.cap_slots + totals.over_slots;
        totals.idle_slots = there_were.saturating_sub(totals.busy_slots + totals.gap_slots);
        Reading { at, counts, totals, ages: Ages::default() }
    }

    /// The slot-nanoseconds of this cap, from when it was set until the last event.
    fn slots_since(&self, cap: u32) -> u128 {
        u128::from(self.at.nanos_since(self.cap_since)) * u128::from(cap)
    }

    /// Enters what a slot did that has been given back.
    pub(super) fn attribute(&mut self, times: &PhaseTimes) {
        self.totals.attribute(times);
    }
}

fn minus<const N: usize>(mut later: [u128; N], earlier: [u128; N]) -> [u128; N] {
    later.iter_mut().zip(earlier).for_each(|(later, earlier)| *later = later.saturating_sub(earlier));
    later
}

fn duration(nanos: u128) -> Duration {
    const NANOS: u128 = 1_000_000_000;
    // The remainder is below 10^9, so only the seconds can be too many.
    match u64::try_from(nanos / NANOS) {
        Ok(secs) => Duration::new(secs, (nanos % NANOS) as u32),
        Err(_) => Duration::MAX,
    }
}

fn ratio(part: Duration, whole: Duration) -> Option<f64> {
    (!whole.is_zero()).then(|| part.as_secs_f64() / whole.as_secs_f64())
}
