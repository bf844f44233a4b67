//! What was generated: the sum of one response, whatever dialect it came in.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::value::RawValue;

use super::json;
use crate::tokens::{Counter, TokenSource};

/// The figures of one usage object, as the provider gave them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens generated, with or without reasoning.
    pub output: Option<u64>,
    /// Tokens of the prompt.
    pub input: Option<u64>,
    /// Tokens of reasoning.
    pub reasoning: Option<u64>,
    /// The provider's own total.
    pub total: Option<u64>,
}

/// What some bytes completed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Progress {
    /// Events that carried generated content.
    pub events: u64,
    /// Tokens that became certain by the counter, or the same as `events`
    /// where there is none.
    pub tokens: u64,
}

/// What was generated, accumulated over one response.
///
/// A [`Dialect`](super::Dialect) calls the verbs; whoever reads the response
/// asks for the nouns.
#[derive(Debug, Default)]
pub struct Content {
    usage: Usage,
    /// Events with content that the usage can have counted.
    usage_covers: u64,
    finish_reason: Option<Box<str>>,
    ended: bool,
    error: Option<Box<str>>,
    model: Option<Box<str>>,
    events: u64,
    event_has_text: bool,
    counter: Option<Box<dyn Counter>>,
    counted: Option<u64>,
    reported: Progress,
    scratch: String,
}

// === impl Usage ===

impl Usage {
    /// Output tokens with reasoning included, in whatever way the provider
    /// counts: its own total decides whether its output figure has it already.
    /// Where no total decides, reasoning is added if there is more of it than
    /// of output.
    #[must_use]
    pub fn normalised_output(&self) -> Option<u64> {
        let output = self.output?;
        let Some(reasoning) = self.reasoning else { return Some(output) };
        let both = output.saturating_add(reasoning);
        if let (Some(input), Some(total)) = (self.input, self.total) {
            if total == input.saturating_add(output) {
                return Some(output);
            }
            if total == input.saturating_add(both) {
                return Some(both);
            }
        }
        Some(if reasoning > output { both } else { output })
    }
}

// === impl Content ===

impl Content {
    /// Nothing yet; its text goes to `counter` if there is one.
    ///
    /// A counter that panics loses its count and nothing else.
    #[must_use]
    pub fn new(counter: Option<Box<dyn Counter>>) -> Self {
        let counted = counter.as_ref().map(|_| 0);
        Self { counter, counted, ..Self::default() }
    }

    // What a dialect calls.

    /// A piece of generated text, reasoning, refusal or tool arguments. An
    /// empty one is nothing.
    pub fn text(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.event_has_text = true;
        self.count(|counter| counter.push(text));
    }

    /// The figures of a usage object. Of each the last that is present wins; a
    /// total belongs to the output beside it.
    pub fn usage(&mut self, usage: Usage) {
        if usage.output.is_some() {
            self.usage.output = usage.output;
            self.usage.total = usage.total;
            self.usage_covers = self.events + u64::from(self.event_has_text);
        }
        self.usage.input = usage.input.or(self.usage.input);
        self.usage.reasoning = usage.reasoning.or(self.usage.reasoning);
    }

    /// Why the model stopped. It is an end marker too, and the last one wins.
    pub fn finish(&mut self, reason: &str) {
        if reason.is_empty() {
            return;
        }
        self.ended = true;
        if self.finish_reason.as_deref() != Some(reason) {
            self.finish_reason = Some(reason.into());
        }
    }

    /// The end marker of the format.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// An error in place of content, by its type. The first one wins.
    pub fn error(&mut self, kind: &str) {
        self.error.get_or_insert_with(|| kind.into());
    }

    /// The model that the response names. The first one wins.
    pub fn model(&mut self, model: &str) {
        if !model.is_empty() {
            self.model.get_or_insert_with(|| model.into());
        }
    }

    /// [`text`](Self::text) of a JSON string; true if it is one.
    pub(crate) fn json_text(&mut self, raw: &RawValue) -> bool {
        self.with_string(raw, Self::text)
    }

    /// Calls `then` with the text of a JSON string; true if it is one.
    pub(crate) fn with_string(&mut self, raw: &RawValue, then: impl FnOnce(&mut Self, &str)) -> bool {
        let mut scratch = std::mem::take(&mut self.scratch);
        let text = json::string(raw, &mut scratch);
        let is_string = text.is_some();
        if let Some(text) = text {
            then(self, text);
        }
        self.scratch = scratch;
        is_string
    }

    // What the reader calls.

    /// An event, or a document, is over: if it carried content, it counts.
    pub fn close_event(&mut self) {
        self.events += u64::from(std::mem::take(&mut self.event_has_text));
    }

    /// The text is over: the counter gives what it held back.
    pub fn close(&mut self) {
        self.count(|counter| counter.finish());
        self.drop_counter();
    }

    /// What was completed since this was asked last.
    pub fn progress(&mut self) -> Progress {
        let tokens = self.counted.unwrap_or(self.events);
        let before = self.reported;
        self.reported = Progress { events: self.events, tokens };
        Progress { events: self.events - before.events, tokens: tokens.saturating_sub(before.tokens) }
    }

    // What came of it.

    /// The provider's figures; see [`Usage::normalised_output`].
    #[must_use]
    pub fn usage_seen(&self) -> Usage {
        self.usage
    }

    /// Output tokens by the best source there is; `None` if nothing was
    /// generated that we know of. A usage that content followed was not the
    /// final one, and one of zero beside content is none.
    #[must_use]
    pub fn output_tokens(&self) -> Option<(u64, TokenSource)> {
        let is_final = |tokens: &u64| self.usage_covers >= self.events && (*tokens > 0 || self.events == 0);
        let usage = self.usage.normalised_output().filter(is_final);
        let usage = usage.map(|tokens| (tokens, TokenSource::Usage));
        let counted = self.counted.map(|tokens| (tokens, TokenSource::Tokenizer));
        let any = self.events > 0;
        usage.or(counted.filter(|_| any)).or(any.then_some((self.events, TokenSource::Events)))
    }

    /// What the counter counted; absent without one, or if it gave up or panicked.
    #[must_use]
    pub fn counted(&self) -> Option<u64> {
        self.counted
    }

    /// Events that carried generated content. A document is one.
    #[must_use]
    pub fn content_events(&self) -> u64 {
        self.events
    }

    /// Why the model stopped, in the provider's words.
    #[must_use]
    pub fn finish_reason(&self) -> Option<&str> {
        self.finish_reason.as_deref()
    }

    /// Whether an end marker was seen.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// The type of the error that came in the body.
    #[must_use]
    pub fn error_type(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// The model that the response named.
    #[must_use]
    pub fn model_name(&self) -> Option<&str> {
        self.model.as_deref()
    }

    fn count(&mut self, of: impl FnOnce(&mut dyn Counter) -> u64) {
        let Some(counter) = self.counter.as_deref_mut() else { return };
        match catch_unwind(AssertUnwindSafe(|| (of(counter), counter.is_lost()))) {
            Ok((tokens, false)) => self.counted = self.counted.map(|sum| sum.saturating_add(tokens)),
            Ok((_, true)) | Err(_) => {
                self.counted = None;
                self.drop_counter();
            }
        }
    }

    fn drop_counter(&mut self) {
        let counter = self.counter.take();
        // What a counter's drop has to say is nobody's concern here either.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(counter)));
    }
}
