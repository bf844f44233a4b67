//! The instants of one request, and the arithmetic on them. Pure: it reads no
//! clock.
//!
//! ```text
//! queued_at ── admitted_at ── headers_at ── first_token_at ── last_token_at ── released_at
//!    │ t_queue   │  dispatch     │ prefill       │  t_stream        │  drain        │
//!                └──────────────────────── t_in_flight ─────────────────────────────┘
//! ```

use std::num::NonZeroU64;
use std::time::Duration;

use crate::clock::Instant;

/// The instants of a request, as far as it has come, and the frames that
/// carried its tokens.
#[derive(Clone, Copy, Debug)]
pub struct Timeline {
    /// When it arrived.
    pub queued_at: Instant,
    /// When its task resumed with a slot; absent until then. The same reading
    /// as `queued_at` if it never waited.
    pub admitted_at: Option<Instant>,
    /// When the inner service's response was there.
    pub headers_at: Option<Instant>,
    /// When the first non-empty data frame was there.
    pub first_chunk_at: Option<Instant>,
    /// When the frame was there that completed the first event with generated
    /// content; absent while there is none.
    pub first_token_at: Option<Instant>,
    /// The same of the last such event so far.
    pub last_token_at: Option<Instant>,
    /// When its slot, or its place in the queue, was given up.
    pub released_at: Option<Instant>,
    first_chunk_tokens: u32,
    fullest_chunk_tokens: u32,
    /// In nanoseconds.
    max_token_gap: Option<NonZeroU64>,
}

impl Timeline {
    /// The timeline of a request that arrives at `queued_at`.
    #[must_use]
    pub fn new(queued_at: Instant) -> Self {
        Self {
            queued_at,
            admitted_at: None,
            headers_at: None,
            first_chunk_at: None,
            first_token_at: None,
            last_token_at: None,
            released_at: None,
            first_chunk_tokens: 0,
            fullest_chunk_tokens: 0,
            max_token_gap: None,
        }
    }

    /// Marks a non-empty data frame.
    pub fn chunk(&mut self, at: Instant) {
        self.first_chunk_at.get_or_insert(at);
    }

    /// Marks a frame that completed at least one event with generated content.
    pub fn content(&mut self, at: Instant) {
        self.first_token_at.get_or_insert(at);
        // The last event may be over only with the body: it belongs to the last frame.
        if let Some(last) = self.last_token_at {
            self.max_token_gap = self.max_token_gap.max(NonZeroU64::new(at.nanos_since(last)));
        }
        self.last_token_at = Some(at);
    }

    /// Tells, once it is known, how many tokens were in the first frame with
    /// content, and in the fullest.
    pub fn tokens_in_frames(&mut self, first: u64, fullest: u64) {
        self.first_chunk_tokens = u32::try_from(first).unwrap_or(u32::MAX);
        self.fullest_chunk_tokens = u32::try_from(fullest).unwrap_or(u32::MAX);
    }

    /// The longest time between two consecutive content frames, where it was told
    /// and the frames were not.
    #[cfg(feature = "analysis")]
    pub(crate) fn tell_max_token_gap(&mut self, gap: Duration) {
        self.max_token_gap = u64::try_from(gap.as_nanos()).ok().and_then(NonZeroU64::new);
    }

    /// The wait for a slot: `admitted_at - queued_at`. Absent if never admitted.
    #[must_use]
    pub fn t_queue(&self) -> Option<Duration> {
        Some(self.admitted_at?.since(self.queued_at))
    }

    /// `first_token_at - admitted_at`. Absent without a token.
    #[must_use]
    pub fn t_first_token(&self) -> Option<Duration> {
        Some(self.first_token_at?.since(self.admitted_at?))
    }

    /// What the user waited for, the queue included:
    /// `first_token_at - queued_at`. Absent without a token.
    #[must_use]
    pub fn ttft(&self) -> Option<Duration> {
        Some(self.first_token_at?.since(self.queued_at))
    }

    /// `last_token_at - first_token_at`. Absent without a token.
    #[must_use]
    pub fn t_stream(&self) -> Option<Duration> {
        Some(self.last_token_at?.since(self.first_token_at?))
    }

    /// How long the slot was held: `released_at - admitted_at`. Absent if never
    /// admitted, and until it is over.
    #[must_use]
    pub fn t_in_flight(&self) -> Option<Duration> {
        Some(self.released_at?.since(self.admitted_at?))
    }

    /// `released_at - queued_at`. Absent until it is over.
    #[must_use]
    pub fn t_total(&self) -> Option<Duration> {
        Some(self.released_at?.since(self.queued_at))
    }

    /// The longest time between two consecutive content frames. Absent with
    /// fewer than two.
    #[must_use]
    pub fn max_token_gap(&self) -> Option<Duration> {
        self.max_token_gap.map(|nanos| Duration::from_nanos(nanos.get()))
    }

    /// Tokens in the frame of `first_token_at`: as many as it had events where there
    /// is about one a token, else its share of the text. Absent without a token.
    #[must_use]
    pub fn first_chunk_tokens(&self) -> Option<u64> {
        self.first_token_at.map(|_| self.first_chunk_tokens.into())
    }

    /// The stream's rate in tokens a second: `output_tokens / t_stream`. Absent
    /// when `t_stream` is zero or there is no token: never infinite, never zero
    /// by default.
    #[must_use]
    pub fn stream_tps(&self, output_tokens: u64) -> Option<f64> {
        rate(output_tokens, self.t_stream()?)
    }

    /// The unbiased rate of decoding, in tokens a second:
    /// `(output_tokens - first_chunk_tokens) / t_stream`, since N tokens span
    /// N - n1 intervals. Absent as [`stream_tps`](Self::stream_tps), or when
    /// all tokens came in the first chunk.
    #[must_use]
    pub fn decode_tps(&self, output_tokens: u64) -> Option<f64> {
        rate(output_tokens.saturating_sub(self.first_chunk_tokens.into()), self.t_stream()?)
    }

    /// Seconds for each token: `1 / decode_tps`. Absent as it is.
    #[must_use]
    pub fn time_per_output_token(&self, output_tokens: u64) -> Option<f64> {
        self.decode_tps(output_tokens).map(f64::recip)
    }

    /// The slot's rate in tokens a second: `output_tokens / t_in_flight`.
    /// Absent if never admitted, or without a token.
    #[must_use]
    pub fn end_to_end_tps(&self, output_tokens: u64) -> Option<f64> {
        rate(output_tokens, self.t_in_flight()?)
    }

    /// Tokens in the fullest frame / `output_tokens`, in 0..=1. Above 0.5 the
    /// stream was buffered on its way. Absent without a token.
    #[must_use]
    pub fn burst(&self, output_tokens: u64) -> Option<f64> {
        (self.first_token_at.is_some() && output_tokens > 0)
            .then(|| (f64::from(self.fullest_chunk_tokens) / output_tokens as f64).min(1.0))
    }

    /// Whether the stream was buffered on its way, so that its rates say nothing: more
    /// than half of its tokens came in one frame. False for what has no rate.
    #[must_use]
    pub fn is_buffered(&self, output_tokens: u64) -> bool {
        self.stream_tps(output_tokens).is_some() && self.burst(output_tokens).is_some_and(|burst| burst > 0.5)
    }
}

fn rate(tokens: u64, time: Duration) -> Option<f64> {
    (tokens > 0 && !time.is_zero()).then(|| tokens as f64 / time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: Instant, millis: u64) -> Instant {
        start.after(Duration::from_millis(millis)).unwrap()
    }

    /// The worked example: 1 s in the queue, 0.5 s to the first frame of two
    /// tokens, then eight single ones over 4 s, and 0.5 s of drain.
    fn worked() -> Timeline {
        let start = Instant::now();
        let mut timeline = Timeline::new(start);
        timeline.admitted_at = Some(at(start, 1_000));
        timeline.headers_at = Some(at(start, 1_200));
        timeline.chunk(at(start, 1_200));
        for token in 0..=8 {
            timeline.content(at(start, 1_500 + 500 * token));
        }
        timeline.tokens_in_frames(2, 2);
        timeline.released_at = Some(at(start, 6_000));
        timeline
    }

    /// Each formula against figures worked out by hand.
    #[test]
    fn the_formulas() {
        let timeline = worked();
        let millis = |time: Option<Duration>| time.unwrap().as_millis();
        assert_eq!(millis(timeline.t_queue()), 1_000);
        assert_eq!(millis(timeline.t_first_token()), 500);
        assert_eq!(millis(timeline.ttft()), 1_500);
        assert_eq!(millis(timeline.t_stream()), 4_000);
        assert_eq!(millis(timeline.t_in_flight()), 5_000);
        assert_eq!(millis(timeline.t_total()), 6_000);
        assert_eq!(millis(timeline.max_token_gap()), 500);
        assert_eq!(timeline.first_chunk_tokens(), Some(2));
        assert_eq!(timeline.stream_tps(10), Some(2.5));
        assert_eq!(timeline.decode_tps(10), Some(2.0));
        assert_eq!(timeline.time_per_output_token(10), Some(0.5));
        assert_eq!(timeline.end_to_end_tps(10), Some(2.0));
        assert_eq!(timeline.burst(10), Some(0.2));
    }

    /// What does not exist is absent: no token, no rate; one frame, no gap.
    #[test]
    fn what_does_not_exist_is_absent() {
        let start = Instant::now();
        let mut timeline = Timeline::new(start);
        assert!(timeline.t_queue().is_none() && timeline.ttft().is_none() && timeline.burst(5).is_none());
        timeline.admitted_at = Some(start);
        timeline.content(at(start, 10));
        timeline.tokens_in_frames(5, 5);
        timeline.released_at = Some(at(start, 20));
        assert_eq!(timeline.t_stream(), Some(Duration::ZERO));
        assert!(timeline.stream_tps(5).is_none() && timeline.decode_tps(5).is_none());
        assert!(timeline.max_token_gap().is_none());
        assert_eq!(timeline.end_to_end_tps(0), None);
        assert_eq!((timeline.burst(5), timeline.is_buffered(5)), (Some(1.0), false));
        timeline.content(at(start, 15));
        assert!(timeline.is_buffered(5) && !worked().is_buffered(10));
    }
}
