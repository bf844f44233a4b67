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
    /// Slots waited on streams that were silent after a token, or that did not end
    /// after the last.
    UpstreamSilence,
    /// Callers did not ask for the next frame.
    DownstreamStall,
    /// Slots worked for requests that failed, were cut off or were given up.
    FailedWork,
    /// Slots worked for attempts that were given up for another.
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
    /// Of the slot-time that there was: above 1 only over a lowered cap, or where
    /// much was decided in the window that passed before it.
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
///
/// They are disjoint, but for this: a connection may have been made for a request
/// that then failed, or while no slot waited for it. What came to nothing is known
/// at its end, and counted in the window of that, as far as it can lie in there.
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
            Self::UpstreamSilence => "upstream_silence",
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
            Self::UpstreamSilence => {
                "Streams were silent after a token or did not end after the last: look at the longest silence, and set a timeout."
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
        matches!(self, Self::UpstreamWait | Self::UpstreamSilence | Self::Generation)
    }
}

// === impl Diagnosis ===

impl Diagnosis {
    /// The diagnosis of the window from `earlier` to `later`, samples of one pool.
    #[must_use]
    pub fn of(earlier: &Sample, later: &Sample) -> Self {
        let totals = later.reading.since(&earlier.reading);
        let (window, busy) = (totals.window_time(), totals.busy_slot_time());
        let phase = |phase| totals.slot_time_of(phase);
        let lost = |cause| totals.lost_slot_time_of(cause);
        let silent = |sample: &Sample| sample.reading.totals.unattributed_slot_time();
        let (silent_then, silent_now) = (silent(earlier), silent(later));
        // Decided within the window, and passed before it.
        let before = silent_then.saturating_sub(silent_now);

        let most = |count: fn(&Sample) -> u64| {
            // No request takes more of a window than all of it.
            let count = count(later).saturating_sub(count(earlier));
            window.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX))
        };
        let failed = later.failed_phases.minus(&earlier.failed_phases);
        let failed = failed.at_most(most(|sample| sample.failed_requests));
        let abandoned = later.abandoned_phases.minus(&earlier.abandoned_phases);
        let abandoned = abandoned.at_most(most(|sample| sample.abandoned_attempts));
        // What slots did that came to something, or may yet.
        let fruitful = |phase| {
            totals.slot_time_of(phase).saturating_sub(failed.of(phase)).saturating_sub(abandoned.of(phase))
        };

        let connecting = later.connect_time.saturating_sub(earlier.connect_time);
        let connecting = connecting.min(phase(SlotPhase::Dispatch));
        let waited = fruitful(SlotPhase::Dispatch).saturating_sub(connecting) + fruitful(SlotPhase::Prefill);
        let drained = fruitful(SlotPhase::Drain);
        let silent = drained.saturating_sub(before) + silent_now.saturating_sub(silent_then);
        let generated = fruitful(SlotPhase::Generate).saturating_sub(before.saturating_sub(drained));
        let saturated = totals.backlog_time().saturating_sub(totals.gap_time());
        let limits = 2 * saturated > window && 2 * generated > busy;

        let there_was = totals.cap_slot_time().as_secs_f64();
        let tokens = later.output_tokens.saturating_sub(earlier.output_tokens);
        let rate = (tokens > 0 && !busy.is_zero()).then(|| tokens as f64 / busy.as_secs_f64());
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
            (Loss::UpstreamWait, waited),
            (Loss::UpstreamSilence, silent),
            (Loss::DownstreamStall, phase(SlotPhase::Stall)),
            (Loss::FailedWork, failed.total()),
            (Loss::Retries, abandoned.total()),
            (Loss::Generation, if limits { generated } else { Duration::ZERO }),
        ]
        .into_iter()
        // An empty window has room for nothing, whatever was told within it.
        .filter(|(_, slot_time)| !slot_time.is_zero() && there_was > 0.0)
        .map(finding)
        .collect();
        findings.sort_by(|a, b| a.rank().cmp(&b.rank()).then(b.slot_time.cmp(&a.slot_time)));
        Self { window_time: window, findings }
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
