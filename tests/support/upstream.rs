//! An upstream of few words: it keeps what it was sent, and answers by the path.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

pub(crate) const TOKEN: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n";

#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Upstream {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = Self { address: listener.local_addr().unwrap(), heads: Arc::default() };
        let serves = upstream.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let serves = serves.clone();
                tokio::spawn(async move { serves.answer(stream).await });
            }
        });
        upstream
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The heads of the requests so far, in lower case.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    /// Answers one request, and closes. Clients that go away are no error.
    pub(crate) async fn answer(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        let mut read = Vec::new();
        let head = loop {
            if stream.read_buf(&mut read).await.is_ok_and(|count| count == 0) {
                return;
            }
            let text = String::from_utf8_lossy(&read).to_ascii_lowercase();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head
                    .split_once("content-length: ")
                    .map_or(0, |(_, rest)| rest.split("\r\n").next().unwrap().parse().unwrap());
                let is_chunked = head.contains("transfer-encoding: chunked");
                if body.len() >= length && (!is_chunked || body.ends_with("0\r\n\r\n")) {
                    break head.to_owned();
                }
            }
        };
        let path = head.split(' ').nth(1).unwrap().to_owned();
        self.heads.lock().unwrap().push(head);
        let stream_head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
        let _ = match path.as_str() {
            "/silent" => std::future::pending().await,
            "/headers" => {
                let _ = stream.write_all(stream_head.as_bytes()).await;
                std::future::pending().await
            }
            "/pings" => repeat(&mut stream, &format!("{stream_head}{TOKEN}"), ": ping\n\n").await,
            "/tokens" => repeat(&mut stream, stream_head, TOKEN).await,
            "/large" => {
                let tokens = TOKEN.repeat(32 * 1024 * 1024 / TOKEN.len());
                let all = format!("{stream_head}{tokens}data: [DONE]\n\n");
                stream.write_all(all.as_bytes()).await
            }
            "/echo" => {
                let head =
                    "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
                let _ = stream.write_all(head.as_bytes()).await;
                let (mut from, mut to) = tokio::io::split(stream);
                return drop(tokio::io::copy(&mut from, &mut to).await);
            }
            _ => {
                let text =
                    "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: x-hop, close\r\nx-hop: 1\r\n\r\nok";
                stream.write_all(text.as_bytes()).await
            }
        };
        let _ = stream.shutdown().await;
    }
}

async fn repeat(stream: &mut (impl AsyncWrite + Unpin), first: &str, then: &str) -> std::io::Result<()> {
    stream.write_all(first.as_bytes()).await?;
    loop {
        tokio::time::sleep(Duration::from_millis(20)).await;
        stream.write_all(then.as_bytes()).await?;
    }
}
