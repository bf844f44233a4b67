//! One end of a raw HTTP/1.1 connection: reads messages, and breaks off as it likes.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::case::End;

#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Whether it takes a byte at a time.
    sips: bool,
}

/// A message's first line and headers, the names in lower case.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) first: String,
    pub(crate) headers: Vec<(String, String)>,
}

/// A message's body, as far as it came.
#[derive(Debug, Default)]
pub(crate) struct Payload {
    pub(crate) bytes: Vec<u8>,
    pub(crate) trailers: Vec<String>,
    /// Whether it came to the end that its framing tells.
    pub(crate) is_whole: bool,
}

impl Head {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The status of a response, 0 of anything else.
    pub(crate) fn status(&self) -> u16 {
        self.first.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
    }
}

impl Wire {
    pub(crate) fn new(stream: TcpStream, sips: bool) -> Self {
        let _ = stream.set_nodelay(true);
        Self { stream, buffer: Vec::new(), sips }
    }

    /// Sends all of it, in pieces; whether the other side took it.
    pub(crate) async fn send(&mut self, mut bytes: &[u8], rng: &mut fastrand::Rng) -> bool {
        while !bytes.is_empty() {
            let length = if rng.u8(..4) == 0 { rng.usize(1..=bytes.len()) } else { bytes.len() };
            let (piece, rest) = bytes.split_at(length);
            if self.stream.write_all(piece).await.is_err() {
                return false;
            }
            bytes = rest;
            if !bytes.is_empty() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        true
    }

    pub(crate) async fn end(mut self, end: End) {
        match end {
            // Where something was left unread it is a reset after all.
            End::Close => drop(self.stream.shutdown().await),
            End::Reset => drop(self.stream.set_zero_linger()),
        }
    }

    pub(crate) async fn close_sending(&mut self) {
        let _ = self.stream.shutdown().await;
    }

    /// Reads until the other side ends, and returns what came.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        while self.more().await {}
        std::mem::take(&mut self.buffer)
    }

    /// Whether there was more before the end, whichever way that came.
    async fn more(&mut self) -> bool {
        if !self.sips {
            return self.stream.read_buf(&mut self.buffer).await.is_ok_and(|count| count > 0);
        }
        if self.buffer.len() % 64 == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        match self.stream.read_u8().await {
            Ok(byte) => self.buffer.push(byte),
            Err(_) => return false,
        }
        true
    }

    async fn line(&mut self) -> Option<String> {
        let mut seen = 0;
        loop {
            if let Some(at) = self.buffer[seen..].windows(2).position(|two| two == b"\r\n") {
                let mut line: Vec<u8> = self.buffer.drain(..seen + at + 2).collect();
                line.truncate(seen + at);
                return String::from_utf8(line).ok();
            }
            seen = self.buffer.len().saturating_sub(1);
            if !self.more().await {
                return None;
            }
        }
    }

    pub(crate) async fn head(&mut self) -> Option<Head> {
        let first = self.line().await?;
        let mut headers = Vec::new();
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                return Some(Head { first, headers });
            }
            let (name, value) = line.split_once(':')?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    /// Reads a body to its end, or until there is as much as wanted.
    pub(crate) async fn body(&mut self, head: &Head, wanted: usize) -> Payload {
        let mut payload = Payload::default();
        if head.get("transfer-encoding").is_none() {
            let length = head.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
            self.bytes(length, wanted, &mut payload).await;
            payload.is_whole = payload.bytes.len() == length;
            return payload;
        }
        while payload.bytes.len() < wanted {
            let Some(line) = self.line().await else { return payload };
            let Ok(length) = usize::from_str_radix(&line, 16) else { return payload };
            if length == 0 {
                while let Some(line) = self.line().await {
                    if line.is_empty() {
                        payload.is_whole = true;
                        return payload;
                    }
                    payload.trailers.push(line);
                }
                return payload;
            }
            let until = payload.bytes.len() + length;
            self.bytes(until, wanted, &mut payload).await;
            if payload.bytes.len() < until || self.line().await.is_none() {
                return payload;
            }
        }
        payload
    }

    /// Reads until that much of the body is there, or wanted.
    async fn bytes(&mut self, until: usize, wanted: usize, payload: &mut Payload) {
        while payload.bytes.len() < until.min(wanted) {
            if self.buffer.is_empty() && !self.more().await {
                return;
            }
            let count = self.buffer.len().min(until - payload.bytes.len());
            payload.bytes.extend(self.buffer.drain(..count));
        }
    }
}
