//! Anthropic's Messages.

use super::{Content, Dialect, Event, fault};
use crate::wire::json::{Cursor, Quoted, fields, text_field};
use crate::wire::usage::{Usage, UsageKeys};

/// Anthropic Messages: `anthropic-messages`.
#[derive(Clone, Copy, Debug, Default)]
pub struct AnthropicMessages;

const USAGE: UsageKeys = UsageKeys {
    output: b"output_tokens",
    input: b"input_tokens",
    reasoning: &[&[b"output_tokens_details", b"thinking_tokens"]],
    ..UsageKeys::NONE
};

impl Dialect for AnthropicMessages {
    fn name(&self) -> &'static str {
        "anthropic-messages"
    }

    fn recognises(&self, event: &Event<'_>) -> bool {
        let mut kind: &[u8] = b"";
        let mut has_error = false;
        fields(event.data, |key, value| match key {
            b"type" => kind = value.quoted().map_or(&[], Quoted::bytes),
            b"error" => has_error = fault::is_one(*value),
            _ => {}
        });
        match kind {
            b"message_start" | b"message_delta" | b"message_stop" | b"ping" => true,
            b"content_block_start" | b"content_block_delta" | b"content_block_stop" => true,
            kind => kind == b"error" && has_error,
        }
    }

    fn text_alone_differs(&self) -> bool {
        true
    }

    fn event(&self, event: &Event<'_>, content: &mut Content) {
        fields(event.data, |key, value| match key {
            b"type" if value.quoted().map(Quoted::bytes) == Some(b"message_stop") => content.end(),
            b"delta" => {
                value.object(|key, value| match key {
                    b"text" | b"thinking" | b"partial_json" => content.json_text(value),
                    b"stop_reason" => content.json_finish(value),
                    _ => {}
                });
            }
            b"content_block" => tell_block(value, content),
            b"message" => tell_start(value, content),
            b"usage" => content.json_usage(value, &USAGE),
            b"error" => {
                fault::tell(value, content);
            }
            _ => {}
        });
        if event.name == b"error" {
            content.error("error");
        }
    }

    fn document(&self, body: &[u8], content: &mut Content) -> bool {
        match text_field(body, b"type").unwrap_or_default() {
            b"message" => tell_message(&mut Cursor::new(body), content),
            b"error" => {
                fault::tell(&mut Cursor::new(body), content);
            }
            _ => return false,
        }
        true
    }

    fn skipped(&self, name: &[u8], content: &mut Content) {
        match name {
            b"message_stop" => content.end(),
            b"error" => content.error("error"),
            // The results of the provider's own tools are large, and not generated.
            b"content_block_start" | b"content_block_stop" | b"ping" => {}
            _ => content.unread(),
        }
    }
}

/// Tells the message that a stream begins with. It is empty as a rule, and its
/// output figure then provisional; rarely it is all there is.
fn tell_start(message: &mut Cursor<'_>, content: &mut Content) {
    let mut usage = Usage::default();
    message.object(|key, value| match key {
        b"model" => content.json_model(value),
        b"content" => {
            value.array(|block| tell_block(block, content));
        }
        b"stop_reason" => content.json_finish(value),
        b"usage" => usage = Usage::read(*value, &USAGE),
        _ => {}
    });
    let output = usage.output.filter(|_| content.event_has_text());
    content.usage(Usage { output, ..usage });
}

/// Tells a whole message.
fn tell_message(message: &mut Cursor<'_>, content: &mut Content) {
    message.object(|key, value| match key {
        b"model" => content.json_model(value),
        b"content" => {
            value.array(|block| tell_block(block, content));
        }
        b"stop_reason" => content.json_finish(value),
        b"usage" => content.json_usage(value, &USAGE),
        _ => {}
    });
}

fn tell_block(block: &mut Cursor<'_>, content: &mut Content) {
    block.object(|key, value| match key {
        b"text" | b"thinking" => content.json_text(value),
        b"input" => content.json_arguments(value),
        _ => {}
    });
}
