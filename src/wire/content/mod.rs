//! What was generated: the sum of one response, whatever dialect it came in.

mod frames;
mod json;

use self::frames::Frames;
use super::Usage;
use crate::tokens::{Counter, Counting, TokenSource};

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
    usage_covers: u32,
    finish_reason: Option<Box<str>>,
    ended: bool,
    error: Option<Box<str>>,
    model: Option<Box<str>>,
    events: u32,
    event: Told,
    item_has_text: bool,
    unread: bool,
    /// Texts of several choices came, one between the other.
    is_interleaved: bool,
    /// The choice that told text last.
    choice: u8,
    counting: Counting,
    frames: Frames,
    /// What of it was told to whoever asks for the progress.
    reported_events: u32,
    reported_tokens: u64,
    scratch: String,
}

/// What the present event has told so far.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    /// Where the last text stands, as an address and a length.
    text_at: usize,
    text_length: u32,
    texts: u8,
    has_text: bool,
    usage: bool,
    /// Whether it told anything that the next event of the same shape might not.
    particular: bool,
}

// === impl Content ===

impl Content {
    /// Nothing yet; its text goes to `counter` if there is one.
    ///
    /// A counter that panics loses its count and nothing else.
    #[must_use]
    pub fn new(counter: Option<Box<dyn Counter>>) -> Self {
        Self::counted_by(Counting::by(counter))
    }

    pub(crate) fn counted_by(counting: Counting) -> Self {
        Self { counting, ..Self::default() }
    }

    // What a dialect calls.

    /// A piece of generated text, reasoning, refusal or tool arguments. An
    /// empty one is nothing.
    pub fn text(&mut self, text: &str) {
        self.event.particular = true;
        self.tell(text);
    }

    /// The figures of a usage object. Of each the last that is present wins; a
    /// total belongs to the output beside it.
    pub fn usage(&mut self, usage: Usage) {
        if !usage.is_empty() {
            self.event.usage = true;
            self.usage.update(usage);
        }
    }

    /// Why the model stopped. The last reason wins, and an empty one is none.
    pub fn finish(&mut self, reason: &str) {
        self.event.particular = true;
        if !reason.is_empty() && self.finish_reason.as_deref() != Some(reason) {
            self.finish_reason = Some(reason.into());
        }
    }

    /// The end marker of the format.
    pub fn end(&mut self) {
        self.event.particular = true;
        self.ended = true;
    }

    /// An error in place of content, by its type. The first one wins.
    pub fn error(&mut self, kind: &str) {
        self.event.particular = true;
        self.error.get_or_insert_with(|| kind.into());
    }

    /// The model that the response names. The first one wins.
    pub fn model(&mut self, model: &str) {
        if !model.is_empty() {
            self.model.get_or_insert_with(|| model.into());
        }
    }

    /// Text passed that could not be read: from here on only the provider's
    /// own figure can be right.
    pub fn unread(&mut self) {
        self.unread = true;
    }

    /// What `tell` tells is of the choice with this index. A choice that goes on
    /// after another has told text is no text of its own any more.
    pub(crate) fn choice(&mut self, index: Option<u32>, tell: impl FnOnce(&mut Self)) {
        let had_text = std::mem::take(&mut self.event.has_text);
        tell(self);
        if self.event.has_text {
            let index = u8::try_from(index.unwrap_or(0)).unwrap_or(u8::MAX);
            self.is_interleaved |= index < self.choice;
            self.choice = index;
        }
        self.event.has_text |= had_text;
    }

    /// An item is over, and what follows tells it whole: that counts only if
    /// it did not come in pieces before.
    pub(crate) fn item(&mut self, tell_whole: impl FnOnce(&mut Self)) {
        self.event.particular = true;
        if !self.item_has_text {
            tell_whole(self);
        }
        self.item_has_text = false;
    }

    /// The next event of the same shape may say something else.
    pub(crate) fn particular(&mut self) {
        self.event.particular = true;
    }

    // What the reader calls.

    /// Where the event's only text stands, as an address and a length; none if
    /// the event told more than that.
    pub(crate) fn only_text(&self) -> Option<(usize, usize)> {
        let told = self.event;
        let is_only = told.texts == 1 && told.has_text && !told.usage && !told.particular;
        is_only.then_some((told.text_at, told.text_length as usize))
    }

    /// A piece of text, of an event of which it is known that it tells just that.
    pub(crate) fn tell(&mut self, text: &str) {
        self.event.texts = self.event.texts.saturating_add(1);
        if text.is_empty() {
            return;
        }
        self.event.has_text = true;
        self.item_has_text = true;
        self.frames.text(text.len());
        self.counting.push(text);
    }

    /// An event, or a document, is over: if it carried content, it counts.
    pub fn close_event(&mut self) {
        let told = std::mem::take(&mut self.event);
        self.events = self.events.saturating_add(u32::from(told.has_text));
        if told.has_text {
            self.counting.event_is_over(self.model.as_deref());
        }
        if told.usage {
            self.usage_covers = self.events;
        }
    }

    /// The text is over: the counter gives what it held back.
    pub fn close(&mut self) {
        if !self.close_in_poll() {
            self.close_late();
        }
    }

    /// [`close`](Self::close) from within a poll; false if there is more to
    /// count than may be counted there.
    pub(crate) fn close_in_poll(&mut self) -> bool {
        self.counting.finish()
    }

    /// Counts what [`close_in_poll`](Self::close_in_poll) has left.
    pub(crate) fn close_late(&mut self) {
        self.counting.finish_late();
    }

    /// The count, what becomes of it, and how it was chosen.
    pub(crate) fn counting(&self) -> &Counting {
        &self.counting
    }

    /// No more is counted, and what was counts for nothing.
    pub(crate) fn give_up_count(&mut self) {
        self.counting.give_up();
    }

    /// What was completed since this was asked last: to be asked once a frame.
    pub fn progress(&mut self) -> Progress {
        let events = u64::from(self.events - self.reported_events);
        self.frames.frame_is_over(events);
        self.counting.frame_is_over();
        let tokens = self.counting.sum().unwrap_or(self.events.into());
        let new = tokens.saturating_sub(self.reported_tokens);
        self.reported_events = self.events;
        self.reported_tokens = self.reported_tokens.max(tokens);
        Progress { events, tokens: new }
    }

    // What came of it.

    /// The provider's figures; see [`Usage::normalised_output`].
    #[must_use]
    pub fn usage_seen(&self) -> Usage {
        self.usage
    }

    /// Output tokens by the best source there is; `None` if nothing was
    /// generated that we know of, or some of it could not be read. A usage that
    /// content followed was not the final one, and one of zero beside content
    /// is none.
    #[must_use]
    pub fn output_tokens(&self) -> Option<(u64, TokenSource)> {
        let is_final = |tokens: &u64| self.usage_covers >= self.events && (*tokens > 0 || self.events == 0);
        let usage = self.usage.normalised_output().filter(is_final);
        let usage = usage.map(|tokens| (tokens, TokenSource::Usage));
        let counted = self.counted().map(|tokens| (tokens, TokenSource::Tokenizer));
        let any = self.events > 0 && !self.unread;
        usage.or(counted.filter(|_| any)).or(any.then_some((self.events.into(), TokenSource::Events)))
    }

    /// Of the output tokens, those in the first frame with content and those in
    /// the fullest.
    pub(crate) fn tokens_in_frames(&self) -> (u64, u64) {
        let events = self.events.into();
        let tokens = self.output_tokens().map_or(events, |(tokens, _)| tokens);
        self.frames.tokens(tokens, events)
    }

    /// What the counter counted; absent without one, if it gave up or panicked,
    /// if some text could not be read, or if the texts of several choices came
    /// interleaved, which are not one text.
    #[must_use]
    pub fn counted(&self) -> Option<u64> {
        self.counting.sum().filter(|_| !self.unread && !self.is_interleaved)
    }

    /// Events that carried generated content. A document is one.
    #[must_use]
    pub fn content_events(&self) -> u64 {
        self.events.into()
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

    /// Whether any content was told, in the present event or before.
    pub(crate) fn has_text(&self) -> bool {
        self.events > 0 || self.event.has_text
    }

    /// Whether the present event has told a usage.
    pub(crate) fn event_has_usage(&self) -> bool {
        self.event.usage
    }

    /// Whether the present event has told any content.
    pub(crate) fn event_has_text(&self) -> bool {
        self.event.has_text
    }
}
