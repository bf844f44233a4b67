//! The lines of a log one after the other, in bounded memory.

use std::io::{self, BufRead};

/// No line of a run log comes near it.
pub(super) const LONGEST: usize = 1 << 20;

/// Reads lines into a buffer that is used again.
#[derive(Debug)]
pub(super) struct Lines<R> {
    input: R,
    line: Vec<u8>,
}

/// What was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read<'a> {
    /// A line without its end. The last one may have none.
    Line(&'a [u8]),
    TooLong,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, line: Vec::new() }
    }

    /// The next line; absent at the end.
    ///
    /// # Errors
    /// Those of the input.
    pub(super) fn next(&mut self) -> io::Result<Option<Read<'_>>> {
        self.line.clear();
        let mut is_too_long = false;
        loop {
            let bytes = match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                bytes => bytes?,
            };
            if bytes.is_empty() {
                if self.line.is_empty() && !is_too_long {
                    return Ok(None);
                }
                return Ok(Some(if is_too_long { Read::TooLong } else { Read::Line(&self.line) }));
            }
            let end = memchr::memchr(b'\n', bytes);
            let part = &bytes[..end.unwrap_or(bytes.len())];
            is_too_long |= self.line.len() + part.len() > LONGEST;
            if is_too_long {
                self.line.clear();
            } else {
                self.line.extend_from_slice(part);
            }
            let used = part.len() + usize::from(end.is_some());
            self.input.consume(used);
            if end.is_some() {
                return Ok(Some(if is_too_long { Read::TooLong } else { Read::Line(&self.line) }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each line once, whatever the size of the buffer, and the unfinished one too.
    #[test]
    fn lines() {
        let text = [b"a\n\nbc\n".as_slice(), &vec![b'x'; LONGEST + 1], b"\nd"].concat();
        for capacity in [1, 3, 4096] {
            let mut lines = Lines::new(io::BufReader::with_capacity(capacity, text.as_slice()));
            let mut next = || match lines.next().unwrap() {
                Some(Read::Line(line)) => String::from_utf8_lossy(line).into_owned(),
                other => format!("{other:?}"),
            };
            assert_eq!([next(), next(), next()], ["a", "", "bc"]);
            assert_eq!(next(), "Some(TooLong)");
            assert_eq!([next(), next()], ["d", "None"]);
        }
    }
}
