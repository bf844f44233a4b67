//! Cohere's second chat API.

use super::{Content, Dialect, Event, fault, openai};
use crate::wire::json::{Cursor, fields, text_field};
use crate::wire::usage::UsageKeys;

/// Cohere v2: `cohere-v2`.
#[derive(Clone, Copy, Debug, Default)]
pub struct CohereV2;

/// The figures of both APIs.
pub(super) const USAGE: UsageKeys = UsageKeys {
    output: b"output_tokens",
    input: b"input_tokens",
    reasoning: &[&[b"reasoning_tokens"]],
    ..UsageKeys::NONE
};

impl Dialect for CohereV2 {
    fn name(&self) -> &'static str {
        "cohere-v2"
    }

    fn recognises(&self, event: &Event<'_>) -> bool {
        matches!(
            kind(event),
            b"message-start" | b"content-start" | b"content-delta" | b"tool-plan-delta" | b"tool-call-start"
        )
    }

    fn text_alone_differs(&self) -> bool {
        true
    }

    fn event(&self, event: &Event<'_>, content: &mut Content) {
        if openai::is_done(event) {
            return content.end();
        }
        fields(event.data, |key, value| match key {
            b"delta" => tell_response(value, content),
            b"error" => {
                fault::tell(value, content);
            }
            _ => {}
        });
        match kind(event) {
            b"message-end" => content.end(),
            b"error" => content.error("error"),
            _ => {}
        }
    }

    fn document(&self, body: &[u8], content: &mut Content) -> bool {
        let mut has_message = false;
        let mut has_reason = false;
        fields(body, |key, value| match key {
            b"message" => has_message = value.peek() == Some(b'{'),
            b"finish_reason" => has_reason = value.peek() == Some(b'"'),
            _ => {}
        });
        let known = has_message && has_reason;
        if known {
            tell_response(&mut Cursor::new(body), content);
        }
        known
    }

    fn skipped(&self, name: &[u8], content: &mut Content) {
        match name {
            b"message-end" => content.end(),
            _ => content.unread(),
        }
    }
}

/// The type of an event; the framing's name for it where it has none.
fn kind<'a>(event: &Event<'a>) -> &'a [u8] {
    text_field(event.data, b"type").unwrap_or(event.name)
}

/// Tells a whole response, or the part of it that an event adds.
fn tell_response(response: &mut Cursor<'_>, content: &mut Content) {
    response.object(|key, value| match key {
        b"message" => tell_message(value, content),
        b"finish_reason" => tell_reason(value, content),
        // What is billed differs.
        b"usage" => value.at(&[b"tokens"], |tokens| content.json_usage(tokens, &USAGE)),
        b"error" => {
            fault::tell(value, content);
        }
        _ => {}
    });
}

fn tell_message(message: &mut Cursor<'_>, content: &mut Content) {
    message.object(|key, value| match key {
        b"content" => one_or_more(value, |block| {
            block.object(|key, value| {
                if matches!(key, b"text" | b"thinking") {
                    content.json_text(value);
                }
            });
        }),
        b"tool_plan" => content.json_text(value),
        b"tool_calls" => one_or_more(value, |call| {
            call.at(&[b"function", b"arguments"], |arguments| content.json_arguments(arguments));
        }),
        _ => {}
    });
}

/// An event has the one that it adds to, a whole response all of them.
fn one_or_more<'a>(value: &mut Cursor<'a>, mut tell: impl FnMut(&mut Cursor<'a>)) {
    if !value.array(&mut tell) {
        tell(value);
    }
}

/// Tells why the model stopped, which may be an error.
pub(super) fn tell_reason(value: &mut Cursor<'_>, content: &mut Content) {
    if let Some(reason) = value.quoted() {
        content.with_text(reason, Content::finish);
        if reason.bytes().starts_with(b"ERROR") {
            content.error("error");
        }
    }
}
