//! Where a pool's lost throughput went, by the ledger. Pure: from one sample to
//! a later one.

use std::time::Duration;

use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::gate::{GapCause, SlotPhase};
use crate::observe::Sample;

/// Of the slot-time that there was, a loss of less than this share does not
/// come before what the upstream does.
const NEGLIGIBLE: f64 = 0.01;

/// What took slot-time from generating.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Loss {
    /// A slot was free and its task did not run.
    Wakeup,
    /// Work slept before another attempt, beside a free slot or in one.
    Backoff,
    /// A slot was free and the declared work was not submitted.
    Orchestration,
    /// New connections were made.
    ConnectionChurn,
    /// Slots waited for the first token: the upstream's queue and its prefill,
    /// less what was spent on connecting and on what came to nothing.
    UpstreamWait,
    /// Callers did not ask for the next frame.
    DownstreamStall,
    /// Slots worked for requests that failed, were cut off or were given up.
    FailedWork,
    /// Slots worked for attempts that were followed by another.
    Retries,
    /// For most of the time work waited at the cap, and for most of theirs the
    /// slots generated: the model is slow. It costs no tokens.
    Generation,
}

/// One loss, and what it cost.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Finding {
    /// What took the slot-time.
    pub loss: Loss,
    /// How much; never zero.
    pub slot_time: Duration,
    /// Of the slot-time that there was, in 0..=1 as long as the cap holds.
    pub share: f64,
    /// Output tokens that the same slot-time brought elsewhere: `slot_time` ×
    /// output tokens of completed requests for each busy slot-second. Absent
    /// where none completed, and for [`Loss::Generation`].
    pub tokens: Option<f64>,
}

/// Where lost throughput went: the findings of a window, the first to look at first.
///
/// Losses that can be mended on this side come first, the largest before the
/// others; then what the upstream does; then losses below 1 % of the slot-time.
/// They are disjoint but for rounding, save that connecting may have been done
/// while no slot waited for it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Diagnosis {
    /// The window that it is of.
    pub window_time: Duration,
    /// What there is to look at; empty where no slot-time was lost.
    pub findings: Vec<Finding>,
}

// === impl Loss ===

impl Loss {
    /// The name in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wakeup => "wakeup",
            Self::Backoff => "backoff",
            Self::Orchestration => "orchestration",
            Self::ConnectionChurn => "connection_churn",
            Self::UpstreamWait => "upstream_wait",
            Self::DownstreamStall => "downstream_stall",
            Self::FailedWork => "failed_work",
            Self::Retries => "retries",
            Self::Generation => "generation",
        }
    }

    /// What to look at, in one sentence.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::Wakeup => {
                "A free slot was handed to a task that did not run: look for blocking calls on the executor's threads."
            }
            Self::Backoff => {
                "Work slept before another attempt: retry outside the slot, follow retry-after, and look at what is refused."
            }
            Self::Orchestration => {
                "Slots were free and declared work was not submitted: submit ahead of the slots instead of one after the other."
            }
            Self::ConnectionChurn => {
                "Slots waited for new connections: keep connections alive and let the client keep as many idle ones as there are slots."
            }
            Self::UpstreamWait => {
                "Slots waited for the first token: look at the upstream's own queue, at the length of prompts, and at prefix caching."
            }
            Self::DownstreamStall => {
                "Callers did not read what was there: look at slow clients, and at buffers and work on the way to them."
            }
            Self::FailedWork => {
                "Slots worked for requests that came to nothing: look at the records by outcome and error_type."
            }
            Self::Retries => {
                "Slots worked for attempts that had to be made again: look at the causes of the retries."
            }
            Self::Generation => {
                "Slots were generating while work waited at the cap: the model or its hardware is the limit."
            }
        }
    }

    /// Whether it is the upstream's own work.
    fn is_upstream(self) -> bool {
        matches!(self, Self::UpstreamWait | Self::Generation)
    }
}

// === impl Diagnosis ===

impl Diagnosis {
    /// The diagnosis of the window from `earlier` to `later`, samples of one pool.
    #[must_use]
    pub fn of(earlier: &Sample, later: &Sample) -> Self {
        let totals = later.reading.since(&earlier.reading);
        let phase = |phase| totals.slot_time_of(phase);
        let lost = |cause| totals.lost_slot_time_of(cause);
        let difference = |of: fn(&Sample) -> Duration| of(later).saturating_sub(of(earlier));
        let connecting = difference(|sample| sample.connect_time);
        let failed = difference(|sample| sample.failed_slot_time);
        let retried = difference(|sample| sample.abandoned_slot_time);
        let in_vain = difference(|sample| sample.failed_wait_time) + retried + connecting;
        let waited = phase(SlotPhase::Dispatch) + phase(SlotPhase::Prefill);
        let saturated = totals.backlog_time().saturating_sub(totals.gap_time());
        let generated = phase(SlotPhase::Generate);
        let limits = 2 * saturated > totals.window_time() && 2 * generated > totals.busy_slot_time();

        let there_was = totals.cap_slot_time().as_secs_f64();
        let busy = totals.busy_slot_time().as_secs_f64();
        let tokens = later.output_tokens.saturating_sub(earlier.output_tokens);
        let rate = (tokens > 0 && busy > 0.0).then(|| tokens as f64 / busy);
        let finding = |(loss, slot_time): (Loss, Duration)| Finding {
            loss,
            slot_time,
            share: slot_time.as_secs_f64() / there_was,
            tokens: rate.filter(|_| loss != Loss::Generation).map(|rate| rate * slot_time.as_secs_f64()),
        };
        let mut findings: Vec<Finding> = [
            (Loss::Wakeup, lost(GapCause::Wakeup)),
            (Loss::Backoff, lost(GapCause::Backoff) + phase(SlotPhase::Backoff)),
            (Loss::Orchestration, lost(GapCause::Orchestration)),
            (Loss::ConnectionChurn, connecting),
            (Loss::UpstreamWait, waited.saturating_sub(in_vain)),
            (Loss::DownstreamStall, phase(SlotPhase::Stall)),
            (Loss::FailedWork, failed),
            (Loss::Retries, retried),
            (Loss::Generation, if limits { generated } else { Duration::ZERO }),
        ]
        .into_iter()
        .filter(|(_, slot_time)| !slot_time.is_zero())
        .map(finding)
        .collect();
        findings.sort_by(|a, b| a.rank().cmp(&b.rank()).then(b.slot_time.cmp(&a.slot_time)));
        Self { window_time: totals.window_time(), findings }
    }
}

// === impl Finding ===

impl Finding {
    fn rank(&self) -> u8 {
        match (self.loss.is_upstream(), self.share >= NEGLIGIBLE) {
            (false, true) => 0,
            (true, _) => 1,
            (false, false) => 2,
        }
    }
}

/// With the advice, and times in seconds.
impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Finding", 5)?;
        fields.serialize_field("loss", self.loss.as_str())?;
        fields.serialize_field("slot_time", &self.slot_time.as_secs_f64())?;
        fields.serialize_field("share", &self.share)?;
        fields.serialize_field("tokens", &self.tokens)?;
        fields.serialize_field("advice", self.loss.advice())?;
        fields.end()
    }
}

/// With times in seconds.
impl Serialize for Diagnosis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Diagnosis", 2)?;
        fields.serialize_field("window_time", &self.window_time.as_secs_f64())?;
        fields.serialize_field("findings", &self.findings)?;
        fields.end()
    }
}
