//! How the text came in frames: what was in the first one with content, and in
//! the fullest.

/// What one frame brought.
#[derive(Clone, Copy, Debug, Default)]
struct Frame {
    events: u32,
    bytes: u32,
}

/// The text of a stream, by frames.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Frames {
    bytes: u32,
    /// What the present frame has brought so far, in bytes of text.
    present: u32,
    first: Frame,
    fullest: Frame,
}

// === impl Frames ===

impl Frames {
    /// So much text came.
    pub(super) fn text(&mut self, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.bytes = self.bytes.saturating_add(bytes);
        self.present = self.present.saturating_add(bytes);
    }

    /// The frame is over, with so many events that carried content.
    pub(super) fn frame_is_over(&mut self, events: u64) {
        let bytes = std::mem::take(&mut self.present);
        if events == 0 {
            return;
        }
        let frame = Frame { events: u32::try_from(events).unwrap_or(u32::MAX), bytes };
        if self.first.events == 0 {
            self.first = frame;
        }
        if frame.bytes > self.fullest.bytes {
            self.fullest = frame;
        }
    }

    /// Of so many tokens in so many events, those that came in the first frame
    /// with content and in the fullest. Where there is about one event a token,
    /// that is as many as it had events; else it is its share of the text, for
    /// a provider's figure does not say which token was where, and a tokenizer
    /// decides on some of a frame's tokens only with the next.
    pub(crate) fn tokens(&self, tokens: u64, events: u64) -> (u64, u64) {
        let of = |frame: Frame| {
            if tokens <= events + events / 4 || self.bytes == 0 {
                return u64::from(frame.events).min(tokens);
            }
            let share = f64::from(frame.bytes) / f64::from(self.bytes);
            ((tokens as f64 * share).round() as u64).clamp(1, tokens)
        };
        (of(self.first), of(self.fullest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What frames of these events and bytes had of so many tokens.
    fn tokens(frames: &[(u64, usize)], tokens: u64) -> (u64, u64) {
        let mut all = Frames::default();
        for &(events, bytes) in frames {
            all.text(bytes);
            all.frame_is_over(events);
        }
        all.tokens(tokens, frames.iter().map(|(events, _)| events).sum())
    }

    /// One event a token: events are counted, however long their texts are.
    #[test]
    fn by_events() {
        assert_eq!(tokens(&[(1, 3), (1, 6), (1, 6)], 3), (1, 1));
        assert_eq!(tokens(&[(3, 9), (1, 30), (8, 40)], 12), (3, 8));
        assert_eq!(tokens(&[(1, 3), (0, 0), (1, 6), (1, 6), (1, 5)], 5), (1, 1));
    }

    /// Many tokens an event: by their share of the text.
    #[test]
    fn by_text() {
        assert_eq!(tokens(&[(1, 72), (1, 3)], 25), (24, 24));
        assert_eq!(tokens(&[(1, 40_000), (1, 10)], 10_000), (9_998, 9_998));
        assert_eq!(tokens(&[(1, 1), (1, 9_999)], 100), (1, 100));
    }

    /// No more than there are, and none where there is nothing.
    #[test]
    fn bounds() {
        assert_eq!(tokens(&[(5, 50)], 3), (3, 3));
        assert_eq!(tokens(&[(1, 50)], 0), (0, 0));
        assert_eq!(tokens(&[], 0), (0, 0));
    }
}
