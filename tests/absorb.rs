//! Reading ahead of a slow client: the slot goes back when the upstream is done,
//! and the record holds both clocks.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::time::{Sleep, sleep};
use tower::{Layer, ServiceExt, service_fn};
use tower_tps::Pool;
use tower_tps::clock::Instant;
use tower_tps::gate::SlotPhase;
use tower_tps::layer::absorb::ResponseBody;
use tower_tps::observe::{Observer, RunLog, Sample};
use tower_tps::outcome::{Outcome, Phase};
use tower_tps::record::RequestRecord;

#[path = "support/records.rs"]
mod records;

use self::records::Records;

const TOKEN: &str = "data: {\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n";
const DONE: &str = "data: [DONE]\n\n";
const EVENTS: &str = "text/event-stream";
/// More than any script here holds.
const PLENTY: usize = 256 * 1024;
/// No more than the first frame.
const ONE_FRAME: usize = 1;

#[derive(Debug, PartialEq)]
struct Broken;

/// A body whose one line reads as its timeline: so long after it was asked for
/// there is a frame.
#[derive(Default)]
struct Script {
    steps: VecDeque<(u64, Result<Frame<Bytes>, Broken>)>,
    sleep: Option<Pin<Box<Sleep>>>,
    length: Option<u64>,
    /// Told the slots in use while this body is dropped.
    dropped: Option<(Pool, Arc<Mutex<Option<u32>>>)>,
}

fn after(millis: u64, text: &'static str) -> Script {
    Script::default().after(millis, text)
}

impl Script {
    fn step(mut self, millis: u64, step: Result<Frame<Bytes>, Broken>) -> Self {
        self.steps.push_back((millis, step));
        self
    }

    fn after(self, millis: u64, text: &'static str) -> Self {
        self.step(millis, Ok(Frame::data(Bytes::from_static(text.as_bytes()))))
    }

    /// Says how long it is, as HTTP bodies of known length do.
    fn of_known_length(mut self) -> Self {
        let length = |(_, step): &(u64, Result<Frame<Bytes>, _>)| Some(step.as_ref().ok()?.data_ref()?.len());
        self.length = Some(self.steps.iter().filter_map(length).sum::<usize>() as u64);
        self
    }

    fn watched(mut self, pool: &Pool, held: &Arc<Mutex<Option<u32>>>) -> Self {
        self.dropped = Some((pool.clone(), held.clone()));
        self
    }
}

/// So many tokens, one each 10 ms, and the end marker with the last.
fn tokens(count: usize) -> Script {
    (0..count).fold(Script::default(), |script, _| script.after(10, TOKEN)).after(0, DONE)
}

impl Body for Script {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let Some((delay, _)) = self.steps.front() else { return Poll::Ready(None) };
        let delay = Duration::from_millis(*delay);
        let timer = self.sleep.get_or_insert_with(|| Box::pin(sleep(delay)));
        std::task::ready!(timer.as_mut().poll(cx));
        self.sleep = None;
        let step = self.steps.pop_front().map(|(_, step)| step);
        if let (Some(length), Some(Ok(frame))) = (&mut self.length, &step) {
            *length -= frame.data_ref().map_or(0, Bytes::len) as u64;
        }
        Poll::Ready(step)
    }

    fn is_end_stream(&self) -> bool {
        self.length == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        if let Some((pool, held)) = &self.dropped {
            *held.lock().unwrap() = Some(pool.reading().counts.in_flight);
        }
    }
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn pool() -> (Pool, Records) {
    let records = Records::default();
    let pool = Pool::builder("test").cap(4).observer(records.clone()).build().unwrap();
    (pool, records)
}

/// The response whose body is this script, read ahead up to so many bytes.
async fn respond(
    pool: &Pool,
    bytes: usize,
    content_type: &'static str,
    script: Script,
) -> ResponseBody<Script> {
    respond_with(pool, bytes, Response::builder().header("content-type", content_type), script).await
}

async fn respond_with(
    pool: &Pool,
    bytes: usize,
    response: http::response::Builder,
    script: Script,
) -> ResponseBody<Script> {
    let response = Arc::new(Mutex::new(Some(response.body(script).unwrap())));
    let upstream = service_fn(move |_: Request<()>| {
        let response = response.lock().unwrap().take().expect("called once");
        async { Ok::<_, Infallible>(response) }
    });
    pool.layer().absorb(bytes).layer(upstream).oneshot(Request::new(())).await.unwrap().into_body()
}

/// Takes so many frames, with this pause before each.
async fn take(body: &mut ResponseBody<Script>, frames: usize, pause: u64) {
    for _ in 0..frames {
        sleep(millis(pause)).await;
        body.frame().await.expect("there is a frame").unwrap();
    }
}

fn one(records: &Records) -> RequestRecord {
    let mut records = records.0.lock().unwrap();
    assert_eq!(records.len(), 1, "each request ends in exactly one record");
    records.remove(0)
}

fn stall(record: &RequestRecord) -> Duration {
    record.phases.unwrap().of(SlotPhase::Stall)
}

fn in_flight(pool: &Pool) -> u32 {
    pool.reading().counts.in_flight
}

/// How long after the request arrived.
fn since(record: &RequestRecord, at: Option<Instant>) -> Option<Duration> {
    at.map(|at| at.since(record.timeline.queued_at))
}

/// A client that takes a frame a second holds nobody up: its slot goes back at the
/// upstream's end, nothing of its time is stall, and the record, which waits for
/// the hand-over, has both clocks, to the nanosecond.
#[tokio::test(start_paused = true)]
async fn the_slot_goes_back_when_the_upstream_is_done() {
    let (pool, records) = pool();
    let mut body = respond(&pool, PLENTY, EVENTS, tokens(5)).await;
    sleep(millis(49)).await;
    assert_eq!(in_flight(&pool), 1);
    sleep(millis(1)).await;
    tokio::task::yield_now().await;
    assert_eq!(in_flight(&pool), 0, "the fifth token is there, and the end with it");
    assert!(!pool.is_settled() && records.0.lock().unwrap().is_empty());
    let arrivals = pool.arrivals();
    assert_eq!((arrivals.arrivals, arrivals.ended), (1, 1), "it is in neither count but that of those ended");

    sleep(millis(950)).await;
    take(&mut body, 1, 0).await;
    take(&mut body, 5, 1_000).await;
    assert!(body.is_end_stream() && body.frame().await.is_none());

    let record = one(&records);
    assert!(pool.is_settled());
    assert_eq!((record.outcome, record.phase), (Outcome::Completed, Phase::Done));
    assert_eq!(stall(&record), Duration::ZERO);
    assert_eq!(record.timeline.t_in_flight(), Some(millis(50)));
    assert_eq!(record.timeline.ttft(), Some(millis(10)));
    assert_eq!(record.timeline.t_stream(), Some(millis(40)));
    assert_eq!(since(&record, record.first_token_handed_at), Some(millis(1_000)));
    assert_eq!(since(&record, record.last_token_handed_at), Some(millis(5_000)));
    assert_eq!(since(&record, record.handed_over_at), Some(millis(6_000)));
    assert_eq!(record.response_bytes, (5 * TOKEN.len() + DONE.len()) as u64);
}

/// A client that keeps up is handed each frame when it comes, and the record is
/// told when the upstream ends.
#[tokio::test(start_paused = true)]
async fn a_fast_client_has_one_clock() {
    let (pool, records) = pool();
    let mut body = respond(&pool, PLENTY, EVENTS, tokens(5)).await;
    while body.frame().await.is_some() {}
    let record = one(&records);
    assert_eq!(stall(&record), Duration::ZERO);
    assert_eq!(record.first_token_handed_at, record.timeline.first_token_at);
    assert_eq!(record.last_token_handed_at, record.timeline.last_token_at);
    assert_eq!(record.handed_over_at, record.timeline.released_at);
}

/// With what waits at its bound the upstream is not asked, and the slot's time is
/// stall: here one frame waits, and the next is asked for when it is taken.
#[tokio::test(start_paused = true)]
async fn a_full_buffer_stalls() {
    let (pool, records) = pool();
    let mut body = respond(&pool, ONE_FRAME, EVENTS, tokens(4)).await;
    take(&mut body, 5, 1_000).await;
    tokio::task::yield_now().await;
    let record = one(&records);
    // The frames come at 10, 1010, 2010, 3010 and 4000 ms. From one to the time when
    // it is taken nothing is asked for, and from there 10 ms go by.
    assert_eq!(record.timeline.t_in_flight(), Some(millis(5_000)));
    assert_eq!(stall(&record), millis(990 * 4 + 1_000));
    assert_eq!(since(&record, record.first_token_handed_at), Some(millis(1_000)));
    assert_eq!(record.handed_over_at, record.timeline.released_at);
}

/// A client that goes away while the upstream is at work ends the call at once,
/// the upstream's body before the slot, and is cancelled; what arrived is counted.
#[tokio::test(start_paused = true)]
async fn gone_while_it_arrives() {
    for (taken, phase, before) in
        [(0, Phase::Prefill, 5), (0, Phase::Streaming, 25), (2, Phase::Streaming, 25)]
    {
        let (pool, records) = pool();
        let held = Arc::default();
        let mut body = respond(&pool, PLENTY, EVENTS, tokens(5).watched(&pool, &held)).await;
        sleep(millis(before)).await;
        take(&mut body, taken, 0).await;
        drop(body);
        assert_eq!(*held.lock().unwrap(), Some(1), "the body is gone before the slot");
        let record = one(&records);
        assert_eq!((record.outcome, record.phase), (Outcome::Cancelled, phase));
        assert_eq!((in_flight(&pool), pool.is_settled()), (0, true));
        assert_eq!(record.output_tokens(), (before > 10).then_some(2));
        assert_eq!(record.response_bytes, (taken * TOKEN.len()) as u64);
        assert_eq!(record.handed_over_at, record.timeline.released_at);
        assert_eq!(record.last_token_handed_at.is_some(), taken == 2);
        assert_eq!(since(&record, record.timeline.released_at), Some(millis(before)));
    }
}

/// A client that goes away after the upstream is done is cancelled, in drain, if it
/// has not had all that was generated, though its slot was given back before. One
/// that leaves after the end marker has had its all.
#[tokio::test(start_paused = true)]
async fn gone_after_the_arrival() {
    // Some say no more after the end marker.
    let script = || tokens(2).after(0, ": bye\n\n");
    for (taken, outcome) in [(0, Outcome::Cancelled), (2, Outcome::Cancelled), (3, Outcome::Completed)] {
        let (pool, records) = pool();
        let mut body = respond(&pool, PLENTY, EVENTS, script()).await;
        sleep(millis(500)).await;
        assert_eq!((in_flight(&pool), pool.is_settled()), (0, false));
        take(&mut body, taken, 0).await;
        drop(body);
        let record = one(&records);
        let phase = if outcome == Outcome::Cancelled { Phase::Drain } else { Phase::Done };
        assert_eq!((record.outcome, record.phase), (outcome, phase), "{taken} taken");
        assert_eq!(since(&record, record.timeline.released_at), Some(millis(20)));
        assert_eq!(since(&record, record.handed_over_at), Some(millis(500)));
        assert_eq!(record.first_token_handed_at.is_some(), taken > 0);
        assert_eq!(record.last_token_handed_at.is_some(), taken > 1);
        assert_eq!(record.output_tokens(), Some(2), "what arrived is counted all the same");
        let sample = pool.sample();
        assert_eq!(
            (sample.failed_requests, sample.completed),
            match outcome {
                Outcome::Completed => (0, 1),
                _ => (1, 0),
            }
        );
    }
}

/// What failed upstream stays failed, even where the client left before it heard.
#[tokio::test(start_paused = true)]
async fn a_failure_stays_one() {
    let error = "data: {\"error\":{\"message\":\"no\",\"type\":\"overloaded\"}}\n\n";
    for (script, kind) in [
        (after(10, TOKEN).after(10, error), "stream_error"),
        (after(10, TOKEN).step(10, Err(Broken)), "body"),
    ] {
        let (pool, records) = pool();
        let body = respond(&pool, PLENTY, EVENTS, script).await;
        sleep(millis(500)).await;
        drop(body);
        let record = one(&records);
        assert_eq!((record.outcome, record.error_type.as_deref()), (Outcome::Failed, Some(kind)));
        assert_eq!(record.timeline.t_in_flight(), Some(millis(20)));
    }
    let (pool, records) = pool();
    drop(respond_with(&pool, PLENTY, Response::builder().status(500), after(10, "{}")).await);
    assert_eq!(one(&records).error_type.as_deref(), Some("status_500"));
}

/// An error and trailers come after what waited before them, and end the hand-over.
#[tokio::test(start_paused = true)]
async fn an_error_and_trailers_come_last() {
    let (pool, records) = pool();
    let mut body = respond(&pool, PLENTY, EVENTS, after(10, TOKEN).step(0, Err(Broken))).await;
    sleep(millis(500)).await;
    take(&mut body, 1, 0).await;
    assert!(!body.is_end_stream() && !pool.is_settled());
    assert_eq!(body.frame().await.unwrap().unwrap_err(), Broken);
    assert!(body.is_end_stream() && pool.is_settled() && body.frame().await.is_none());
    assert_eq!(one(&records).error_type.as_deref(), Some("body"));

    let trailers = HeaderMap::from_iter([(http::header::ETAG, HeaderValue::from_static("x"))]);
    let script = tokens(1).step(0, Ok(Frame::trailers(trailers.clone())));
    let mut body = respond(&pool, PLENTY, EVENTS, script).await;
    sleep(millis(500)).await;
    take(&mut body, 2, 0).await;
    assert!(!body.is_end_stream() && !pool.is_settled());
    assert_eq!(body.frame().await.unwrap().unwrap().into_trailers().unwrap(), trailers);
    assert!(body.is_end_stream() && pool.is_settled() && body.frame().await.is_none());
    assert_eq!(one(&records).outcome, Outcome::Completed);
}

/// A document of known length: its size hint is what the client has yet to take,
/// however much has been read, and its token is handed over with its last frame,
/// which is known to carry content only at the end.
#[tokio::test(start_paused = true)]
async fn a_document_of_known_length() {
    let (start, end) = (
        "{\"object\":\"chat.completion\",\"choices\":[{\"index\":0,\"message\":{\"content\":\"a b c\"},",
        "\"finish_reason\":\"stop\"}],\"usage\":{\"completion_tokens\":3}}",
    );
    let (pool, records) = pool();
    let script = after(10, start).after(10, end).of_known_length();
    let mut body = respond(&pool, PLENTY, "application/json", script).await;
    assert_eq!(body.size_hint().exact(), Some((start.len() + end.len()) as u64));
    sleep(millis(500)).await;
    assert_eq!(in_flight(&pool), 0);
    assert_eq!(body.size_hint().exact(), Some((start.len() + end.len()) as u64));
    take(&mut body, 1, 0).await;
    assert_eq!(body.size_hint().exact(), Some(end.len() as u64));
    take(&mut body, 1, 500).await;
    assert_eq!((body.size_hint().exact(), body.is_end_stream()), (Some(0), true));
    let record = one(&records);
    assert_eq!((record.outcome, record.output_tokens()), (Outcome::Completed, Some(3)));
    assert_eq!(since(&record, record.timeline.first_token_at), Some(millis(20)));
    assert_eq!(since(&record, record.first_token_handed_at), Some(millis(1_000)));
    assert_eq!(record.last_token_handed_at, record.first_token_handed_at);
    assert_eq!(record.handed_over_at, record.first_token_handed_at);
}

/// A bound of nothing is no reading ahead: as without it, the client paces the
/// upstream, and there is one clock. So it is for a refusal, which keeps its body.
#[tokio::test(start_paused = true)]
async fn without_a_bound_nothing_is_read_ahead() {
    let (pool, records) = pool();
    let mut body = respond(&pool, 0, EVENTS, tokens(2)).await;
    take(&mut body, 3, 1_000).await;
    drop(body);
    let record = one(&records);
    assert_eq!(stall(&record), millis(3_000));
    assert_eq!(record.outcome, Outcome::Completed);
    assert!(record.handed_over_at.is_none() && record.first_token_handed_at.is_none());

    let pool = Pool::builder("test").max_queue(0).observer(records.clone()).build().unwrap();
    let _slot = respond(&pool, PLENTY, EVENTS, tokens(1)).await;
    let refused = respond(&pool, PLENTY, EVENTS, tokens(1)).await;
    assert!(refused.size_hint().exact() > Some(0));
    assert!(!refused.collect().await.unwrap().to_bytes().is_empty());
    let record = one(&records);
    assert!(record.outcome == Outcome::Rejected && record.handed_over_at.is_none());
}

/// Where there is no runtime, or it has ended since, the client reads the upstream
/// by itself, and gets all of it.
#[test]
fn without_a_runtime_nothing_is_lost() {
    let (pool, records) = pool();
    let script = || after(0, TOKEN).after(0, TOKEN).after(0, DONE);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let begun = runtime.block_on(respond(&pool, ONE_FRAME, EVENTS, script()));
    drop(runtime);
    let waits = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let body = waits.block_on(begun.collect()).unwrap().to_bytes();
    assert_eq!(body.len(), 2 * TOKEN.len() + DONE.len());
    let record = one(&records);
    assert_eq!(record.outcome, Outcome::Completed);
    assert_eq!(record.response_bytes, body.len() as u64);

    let body = tokio_test::task::spawn(respond(&pool, PLENTY, EVENTS, Script::default())).poll();
    let Poll::Ready(mut body) = body else { panic!("the upstream answers at once") };
    let end = tokio_test::task::spawn(std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx))).poll();
    assert!(matches!(end, Poll::Ready(None)));
    assert!(one(&records).handed_over_at.is_none());
}

/// The log's line has the instants of the hand-over, and without reading ahead
/// knows none.
#[tokio::test]
async fn the_log_has_both_clocks() {
    let path = std::env::temp_dir().join(format!("tower-tps-absorb-{}.jsonl", std::process::id()));
    for limit in [PLENTY, 0] {
        let records = Records::default();
        let pool = Pool::builder("p").observer(RunLog::create(&path).unwrap()).observer(records.clone());
        let pool = pool.build().unwrap();
        respond(&pool, limit, EVENTS, tokens(2)).await.collect().await.unwrap();
        let record = one(&records);
        pool.close();
        let log = std::fs::read_to_string(&path).unwrap();
        let line = log.lines().rfind(|line| line.contains("\"type\":\"request\"")).unwrap();
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let wall = |key: &str| Some(humantime::parse_rfc3339(line[key].as_str()?).unwrap());
        let released_at = wall("released_at").unwrap();
        for (key, at) in [
            ("first_token_handed_at", record.first_token_handed_at),
            ("last_token_handed_at", record.last_token_handed_at),
            ("handed_over_at", record.handed_over_at),
        ] {
            assert_eq!(at.is_some(), limit > 0, "{key}");
            let released = record.timeline.released_at.unwrap();
            let apart = |at: Instant| if at >= released { at.since(released) } else { released.since(at) };
            let told = |at: std::time::SystemTime| {
                at.duration_since(released_at).unwrap_or_else(|earlier| earlier.duration())
            };
            assert_eq!(wall(key).map(told), at.map(apart), "{key}");
        }
    }
    std::fs::remove_file(path).unwrap();
}

/// Hears of the pool's end.
#[derive(Clone, Debug, Default)]
struct End(Arc<Mutex<bool>>);

impl Observer for End {
    fn end(&self, _: &Sample) {
        *self.0.lock().unwrap() = true;
    }
}

/// Nothing is left behind: the task of a body ends with the upstream or with the
/// client, and the pool when the last body is gone.
#[tokio::test(start_paused = true)]
async fn nothing_is_left_behind() {
    let end = End::default();
    let pool = Pool::builder("test").cap(4).observer(end.clone()).build().unwrap();
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let done = respond(&pool, PLENTY, EVENTS, tokens(1)).await;
    let arriving = respond(&pool, PLENTY, EVENTS, tokens(500)).await;
    let full = respond(&pool, ONE_FRAME, EVENTS, tokens(500)).await;
    let never_read = respond(&pool, PLENTY, EVENTS, tokens(500)).await;
    assert_eq!(tasks(), before + 4);
    drop(never_read);
    sleep(millis(100)).await;
    assert_eq!(tasks(), before + 2, "one has read all, and of one the client is gone");
    drop((arriving, full, pool));
    tokio::task::yield_now().await;
    assert!(!*end.0.lock().unwrap(), "one is still being handed over");
    drop(done);
    assert!(*end.0.lock().unwrap());
    // That of the samples ends with its next tick.
    sleep(millis(1_000)).await;
    assert_eq!(tasks(), 0);
}

/// Over real connections: a client that reads nothing at all holds no slot once
/// the upstream is done, though the body is more than any socket takes; when it
/// reads, it gets every byte.
#[tokio::test]
async fn a_client_that_does_not_read() {
    const LENGTH: usize = 32 * 1024 * 1024;
    let (pool, records) = pool();
    let sent: Bytes = (0..LENGTH).map(|index| (index % 251) as u8).collect::<Vec<_>>().into();
    let pieces: Vec<_> = (0..LENGTH).step_by(65_536).map(|at| sent.slice(at..at + 65_536)).collect();
    let answer = || async move {
        axum::body::Body::from_stream(stream::iter(pieces.into_iter().map(Ok::<_, Infallible>)))
    };
    let app = Router::new().route("/", get(answer)).layer(pool.layer().absorb(2 * LENGTH));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = tokio::spawn(async move { axum::serve(listener, app).await });

    let response = reqwest::get(url).await.unwrap();
    while in_flight(&pool) > 0 {
        sleep(millis(1)).await;
    }
    assert!(!pool.is_settled(), "it is still being handed over");
    assert_eq!(response.bytes().await.unwrap(), sent);
    while !pool.is_settled() {
        sleep(millis(1)).await;
    }
    let record = one(&records);
    assert_eq!((record.outcome, record.response_bytes), (Outcome::Completed, LENGTH as u64));
    server.abort();
}
