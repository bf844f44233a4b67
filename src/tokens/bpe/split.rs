//! Splits a text that comes in cuts into the pieces of the whole text.

use super::automaton::{Automaton, Step};

/// The most of one push that is looked at in one go, in bytes. What is held
/// back stays within this and the longest piece, however long a push is.
const GULP: usize = 4 * 1024;

/// The text of one stream from the start of the piece under way.
///
/// Each byte is scanned a bounded number of times. What was scanned beyond the
/// end of a piece is scanned again, and only two kinds of text keep the
/// automaton going far beyond a match: blanks after a newline, which one more
/// newline would make one piece, and capitals after a letter without case,
/// which a small letter would. What follows the match is then one such run,
/// and it ends in a few pieces of its own.
pub(super) struct Split {
    /// From the start of the piece under way to the end of what has come.
    text: Vec<u8>,
    /// How much of `text` has been scanned.
    scanned: usize,
    step: Step,
    found: Option<Found>,
    longest: usize,
    #[cfg(test)]
    steps: usize,
}

/// A match: where it ends in the text, and the step that showed it.
#[derive(Clone, Copy)]
struct Found {
    end: usize,
    step: Step,
}

impl Split {
    pub(super) fn new(longest: usize) -> Self {
        Self {
            text: Vec::new(),
            scanned: 0,
            step: Step::START,
            found: None,
            longest,
            #[cfg(test)]
            steps: 0,
        }
    }

    /// The bytes of the piece under way, and what has come behind it.
    pub(super) fn pending(&self) -> usize {
        self.text.len()
    }

    /// Takes more text, and hands out the pieces that became certain.
    pub(super) fn push(&mut self, automaton: &Automaton, text: &str, mut piece: impl FnMut(&[u8])) {
        for gulp in text.as_bytes().chunks(GULP) {
            self.text.extend_from_slice(gulp);
            self.hand_out(automaton, &mut piece);
        }
    }

    /// Takes the end of the text, and hands out the pieces that are left.
    pub(super) fn finish(&mut self, automaton: &Automaton, mut piece: impl FnMut(&[u8])) {
        while !self.text.is_empty() {
            let step = automaton.end(self.step);
            if step.is_match() {
                self.found = Some(Found { end: self.text.len(), step });
            }
            let end = self.piece_end(0);
            piece(&self.text[..end]);
            self.text.drain(..end);
            self.restart(0);
            self.hand_out(automaton, &mut piece);
        }
    }

    fn hand_out(&mut self, automaton: &Automaton, piece: &mut impl FnMut(&[u8])) {
        let mut start = 0;
        while self.scan(automaton, start) {
            let end = self.piece_end(start);
            piece(&self.text[start..end]);
            start = end;
            self.restart(start);
        }
        if start > 0 {
            self.text.drain(..start);
            self.scanned -= start;
            if let Some(found) = &mut self.found {
                found.end -= start;
            }
        }
    }

    /// Scans the piece that begins at `start`; whether its end is certain.
    fn scan(&mut self, automaton: &Automaton, start: usize) -> bool {
        // A piece as long as may be is seen to have ended by the byte after it.
        let limit = start + self.longest + 1;
        let from = self.scanned;
        let (mut step, mut found) = (self.step, self.found);
        let mut at = from;
        for byte in &self.text[from..limit.min(self.text.len())] {
            step = automaton.next(step, *byte);
            if step.is_special() {
                if step.is_match() {
                    found = Some(Found { end: at, step });
                }
                if step.is_last() {
                    break;
                }
            }
            at += 1;
        }
        #[cfg(test)]
        {
            self.steps += at - from + usize::from(step.is_last());
        }
        (self.step, self.found, self.scanned) = (step, found, at);
        step.is_last() || at == limit
    }

    /// Where the piece that begins at `start` ends: after at least one byte, and
    /// within what has come.
    fn piece_end(&self, start: usize) -> usize {
        // Every character begins some match: the last resort is there to be total.
        let Some(Found { end, step }) = self.found else {
            return self.scanned.max(start + 1);
        };
        if !step.is_without_last() {
            return end;
        }
        let last = self.text[start..end].iter().rposition(|byte| byte & 0xC0 != 0x80);
        start + last.unwrap_or(0).max(1)
    }

    fn restart(&mut self, start: usize) {
        self.step = Step::START;
        self.found = None;
        self.scanned = start;
    }
}

#[cfg(test)]
mod tests {
    use super::super::encoding;
    use super::*;

    /// Splits `text` in cuts of `cut` bytes; how many bytes were scanned, and the pieces' bytes.
    fn work(automaton: &Automaton, text: &str, cut: usize, longest: usize) -> (usize, usize) {
        let mut split = Split::new(longest);
        let mut bytes = 0;
        let mut rest = text;
        while !rest.is_empty() {
            let mut at = cut.min(rest.len());
            while !rest.is_char_boundary(at) {
                at += 1;
            }
            split.push(automaton, &rest[..at], |piece| bytes += piece.len());
            rest = &rest[at..];
        }
        split.finish(automaton, |piece| bytes += piece.len());
        (split.steps, bytes)
    }

    fn automata() -> [&'static Automaton; 2] {
        [&encoding::o200k().automaton, &encoding::cl100k().automaton]
    }

    /// A long run of whatever keeps the automaton going is scanned a bounded
    /// number of times, and all of it comes out.
    #[test]
    fn long_runs_are_linear() {
        let runs = [
            " ",
            "\n",
            "\n ",
            " \n",
            "\t \r",
            "a",
            "A",
            "aA",
            "Aa",
            "一",
            "一A",
            "A一",
            "ʰ",
            "\u{301}",
            "'",
            "'l",
            "'ll",
            "a'",
            "a'l",
            "7",
            "77 ",
            "-",
            "/\n",
            "-/",
            "👍",
            "\u{3000}",
            "\u{3000}\n",
            "ſ",
        ];
        let starts = ["", "\n", "一", "!", " ", "\u{3000}", "'"];
        for automaton in automata() {
            for (run, start) in runs.iter().flat_map(|run| starts.map(|start| (run, start))) {
                let text = format!("{start}{}", run.repeat((1 << 17) / run.len()));
                for (cut, longest) in [(1 << 17, 1 << 13), (5, 1 << 18), (1 << 12, 64)] {
                    let (steps, bytes) = work(automaton, &text, cut, longest);
                    assert_eq!(bytes, text.len(), "{start:?} {run:?}");
                    assert!(steps <= 4 * bytes, "{start:?} {run:?}: {steps} steps for {bytes} bytes");
                }
            }
        }
    }

    /// So is any mixture of such runs.
    #[test]
    fn mixtures_are_linear() {
        let parts = ["\n", " ", "一", "A", "a", "'", "l", "7", "-", "/", "\u{301}", "ʰ", "\u{3000}", "ſ"];
        let mut random = fastrand::Rng::with_seed(7);
        for automaton in automata() {
            for _ in 0..300 {
                let mut text = String::new();
                while text.len() < 4096 {
                    text.push_str(&random.choice(parts).unwrap_or("a").repeat(1 << random.u32(0..9)));
                }
                let longest = 1 << random.u32(4..13);
                let (steps, bytes) = work(automaton, &text, random.usize(1..40), longest);
                assert_eq!(bytes, text.len());
                assert!(steps <= 4 * bytes, "{text:?}: {steps} steps for {bytes} bytes");
            }
        }
    }

    /// Beyond a long push, no more is held than the longest piece and one gulp.
    #[test]
    fn what_is_held_is_bounded() {
        for automaton in automata() {
            let mut split = Split::new(1 << 16);
            split.push(automaton, &"a".repeat(1 << 22), |piece| assert!(piece.len() <= 1 << 16));
            assert!(split.text.capacity() <= 1 << 18, "{}", split.text.capacity());
            assert!(split.text.len() <= (1 << 16) + GULP);
        }
    }
}
