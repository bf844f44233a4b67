//! What the engine reads of an OpenAI request.

use serde_json::Value;

/// Output tokens where the request does not say.
const DEFAULT_TOKENS: usize = 64;
/// The most output tokens one request may ask for.
const MOST_TOKENS: u64 = 1_000_000;

/// Which of the two completion endpoints was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Api {
    Chat,
    Text,
}

#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) api: Api,
    pub(super) model: String,
    pub(super) streamed: bool,
    pub(super) include_usage: bool,
    pub(super) prompt_tokens: usize,
    pub(super) output_tokens: usize,
    /// Whether the request set its own limit, which the output then reaches.
    pub(super) limited: bool,
}

impl Request {
    /// The error says what is wrong, for the client.
    pub(super) fn parse(api: Api, body: &[u8]) -> Result<Self, &'static str> {
        let doc: Value = serde_json::from_slice(body).map_err(|_| "the body is not JSON")?;
        let prompt = match api {
            Api::Chat => doc.get("messages").filter(|v| v.is_array()).ok_or("messages must be an array")?,
            Api::Text => doc.get("prompt").ok_or("prompt is missing")?,
        };
        let limit = match ["max_completion_tokens", "max_tokens"]
            .iter()
            .filter_map(|key| doc.get(*key))
            .find(|value| !value.is_null())
        {
            None => None,
            Some(value) => match value.as_u64() {
                Some(n) if n <= MOST_TOKENS => Some(usize::try_from(n).unwrap_or(DEFAULT_TOKENS)),
                _ => return Err("max_tokens must be a whole number up to 1000000"),
            },
        };
        Ok(Self {
            api,
            model: doc.get("model").and_then(Value::as_str).unwrap_or("sim").to_owned(),
            streamed: doc.get("stream").and_then(Value::as_bool).unwrap_or(false),
            include_usage: doc.pointer("/stream_options/include_usage").and_then(Value::as_bool)
                == Some(true),
            prompt_tokens: words(prompt),
            output_tokens: limit.unwrap_or(DEFAULT_TOKENS),
            limited: limit.is_some(),
        })
    }
}

/// The words of a prompt: a text, messages with a `content`, parts with a `text`, or a list of these.
fn words(value: &Value) -> usize {
    match value {
        Value::String(text) => text.split_whitespace().count(),
        Value::Array(parts) => parts.iter().map(words).sum(),
        Value::Object(fields) => {
            ["content", "text"].iter().filter_map(|key| fields.get(*key)).map(words).sum()
        }
        _ => 0,
    }
}
