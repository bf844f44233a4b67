//! A response of the upstream: its bytes, where they break off, and what they tell.

use std::fmt::Write as _;

use crate::case::End;

/// A response, as far as it goes.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// How many 1xx go before it.
    pub(crate) informational: usize,
    pub(crate) framing: Framing,
    pub(crate) content: Content,
    pub(crate) fault: Option<(usize, Fault)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Length,
    Chunked {
        trailers: bool,
    },
    ToTheEnd,
    /// A `content-length` of that much, and more bytes than that.
    Excess(usize),
}

/// What the body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// An event stream of so many tokens.
    Stream { tokens: usize, marker: bool },
    /// An event stream that ends with an error.
    Refusal { tokens: usize },
    /// Bytes of no known format.
    Opaque(usize),
}

/// What happens once so much of the body has been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Ends(End),
    /// What is no chunk where one should begin.
    BadChunk,
    /// Nothing more, until it is let go.
    Stalls,
}

/// A body, and where in it something is told.
#[derive(Debug, Default)]
pub(crate) struct Body {
    pub(crate) bytes: Vec<u8>,
    /// The ends of the events with a token.
    pub(crate) token_ends: Vec<usize>,
    /// The end of the end marker.
    pub(crate) marker_end: Option<usize>,
}

// === impl Reply ===

impl Reply {
    pub(crate) fn body(&self) -> Body {
        let mut body = Body::default();
        match self.content {
            Content::Stream { tokens, marker } => {
                body.tokens(tokens);
                if marker {
                    body.event("[DONE]");
                    body.marker_end = Some(body.bytes.len());
                }
            }
            Content::Refusal { tokens } => {
                body.tokens(tokens);
                body.event(r#"{"error":{"message":"no","type":"server_error"}}"#);
            }
            Content::Opaque(length) => body.bytes.extend((0..length).map(|at| b'a' + (at % 26) as u8)),
        }
        body
    }

    /// How much of the body is sent, fault or not.
    pub(crate) fn sent(&self, body: &Body) -> usize {
        self.fault.map_or(body.bytes.len(), |(at, _)| at.min(body.bytes.len()))
    }

    /// All that goes over the wire up to the fault, or to the end.
    pub(crate) fn wire(&self, rng: &mut fastrand::Rng) -> Vec<u8> {
        let body = self.body();
        let mut wire = self.head(body.bytes.len()).into_bytes();
        let sent = self.sent(&body);
        match self.framing {
            Framing::Chunked { trailers } => {
                let is_bad = matches!(self.fault, Some((_, Fault::BadChunk)));
                wire.extend_from_slice(&chunked(&body.bytes, sent, !is_bad, rng));
                wire.extend_from_slice(match (self.fault, trailers) {
                    (Some((_, Fault::BadChunk)), _) => b"zz\r\n",
                    (Some(_), _) => b"",
                    (None, true) => b"0\r\nx-sum: 7\r\n\r\n",
                    (None, false) => b"0\r\n\r\n",
                });
            }
            _ => wire.extend_from_slice(&body.bytes[..sent]),
        }
        wire
    }

    pub(crate) fn stalls(&self) -> bool {
        matches!(self.fault, Some((_, Fault::Stalls)))
    }

    pub(crate) fn ends_with_the_connection(&self) -> bool {
        matches!(self.framing, Framing::ToTheEnd | Framing::Excess(_))
    }

    /// Whether it takes its last byte to know that it is over.
    pub(crate) fn holds_to_its_last_byte(&self) -> bool {
        !matches!((self.framing, self.fault), (Framing::Excess(_), _) | (_, Some((_, Fault::BadChunk))))
    }

    fn head(&self, length: usize) -> String {
        let mut head = String::new();
        for at in 0..self.informational {
            head.push_str(
                ["HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"][at % 2],
            );
        }
        let _ = write!(head, "HTTP/1.1 {} As It Is\r\n", self.status);
        head.push_str("x-kept: 1\r\nconnection: x-hop\r\nx-hop: 1\r\nkeep-alive: timeout=5\r\n");
        head.push_str(match self.content {
            Content::Opaque(_) => "content-type: application/octet-stream\r\n",
            _ => "content-type: text/event-stream\r\n",
        });
        let _ = match self.framing {
            Framing::Length => write!(head, "content-length: {length}\r\n\r\n"),
            Framing::Excess(announced) => write!(head, "content-length: {announced}\r\n\r\n"),
            Framing::Chunked { trailers: false } => write!(head, "transfer-encoding: chunked\r\n\r\n"),
            Framing::Chunked { trailers: true } => {
                write!(head, "trailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n")
            }
            Framing::ToTheEnd => write!(head, "\r\n"),
        };
        head
    }
}

impl Body {
    fn tokens(&mut self, tokens: usize) {
        self.event(
            r#"{"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"role":"assistant"}}]}"#,
        );
        for token in 0..tokens {
            self.event(&format!(
                r#"{{"object":"chat.completion.chunk","choices":[{{"index":0,"delta":{{"content":"w{token} "}}}}]}}"#
            ));
            self.token_ends.push(self.bytes.len());
        }
    }

    fn event(&mut self, text: &str) {
        self.bytes.extend_from_slice(format!("data: {text}\n\n").as_bytes());
    }
}

/// The first `until` bytes of a body in chunks of any size, without the last chunk. The one that
/// crosses that place is announced whole, if it may be, and breaks off there.
pub(crate) fn chunked(body: &[u8], until: usize, may_halve: bool, rng: &mut fastrand::Rng) -> Vec<u8> {
    let (mut wire, mut at) = (Vec::new(), 0);
    while at < until {
        let last = if may_halve { body.len() } else { until };
        let end = rng.usize(at + 1..=last);
        wire.extend_from_slice(format!("{:x}\r\n", end - at).as_bytes());
        wire.extend_from_slice(&body[at..end.min(until)]);
        if end <= until {
            wire.extend_from_slice(b"\r\n");
        }
        at = end;
    }
    wire
}
