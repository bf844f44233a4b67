//! The layer that asks for usage: what it writes into requests, what it
//! withholds from responses, and that all else passes byte for byte.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full, StreamBody};
use proptest::prelude::*;
use tokio::net::TcpListener;
use tokio_test::{assert_pending, assert_ready, task};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_tps::Pool;
use tower_tps::ensure_usage::{EVENT_LIMIT, EnsureUsageLayer, REQUEST_LIMIT, RequestBody};
use tower_tps::tokens::TokenSource;

#[path = "support/records.rs"]
mod records;

use self::records::Records;

const PATH: &str = "/v1/chat/completions";
const ASK: &str = r#"{"messages":[],"stream":true}"#;
const ASKED: &str = r#"{"messages":[],"stream":true,"stream_options":{"include_usage":true}}"#;
const ONE: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"one\"}}],\"usage\":null}\n\n";
const USAGE: &str = "data: {\"id\":\"x\",\"choices\":[],\"usage\":{\"completion_tokens\":7}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

#[derive(Debug, PartialEq)]
struct Broken;

type Frames = Pin<Box<dyn Body<Data = Bytes, Error = Broken> + Send>>;
type Item = Result<Frame<Bytes>, Broken>;

/// A body of these frames, and an error.
fn frames(items: Vec<Item>) -> Frames {
    Box::pin(StreamBody::new(stream::iter(items)))
}

fn data(bytes: impl AsRef<[u8]>) -> Item {
    Ok(Frame::data(Bytes::copy_from_slice(bytes.as_ref())))
}

fn trailers(name: &'static str) -> Item {
    Ok(Frame::trailers(HeaderMap::from_iter([(name.parse().unwrap(), HeaderValue::from_static("x"))])))
}

fn cut(bytes: &[u8], every: usize) -> Vec<Item> {
    bytes.chunks(every).map(data).collect()
}

/// What a body gave: its bytes, the name of a trailer, and how it failed.
#[derive(Debug, Default, PartialEq)]
struct Got {
    bytes: Vec<u8>,
    trailer: Option<String>,
    error: bool,
}

async fn all_of<B: Body<Data = Bytes> + Unpin>(mut body: B) -> Got {
    let mut got = Got::default();
    while let Some(frame) = body.frame().await {
        match frame.map(Frame::into_data) {
            Ok(Ok(data)) => got.bytes.extend_from_slice(&data),
            Ok(Err(trailers)) => {
                let trailers = trailers.into_trailers().unwrap();
                got.trailer = trailers.keys().next().map(ToString::to_string);
            }
            Err(_) => {
                got.error = true;
                break;
            }
        }
    }
    got
}

/// What an inner service is given of this request.
async fn seen(request: Request<Frames>) -> (HeaderMap, Got) {
    seen_by(EnsureUsageLayer::new(), request).await
}

async fn seen_by(layer: EnsureUsageLayer, request: Request<Frames>) -> (HeaderMap, Got) {
    let seen = Arc::new(Mutex::new(None));
    let keep = seen.clone();
    let upstream = service_fn(move |request: Request<RequestBody<Frames>>| {
        let keep = keep.clone();
        async move {
            let (head, body) = request.into_parts();
            let hint = body.size_hint();
            let got = all_of(Box::pin(body)).await;
            let length = got.bytes.len() as u64;
            assert!(hint.lower() <= length && hint.upper().is_none_or(|upper| length <= upper));
            *keep.lock().unwrap() = Some((head.headers, got));
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        }
    });
    layer.layer(upstream).oneshot(request).await.unwrap();
    seen.lock().unwrap().take().expect("called")
}

async fn edited(body: &str) -> String {
    let (_, got) = seen(Request::post(PATH).body(frames(cut(body.as_bytes(), 7))).unwrap()).await;
    assert!(!got.error && got.trailer.is_none());
    String::from_utf8(got.bytes).unwrap()
}

/// A response of these frames to a request with this body.
async fn answer(ask: &'static str, head: &[(&str, &str)], items: Vec<Item>) -> Response<Frames> {
    answer_with(ask, head, frames(items)).await
}

async fn answer_with(ask: &'static str, head: &[(&str, &str)], body: Frames) -> Response<Frames> {
    let mut response = Response::builder();
    for (name, value) in head {
        response = response.header(*name, *value);
    }
    let response = Arc::new(Mutex::new(Some(response.body(body).unwrap())));
    let upstream = service_fn(move |_: Request<RequestBody<Full<Bytes>>>| {
        let response = response.lock().unwrap().take().expect("called once");
        async { Ok::<_, Infallible>(response) }
    });
    let request = Request::post(PATH).body(Full::new(Bytes::from_static(ask.as_bytes()))).unwrap();
    let response = EnsureUsageLayer::new().layer(upstream).oneshot(request).await.unwrap();
    response.map(|body| Box::pin(body) as Frames)
}

const SSE: &[(&str, &str)] = &[("content-type", "text/event-stream; charset=utf-8")];

async fn filtered(items: Vec<Item>) -> Got {
    all_of(answer(ASK, SSE, items).await.into_body()).await
}

async fn filtered_text(text: &str) -> String {
    String::from_utf8(filtered(vec![data(text)]).await.bytes).unwrap()
}

/// The smallest insertion there is, and every other byte as it was.
#[tokio::test]
async fn edits() {
    for (before, after) in [
        (ASK, ASKED),
        // Order, numbers, escapes, halves of surrogate pairs and white space stay.
        (
            "{ \"stream\" : true ,\n\t\"temperature\": 1.0e0, \"n\":1.00,\"prompt\": \"\\ud83d\\u0041}\" \r\n}\n ",
            "{ \"stream\" : true ,\n\t\"temperature\": 1.0e0, \"n\":1.00,\"prompt\": \"\\ud83d\\u0041}\",\"stream_options\":{\"include_usage\":true} \r\n}\n ",
        ),
        (
            r#"{"stream_options":null,"messages":[],"stream":true}"#,
            r#"{"stream_options":{"include_usage":true},"messages":[],"stream":true}"#,
        ),
        (
            r#"{"stream_options": { } ,"messages":[],"stream":true}"#,
            r#"{"stream_options": {"include_usage":true } ,"messages":[],"stream":true}"#,
        ),
        (
            r#"{"stream_options":{"include_obfuscation":false },"messages":[],"stream":true}"#,
            r#"{"stream_options":{"include_obfuscation":false,"include_usage":true },"messages":[],"stream":true}"#,
        ),
        (
            r#"{"stream_options":{"include_usage": false,"x":{"include_usage":true}},"prompt":"","stream":true}"#,
            r#"{"stream_options":{"include_usage": true,"x":{"include_usage":true}},"prompt":"","stream":true}"#,
        ),
        (
            r#"{"stream_options":{"include_usage":null},"prompt":"","stream":true}"#,
            r#"{"stream_options":{"include_usage":true},"prompt":"","stream":true}"#,
        ),
        // The same names deeper down, and in strings, are others.
        (
            r#"{"messages":[{"stream_options":{"include_usage":true}},"\"stream_options\":{}"],"stream":true}"#,
            r#"{"messages":[{"stream_options":{"include_usage":true}},"\"stream_options\":{}"],"stream":true,"stream_options":{"include_usage":true}}"#,
        ),
        // A key can be spelt with escapes.
        (
            r#"{"stream\u005foptions":{},"messages":[],"stre\u0061m":true}"#,
            r#"{"stream\u005foptions":{"include_usage":true},"messages":[],"stre\u0061m":true}"#,
        ),
        // Of keys that occur twice the last counts.
        (
            r#"{"stream":false,"stream_options":{"include_usage":true},"messages":[],"stream":true,"stream_options":{}}"#,
            r#"{"stream":false,"stream_options":{"include_usage":true},"messages":[],"stream":true,"stream_options":{"include_usage":true}}"#,
        ),
        (
            r#"{"stream_options":{"include_usage":true,"include_usage":false},"prompt":[],"stream":true}"#,
            r#"{"stream_options":{"include_usage":true,"include_usage":true},"prompt":[],"stream":true}"#,
        ),
    ] {
        assert_eq!(edited(before).await, after);
        assert_eq!(edited(after).await, after, "once is enough");
    }
}

/// What is no streaming request of OpenAI's, or is the caller's own wish.
#[tokio::test]
async fn bodies_that_pass() {
    let nested = format!(r#"{{"messages":{}{},"stream":true"#, "[".repeat(9_000), "]".repeat(9_000));
    for body in [
        "",
        "no JSON",
        r#"{"messages":[],"stream":false}"#,
        r#"{"messages":[],"stream":true,"stream":false}"#,
        r#"{"messages":[],"stream":"true"}"#,
        r#"{"messages":[]}"#,
        r#"{"input":"","stream":true}"#,
        r#"{"x":{"messages":[],"stream":true}}"#,
        r#"[{"messages":[],"stream":true}]"#,
        r#"[[],true]"#,
        r#"{"messages":[],"stream":true}{}"#,
        r#"{"messages":[],"stream":true"#,
        r#"{"messages":[],"stream":true,}"#,
        r#"{"messages":[],"stream":true,"stream_options":7}"#,
        r#"{"messages":[],"stream":true,"stream_options":[]}"#,
        r#"{"messages":[],"stream":true,"stream_options":{"include_usage":"no"}}"#,
        r#"{"messages":[],"stream":true,"stream_options":{"include_usage":true}}"#,
        "\u{feff}{\"messages\":[],\"stream\":true}",
        &nested,
    ] {
        assert_eq!(edited(body).await, body);
    }
    let latin1 = b"{\"messages\":[\"\xe9\"],\"stream\":true}";
    let (_, got) = seen(Request::post(PATH).body(frames(vec![data(latin1)])).unwrap()).await;
    assert_eq!(got.bytes, latin1);
}

/// By method, path and headers; of those only the length is ever changed.
#[tokio::test]
async fn heads() {
    let request = || Request::post(PATH).header("content-length", "29").header("expect", "100-continue");
    for (name, value, is_edited) in [
        ("accept-encoding", "gzip", true),
        ("content-type", "application/json; charset=utf-8", true),
        ("content-type", "Application/Vnd.Api+JSON", true),
        ("content-type", "text/plain", false),
        ("content-encoding", "identity", true),
        ("content-encoding", "gzip", false),
        ("digest", "sha-256=x", false),
        ("content-digest", "sha-256=:x:", false),
        ("content-md5", "x", false),
        ("signature", "x", false),
        ("x-amz-content-sha256", "x", false),
        ("authorization", "AWS4-HMAC-SHA256 Credential=x", false),
        ("authorization", "Bearer AWS4-x", true),
    ] {
        let request = request().header(name, value).body(frames(vec![data(ASK)])).unwrap();
        let mut expected = request.headers().clone();
        let (headers, got) = seen(request).await;
        assert_eq!(got.bytes, if is_edited { ASKED } else { ASK }.as_bytes(), "{name}: {value}");
        if is_edited {
            expected.insert("content-length", HeaderValue::from(ASKED.len()));
        }
        assert_eq!(headers, expected, "{name}: {value}");
    }
    let (headers, _) = seen(Request::post(PATH).body(frames(vec![data(ASK)])).unwrap()).await;
    assert!(headers.is_empty(), "none is added");

    for (method, path, is_edited) in [
        (Method::PUT, PATH, false),
        (Method::POST, "/openai/deployments/x/completions?api-version=1", true),
        (Method::POST, "/completions/", true),
        (Method::POST, "/v1/messages", false),
        (Method::POST, "/api/chat", false),
    ] {
        let request = || {
            let request = Request::builder().method(&method).uri(path);
            request.body(frames(vec![data(ASK)])).unwrap()
        };
        let (_, got) = seen(request()).await;
        assert_eq!(got.bytes == ASKED.as_bytes(), is_edited, "{method} {path}");
        let (_, got) = seen_by(EnsureUsageLayer::new().any_path(), request()).await;
        assert_eq!(got.bytes == ASKED.as_bytes(), method == Method::POST, "{method} {path} of any");
    }
}

/// At the bound a body is edited, over it it passes; trailers and errors come
/// where they came, and trailers that vouch for the bytes forbid the edit.
#[tokio::test]
async fn bounds_trailers_and_errors_of_requests() {
    let sized = |size: usize| format!("{ASK}{}", " ".repeat(size - ASK.len()));
    for (size, every, is_edited) in [
        (REQUEST_LIMIT, 10_000, true),
        (REQUEST_LIMIT + 1, 10_000, false),
        (REQUEST_LIMIT + 1, usize::MAX, false),
        (3 * REQUEST_LIMIT, 10_000, false),
    ] {
        let body = sized(size);
        let mut items = cut(body.as_bytes(), every);
        items.push(trailers("etag"));
        let (_, got) = seen(Request::post(PATH).body(frames(items)).unwrap()).await;
        let expected = if is_edited { body.replacen(ASK, ASKED, 1) } else { body };
        assert!(got.bytes == expected.as_bytes(), "{size}");
        assert_eq!(got.trailer.as_deref(), Some("etag"));
    }

    let (_, got) = seen(Request::post(PATH).body(frames(vec![data(ASK), trailers("digest")])).unwrap()).await;
    assert_eq!((got.bytes, got.trailer.as_deref()), (ASK.into(), Some("digest")));

    let items = vec![data(r#"{"messages":[],"#), data(r#""stream":true}"#), Err(Broken)];
    let (_, got) = seen(Request::post(PATH).body(frames(items)).unwrap()).await;
    assert_eq!(got, Got { bytes: ASK.into(), trailer: None, error: true });
}

/// A service that must have been polled ready before each call, and whose
/// clones are not.
#[derive(Default)]
struct Strict(bool);

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self(false)
    }
}

impl<R> Service<Request<R>> for Strict {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0 = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<R>) -> Self::Future {
        assert!(std::mem::take(&mut self.0), "not ready");
        std::future::ready(Ok(Response::default()))
    }
}

/// The readiness that was taken is that of the service that is called.
#[tokio::test]
async fn readiness_goes_along() {
    let mut service = EnsureUsageLayer::new().layer(Strict::default());
    for body in [ASK, "", ASK] {
        let request = Request::post(PATH).body(Full::new(Bytes::from_static(body.as_bytes()))).unwrap();
        let ready = ServiceExt::<Request<Full<Bytes>>>::ready(&mut service).await.unwrap();
        ready.call(request).await.unwrap();
    }
}

/// Only the usage-only event, with all its lines, whatever the line ends.
#[tokio::test]
async fn withholds() {
    for (text, kept) in [
        (format!("{ONE}{USAGE}{DONE}"), format!("{ONE}{DONE}")),
        (format!("{USAGE}{ONE}{USAGE}{USAGE}"), ONE.into()),
        (format!(": a\nid: 7\nevent: x\n{USAGE}{DONE}"), DONE.into()),
        (format!(": a\n\n{USAGE}\n\n"), ": a\n\n\n\n".into()),
        // Several `data:` lines; keys in any order; no space.
        ("data:{\"usage\":{},\ndata: \"choices\" : [ ] }\n\ndata:\n\n".into(), "data:\n\n".into()),
        ("data\ndata:\ndata: {\"usage\":{},\"choices\":[]}\n\n".into(), String::new()),
    ] {
        for end in ["\n", "\r\n", "\r"] {
            let (text, kept) = (text.replace('\n', end), kept.replace('\n', end));
            assert_eq!(filtered_text(&text).await, kept);
        }
    }
}

/// What looks like it and is not.
#[tokio::test]
async fn events_that_pass() {
    for text in [
        "data: {\"choices\":[],\"usage\":null}\n\n",
        "data: {\"choices\":[],\"prompt_filter_results\":[]}\n\n",
        "data: {\"usage\":{}}\n\n",
        "data: {\"choices\":null,\"usage\":{}}\n\n",
        "data: {\"choices\":[null],\"usage\":{}}\n\n",
        "data: {\"choices\":[{\"text\":\"\"}],\"usage\":{}}\n\n",
        "data: {\"choices\":[],\"usage\":{},\"error\":{}}\n\n",
        "data: {\"x\":{\"choices\":[],\"usage\":{}}}\n\n",
        "data: [[],{},null]\n\n",
        "data: {\"choices\":[],\"usage\":{}\n\n",
        ": {\"choices\":[],\"usage\":{}}\n\n",
        "{\"choices\":[],\"usage\":{}}\n\n",
        "datas: {\"choices\":[],\"usage\":{}}\n\n",
        "data: {\"choices\":[],\"usage\":{}}\ndata: [DONE]\n\n",
        // Unfinished: no blank line.
        "data: {\"choices\":[],\"usage\":{}}",
        "data: {\"choices\":[],\"usage\":{}}\n",
        "data: {\"choices\":[],\"usage\":{}}\r\n",
        "\u{feff}\n",
        "dat",
        "",
    ] {
        assert_eq!(filtered_text(text).await, text);
        let bytes = filtered(cut(text.as_bytes(), 1)).await.bytes;
        assert_eq!(String::from_utf8(bytes).unwrap(), text, "byte for byte");
    }
}

/// An event of a stream, and whether it is to be withheld.
fn event() -> impl Strategy<Value = (String, bool)> {
    let padding = (EVENT_LIMIT - 60..EVENT_LIMIT + 20).prop_map(|size| {
        let event = format!("data: {{\"choices\":[],\"usage\":{{}},\"x\":\"{}\"}}\n\n", "x".repeat(size));
        let fits = event.len() <= EVENT_LIMIT;
        (event, fits)
    });
    let harmless = prop_oneof![
        Just(ONE),
        Just(DONE),
        Just(": keep-alive\n\n"),
        Just("\n"),
        Just("event: error\ndata: {\"error\":{}}\n\n"),
        Just("data: {\"choices\":[],\"usage\":null}\n\n"),
        Just("data: é\n: x\n\n"),
    ];
    prop_oneof![
        6 => harmless.prop_map(|text| (text.to_owned(), false)),
        2 => Just((USAGE.to_owned(), true)),
        1 => Just((": c\nid: 1\ndata: {\"choices\":[],\ndata: \"usage\":{}}\nretry: 1\n\n".to_owned(), true)),
        1 => padding,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// However a stream is cut, out comes the stream without the usage-only
    /// events. Each event is out once it is complete, and of one that is not no
    /// more than the bound is held.
    #[test]
    fn any_cut_gives_the_same(
        events in proptest::collection::vec(event(), 0..8),
        end in prop_oneof![Just("\n"), Just("\r\n"), Just("\r")],
        last in prop_oneof![Just(""), Just("data: {\"choices\":[],\"usage\":{}}\n"), Just("da")],
        cuts in proptest::collection::vec(prop_oneof![4 => 1..40usize, 1 => 1..70_000usize], 1..40),
    ) {
        // The long ones are measured with one byte for each line's end.
        let end = if events.iter().any(|(event, _)| event.len() > 1_000) { "\n" } else { end };
        let last = last.replace('\n', end);
        let mut events: Vec<_> = events.into_iter().chain([(last.clone(), false)]).collect();
        for (event, _) in &mut events {
            if *event != last {
                *event = event.replace('\n', end);
            }
        }
        let all: String = events.iter().map(|(event, _)| event.as_str()).collect();
        let kept: String = events.iter().filter(|event| !event.1).map(|(event, _)| event.as_str()).collect();

        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        prop_assert_eq!(runtime.block_on(filtered(vec![data(&all)])).bytes, kept.as_bytes());

        let (sender, body) = pushed();
        let mut body = runtime.block_on(answer_with(ASK, SSE, body)).into_body();
        let (mut sent, mut got) = (0, Vec::new());
        for length in cuts.into_iter().cycle() {
            let Some(piece) = all.as_bytes().get(sent..).filter(|rest| !rest.is_empty()) else { break };
            let piece = &piece[..length.min(piece.len())];
            sent += piece.len();
            sender.send(data(piece)).unwrap();
            while let Poll::Ready(frame) = task::spawn(body.frame()).poll() {
                got.extend_from_slice(&frame.unwrap().unwrap().into_data().unwrap());
            }
            let (mut begin, mut due) = (0, 0);
            for (event, withheld) in &events {
                let seen = sent.saturating_sub(begin).min(event.len());
                let is_due = !withheld && (seen == event.len() && *event != last || seen > EVENT_LIMIT);
                due += if is_due { seen } else { 0 };
                begin += event.len();
            }
            prop_assert!(got.len() >= due, "{} of {due} bytes", got.len());
        }
        drop(sender);
        got.extend(runtime.block_on(all_of(body)).bytes);
        prop_assert!(got == kept.as_bytes(), "{:?}", String::from_utf8_lossy(&got));
    }

    /// Of arbitrary bytes that look a bit like events, nothing is lost.
    #[test]
    fn garbage_passes(text in "[d:\\[\\]{}\r\n é\\x00]{0,64}", every in 1..9usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let got = runtime.block_on(filtered(cut(text.as_bytes(), every)));
        prop_assert_eq!(got.bytes, text.as_bytes());
    }
}

/// The bound is that of an event, not of the pieces that it comes in.
#[tokio::test]
async fn the_bound_of_an_event() {
    let sized = |size: usize| {
        let event = |padding| format!("data: {{\"choices\":[],\"usage\":{{}}{padding}}}\n\n");
        event(" ".repeat(size - event(String::new()).len()))
    };
    for (size, withheld) in [(EVENT_LIMIT, true), (EVENT_LIMIT + 1, false), (EVENT_LIMIT + 3, false)] {
        let event = sized(size);
        for at in (1..4).chain(size - 6..=size) {
            let (first, second) = event.as_bytes().split_at(at);
            let got = filtered(vec![data(first), data(second), data(DONE)]).await.bytes;
            let expected = if withheld { DONE.to_owned() } else { format!("{event}{DONE}") };
            assert!(got == expected.as_bytes(), "{size} cut at {at}");
        }
    }
}

/// A body that is pushed by hand.
fn pushed() -> (tokio::sync::mpsc::UnboundedSender<Item>, Frames) {
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel::<Item>();
    let frames = stream::unfold(receiver, |mut receiver| async { Some((receiver.recv().await?, receiver)) });
    (sender, Box::pin(StreamBody::new(frames)))
}

/// A whole event passes in the poll that brings it, as the slice that it came
/// as; an unfinished one waits if it may be the usage, up to the bound.
#[tokio::test]
async fn what_waits_and_what_does_not() {
    let (sender, body) = pushed();
    let mut body = answer_with(ASK, SSE, body).await.into_body();
    let mut poll = || match task::spawn(body.frame()).poll() {
        Poll::Ready(frame) => Some(frame.unwrap().unwrap().into_data().unwrap()),
        Poll::Pending => None,
    };

    let chunk = Bytes::from(format!("{ONE}{USAGE}{ONE}{ONE}data: {{"));
    sender.send(Ok(Frame::data(chunk.clone()))).unwrap();
    let first = poll().unwrap();
    assert_eq!((first.as_ptr(), &first[..]), (chunk.as_ptr(), ONE.as_bytes()), "not copied");
    assert_eq!(poll().unwrap(), format!("{ONE}{ONE}"), "in one piece");
    assert_eq!(poll(), None);
    sender.send(data("}\n")).unwrap();
    assert_eq!(poll(), None);
    sender.send(data(format!("\n{ONE}"))).unwrap();
    assert_eq!(poll().unwrap(), "data: {}\n");
    assert_eq!(poll().unwrap(), format!("\n{ONE}"));

    sender.send(data("data: [")).unwrap();
    assert_eq!(poll().unwrap(), "data: [", "it cannot be the usage");
    sender.send(data("DONE]\n\n")).unwrap();
    assert_eq!(poll().unwrap(), "DONE]\n\n");

    sender.send(data(format!("data: {{{}", "x".repeat(EVENT_LIMIT - 7)))).unwrap();
    assert_eq!(poll(), None, "as much as is held");
    sender.send(data("x")).unwrap();
    assert_eq!(poll().unwrap().len(), EVENT_LIMIT);
    assert_eq!(poll().unwrap(), "x");
    sender.send(data("y")).unwrap();
    assert_eq!(poll().unwrap(), "y", "no more is held of it");
}

/// What is held comes before what ends the body, and the hints are true.
#[tokio::test]
async fn ends_of_responses() {
    let begun = "data: {\"choices\":[],\"usage\":{}}\n";
    for (end, trailer, error) in
        [(None, None, false), (Some(trailers("etag")), Some("etag"), false), (Some(Err(Broken)), None, true)]
    {
        let items = [data(ONE), data(USAGE), data(begun)].into_iter().chain(end).collect();
        let mut body = answer(ASK, SSE, items).await.into_body();
        assert_eq!((body.size_hint().lower(), body.size_hint().upper()), (0, None));
        assert!(!body.is_end_stream());
        let got = all_of(&mut body).await;
        assert_eq!(got.bytes, format!("{ONE}{begun}").into_bytes());
        assert_eq!((got.trailer.as_deref(), got.error), (trailer, error));
    }

    // A body that says that it is over is over, but not with bytes still held.
    for (text, pieces) in
        [("\n", &[("\n", true)][..]), ("\ndata: {", &[("\n", false), ("data: {", true)]), (USAGE, &[])]
    {
        let over = Full::new(Bytes::from_static(text.as_bytes())).map_err(|never| match never {});
        let mut body = answer_with(ASK, SSE, Box::pin(over)).await.into_body();
        for &(bytes, over) in pieces {
            assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), bytes);
            assert_eq!(body.is_end_stream(), over, "{text}");
        }
        assert!(body.frame().await.is_none() && body.is_end_stream());
    }
}

/// Nothing is withheld from who asked for it, and nothing from what is not a
/// stream of events or cannot be read; the length goes only where bytes may.
#[tokio::test]
async fn responses_that_pass() {
    let kind = SSE[0];
    for (ask, head, withheld) in [
        (ASK, &[kind, ("content-length", "7")][..], true),
        (ASK, &[kind, ("content-encoding", "identity")], true),
        (ASKED, &[kind, ("content-length", "7")], false),
        ("{}", &[kind], false),
        (ASK, &[kind, ("content-encoding", "gzip"), ("content-length", "7")], false),
        (ASK, &[kind, ("content-digest", "sha-256=:x:")], false),
        (ASK, &[("content-type", "application/json")], false),
        (ASK, &[], false),
    ] {
        let response = answer(ask, head, vec![data(USAGE), data(DONE), trailers("etag")]).await;
        let mut expected: Vec<_> = head.to_vec();
        expected.retain(|(name, _)| !withheld || *name != "content-length");
        let headers: Vec<_> =
            response.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        assert_eq!(headers, expected, "{ask} {head:?}");
        let got = all_of(response.into_body()).await;
        let bytes = if withheld { DONE.to_owned() } else { format!("{USAGE}{DONE}") };
        assert_eq!((got.bytes, got.trailer.as_deref()), (bytes.into_bytes(), Some("etag")), "{ask} {head:?}");
    }
}

/// While the body comes in nothing is called, and dropping then is safe.
#[tokio::test]
async fn waits_for_the_body() {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let keep = calls.clone();
    let upstream = service_fn(move |request: Request<RequestBody<Frames>>| {
        let hint = request.body().size_hint();
        keep.lock().unwrap().push((hint.lower(), hint.upper()));
        async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())) }
    });
    let mut service = EnsureUsageLayer::new().layer(upstream);

    let (sender, body) = pushed();
    let mut call = task::spawn(service.call(Request::post(PATH).body(body).unwrap()));
    sender.send(data(ASK)).unwrap();
    assert_pending!(call.poll());
    assert!(calls.lock().unwrap().is_empty());
    drop(sender);
    assert!(call.is_woken());
    assert_ready!(call.poll()).unwrap();
    let length = ASKED.len() as u64;
    assert_eq!(*calls.lock().unwrap(), [(length, Some(length))]);

    let (sender, body) = pushed();
    let mut call = task::spawn(service.call(Request::post(PATH).body(body).unwrap()));
    sender.send(data("x")).unwrap();
    assert_pending!(call.poll());
    sender.send(data("x".repeat(REQUEST_LIMIT))).unwrap();
    assert_ready!(call.poll()).unwrap();
    assert_eq!(calls.lock().unwrap().pop(), Some((REQUEST_LIMIT as u64 + 1, None)));

    let (sender, body) = pushed();
    let mut call = task::spawn(service.call(Request::post(PATH).body(body).unwrap()));
    assert_pending!(call.poll());
    drop(call);
    assert!(sender.is_closed());
    assert_eq!(calls.lock().unwrap().len(), 1);
}

/// An engine that gives the usage to who asks.
async fn engine(request: axum::extract::Request) -> Response<axum::body::Body> {
    let length: Option<usize> =
        request.headers().get("content-length").map(|length| length.to_str().unwrap().parse().unwrap());
    let body = request.into_body().collect().await.unwrap().to_bytes();
    assert!(length.is_none_or(|length| length == body.len()));
    let asked = serde_json::from_slice::<serde_json::Value>(&body).unwrap()["stream_options"]["include_usage"]
        == serde_json::Value::Bool(true);
    let events = [ONE, ONE, USAGE, DONE].into_iter().filter(move |event| asked || *event != USAGE);
    let events = stream::iter(events.map(|event| Ok::<_, Infallible>(Bytes::from(event))));
    let response = Response::builder().header("content-type", "text/event-stream");
    response.body(axum::body::Body::from_stream(events)).unwrap()
}

async fn serve(app: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

impl Records {
    /// The next record, as soon as it is there: its tokens are the usage's, of
    /// so many bytes.
    async fn check(&self, bytes: usize) {
        for _ in 0..1_000 {
            if let Some(record) = self.0.lock().unwrap().pop() {
                let generated = record.generated.unwrap();
                assert_eq!(generated.output_tokens, Some((7, TokenSource::Usage)));
                assert_eq!(record.response_bytes, bytes as u64);
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("no record came");
    }
}

/// Around an axum router and its meter, over real HTTP, and around a client of
/// that server: the meter sees the usage, who calls does not.
#[tokio::test]
async fn over_real_connections() {
    let records = Records::default();
    let pool = Pool::builder("axum").cap(1).observer(records.clone()).build().unwrap();
    let engines = Router::new().route(PATH, post(engine));
    let app = engines.clone().layer(pool.layer()).layer(EnsureUsageLayer::new());
    let (metered, plain) = (serve(app).await, serve(engines).await);

    let client = reqwest::Client::new();
    let text = client.post(format!("{metered}{PATH}")).body(ASK).send().await.unwrap().text().await.unwrap();
    assert_eq!(text, format!("{ONE}{ONE}{DONE}"));
    records.check(text.len() + USAGE.len()).await;
    let text =
        client.post(format!("{metered}{PATH}")).body(ASKED).send().await.unwrap().text().await.unwrap();
    assert_eq!(text, format!("{ONE}{ONE}{USAGE}{DONE}"));
    records.check(text.len()).await;

    let forward = service_fn(move |request: Request<RequestBody<Full<Bytes>>>| {
        let client = client.clone();
        let url = format!("{plain}{}", request.uri().path());
        async move {
            let body = reqwest::Body::wrap(request.into_body());
            client.post(url).body(body).send().await.map(Response::<reqwest::Body>::from)
        }
    });
    let records = Records::default();
    let pool = Pool::builder("reqwest").observer(records.clone()).build().unwrap();
    let service = ServiceBuilder::new().layer(EnsureUsageLayer::new()).layer(pool.layer()).service(forward);
    let request = Request::post(PATH).body(Full::new(Bytes::from_static(ASK.as_bytes()))).unwrap();
    let text = service.oneshot(request).await.unwrap().into_body().collect().await.unwrap().to_bytes();
    assert_eq!(text, format!("{ONE}{ONE}{DONE}"));
    records.check(text.len() + USAGE.len()).await;
}

// === The corpus ===

/// Whether a block of lines is an event with nothing but usage, by a second way of reading it.
fn is_usage_only(block: &str) -> bool {
    let data: Vec<_> = block.lines().filter_map(|line| line.strip_prefix("data:")).collect();
    let Ok(json) = serde_json::from_str::<serde_json::Value>(&data.join("\n")) else { return false };
    json["choices"].as_array().is_some_and(Vec::is_empty)
        && !json["usage"].is_null()
        && json["error"].is_null()
}

/// Of real responses, of whatever provider, whole and in pieces.
#[tokio::test]
async fn corpus() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    let Ok(index) = std::fs::read_to_string(folder.join("INDEX.tsv")) else {
        println!("skipped: there is no corpus here");
        return;
    };
    let (mut read, mut without) = (0, 0);
    for path in index.lines().skip(1).filter_map(|row| row.split('\t').next()) {
        let Ok(text) = std::fs::read_to_string(folder.join(path)) else { continue };
        if text.contains('\r') || !text.contains("data:") {
            continue;
        }
        let kept: String = text
            .split_inclusive("\n\n")
            .filter(|block| !(block.ends_with("\n\n") && is_usage_only(block)))
            .collect();
        for every in [usize::MAX, 1000, 7] {
            let got = filtered(cut(text.as_bytes(), every)).await.bytes;
            assert!(got == kept.as_bytes(), "{path} in pieces of {every}");
        }
        read += 1;
        without += usize::from(kept != text);
    }
    println!("{read} real responses, {without} of them with a usage to withhold");
}
