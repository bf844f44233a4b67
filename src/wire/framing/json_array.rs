//! One JSON array whose elements come one by one, as Gemini streams without SSE.

use memchr::memchr2;

use super::Event;

/// Cuts a stream of bytes that is one JSON array into its elements, as each is
/// complete. Only objects and arrays are elements.
#[derive(Debug)]
pub(crate) struct ArrayFramer {
    limit: usize,
    held: Vec<u8>,
    over: bool,
    /// Open brackets, that of the array itself included.
    depth: u32,
    in_string: bool,
    after_backslash: bool,
    closed: bool,
}

impl ArrayFramer {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            held: Vec::new(),
            over: false,
            depth: 0,
            in_string: false,
            after_backslash: false,
            closed: false,
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    pub(super) fn push(&mut self, chunk: &[u8], mut on_event: impl FnMut(Event<'_>)) {
        // Where the present element begins in this chunk.
        let mut start = 0;
        let mut at = 0;
        while let Some(&byte) = chunk.get(at) {
            if self.closed {
                return;
            }
            if self.in_string {
                at = self.string(chunk, at);
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => {
                    if self.depth == 1 {
                        start = at;
                    }
                    self.depth = self.depth.saturating_add(1);
                }
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    match self.depth {
                        0 => self.closed = true,
                        1 => {
                            let piece = chunk.get(start..=at).unwrap_or_default();
                            self.emit(piece, &mut on_event);
                        }
                        _ => {}
                    }
                }
                _ => {}
            }
            at += 1;
        }
        if self.depth > 1 {
            self.hold(chunk.get(start..).unwrap_or_default());
        }
    }

    /// Passes over what lies in a string, and gives the place after it.
    fn string(&mut self, chunk: &[u8], at: usize) -> usize {
        if std::mem::take(&mut self.after_backslash) {
            return at + 1;
        }
        let rest = chunk.get(at..).unwrap_or_default();
        let Some(found) = memchr2(b'"', b'\\', rest) else { return chunk.len() };
        match rest.get(found) {
            Some(b'"') => self.in_string = false,
            _ => self.after_backslash = true,
        }
        at + found + 1
    }

    fn hold(&mut self, piece: &[u8]) {
        if self.held.len() + piece.len() > self.limit {
            self.over = true;
            self.held.clear();
        }
        if !self.over {
            self.held.extend_from_slice(piece);
        }
    }

    fn emit(&mut self, piece: &[u8], on_event: &mut impl FnMut(Event<'_>)) {
        if self.held.is_empty() && !self.over && piece.len() <= self.limit {
            on_event(Event { data: piece, ..Event::default() });
            return;
        }
        self.hold(piece);
        if std::mem::take(&mut self.over) {
            on_event(Event { skipped: true, ..Event::default() });
        } else {
            on_event(Event { data: &self.held, ..Event::default() });
        }
        self.held.clear();
    }
}
