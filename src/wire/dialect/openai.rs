//! What OpenAI's chat completions and completions share: chunks of choices.

use super::{Content, Event, fault};
use crate::wire::json::{Cursor, Quoted, fields};
use crate::wire::usage::UsageKeys;

/// The end marker.
const DONE: &[u8] = b"[DONE]";

/// The figures of chat completions, completions and assistants.
pub(super) const USAGE: UsageKeys = UsageKeys {
    output: b"completion_tokens",
    input: b"prompt_tokens",
    total: b"total_tokens",
    reasoning: &[&[b"reasoning_tokens"], &[b"completion_tokens_details", b"reasoning_tokens"]],
    ..UsageKeys::NONE
};

/// llama.cpp tells these with its last piece of text, usage or not.
const TIMINGS: UsageKeys = UsageKeys { output: b"predicted_n", ..UsageKeys::NONE };

/// How deep arrays of typed parts may lie in one another.
const PART_DEPTH: u8 = 2;

/// What a chunk, or a whole response, shows of itself.
#[derive(Default)]
pub(super) struct Shape<'a> {
    pub(super) object: &'a [u8],
    pub(super) has_error: bool,
    pub(super) has_text: bool,
    pub(super) has_delta: bool,
    pub(super) has_message: bool,
    /// It has no choices in it, and a usage beside them.
    pub(super) is_usage_only: bool,
}

/// Whether this is the end marker.
pub(super) fn is_done(event: &Event<'_>) -> bool {
    event.data.trim_ascii() == DONE
}

/// Tells an event: of each choice the field `part`, by `tell`.
pub(super) fn event(
    event: &Event<'_>,
    content: &mut Content,
    part: &'static [u8],
    tell: fn(&mut Cursor<'_>, &mut Content),
) {
    if is_done(event) {
        content.end();
        return;
    }
    let has_error = chunk(event.data, content, part, tell);
    if event.name == b"error" && !has_error && !fault::tell(&mut Cursor::new(event.data), content) {
        content.error("error");
    }
}

/// Tells a chunk, or a whole response; true if it is an error too.
pub(super) fn chunk(
    json: &[u8],
    content: &mut Content,
    part: &'static [u8],
    tell: fn(&mut Cursor<'_>, &mut Content),
) -> bool {
    let mut has_error = false;
    let mut timings = None;
    fields(json, |key, value| match key {
        b"choices" => {
            value.array(|choice| tell_choice(choice, content, part, tell));
        }
        b"model" => content.json_model(value),
        b"usage" => content.json_usage(value, &USAGE),
        b"timings" => timings = Some(*value),
        b"error" => has_error |= fault::tell(value, content),
        b"x_groq" => {
            value.object(|key, value| match key {
                b"usage" => content.json_usage(value, &USAGE),
                b"error" => has_error |= fault::tell(value, content),
                _ => {}
            });
        }
        _ => {}
    });
    if let (Some(timings), false) = (timings, content.event_has_usage()) {
        content.json_usage(&timings, &TIMINGS);
    }
    has_error
}

fn tell_choice(
    choice: &mut Cursor<'_>,
    content: &mut Content,
    part: &'static [u8],
    tell: fn(&mut Cursor<'_>, &mut Content),
) {
    let mut found = None;
    let mut whole = None;
    let mut index = None;
    choice.object(|key, value| match key {
        key if key == part => found = Some(*value).filter(|_| value.peek() != Some(b'n')),
        b"message" => whole = Some(*value),
        b"index" => index = value.figure(),
        b"finish_reason" => content.json_stop(value),
        _ => {}
    });
    // Some gateways send a whole response as the one event of a stream.
    if let Some(mut told) = found.or(whole) {
        content.choice(index, |content| tell(&mut told, content));
    }
}

/// Tells a message, or a piece of one.
pub(super) fn message(message: &mut Cursor<'_>, content: &mut Content) {
    let mut reasoning = None;
    message.object(|key, value| match key {
        b"content" => parts(value, content, PART_DEPTH),
        b"reasoning_content" | b"reasoning" | b"reasoning_text" => {
            tell_reasoning(value, &mut reasoning, content);
        }
        b"reasoning_details" => {
            value.array(|detail| {
                detail.at(&[b"text"], |text| tell_reasoning(text, &mut reasoning, content));
            });
        }
        b"refusal" => content.json_text(value),
        b"tool_calls" => {
            value.array(|call| {
                call.object(|key, value| match key {
                    b"function" => value.at(&[b"arguments"], |value| content.json_arguments(value)),
                    b"custom" => value.at(&[b"input"], |value| content.json_text(value)),
                    _ => {}
                });
            });
        }
        b"function_call" => value.at(&[b"arguments"], |value| content.json_arguments(value)),
        b"audio" => value.at(&[b"transcript"], |value| content.json_text(value)),
        _ => {}
    });
}

/// Some vendors send the same reasoning under several names.
fn tell_reasoning<'a>(value: &mut Cursor<'a>, told: &mut Option<Quoted<'a>>, content: &mut Content) {
    let Some(text) = value.quoted() else { return parts(value, content, PART_DEPTH) };
    if told.is_some() {
        // The next event may have two that differ.
        content.particular();
    }
    if *told != Some(text) {
        content.quoted_text(text);
        *told = Some(text);
    }
}

/// Tells a string, or an array of typed parts, which may hold arrays of parts
/// in turn, `depth` deep.
fn parts(value: &mut Cursor<'_>, content: &mut Content, depth: u8) {
    content.json_text(value);
    if depth == 0 {
        return;
    }
    value.array(|part| {
        part.object(|key, value| {
            if matches!(key, b"text" | b"thinking" | b"summary") {
                parts(value, content, depth - 1);
            }
        });
    });
}

// === impl Shape ===

impl<'a> Shape<'a> {
    pub(super) fn of(json: &'a [u8]) -> Self {
        let mut shape = Self::default();
        let (mut has_usage, mut has_no_choice, mut choices) = (false, false, 0_u32);
        fields(json, |key, value| match key {
            b"object" => shape.object = value.quoted().map_or(&[], Quoted::bytes),
            b"error" => shape.has_error = fault::is_one(*value),
            b"usage" => has_usage = value.peek() == Some(b'{'),
            b"choices" => {
                has_no_choice = value.array(|choice| {
                    choices += 1;
                    choice.object(|key, value| match key {
                        b"text" => shape.has_text |= value.peek() == Some(b'"'),
                        b"delta" => shape.has_delta |= value.peek() == Some(b'{'),
                        b"message" => shape.has_message |= value.peek() == Some(b'{'),
                        _ => {}
                    });
                });
            }
            _ => {}
        });
        shape.is_usage_only = has_usage && has_no_choice && choices == 0;
        shape
    }
}
