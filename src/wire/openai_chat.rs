//! OpenAI chat completions, and the many vendors and engines that speak them.

use super::openai::{self, Choice, Chunk, DONE};
use super::{Content, Dialect, Event};

/// OpenAI chat completions: `openai-chat`.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenAiChat;

impl Dialect for OpenAiChat {
    fn name(&self) -> &'static str {
        "openai-chat"
    }

    fn recognises(&self, event: &Event<'_>) -> bool {
        if event.data.trim_ascii() == DONE || event.name == b"error" {
            return true;
        }
        Chunk::parse(event.data).is_some_and(|chunk| {
            chunk.is("chat.completion.chunk")
                || chunk.has_error()
                || chunk.choices.as_ref().is_some_and(|choices| {
                    choices.is_empty() || choices.iter().any(|choice| choice.delta.is_some())
                })
        })
    }

    fn event(&self, event: &Event<'_>, content: &mut Content) {
        openai::event(event, content, |choice, content| tell(choice.delta.as_ref(), content));
    }

    fn document(&self, body: &[u8], content: &mut Content) -> bool {
        let Some(chunk) = Chunk::parse(body) else { return false };
        let is_message = |choice: &Choice<'_>| choice.message.is_some();
        let choices = chunk.choices.as_deref();
        let known = chunk.is("chat.completion") || chunk.has_error();
        if !known && !choices.is_some_and(|choices| choices.iter().any(is_message)) {
            return false;
        }
        choices.unwrap_or_default().iter().for_each(|choice| tell(choice.message.as_ref(), content));
        chunk.tell(content);
        true
    }
}

fn tell(message: Option<&openai::Message<'_>>, content: &mut Content) {
    if let Some(message) = message {
        message.tell(content);
    }
}
