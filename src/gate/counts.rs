//! A pool's counts at one instant, and why there is a gap in them.

/// What a pool's counts are at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Slots that may be held at once.
    pub cap: u32,
    /// Slots held. Above `cap` only while a lowered cap drains.
    pub in_flight: u32,
    /// Requests that wait at the gate.
    pub waiting: u64,
    /// Requests that wait to be tried again and hold no slot.
    pub backoff: u64,
    /// Work declared but not yet submitted.
    pub backlog: u64,
}

/// Why slots stood idle while work waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GapCause {
    /// A request waits at the gate though a slot is free: the slot was handed
    /// to a task that has not run yet. The executor is blocked.
    Wakeup,
    /// The work waits in retry back-off.
    Backoff,
    /// The work was declared and never submitted.
    Orchestration,
}

impl GapCause {
    /// All causes, the first that holds first.
    pub const ALL: [Self; 3] = [Self::Wakeup, Self::Backoff, Self::Orchestration];

    /// The name in logs and labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wakeup => "wakeup",
            Self::Backoff => "backoff",
            Self::Orchestration => "orchestration",
        }
    }
}

impl Counts {
    /// All that has work and no slot: waiting, in back-off, or in the backlog.
    #[must_use]
    pub fn queue_depth(&self) -> u64 {
        self.waiting.saturating_add(self.backoff).saturating_add(self.backlog)
    }

    /// The slots that nothing holds; zero above a lowered cap.
    #[must_use]
    pub fn free(&self) -> u32 {
        self.cap.saturating_sub(self.in_flight)
    }

    /// Why there is a gap now; absent when there is none.
    #[must_use]
    pub fn gap(&self) -> Option<GapCause> {
        if self.free() == 0 || self.queue_depth() == 0 {
            None
        } else if self.waiting > 0 {
            Some(GapCause::Wakeup)
        } else if self.backoff > 0 {
            Some(GapCause::Backoff)
        } else {
            Some(GapCause::Orchestration)
        }
    }
}
