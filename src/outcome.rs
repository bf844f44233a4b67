//! How a request ended, and where.

use std::fmt;

/// How a request ended. Only [`Completed`](Self::Completed) is success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// It came to its good end.
    Completed,
    /// The caller dropped the future or the body before the end.
    Cancelled,
    /// The body ended cleanly, with no end marker of its format.
    Truncated,
    /// An error status, an error event in the stream, or an error of the body
    /// or the service.
    Failed,
    /// The gate refused it.
    Rejected,
}

/// Where a request ended: the part of its life that it was in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// It waited for a slot.
    Queued,
    /// It held a slot and waited for the headers.
    Dispatch,
    /// The headers were there, and no token yet.
    Prefill,
    /// Tokens had come, and the end marker had not.
    Streaming,
    /// The end marker had come, and the body's end had not; or all had come, and
    /// not all of it had been handed over to a client that was read ahead of.
    Drain,
    /// It was all over.
    Done,
}

impl Outcome {
    /// The name in logs and labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Truncated => "truncated",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
        }
    }
}

impl Phase {
    /// The name in logs and labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Dispatch => "dispatch",
            Self::Prefill => "prefill",
            Self::Streaming => "streaming",
            Self::Drain => "drain",
            Self::Done => "done",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
