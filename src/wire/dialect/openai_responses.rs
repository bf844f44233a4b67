//! OpenAI's Responses, and the vendors that follow them.

use super::{Content, Dialect, Event, fault, openai};
use crate::wire::json::{Cursor, fields, text_field};
use crate::wire::usage::UsageKeys;

/// OpenAI Responses: `openai-responses`.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenAiResponses;

const USAGE: UsageKeys = UsageKeys {
    output: b"output_tokens",
    input: b"input_tokens",
    total: b"total_tokens",
    reasoning: &[&[b"output_tokens_details", b"reasoning_tokens"]],
    ..UsageKeys::NONE
};

/// Deltas that are no text: what a tool gave, and sound.
const NO_TEXT: [&[u8]; 3] =
    [b"response.shell_call_output_content.delta", b"response.audio.delta", b"response.output_audio.delta"];

impl Dialect for OpenAiResponses {
    fn name(&self) -> &'static str {
        "openai-responses"
    }

    fn recognises(&self, event: &Event<'_>) -> bool {
        kind(event).starts_with(b"response.")
    }

    fn text_alone_differs(&self) -> bool {
        true
    }

    fn event(&self, event: &Event<'_>, content: &mut Content) {
        if openai::is_done(event) {
            return content.end();
        }
        let kind = kind(event);
        fields(event.data, |key, value| match key {
            b"delta" if kind.ends_with(b".delta") && !NO_TEXT.contains(&kind) => content.json_text(value),
            b"item" if kind == b"response.output_item.done" => {
                let item = *value;
                content.item(|content| tell_item(item, content));
            }
            b"response" => {
                tell_response(value, content, is_closing(kind));
            }
            b"error" => {
                fault::tell(value, content);
            }
            _ => {}
        });
        match kind {
            b"response.completed" | b"response.incomplete" => content.end(),
            b"response.failed" => content.error("error"),
            b"error" => {
                fault::tell(&mut Cursor::new(event.data), content);
                content.error("error");
            }
            _ => {}
        }
    }

    fn document(&self, body: &[u8], content: &mut Content) -> bool {
        let known = text_field(body, b"object") == Some(b"response");
        if known {
            tell_response(&mut Cursor::new(body), content, true);
        }
        known
    }

    fn skipped(&self, name: &[u8], content: &mut Content) {
        match name {
            name if is_closing(name) => {
                content.end();
                if !content.has_text() {
                    content.unread();
                }
            }
            b"response.failed" => content.error("error"),
            // What they repeat was given by the caller.
            b"response.created" | b"response.in_progress" | b"response.queued" => {}
            // What it repeats came in pieces, if any did.
            b"response.output_item.done" => content.item(Content::unread),
            name if name.ends_with(b".done") || name.ends_with(b".added") => {}
            _ => content.unread(),
        }
    }
}

/// The type of an event; the framing's name for it where it has none.
fn kind<'a>(event: &Event<'a>) -> &'a [u8] {
    text_field(event.data, b"type").unwrap_or(event.name)
}

fn is_closing(kind: &[u8]) -> bool {
    matches!(kind, b"response.completed" | b"response.incomplete")
}

fn tell_response(response: &mut Cursor<'_>, content: &mut Content, is_over: bool) {
    // Some vendors send all of it in the closing event, and nothing before.
    let whole = is_over && !content.has_text();
    let mut reason = None;
    let mut status = None;
    response.object(|key, value| match key {
        b"model" => content.json_model(value),
        b"output" if whole => {
            value.array(|item| tell_item(*item, content));
        }
        b"usage" => content.json_usage(value, &USAGE),
        b"status" => status = value.quoted().filter(|status| status.bytes() != b"failed"),
        b"incomplete_details" => value.at(&[b"reason"], |value| reason = value.quoted()),
        b"error" => {
            fault::tell(value, content);
        }
        _ => {}
    });
    if let (true, Some(reason)) = (is_over, reason.or(status)) {
        content.with_text(reason, Content::finish);
    }
}

/// Tells an item of the output whole.
fn tell_item(mut item: Cursor<'_>, content: &mut Content) {
    item.object(|key, value| match key {
        b"content" | b"summary" => {
            value.array(|part| {
                part.object(|key, value| {
                    if matches!(key, b"text" | b"refusal") {
                        content.json_text(value);
                    }
                });
            });
        }
        // Those of the provider's own tools are objects, which no model wrote.
        b"arguments" | b"input" | b"code" => content.json_text(value),
        _ => {}
    });
}
