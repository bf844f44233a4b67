//! Clients that speak HTTP/2, in raw frames, and fail: each stream of theirs is an arrival like any other.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::case::{Case, Client, Upload, Upstream};
use crate::expected::Expected;
use crate::plan::{PATIENCE, Plan};
use crate::proxy::Proxy;
use crate::reply::{Content, Fault, Framing, Reply};
use crate::upstream;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const CANCEL: [u8; 4] = [0, 0, 0, 8];

const CAP: usize = 3;

#[derive(Debug)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

/// A connection of which the client decides every frame.
struct Connection(TcpStream);

impl Connection {
    /// Opens one whose streams may each send so many bytes at first.
    async fn open(proxy: &Proxy, window: u32) -> Self {
        let mut connection = Self(TcpStream::connect(proxy.clients).await.unwrap());
        connection.0.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        // SETTINGS_INITIAL_WINDOW_SIZE
        let settings = [&[0, 4][..], &window.to_be_bytes()].concat();
        connection.send(SETTINGS, 0, 0, &settings).await;
        connection
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        frame.extend_from_slice(&[kind, flags]);
        frame.extend_from_slice(&stream.to_be_bytes());
        frame.extend_from_slice(payload);
        self.0.write_all(&frame).await.unwrap();
    }

    /// A case's request, all of it or only the beginning of its body.
    async fn request(&mut self, stream: u32, case: &Case, is_whole: bool) {
        let mut block = Vec::new();
        let number = case.number.to_string();
        for (name, value) in [
            (":method", "POST"),
            (":scheme", "http"),
            (":authority", "a"),
            (":path", "/v1/chat/completions"),
            ("x-script", &number),
            ("x-request-id", &case.id()),
        ] {
            // A literal that is not indexed, with a new name.
            block.push(0);
            for text in [name, value] {
                block.push(u8::try_from(text.len()).unwrap());
                block.extend_from_slice(text.as_bytes());
            }
        }
        self.send(HEADERS, END_HEADERS, stream, &block).await;
        let body = case.sent_body();
        let (sent, flags) = if is_whole { (&body[..], END_STREAM) } else { (&body[..1], 0) };
        self.send(DATA, flags, stream, sent).await;
    }

    /// The next frame that is about a stream or the end; absent where the connection is over.
    async fn frame(&mut self) -> Option<Frame> {
        loop {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).await.ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let mut payload = vec![0; length];
            self.0.read_exact(&mut payload).await.ok()?;
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            let frame = Frame { kind: head[3], flags: head[4], stream, payload };
            match frame.kind {
                SETTINGS if frame.flags & ACK == 0 => self.send(SETTINGS, ACK, 0, &[]).await,
                SETTINGS | WINDOW_UPDATE | PING => {}
                _ => return Some(frame),
            }
        }
    }

    /// Reads a stream until so much of its body is there, or it ends; the body, and whether it ended well.
    async fn body(&mut self, stream: u32, wanted: usize) -> (Vec<u8>, bool) {
        let mut body = Vec::new();
        let read = async {
            while body.len() < wanted {
                let Some(frame) = self.frame().await else { return false };
                if frame.stream != stream {
                    continue;
                }
                match frame.kind {
                    DATA => body.extend_from_slice(&frame.payload),
                    RST_STREAM => return false,
                    _ => {}
                }
                if matches!(frame.kind, DATA | HEADERS) && frame.flags & END_STREAM != 0 {
                    return true;
                }
            }
            false
        };
        let ended = tokio::time::timeout(PATIENCE, read).await.expect("the stream stalls");
        (body, ended)
    }
}

fn cases(upstreams: impl IntoIterator<Item = Upstream>) -> Vec<Case> {
    let case = |(number, upstream)| Case {
        number,
        is_post: true,
        upload: Upload::Length(20),
        client: Client::Reads,
        upstream,
        salt: 1,
    };
    upstreams.into_iter().enumerate().map(case).collect()
}

fn stream(tokens: usize, fault: Option<(usize, Fault)>) -> Upstream {
    let content = Content::Stream { tokens, marker: true };
    Upstream::Replies(Reply { status: 200, informational: 0, framing: Framing::Length, content, fault })
}

fn body_of(case: &Case) -> Vec<u8> {
    let Expected { answer: Some(answer), .. } = Expected::of(case) else { return Vec::new() };
    answer.body.unwrap_or_default().into_bytes()
}

async fn behind(name: &str, cases: Vec<Case>) -> (Proxy, Arc<Plan>) {
    let plan = Arc::new(Plan::new(cases, CAP));
    let upstream = upstream::start(&plan).await;
    (Proxy::start(name, upstream, CAP, ""), plan)
}

/// The records by case, as outcome and phase; absent for those that never arrived.
async fn told(proxy: Proxy, plan: &Plan) -> Vec<Option<[String; 2]>> {
    proxy.reaches("in_flight", 0).await;
    proxy.reaches("queue_depth", 0).await;
    assert_eq!(plan.complaints(), Vec::<String>::new());
    let records = tokio::task::spawn_blocking(|| proxy.records()).await.unwrap();
    let told = |case: &Case| {
        let record = records.get(&case.id())?;
        Some(["outcome", "phase"].map(|name| record[name].as_str().unwrap_or("").to_owned()))
    };
    plan.cases.iter().map(told).collect()
}

fn ended(outcome: &str, phase: &str) -> Option<[String; 2]> {
    Some([outcome.to_owned(), phase.to_owned()])
}

/// Of streams on one connection each is reset in another phase, and those beside them come through whole.
#[tokio::test]
async fn streams_are_reset_in_every_phase() {
    let cases = cases([
        stream(5, None),
        Upstream::Stalls,
        stream(5, Some((0, Fault::Stalls))),
        stream(5, Some((300, Fault::Stalls))),
        stream(5, None),
        stream(5, None),
    ]);
    let (proxy, plan) = behind("h2-resets", cases).await;
    let mut client = Connection::open(&proxy, 65_535).await;
    // In its body.
    client.request(1, &plan.cases[0], false).await;
    client.send(RST_STREAM, 0, 1, &CANCEL).await;
    for (number, id) in [(1, 3), (2, 5), (3, 7)] {
        client.request(id, &plan.cases[number], true).await;
        plan.until_seen(&plan.cases[number]).await;
    }
    // In the queue, since the three hold every slot.
    client.request(9, &plan.cases[4], true).await;
    proxy.reaches("queue_depth", 1).await;
    client.send(RST_STREAM, 0, 9, &CANCEL).await;
    proxy.reaches("queue_depth", 0).await;
    let (body, _) = client.body(7, 300).await;
    assert_eq!(body, body_of(&plan.cases[5])[..300], "what came before the reset is right");
    for (number, id) in [(1, 3), (2, 5), (3, 7)] {
        plan.leaves(&plan.cases[number]);
        client.send(RST_STREAM, 0, id, &CANCEL).await;
    }
    client.request(11, &plan.cases[5], true).await;
    assert_eq!(client.body(11, usize::MAX).await, (body_of(&plan.cases[5]), true));
    let expected = [
        None,
        ended("cancelled", "dispatch"),
        ended("cancelled", "prefill"),
        ended("cancelled", "streaming"),
        ended("cancelled", "queued"),
        ended("completed", "done"),
    ];
    assert_eq!(told(proxy, &plan).await, expected);
}

/// A stream whose upstream breaks off is reset, and the connection serves on.
#[tokio::test]
async fn a_broken_stream_is_reset_alone() {
    let ends = Fault::Ends(crate::case::End::Close);
    let (proxy, plan) = behind("h2-broken", cases([stream(5, Some((300, ends))), stream(5, None)])).await;
    let mut client = Connection::open(&proxy, 65_535).await;
    client.request(1, &plan.cases[0], true).await;
    let (body, is_whole) = client.body(1, usize::MAX).await;
    assert!(!is_whole && body_of(&plan.cases[0]).starts_with(&body), "{body:?}");
    client.request(3, &plan.cases[1], true).await;
    assert_eq!(client.body(3, usize::MAX).await, (body_of(&plan.cases[1]), true));
    assert_eq!(told(proxy, &plan).await, [ended("failed", "streaming"), ended("completed", "done")]);
}

/// A client that says goodbye still gets what is under way; one that goes without a word frees all its slots.
#[tokio::test]
async fn connections_end_with_streams_under_way() {
    let stalls = || stream(5, Some((300, Fault::Stalls)));
    let (proxy, plan) =
        behind("h2-ends", cases([stream(5, None), stalls(), stalls(), Upstream::Stalls])).await;
    let mut client = Connection::open(&proxy, 0).await;
    client.request(1, &plan.cases[0], true).await;
    plan.until_seen(&plan.cases[0]).await;
    // No error, and no stream of the other side has been seen.
    client.send(GOAWAY, 0, 0, &[0; 8]).await;
    client.send(WINDOW_UPDATE, 0, 1, &65_535u32.to_be_bytes()).await;
    assert_eq!(client.body(1, usize::MAX).await, (body_of(&plan.cases[0]), true));
    let mut client = Connection::open(&proxy, 65_535).await;
    for (number, id) in [(1, 1), (2, 3), (3, 5)] {
        client.request(id, &plan.cases[number], true).await;
        plan.until_seen(&plan.cases[number]).await;
    }
    client.body(1, 300).await;
    proxy.reaches("in_flight", 3).await;
    for case in &plan.cases[1..] {
        plan.leaves(case);
    }
    drop(client);
    let told = told(proxy, &plan).await;
    assert_eq!(told[0], ended("completed", "done"));
    assert_eq!(told[1], ended("cancelled", "streaming"));
    // Its bytes may have been on their way.
    assert!([ended("cancelled", "prefill"), ended("cancelled", "streaming")].contains(&told[2]), "{told:?}");
    assert_eq!(told[3], ended("cancelled", "dispatch"));
}

/// A client that never opens its window holds its slot, and not for longer than it is there.
#[tokio::test]
async fn a_window_that_never_opens_holds_its_slot_only_while_it_is_there() {
    let (proxy, plan) = behind("h2-window", cases([stream(5000, None), stream(5, None)])).await;
    let mut client = Connection::open(&proxy, 0).await;
    client.request(1, &plan.cases[0], true).await;
    plan.until_seen(&plan.cases[0]).await;
    let frame = client.frame().await.unwrap();
    assert_eq!((frame.kind, frame.stream), (HEADERS, 1));
    proxy.reaches("in_flight", 1).await;
    let mut other = Connection::open(&proxy, 65_535).await;
    other.request(1, &plan.cases[1], true).await;
    assert_eq!(other.body(1, usize::MAX).await, (body_of(&plan.cases[1]), true));
    plan.leaves(&plan.cases[0]);
    client.send(RST_STREAM, 0, 1, &CANCEL).await;
    let told = told(proxy, &plan).await;
    // A first frame may have been taken before the window stopped it.
    assert!([ended("cancelled", "prefill"), ended("cancelled", "streaming")].contains(&told[0]), "{told:?}");
    assert_eq!(told[1], ended("completed", "done"));
}
