//! Google's Interactions.

use super::{Content, Dialect, Event, fault, openai};
use crate::wire::json::{Cursor, fields, text_field};
use crate::wire::usage::UsageKeys;

/// Google Interactions: `google-interactions`.
#[derive(Clone, Copy, Debug, Default)]
pub struct GoogleInteractions;

const USAGE: UsageKeys = UsageKeys {
    output: b"total_output_tokens",
    input: b"total_input_tokens",
    total: b"total_tokens",
    reasoning: &[&[b"total_thought_tokens"]],
    reasoning_apart: true,
};

impl Dialect for GoogleInteractions {
    fn name(&self) -> &'static str {
        "google-interactions"
    }

    fn recognises(&self, event: &Event<'_>) -> bool {
        let kind = kind(event);
        [&b"interaction."[..], b"step.", b"content."].iter().any(|family| kind.starts_with(family))
    }

    fn text_alone_differs(&self) -> bool {
        true
    }

    fn event(&self, event: &Event<'_>, content: &mut Content) {
        if openai::is_done(event) {
            return content.end();
        }
        fields(event.data, |key, value| match key {
            b"delta" => tell_delta(value, content),
            b"interaction" => tell_interaction(value, content),
            b"error" => {
                fault::tell(value, content);
            }
            _ => {}
        });
        match kind(event) {
            b"interaction.completed" | b"interaction.complete" => {
                Cursor::new(event.data)
                    .at(&[b"interaction"], |interaction| tell_status(interaction, content));
                content.end();
            }
            b"interaction.failed" | b"error" => content.error("error"),
            _ => {}
        }
    }

    fn document(&self, body: &[u8], content: &mut Content) -> bool {
        let known = text_field(body, b"object") == Some(b"interaction");
        if known {
            tell_interaction(&mut Cursor::new(body), content);
            tell_status(&mut Cursor::new(body), content);
            fields(body, |key, value| {
                if matches!(key, b"outputs" | b"steps") {
                    value.array(|output| tell_output(output, content));
                }
            });
        }
        known
    }

    fn skipped(&self, name: &[u8], content: &mut Content) {
        match name {
            b"interaction.completed" | b"interaction.complete" => content.end(),
            _ => content.unread(),
        }
    }
}

/// The type of an event; the framing's name for it where it has none.
fn kind<'a>(event: &Event<'a>) -> &'a [u8] {
    text_field(event.data, b"event_type").unwrap_or(event.name)
}

fn tell_delta(delta: &mut Cursor<'_>, content: &mut Content) {
    delta.object(|key, value| match key {
        b"text" | b"thought" => content.json_text(value),
        b"arguments" => content.json_arguments(value),
        // The summary of a thought.
        b"content" => value.at(&[b"text"], |text| content.json_text(text)),
        _ => {}
    });
}

/// Tells a whole output, or a step that has outputs in it.
fn tell_output(output: &mut Cursor<'_>, content: &mut Content) {
    output.object(|key, value| match key {
        b"text" => content.json_text(value),
        b"arguments" => content.json_arguments(value),
        b"content" | b"summary" => {
            value.array(|part| {
                part.at(&[b"text"], |text| content.json_text(text));
            });
        }
        _ => {}
    });
}

/// Tells why an interaction is over.
fn tell_status(interaction: &mut Cursor<'_>, content: &mut Content) {
    interaction.at(&[b"status"], |status| content.json_finish(status));
}

fn tell_interaction(interaction: &mut Cursor<'_>, content: &mut Content) {
    interaction.object(|key, value| match key {
        b"model" => content.json_model(value),
        b"usage" => content.json_usage(value, &USAGE),
        b"error" => {
            fault::tell(value, content);
        }
        _ => {}
    });
}
