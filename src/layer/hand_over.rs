//! The second clock of a response that is read ahead of its client: how much of
//! it has been handed over, and when.

use super::flight::Arrived;
use crate::clock::Instant;

/// How far the hand-over has come. A frame is known by where it ends, in bytes
/// from the body's start: so those that are still to be handed over need no mark.
#[derive(Debug, Default)]
pub(super) struct HandOver {
    bytes: u64,
    first_token: Frame,
    last_token: Frame,
    /// Where all is there that was generated.
    end_marker: Option<u64>,
    last_chunk_at: Option<Instant>,
    is_complete: bool,
    /// There once the upstream is done.
    pub(super) arrived: Option<Arrived>,
}

#[derive(Debug, Default)]
struct Frame {
    /// Absent while there is none.
    end: Option<u64>,
    handed_at: Option<Instant>,
}

/// The instants of the hand-over, once it has ended.
#[derive(Debug)]
pub(super) struct Handed {
    pub(super) first_token_at: Option<Instant>,
    pub(super) last_token_at: Option<Instant>,
    pub(super) over_at: Instant,
}

impl HandOver {
    /// The frame that ends there was found to carry content. It may have been
    /// handed over before.
    pub(super) fn content(&mut self, end: u64) {
        self.first_token.end.get_or_insert(end);
        self.last_token.end = Some(end);
        self.mark();
    }

    /// The frame that ends there, or one before it, told that no more is generated.
    pub(super) fn end_marker(&mut self, end: u64) {
        self.end_marker.get_or_insert(end);
    }

    /// A frame of so many bytes is handed over.
    pub(super) fn frame(&mut self, bytes: u64) {
        if bytes > 0 {
            self.bytes = self.bytes.saturating_add(bytes);
            self.last_chunk_at = Some(Instant::now());
            self.mark();
        }
    }

    /// All frames have been handed over.
    pub(super) fn complete(&mut self) {
        self.is_complete = true;
    }

    pub(super) fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Bytes that have been handed over.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether all has been handed over that was generated.
    pub(super) fn is_past_end_marker(&self) -> bool {
        self.has_handed(self.end_marker)
    }

    /// Its instants, if it ends now.
    pub(super) fn end(&self) -> Handed {
        let handed_at = |frame: &Frame| frame.handed_at.filter(|_| self.has_handed(frame.end));
        Handed {
            first_token_at: handed_at(&self.first_token),
            last_token_at: handed_at(&self.last_token),
            over_at: Instant::now(),
        }
    }

    fn has_handed(&self, end: Option<u64>) -> bool {
        end.is_some_and(|end| self.bytes >= end)
    }

    fn mark(&mut self) {
        for frame in [&mut self.first_token, &mut self.last_token] {
            if frame.end == Some(self.bytes) {
                frame.handed_at = self.last_chunk_at;
            }
        }
    }
}
