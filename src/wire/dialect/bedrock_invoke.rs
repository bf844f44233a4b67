//! Amazon Bedrock's InvokeModel: each vendor's own JSON, in base64 inside a frame.

use super::bedrock_converse::{is_member, tell_member};
use super::{AnthropicMessages, Content, Dialect, Event, OpenAiChat};
use crate::wire::Usage;
use crate::wire::json::{Cursor, fields, text_field};
use crate::wire::usage::UsageKeys;

/// Amazon Bedrock InvokeModel and InvokeModelWithResponseStream: `bedrock-invoke`.
///
/// The vendors' JSON that it reads: Anthropic's messages and text completions,
/// Amazon's Nova and Titan, Cohere, Meta's Llama, Mistral, and OpenAI's chat.
#[derive(Clone, Copy, Debug, Default)]
pub struct BedrockInvoke;

const METRICS: UsageKeys =
    UsageKeys { output: b"outputTokenCount", input: b"inputTokenCount", ..UsageKeys::NONE };

impl Dialect for BedrockInvoke {
    fn name(&self) -> &'static str {
        "bedrock-invoke"
    }

    fn recognises(&self, event: &Event<'_>) -> bool {
        event.name == b"chunk" && payload(event.data).is_some()
    }

    fn text_alone_differs(&self) -> bool {
        true
    }

    fn event(&self, event: &Event<'_>, content: &mut Content) {
        let Some(json) = payload(event.data) else { return };
        let inner = Event { data: &json, ..Event::default() };
        if AnthropicMessages.recognises(&inner) {
            AnthropicMessages.event(&inner, content);
        } else if OpenAiChat.recognises(&inner) {
            OpenAiChat.event(&inner, content);
        } else {
            tell(&json, content);
        }
        tell_metrics(&json, content);
    }

    fn document(&self, body: &[u8], content: &mut Content) -> bool {
        let mut known = false;
        fields(body, |key, value| match key {
            b"generation" | b"completion" => known |= value.peek() == Some(b'"'),
            b"results" | b"outputs" => {
                value.array(|output| {
                    output.object(|key, _| known |= matches!(key, b"stop_reason" | b"completionReason"));
                });
            }
            _ => {}
        });
        if known {
            tell(body, content);
        }
        known
    }
}

/// The vendor's JSON.
fn payload(frame: &[u8]) -> Option<Vec<u8>> {
    base64_simd::STANDARD.decode_to_vec(text_field(frame, b"bytes")?).ok()
}

/// Tells the JSON of the vendors that are met nowhere else.
fn tell(json: &[u8], content: &mut Content) {
    let mut usage = Usage::default();
    fields(json, |key, value| match key {
        b"completion" | b"outputText" | b"generation" | b"text" => content.json_text(value),
        b"outputs" | b"results" => {
            value.array(|output| tell_output(output, content));
        }
        b"stop_reason" | b"completionReason" | b"finish_reason" => content.json_stop(value),
        b"totalOutputTextTokenCount" | b"generation_token_count" => usage.output = value.figure(),
        b"inputTextTokenCount" | b"prompt_token_count" => usage.input = value.figure(),
        name if is_member(name) => tell_member(name, value, content),
        _ => {}
    });
    content.usage(usage);
}

/// Tells one of several outputs: Mistral's have a text, Titan's an `outputText`.
fn tell_output(output: &mut Cursor<'_>, content: &mut Content) {
    output.object(|key, value| match key {
        b"text" | b"outputText" => content.json_text(value),
        b"stop_reason" | b"completionReason" => content.json_stop(value),
        b"tokenCount" => content.usage(Usage { output: value.figure(), ..Usage::default() }),
        _ => {}
    });
}

/// Bedrock's own figures stand where the vendor has none.
fn tell_metrics(json: &[u8], content: &mut Content) {
    if content.usage_seen().output.is_some() {
        return;
    }
    Cursor::new(json).at(&[b"amazon-bedrock-invocationMetrics"], |metrics| {
        content.json_usage(metrics, &METRICS);
    });
}
