//! Requests that two servers could read as different ones. Each is refused with 400 and the end of its
//! connection, nothing of it comes to the upstream, and none is an arrival.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::proxy::Proxy;
use crate::wire::Wire;

/// What must never come to the upstream, where it was put behind a request.
const SMUGGLED: &str = "POST /smuggled HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n";

/// Heads that say in two ways where their body ends, or where they do. A POST to `/` with these lines.
const HEADERS: [&str; 28] = [
    // Which length counts?
    "host: a\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "host: a\r\ntransfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\n",
    "host: a\r\ncontent-length: 0\r\ntransfer-encoding: identity\r\n\r\n",
    "host: a\r\ncontent-length: 0\r\ncontent-length: 5\r\n\r\nhello",
    "host: a\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\nhello",
    "host: a\r\ncontent-length: +5\r\n\r\nhello",
    "host: a\r\ncontent-length: -5\r\n\r\nhello",
    "host: a\r\ncontent-length: 5, 5\r\n\r\nhello",
    "host: a\r\ncontent-length: 0x5\r\n\r\nhello",
    "host: a\r\ncontent-length: 5 5\r\n\r\nhello",
    "host: a\r\ncontent-length:\r\n\r\n",
    "host: a\r\ncontent-length: 99999999999999999999999\r\n\r\nhello",
    // Codings that cannot be taken off.
    "host: a\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "host: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "host: a\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    "host: a\r\ntransfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "host: a\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "host: a\r\ntransfer-encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
    "host: a\r\ntransfer-encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    // Where does a header end?
    "host: a\r\nx-a: b\r\n content-length: 5\r\n\r\nhello",
    "host: a\r\ntransfer-encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "host: a\r\nx-a: b\ncontent-length: 0\r\n\r\n",
    "host: a\r\nx-a: b\rcontent-length: 0\r\n\r\n",
    "host: a\r\ncontent-length : 5\r\n\r\nhello",
    "host: a\r\nx-a: b\0c\r\ncontent-length: 0\r\n\r\n",
    "host: a\r\ncontent-length: 0\n\n",
    // Whose is it?
    "host: a\r\nhost: b\r\ncontent-length: 0\r\n\r\n",
    "content-length: 0\r\n\r\n",
];

/// Chunks that could be of two lengths.
const CHUNKS: [&str; 14] = [
    "0x5\r\nhello\r\n0\r\n\r\n",
    "+5\r\nhello\r\n0\r\n\r\n",
    "0_5\r\nhello\r\n0\r\n\r\n",
    " 5\r\nhello\r\n0\r\n\r\n",
    "\r\n5\r\nhello\r\n0\r\n\r\n",
    "10000000000000005\r\nhello\r\n0\r\n\r\n",
    "5\nhello\r\n0\r\n\r\n",
    "5\rhello\r\n0\r\n\r\n",
    "5\r\nhello\n0\r\n\r\n",
    "5\r\nhello\r\n0\n\n",
    "5\r\nhelloo\r\n0\r\n\r\n",
    "5;a\nb\r\nhello\r\n0\r\n\r\n",
    "5;a\rb\r\nhello\r\n0\r\n\r\n",
    "5\r\nhello\r\n0\r\nx-a: b\n\r\n",
];

/// Requests that are unusual, and right.
const RIGHT: [&str; 8] = [
    "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello",
    "\r\nPOST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello",
    "POST / HTTP/1.1\r\nHost:a\r\nTransfer-Encoding: \tChunked \r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n005;a=\"b\"\r\nhello\r\n0;b\r\nx-a: b\r\n\r\n",
    "POST http://other/ HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello",
    "POST / HTTP/1.1\r\nhost: \r\nx-a:\r\ncontent-length: 5\r\n\r\nhello",
    "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\nh\r\nA\r\nello------\r\n0\r\n\r\n",
    "POST / HTTP/1.0\r\nconnection: keep-alive\r\ncontent-length: 5\r\n\r\nhello",
];

/// An upstream that keeps all bytes that come, and answers each request with 200.
async fn recording() -> (SocketAddr, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, seen) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
    let all = seen.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let all = all.clone();
            tokio::spawn(async move {
                let mut buffer = vec![0; 4096];
                while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                    all.lock().unwrap().extend_from_slice(&buffer[..count]);
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
                }
            });
        }
    });
    (address, seen)
}

/// Sends a text, whole or byte by byte, and gives all that comes until the proxy closes.
async fn answer(proxy: SocketAddr, text: &str, piece: usize) -> String {
    let mut stream = TcpStream::connect(proxy).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for bytes in text.as_bytes().chunks(piece) {
        // It may be refused before it is all there.
        if stream.write_all(bytes).await.is_err() {
            break;
        }
        tokio::task::yield_now().await;
    }
    let rest = tokio::time::timeout(crate::plan::PATIENCE, Wire::new(stream, false).rest()).await;
    String::from_utf8(rest.unwrap_or_else(|_| panic!("the connection stays open after {text:?}"))).unwrap()
}

/// Every ambiguous shape is refused, however it is cut, and leaves no trace behind the proxy.
#[tokio::test]
async fn what_can_be_read_in_two_ways_is_refused() {
    let (upstream, seen) = recording().await;
    let proxy = Proxy::start("smuggling", upstream, 2, "");
    let heads = HEADERS.iter().map(|lines| format!("POST / HTTP/1.1\r\n{lines}"));
    let chunks = CHUNKS
        .iter()
        .map(|chunks| format!("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{chunks}"));
    let others = [
        "POST / HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\nhost: a\r\ncontent-length: 0\r\n\r\n",
        "\nPOST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n",
        "POST / HTTP/1.1\r\n host: a\r\ncontent-length: 0\r\n\r\n",
        "POST /a b HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
    ];
    let mut wrong = Vec::new();
    for shape in heads.chain(chunks).chain(others.map(Into::into)) {
        let text = format!("{shape}{SMUGGLED}");
        for piece in [text.len(), 1] {
            let answer = answer(proxy.clients, &text, piece).await;
            let seen = std::mem::take(&mut *seen.lock().unwrap());
            if !answer.starts_with("HTTP/1.1 400 ")
                || answer.matches("HTTP/1.1").count() != 1
                || !seen.is_empty()
            {
                wrong.push(format!("{shape:?} by {piece}: {answer:?}, {:?}", String::from_utf8_lossy(&seen)));
            }
        }
    }
    assert!(wrong.is_empty(), "{} are not refused:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(proxy.status().await["requests"], 0);
}

/// What is only unusual passes, and so does the request behind it.
#[tokio::test]
async fn what_can_be_read_in_one_way_passes() {
    let (upstream, seen) = recording().await;
    let proxy = Proxy::start("unusual", upstream, 2, "");
    let last = SMUGGLED.replace("content-length", "connection: close\r\ncontent-length");
    for shape in RIGHT {
        let text = format!("{shape}{last}");
        for piece in [text.len(), 1] {
            let answer = answer(proxy.clients, &text, piece).await;
            assert_eq!(answer.matches(" 200 OK").count(), 2, "{shape:?} by {piece}: {answer:?}");
            let seen = String::from_utf8(std::mem::take(&mut *seen.lock().unwrap())).unwrap();
            assert_eq!(seen.matches("POST ").count(), 2, "{shape:?}: {seen}");
            assert_eq!(seen.matches("POST /smuggled ").count(), 1, "{shape:?}: {seen}");
        }
    }
    assert_eq!(proxy.status().await["requests"], 4 * RIGHT.len());
}
