//! Hugging Face's Text Generation Inference, its own generate.

use super::{Content, Dialect, Event, fault};
use crate::wire::Usage;
use crate::wire::json::{Cursor, fields};

/// Text Generation Inference: `tgi`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tgi;

impl Dialect for Tgi {
    fn name(&self) -> &'static str {
        "tgi"
    }

    fn recognises(&self, event: &Event<'_>) -> bool {
        is_known(event.data, b"token")
    }

    fn text_alone_differs(&self) -> bool {
        true
    }

    fn event(&self, event: &Event<'_>, content: &mut Content) {
        fields(event.data, |key, value| match key {
            b"token" => tell_token(value, content),
            b"generated_text" if value.peek() == Some(b'"') => content.end(),
            _ => {}
        });
        tell_rest(event.data, content);
    }

    fn document(&self, body: &[u8], content: &mut Content) -> bool {
        if !is_known(body, b"generated_text") {
            return false;
        }
        fields(body, |key, value| {
            if key == b"generated_text" {
                content.json_text(value);
                content.end();
            }
        });
        tell_rest(body, content);
        true
    }
}

/// Whether it has the field that only this format has, or its kind of error.
fn is_known(json: &[u8], field: &[u8]) -> bool {
    let mut has_field = false;
    let mut has_error = false;
    let mut has_error_type = false;
    fields(json, |key, value| match key {
        b"error" => has_error = value.peek() == Some(b'"'),
        b"error_type" => has_error_type = true,
        key => has_field |= key == field && value.peek() != Some(b'n'),
    });
    has_field || (has_error && has_error_type)
}

/// A special token marks what lies between texts, and is no part of one.
fn tell_token(token: &mut Cursor<'_>, content: &mut Content) {
    let mut text = None;
    let mut is_special = false;
    token.object(|key, value| match key {
        b"text" => text = value.quoted(),
        b"special" => is_special = value.boolean() == Some(true),
        _ => {}
    });
    if let (Some(text), false) = (text, is_special) {
        content.quoted_text(text);
    }
}

fn tell_rest(json: &[u8], content: &mut Content) {
    let mut has_error = false;
    fields(json, |key, value| match key {
        b"details" => {
            let mut usage = Usage::default();
            value.object(|key, value| match key {
                b"generated_tokens" => usage.output = value.figure(),
                b"finish_reason" => content.json_finish(value),
                _ => {}
            });
            content.usage(usage);
        }
        b"error" => has_error = fault::is_one(*value),
        _ => {}
    });
    if has_error {
        fault::tell(&mut Cursor::new(json), content);
    }
}
