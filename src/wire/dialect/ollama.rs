//! Ollama's own chat and generate.

use super::{Content, Dialect, Event, fault};
use crate::wire::Usage;
use crate::wire::json::{Cursor, fields};

/// Ollama: `ollama`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ollama;

impl Dialect for Ollama {
    fn name(&self) -> &'static str {
        "ollama"
    }

    fn recognises(&self, event: &Event<'_>) -> bool {
        is_known(event.data)
    }

    fn text_alone_differs(&self) -> bool {
        true
    }

    fn event(&self, event: &Event<'_>, content: &mut Content) {
        tell(event.data, content);
    }

    fn document(&self, body: &[u8], content: &mut Content) -> bool {
        let known = is_known(body);
        if known {
            tell(body, content);
        }
        known
    }
}

fn is_known(json: &[u8]) -> bool {
    let mut has_done = false;
    let mut has_text = false;
    fields(json, |key, value| match key {
        b"done" => has_done = matches!(value.peek(), Some(b't' | b'f')),
        b"message" => has_text |= value.peek() == Some(b'{'),
        b"response" => has_text |= value.peek() == Some(b'"'),
        _ => {}
    });
    has_done && has_text
}

/// A line of a stream and a whole response are alike.
fn tell(json: &[u8], content: &mut Content) {
    let mut usage = Usage::default();
    fields(json, |key, value| match key {
        b"message" => tell_message(value, content),
        b"response" | b"thinking" => content.json_text(value),
        b"model" => content.json_model(value),
        b"done" if value.boolean() == Some(true) => content.end(),
        b"done_reason" => content.json_finish(value),
        b"eval_count" => usage.output = value.figure(),
        b"prompt_eval_count" => usage.input = value.figure(),
        b"error" => {
            fault::tell(value, content);
        }
        _ => {}
    });
    content.usage(usage);
}

fn tell_message(message: &mut Cursor<'_>, content: &mut Content) {
    message.object(|key, value| match key {
        b"content" | b"thinking" => content.json_text(value),
        b"tool_calls" => {
            value.array(|call| {
                call.at(&[b"function", b"arguments"], |arguments| content.json_arguments(arguments));
            });
        }
        _ => {}
    });
}
