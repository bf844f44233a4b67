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

fn is_known(chunk: &Chunk<'_>) -> bool {
    chunk.is("text_completion") || chunk.choices.iter().flatten().any(|choice| choice.text.is_some())
}

fn tell(choice: &Choice<'_>, content: &mut Content) {
    if let Some(text) = choice.text {
        content.json_text(text);
    }
}
