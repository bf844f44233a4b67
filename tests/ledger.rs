//! The slot-time ledger: what a busy slot was doing, to the nanosecond.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use tokio::time::{Sleep, sleep};
use tower::{Layer, ServiceExt, service_fn};
use tower_tps::Pool;
use tower_tps::gate::{Ages, Gate, PhaseTimes, Reading, SlotPhase};
use tower_tps::layer::{ResponseBody, Retries};
use tower_tps::record::RequestRecord;

#[path = "support/records.rs"]
mod records;

use self::records::Records;

const TOKEN: &str = "data: {\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n";
const DONE: &str = "data: [DONE]\n\n";
const EVENTS: &str = "text/event-stream";

/// A body whose one line reads as its timeline: so long after it was asked for
/// there is a frame.
#[derive(Default)]
struct Script {
    steps: VecDeque<(u64, &'static str)>,
    end: u64,
    sleep: Option<Pin<Box<Sleep>>>,
}

fn after(millis: u64, text: &'static str) -> Script {
    Script::default().after(millis, text)
}

impl Script {
    fn after(mut self, millis: u64, text: &'static str) -> Self {
        self.steps.push_back((millis, text));
        self
    }

    fn end_after(mut self, millis: u64) -> Self {
        self.end = millis;
        self
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let delay = self.steps.front().map_or(self.end, |(delay, _)| *delay);
        let timer = self.sleep.get_or_insert_with(|| Box::pin(sleep(Duration::from_millis(delay))));
        std::task::ready!(timer.as_mut().poll(cx));
        self.sleep = None;
        Poll::Ready(
            self.steps.pop_front().map(|(_, text)| Ok(Frame::data(Bytes::from_static(text.as_bytes())))),
        )
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

/// The body of a response whose headers came through `pool` this long after the
/// request was sent on.
async fn respond(
    pool: &Pool,
    dispatch: u64,
    content_type: &'static str,
    body: Script,
) -> ResponseBody<Script> {
    let service = service_fn(move |_: Request<()>| {
        let body = Script { steps: body.steps.clone(), end: body.end, sleep: None };
        async move {
            sleep(millis(dispatch)).await;
            Ok::<_, Infallible>(Response::builder().header("content-type", content_type).body(body).unwrap())
        }
    });
    pool.layer().layer(service).oneshot(Request::new(())).await.unwrap().into_body()
}

/// Reads a body to its end, and waits this long after each frame before it asks
/// for the next.
async fn read(mut body: ResponseBody<Script>, pause: u64) {
    while body.frame().await.is_some() {
        sleep(millis(pause)).await;
    }
}

/// Milliseconds by phase, in the order of [`SlotPhase::ALL`]: dispatch, backoff,
/// prefill, generate, stall, drain.
fn phases(phases: &PhaseTimes) -> [u128; 6] {
    SlotPhase::ALL.map(|phase| in_millis(phases.of(phase)))
}

/// The pool's, and last what is not attributed.
fn totals(reading: &Reading) -> [u128; 7] {
    let [a, b, c, d, e, f] = SlotPhase::ALL.map(|phase| in_millis(reading.totals.slot_time_of(phase)));
    [a, b, c, d, e, f, in_millis(reading.totals.unattributed_slot_time())]
}

fn in_millis(time: Duration) -> u128 {
    assert_eq!(time.subsec_nanos() % 1_000_000, 0, "{time:?} is exact");
    time.as_millis()
}

fn one(records: &Records) -> RequestRecord {
    records.0.lock().unwrap().remove(0)
}

/// Each part of a stream's life is its own phase, in the record and in the pool.
#[tokio::test(start_paused = true)]
async fn a_stream_by_phase() {
    let (pool, records) = pool();
    let script = after(100, ": keep-alive\n\n").after(200, TOKEN).after(30, TOKEN).after(50, TOKEN);
    let body = respond(&pool, 500, EVENTS, script.after(7, DONE).end_after(5)).await;
    read(body, 0).await;
    let record = one(&records);
    assert_eq!(phases(&record.phases.unwrap()), [500, 0, 300, 80, 0, 12]);
    assert_eq!(totals(&pool.reading()), [500, 0, 300, 80, 0, 12, 0]);
    assert_eq!(record.timeline.t_stream(), Some(millis(80)));
}

/// A slow caller is `stall` wherever in the stream it is slow, from the response
/// itself on, and moves no other phase.
#[tokio::test(start_paused = true)]
async fn a_slow_caller_is_stall() {
    let (pool, records) = pool();
    let script = after(100, ": keep-alive\n\n").after(200, TOKEN).after(30, TOKEN).after(50, TOKEN);
    let body = respond(&pool, 500, EVENTS, script.after(7, DONE).end_after(5)).await;
    sleep(millis(1_000)).await;
    read(body, 2_000).await;
    assert_eq!(phases(&one(&records).phases.unwrap()), [500, 0, 300, 80, 11_000, 12]);
}

/// An upstream that pauses for two seconds between tokens is `generate`, and
/// one that does so before the first token `prefill`.
#[tokio::test(start_paused = true)]
async fn a_slow_upstream_is_never_stall() {
    let (pool, records) = pool();
    read(respond(&pool, 0, EVENTS, after(10, TOKEN).after(2_000, TOKEN)).await, 0).await;
    assert_eq!(phases(&one(&records).phases.unwrap()), [0, 0, 10, 2_000, 0, 0]);
    read(respond(&pool, 0, EVENTS, after(2_000, TOKEN).after(10, TOKEN)).await, 0).await;
    assert_eq!(phases(&one(&records).phases.unwrap()), [0, 0, 2_000, 10, 0, 0]);
}

/// A caller that asks in vain and is woken for nothing is still waiting on the
/// upstream: only a frame that was handed down begins a stall.
#[tokio::test(start_paused = true)]
async fn asking_again_is_no_stall() {
    let (pool, records) = pool();
    let mut body = Box::pin(respond(&pool, 0, EVENTS, after(1_000, TOKEN)).await);
    for _ in 0..10 {
        let asked = tokio::time::timeout(millis(99), body.frame()).await;
        assert!(asked.is_err(), "nothing is there yet");
    }
    read(*Pin::into_inner(body), 0).await;
    assert_eq!(phases(&one(&records).phases.unwrap()), [0, 0, 1_000, 0, 0, 0]);
}

/// A document's content is known with its end, and belongs to its last chunk:
/// the wait for that is prefill, and the wait for the end is drain.
#[tokio::test(start_paused = true)]
async fn a_document_is_decided_at_its_end() {
    let (pool, records) = pool();
    let script = after(40, "{\"object\":\"chat.completion\",\"choices\":[{\"index\":0,")
        .after(60, "\"message\":{\"content\":\"hi\"}}]}")
        .end_after(9);
    let body = respond(&pool, 10, "application/json", script).await;
    read(body, 3).await;
    let record = one(&records);
    assert_eq!(phases(&record.phases.unwrap()), [10, 0, 100, 0, 6, 9]);
    assert_eq!(record.timeline.first_token_at.unwrap().since(record.timeline.queued_at), millis(113));
}

/// So is an event that only the end completes.
#[tokio::test(start_paused = true)]
async fn an_event_without_its_blank_line() {
    let (pool, records) = pool();
    let last = TOKEN.strip_suffix('\n').unwrap();
    read(respond(&pool, 0, EVENTS, after(10, TOKEN).after(20, last).end_after(5)).await, 0).await;
    assert_eq!(phases(&one(&records).phases.unwrap()), [0, 0, 10, 20, 0, 5]);
    // What is handed down after it with no bytes in it is not its last chunk.
    read(respond(&pool, 0, EVENTS, after(10, TOKEN).after(20, last).after(4, "").end_after(5)).await, 0)
        .await;
    assert_eq!(phases(&one(&records).phases.unwrap()), [0, 0, 10, 20, 0, 9]);
}

/// Where no token came, all that followed on the headers is prefill; where no
/// headers came, all is dispatch.
#[tokio::test(start_paused = true)]
async fn without_a_token() {
    let (pool, records) = pool();
    read(respond(&pool, 3, EVENTS, after(10, ": nothing\n\n").after(20, "data: {").end_after(5)).await, 0)
        .await;
    assert_eq!(phases(&one(&records).phases.unwrap()), [3, 0, 35, 0, 0, 0]);
    let never = tokio::time::timeout(millis(70), respond(&pool, 1_000, EVENTS, after(0, TOKEN)));
    assert!(never.await.is_err());
    assert_eq!(phases(&one(&records).phases.unwrap()), [70, 0, 0, 0, 0, 0]);
}

/// A retry inside the meter: its wait is `backoff`, the attempts are `dispatch`,
/// and what is told once there is a response comes too late to count.
#[tokio::test(start_paused = true)]
async fn back_off_in_the_slot() {
    let (pool, records) = pool();
    let service = service_fn(|request: Request<()>| async move {
        let retries = request.extensions().get::<Retries>().unwrap().clone();
        sleep(millis(5)).await;
        retries.failed("status_429");
        sleep(millis(2_000)).await;
        retries.resumed();
        sleep(millis(6)).await;
        let body = after(10, TOKEN).after(20, DONE);
        let response = Response::builder().header("content-type", EVENTS).body(body).unwrap();
        Ok::<_, Infallible>((retries, response))
    });
    let late = std::sync::Arc::new(std::sync::Mutex::new(None));
    let keeps = late.clone();
    let service = tower::util::MapResponse::new(service, move |(retries, response)| {
        *keeps.lock().unwrap() = Some(retries);
        response
    });
    let response = pool.layer().layer(service).oneshot(Request::new(())).await.unwrap();
    let late: Retries = late.lock().unwrap().take().unwrap();
    late.failed("too late");
    read(response.into_body(), 0).await;
    late.failed("too late");
    let record = one(&records);
    assert_eq!(phases(&record.phases.unwrap()), [11, 2_000, 10, 0, 0, 20]);
    assert_eq!(record.retries.len(), 1);
    let retry = record.retries[0];
    assert_eq!(
        (retry.cause, retry.resumed_at.unwrap().since(retry.failed_at)),
        ("status_429", millis(2_000))
    );
}

/// While streams run the sum is complete: what is certain is attributed up to
/// the moment, and the time since a token is shown as what it is, undecided.
#[tokio::test(start_paused = true)]
async fn while_it_runs() {
    let (pool, _records) = pool();
    let script = after(100, ": keep-alive\n\n").after(200, TOKEN).after(300, TOKEN);
    let answer = tokio::spawn({
        let pool = pool.clone();
        async move { respond(&pool, 500, EVENTS, script).await }
    });
    sleep(millis(400)).await;
    assert_eq!(totals(&pool.reading()), [400, 0, 0, 0, 0, 0, 0]);
    let mut body = answer.await.unwrap();
    sleep(millis(50)).await;
    assert_eq!(totals(&pool.reading()), [500, 0, 0, 0, 50, 0, 0]);
    body.frame().await;
    let _ = tokio::time::timeout(millis(150), body.frame()).await;
    assert_eq!(totals(&pool.reading()), [500, 0, 250, 0, 50, 0, 0], "prefill, as it lasts");
    body.frame().await;
    let _ = tokio::time::timeout(millis(70), body.frame()).await;
    assert_eq!(totals(&pool.reading()), [500, 0, 300, 0, 50, 0, 70], "to generate, or to drain");
    body.frame().await;
    sleep(millis(5_000)).await;
    assert_eq!(totals(&pool.reading()), [500, 0, 300, 300, 5_050, 0, 0], "a stall, as it lasts");
    drop(body);
    assert_eq!(totals(&pool.reading()), [500, 0, 300, 300, 5_050, 0, 0]);
}

/// The ages of what is under way, and none of what is over.
#[tokio::test(start_paused = true)]
async fn ages() {
    let (pool, _records) = pool();
    pool.set_cap(2).unwrap();
    assert_eq!(pool.reading().ages, Ages::default());
    let mut old = respond(&pool, 10, EVENTS, after(0, TOKEN).after(9_000, TOKEN)).await;
    let mut new = respond(&pool, 20, EVENTS, after(0, TOKEN).after(0, TOKEN).after(9_000, TOKEN)).await;
    assert_eq!(pool.reading().ages.longest_silence, None, "no token yet");
    old.frame().await;
    new.frame().await;
    sleep(millis(300)).await;
    new.frame().await;
    let service = service_fn(|_: Request<()>| async { Ok::<_, Infallible>(Response::new(after(0, ""))) });
    let waiting = pool.layer().layer(service).oneshot(Request::new(()));
    let mut waiting = tokio_test::task::spawn(waiting);
    tokio_test::assert_pending!(waiting.poll());
    sleep(millis(1_000)).await;
    let expected = Ages {
        oldest_queued: Some(millis(1_000)),
        oldest_in_flight: Some(millis(1_330)),
        longest_silence: Some(millis(1_300)),
    };
    assert_eq!(pool.reading().ages, expected);
    drop(waiting);
    drop(old);
    let expected = Ages {
        oldest_queued: None,
        oldest_in_flight: Some(millis(1_320)),
        longest_silence: Some(millis(1_000)),
    };
    assert_eq!(pool.reading().ages, expected);
    drop(new);
    assert_eq!(pool.reading().ages, Ages::default());
}

/// A slot of a gate that stands alone does nothing but hold: all is dispatch.
#[tokio::test(start_paused = true)]
async fn a_bare_slot() {
    let gate = Gate::new(1).unwrap();
    let slot = gate.acquire().await.unwrap();
    sleep(millis(40)).await;
    assert_eq!(totals(&gate.reading()), [40, 0, 0, 0, 0, 0, 0]);
    drop(slot);
    sleep(millis(40)).await;
    assert_eq!(totals(&gate.reading()), [40, 0, 0, 0, 0, 0, 0]);
}
