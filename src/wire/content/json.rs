//! What a dialect calls with JSON in its hands.

use super::Content;
use crate::wire::json::{Cursor, Quoted};
use crate::wire::usage::{Usage, UsageKeys};

impl Content {
    /// [`text`](Self::text) of a JSON value, if it is a string.
    pub(crate) fn json_text(&mut self, value: &mut Cursor<'_>) {
        if let Some(text) = value.quoted() {
            self.quoted_text(text);
        }
    }

    /// [`text`](Self::text) of a JSON string.
    pub(crate) fn quoted_text(&mut self, text: Quoted<'_>) {
        let bytes = text.bytes();
        self.event.text_at = bytes.as_ptr() as usize;
        self.event.text_length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let mut scratch = std::mem::take(&mut self.scratch);
        self.tell(text.text(&mut scratch));
        self.scratch = scratch;
    }

    /// [`text`](Self::text) of tool arguments: a JSON string, or an object that
    /// stands for its own text. An empty object is nothing.
    pub(crate) fn json_arguments(&mut self, value: &mut Cursor<'_>) {
        if value.peek() != Some(b'{') {
            return self.json_text(value);
        }
        let raw = value.raw();
        let is_empty = raw.iter().all(|byte| b"{} \t\r\n".contains(byte));
        if let (false, Ok(text)) = (is_empty, std::str::from_utf8(raw)) {
            self.text(text);
        }
    }

    /// [`finish`](Self::finish) by a JSON value, if it is a string.
    pub(crate) fn json_finish(&mut self, value: &mut Cursor<'_>) {
        if let Some(reason) = value.quoted() {
            self.with_text(reason, Self::finish);
        }
    }

    /// [`json_finish`](Self::json_finish) where a reason is the end marker too.
    pub(crate) fn json_stop(&mut self, value: &mut Cursor<'_>) {
        if let Some(reason) = value.quoted().filter(|reason| !reason.bytes().is_empty()) {
            self.with_text(reason, Self::finish);
            self.end();
        }
    }

    /// [`usage`](Self::usage) of a JSON value, if it is an object.
    pub(crate) fn json_usage(&mut self, value: &Cursor<'_>, keys: &UsageKeys) {
        self.usage(Usage::read(*value, keys));
    }

    /// [`model`](Self::model) by a JSON string.
    pub(crate) fn json_model(&mut self, value: &mut Cursor<'_>) {
        if let (None, Some(model)) = (&self.model, value.quoted()) {
            self.with_text(model, Self::model);
        }
    }

    /// Calls `then` with the text of a JSON string.
    pub(crate) fn with_text(&mut self, text: Quoted<'_>, then: impl FnOnce(&mut Self, &str)) {
        let mut scratch = std::mem::take(&mut self.scratch);
        then(self, text.text(&mut scratch));
        self.scratch = scratch;
    }
}
