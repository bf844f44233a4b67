//! The shapes that OpenAI's chat completions and completions share. What is not
//! a chunk, a choice or a message stays raw, so that an odd value in it costs
//! itself and not its event.

use serde::Deserialize;
use serde_json::value::RawValue;
use smallvec::SmallVec;

use super::{Content, Event, Usage};

/// More tokens than any response has: a figure above it is a mistake.
const MOST_TOKENS: u64 = 1 << 40;

/// The end marker.
pub(super) const DONE: &[u8] = b"[DONE]";

type Raw<'a> = Option<&'a RawValue>;

/// A chunk of a stream, or a whole response.
#[derive(Deserialize)]
pub(super) struct Chunk<'a> {
    #[serde(borrow)]
    object: Raw<'a>,
    #[serde(borrow)]
    model: Raw<'a>,
    #[serde(borrow)]
    pub(super) choices: Option<SmallVec<[Choice<'a>; 1]>>,
    #[serde(borrow)]
    usage: Raw<'a>,
    #[serde(borrow)]
    x_groq: Raw<'a>,
    #[serde(borrow)]
    error: Raw<'a>,
}

#[derive(Deserialize)]
pub(super) struct Choice<'a> {
    #[serde(borrow)]
    pub(super) delta: Option<Message<'a>>,
    #[serde(borrow)]
    pub(super) message: Option<Message<'a>>,
    #[serde(borrow)]
    pub(super) text: Raw<'a>,
    #[serde(borrow)]
    finish_reason: Raw<'a>,
}

/// A message, or a piece of one.
#[derive(Deserialize)]
pub(super) struct Message<'a> {
    #[serde(borrow)]
    content: Raw<'a>,
    #[serde(borrow)]
    reasoning_content: Raw<'a>,
    #[serde(borrow)]
    reasoning: Raw<'a>,
    #[serde(borrow)]
    refusal: Raw<'a>,
    #[serde(borrow)]
    tool_calls: Raw<'a>,
    #[serde(borrow)]
    function_call: Raw<'a>,
    #[serde(borrow)]
    audio: Raw<'a>,
}

#[derive(Deserialize)]
struct ToolCall<'a> {
    #[serde(borrow)]
    function: Option<Function<'a>>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow)]
    arguments: Raw<'a>,
}

#[derive(Deserialize)]
struct Audio<'a> {
    #[serde(borrow)]
    transcript: Raw<'a>,
}

#[derive(Deserialize)]
struct Part<'a> {
    #[serde(borrow)]
    text: Raw<'a>,
    #[serde(borrow)]
    thinking: Raw<'a>,
}

#[derive(Deserialize)]
struct Figures<'a> {
    #[serde(borrow)]
    completion_tokens: Raw<'a>,
    #[serde(borrow)]
    prompt_tokens: Raw<'a>,
    #[serde(borrow)]
    total_tokens: Raw<'a>,
    #[serde(borrow)]
    completion_tokens_details: Raw<'a>,
}

#[derive(Deserialize)]
struct Details<'a> {
    #[serde(borrow)]
    reasoning_tokens: Raw<'a>,
}

#[derive(Deserialize)]
struct Groq<'a> {
    #[serde(borrow)]
    usage: Raw<'a>,
    #[serde(borrow)]
    error: Raw<'a>,
}

#[derive(Deserialize)]
struct Fault<'a> {
    #[serde(borrow, rename = "type")]
    kind: Raw<'a>,
    #[serde(borrow)]
    code: Raw<'a>,
    #[serde(borrow)]
    error: Raw<'a>,
}

// === impl Chunk ===

impl<'a> Chunk<'a> {
    pub(super) fn parse(json: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }

    /// Whether its `object` is `name`.
    pub(super) fn is(&self, name: &str) -> bool {
        let unquoted = |raw: &'a RawValue| raw.get().strip_prefix('"')?.strip_suffix('"');
        self.object.and_then(unquoted) == Some(name)
    }

    pub(super) fn has_error(&self) -> bool {
        self.error.is_some_and(is_something)
    }

    /// Tells all but the text of the choices.
    pub(super) fn tell(&self, content: &mut Content) {
        if let Some(model) = self.model {
            content.with_string(model, Content::model);
        }
        for choice in self.choices.iter().flatten() {
            if let Some(reason) = choice.finish_reason {
                content.with_string(reason, Content::finish);
            }
        }
        let groq = self.x_groq.and_then(parse::<Groq<'_>>);
        let (groq_usage, groq_error) = groq.map_or((None, None), |groq| (groq.usage, groq.error));
        for usage in groq_usage.into_iter().chain(self.usage) {
            tell_usage(usage, content);
        }
        for error in self.error.into_iter().chain(groq_error) {
            if is_something(error) {
                tell_error(error, content);
            }
        }
    }
}

/// Reads an event into `content`: `tell_text` tells the text of a choice.
pub(super) fn event(event: &Event<'_>, content: &mut Content, tell_text: fn(&Choice<'_>, &mut Content)) {
    if event.data.trim_ascii() == DONE {
        content.end();
        return;
    }
    let chunk = Chunk::parse(event.data);
    if event.name == b"error" && !chunk.as_ref().is_some_and(Chunk::has_error) {
        match serde_json::from_slice(event.data) {
            Ok(error) => tell_error(error, content),
            Err(_) => content.error("error"),
        }
    }
    let Some(chunk) = chunk else { return };
    chunk.choices.iter().flatten().for_each(|choice| tell_text(choice, content));
    chunk.tell(content);
}

// === impl Message ===

impl Message<'_> {
    /// Tells the text of all its fields.
    pub(super) fn tell(&self, content: &mut Content) {
        // Some vendors send the same reasoning under both names.
        let reasoning = self
            .reasoning
            .filter(|twin| self.reasoning_content.is_none_or(|reasoning| reasoning.get() != twin.get()));
        for text in [self.reasoning_content, reasoning, self.content].into_iter().flatten() {
            tell_parts(text, content, 2);
        }
        if let Some(refusal) = self.refusal {
            content.json_text(refusal);
        }
        let calls = self.tool_calls.and_then(parse::<SmallVec<[Option<ToolCall<'_>>; 1]>>);
        let calls = calls.into_iter().flatten().flatten().filter_map(|call| call.function);
        let call = self.function_call.and_then(parse::<Function<'_>>);
        for arguments in calls.chain(call).filter_map(|call| call.arguments) {
            // A few engines send the arguments as an object, not as its text.
            if !content.json_text(arguments) && arguments.get().starts_with('{') {
                content.text(arguments.get());
            }
        }
        if let Some(transcript) = self.audio.and_then(parse::<Audio<'_>>).and_then(|audio| audio.transcript) {
            content.json_text(transcript);
        }
    }
}

/// Tells a string, or an array of typed parts, which may hold arrays of parts
/// in turn, `depth` deep.
fn tell_parts(raw: &RawValue, content: &mut Content, depth: u8) {
    if content.json_text(raw) || depth == 0 {
        return;
    }
    let Some(parts) = parse::<SmallVec<[Part<'_>; 2]>>(raw) else { return };
    for text in parts.iter().flat_map(|part| [part.text, part.thinking]).flatten() {
        tell_parts(text, content, depth - 1);
    }
}

fn tell_usage(raw: &RawValue, content: &mut Content) {
    let Some(figures) = parse::<Figures<'_>>(raw) else { return };
    let details = figures.completion_tokens_details.and_then(parse::<Details<'_>>);
    content.usage(Usage {
        output: figures.completion_tokens.and_then(figure),
        input: figures.prompt_tokens.and_then(figure),
        reasoning: details.and_then(|details| details.reasoning_tokens).and_then(figure),
        total: figures.total_tokens.and_then(figure),
    });
}

/// A count of tokens: a whole number, `7.0` included, that one response can have.
fn figure(raw: &RawValue) -> Option<u64> {
    let whole = raw
        .get()
        .split_once('.')
        .map_or(raw.get(), |(whole, part)| if part.bytes().all(|digit| digit == b'0') { whole } else { "" });
    whole.parse().ok().filter(|tokens| *tokens <= MOST_TOKENS)
}

/// Tells an error by its `type`, else its `code`, else as plain `error`.
fn tell_error(raw: &RawValue, content: &mut Content) {
    let mut fault = parse::<Fault<'_>>(raw);
    if let Some(inner) = fault.as_ref().and_then(|fault| fault.error).and_then(parse::<Fault<'_>>) {
        fault = Some(inner);
    }
    let named = fault.is_some_and(|fault| {
        [fault.kind, fault.code].into_iter().flatten().any(|kind| match kind.get().as_bytes() {
            [b'"', b'"'] => false,
            [b'"', ..] => content.with_string(kind, Content::error),
            [b'0'..=b'9', ..] => {
                content.error(kind.get());
                true
            }
            _ => false,
        })
    });
    if !named {
        content.error("error");
    }
}

/// Whether an error is one: a text or an object with something in it.
fn is_something(raw: &RawValue) -> bool {
    match raw.get().as_bytes() {
        [b'"', text @ .., b'"'] => !text.is_empty(),
        [b'{', fields @ .., b'}'] => !fields.trim_ascii().is_empty(),
        _ => false,
    }
}

fn parse<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Option<T> {
    serde_json::from_str(raw.get()).ok()
}
