//! Errors in place of content: what providers have in common in them.

use super::Content;
use crate::wire::json::{Cursor, Quoted};

/// What an error calls itself, best first.
#[derive(Default)]
struct Names<'a> {
    kind: Option<Quoted<'a>>,
    status: Option<Quoted<'a>>,
    code: Option<Quoted<'a>>,
    number: Option<&'a [u8]>,
}

/// Tells the error that a value is: a text, or an object with something in it.
/// It is told by its `type`, else its `status`, else its `code`, else as plain
/// `error`; and false, and nothing told, if it is none.
pub(super) fn tell(value: &mut Cursor<'_>, content: &mut Content) -> bool {
    if !is_one(*value) {
        return false;
    }
    let names = Names::of(*value);
    if let Some(name) = names.best() {
        content.with_text(name, Content::error);
    } else if let Some(Ok(number)) = names.number.map(std::str::from_utf8) {
        content.error(number);
    } else {
        content.error("error");
    }
    true
}

/// Whether a value is an error: a text or an object with something in it.
pub(super) fn is_one(mut value: Cursor<'_>) -> bool {
    if let Some(text) = value.quoted() {
        return !text.bytes().is_empty();
    }
    let mut is_empty = true;
    value.object(|_, _| is_empty = false) && !is_empty
}

// === impl Names ===

impl<'a> Names<'a> {
    /// The names of an error, or of the one inside it.
    fn of(mut value: Cursor<'a>) -> Self {
        let mut names = Self::default();
        let mut inner = None;
        value.object(|key, value| match key {
            b"error" if value.peek() == Some(b'{') => inner = Some(*value),
            _ => names.field(key, value),
        });
        if let Some(mut inner) = inner {
            names = Self::default();
            inner.object(|key, value| names.field(key, value));
        }
        names
    }

    fn field(&mut self, key: &[u8], value: &mut Cursor<'a>) {
        match key {
            b"type" | b"error_type" => self.kind = value.quoted(),
            b"status" => self.status = value.quoted(),
            b"code" if value.peek() == Some(b'"') => self.code = value.quoted(),
            b"code" => {
                self.number =
                    Some(value.raw()).filter(|code| code.iter().all(u8::is_ascii_digit) && !code.is_empty())
            }
            _ => {}
        }
    }

    fn best(&self) -> Option<Quoted<'a>> {
        // Of an event that says `"type": "error"` of itself that is not yet the error's type.
        let says = |name: &Quoted<'_>| !name.bytes().is_empty() && name.bytes() != b"error";
        [self.kind, self.status, self.code].into_iter().flatten().find(says)
    }
}
