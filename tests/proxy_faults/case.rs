//! One request as it is meant to go: what the client sends, what the upstream answers, and where
//! either of them fails.

use std::fmt::Write as _;

use crate::reply::{Reply, chunked};

/// One request, known on both sides by the number that it carries in `x-script`.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) number: usize,
    /// Others than POST go past the pool, and leave no record.
    pub(crate) is_post: bool,
    pub(crate) upload: Upload,
    pub(crate) client: Client,
    pub(crate) upstream: Upstream,
    /// What its bytes are made of.
    pub(crate) salt: u64,
}

/// The request's body.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Upload {
    Length(usize),
    Chunked(usize),
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Close,
    Reset,
}

/// What the client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    /// Reads all of the response.
    Reads,
    /// The same a byte at a time, over a connection that holds little.
    Sips,
    /// Closes its sending side, and reads.
    HalfCloses,
    /// Goes in the middle of its own head.
    GoesInHead(End),
    /// Goes in the middle of its own body.
    GoesInBody(End),
    /// Goes as soon as all is sent.
    GoesAfterSending(End),
    /// Goes once the upstream has the request.
    GoesOnceSeen(End),
    /// Goes once it has that much of the response's body.
    GoesAfter(usize, End),
}

/// What the upstream does.
#[derive(Clone, Debug)]
pub(crate) enum Upstream {
    /// Ends the connection, having read the head, or the body too.
    Ends {
        has_read: bool,
        end: End,
    },
    /// Ends it in the middle of the response's head.
    EndsInHead(End),
    /// Sends what is no response.
    Garbage,
    /// Sends a head with so many headers, of that length each.
    Headers {
        count: usize,
        length: usize,
    },
    /// Switches to a protocol that nobody has asked for.
    Switches,
    /// Sends nothing, and waits until it is let go.
    Stalls,
    Replies(Reply),
}

// === impl Case ===

impl Case {
    pub(crate) fn rng(&self) -> fastrand::Rng {
        fastrand::Rng::with_seed(self.salt)
    }

    pub(crate) fn id(&self) -> String {
        format!("fault-{}", self.number)
    }

    /// The request's body, without its framing.
    pub(crate) fn sent_body(&self) -> Vec<u8> {
        let (Upload::Length(length) | Upload::Chunked(length)) = self.upload;
        let mut rng = self.rng();
        (0..length).map(|_| rng.alphanumeric() as u8).collect()
    }

    /// The request as it is sent: its head and its body.
    pub(crate) fn request(&self) -> (Vec<u8>, Vec<u8>) {
        let method = if self.is_post { "POST" } else { "GET" };
        let mut head = format!("{method} /v1/chat/completions?n={0} HTTP/1.1\r\nhost: a\r\n", self.number);
        let _ = write!(head, "x-script: {}\r\nx-request-id: {}\r\n", self.number, self.id());
        head.push_str("connection: keep-alive, x-hop, te\r\nx-hop: 1\r\nte: trailers\r\n");
        let body = self.sent_body();
        let body = match self.upload {
            Upload::Length(_) => {
                let _ = write!(head, "content-length: {}\r\n\r\n", body.len());
                body
            }
            Upload::Chunked(_) => {
                head.push_str("transfer-encoding: chunked\r\n\r\n");
                let mut chunks = chunked(&body, body.len(), false, &mut self.rng());
                chunks.extend_from_slice(b"0\r\n\r\n");
                chunks
            }
        };
        (head.into_bytes(), body)
    }
}
