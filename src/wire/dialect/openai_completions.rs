//! OpenAI's older completions, text in and text out.

use super::openai::{self, Shape};
use super::{Content, Dialect, Event};
use crate::wire::json::Cursor;

/// OpenAI completions: `openai-completions`.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenAiCompletions;

impl Dialect for OpenAiCompletions {
    fn name(&self) -> &'static str {
        "openai-completions"
    }

    fn recognises(&self, event: &Event<'_>) -> bool {
        is_known(event.data)
    }

    fn text_alone_differs(&self) -> bool {
        true
    }

    fn event(&self, event: &Event<'_>, content: &mut Content) {
        openai::event(event, content, b"text", tell);
    }

    fn document(&self, body: &[u8], content: &mut Content) -> bool {
        let known = is_known(body);
        if known {
            openai::chunk(body, content, b"text", tell);
        }
        known
    }
}

/// A delta or a message says chat, whatever else does: some engines name chat
/// chunks `text_completion`, others put a `text` beside the delta.
fn is_known(json: &[u8]) -> bool {
    let shape = Shape::of(json);
    let is_chat = shape.has_delta || shape.has_message;
    !is_chat && (shape.has_text || shape.object == b"text_completion")
}

fn tell(text: &mut Cursor<'_>, content: &mut Content) {
    content.json_text(text);
}
