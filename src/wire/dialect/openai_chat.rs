//! OpenAI chat completions, and the many vendors and engines that speak them.

use super::openai::{self, Shape};
use super::{Content, Dialect, Event};

/// OpenAI chat completions: `openai-chat`.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenAiChat;

impl Dialect for OpenAiChat {
    fn name(&self) -> &'static str {
        "openai-chat"
    }

    fn recognises(&self, event: &Event<'_>) -> bool {
        if openai::is_done(event) || event.name == b"error" {
            return true;
        }
        let shape = Shape::of(event.data);
        shape.object == b"chat.completion.chunk"
            || shape.has_error
            || shape.has_delta
            || shape.has_message
            || shape.is_usage_only
    }

    fn text_alone_differs(&self) -> bool {
        true
    }

    fn event(&self, event: &Event<'_>, content: &mut Content) {
        openai::event(event, content, b"delta", openai::message);
    }

    fn document(&self, body: &[u8], content: &mut Content) -> bool {
        let shape = Shape::of(body);
        let known = shape.object == b"chat.completion" || shape.has_error || shape.has_message;
        if known {
            openai::chunk(body, content, b"message", openai::message);
        }
        known
    }
}
