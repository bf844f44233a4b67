//! The layer reads what passes: when tokens came, how many, and how it ended.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use bytes::buf::{Buf, Chain};
use futures_util::{StreamExt, stream};
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, StreamBody};
use proptest::prelude::*;
use tower::{Layer, ServiceExt, service_fn};
use tower_tps::Pool;
use tower_tps::layer::ResponseBody;
use tower_tps::outcome::{Outcome, Phase};
use tower_tps::record::RequestRecord;
use tower_tps::tokens::{Counter, TokenSource, Tokenizer, Tokens};

#[path = "support/records.rs"]
mod records;

use self::records::Records;

const ROLE: &str = "data: {\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
const ONE: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"one\"},\"finish_reason\":null}]}\n\n";
const TWO: &str = "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"two\\n\"}}]}\n\n";
const STOP: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":7,\"total_tokens\":12,\"completion_tokens_details\":{\"reasoning_tokens\":3}}}\n\n";
const DONE: &str = "data: [DONE]\n\n";
const ERROR: &str = "data: {\"error\":{\"message\":\"no\",\"type\":\"overloaded\"}}\n\n";
const KEEP_ALIVE: &str = ": keep-alive\n\n";

type Script = std::pin::Pin<Box<dyn Body<Data = Bytes, Error = Infallible> + Send>>;

/// A body whose frames come each so many milliseconds after the last.
fn script(frames: Vec<(u64, Bytes)>) -> Script {
    let frames = stream::iter(frames).then(|(millis, bytes)| async move {
        if millis > 0 {
            tokio::time::sleep(Duration::from_millis(millis)).await;
        }
        Ok::<_, Infallible>(Frame::data(bytes))
    });
    Box::pin(StreamBody::new(frames))
}

fn text(frames: &[(u64, &'static str)]) -> Script {
    script(frames.iter().map(|&(millis, text)| (millis, Bytes::from_static(text.as_bytes()))).collect())
}

fn pool() -> (Pool, Records) {
    let records = Records::default();
    (Pool::builder("test").observer(records.clone()).build().unwrap(), records)
}

async fn respond<B>(pool: &Pool, kind: &str, body: B) -> ResponseBody<B>
where
    B: Body + Send,
    B::Data: From<Bytes>,
{
    let response = Response::builder().header("content-type", kind).body(body).unwrap();
    let response = Arc::new(Mutex::new(Some(response)));
    let upstream = service_fn(move |_: Request<()>| {
        let response = response.lock().unwrap().take().expect("called once");
        async { Ok::<_, Infallible>(response) }
    });
    pool.layer().layer(upstream).oneshot(Request::new(())).await.unwrap().into_body()
}

/// The record of a response that is read to its end.
async fn read(kind: &str, body: Script) -> RequestRecord {
    let (pool, records) = pool();
    respond(&pool, kind, body).await.collect().await.unwrap();
    let mut records = records.0.lock().unwrap();
    assert_eq!(records.len(), 1);
    records.remove(0)
}

fn millis(time: Option<Duration>) -> u128 {
    time.expect("present").as_millis()
}

/// The first token is neither the first byte, nor the comment, nor the role;
/// the last is neither the stop, nor the usage, nor `[DONE]`.
#[tokio::test(start_paused = true)]
async fn tokens_are_not_bytes() {
    let frames = text(&[
        (10, KEEP_ALIVE),
        (10, ROLE),
        (100, ONE),
        (50, TWO),
        (200, ONE),
        (10, STOP),
        (10, USAGE),
        (10, DONE),
        (30, KEEP_ALIVE),
    ]);
    let record = read("text/event-stream; charset=utf-8", frames).await;
    let timeline = record.timeline;
    assert_eq!(millis(timeline.first_chunk_at.map(|at| at.since(timeline.queued_at))), 10);
    assert_eq!(millis(timeline.ttft()), 120);
    assert_eq!(millis(timeline.t_stream()), 250);
    assert_eq!(millis(timeline.max_token_gap()), 200);
    assert_eq!(millis(timeline.t_in_flight()), 430);
    assert_eq!(timeline.first_chunk_tokens(), Some(2), "3 of 10 bytes of text, of 7 tokens");
    assert_eq!((record.outcome, record.phase), (Outcome::Completed, Phase::Done));

    let generated = record.generated.unwrap();
    assert_eq!((generated.format, generated.streamed), (Some("openai-chat"), true));
    assert_eq!(generated.output_tokens, Some((7, TokenSource::Usage)));
    assert_eq!((generated.input_tokens, generated.reasoning_tokens), (Some(5), Some(3)));
    assert_eq!((generated.content_events, generated.counted_tokens), (3, None));
    assert_eq!((generated.model.as_deref(), generated.finish_reason.as_deref()), (Some("m"), Some("stop")));
}

/// A usage that content followed, or of zero beside content, is not the final one.
#[tokio::test(start_paused = true)]
async fn an_early_usage_is_not_final() {
    let early = "data: {\"choices\":[],\"usage\":{\"completion_tokens\":1}}\n\n";
    let zero = "data: {\"choices\":[],\"usage\":{\"completion_tokens\":0}}\n\n";
    for (frames, tokens) in [
        (&[(1, early), (1, ONE), (1, TWO)][..], Some((2, TokenSource::Events))),
        (&[(1, ONE), (1, ONE), (1, zero), (1, DONE)][..], Some((2, TokenSource::Events))),
        (&[(1, ONE), (1, early), (1, DONE)][..], Some((1, TokenSource::Usage))),
        (&[(1, zero), (1, DONE)][..], Some((0, TokenSource::Usage))),
    ] {
        let record = read("text/event-stream", text(frames)).await;
        assert_eq!(record.generated.unwrap().output_tokens, tokens, "{frames:?}");
    }
}

/// One JSON document has its first and last token in the frame that completed
/// it, and no rate.
#[tokio::test(start_paused = true)]
async fn a_document_has_one_instant() {
    let frames = text(&[
        (10, "{\"object\":\"chat.completion\",\"choices\":[{\"message\":{\"content\":\"one"),
        (20, " two\"},\"finish_reason\":\"stop\"}],\"usage\":{\"completion_tokens\":2}}"),
    ]);
    let record = read("application/json", frames).await;
    assert_eq!((record.outcome, record.output_tokens()), (Outcome::Completed, Some(2)));
    assert_eq!(millis(record.timeline.ttft()), 30);
    assert_eq!(record.timeline.t_stream(), Some(Duration::ZERO));
    assert_eq!(record.timeline.stream_tps(2), None);
    let generated = record.generated.unwrap();
    assert_eq!((generated.format, generated.streamed), (Some("openai-chat"), false));
}

/// How a stream that was read to its end is called.
#[tokio::test(start_paused = true)]
async fn how_it_ended() {
    for (frames, outcome, error) in [
        (&[(1, ONE), (1, STOP)][..], Outcome::Completed, None),
        (&[(1, ONE), (1, DONE)][..], Outcome::Completed, None),
        (&[(1, ONE)][..], Outcome::Truncated, None),
        (&[(1, "data: what is this\n\n")][..], Outcome::Truncated, None),
        (&[(1, ONE), (1, ERROR)][..], Outcome::Failed, Some("stream_error")),
    ] {
        let record = read("text/event-stream", text(frames)).await;
        assert_eq!((record.outcome, record.error_type.as_deref()), (outcome, error), "{frames:?}");
        assert_eq!(record.phase, Phase::Done);
    }
    let opaque = read("application/octet-stream", text(&[(1, ONE)])).await;
    assert_eq!((opaque.outcome, opaque.output_tokens()), (Outcome::Completed, None));
    // What does not say what it is, is what its first bytes say.
    let unnamed = read("text/plain", text(&[(1, ONE), (1, DONE)])).await;
    assert_eq!((unnamed.outcome, unnamed.output_tokens()), (Outcome::Completed, Some(1)));
    for words in ["dear reader\n\n", "event: error\ndata: a party\n\n", "{\"error\":\"x\"}\n"] {
        let plain = read("text/plain", text(&[(1, words)])).await;
        assert_eq!((plain.outcome, plain.output_tokens()), (Outcome::Completed, None), "{words}");
    }
}

/// What a body that was dropped half-way is called depends on what had passed:
/// the end marker, an error, or neither.
#[tokio::test(start_paused = true)]
async fn dropped_after_what() {
    for (frames, outcome, phase, tokens) in [
        (&[(1, ROLE)][..], Outcome::Cancelled, Phase::Prefill, None),
        (&[(1, ONE)][..], Outcome::Cancelled, Phase::Streaming, Some(1)),
        (&[(1, ONE), (1, ERROR)][..], Outcome::Failed, Phase::Streaming, Some(1)),
        (&[(1, ONE), (1, DONE)][..], Outcome::Completed, Phase::Done, Some(1)),
    ] {
        let (pool, records) = pool();
        let more = frames.iter().copied().chain([(1, KEEP_ALIVE)]).collect::<Vec<_>>();
        let mut body = respond(&pool, "text/event-stream", text(&more)).await;
        for _ in frames {
            body.frame().await.unwrap().unwrap();
        }
        drop(body);
        let record = records.0.lock().unwrap().remove(0);
        assert_eq!((record.outcome, record.phase), (outcome, phase), "{frames:?}");
        assert_eq!(record.output_tokens(), tokens);
    }
}

/// A stream that is cut off has emitted what its counter held back.
#[tokio::test(start_paused = true)]
async fn what_a_cut_stream_has_emitted() {
    /// One token a piece, of which it holds back the last.
    #[derive(Clone, Debug, Default)]
    struct Late(u64);
    impl Tokenizer for Late {
        fn name(&self) -> &str {
            "late"
        }
        fn counter(&self) -> Box<dyn Counter> {
            Box::<Late>::default()
        }
    }
    impl Counter for Late {
        fn push(&mut self, _: &str) -> u64 {
            std::mem::replace(&mut self.0, 1)
        }
        fn finish(&mut self) -> u64 {
            self.0
        }
    }
    let records = Records::default();
    let pool = Pool::builder("test")
        .tokenizer(Tokens::by(Late::default()))
        .observer(records.clone())
        .build()
        .unwrap();
    let mut body = respond(&pool, "text/event-stream", text(&[(1, ONE), (1, ONE), (1, ONE)])).await;
    body.frame().await.unwrap().unwrap();
    body.frame().await.unwrap().unwrap();
    assert_eq!(pool.sample().emitted_tokens, 1);
    drop(body);
    assert_eq!(records.0.lock().unwrap().remove(0).output_tokens(), Some(2));
    assert_eq!(pool.sample().emitted_tokens, 2);
}

/// Data in several slices is read through, and handed on as it is.
#[tokio::test(start_paused = true)]
async fn several_slices_are_one_event() {
    #[derive(Debug)]
    struct Two(Chain<Bytes, Bytes>);
    impl From<Bytes> for Two {
        fn from(bytes: Bytes) -> Self {
            Self(bytes.chain(Bytes::new()))
        }
    }
    impl Buf for Two {
        fn remaining(&self) -> usize {
            self.0.remaining()
        }
        fn chunk(&self) -> &[u8] {
            self.0.chunk()
        }
        fn advance(&mut self, count: usize) {
            self.0.advance(count);
        }
        fn chunks_vectored<'a>(&'a self, slices: &mut [std::io::IoSlice<'a>]) -> usize {
            self.0.chunks_vectored(slices)
        }
    }
    let (pool, records) = pool();
    let (left, right) = ONE.split_at(20);
    let whole = Two(Bytes::from_static(left.as_bytes()).chain(Bytes::from_static(right.as_bytes())));
    let frames = stream::iter([Ok::<_, Infallible>(Frame::data(whole))]);
    let body = respond(&pool, "text/event-stream", StreamBody::new(frames)).await;
    assert_eq!(body.collect().await.unwrap().to_bytes(), ONE);
    let record = records.0.lock().unwrap().remove(0);
    assert_eq!(record.generated.unwrap().content_events, 1);
}

/// Counts characters, and panics at a `!`.
#[derive(Debug)]
struct Characters;

impl Tokenizer for Characters {
    fn name(&self) -> &str {
        "characters"
    }
    fn counter(&self) -> Box<dyn Counter> {
        Box::new(Characters)
    }
}

impl Counter for Characters {
    fn push(&mut self, text: &str) -> u64 {
        assert!(!text.contains('!'), "a tokenizer that cannot");
        text.chars().count() as u64
    }
    fn finish(&mut self) -> u64 {
        0
    }
}

/// A tokenizer's count stands beside the usage and in its place where there is
/// none; one that panics loses its count, not the stream.
#[tokio::test(start_paused = true)]
async fn a_tokenizer_counts_or_fails_alone() {
    let bad = "data: {\"choices\":[{\"delta\":{\"content\":\"!\"}}]}\n\n";
    for (frames, tokens, counted) in [
        (&[(1, ONE), (1, TWO), (1, DONE)][..], Some((7, TokenSource::Tokenizer)), Some(7)),
        (&[(1, ONE), (1, USAGE), (1, DONE)][..], Some((7, TokenSource::Usage)), Some(3)),
        (&[(1, ONE), (1, bad), (1, DONE)][..], Some((2, TokenSource::Events)), None),
    ] {
        let records = Records::default();
        let pool = Pool::builder("test")
            .tokenizer(Tokens::by(Characters))
            .observer(records.clone())
            .build()
            .unwrap();
        respond(&pool, "text/event-stream", text(frames)).await.collect().await.unwrap();
        let generated = records.0.lock().unwrap().remove(0).generated.unwrap();
        assert_eq!((generated.output_tokens, generated.counted_tokens), (tokens, counted));
    }
}

/// All of a record that does not depend on which frame held what.
fn essence(record: &RequestRecord) -> String {
    format!(
        "{:?} {:?} {:?} {:?} {}",
        record.outcome, record.phase, record.error_type, record.generated, record.response_bytes
    )
}

proptest! {
    /// Any cut of the same bytes into frames gives the same record.
    #[test]
    fn any_cut_gives_the_same_record(
        picks in proptest::collection::vec(0..8usize, 1..12),
        cuts in proptest::collection::vec(1..80usize, 1..20),
        kind in prop_oneof![Just("text/event-stream"), Just("application/json"), Just("text/plain")],
    ) {
        const PIECES: [&str; 8] = [ROLE, ONE, TWO, STOP, USAGE, DONE, ERROR, KEEP_ALIVE];
        let whole = Bytes::from(picks.iter().map(|&pick| PIECES[pick]).collect::<String>());
        let mut rest = whole.clone();
        let mut frames = vec![];
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            frames.push((0, rest.split_to((*cut).min(rest.len()))));
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let at_once = read(kind, script(vec![(0, whole)])).await;
            let in_pieces = read(kind, script(frames)).await;
            prop_assert_eq!(essence(&at_once), essence(&in_pieces));
            Ok(())
        })?;
    }
}

/// An odd value costs itself: neither the content beside it nor the other
/// figures of a usage, and what is no error is none.
#[tokio::test(start_paused = true)]
async fn an_odd_value_costs_itself() {
    for (odd, usage) in [
        ("{\"choices\":[{\"delta\":{\"content\":\"a\",\"tool_calls\":{}}}]}", None),
        ("{\"choices\":[{\"delta\":{\"content\":\"a\",\"tool_calls\":[null]}}]}", None),
        ("{\"choices\":[{\"delta\":{\"content\":\"a\",\"function_call\":\"\",\"audio\":\"\"}}]}", None),
        ("{\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"error\":0}", None),
        ("{\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"error\":[]}", None),
        ("{\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"error\":{ }}", None),
        (
            "{\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"usage\":{\"prompt_tokens\":\"5\",\"completion_tokens\":7.0,\"completion_tokens_details\":[]}}",
            Some(7),
        ),
        (
            "{\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"usage\":{\"completion_tokens\":18446744073709551615}}",
            None,
        ),
    ] {
        let event = Bytes::from(format!("data: {odd}\n\n"));
        let frames = script(vec![(1, event), (1, Bytes::from_static(DONE.as_bytes()))]);
        let record = read("text/event-stream", frames).await;
        assert_eq!(record.outcome, Outcome::Completed, "{odd}");
        let generated = record.generated.unwrap();
        assert_eq!((generated.content_events, generated.usage_output_tokens), (1, usage), "{odd}");
    }
}

/// What names itself JSON and is not one document is opaque; what ends too
/// early is truncated; a byte order mark is neither.
#[tokio::test(start_paused = true)]
async fn documents_that_are_not() {
    let chat = "{\"choices\":[{\"message\":{\"content\":\"a\"}}]}";
    for (body, outcome, format) in [
        (chat.to_owned(), Outcome::Completed, "openai-chat"),
        (format!("\u{feff}{chat}"), Outcome::Completed, "openai-chat"),
        (format!("{chat}\n{chat}"), Outcome::Completed, "opaque"),
        (" \n".to_owned(), Outcome::Completed, "opaque"),
        (chat[..20].to_owned(), Outcome::Truncated, "opaque"),
    ] {
        let record = read("application/json", script(vec![(1, Bytes::from(body.clone()))])).await;
        assert_eq!((record.outcome, record.generated.unwrap().format), (outcome, Some(format)), "{body}");
    }
}

/// A body in an encoding is read on a copy: its bytes pass as they came.
#[cfg(feature = "decompress")]
#[tokio::test(start_paused = true)]
async fn an_encoded_body() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/conformance/encoded/gzip-flushed.sse.gz");
    let bytes = std::fs::read(path).unwrap();
    let frames = bytes.chunks(40).map(|frame| (10, Bytes::copy_from_slice(frame))).collect();
    let (pool, records) = pool();
    let response = Response::builder()
        .header("content-type", "text/event-stream")
        .header("content-encoding", "gzip")
        .body(script(frames))
        .unwrap();
    let response = Arc::new(Mutex::new(Some(response)));
    let upstream = service_fn(move |_: Request<()>| {
        let response = response.lock().unwrap().take().expect("called once");
        async { Ok::<_, Infallible>(response) }
    });
    let response = pool.layer().layer(upstream).oneshot(Request::new(())).await.unwrap();
    let passed = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(passed, bytes);

    let record = records.0.lock().unwrap().remove(0);
    assert_eq!((record.outcome, record.response_bytes), (Outcome::Completed, bytes.len() as u64));
    assert!(millis(record.timeline.t_stream()) > 0, "its events were seen as they came");
    let generated = record.generated.unwrap();
    assert_eq!(generated.format, Some("openai-chat"));
    assert!(matches!(generated.output_tokens, Some((_, TokenSource::Usage))));
}

/// Counts bytes.
#[derive(Debug)]
struct BytesOf(&'static str);

#[derive(Debug)]
struct ByteCounter;

impl Tokenizer for BytesOf {
    fn name(&self) -> &str {
        self.0
    }

    fn counter(&self) -> Box<dyn Counter> {
        Box::new(ByteCounter)
    }
}

impl Counter for ByteCounter {
    fn push(&mut self, text: &str) -> u64 {
        text.len() as u64
    }

    fn finish(&mut self) -> u64 {
        0
    }
}

/// Each model has its tokenizer, by the longest prefix of its name, and the
/// record says which; without a name, or with another, the default counts.
#[tokio::test(start_paused = true)]
async fn a_tokenizer_for_each_model() {
    let tokens =
        || Tokens::events().for_models("gpt-", BytesOf("gpt")).for_models("gpt-4-", BytesOf("gpt-4"));
    for (model, tokenizer, source) in [
        ("\"model\":\"gpt-5\",", "gpt", TokenSource::Tokenizer),
        ("\"model\":\"gpt-4-turbo\",", "gpt-4", TokenSource::Tokenizer),
        ("\"model\":\"openai/gpt-4-turbo\",", "gpt-4", TokenSource::Tokenizer),
        ("\"model\":\"GPT-4-turbo\",", "gpt-4", TokenSource::Tokenizer),
        ("\"model\":\"ft:gpt-4o-2024-08-06:o::1\",", "gpt", TokenSource::Tokenizer),
        ("\"model\":\"llama\",", "events", TokenSource::Events),
        ("", "events", TokenSource::Events),
    ] {
        let records = Records::default();
        let pool = Pool::builder("test").tokenizer(tokens()).observer(records.clone()).build().unwrap();
        let chunk =
            format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"abc\"}}}}],{model}\"id\":\"1\"}}\n\n");
        let frames = vec![(1, Bytes::from(chunk.clone())), (1, Bytes::from(chunk)), (1, DONE.into())];
        respond(&pool, "text/event-stream", script(frames)).await.collect().await.unwrap();
        let record = records.0.lock().unwrap().remove(0);
        let generated = record.generated.unwrap();
        let tokens = if source == TokenSource::Events { 2 } else { 6 };
        assert_eq!(&*generated.tokenizer, tokenizer, "{model}");
        assert_eq!(generated.output_tokens, Some((tokens, source)), "{model}");
        assert_eq!(record.timeline.first_chunk_tokens(), Some(tokens / 2), "{model}");
    }
}

/// A stream that was buffered on its way has more text in a frame than a poll
/// may count: its record comes when it is counted, and every figure is right.
#[tokio::test]
async fn a_long_text_is_counted_off_the_poll() {
    let records = Records::default();
    let tokens = Tokens::by(BytesOf("bytes"));
    let pool = Pool::builder("test").tokenizer(tokens).observer(records.clone()).build().unwrap();
    let chunk = |length: usize| {
        let text = "x".repeat(length);
        Bytes::from(format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n"))
    };
    let frames = vec![(1, chunk(40_000)), (1, chunk(10)), (1, DONE.into())];
    respond(&pool, "text/event-stream", script(frames)).await.collect().await.unwrap();
    while !pool.is_settled() {
        tokio::task::yield_now().await;
    }
    let record = records.0.lock().unwrap().remove(0);
    assert_eq!(record.output_tokens(), Some(40_010));
    assert_eq!(record.timeline.first_chunk_tokens(), Some(40_000));
    assert_eq!(record.timeline.burst(40_010), Some(40_000.0 / 40_010.0));
    assert_eq!(pool.sample().emitted_tokens, 40_010);
}

/// A tokenizer decides on a frame's last token with the next frame, or on all of
/// them at the end; what was in which frame is known all the same.
#[tokio::test(start_paused = true)]
async fn tokens_of_the_first_frame() {
    /// Keeps everything until the end, and counts words.
    #[derive(Debug, Default)]
    struct Words(String);
    impl Tokenizer for Words {
        fn name(&self) -> &str {
            "words"
        }
        fn counter(&self) -> Box<dyn Counter> {
            Box::<Words>::default()
        }
    }
    impl Counter for Words {
        fn push(&mut self, text: &str) -> u64 {
            self.0.push_str(text);
            0
        }
        fn finish(&mut self) -> u64 {
            self.0.split_whitespace().count() as u64
        }
    }
    for (texts, first, decode_tps, burst) in [
        // One token a frame, 100 ms apart: 10 a second.
        (&["The", " quick", " brown"][..], 1, 10.0, 1.0 / 3.0),
        // Buffered: 9 of 10 at once.
        (&["a b c d e f g h i", " j"][..], 9, 10.0, 0.9),
    ] {
        let records = Records::default();
        let tokens = Tokens::by(Words::default());
        let pool = Pool::builder("test").tokenizer(tokens).observer(records.clone()).build().unwrap();
        let frame = |text: &&str| {
            (
                100,
                Bytes::from(format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n")),
            )
        };
        let frames = texts.iter().map(frame).chain([(1, DONE.into())]).collect();
        respond(&pool, "text/event-stream", script(frames)).await.collect().await.unwrap();
        let record = records.0.lock().unwrap().remove(0);
        let tokens = record.output_tokens().unwrap();
        assert_eq!(record.timeline.first_chunk_tokens(), Some(first), "{texts:?}");
        assert_eq!(record.timeline.decode_tps(tokens), Some(decode_tps), "{texts:?}");
        assert_eq!(record.timeline.burst(tokens), Some(burst), "{texts:?}");
    }
}
