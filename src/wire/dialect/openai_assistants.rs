//! OpenAI's Assistants: runs of a thread, streamed.

use super::{Content, Dialect, Event, fault, openai};
use crate::wire::json::{Cursor, fields};

/// OpenAI Assistants: `openai-assistants`.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenAiAssistants;

impl Dialect for OpenAiAssistants {
    fn name(&self) -> &'static str {
        "openai-assistants"
    }

    fn recognises(&self, event: &Event<'_>) -> bool {
        event.name.starts_with(b"thread.")
    }

    fn text_alone_differs(&self) -> bool {
        true
    }

    fn event(&self, event: &Event<'_>, content: &mut Content) {
        match event.name {
            b"thread.message.delta" | b"thread.run.step.delta" => tell_delta(event.data, content),
            b"thread.run.completed" | b"thread.run.incomplete" | b"thread.run.requires_action" => {
                tell_run(event.data, content);
                content.end();
            }
            b"thread.run.failed" | b"thread.run.expired" => {
                tell_run(event.data, content);
                content.error("error");
            }
            b"error" => {
                fault::tell(&mut Cursor::new(event.data), content);
                content.error("error");
            }
            _ if openai::is_done(event) => content.end(),
            _ => {}
        }
    }

    /// A run that was not streamed carries no content.
    fn document(&self, _: &[u8], _: &mut Content) -> bool {
        false
    }
}

fn tell_delta(json: &[u8], content: &mut Content) {
    let mut tell = |text: &mut Cursor<'_>| {
        content.json_text(text);
    };
    Cursor::new(json).at(&[b"delta", b"content"], |parts| {
        parts.array(|part| part.at(&[b"text", b"value"], &mut tell));
    });
    Cursor::new(json).at(&[b"delta", b"step_details", b"tool_calls"], |calls| {
        calls.array(|call| {
            call.object(|key, value| match key {
                b"function" => value.at(&[b"arguments"], &mut tell),
                b"code_interpreter" => value.at(&[b"input"], &mut tell),
                _ => {}
            });
        });
    });
}

fn tell_run(json: &[u8], content: &mut Content) {
    fields(json, |key, value| match key {
        b"model" => content.json_model(value),
        b"usage" => content.json_usage(value, &openai::USAGE),
        b"last_error" => {
            fault::tell(value, content);
        }
        b"incomplete_details" => value.at(&[b"reason"], |reason| content.json_finish(reason)),
        _ => {}
    });
}
