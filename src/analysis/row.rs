//! One request of a run, as a row of a table: no text of its own, so that
//! millions fit in memory.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroU16;

use super::names::{Name, Names};
use crate::clock::Instant;
use crate::gate::{PhaseTimes, Retry, SlotPhase};
use crate::outcome::{Outcome, Phase};
use crate::record::RequestRecord;
use crate::timeline::Timeline;
use crate::tokens::TokenSource;

/// What the figures of a run need of one request.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) timeline: Timeline,
    /// Of what held a slot; of the others all zero.
    pub(super) phases: PhaseTimes,
    /// Stands for the request's id.
    pub(super) id: u64,
    pub(super) retried: Option<Box<Retried>>,
    pub(super) output_tokens: Count,
    pub(super) usage_output_tokens: Count,
    pub(super) counted_tokens: Count,
    /// Those that passed; unknown where a count was given up.
    pub(super) emitted_tokens: Count,
    pub(super) input_tokens: Count,
    pub(super) reasoning_tokens: Count,
    pub(super) source: Option<TokenSource>,
    pub(super) status: Option<NonZeroU16>,
    pub(super) attempt: u16,
    pub(super) outcome: Outcome,
    pub(super) phase: Phase,
    /// Whether it was given up for another attempt, which has a row of its own.
    pub(super) is_superseded: bool,
    pub(super) model: Option<Name>,
    pub(super) format: Option<Name>,
    pub(super) tokenizer: Option<Name>,
    pub(super) error_type: Option<Name>,
    pub(super) finish_reason: Option<Name>,
}

/// A number of tokens that may be unknown. One beyond its room is the most there is room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count(u32);

/// What few requests have: that they were tried again.
#[derive(Clone, Debug, Default)]
pub(super) struct Retried {
    /// The retries made while its slot was held, given up in their wait or not.
    pub(super) inside: Vec<Again>,
    /// What made the attempt before it fail, where that had a row of its own.
    pub(super) attempt_cause: Option<Name>,
    /// How often it and the attempts before it were tried again.
    pub(super) times: u64,
}

/// A retry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Again {
    pub(super) cause: Name,
    pub(super) failed_at: Instant,
    pub(super) resumed_at: Option<Instant>,
}

// === impl Count ===

impl Count {
    pub(super) fn new(tokens: Option<u64>) -> Self {
        let most = u32::MAX - 1;
        Self(tokens.map_or(u32::MAX, |tokens| u32::try_from(tokens).unwrap_or(most).min(most)))
    }

    pub(super) fn get(self) -> Option<u64> {
        (self.0 != u32::MAX).then(|| self.0.into())
    }
}

// === impl Retried ===

impl Retried {
    /// Those after which an attempt went out.
    pub(super) fn made(&self) -> impl Iterator<Item = &Again> {
        self.inside.iter().filter(|again| again.resumed_at.is_some())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.inside.is_empty() && self.attempt_cause.is_none() && self.times == 0
    }
}

// === impl Row ===

/// The tokens that passed while the slot was held: by the tokenizer, and where there is
/// none, one for each event with content. Unknown where the tokenizer's count was given up.
pub(super) fn emitted(tokenizer: &str, counted: Option<u64>, events: Option<u64>) -> Option<u64> {
    let has_none =
        [TokenSource::Usage, TokenSource::Events].iter().any(|source| source.as_str() == tokenizer);
    counted.or(events.filter(|events| has_none || *events == 0))
}

/// Stands for the id that a request does not have.
pub(super) const NO_ID: u64 = 0;

/// Stands for an id. The same in every process.
pub(super) fn id_of(request_id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    request_id.hash(&mut hasher);
    hasher.finish().max(NO_ID + 1)
}

impl Row {
    pub(super) fn of(record: &RequestRecord, names: &mut Names) -> Self {
        let generated = record.generated.as_ref();
        let mut name = |word: Option<&str>| word.map(|word| names.intern(word));
        let count = |of: fn(&crate::record::Generated) -> Option<u64>| Count::new(generated.and_then(of));
        let model = name(generated.and_then(|generated| generated.model.as_deref()));
        let format = name(generated.and_then(|generated| generated.format));
        let tokenizer = name(generated.map(|generated| &*generated.tokenizer));
        let finish_reason = name(generated.and_then(|generated| generated.finish_reason.as_deref()));
        let error_type = name(record.error_type.as_deref());
        let attempt_cause = name(record.attempt_cause);
        let inside = |retry: &Retry| Again {
            cause: names.intern(retry.cause),
            failed_at: retry.failed_at,
            resumed_at: retry.resumed_at,
        };
        let retried =
            Retried { inside: record.retries.iter().map(inside).collect(), attempt_cause, times: 0 };
        Self {
            timeline: record.timeline,
            phases: record.phases.unwrap_or_default(),
            id: id_of(&record.request_id),
            retried: (!retried.is_empty()).then(|| Box::new(retried)),
            output_tokens: Count::new(record.output_tokens()),
            usage_output_tokens: count(|generated| generated.usage_output_tokens),
            counted_tokens: count(|generated| generated.counted_tokens),
            emitted_tokens: Count::new(match generated {
                Some(generated) => {
                    let events = Some(generated.content_events);
                    emitted(&generated.tokenizer, generated.counted_tokens, events)
                }
                None => Some(0),
            }),
            input_tokens: count(|generated| generated.input_tokens),
            reasoning_tokens: count(|generated| generated.reasoning_tokens),
            source: generated.and_then(|generated| Some(generated.output_tokens?.1)),
            status: record.status.and_then(NonZeroU16::new),
            attempt: u16::try_from(record.attempt).unwrap_or(u16::MAX),
            outcome: record.outcome,
            phase: record.phase,
            is_superseded: false,
            model,
            format,
            tokenizer,
            error_type,
            finish_reason,
        }
    }

    /// When it gave up its slot or its place in the queue.
    pub(super) fn ended_at(&self) -> Instant {
        // Every record has it.
        self.timeline.released_at.unwrap_or(self.timeline.queued_at)
    }

    /// The time in the queue and what it led to: from its arrival to its admission or its end.
    pub(super) fn waited_until(&self) -> Instant {
        self.timeline.admitted_at.unwrap_or(self.ended_at())
    }

    /// Whether nothing shows that it was sent to the upstream, if it was admitted: the
    /// call may have been dropped before it was polled, or the upstream never ready.
    pub(super) fn is_perhaps_not_sent(&self) -> bool {
        let is_retried = self.retried.as_ref().is_some_and(|retried| !retried.inside.is_empty());
        self.timeline.headers_at.is_none() && !is_retried
    }

    pub(super) fn is_completed(&self) -> bool {
        self.outcome == Outcome::Completed
    }

    /// Whether it completed its request, so that its rates and tokens count.
    pub(super) fn is_rated(&self) -> bool {
        self.is_completed() && !self.is_superseded
    }

    /// The stream's rate; absent, too, where it was buffered on its way.
    pub(super) fn unbuffered_stream_tps(&self) -> Option<f64> {
        let tokens = self.output_tokens.get()?;
        self.timeline.stream_tps(tokens).filter(|_| !self.timeline.is_buffered(tokens))
    }

    /// The retries of the request that ended with this row.
    pub(super) fn retries(&self) -> u64 {
        self.retried.as_ref().map_or(0, |retried| retried.times)
    }

    /// Slot-time spent working for attempts that were given up while the slot was held.
    pub(super) fn again(&self) -> PhaseTimes {
        let last = self.retried.as_ref().and_then(|retried| retried.inside.last());
        let Some(last) = last else { return PhaseTimes::default() };
        let until = self.timeline.headers_at.unwrap_or(self.ended_at());
        let in_the_last = last.resumed_at.map_or(0, |resumed| until.nanos_since(resumed));
        PhaseTimes::dispatch(self.phases.nanos()[SlotPhase::Dispatch as usize].saturating_sub(in_the_last))
    }

    /// Slot-time spent working for its last attempt: back-off and stalls are no work.
    pub(super) fn worked(&self) -> PhaseTimes {
        self.phases.without(SlotPhase::Backoff).without(SlotPhase::Stall).minus(&self.again())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Millions of them fit in memory.
    #[test]
    fn small() {
        assert!(size_of::<Row>() <= 192, "{}", size_of::<Row>());
    }

    /// Unknown is not zero, and too many are many.
    #[test]
    fn counts() {
        let through = |tokens| Count::new(tokens).get();
        assert_eq!((through(None), through(Some(0)), through(Some(7))), (None, Some(0), Some(7)));
        assert_eq!(through(Some(u64::MAX)), Some(u64::from(u32::MAX) - 1));
    }
}
