//! llama.cpp's own completion.

use super::{Content, Dialect, Event, fault, openai};
use crate::wire::Usage;
use crate::wire::json::fields;

/// llama.cpp's server, its own API: `llama-cpp`.
#[derive(Clone, Copy, Debug, Default)]
pub struct LlamaCpp;

impl Dialect for LlamaCpp {
    fn name(&self) -> &'static str {
        "llama-cpp"
    }

    fn recognises(&self, event: &Event<'_>) -> bool {
        is_known(event.data)
    }

    fn text_alone_differs(&self) -> bool {
        true
    }

    fn event(&self, event: &Event<'_>, content: &mut Content) {
        if openai::is_done(event) {
            return content.end();
        }
        tell(event.data, content);
        if event.name == b"error" {
            content.error("error");
        }
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
    let mut has_content = false;
    let mut has_stop = false;
    fields(json, |key, value| match key {
        b"content" => has_content = value.peek() == Some(b'"'),
        b"stop" => has_stop = matches!(value.peek(), Some(b't' | b'f')),
        _ => {}
    });
    has_content && has_stop
}

/// An event and a whole response are alike.
fn tell(json: &[u8], content: &mut Content) {
    let mut usage = Usage::default();
    let mut timings = Usage::default();
    fields(json, |key, value| match key {
        b"content" => content.json_text(value),
        b"model" => content.json_model(value),
        b"stop" if value.boolean() == Some(true) => content.end(),
        b"stop_type" if value.peek() == Some(b'"') => {
            if let Some(kind) = value.quoted().filter(|kind| kind.bytes() != b"none") {
                content.with_text(kind, Content::finish);
            }
        }
        b"tokens_predicted" => usage.output = value.figure(),
        b"tokens_evaluated" => usage.input = value.figure(),
        b"timings" => {
            value.object(|key, value| match key {
                b"predicted_n" => timings.output = value.figure(),
                b"prompt_n" => timings.input = value.figure(),
                _ => {}
            });
        }
        b"error" => {
            fault::tell(value, content);
        }
        _ => {}
    });
    let output = usage.output.or(timings.output);
    content.usage(Usage { output, input: usage.input.or(timings.input), ..usage });
}
