//! Writer's text completions.

use super::{Content, Dialect, Event};
use crate::wire::json::{Cursor, fields};

/// Writer's completions: `writer-completions`. They have no usage and no end
/// marker, so that what is whole cannot be told from what was cut off.
#[derive(Clone, Copy, Debug, Default)]
pub struct WriterCompletions;

impl Dialect for WriterCompletions {
    fn name(&self) -> &'static str {
        "writer-completions"
    }

    fn recognises(&self, event: &Event<'_>) -> bool {
        let mut others = 0;
        let mut has_value = false;
        fields(event.data, |key, value| match key {
            b"value" => has_value = value.peek() == Some(b'"'),
            _ => others += 1,
        });
        has_value && others == 0
    }

    fn text_alone_differs(&self) -> bool {
        true
    }

    fn event(&self, event: &Event<'_>, content: &mut Content) {
        Cursor::new(event.data).at(&[b"value"], |value| content.json_text(value));
    }

    fn document(&self, _: &[u8], _: &mut Content) -> bool {
        false
    }
}
