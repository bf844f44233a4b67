//! Cohere's first chat API.

use super::cohere_v2::{USAGE, tell_reason};
use super::{Content, Dialect, Event};
use crate::wire::json::{Cursor, fields, text_field};

/// Cohere v1: `cohere-v1`.
#[derive(Clone, Copy, Debug, Default)]
pub struct CohereV1;

impl Dialect for CohereV1 {
    fn name(&self) -> &'static str {
        "cohere-v1"
    }

    fn recognises(&self, event: &Event<'_>) -> bool {
        matches!(kind(event.data), b"stream-start" | b"text-generation" | b"stream-end")
            || kind(event.data).starts_with(b"tool-calls-")
    }

    fn text_alone_differs(&self) -> bool {
        true
    }

    fn event(&self, event: &Event<'_>, content: &mut Content) {
        let kind = kind(event.data);
        fields(event.data, |key, value| match key {
            b"text" if matches!(kind, b"text-generation" | b"tool-calls-chunk") => content.json_text(value),
            b"tool_call_delta" => value.at(&[b"parameters"], |parameters| content.json_arguments(parameters)),
            b"tool_calls" if kind == b"tool-calls-generation" => {
                content.item(|content| tell_calls(value, content));
            }
            b"finish_reason" => tell_reason(value, content),
            b"response" => value.at(&[b"meta", b"tokens"], |tokens| content.json_usage(tokens, &USAGE)),
            _ => {}
        });
        if kind == b"stream-end" {
            content.end();
        }
    }

    fn document(&self, body: &[u8], content: &mut Content) -> bool {
        let mut has_text = false;
        let mut has_id = false;
        fields(body, |key, value| match key {
            b"text" => has_text = value.peek() == Some(b'"'),
            b"generation_id" | b"response_id" => has_id = true,
            _ => {}
        });
        if !has_text || !has_id {
            return false;
        }
        fields(body, |key, value| match key {
            b"text" => content.json_text(value),
            b"tool_calls" => tell_calls(value, content),
            b"finish_reason" => tell_reason(value, content),
            b"meta" => value.at(&[b"tokens"], |tokens| content.json_usage(tokens, &USAGE)),
            _ => {}
        });
        true
    }
}

fn kind(json: &[u8]) -> &[u8] {
    text_field(json, b"event_type").unwrap_or_default()
}

fn tell_calls(calls: &mut Cursor<'_>, content: &mut Content) {
    calls.array(|call| call.at(&[b"parameters"], |parameters| content.json_arguments(parameters)));
}
