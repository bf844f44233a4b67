//! From events to what was generated: the format is found, and its dialect
//! tells what they carry.

use std::sync::Arc;

use super::template::Template;
use super::{Content, Dialect, Dialects, Event};

/// The events after which a stream that no dialect recognises is opaque.
pub const UNRECOGNISED_LIMIT: u32 = 32;

/// Reads events, elements and documents, and sums up what they tell.
#[derive(Debug)]
pub(super) struct Interpreter {
    pub(super) content: Content,
    format: Format,
    template: Template,
    events: u32,
    skipped: u32,
}

#[derive(Debug)]
enum Format {
    /// None of these has been recognised, in so many events.
    Sought(Dialects, u32),
    Known(Arc<dyn Dialect>),
}

// === impl Interpreter ===

impl Interpreter {
    pub(super) fn new() -> Self {
        Self {
            content: Content::default(),
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

    /// Reads an event of a stream.
    pub(super) fn event(&mut self, event: &Event<'_>) {
        if self.is_lost() {
            return;
        }
        self.events = self.events.saturating_add(1);
        if let Some(error) = event.error {
            self.content.error(if error.is_empty() { "error" } else { error });
        } else {
            self.seek(|dialects, _| dialects.of_event(event).cloned());
            self.read(event);
        }
        self.content.close_event();
    }

    /// Reads an element of a JSON array, which is a document of its own.
    pub(super) fn element(&mut self, event: &Event<'_>) {
        if self.is_lost() {
            return;
        }
        self.events = self.events.saturating_add(1);
        if event.skipped {
            self.skip(event.name);
        } else {
            self.read_document(event.data);
        }
        self.content.close_event();
    }

    /// Reads a document, which is JSON.
    pub(super) fn document(&mut self, json: &[u8]) {
        self.events = self.events.saturating_add(1);
        self.read_document(json);
        // Its end is that it parses.
        if self.dialect().is_some() && self.content.error_type().is_none() {
            self.content.end();
        }
        self.content.close_event();
    }

    /// Events that were framed, read or skipped.
    pub(super) fn events(&self) -> u64 {
        self.events.into()
    }

    /// Events that were skipped.
    pub(super) fn skipped(&self) -> u64 {
        self.skipped.into()
    }

    /// The format, as soon as it is known.
    pub(super) fn dialect(&self) -> Option<&dyn Dialect> {
        match &self.format {
            Format::Known(dialect) => Some(&**dialect),
            Format::Sought(..) => None,
        }
    }

    /// Whether no format can be found any more.
    pub(super) fn is_lost(&self) -> bool {
        matches!(self.format, Format::Sought(_, UNRECOGNISED_LIMIT..))
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
        match self.content.only_text().filter(|_| dialect.text_alone_differs()) {
            Some(place) => self.template.learn(event, place),
            // It may have told what makes the next event mean something else.
            None => self.template.forget(),
        }
    }

    fn read_document(&mut self, json: &[u8]) {
        match &self.format {
            Format::Known(dialect) => {
                dialect.document(json, &mut self.content);
            }
            Format::Sought(..) => {
                self.seek(|dialects, content| dialects.of_document(json, content).cloned());
            }
        }
    }

    /// Looks for the format, if it is not known yet.
    fn seek(&mut self, find: impl FnOnce(&Dialects, &mut Content) -> Option<Arc<dyn Dialect>>) {
        let Format::Sought(dialects, count) = &mut self.format else { return };
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
}
