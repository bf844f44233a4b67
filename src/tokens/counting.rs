//! The count of one stream: by which counter, and how much of it in one poll.
//!
//! Counting goes on inside the polls of whoever awaits the stream, so one frame
//! counts no more than [`BUDGET`] bytes of text. What is over is held, and
//! counted with later frames as far as their own budgets go. What is still held
//! when the stream ends is counted elsewhere, before the record goes out.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::choice::Chosen;
use super::{Counter, Tokens};

/// The most text that one frame counts, in bytes. The slowest text for our own
/// tokenizers takes some 40 ns a byte, which makes 40 µs of it.
const BUDGET: usize = 1024;

/// The most text that is held for later, in bytes. The count of a stream that
/// is further behind is given up.
const MOST_HELD: usize = 1024 * 1024;

/// Counts one stream.
#[derive(Debug, Default)]
pub(crate) struct Counting {
    counter: Option<Box<dyn Counter>>,
    /// The text that the counter has taken and not counted, in bytes.
    pending: u32,
    sum: u64,
    behind: Option<Box<Behind>>,
    /// The text that this frame has counted, in bytes, and the tokens in it.
    spent: u32,
    frame_tokens: u32,
    chosen: Chosen,
    is_on: bool,
    is_lost: bool,
}

/// What a stream has to remember whose count is behind its text.
#[derive(Debug, Default)]
struct Behind {
    /// Where the choice waits for the model's name.
    choices: Option<Arc<Tokens>>,
    held: VecDeque<Held>,
    bytes: usize,
    late: Late,
}

/// The text of one frame that was not counted with it.
#[derive(Debug)]
struct Held {
    text: String,
    /// Where the counted part of it ends.
    counted_to: usize,
    /// The tokens of the frame that are counted.
    tokens: u64,
    /// Whether the frame was the first with content; absent until it is over.
    is_first: Option<bool>,
}

/// What was found out late of the frames: the tokens of the first one with
/// content, if they were counted late, and those of the fullest that was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Late {
    pub(crate) first: Option<u64>,
    pub(crate) fullest: u64,
}

// === impl Counting ===

impl Counting {
    /// Counts with this counter; not at all without.
    pub(crate) fn by(counter: Option<Box<dyn Counter>>) -> Self {
        Self { is_on: counter.is_some(), counter, ..Self::default() }
    }

    /// Counts as a pool has chosen.
    pub(crate) fn of(tokens: &Arc<Tokens>) -> Self {
        if !tokens.depends_on_model() {
            return Self::by(tokens.counter(Chosen::default()));
        }
        let behind = Behind { choices: Some(Arc::clone(tokens)), ..Behind::default() };
        Self { is_on: true, behind: Some(Box::new(behind)), ..Self::default() }
    }

    /// Takes the next piece of text.
    pub(crate) fn push(&mut self, text: &str) {
        if !self.is_on {
            return;
        }
        if self.is_behind() || text.len() > self.room() {
            return self.hold(text);
        }
        self.spent += text.len() as u32;
        let tokens = self.count(|counter| counter.push(text));
        self.frame_tokens = self.frame_tokens.saturating_add(u32::try_from(tokens).unwrap_or(u32::MAX));
    }

    /// Takes the news that an event is over, and which model the response has
    /// named by now.
    pub(crate) fn event_is_over(&mut self, model: Option<&str>) {
        let Some(behind) = self.behind.as_mut().filter(|behind| !behind.held.is_empty()) else { return };
        if let Some(tokens) = behind.choices.take() {
            self.chosen = tokens.choose(model);
            self.counter = tokens.counter(self.chosen);
            self.is_on = self.counter.is_some();
            if !self.is_on {
                self.behind = None;
            }
        }
    }

    /// Takes the news that a frame is over, and whether it was the first with
    /// content.
    pub(crate) fn frame_is_over(&mut self, is_first: bool) {
        if let Some(behind) = &mut self.behind {
            if let Some(held) = behind.held.back_mut() {
                held.is_first.get_or_insert(is_first);
            }
            self.catch_up(self.room());
        }
        self.spent = 0;
        self.frame_tokens = 0;
    }

    /// Takes the end of the text; false if there is more left to count than may
    /// be counted now.
    pub(crate) fn finish(&mut self) -> bool {
        let is_over = !self.is_behind() && self.pending as usize <= BUDGET;
        if is_over {
            self.close();
        }
        is_over
    }

    /// Counts all that is left, however long it takes.
    pub(crate) fn finish_late(&mut self) {
        self.catch_up(usize::MAX);
        self.close();
    }

    /// Gives the count up.
    pub(crate) fn give_up(&mut self) {
        self.is_lost = true;
        self.is_on = false;
        self.behind = None;
        self.drop_counter();
    }

    /// The tokens that are certain so far; absent where nothing counts, or if
    /// the count was given up.
    pub(crate) fn sum(&self) -> Option<u64> {
        (self.is_on && !self.is_lost).then_some(self.sum)
    }

    /// What was chosen for this stream.
    pub(crate) fn chosen(&self) -> Chosen {
        self.chosen
    }

    /// What was found out late of the frames.
    pub(crate) fn late(&self) -> Late {
        self.behind.as_ref().map(|behind| behind.late).unwrap_or_default()
    }

    /// Whether there is text that waits, for its turn or for the choice.
    fn is_behind(&self) -> bool {
        self.behind.as_ref().is_some_and(|behind| behind.choices.is_some() || !behind.held.is_empty())
    }

    /// How much text this frame may still count. None while the counter itself
    /// keeps much, since it may have to count that at any time.
    fn room(&self) -> usize {
        if self.pending as usize > BUDGET { 0 } else { BUDGET.saturating_sub(self.spent as usize) }
    }

    fn hold(&mut self, text: &str) {
        let tokens = self.frame_tokens.into();
        let behind = self.behind.get_or_insert_default();
        behind.bytes += text.len();
        if behind.bytes > MOST_HELD {
            return self.give_up();
        }
        match behind.held.back_mut().filter(|held| held.is_first.is_none()) {
            Some(held) => held.text.push_str(text),
            None => {
                let held = Held { text: text.to_owned(), counted_to: 0, tokens, is_first: None };
                behind.held.push_back(held);
            }
        }
    }

    /// Counts of what is held so many bytes, to the next whole character.
    fn catch_up(&mut self, mut room: usize) {
        while room > 0 {
            let Some(behind) = self.behind.as_mut().filter(|behind| behind.choices.is_none()) else { return };
            let Some(mut held) = behind.held.pop_front() else { return };
            let rest = held.text.get(held.counted_to..).unwrap_or_default();
            let end = (room.min(rest.len())..=rest.len()).find(|&end| rest.is_char_boundary(end));
            let piece = rest.get(..end.unwrap_or(rest.len())).unwrap_or(rest);
            let length = piece.len();
            held.tokens += self.count(|counter| counter.push(piece));
            held.counted_to += length;
            room = room.saturating_sub(length);

            let Some(behind) = &mut self.behind else { return };
            behind.bytes -= length;
            if held.counted_to < held.text.len() {
                behind.held.push_front(held);
                continue;
            }
            behind.late.fullest = behind.late.fullest.max(held.tokens);
            if held.is_first == Some(true) {
                behind.late.first = Some(held.tokens);
            }
        }
    }

    fn count(&mut self, of: impl FnOnce(&mut dyn Counter) -> u64) -> u64 {
        let Some(counter) = self.counter.as_deref_mut() else { return 0 };
        match catch_unwind(AssertUnwindSafe(|| (of(counter), counter.pending(), counter.is_lost()))) {
            Ok((tokens, pending, false)) => {
                self.pending = u32::try_from(pending).unwrap_or(u32::MAX);
                self.sum = self.sum.saturating_add(tokens);
                tokens
            }
            Ok((_, _, true)) | Err(_) => {
                self.give_up();
                0
            }
        }
    }

    fn close(&mut self) {
        self.count(|counter| counter.finish());
        self.drop_counter();
    }

    fn drop_counter(&mut self) {
        let counter = self.counter.take();
        // What a counter's drop has to say is nobody's concern here either.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(counter)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts bytes; asserts that no call is for more than a frame may count.
    #[derive(Debug)]
    struct Bytes {
        most: usize,
    }

    impl Counter for Bytes {
        fn push(&mut self, text: &str) -> u64 {
            assert!(text.len() <= self.most, "{} bytes in one call", text.len());
            text.len() as u64
        }

        fn finish(&mut self) -> u64 {
            0
        }
    }

    /// Keeps everything until the end.
    #[derive(Debug, Default)]
    struct Keeps(usize);

    impl Counter for Keeps {
        fn push(&mut self, text: &str) -> u64 {
            self.0 += text.len();
            0
        }

        fn finish(&mut self) -> u64 {
            self.0 as u64
        }

        fn pending(&self) -> usize {
            self.0
        }
    }

    fn bytes() -> Counting {
        Counting::by(Some(Box::new(Bytes { most: BUDGET + 3 })))
    }

    fn frame(counting: &mut Counting, text: &str, is_first: bool) -> u64 {
        let before = counting.sum().unwrap();
        counting.push(text);
        counting.event_is_over(None);
        counting.frame_is_over(is_first);
        counting.sum().unwrap() - before
    }

    /// What a frame has over its budget is counted with the frames after it,
    /// and of the frames it is known late how full they were.
    #[test]
    fn a_large_frame_is_spread() {
        let mut counting = bytes();
        let large = "x".repeat(2 * BUDGET + 10);
        assert_eq!(frame(&mut counting, &large, true), BUDGET as u64);
        assert_eq!(frame(&mut counting, "12345", false), BUDGET as u64);
        assert_eq!(counting.late(), Late::default());
        assert_eq!(frame(&mut counting, "12345", false), 20);
        assert_eq!(counting.late(), Late { first: Some(large.len() as u64), fullest: large.len() as u64 });
        assert!(counting.finish());
        assert_eq!(counting.sum(), Some(large.len() as u64 + 10));
    }

    /// Many small pieces in one frame have one budget together, and no piece is
    /// cut inside a character.
    #[test]
    fn a_frame_has_one_budget() {
        let mut counting = bytes();
        for _ in 0..BUDGET {
            counting.push("é😀");
        }
        counting.event_is_over(None);
        counting.frame_is_over(true);
        assert!(counting.sum().unwrap() <= 2 * BUDGET as u64 + 3);
        assert!(!counting.finish(), "there is more than one poll may count");
        counting.counter = Some(Box::new(Bytes { most: usize::MAX }));
        counting.finish_late();
        assert_eq!(counting.sum(), Some(6 * BUDGET as u64));
        assert_eq!(counting.late().first, Some(6 * BUDGET as u64));
    }

    /// A counter that keeps its text is not asked for it within a poll.
    #[test]
    fn what_a_counter_keeps_is_counted_late() {
        let mut counting = Counting::by(Some(Box::<Keeps>::default()));
        for _ in 0..4 {
            frame(&mut counting, &"x".repeat(BUDGET), false);
        }
        assert!(!counting.finish());
        counting.finish_late();
        assert_eq!(counting.sum(), Some(4 * BUDGET as u64));
    }

    /// Too far behind, the count is given up, and nothing is held any more.
    #[test]
    fn too_far_behind() {
        let mut counting = bytes();
        counting.push(&"x".repeat(MOST_HELD + 1));
        assert_eq!(counting.sum(), None);
        assert!(!counting.is_behind());
    }
}
