//! The count of one stream: by which counter, and how much of it in one poll.
//!
//! Counting goes on inside the polls of whoever awaits the stream, so one frame
//! counts no more than [`BUDGET`] bytes of text. What is over is held, and
//! counted with later frames as far as their own budgets go. What is still held
//! when the stream ends is counted elsewhere, before the record goes out.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::choice::Chosen;
use super::{Counter, Tokens};

/// The most text that one frame counts, in bytes. The slowest text for our own
/// tokenizers takes some 40 ns a byte, which makes 20 µs of it.
const BUDGET: usize = 512;

/// The most that a counter may keep and still be asked in a poll, in bytes: it
/// may have to count all of it at once, as one long word without a blank.
const MOST_PENDING: usize = 8 * 1024;

/// The most text that is held, in bytes. The count of a stream that is further
/// behind is given up.
const MOST_HELD: usize = 1024 * 1024;

/// Counts one stream.
#[derive(Debug, Default)]
pub(crate) struct Counting {
    state: State,
    sum: u64,
    held: Option<Box<Held>>,
    chosen: Chosen,
    /// The text that this frame has counted, in bytes.
    spent: u32,
    /// The text that the counter has taken and not counted, in bytes.
    pending: u32,
}

#[derive(Debug, Default)]
enum State {
    /// Nothing counts.
    #[default]
    Off,
    /// The choice waits for the model's name.
    Choosing(Arc<Tokens>),
    Counting(Box<dyn Counter>),
    /// All is counted.
    Over,
    /// Some text was not counted, so that the sum is no count.
    Lost,
}

/// Text that waits for its turn, or for the choice.
#[derive(Debug, Default)]
struct Held {
    text: String,
    /// Where the counted part of it ends.
    counted_to: usize,
}

// === impl Counting ===

impl Counting {
    /// Counts with this counter; not at all without.
    pub(crate) fn by(counter: Option<Box<dyn Counter>>) -> Self {
        Self { state: State::of(counter), ..Self::default() }
    }

    /// Counts as a pool has chosen.
    pub(crate) fn of(tokens: &Arc<Tokens>) -> Self {
        if !tokens.depends_on_model() {
            return Self::by(tokens.counter(Chosen::default()));
        }
        Self { state: State::Choosing(Arc::clone(tokens)), ..Self::default() }
    }

    /// Takes the next piece of text.
    pub(crate) fn push(&mut self, text: &str) {
        match self.state {
            State::Counting(_) if self.held.is_none() && text.len() <= self.room() => {
                self.spent += text.len() as u32;
                self.count(|counter| counter.push(text));
            }
            State::Counting(_) | State::Choosing(_) => self.hold(text),
            State::Off | State::Over | State::Lost => {}
        }
    }

    /// Takes the news that an event with text is over, and which model the
    /// response has named by now.
    pub(crate) fn event_is_over(&mut self, model: Option<&str>) {
        if let State::Choosing(tokens) = &self.state {
            self.chosen = tokens.choose(model);
            self.state = State::of(tokens.counter(self.chosen));
            if let State::Off = self.state {
                self.held = None;
            }
        }
    }

    /// Takes the news that a frame is over, and counts of what is held as much
    /// as it may.
    pub(crate) fn frame_is_over(&mut self) {
        self.catch_up(self.room());
        self.spent = 0;
    }

    /// Takes the end of the text; false if there is more left to count than may
    /// be counted now.
    pub(crate) fn finish(&mut self) -> bool {
        let is_over = self.held.is_none() && self.pending as usize <= BUDGET;
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
        self.held = None;
        self.leave_for(State::Lost);
    }

    /// The text that is left to count, in bytes.
    pub(crate) fn left(&self) -> usize {
        let held = self.held.as_ref().map_or(0, |held| held.text.len() - held.counted_to);
        held + self.pending as usize
    }

    /// The tokens that are certain so far; absent where nothing counts, or if
    /// the count was given up.
    pub(crate) fn sum(&self) -> Option<u64> {
        (!matches!(self.state, State::Off | State::Lost)).then_some(self.sum)
    }

    /// What was chosen for this stream.
    pub(crate) fn chosen(&self) -> Chosen {
        self.chosen
    }

    /// How much text this frame may still count. None any more once the counter
    /// itself keeps very much: then the rest is counted when the stream has ended.
    fn room(&self) -> usize {
        if self.pending as usize > MOST_PENDING { 0 } else { BUDGET.saturating_sub(self.spent as usize) }
    }

    fn hold(&mut self, text: &str) {
        let held = self.held.get_or_insert_default();
        if held.text.len() - held.counted_to + text.len() > MOST_HELD {
            return self.give_up();
        }
        // What is counted goes in steps, so that each byte is moved a few times at most.
        if held.counted_to > held.text.len() / 2 {
            held.text.drain(..held.counted_to);
            held.counted_to = 0;
        }
        held.text.push_str(text);
    }

    /// Counts of what is held so many bytes, to the next whole character.
    fn catch_up(&mut self, room: usize) {
        if room == 0 || !matches!(self.state, State::Counting(_)) {
            return;
        }
        let Some(mut held) = self.held.take() else { return };
        let rest = held.text.get(held.counted_to..).unwrap_or_default();
        let end = (room.min(rest.len())..rest.len()).find(|&end| rest.is_char_boundary(end));
        let end = end.unwrap_or(rest.len());
        let piece = rest.get(..end).unwrap_or(rest);
        self.count(|counter| counter.push(piece));
        held.counted_to += end;
        if held.counted_to < held.text.len() {
            self.held = Some(held);
        }
    }

    fn count(&mut self, of: impl FnOnce(&mut dyn Counter) -> u64) {
        let State::Counting(counter) = &mut self.state else { return };
        let counter = counter.as_mut();
        match catch_unwind(AssertUnwindSafe(|| (of(counter), counter.pending(), counter.is_lost()))) {
            Ok((tokens, pending, false)) => {
                self.pending = u32::try_from(pending).unwrap_or(u32::MAX);
                self.sum = self.sum.saturating_add(tokens);
            }
            Ok((_, _, true)) | Err(_) => self.give_up(),
        }
    }

    fn close(&mut self) {
        self.count(|counter| counter.finish());
        if let State::Counting(_) = self.state {
            self.leave_for(State::Over);
        }
    }

    fn leave_for(&mut self, next: State) {
        self.pending = 0;
        let state = std::mem::replace(&mut self.state, next);
        // What a counter's drop has to say is nobody's concern here either.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(state)));
    }
}

impl State {
    fn of(counter: Option<Box<dyn Counter>>) -> Self {
        counter.map_or(Self::Off, Self::Counting)
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

    /// What a frame of this text adds to the count.
    fn frame(counting: &mut Counting, text: &str) -> u64 {
        let before = counting.sum().unwrap();
        counting.push(text);
        counting.event_is_over(None);
        counting.frame_is_over();
        counting.sum().unwrap() - before
    }

    /// What a frame has over its budget is counted with the frames after it.
    #[test]
    fn a_large_frame_is_spread() {
        let mut counting = bytes();
        assert_eq!(frame(&mut counting, &"x".repeat(2 * BUDGET + 10)), BUDGET as u64);
        assert_eq!(frame(&mut counting, "12345"), BUDGET as u64);
        assert_eq!(frame(&mut counting, "12345"), 20);
        assert_eq!(frame(&mut counting, "12345"), 5);
        assert!(counting.finish());
        assert_eq!(counting.sum(), Some(2 * BUDGET as u64 + 25));
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
        counting.frame_is_over();
        assert!(counting.sum().unwrap() <= BUDGET as u64 + 3);
        assert!(!counting.finish(), "there is more than one poll may count");
        counting.state = State::Counting(Box::new(Bytes { most: usize::MAX }));
        counting.finish_late();
        assert_eq!((counting.sum(), counting.left()), (Some(6 * BUDGET as u64), 0));
    }

    /// A counter that keeps its text is not asked for it within a poll, and
    /// what is held for it is the text and no more, however it is cut.
    #[test]
    fn what_a_counter_keeps_is_counted_late() {
        let mut counting = Counting::by(Some(Box::<Keeps>::default()));
        for _ in 0..8 * BUDGET {
            frame(&mut counting, "x");
        }
        assert_eq!(counting.left(), 8 * BUDGET);
        assert!(!counting.finish());
        counting.finish_late();
        assert_eq!(counting.sum(), Some(8 * BUDGET as u64));
    }

    /// One long piece that a counter keeps does not end the counting: it goes on
    /// with the frames after it.
    #[test]
    fn a_long_piece_is_got_over() {
        /// Counts at each blank.
        #[derive(Debug, Default)]
        struct Words(usize);
        impl Counter for Words {
            fn push(&mut self, text: &str) -> u64 {
                let blanks = text.matches(' ').count();
                self.0 = text.rfind(' ').map_or(self.0 + text.len(), |at| text.len() - at);
                blanks as u64
            }
            fn finish(&mut self) -> u64 {
                1
            }
            fn pending(&self) -> usize {
                self.0
            }
        }
        let mut counting = Counting::by(Some(Box::<Words>::default()));
        for _ in 0..10 {
            assert_eq!(frame(&mut counting, &"x".repeat(BUDGET / 4)), 0);
        }
        assert_eq!(frame(&mut counting, " word and more"), 3);
    }

    /// Too far behind, the count is given up, and nothing is held any more.
    #[test]
    fn too_far_behind() {
        let mut counting = bytes();
        counting.push(&"x".repeat(MOST_HELD + 1));
        assert_eq!((counting.sum(), counting.left()), (None, 0));
    }
}
