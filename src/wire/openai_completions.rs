//! OpenAI's older completions, text in and text out.

use super::openai::{self, Choice, Chunk};
use super::{Content, Dialect, Event};

/// OpenAI completions: `openai-completions`.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenAiCompletions;

impl Dialect for OpenAiCompletions {
    fn name(&self) -> &'static str {
        "openai-completions"
    }

    fn recognises(&self, event: &Event<'_>) -> bool {
        Chunk::parse(event.data).is_some_and(|chunk| is_known(&chunk))
    }

    fn event(&self, event: &Event<'_>, content: &mut Content) {
        openai::event(event, content, tell);
    }

    fn document(&self, body: &[u8], content: &mut Content) -> bool {
        let Some(chunk) = Chunk::parse(body).filter(is_known) else { return false };
        chunk.choices.iter().flatten().for_each(|choice| tell(choice, content));
        chunk.tell(content);
        true
    }
}

/// A delta or a message says chat, whatever else does: some engines name chat
/// chunks `text_completion`, others put a `text` beside the delta.
fn is_known(chunk: &Chunk<'_>) -> bool {
    let mut choices = chunk.choices.iter().flatten();
    let text = choices.clone().any(|choice| choice.text.is_some());
    let chat = choices.any(|choice| choice.delta.is_some() || choice.message.is_some());
    !chat && (text || chunk.is("text_completion"))
}

fn tell(choice: &Choice<'_>, content: &mut Content) {
    if let Some(text) = choice.text {
        content.json_text(text);
    }
}
