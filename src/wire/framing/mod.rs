//! Framing: from bytes, cut wherever they were cut, to whole events.

mod aws;
mod json_array;
mod lines;
mod sse;

pub use self::sse::SseFramer;
use self::{aws::AwsFramer, json_array::ArrayFramer, lines::LineFramer};

/// How large one event may be unless told otherwise: 64 KiB.
pub const DEFAULT_LIMIT: usize = 64 * 1024;

pub(super) const BOM: &[u8] = b"\xef\xbb\xbf";

/// One event. It borrows from the chunk, or from the framer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Event<'a> {
    /// What the framing calls it: the value of its last `event:` line, or of
    /// its `:event-type` header. Empty where the framing has no names.
    pub name: &'a [u8],
    /// What it carries: its `data:` lines joined with LF, its line, element or
    /// payload. Empty if it was skipped.
    pub data: &'a [u8],
    /// The type of the error that the framing itself says it is; absent for all
    /// but the exception frames of AWS.
    pub error: Option<&'a str>,
    /// Whether it was over the limit, and its data not read.
    pub skipped: bool,
}

/// The framings there are. Any cut of the same bytes gives the same events, an
/// event over the limit is skipped, and no more than a few times the limit is
/// ever held.
#[derive(Debug)]
pub(super) enum Framer {
    Sse(SseFramer),
    Lines(LineFramer),
    Array(ArrayFramer),
    Aws(AwsFramer),
}

// === impl Framer ===

impl Framer {
    pub(super) fn sse(limit: usize) -> Self {
        Self::Sse(SseFramer::with_limit(limit))
    }

    pub(super) fn lines(limit: usize) -> Self {
        Self::Lines(LineFramer::new(limit))
    }

    pub(super) fn array(limit: usize) -> Self {
        Self::Array(ArrayFramer::new(limit))
    }

    pub(super) fn aws(limit: usize) -> Self {
        Self::Aws(AwsFramer::new(limit))
    }

    /// Takes the next bytes, and hands on every event that they complete; false
    /// if the bytes are corrupt and no event can follow.
    pub(super) fn push(&mut self, chunk: &[u8], on_event: impl FnMut(Event<'_>)) -> bool {
        match self {
            Self::Sse(framer) => framer.push(chunk, on_event),
            Self::Lines(framer) => framer.push(chunk, on_event),
            Self::Array(framer) => framer.push(chunk, on_event),
            Self::Aws(framer) => return framer.push(chunk, on_event),
        }
        true
    }

    /// Takes the clean end of the bytes: what still counts is handed on.
    pub(super) fn finish(&mut self, on_event: impl FnMut(Event<'_>)) {
        match self {
            Self::Sse(framer) => framer.finish(on_event),
            Self::Lines(framer) => framer.finish(on_event),
            // What has no end of its own is not whole.
            Self::Array(_) | Self::Aws(_) => {}
        }
    }

    /// Whether [`finish`](Self::finish) has something to hand on.
    pub(super) fn may_tell_at_end(&self) -> bool {
        match self {
            Self::Sse(framer) => framer.is_within(),
            Self::Lines(framer) => framer.is_within(),
            Self::Array(_) | Self::Aws(_) => false,
        }
    }

    /// Whether the bytes ended where the framing says that they end.
    pub(super) fn is_closed(&self) -> bool {
        match self {
            Self::Sse(_) | Self::Lines(_) => true,
            Self::Array(framer) => framer.is_closed(),
            Self::Aws(framer) => framer.is_between(),
        }
    }
}
