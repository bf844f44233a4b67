//! One JSON value a line, as Ollama and Cohere's first API stream.

use memchr::memchr;

use super::{BOM, Event};

/// Cuts a stream of bytes into lines that end in LF or CRLF. Blank ones are none.
#[derive(Debug)]
pub(crate) struct LineFramer {
    limit: usize,
    held: Vec<u8>,
    first: bool,
    over: bool,
}

impl LineFramer {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, held: Vec::new(), first: true, over: false }
    }

    pub(super) fn push(&mut self, chunk: &[u8], mut on_event: impl FnMut(Event<'_>)) {
        let mut rest = chunk;
        while let Some(end) = memchr(b'\n', rest) {
            let (line, tail) = rest.split_at(end);
            rest = tail.get(1..).unwrap_or_default();
            if self.held.is_empty() && !self.over {
                self.emit(line, &mut on_event);
            } else {
                self.hold(line);
                self.emit_held(&mut on_event);
            }
        }
        self.hold(rest);
    }

    /// A last line counts without its end.
    pub(super) fn finish(&mut self, mut on_event: impl FnMut(Event<'_>)) {
        self.emit_held(&mut on_event);
    }

    /// Whether the bytes so far end within a line.
    pub(super) fn is_within(&self) -> bool {
        !self.held.is_empty()
    }

    fn hold(&mut self, piece: &[u8]) {
        // Room for what is no part of the line: a CR, and the byte order mark.
        if self.held.len() + piece.len() > self.limit.saturating_add(1 + BOM.len()) {
            self.over = true;
        }
        if !self.over {
            self.held.extend_from_slice(piece);
        }
    }

    fn emit_held(&mut self, on_event: &mut impl FnMut(Event<'_>)) {
        let mut line = std::mem::take(&mut self.held);
        self.emit(&line, on_event);
        line.clear();
        self.held = line;
    }

    fn emit(&mut self, line: &[u8], on_event: &mut impl FnMut(Event<'_>)) {
        let line = match std::mem::take(&mut self.first) {
            true => line.strip_prefix(BOM).unwrap_or(line),
            false => line,
        };
        let data = line.strip_suffix(b"\r").unwrap_or(line);
        if std::mem::take(&mut self.over) || data.len() > self.limit {
            on_event(Event { skipped: true, ..Event::default() });
        } else if !data.trim_ascii().is_empty() {
            on_event(Event { data, ..Event::default() });
        }
    }
}
