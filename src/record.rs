//! What is kept of one request once it has ended.

use std::borrow::Cow;
use std::sync::Arc;

use crate::clock::Instant;
pub use crate::gate::Retry;
use crate::gate::{Counts, PhaseTimes};
use crate::outcome::{Outcome, Phase};
use crate::timeline::Timeline;
use crate::tokens::TokenSource;

/// One request that has ended. Every request that arrives ends in exactly one.
///
/// "Tokens" alone are output tokens: all that the model emitted, reasoning and
/// tool arguments included.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RequestRecord {
    /// The pool's name.
    pub pool: Arc<str>,
    /// Our own name for this request: 16 hexadecimal digits.
    pub span_id: Box<str>,
    /// The incoming `x-request-id`, else the one that the retrying put there
    /// ([`layer::RequestId`](crate::layer::RequestId)), else one made on arrival.
    pub request_id: Box<str>,
    /// The trace of the incoming `traceparent`; absent without a valid one.
    pub trace_id: Option<Box<str>>,
    /// The response's status; absent where there was no response. A refusal's
    /// is the one it was answered with.
    pub status: Option<u16>,
    /// How it ended.
    pub outcome: Outcome,
    /// Where it ended.
    pub phase: Phase,
    /// What went wrong: `status_500` and the like, `stream_error` (an error
    /// event), `response_error` (an error in a document), `body`, `service`, or
    /// the reason of a refusal. Absent for what did not fail.
    pub error_type: Option<Cow<'static, str>>,
    /// Which attempt it was, from 1, where the retrying is done outside the meter.
    pub attempt: u32,
    /// What made the attempt before it fail, where the retrying is done outside
    /// the meter: a cause as that of a [`Retry`]. Absent for a first attempt.
    pub attempt_cause: Option<&'static str>,
    /// The retries made inside the meter, while its slot was held.
    pub retries: Vec<Retry>,
    /// Its instants, which are those of the arrival from the upstream.
    pub timeline: Timeline,
    /// When the frame of `first_token_at` was handed over to the client, where the
    /// response was [read ahead of it](crate::layer::MeterLayer::absorb). Absent
    /// where it was not, or where that frame was never handed over.
    pub first_token_handed_at: Option<Instant>,
    /// The same of the frame of `last_token_at`.
    pub last_token_handed_at: Option<Instant>,
    /// When all had been handed over, or the client went away: not before
    /// `released_at`. Absent where the response was not read ahead.
    pub handed_over_at: Option<Instant>,
    /// What it did with its slot; absent if it never held one. The sum is
    /// `t_in_flight`, to the nanosecond.
    pub phases: Option<PhaseTimes>,
    /// The body's bytes as passed on: handed over, where the response was read ahead.
    pub response_bytes: u64,
    /// What was generated; absent where no headers came.
    pub generated: Option<Generated>,
    /// The pool's counts just before it gave up its slot or its place in the
    /// queue, itself included.
    pub counts: Counts,
}

/// What a response was found to carry.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Generated {
    /// The format: a dialect's name, or `opaque`. Absent where the body was cut
    /// off before it was clear.
    pub format: Option<&'static str>,
    /// Whether the body named itself a stream of events.
    pub streamed: bool,
    /// The model that the response names.
    pub model: Option<Box<str>>,
    /// Why the model stopped, in the provider's words.
    pub finish_reason: Option<Box<str>>,
    /// Output tokens by the best source there is, and that source; absent
    /// where nothing is known of them.
    pub output_tokens: Option<(u64, TokenSource)>,
    /// The provider's figure, normalised so that it includes reasoning.
    pub usage_output_tokens: Option<u64>,
    /// The provider's figure of the prompt's tokens.
    pub input_tokens: Option<u64>,
    /// The provider's figure of the tokens that were reasoning.
    pub reasoning_tokens: Option<u64>,
    /// What the pool's tokenizer counted; absent without one, or where it failed.
    pub counted_tokens: Option<u64>,
    /// How the pool counts the tokens of this model: `usage`, `events`, or the
    /// tokenizer's name. See [`Tokens`](crate::tokens::Tokens).
    pub tokenizer: Arc<str>,
    /// Events that carried generated content. A document is one.
    pub content_events: u64,
    /// Events that were too large to read.
    pub skipped_events: u64,
}

impl RequestRecord {
    /// Those of [`retries`](Self::retries) that another attempt went out for, and
    /// that were not given up in their wait.
    pub fn retries_made(&self) -> impl Iterator<Item = &Retry> {
        self.retries.iter().filter(|retry| retry.resumed_at.is_some())
    }

    /// Output tokens by the best source there is; absent where nothing is
    /// known of them.
    #[must_use]
    pub fn output_tokens(&self) -> Option<u64> {
        self.generated.as_ref()?.output_tokens.map(|(tokens, _)| tokens)
    }
}
