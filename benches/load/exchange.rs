//! A client's side of one call: the request, and an answer of which every byte
//! is held against what must come.

use std::io;

use super::chunked::Chunked;
use super::connection::{Connection, header, wrong};
use super::script::{self, Asked};

/// What a response's head announces.
#[derive(Debug, PartialEq)]
pub(crate) enum Reply {
    Stream,
    Whole(usize),
    /// It is not this answer but an error, with a body of that length.
    Error(u16, usize),
}

pub(crate) async fn ask(connection: &mut Connection, asked: &Asked, prompt: usize) -> io::Result<Reply> {
    connection.send(&script::request(asked, prompt)).await?;
    reply(connection, asked).await
}

async fn reply(connection: &mut Connection, asked: &Asked) -> io::Result<Reply> {
    let head = connection.head().await?.ok_or_else(|| wrong("closed without an answer"))?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status: u16 = status.ok_or_else(|| wrong("a head without a status"))?;
    let length = header(&head, "content-length").and_then(|length| length.parse().ok());
    match length {
        Some(length) if status != 200 => Ok(Reply::Error(status, length)),
        Some(length) if !asked.stream => Ok(Reply::Whole(length)),
        None if status == 200 && asked.stream && header(&head, "transfer-encoding") == Some("chunked") => {
            Ok(Reply::Stream)
        }
        _ => Err(wrong("another kind of answer than was asked for")),
    }
}

/// Reads a body of known length.
pub(crate) async fn body(connection: &mut Connection, length: usize) -> io::Result<Vec<u8>> {
    while connection.received.len() < length {
        if connection.receive().await? == 0 {
            return Err(wrong("closed within a body"));
        }
    }
    let rest = connection.received.split_off(length);
    Ok(std::mem::replace(&mut connection.received, rest))
}

/// A streamed answer, as far as it has come.
#[derive(Debug)]
pub(crate) struct Answer {
    asked: Asked,
    period: u64,
    first_due: Option<u64>,
    pub(crate) tokens: u64,
    chunks: Chunked,
    body: Vec<u8>,
}

impl Answer {
    pub(crate) fn new(asked: Asked, rate: u64) -> Self {
        let (chunks, body) = (Chunked::default(), Vec::new());
        Self { asked, period: script::period(rate), first_due: None, tokens: 0, chunks, body }
    }

    /// Waits for more, gives each token's lag in nanoseconds behind its due instant,
    /// and says whether that was all.
    pub(crate) async fn more(
        &mut self,
        connection: &mut Connection,
        lag: impl FnMut(u64),
    ) -> io::Result<bool> {
        if connection.received.is_empty() && connection.receive().await? == 0 {
            return Err(wrong("closed within a stream"));
        }
        self.take(&mut connection.received, lag)
    }

    fn take(&mut self, received: &mut Vec<u8>, mut lag: impl FnMut(u64)) -> io::Result<bool> {
        self.chunks.decode(received, &mut self.body)?;
        let mut expected = Vec::with_capacity(512);
        if !received.is_empty() && self.chunks.is_ended() {
            return Err(wrong("bytes after the end"));
        }
        while self.tokens < self.asked.max_tokens {
            expected.clear();
            script::token(&mut expected, self.asked.id, self.tokens, self.due());
            if self.body.len() < expected.len() {
                break;
            }
            if self.first_due.is_none() {
                self.first_due = script::due_of(&self.body);
                expected.clear();
                script::token(&mut expected, self.asked.id, self.tokens, self.due());
            }
            if !self.body.starts_with(&expected) {
                return Err(wrong("other bytes than were sent"));
            }
            lag(script::now().saturating_sub(self.due()));
            self.body.drain(..expected.len());
            self.tokens += 1;
        }
        if !self.chunks.is_ended() {
            return Ok(false);
        }
        expected.clear();
        script::ending(&mut expected, self.asked.id, self.asked.max_tokens);
        if self.tokens == self.asked.max_tokens && self.body == expected {
            Ok(true)
        } else {
            Err(wrong("ended without its end"))
        }
    }

    /// When the next token is due, by the first.
    fn due(&self) -> u64 {
        self.first_due.unwrap_or(0) + self.tokens * self.period
    }
}
