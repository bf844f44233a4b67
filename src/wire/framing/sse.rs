//! Server-sent events, cut out of bytes as they come.
//!
//! An event that lies wholly inside one chunk is borrowed from it. Of an
//! unfinished one, only its name, its data and its last, unfinished line are
//! kept until the next chunk, so every byte is searched once and copied at most
//! twice however the stream is cut, and comments cost nothing.

use memchr::{memchr, memchr2};

use super::{BOM, DEFAULT_LIMIT, Event};

/// Cuts a stream of bytes into events. Any cut of the same bytes gives the same
/// events.
///
/// Lines end in LF, CRLF or CR. An event without a `data:` line is none. An
/// event is skipped, and only its name is told, if its data are over
/// the limit; the stream goes on after it. No more
/// than three times the limit is ever held.
#[derive(Debug)]
pub struct SseFramer {
    limit: u32,
    name: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    line: Vec<u8>,
    first_line: bool,
    after_cr: bool,
    over: bool,
}

/// What the present chunk has shown of the present event so far.
#[derive(Default)]
struct Seen<'a> {
    name: Option<&'a [u8]>,
    data: Option<&'a [u8]>,
}

enum Line<'a> {
    Blank,
    Data(&'a [u8]),
    Name(&'a [u8]),
    Other,
}

// === impl SseFramer ===

impl Default for SseFramer {
    fn default() -> Self {
        Self::new()
    }
}

impl SseFramer {
    /// A framer at the start of a stream, with [`DEFAULT_LIMIT`].
    #[must_use]
    pub fn new() -> Self {
        Self::with_limit(DEFAULT_LIMIT)
    }

    /// A framer that skips events with more than `bytes` of data.
    #[must_use]
    pub fn with_limit(bytes: usize) -> Self {
        Self {
            limit: u32::try_from(bytes).unwrap_or(u32::MAX),
            name: Vec::new(),
            data: Vec::new(),
            has_data: false,
            line: Vec::new(),
            first_line: true,
            after_cr: false,
            over: false,
        }
    }

    /// Takes the next bytes of the stream, and hands on every event that they
    /// complete.
    pub fn push(&mut self, chunk: &[u8], mut on_event: impl FnMut(Event<'_>)) {
        let mut rest = chunk;
        let mut seen = Seen::default();
        loop {
            if self.after_cr && !rest.is_empty() {
                self.after_cr = false;
                rest = rest.strip_prefix(b"\n").unwrap_or(rest);
            }
            let Some(end) = memchr2(b'\n', b'\r', rest) else { break };
            let (line, tail) = rest.split_at(end);
            self.after_cr = tail.first() == Some(&b'\r');
            rest = tail.get(1..).unwrap_or_default();

            let blank = if self.line.is_empty() {
                self.borrowed(line, &mut seen)
            } else {
                self.hold(line);
                self.held()
            };
            if blank {
                self.emit(std::mem::take(&mut seen), &mut on_event);
            }
        }
        self.keep(seen);
        self.hold(rest);
    }

    /// Takes the end of the stream: an event with no blank line after it still
    /// counts. The framer is then at the start of another stream.
    pub fn finish(&mut self, mut on_event: impl FnMut(Event<'_>)) {
        if !self.line.is_empty() {
            self.held();
        }
        self.emit(Seen::default(), &mut on_event);
        self.first_line = true;
        self.after_cr = false;
    }

    /// Whether the bytes so far end within an event.
    pub(super) fn is_within(&self) -> bool {
        self.has_data || !self.line.is_empty()
    }

    fn limit(&self) -> usize {
        self.limit as usize
    }

    /// Reads a line that lies in the present chunk; true if it ends an event.
    fn borrowed<'a>(&mut self, line: &'a [u8], seen: &mut Seen<'a>) -> bool {
        match self.read(line) {
            Line::Blank => return true,
            Line::Name(name) => seen.name = Some(name),
            Line::Data(data) if self.has_data || seen.data.is_some() => {
                self.keep(std::mem::take(seen));
                self.join(data);
            }
            Line::Data(data) => seen.data = Some(data),
            Line::Other => {}
        }
        false
    }

    /// Reads the line that was put together in `line`; true if it ends an event.
    fn held(&mut self) -> bool {
        let mut line = std::mem::take(&mut self.line);
        let blank = match self.read(&line) {
            Line::Blank => true,
            Line::Name(name) => {
                self.keep(Seen { name: Some(name), data: None });
                false
            }
            Line::Data(data) => {
                self.join(data);
                false
            }
            Line::Other => false,
        };
        line.clear();
        self.line = line;
        blank
    }

    fn read<'a>(&mut self, mut line: &'a [u8]) -> Line<'a> {
        if std::mem::take(&mut self.first_line) {
            line = line.strip_prefix(BOM).unwrap_or(line);
        }
        let read = Line::read(line);
        if line.len() <= self.limit() || line.first() == Some(&b':') {
            return read;
        }
        // Of a line that is too long the end may be missing, and then also its
        // sense. Without data it costs only itself.
        match read {
            Line::Data(_) => {
                self.over = true;
                read
            }
            _ => Line::Other,
        }
    }

    /// Keeps a piece of an unfinished line, or as much of it as shows that it
    /// is too long.
    fn hold(&mut self, piece: &[u8]) {
        let room = self.limit().saturating_add(BOM.len() + 1).saturating_sub(self.line.len());
        self.line.extend_from_slice(piece.get(..room).unwrap_or(piece));
    }

    /// Keeps what was borrowed beyond the life of its chunk.
    fn keep(&mut self, seen: Seen<'_>) {
        if let Some(name) = seen.name {
            self.name.clear();
            self.name.extend_from_slice(name);
        }
        if let Some(data) = seen.data {
            self.join(data);
        }
    }

    fn join(&mut self, data: &[u8]) {
        let separator = usize::from(self.has_data);
        if self.over || self.data.len() + separator + data.len() > self.limit() {
            self.over = true;
            return;
        }
        if self.has_data {
            self.data.push(b'\n');
        }
        self.data.extend_from_slice(data);
        self.has_data = true;
    }

    fn emit(&mut self, seen: Seen<'_>, on_event: &mut impl FnMut(Event<'_>)) {
        let name = seen.name.unwrap_or(&self.name);
        let held = self.has_data.then_some(self.data.as_slice());
        if self.over {
            on_event(Event { name, skipped: true, ..Event::default() });
        } else if let Some(data) = seen.data.or(held) {
            on_event(Event { name, data, ..Event::default() });
        }
        self.name.clear();
        self.data.clear();
        self.has_data = false;
        self.over = false;
    }
}

// === impl Line ===

impl<'a> Line<'a> {
    fn read(line: &'a [u8]) -> Self {
        if line.is_empty() {
            return Self::Blank;
        }
        let (field, value) = match memchr(b':', line) {
            Some(colon) => {
                let (field, value) = line.split_at(colon);
                let value = value.get(1..).unwrap_or_default();
                (field, value.strip_prefix(b" ").unwrap_or(value))
            }
            None => (line, &[][..]),
        };
        match field {
            b"data" => Self::Data(value),
            b"event" => Self::Name(value),
            _ => Self::Other,
        }
    }
}
