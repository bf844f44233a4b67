//! What a body says that it is.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};

/// What a body is, by its `content-type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Server-sent events.
    Sse,
    /// A JSON value a line.
    Lines,
    /// One JSON document, or one array whose elements come one by one.
    Json,
    /// AWS's binary frames.
    Aws,
    /// It does not say, or says that it is plain text: then its first bytes do.
    Unnamed,
    /// Anything else.
    Opaque,
}

impl Kind {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let name = headers.get(CONTENT_TYPE).map(essence).unwrap_or_default();
        match name.to_ascii_lowercase().as_slice() {
            b"text/event-stream" => Self::Sse,
            b"application/x-ndjson" | b"application/ndjson" | b"application/jsonl" => Self::Lines,
            b"application/x-jsonlines" | b"application/jsonlines" | b"application/stream+json" => Self::Lines,
            b"application/vnd.amazon.eventstream" => Self::Aws,
            b"application/json" | b"text/json" => Self::Json,
            b"" | b"text/plain" => Self::Unnamed,
            name if name.ends_with(b"+json") => Self::Json,
            _ => Self::Opaque,
        }
    }

    /// Whether it names itself a stream of events.
    pub(super) fn is_stream(self) -> bool {
        matches!(self, Self::Sse | Self::Lines | Self::Aws)
    }
}

/// A header's value without its parameters.
pub(crate) fn essence(value: &HeaderValue) -> &[u8] {
    value.as_bytes().split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii()
}
