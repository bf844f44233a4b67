//! What generated content looks like on the wire, read as it passes.
//!
//! A [`Reader`] is chosen from a response's headers, sees its bytes, and sums
//! them up as [`Content`]. Bytes are borrowed, never changed; what it holds of
//! them is bounded, whatever comes.

mod content;
mod dialect;
mod json;
mod openai;
mod openai_chat;
mod openai_completions;
pub mod sse;

use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::de::IgnoredAny;

pub use self::content::{Content, Progress, Usage};
pub use self::dialect::Dialect;
pub use self::openai_chat::OpenAiChat;
pub use self::openai_completions::OpenAiCompletions;
pub use self::sse::{Event, SseFramer};
use crate::outcome::Outcome;
use crate::tokens::Counter;

/// The most that is held of a response that is one JSON document: 1 MiB.
pub const DOCUMENT_LIMIT: usize = 1024 * 1024;

/// The events after which a stream that no dialect recognises is opaque.
pub const UNRECOGNISED_LIMIT: u32 = 32;

const BOM: &[u8] = b"\xef\xbb\xbf";

const OPAQUE: &str = "opaque";

/// The most particular first.
static DIALECTS: &[&dyn Dialect] = &[&OpenAiCompletions, &OpenAiChat];

/// Reads one response as its bytes pass.
#[derive(Debug)]
pub struct Reader {
    status: StatusCode,
    body: Body,
    dialect: Option<&'static dyn Dialect>,
    content: Content,
    finished: bool,
}

#[derive(Debug)]
enum Body {
    Events { framer: SseFramer, unrecognised: u32 },
    Document { held: Vec<u8>, cut: bool },
    Opaque,
}

// === impl Reader ===

impl Reader {
    /// The reader for a response with this status and these headers: of events
    /// if it names itself `text/event-stream`, of one document if
    /// `application/json`, else of opaque bytes, and so too if its
    /// `content-encoding` is not one it can read.
    #[must_use]
    pub fn new(status: StatusCode, headers: &HeaderMap) -> Self {
        let plain = headers.get_all(CONTENT_ENCODING).iter().all(|encoding| is(encoding, "identity"));
        let body = match headers.get(CONTENT_TYPE) {
            Some(kind) if plain && is(kind, "text/event-stream") => {
                Body::Events { framer: SseFramer::new(), unrecognised: 0 }
            }
            Some(kind) if plain && is(kind, "application/json") => {
                Body::Document { held: Vec::new(), cut: false }
            }
            _ => Body::Opaque,
        };
        Self { status, body, dialect: None, content: Content::default(), finished: false }
    }

    /// Counts the tokens of the text with `counter`. To be called before any
    /// bytes are pushed.
    #[must_use]
    pub fn with_counter(mut self, counter: Box<dyn Counter>) -> Self {
        self.content = Content::new(Some(counter));
        self
    }

    /// Takes the next bytes of the body, and tells what they completed.
    pub fn push(&mut self, chunk: &[u8]) -> Progress {
        let Self { body, dialect, content, .. } = self;
        match body {
            Body::Events { unrecognised, .. } if *unrecognised >= UNRECOGNISED_LIMIT => {}
            Body::Events { framer, unrecognised } => {
                framer.push(chunk, |event| read(&event, dialect, unrecognised, content));
            }
            Body::Document { held, .. } if held.len() + chunk.len() <= DOCUMENT_LIMIT => {
                held.extend_from_slice(chunk);
            }
            Body::Document { .. } => *body = Body::Opaque,
            Body::Opaque => {}
        }
        content.progress()
    }

    /// Takes the clean end of the body, and tells what it completed: the last
    /// event, the document, the tokens held back. It belongs to the last frame.
    pub fn finish(&mut self) -> Progress {
        if std::mem::replace(&mut self.finished, true) {
            return Progress::default();
        }
        let Self { body, dialect, content, .. } = self;
        match body {
            Body::Events { framer, unrecognised } => {
                framer.finish(|event| read(&event, dialect, unrecognised, content));
            }
            Body::Document { held, cut } => {
                let held = std::mem::take(held);
                let held = held.strip_prefix(BOM).unwrap_or(&held);
                *dialect = DIALECTS.iter().copied().find(|dialect| dialect.document(held, content));
                content.close_event();
                // Cut off is what ends too early. Something else than one document is opaque.
                let ends_early =
                    || serde_json::from_slice::<IgnoredAny>(held).is_err_and(|error| error.is_eof());
                *cut = dialect.is_none() && !held.trim_ascii().is_empty() && ends_early();
            }
            Body::Opaque => {}
        }
        content.close();
        content.progress()
    }

    /// Takes the news that the body was cut off: what is unfinished stays so,
    /// and only the counter gives what it held back.
    pub fn cut(&mut self) {
        if !std::mem::replace(&mut self.finished, true) {
            self.content.close();
        }
    }

    /// Takes the news that bytes passed which could not be seen: what follows
    /// them cannot be read, and the rest is opaque.
    pub fn lose(&mut self) {
        self.body = Body::Opaque;
    }

    /// The format of the body: a dialect's name, or `opaque`. Absent as long as
    /// it is not clear.
    #[must_use]
    pub fn format(&self) -> Option<&'static str> {
        if let Some(dialect) = self.dialect {
            return Some(dialect.name());
        }
        let opaque = match self.body {
            Body::Events { unrecognised, .. } => unrecognised >= UNRECOGNISED_LIMIT || self.finished,
            Body::Document { .. } => self.finished,
            Body::Opaque => true,
        };
        opaque.then_some(OPAQUE)
    }

    /// Whether the body names itself a stream of events.
    #[must_use]
    pub fn streamed(&self) -> bool {
        matches!(self.body, Body::Events { .. })
    }

    /// What was generated so far.
    #[must_use]
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// Events that were too large to read.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        match &self.body {
            Body::Events { framer, .. } => framer.skipped(),
            Body::Document { .. } | Body::Opaque => 0,
        }
    }

    /// How the request ended if the body ended cleanly, after
    /// [`finish`](Self::finish). An error, by status or in the body, is
    /// `failed`. A stream without an end marker is `truncated`, and so is one
    /// with no event of any known format, and a document that does not parse.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let error_status = self.status.is_client_error() || self.status.is_server_error();
        match self.body {
            _ if error_status || self.content.error_type().is_some() => Outcome::Failed,
            Body::Events { .. } if !self.content.ended() => Outcome::Truncated,
            Body::Document { cut: true, .. } => Outcome::Truncated,
            _ => Outcome::Completed,
        }
    }
}

/// Reads one event, by the dialect that the first known event shows.
fn read(
    event: &Event<'_>,
    dialect: &mut Option<&'static dyn Dialect>,
    unrecognised: &mut u32,
    content: &mut Content,
) {
    if dialect.is_none() && *unrecognised < UNRECOGNISED_LIMIT {
        *dialect = DIALECTS.iter().copied().find(|dialect| dialect.recognises(event));
        *unrecognised += u32::from(dialect.is_none());
    }
    if let Some(dialect) = dialect {
        dialect.event(event, content);
        content.close_event();
    }
}

/// Whether a header's value is `name`, whatever its parameters.
fn is(value: &HeaderValue, name: &str) -> bool {
    essence(value).eq_ignore_ascii_case(name.as_bytes())
}

/// A header's value without its parameters.
pub(crate) fn essence(value: &HeaderValue) -> &[u8] {
    value.as_bytes().split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii()
}
