//! What generated content looks like on the wire, read as it passes.
//!
//! A [`Reader`] is chosen from a response's headers, sees its bytes, and sums
//! them up as [`Content`]. Bytes are borrowed, never changed; what it holds of
//! them is bounded, whatever comes.

mod content;
mod dialect;
mod encoding;
mod error_format;
mod framing;
mod interpreter;
mod json;
mod kind;
mod reading;
mod template;
mod usage;

use std::sync::Arc;

use http::{HeaderMap, StatusCode};

pub use self::content::{Content, Progress};
pub use self::dialect::{
    AnthropicMessages, BedrockConverse, BedrockInvoke, CohereV1, CohereV2, Dialect, Dialects, Gemini,
    GoogleInteractions, LlamaCpp, Ollama, OpenAiAssistants, OpenAiChat, OpenAiCompletions, OpenAiResponses,
    Tgi, WriterCompletions,
};
use self::encoding::Encoding;
pub use self::error_format::ErrorFormat;
pub use self::framing::{DEFAULT_LIMIT, Event, SseFramer};
pub use self::interpreter::UNRECOGNISED_LIMIT;
use self::kind::Kind;
pub(crate) use self::kind::essence;
pub use self::reading::DOCUMENT_LIMIT;
use self::reading::Reading;
pub use self::usage::Usage;
use crate::outcome::Outcome;
use crate::tokens::{Counter, Counting, Tokens};

const OPAQUE: &str = "opaque";
const UNMEASURABLE: &str = "unmeasurable";

/// Reads one response as its bytes pass.
#[derive(Debug)]
pub struct Reader {
    status: StatusCode,
    encoding: Encoding,
    streamed: bool,
    reading: Reading,
    /// Bytes passed that could not be seen.
    lost: bool,
    finished: bool,
    /// The text has ended, and its count has not.
    uncounted: bool,
}

// === impl Reader ===

impl Reader {
    /// The reader for a response with this status and these headers. What the
    /// body is, a stream of events, one JSON document or opaque bytes, follows
    /// from its `content-type`, or from its first bytes where that says nothing;
    /// what format it has, from what is in it. A body whose `content-encoding`
    /// cannot be decoded is unmeasurable.
    #[must_use]
    pub fn new(status: StatusCode, headers: &HeaderMap) -> Self {
        let kind = Kind::of(headers);
        let encoding = Encoding::of(headers);
        Self {
            status,
            lost: matches!(encoding, Encoding::Unknown) && kind != Kind::Opaque,
            encoding,
            streamed: kind.is_stream(),
            reading: Reading::new(kind),
            finished: false,
            uncounted: false,
        }
    }

    /// Counts the tokens of the text with `counter`. To be called before any
    /// bytes are pushed.
    #[must_use]
    pub fn with_counter(mut self, counter: Box<dyn Counter>) -> Self {
        self.reading.interpreter.content = Content::new(Some(counter));
        self
    }

    /// Counts as a pool has chosen. To be called before any bytes are pushed.
    pub(crate) fn with_tokens(mut self, tokens: &Arc<Tokens>) -> Self {
        self.reading.interpreter.content = Content::counted_by(Counting::of(tokens));
        self
    }

    /// Looks for these formats instead of all that are known. To be called
    /// before any bytes are pushed.
    #[must_use]
    pub fn with_dialects(mut self, dialects: Dialects) -> Self {
        self.reading.interpreter.look_for(dialects);
        self
    }

    /// Skips events with more than `bytes` of data, instead of
    /// [`DEFAULT_LIMIT`]. To be called before any bytes are pushed.
    #[must_use]
    pub fn with_event_limit(mut self, bytes: usize) -> Self {
        self.reading.limit_events(bytes);
        self
    }

    /// Takes the next frame of the body, and tells what it completed.
    pub fn push(&mut self, frame: &[u8]) -> Progress {
        self.feed(frame);
        self.progress()
    }

    /// Takes a part of a frame.
    pub(crate) fn feed(&mut self, chunk: &[u8]) {
        let Self { encoding, reading, .. } = self;
        let seen = match encoding {
            _ if self.lost => true,
            Encoding::Identity => reading.push(chunk),
            #[cfg(feature = "decompress")]
            Encoding::Encoded(decoder) => {
                let mut seen = true;
                decoder.push(chunk, |decoded| seen &= reading.push(decoded)) && seen
            }
            Encoding::Unknown => true,
        };
        if !seen {
            self.lose();
        }
    }

    /// The frame is over: tells what it completed.
    pub(crate) fn progress(&mut self) -> Progress {
        self.reading.interpreter.content.progress()
    }

    /// Takes the clean end of the body, and tells what it completed: the last
    /// event, the document, the tokens held back. It belongs to the last frame.
    ///
    /// The tokens of a long text are counted here to the end, however long that
    /// takes.
    pub fn finish(&mut self) -> Progress {
        let read = self.end();
        let counted = self.count_rest();
        Progress { events: read.events, tokens: read.tokens + counted.tokens }
    }

    /// Takes the news that the body was cut off: what is unfinished stays so,
    /// and only the counter gives what it held back.
    pub fn cut(&mut self) {
        let _ = self.break_off();
        let _ = self.count_rest();
    }

    /// [`finish`](Self::finish) from within a poll: a count that would take too
    /// long stays open.
    pub(crate) fn end(&mut self) -> Progress {
        if !std::mem::replace(&mut self.finished, true) {
            if !self.lost {
                self.reading.finish();
            }
            self.uncounted = !self.reading.interpreter.content.close_in_poll();
        }
        self.reading.interpreter.content.progress()
    }

    /// [`cut`](Self::cut) from within a poll, likewise.
    pub(crate) fn break_off(&mut self) -> Progress {
        if !std::mem::replace(&mut self.finished, true) {
            self.uncounted = !self.reading.interpreter.content.close_in_poll();
        }
        self.progress()
    }

    /// Whether the clean end may yet show content in the bytes that have come.
    pub(crate) fn may_tell_at_end(&self) -> bool {
        !self.lost && self.reading.may_tell_at_end()
    }

    /// Whether the count is still open.
    pub(crate) fn is_uncounted(&self) -> bool {
        self.uncounted
    }

    /// Counts what was left open.
    pub(crate) fn count_rest(&mut self) -> Progress {
        let content = &mut self.reading.interpreter.content;
        if std::mem::take(&mut self.uncounted) {
            content.close_late();
        }
        content.progress()
    }

    /// Leaves open what was left open: the count is lost.
    pub(crate) fn give_up_count(&mut self) {
        self.uncounted = false;
        self.reading.interpreter.content.give_up_count();
    }

    /// Takes the news that bytes passed which could not be seen: what follows
    /// them cannot be read.
    pub fn lose(&mut self) {
        self.lost = true;
        self.reading.interpreter.content.unread();
    }

    /// The format of the body: a dialect's name; `unmeasurable` if its encoding
    /// cannot be decoded or some of it was not seen; or `opaque`. Absent as long
    /// as it is not clear.
    #[must_use]
    pub fn format(&self) -> Option<&'static str> {
        if self.lost {
            return Some(UNMEASURABLE);
        }
        let opaque = || (self.finished || self.reading.is_opaque()).then_some(OPAQUE);
        self.reading.interpreter.dialect().map(Dialect::name).or_else(opaque)
    }

    /// Whether the body is a stream of events: it names itself one, or was found
    /// to be one, such as a JSON array whose elements are read as they come.
    #[must_use]
    pub fn streamed(&self) -> bool {
        self.streamed || self.reading.is_found_stream()
    }

    /// What was generated so far.
    #[must_use]
    pub fn content(&self) -> &Content {
        &self.reading.interpreter.content
    }

    /// Events that were framed so far, with content or without, read or
    /// skipped. A document is one. In an opaque stream it stops at
    /// [`UNRECOGNISED_LIMIT`].
    #[must_use]
    pub fn events_seen(&self) -> u64 {
        self.reading.interpreter.events()
    }

    /// Events that were too large to read.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.reading.interpreter.skipped()
    }

    /// How the request ended if the body ended cleanly, after
    /// [`finish`](Self::finish). An error, by status or in the body, is
    /// `failed`. A stream without an end marker is `truncated`, and so is one
    /// with no event of any known format, and a document that ends too early.
    /// What cannot be seen is taken at its word, and `completed`.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let error_status = self.status.is_client_error() || self.status.is_server_error();
        if error_status || self.reading.interpreter.content.error_type().is_some() {
            Outcome::Failed
        } else if self.lost || self.reading.is_whole(self.streamed) {
            Outcome::Completed
        } else {
            Outcome::Truncated
        }
    }
}
