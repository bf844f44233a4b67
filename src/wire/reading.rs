//! The reading of one body: what it is becomes clear with its first bytes, and
//! then it is cut into events, elements, or is held as one document.

use serde::de::IgnoredAny;

use super::framing::{BOM, DEFAULT_LIMIT, Framer};
use super::interpreter::Interpreter;
use super::kind::Kind;

/// The most that is held of a response that is one JSON document: 1 MiB.
pub const DOCUMENT_LIMIT: usize = 1024 * 1024;

/// Reads one body, decoded.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) interpreter: Interpreter,
    body: Body,
}

#[derive(Debug)]
enum Body {
    /// No byte has come that tells more than the headers.
    Begun {
        kind: Kind,
        limit: usize,
    },
    Events(Framer),
    Elements(Framer),
    Document {
        held: Vec<u8>,
        cut: bool,
    },
    Opaque,
}

// === impl Reading ===

impl Reading {
    pub(super) fn new(kind: Kind) -> Self {
        let body = match kind {
            Kind::Opaque => Body::Opaque,
            kind => Body::Begun { kind, limit: DEFAULT_LIMIT },
        };
        Self { interpreter: Interpreter::new(), body }
    }

    pub(super) fn limit_events(&mut self, bytes: usize) {
        if let Body::Begun { limit, .. } = &mut self.body {
            *limit = bytes;
        }
    }

    /// Takes the next bytes; false if they are corrupt, and so all that follows.
    pub(super) fn push(&mut self, mut chunk: &[u8]) -> bool {
        if let Body::Begun { kind, limit } = self.body {
            let Some((body, rest)) = begin(kind, limit, chunk) else { return true };
            self.body = body;
            chunk = rest;
        }
        let Self { interpreter, body } = self;
        match body {
            Body::Events(_) | Body::Elements(_) if interpreter.is_lost() => *body = Body::Opaque,
            Body::Events(framer) => return framer.push(chunk, |event| interpreter.event(&event)),
            Body::Elements(framer) => return framer.push(chunk, |event| interpreter.element(&event)),
            Body::Document { held, .. } if held.len() + chunk.len() <= DOCUMENT_LIMIT => {
                held.extend_from_slice(chunk);
            }
            Body::Document { .. } => {
                interpreter.content.unread();
                *body = Body::Opaque;
            }
            Body::Begun { .. } | Body::Opaque => {}
        }
        true
    }

    /// Takes the clean end: the last event, or the document.
    pub(super) fn finish(&mut self) {
        let Self { interpreter, body } = self;
        match body {
            Body::Events(framer) => framer.finish(|event| interpreter.event(&event)),
            Body::Document { held, cut } => {
                let held = std::mem::take(held);
                match serde_json::from_slice::<IgnoredAny>(&held) {
                    Ok(_) => interpreter.document(&held),
                    // Something else than one document is opaque.
                    Err(error) => *cut = error.is_eof(),
                }
            }
            Body::Begun { .. } | Body::Elements(_) | Body::Opaque => {}
        }
    }

    /// Whether [`finish`](Self::finish) has anything left to read.
    pub(super) fn may_tell_at_end(&self) -> bool {
        match &self.body {
            Body::Events(framer) => framer.may_tell_at_end(),
            Body::Document { .. } => true,
            Body::Begun { .. } | Body::Elements(_) | Body::Opaque => false,
        }
    }

    /// Whether no format can be found any more.
    pub(super) fn is_opaque(&self) -> bool {
        matches!(self.body, Body::Opaque) || self.interpreter.is_lost()
    }

    /// Whether it was found to be a stream: events of a known format, or one
    /// JSON array of a format that streams so.
    pub(super) fn is_found_stream(&self) -> bool {
        match (&self.body, self.interpreter.dialect()) {
            (Body::Events(_), Some(_)) => true,
            (Body::Elements(_), Some(dialect)) => dialect.streams_arrays(),
            _ => false,
        }
    }

    /// Whether it came to the end of its format, if that has one.
    pub(super) fn is_whole(&self, is_stream: bool) -> bool {
        match &self.body {
            Body::Elements(framer) if self.interpreter.dialect().is_none() => framer.is_closed(),
            Body::Events(_) if !is_stream && self.interpreter.dialect().is_none() => true,
            Body::Events(_) | Body::Elements(_) => self.interpreter.content.ended(),
            Body::Document { cut, .. } => !cut,
            Body::Begun { .. } | Body::Opaque => !is_stream,
        }
    }
}

fn is_space(byte: &u8) -> bool {
    byte.is_ascii_whitespace() || BOM.contains(byte)
}

/// What the first bytes make of a body, and those of them that are a part of
/// it; none as long as they do not tell.
fn begin(kind: Kind, limit: usize, chunk: &[u8]) -> Option<(Body, &[u8])> {
    let framer = match kind {
        Kind::Sse => Framer::sse(limit),
        Kind::Lines => Framer::lines(limit),
        Kind::Aws => Framer::aws(limit),
        Kind::Opaque => return Some((Body::Opaque, chunk)),
        Kind::Unnamed => {
            // `data` or a comment: what is neither after all is not recognised.
            match chunk.iter().find(|byte| !is_space(byte))? {
                b'd' | b':' => Framer::sse(limit),
                _ => return Some((Body::Opaque, chunk)),
            }
        }
        Kind::Json => {
            let rest = chunk.get(chunk.iter().position(|byte| !is_space(byte))?..)?;
            return Some(match rest.first() {
                Some(b'[') => (Body::Elements(Framer::array(limit)), rest),
                _ => (Body::Document { held: Vec::new(), cut: false }, rest),
            });
        }
    };
    Some((Body::Events(framer), chunk))
}
