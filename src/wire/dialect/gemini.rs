//! Google's Gemini: `streamGenerateContent` as events or as one streamed JSON
//! array, and `generateContent`.

use super::{Content, Dialect, Event, fault};
use crate::wire::json::{Cursor, fields};
use crate::wire::usage::UsageKeys;

/// Google Gemini: `gemini`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gemini;

const USAGE: UsageKeys = UsageKeys {
    output: b"candidatesTokenCount",
    input: b"promptTokenCount",
    total: b"totalTokenCount",
    reasoning: &[&[b"thoughtsTokenCount"]],
    reasoning_apart: true,
};

impl Dialect for Gemini {
    fn name(&self) -> &'static str {
        "gemini"
    }

    fn recognises(&self, event: &Event<'_>) -> bool {
        is_known(event.data)
    }

    fn text_alone_differs(&self) -> bool {
        true
    }

    fn event(&self, event: &Event<'_>, content: &mut Content) {
        tell(event.data, content);
        if event.name == b"error" {
            content.error("error");
        }
    }

    fn streams_arrays(&self) -> bool {
        true
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
    let mut known = false;
    fields(json, |key, value| match key {
        b"candidates" => known |= value.peek() == Some(b'['),
        b"promptFeedback" | b"usageMetadata" => known |= value.peek() == Some(b'{'),
        // Google's errors have a status in words beside the code in digits.
        b"error" => value.at(&[b"status"], |status| known |= status.peek() == Some(b'"')),
        _ => {}
    });
    known
}

fn tell(json: &[u8], content: &mut Content) {
    fields(json, |key, value| match key {
        b"candidates" => {
            value.array(|candidate| tell_candidate(candidate, content));
        }
        b"promptFeedback" => value.at(&[b"blockReason"], |reason| content.json_stop(reason)),
        b"usageMetadata" => content.json_usage(value, &USAGE),
        b"modelVersion" => content.json_model(value),
        b"error" => {
            fault::tell(value, content);
        }
        _ => {}
    });
}

fn tell_candidate(candidate: &mut Cursor<'_>, content: &mut Content) {
    let mut parts = None;
    let mut index = None;
    candidate.object(|key, value| match key {
        b"content" => value.at(&[b"parts"], |value| parts = Some(*value)),
        b"index" => index = value.figure(),
        b"finishReason" => content.json_stop(value),
        _ => {}
    });
    if let Some(mut parts) = parts {
        content.choice(index, |content| {
            parts.array(|part| tell_part(part, content));
        });
    }
}

fn tell_part(part: &mut Cursor<'_>, content: &mut Content) {
    part.object(|key, value| match key {
        b"text" => content.json_text(value),
        b"functionCall" => tell_call(value, content),
        b"executableCode" => value.at(&[b"code"], |code| content.json_text(code)),
        _ => {}
    });
}

/// A call comes whole, or its name first and then its arguments in pieces. It
/// is content even without arguments: in an event with no other, its name
/// stands for it.
fn tell_call(call: &mut Cursor<'_>, content: &mut Content) {
    let mut name = None;
    call.object(|key, value| match key {
        b"name" => name = value.quoted(),
        b"args" => content.json_arguments(value),
        b"partialArgs" => {
            value.array(|argument| {
                argument.object(|key, value| match key {
                    b"stringValue" => content.json_text(value),
                    b"numberValue" | b"boolValue" => {
                        content.text(&String::from_utf8_lossy(value.raw()));
                    }
                    _ => {}
                });
            });
        }
        _ => {}
    });
    if let (Some(name), false) = (name, content.event_has_text()) {
        content.quoted_text(name);
    }
}
