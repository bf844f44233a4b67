//! What a format of generated content must tell, and the formats that are known.
//!
//! One file a format. The facts are those of the providers' own documentation
//! and of what they really send.

mod anthropic_messages;
mod bedrock_converse;
mod bedrock_invoke;
mod cohere_v1;
mod cohere_v2;
mod fault;
mod gemini;
mod google_interactions;
mod llama_cpp;
mod ollama;
mod openai;
mod openai_assistants;
mod openai_chat;
mod openai_completions;
mod openai_responses;
mod tgi;
mod writer_completions;

use std::fmt::Debug;
use std::sync::{Arc, LazyLock};

pub use self::anthropic_messages::AnthropicMessages;
pub use self::bedrock_converse::BedrockConverse;
pub use self::bedrock_invoke::BedrockInvoke;
pub use self::cohere_v1::CohereV1;
pub use self::cohere_v2::CohereV2;
pub use self::gemini::Gemini;
pub use self::google_interactions::GoogleInteractions;
pub use self::llama_cpp::LlamaCpp;
pub use self::ollama::Ollama;
pub use self::openai_assistants::OpenAiAssistants;
pub use self::openai_chat::OpenAiChat;
pub use self::openai_completions::OpenAiCompletions;
pub use self::openai_responses::OpenAiResponses;
pub use self::tgi::Tgi;
pub use self::writer_completions::WriterCompletions;
use super::{Content, Event};

/// One format: where its events and its documents carry what. It keeps no
/// state of its own, and what it cannot read it passes over in silence.
///
/// Implement it for a format of your own, and give it to a pool by
/// [`Dialects::with`] or [`Dialects::only`].
pub trait Dialect: Send + Sync + Debug + 'static {
    /// What the record calls it.
    fn name(&self) -> &'static str;

    /// Whether this event can only be of this format.
    fn recognises(&self, event: &Event<'_>) -> bool;

    /// Tells `content` what an event carries.
    fn event(&self, event: &Event<'_>, content: &mut Content);

    /// Tells `content` what a whole response carries that was not streamed, or
    /// an element of one that is a JSON array; false, and nothing told, if it
    /// is not of this format. It is JSON.
    fn document(&self, body: &[u8], content: &mut Content) -> bool;

    /// Whether two events that differ in nothing but their text tell nothing
    /// but that text. Where they do, not every event is shown: see the sources'
    /// `wire/template.rs`. To be left alone unless it is certain.
    fn text_alone_differs(&self) -> bool {
        false
    }

    /// Whether a JSON array of its documents is a stream of them, and not one
    /// response in brackets.
    fn streams_arrays(&self) -> bool {
        false
    }

    /// Tells `content` what is known of an event that was too large to be read,
    /// of which the name alone is left. Unless a format knows better, it may
    /// have carried text.
    fn skipped(&self, name: &[u8], content: &mut Content) {
        let _ = name;
        content.unread();
    }
}

/// The formats that are looked for, in the order in which they are asked.
#[derive(Clone, Debug)]
pub struct Dialects {
    /// Just one is fixed.
    known: Arc<[Arc<dyn Dialect>]>,
}

/// Whichever can be mistaken for another comes after it.
static ALL: LazyLock<Arc<[Arc<dyn Dialect>]>> = LazyLock::new(|| {
    Arc::new([
        Arc::new(BedrockConverse) as Arc<dyn Dialect>,
        Arc::new(BedrockInvoke),
        Arc::new(OpenAiResponses),
        Arc::new(OpenAiAssistants),
        Arc::new(AnthropicMessages),
        Arc::new(CohereV2),
        Arc::new(CohereV1),
        Arc::new(GoogleInteractions),
        Arc::new(Gemini),
        Arc::new(Tgi),
        Arc::new(Ollama),
        Arc::new(LlamaCpp),
        Arc::new(WriterCompletions),
        Arc::new(OpenAiCompletions),
        Arc::new(OpenAiChat),
    ])
});

// === impl Dialects ===

impl Default for Dialects {
    fn default() -> Self {
        Self { known: Arc::clone(&ALL) }
    }
}

impl Dialects {
    /// All that this crate knows.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Just this one: whatever comes is read as it.
    #[must_use]
    pub fn only(dialect: impl Dialect) -> Self {
        Self { known: Arc::new([Arc::new(dialect) as Arc<dyn Dialect>]) }
    }

    /// These and one more, which is asked first.
    #[must_use]
    pub fn with(self, dialect: impl Dialect) -> Self {
        let known = self.known.iter().cloned();
        Self { known: std::iter::once(Arc::new(dialect) as Arc<dyn Dialect>).chain(known).collect() }
    }

    /// The one that is fixed, if one is.
    pub(super) fn fixed(&self) -> Option<&Arc<dyn Dialect>> {
        self.known.first().filter(|_| self.known.len() == 1)
    }

    /// The one that recognises an event.
    pub(super) fn of_event(&self, event: &Event<'_>) -> Option<&Arc<dyn Dialect>> {
        self.known.iter().find(|dialect| dialect.recognises(event))
    }

    /// The one that could tell a document, which it has then told.
    pub(super) fn of_document(&self, body: &[u8], content: &mut Content) -> Option<&Arc<dyn Dialect>> {
        self.known.iter().find(|dialect| dialect.document(body, content))
    }
}
