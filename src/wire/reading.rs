//! The reading of one body: it is framed, its format is found, and what its
//! events carry is told.

use std::sync::Arc;

use serde::de::IgnoredAny;

use super::framing::{BOM, DEFAULT_LIMIT, Framer};
use super::kind::Kind;
use super::template::Template;
use super::{Content, Dialect, Dialects, Event};

/// The most that is held of a response that is one JSON document: 1 MiB.
pub const DOCUMENT_LIMIT: usize = 1024 * 1024;

/// The events after which a stream that no dialect recognises is opaque.
pub const UNRECOGNISED_LIMIT: u32 = 32;

/// Reads one body, decoded.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) content: Content,
    body: Body,
    format: Format,
    template: Template,
    events: u64,
    skipped: u32,
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

#[derive(Debug)]
enum Format {
    /// None of these has been recognised, in so many events.
    Sought(Dialects, u32),
    Known(Arc<dyn Dialect>),
}

// === impl Reading ===

impl Reading {
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            content: Content::default(),
            body: match kind {
                Kind::Opaque => Body::Opaque,
                kind => Body::Begun { kind, limit: DEFAULT_LIMIT },
            },
            format: Format::Sought(Dialects::all(), 0),
            template: Template::default(),
            events: 0,
            skipped: 0,
        }
    }

    pub(super) fn look_for(&mut self, dialects: Dialects) {
        self.format = match dialects.fixed() {
            Some(dialect) => Format::Known(Arc::clone(dialect)),
            None => Format::Sought(dialects, 0),
        };
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
        // The body is put back, or becomes opaque.
        match std::mem::replace(&mut self.body, Body::Opaque) {
            Body::Events(mut framer) if !self.is_unrecognisable() => {
                let seen = framer.push(chunk, |event| self.event(&event));
                self.body = Body::Events(framer);
                return seen;
            }
            Body::Elements(mut framer) if !self.is_unrecognisable() => {
                let seen = framer.push(chunk, |event| self.element(&event));
                self.body = Body::Elements(framer);
                return seen;
            }
            Body::Document { mut held, cut } if held.len() + chunk.len() <= DOCUMENT_LIMIT => {
                held.extend_from_slice(chunk);
                self.body = Body::Document { held, cut };
            }
            Body::Document { .. } => self.content.unread(),
            body => self.body = body,
        }
        true
    }

    /// Takes the clean end: the last event, or the document.
    pub(super) fn finish(&mut self) {
        match std::mem::replace(&mut self.body, Body::Opaque) {
            Body::Events(mut framer) => {
                framer.finish(|event| self.event(&event));
                self.body = Body::Events(framer);
            }
            Body::Document { held, .. } => {
                let cut = self.document(&held);
                self.body = Body::Document { held: Vec::new(), cut };
            }
            body => self.body = body,
        }
    }

    /// Events that were framed, read or skipped.
    pub(super) fn events(&self) -> u64 {
        self.events
    }

    /// Events that were skipped.
    pub(super) fn skipped(&self) -> u64 {
        self.skipped.into()
    }

    pub(super) fn dialect_name(&self) -> Option<&'static str> {
        self.known().map(|dialect| dialect.name())
    }

    /// Whether no format can be found any more.
    pub(super) fn is_opaque(&self) -> bool {
        matches!(self.body, Body::Opaque) || self.is_unrecognisable()
    }

    /// Whether it is read event by event.
    pub(super) fn is_stream(&self) -> bool {
        matches!(self.body, Body::Events(_) | Body::Elements(_))
    }

    /// Whether it came to the end of its format, which has one.
    pub(super) fn is_whole(&self) -> bool {
        match &self.body {
            Body::Begun { kind, .. } => !kind.is_stream(),
            Body::Events(_) => self.content.ended(),
            Body::Elements(framer) if self.known().is_none() => framer.is_closed(),
            Body::Elements(_) => self.content.ended(),
            Body::Document { cut, .. } => !cut,
            Body::Opaque => true,
        }
    }

    fn event(&mut self, event: &Event<'_>) {
        self.events += 1;
        if let Some(error) = event.error {
            self.content.error(if error.is_empty() { "error" } else { error });
        } else {
            self.seek(|dialects, _| dialects.of_event(event).cloned());
            self.read(event);
        }
        self.content.close_event();
    }

    fn read(&mut self, event: &Event<'_>) {
        if event.skipped {
            return self.skip(event.name);
        }
        let Format::Known(dialect) = &self.format else { return };
        if let Some(text) = self.template.text(event) {
            return self.content.tell(text);
        }
        dialect.event(event, &mut self.content);
        if let Some(place) = self.content.only_text() {
            self.template.learn(event, place);
        }
    }

    /// An element of an array is a document of its own.
    fn element(&mut self, event: &Event<'_>) {
        self.events += 1;
        if event.skipped {
            self.skip(event.name);
        } else if let Format::Known(dialect) = &self.format {
            dialect.document(event.data, &mut self.content);
        } else {
            self.seek(|dialects, content| dialects.of_document(event.data, content).cloned());
        }
        self.content.close_event();
    }

    /// Reads a document; true if it was cut off. Something else than one
    /// document is opaque.
    fn document(&mut self, json: &[u8]) -> bool {
        self.events += 1;
        if let Err(error) = serde_json::from_slice::<IgnoredAny>(json) {
            return error.is_eof();
        }
        match &self.format {
            Format::Known(dialect) => {
                dialect.document(json, &mut self.content);
            }
            Format::Sought(..) => {
                self.seek(|dialects, content| dialects.of_document(json, content).cloned());
            }
        }
        // Its end is that it parses.
        if self.known().is_some() && self.content.error_type().is_none() {
            self.content.end();
        }
        self.content.close_event();
        false
    }

    /// Looks for the format, if it is not known yet and can still be found.
    fn seek(&mut self, find: impl FnOnce(&Dialects, &mut Content) -> Option<Arc<dyn Dialect>>) {
        let Format::Sought(dialects, count) = &mut self.format else { return };
        if *count >= UNRECOGNISED_LIMIT {
            return;
        }
        *count += 1;
        if let Some(dialect) = find(dialects, &mut self.content) {
            self.format = Format::Known(dialect);
        }
    }

    fn skip(&mut self, name: &[u8]) {
        self.skipped = self.skipped.saturating_add(1);
        match &self.format {
            Format::Known(dialect) => dialect.skipped(name, &mut self.content),
            Format::Sought(..) => self.content.unread(),
        }
    }

    fn known(&self) -> Option<&dyn Dialect> {
        match &self.format {
            Format::Known(dialect) => Some(&**dialect),
            Format::Sought(..) => None,
        }
    }

    fn is_unrecognisable(&self) -> bool {
        matches!(self.format, Format::Sought(_, UNRECOGNISED_LIMIT..))
    }
}

/// What the first bytes make of a body, and those of them that are a part of
/// it; none as long as they do not tell.
fn begin(kind: Kind, limit: usize, chunk: &[u8]) -> Option<(Body, &[u8])> {
    let framer = match kind {
        Kind::Sse => Framer::sse(limit),
        Kind::Lines => Framer::lines(limit),
        Kind::Aws => Framer::aws(limit),
        Kind::Opaque => return Some((Body::Opaque, chunk)),
        Kind::Json => {
            let is_space = |byte: &u8| byte.is_ascii_whitespace() || BOM.contains(byte);
            let rest = chunk.get(chunk.iter().position(|byte| !is_space(byte))?..)?;
            return Some(match rest.first() {
                Some(b'[') => (Body::Elements(Framer::array(limit)), rest),
                _ => (Body::Document { held: Vec::new(), cut: false }, rest),
            });
        }
    };
    Some((Body::Events(framer), chunk))
}
