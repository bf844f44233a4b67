//! Where an event ends, and whether it begins like the one to withhold.

use memchr::memchr2;

const DATA: &[u8] = b"data:";

/// Looks at the bytes of one event as they come. A new event takes a new one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Scanner {
    line: Line,
    data: Data,
    after_cr: bool,
    length: usize,
}

/// How far into the present line the bytes have come.
#[derive(Clone, Copy, Debug)]
enum Line {
    /// So many bytes of `data:`.
    Field(usize),
    /// Before the first byte of its value.
    Value,
    /// What is left of it says nothing.
    Rest,
}

/// What the event's data begin with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Data {
    #[default]
    Unknown,
    Object,
    Other,
}

impl Default for Line {
    fn default() -> Self {
        Self::Field(0)
    }
}

impl Scanner {
    /// Takes the next bytes, up to the end of the event if it is among them,
    /// which it tells. Of a blank line that ends in CRLF the event ends with CR.
    pub(super) fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            let is_end_of_crlf = std::mem::take(&mut self.after_cr) && byte == b'\n';
            at += 1;
            match (self.line, byte) {
                _ if is_end_of_crlf => {}
                (line, b'\r' | b'\n') => {
                    self.after_cr = byte == b'\r';
                    self.line = Line::default();
                    if matches!(line, Line::Field(0)) {
                        self.length = self.length.saturating_add(at);
                        return Some(at);
                    }
                }
                (Line::Field(seen), _) if DATA.get(seen) == Some(&byte) => {
                    let is_value = seen + 1 == DATA.len();
                    self.line = if is_value { Line::Value } else { Line::Field(seen + 1) };
                }
                (Line::Value, b' ' | b'\t') => {}
                (Line::Value, _) => {
                    if self.data == Data::Unknown {
                        self.data = if byte == b'{' { Data::Object } else { Data::Other };
                    }
                    self.line = Line::Rest;
                }
                (Line::Field(_) | Line::Rest, _) => {
                    self.line = Line::Rest;
                    let rest = bytes.get(at..).unwrap_or_default();
                    at += memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
                }
            }
        }
        self.length = self.length.saturating_add(bytes.len());
        None
    }

    /// Whether the event, as far as it has come, can be a JSON object that is
    /// not longer than this.
    pub(super) fn may_be_object(&self, limit: usize) -> bool {
        self.data != Data::Other && self.length <= limit
    }

    /// Whether the last byte was a CR, so that an LF right after it goes with it.
    pub(super) fn ended_in_cr(&self) -> bool {
        self.after_cr
    }
}
