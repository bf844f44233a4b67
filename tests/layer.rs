//! The layer: a slot is held until the body ends, and each request ends once.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use tokio::time::{Sleep, sleep};
use tokio_test::task::spawn;
use tokio_test::{assert_pending, assert_ready};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_tps::Pool;
use tower_tps::layer::{Attempt, AttemptCause, Meter, RequestId, ResponseBody, Retries};
use tower_tps::outcome::{Outcome, Phase};
use tower_tps::record::RequestRecord;

#[path = "support/records.rs"]
mod records;

use self::records::Records;

impl Records {
    /// The only record there is.
    fn one(&self) -> RequestRecord {
        let mut records = self.0.lock().unwrap();
        assert_eq!(records.len(), 1, "each request ends in exactly one record");
        records.remove(0)
    }
}

/// Data that is not `Bytes`: several slices.
#[derive(Debug, PartialEq)]
struct Slices(VecDeque<Bytes>);

impl From<Bytes> for Slices {
    fn from(bytes: Bytes) -> Self {
        Self([bytes].into())
    }
}

impl Buf for Slices {
    fn remaining(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }
    fn chunk(&self) -> &[u8] {
        self.0.front().map_or(&[], |slice| slice)
    }
    fn advance(&mut self, mut count: usize) {
        while count > 0 {
            let slice = &mut self.0[0];
            let step = count.min(slice.len());
            slice.advance(step);
            count -= step;
            if slice.is_empty() {
                self.0.pop_front();
            }
        }
    }
}

#[derive(Debug, PartialEq)]
struct Broken;

/// A body whose one line reads as its timeline.
#[derive(Default)]
struct Script {
    steps: VecDeque<(Duration, Result<Frame<Slices>, Broken>)>,
    sleep: Option<Pin<Box<Sleep>>>,
    /// Says that it is over right after its last frame, as HTTP bodies of known length do.
    hints: bool,
    watch: Option<(Pool, Arc<AtomicUsize>)>,
}

impl Script {
    fn after(mut self, millis: u64, text: &'static str) -> Self {
        let frame = Frame::data(Slices::from(Bytes::from_static(text.as_bytes())));
        self.steps.push_back((Duration::from_millis(millis), Ok(frame)));
        self
    }
    fn trailers(mut self) -> Self {
        self.steps.push_back((Duration::ZERO, Ok(Frame::trailers(HeaderMap::new()))));
        self
    }
    fn broken(mut self) -> Self {
        self.steps.push_back((Duration::ZERO, Err(Broken)));
        self
    }
    fn hinting(mut self) -> Self {
        self.hints = true;
        self
    }
    /// Notes the slots held while this body is dropped.
    fn watched(mut self, pool: &Pool, held: &Arc<AtomicUsize>) -> Self {
        self.watch = Some((pool.clone(), held.clone()));
        self
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        if let Some((pool, held)) = &self.watch {
            held.store(pool.reading().counts.in_flight as usize, Ordering::SeqCst);
        }
    }
}

impl Body for Script {
    type Data = Slices;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Slices>, Broken>>> {
        let Some((delay, _)) = self.steps.front() else { return Poll::Ready(None) };
        let delay = *delay;
        let timer = self.sleep.get_or_insert_with(|| Box::pin(sleep(delay)));
        std::task::ready!(timer.as_mut().poll(cx));
        self.sleep = None;
        Poll::Ready(self.steps.pop_front().map(|(_, frame)| frame))
    }

    fn is_end_stream(&self) -> bool {
        self.hints && self.steps.is_empty()
    }
}

fn metered(cap: u32) -> (Pool, Records) {
    let records = Records::default();
    let pool = Pool::builder("test").cap(cap).observer(records.clone()).build().unwrap();
    (pool, records)
}

/// The response to one request, whose body is this script.
async fn respond(pool: &Pool, script: Script) -> Response<ResponseBody<Script>> {
    let mut script = Some(script);
    let inner = service_fn(move |_: Request<()>| {
        let response = Response::new(script.take().expect("called once"));
        async { Ok::<_, Infallible>(response) }
    });
    // The closure is called once, so a shared one serves as its clone.
    let inner = Shared(Arc::new(Mutex::new(inner)));
    pool.layer().layer(inner).oneshot(Request::new(())).await.unwrap()
}

#[derive(Debug)]
struct Shared<S>(Arc<Mutex<S>>);

impl<S> Clone for Shared<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: Service<Request<()>>> Service<Request<()>> for Shared<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.lock().unwrap().poll_ready(cx)
    }
    fn call(&mut self, request: Request<()>) -> S::Future {
        self.0.lock().unwrap().call(request)
    }
}

fn at_rest(pool: &Pool) {
    let (counts, seen) = (pool.reading().counts, pool.arrivals());
    assert_eq!((counts.in_flight, counts.queue_depth()), (0, 0));
    assert_eq!(seen.arrivals, seen.ended);
}

/// The most streams of 200 ms that ran at once, of sixteen sent through `service`.
async fn most_at_once<S, B>(service: impl Fn() -> S) -> usize
where
    S: Service<Request<Arc<[AtomicUsize; 2]>>, Response = Response<B>, Error = Infallible>,
    S: Send + 'static,
    S::Future: Send,
    B: Body<Data = Slices, Error = Broken> + Send + Unpin + 'static,
{
    let counts: Arc<[AtomicUsize; 2]> = Arc::default();
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let (service, counts) = (service(), counts.clone());
            tokio::spawn(async move {
                let mut body = service.oneshot(Request::new(counts)).await.unwrap().into_body();
                while body.frame().await.is_some() {}
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    counts[1].load(Ordering::SeqCst)
}

/// A body that counts itself among those that run, until it is dropped.
struct Counted(Script, Arc<[AtomicUsize; 2]>);

impl Counted {
    fn start(counts: Arc<[AtomicUsize; 2]>) -> Self {
        let now = counts[0].fetch_add(1, Ordering::SeqCst) + 1;
        counts[1].fetch_max(now, Ordering::SeqCst);
        Self(Script::default().after(100, "a").after(100, "b"), counts)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.1[0].fetch_sub(1, Ordering::SeqCst);
    }
}

impl Body for Counted {
    type Data = Slices;
    type Error = Broken;
    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Slices>, Broken>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }
}

type Upstream =
    fn(Request<Arc<[AtomicUsize; 2]>>) -> std::future::Ready<Result<Response<Counted>, Infallible>>;

fn upstream() -> tower::util::ServiceFn<Upstream> {
    service_fn(|request| std::future::ready(Ok(Response::new(Counted::start(request.into_body())))))
}

/// With cap 2 and sixteen 200 ms streams, at most two run at once; tower's own
/// limit, which lets go at the headers, lets all sixteen run.
#[tokio::test(start_paused = true)]
async fn the_cap_holds_for_streams() {
    let (pool, records) = metered(2);
    let meter = pool.layer().layer(upstream());
    assert_eq!(most_at_once(|| meter.clone()).await, 2);
    assert_eq!(records.0.lock().unwrap().len(), 16);
    at_rest(&pool);

    let limit = tower::limit::ConcurrencyLimit::new(upstream(), 2);
    assert_eq!(most_at_once(|| limit.clone()).await, 16);
}

/// Idle clones that were polled ready hold nothing: a third gets in.
#[tokio::test(start_paused = true)]
async fn idle_ready_clones_block_nobody() {
    let (pool, _) = metered(2);
    let meter: Meter<_> = pool.layer().layer(upstream());
    let (mut one, mut two) = (meter.clone(), meter.clone());
    one.ready().await.unwrap();
    two.ready().await.unwrap();
    let counts: Arc<[AtomicUsize; 2]> = Arc::default();
    assert!(spawn(meter.oneshot(Request::new(counts))).poll().is_ready());
    drop((one, two));
}

/// Every good end: `None`, trailers, the hint after the last frame, and a body
/// that is over before it began and is never polled.
#[tokio::test(start_paused = true)]
async fn every_good_end_is_completed() {
    for (script, polls, bytes) in [
        (Script::default().after(5, "a").after(5, "bc"), 3, 3),
        (Script::default().after(5, "a").trailers(), 2, 1),
        (Script::default().after(5, "a").hinting(), 1, 1),
        (Script::default().hinting(), 0, 0),
    ] {
        let (pool, records) = metered(1);
        let held = Arc::new(AtomicUsize::new(9));
        let mut body = respond(&pool, script.watched(&pool, &held)).await.into_body();
        for _ in 0..polls {
            body.frame().await;
        }
        let record = records.one();
        assert_eq!((record.outcome, record.phase), (Outcome::Completed, Phase::Done));
        assert_eq!((record.response_bytes, record.status), (bytes, Some(200)));
        assert_eq!(held.load(Ordering::SeqCst), 1, "the upstream's body goes before the slot");
        at_rest(&pool);
        assert!(body.is_end_stream() && body.frame().await.is_none());
        drop(body);
        at_rest(&pool);
    }
}

/// An error of the body is passed on unchanged and recorded as a failure.
#[tokio::test(start_paused = true)]
async fn a_broken_body_is_failed() {
    let (pool, records) = metered(1);
    let mut body = respond(&pool, Script::default().after(5, "a").broken()).await.into_body();
    assert!(body.frame().await.unwrap().is_ok());
    assert_eq!(body.frame().await.unwrap().unwrap_err(), Broken);
    let record = records.one();
    assert_eq!((record.outcome, record.error_type.as_deref()), (Outcome::Failed, Some("body")));
    at_rest(&pool);
}

/// A body dropped on its way is cancelled, before and after its first frame.
#[tokio::test(start_paused = true)]
async fn a_dropped_body_is_cancelled() {
    for polls in 0..2 {
        let (pool, records) = metered(1);
        let held = Arc::new(AtomicUsize::new(9));
        let script = Script::default().after(5, "a").after(5, "b").watched(&pool, &held);
        let mut body = respond(&pool, script).await.into_body();
        for _ in 0..polls {
            body.frame().await;
        }
        drop(body);
        assert_eq!(records.one().outcome, Outcome::Cancelled);
        assert_eq!(held.load(Ordering::SeqCst), 1, "the upstream's body goes before the slot");
        at_rest(&pool);
    }
}

/// A future dropped in the queue, or while it waits for the headers, is
/// cancelled where it stood, and its place is free at once.
#[tokio::test(start_paused = true)]
async fn a_dropped_future_is_cancelled() {
    let (pool, records) = metered(1);
    let slow = service_fn(|_: Request<()>| std::future::pending::<Result<Response<Script>, Infallible>>());
    let meter = pool.layer().layer(slow);
    let mut holder = spawn(meter.clone().oneshot(Request::new(())));
    let mut queued = spawn(meter.clone().oneshot(Request::new(())));
    assert_pending!(holder.poll());
    assert_pending!(queued.poll());
    drop(queued);
    assert_eq!(records.one().phase, Phase::Queued);
    drop(holder);
    let record = records.one();
    assert_eq!((record.outcome, record.phase), (Outcome::Cancelled, Phase::Dispatch));
    // A call that is never polled held its slot all the same.
    let mut meter = meter;
    drop(meter.call(Request::new(())));
    let record = records.one();
    assert_eq!((record.phase, record.counts.in_flight), (Phase::Dispatch, 1));
    assert_eq!(record.timeline.admitted_at, Some(record.timeline.queued_at));
    at_rest(&pool);
}

/// An error of the inner service passes unchanged and is recorded.
#[tokio::test(start_paused = true)]
async fn a_failing_service_is_failed() {
    let (pool, records) = metered(1);
    let inner = service_fn(|_: Request<()>| async { Err::<Response<Script>, _>(Broken) });
    assert_eq!(pool.layer().layer(inner).oneshot(Request::new(())).await.unwrap_err(), Broken);
    let record = records.one();
    assert_eq!((record.outcome, record.error_type.as_deref()), (Outcome::Failed, Some("service")));
    at_rest(&pool);
}

/// A full queue answers 429 and a long wait 503, with `retry-after` and a JSON
/// body, and each is one record, even if nobody polls for the answer.
#[tokio::test(start_paused = true)]
async fn refusals_are_responses() {
    let records = Records::default();
    let timeout = Duration::from_secs(3);
    let pool = Pool::builder("test").max_queue(1).queue_timeout(timeout).observer(records.clone());
    let pool = pool.build().unwrap();
    let slow = service_fn(|_: Request<()>| std::future::pending::<Result<Response<Script>, Infallible>>());
    let mut meter = pool.layer().layer(slow);
    let mut holder = spawn(meter.call(Request::new(())));
    assert_pending!(holder.poll());
    let mut queued = spawn(meter.call(Request::new(())));
    assert_pending!(queued.poll());

    let full = assert_ready!(spawn(meter.call(Request::new(()))).poll()).unwrap();
    assert_eq!(full.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(full.headers()["retry-after"], "1");
    let body = full.into_body().collect().await.unwrap().to_bytes();
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["error"]["code"], "queue_full");
    let record = records.one();
    assert_eq!((record.outcome, record.error_type.as_deref()), (Outcome::Rejected, Some("queue_full")));
    drop(meter.call(Request::new(())));
    assert_eq!(records.one().outcome, Outcome::Rejected);

    let late = queued.await.unwrap();
    assert_eq!(late.status(), StatusCode::SERVICE_UNAVAILABLE);
    let record = records.one();
    assert_eq!(record.error_type.as_deref(), Some("queue_timeout"));
    assert!(record.timeline.t_total().unwrap() >= timeout);
    drop(holder);
    records.one();
    at_rest(&pool);
}

/// An error status is a failure, whatever its body.
#[tokio::test(start_paused = true)]
async fn an_error_status_is_failed() {
    let (pool, records) = metered(1);
    let inner = service_fn(|_: Request<()>| async {
        Response::builder().status(500).body(Script::default().hinting())
    });
    pool.layer().layer(inner).oneshot(Request::new(())).await.unwrap();
    let record = records.one();
    assert_eq!((record.outcome, record.error_type.as_deref()), (Outcome::Failed, Some("status_500")));
}

/// What must have no body completes without one, whatever its headers say, and
/// a `HEAD` that never left the queue was cancelled there.
#[tokio::test(start_paused = true)]
async fn what_has_no_body_completes() {
    for (method, status) in [("HEAD", 200), ("GET", 204), ("GET", 304)] {
        let (pool, records) = metered(1);
        let inner = service_fn(move |_: Request<()>| async move {
            let response = Response::builder().status(status).header("content-type", "text/event-stream");
            response.body(Script::default())
        });
        let request = || Request::builder().method(method).body(()).unwrap();
        let mut meter = pool.layer().layer(inner);
        let holder = meter.call(request());
        let queued = meter.call(request());
        drop(queued);
        let record = records.one();
        assert_eq!((record.outcome, record.phase), (Outcome::Cancelled, Phase::Queued));
        drop(holder.await.unwrap());
        assert_eq!(records.one().outcome, Outcome::Completed, "{method} {status}");
        at_rest(&pool);
    }
}

/// Refusals do not make the time to come back shorter.
#[tokio::test(start_paused = true)]
async fn retry_after_is_of_slots_held() {
    let pool = Pool::builder("test").max_queue(0).build().unwrap();
    let slow = service_fn(|_: Request<()>| std::future::pending::<Result<Response<Script>, Infallible>>());
    let mut meter = pool.layer().layer(slow);
    let holder = meter.call(Request::new(()));
    sleep(Duration::from_secs(20)).await;
    drop(holder);
    let _holder = meter.call(Request::new(()));
    for _ in 0..10 {
        let refused = meter.call(Request::new(())).await.unwrap();
        assert_eq!(refused.headers()["retry-after"], "20");
    }
}

/// A retry inside the meter is in the one record; one outside makes each
/// attempt a record that says which it is.
#[tokio::test(start_paused = true)]
async fn retries_are_told() {
    let (pool, records) = metered(1);
    let inner = service_fn(|request: Request<()>| async move {
        let retries = request.extensions().get::<Retries>().cloned().unwrap();
        retries.failed("status_429");
        sleep(Duration::from_secs(1)).await;
        retries.resumed();
        retries.failed("connect");
        Ok::<_, Infallible>(Response::new(Script::default().hinting()))
    });
    let mut request = Request::new(());
    request.extensions_mut().insert(Attempt(2));
    pool.layer().layer(inner).oneshot(request).await.unwrap();
    let record = records.one();
    assert_eq!(record.attempt, 2);
    assert_eq!(record.retries.iter().map(|retry| retry.cause).collect::<Vec<_>>(), ["status_429", "connect"]);
    let first = record.retries[0];
    assert_eq!(first.resumed_at.unwrap().since(first.failed_at), Duration::from_secs(1));
    assert!(record.retries[1].resumed_at.is_none());
}

/// The id is the header's, else the extension's, else made up; and the cause of
/// the attempt before is the extension's.
#[tokio::test(start_paused = true)]
async fn attempts_are_joined() {
    for (header, extension, id) in [
        (Some("header"), Some("extension"), Some("header")),
        (Some(""), Some("extension"), Some("extension")),
        (None, None, None),
    ] {
        let (pool, records) = metered(1);
        let inner = service_fn(|_: Request<()>| async {
            Ok::<_, Infallible>(Response::new(Script::default().hinting()))
        });
        let mut request = Request::new(());
        if let Some(header) = header {
            request.headers_mut().insert("x-request-id", header.parse().unwrap());
        }
        if let Some(extension) = extension {
            request.extensions_mut().insert(RequestId(extension.into()));
            request.extensions_mut().insert(AttemptCause("connect"));
        }
        pool.layer().layer(inner).oneshot(request).await.unwrap();
        let record = records.one();
        match id {
            Some(id) => assert_eq!((&*record.request_id, record.attempt_cause), (id, Some("connect"))),
            None => assert_eq!((record.request_id.len(), record.attempt_cause), (32, None)),
        }
    }
}
