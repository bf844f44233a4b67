//! Retries on either side of the meter: what is tried again, when, and what the
//! pool knows of it.
#![cfg(feature = "retry")]

use std::collections::VecDeque;
use std::future::{Future, Ready, ready};
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;
use tokio_test::assert_pending;
use tokio_test::task::spawn;
use tower::retry::Policy;
use tower::retry::budget::TpsBudget;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_tps::Pool;
use tower_tps::clock::Instant;
use tower_tps::gate::{GapCause, SlotPhase};
use tower_tps::layer::{ErrorType, Retries};
use tower_tps::outcome::{Outcome, Phase};
use tower_tps::record::RequestRecord;
use tower_tps::retry::{Failure, LlmPolicy};

#[path = "support/records.rs"]
mod records;

use self::records::Records;

type Answer = Result<Response<Full<Bytes>>, io::Error>;

/// How long the scripted service takes for each answer.
const TAKES: Duration = Duration::from_secs(1);

/// A service that gives one answer after the other.
#[derive(Clone)]
struct Upstream {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    arrivals: Arc<Mutex<Vec<Instant>>>,
}

impl Upstream {
    fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self { answers: Arc::new(Mutex::new(answers.into_iter().collect())), arrivals: Arc::default() }
    }

    /// How often it was asked.
    fn arrivals(&self) -> usize {
        self.arrivals.lock().unwrap().len()
    }

    /// The time from the first answer to the second attempt.
    fn wait(&self) -> Duration {
        let arrivals = self.arrivals.lock().unwrap();
        arrivals[1].since(arrivals[0]) - TAKES
    }
}

impl Service<Request<()>> for Upstream {
    type Response = Response<Full<Bytes>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        self.arrivals.lock().unwrap().push(Instant::now());
        let answer = self.answers.lock().unwrap().pop_front().expect("no more attempts than answers");
        Box::pin(async {
            sleep(TAKES).await;
            answer
        })
    }
}

fn status(status: u16) -> Answer {
    Ok(Response::builder().status(status).body(Full::from("no")).unwrap())
}

/// A refusal that says when to come back.
fn refusal(headers: &[(&'static str, &str)]) -> Answer {
    let mut response = Response::builder().status(429);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    Ok(response.body(Full::from("no")).unwrap())
}

fn stream() -> Answer {
    let events = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: [DONE]\n\n";
    Ok(Response::builder().header("content-type", "text/event-stream").body(Full::from(events)).unwrap())
}

fn metered() -> (Pool, Records) {
    let records = Records::default();
    let pool = Pool::builder("test").observer(records.clone()).build().unwrap();
    (pool, records)
}

/// Sends a request with the retrying outside the meter, reads the response to
/// its end, and gives its status and the records.
async fn outside(
    upstream: &Upstream,
    policy: LlmPolicy,
    request: Request<()>,
) -> (io::Result<u16>, Vec<RequestRecord>) {
    let (pool, records) = metered();
    let service = pool.retry(policy).layer(pool.layer().layer(upstream.clone()));
    let result = match service.oneshot(request).await {
        Ok(response) => {
            let status = response.status().as_u16();
            response.into_body().collect().await.unwrap();
            Ok(status)
        }
        Err(error) => Err(error),
    };
    let counts = pool.reading().counts;
    assert_eq!((counts.in_flight, counts.queue_depth()), (0, 0));
    (result, std::mem::take(&mut records.0.lock().unwrap()))
}

/// The slot is held while the policy waits, so there is one arrival and one
/// record, which says for how long and why.
#[tokio::test(start_paused = true)]
async fn inside_is_one_record() {
    let (pool, records) = metered();
    let upstream = Upstream::new([refusal(&[("retry-after", "2")]), stream()]);
    let service = pool.layer().layer(pool.retry(LlmPolicy::new()).layer(upstream.clone()));
    let response = service.oneshot(Request::new(())).await.unwrap();
    response.into_body().collect().await.unwrap();

    let records = records.0.lock().unwrap();
    let [record] = &records[..] else { panic!("one record, not {}", records.len()) };
    assert_eq!((record.outcome, record.attempt, record.attempt_cause), (Outcome::Completed, 1, None));
    let [retry] = record.retries[..] else { panic!("one retry, not {:?}", record.retries) };
    assert_eq!(retry.cause, "status_429");
    assert_eq!(retry.resumed_at.unwrap().since(retry.failed_at), Duration::from_secs(2));
    assert_eq!(record.timeline.t_in_flight(), Some(2 * TAKES + Duration::from_secs(2)));
    let totals = pool.reading().totals;
    assert_eq!((pool.arrivals().arrivals, upstream.arrivals()), (1, 2));
    assert_eq!((totals.gap_time(), totals.backlog_time()), (Duration::ZERO, Duration::ZERO));
}

/// The slot is free while the policy waits, which is a gap of just that length,
/// and each attempt is a record that says which it is and why it was made.
#[tokio::test(start_paused = true)]
async fn outside_is_a_record_each() {
    let (pool, records) = metered();
    let upstream = Upstream::new([refusal(&[("retry-after", "2")]), status(500), stream()]);
    let policy = LlmPolicy::new().backoff(Duration::ZERO, Duration::ZERO);
    let service = pool.retry(policy).layer(pool.layer().layer(upstream.clone()));
    let response = service.oneshot(Request::new(())).await.unwrap();
    response.into_body().collect().await.unwrap();

    let records = records.0.lock().unwrap();
    let seen: Vec<_> = records.iter().map(|record| (record.attempt, record.attempt_cause)).collect();
    assert_eq!(seen, [(1, None), (2, Some("status_429")), (3, Some("status_5xx"))]);
    assert!(records.iter().all(|record| record.request_id == records[0].request_id));
    assert!(records.iter().all(|record| record.retries.is_empty()));
    assert_eq!(records[2].outcome, Outcome::Completed);
    let (first, second) = (&records[0].timeline, &records[1].timeline);
    assert_eq!(second.queued_at.since(first.released_at.unwrap()), Duration::from_secs(2));
    let totals = pool.reading().totals;
    assert_eq!(totals.gap_time_of(GapCause::Backoff), Duration::from_secs(2));
    assert_eq!((totals.gap_time(), totals.busy_slot_time()), (Duration::from_secs(2), 3 * TAKES));
}

/// A service that fails is tried again if it was the connection, and the records
/// carry the id that the request came with, or one that was made once.
#[tokio::test(start_paused = true)]
async fn connect_errors_are_tried_again() {
    for id in [None, Some("mine")] {
        let upstream = Upstream::new([Err(ErrorKind::ConnectionRefused.into()), stream()]);
        let mut request = Request::new(());
        if let Some(id) = id {
            request.headers_mut().insert("x-request-id", id.parse().unwrap());
        }
        let (result, records) = outside(&upstream, LlmPolicy::new(), request).await;
        assert_eq!((result.unwrap(), records.len()), (200, 2));
        assert_eq!((records[0].outcome, records[1].attempt_cause), (Outcome::Failed, Some("connect")));
        assert_eq!(records[0].request_id, records[1].request_id);
        assert!(id.is_none_or(|id| &*records[0].request_id == id));
    }
}

/// What is worth another attempt, and by what cause it goes.
#[tokio::test(start_paused = true)]
async fn what_passes_is_tried_again() {
    let mut proxied = Response::builder().status(502).body(Full::from("no")).unwrap();
    proxied.extensions_mut().insert(ErrorType("connect"));
    for (first, cause) in [
        (status(408), "status_408"),
        (status(409), "status_409"),
        (status(429), "status_429"),
        (status(500), "status_5xx"),
        (status(529), "status_5xx"),
        (Ok(proxied), "connect"),
        (Err(ErrorKind::ConnectionReset.into()), "connect"),
    ] {
        let upstream = Upstream::new([first, stream()]);
        let (result, records) = outside(&upstream, LlmPolicy::new(), Request::new(())).await;
        assert_eq!((result.unwrap(), records[1].attempt_cause), (200, Some(cause)));
    }
}

/// Success and what would only fail again is handed on at once.
#[tokio::test(start_paused = true)]
async fn what_stays_is_handed_on() {
    for only in [
        stream(),
        status(400),
        status(404),
        Err(ErrorKind::TimedOut.into()),
        Err(io::Error::other("something else")),
    ] {
        let expected = only.as_ref().map(|response| response.status().as_u16()).map_err(io::Error::kind);
        let upstream = Upstream::new([only]);
        let (result, records) = outside(&upstream, LlmPolicy::new(), Request::new(())).await;
        assert_eq!(result.map_err(|error| error.kind()), expected);
        assert_eq!((upstream.arrivals(), records.len()), (1, 1));
    }
}

/// When the retries are used up, the last answer is handed on.
#[tokio::test(start_paused = true)]
async fn retries_are_limited() {
    for retries in [0, 2, 5] {
        let answers = (0..=retries).map(|_| status(503));
        let upstream = Upstream::new(answers);
        let policy = LlmPolicy::new().max_retries(retries);
        let (result, records) = outside(&upstream, policy, Request::new(())).await;
        assert_eq!((result.unwrap(), records.len()), (503, retries as usize + 1));
    }
}

/// Milliseconds go before seconds or a date; what cannot be read asks for nothing.
#[tokio::test(start_paused = true)]
async fn the_wait_is_as_asked() {
    let date = |seconds| httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(seconds));
    let (soon, past) = (date(10), httpdate::fmt_http_date(SystemTime::UNIX_EPOCH));
    // Without jitter. The timer rounds up to the millisecond, and a date down to the second.
    for (headers, least, most) in [
        (&[("retry-after-ms", "1500.5"), ("retry-after", "30")][..], 1500, 1502),
        (&[("retry-after-ms", "soon"), ("retry-after", "3")], 3000, 3000),
        (&[("retry-after", "1.25")], 1250, 1250),
        (&[("retry-after", "60")], 60_000, 60_000),
        (&[("retry-after", &soon)], 8000, 10_000),
        (&[("retry-after", &past)], 0, 0),
        (&[("retry-after", "-1")], 0, 0),
        (&[("retry-after", "NaN")], 0, 0),
        (&[], 0, 0),
    ] {
        let upstream = Upstream::new([refusal(headers), stream()]);
        let policy = LlmPolicy::new().backoff(Duration::ZERO, Duration::ZERO);
        outside(&upstream, policy, Request::new(())).await.0.unwrap();
        let wait = upstream.wait().as_millis();
        assert!((least..=most).contains(&wait), "{headers:?}: {wait}");
    }
}

/// A response that asks for a longer wait than anyone would wait is the answer.
#[tokio::test(start_paused = true)]
async fn too_long_a_wait_is_an_answer() {
    let far = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(3600));
    for (name, value) in
        [("retry-after", "61"), ("retry-after-ms", "60001"), ("retry-after", "1e300"), ("retry-after", &far)]
    {
        let upstream = Upstream::new([refusal(&[(name, value)])]);
        let (result, records) = outside(&upstream, LlmPolicy::new(), Request::new(())).await;
        assert_eq!((result.unwrap(), records.len()), (429, 1), "{name}: {value}");
    }
}

/// Waits are spread over the whole of a bound that doubles, up to its maximum.
#[tokio::test(start_paused = true)]
async fn jitter_is_full_and_bounded() {
    let budget = Arc::new(TpsBudget::new(Duration::from_secs(1), 1_000_000, 0.0));
    for (retry, bound) in [0.5, 1.0, 2.0, 4.0, 8.0, 8.0].into_iter().enumerate() {
        let waits = (0..2000).map(|_| {
            let mut policy = LlmPolicy::new().max_retries(6).budget(budget.clone());
            let mut wait = || policy.retry(&mut Request::new(()), &mut status(500)).unwrap();
            for _ in 0..retry {
                drop(wait());
            }
            wait().deadline().duration_since(tokio::time::Instant::now()).as_secs_f64()
        });
        let waits: Vec<f64> = waits.collect();
        let mean = waits.iter().sum::<f64>() / waits.len() as f64;
        assert!(waits.iter().all(|wait| (0.0..=bound).contains(wait)), "within {bound}");
        // Four standard errors of a uniform draw's mean are 0.026 of the bound.
        assert!((mean / bound - 0.5).abs() < 0.03, "{mean} of {bound}");
    }
}

/// A thousand requests in an outage are a thousand attempts and what the budget
/// holds, and no more; requests that succeed fill it.
#[tokio::test(start_paused = true)]
async fn an_outage_is_not_amplified() {
    for (successes, retries) in [(0, 10), (500, 110)] {
        let good = (0..successes).map(|_| stream());
        let upstream = Upstream::new(good.chain((0..1000 + retries).map(|_| status(503))));
        let pool = Pool::builder("test").cap(1000).build().unwrap();
        // In ten seconds: one retry a second, and one for five deposits.
        let budget = Arc::new(TpsBudget::new(Duration::from_secs(10), 1, 0.2));
        let service = pool.retry(LlmPolicy::new().budget(budget)).layer(pool.layer().layer(upstream.clone()));
        for requests in [successes, 1000] {
            let send = |_| tokio::spawn(service.clone().oneshot(Request::new(())));
            let tasks: Vec<_> = (0..requests).map(send).collect();
            for task in tasks {
                task.await.unwrap().unwrap();
            }
        }
        assert_eq!(upstream.arrivals(), successes + 1000 + retries);
    }
}

/// Whoever gives up during the wait ends the back-off at once.
#[tokio::test(start_paused = true)]
async fn giving_up_outside_ends_the_backoff() {
    let (pool, records) = metered();
    let upstream = Upstream::new([refusal(&[("retry-after", "30")])]);
    let service = pool.retry(LlmPolicy::new()).layer(pool.layer().layer(upstream));
    let mut request = spawn(service.oneshot(Request::new(())));
    assert_pending!(request.poll());
    sleep(TAKES).await;
    assert_pending!(request.poll());
    let counts = pool.reading().counts;
    assert_eq!((counts.in_flight, counts.backoff), (0, 1), "the body is dropped before the wait");
    sleep(Duration::from_secs(3)).await;
    drop(request);
    let reading = pool.reading();
    assert_eq!(reading.counts.queue_depth(), 0);
    assert_eq!(reading.totals.gap_time_of(GapCause::Backoff), Duration::from_secs(3));
    assert_eq!(records.0.lock().unwrap().len(), 1);
}

/// Whoever gives up during a wait in the slot gives the slot back at once, and
/// the one record is cancelled with a retry that never went out.
#[tokio::test(start_paused = true)]
async fn giving_up_inside_cancels() {
    let (pool, records) = metered();
    let upstream = Upstream::new([refusal(&[("retry-after", "30")])]);
    let service = pool.layer().layer(pool.retry(LlmPolicy::new()).layer(upstream));
    let mut request = spawn(service.oneshot(Request::new(())));
    assert_pending!(request.poll());
    sleep(TAKES).await;
    assert_pending!(request.poll());
    let counts = pool.reading().counts;
    assert_eq!((counts.in_flight, counts.queue_depth()), (1, 0));
    drop(request);
    assert_eq!(pool.reading().counts.in_flight, 0);
    let records = records.0.lock().unwrap();
    assert_eq!((records[0].outcome, records[0].phase), (Outcome::Cancelled, Phase::Dispatch));
    assert!(records[0].retries[0].resumed_at.is_none());
}

/// A policy that tries again at once, whatever came, and clones requests bare.
#[derive(Clone)]
struct Once(bool);

impl<R, E> Policy<Request<()>, R, E> for Once {
    type Future = Ready<()>;

    fn retry(&mut self, _: &mut Request<()>, _: &mut Result<R, E>) -> Option<Ready<()>> {
        (!std::mem::replace(&mut self.0, true)).then(|| ready(()))
    }

    fn clone_request(&mut self, _: &Request<()>) -> Option<Request<()>> {
        Some(Request::new(()))
    }
}

/// Any policy is recorded, even one that loses all that a request carries, and
/// attempts are counted on from the one that the request came as.
#[tokio::test(start_paused = true)]
async fn any_policy_is_recorded() {
    for (first, cause) in [(status(404), "status_4xx"), (status(301), "status_other")] {
        let (pool, records) = metered();
        let upstream = Upstream::new([first, stream()]);
        let service = pool.retry(Once(false)).layer(pool.layer().layer(upstream));
        let request =
            Request::builder().header("x-request-id", "mine").header("x-stainless-retry-count", "2");
        service.oneshot(request.body(()).unwrap()).await.unwrap();
        let records = records.0.lock().unwrap();
        assert!(records.iter().all(|record| &*record.request_id == "mine"));
        let seen: Vec<_> = records.iter().map(|record| (record.attempt, record.attempt_cause)).collect();
        assert_eq!(seen, [(3, None), (4, Some(cause))]);
    }
}

/// A service is only called once it is ready, at each attempt: tower's limit
/// would panic otherwise.
#[tokio::test(start_paused = true)]
async fn readiness_is_kept() {
    let pool = Pool::builder("test").build().unwrap();
    let upstream = Upstream::new([status(500), stream(), stream()]);
    let limited = tower::limit::ConcurrencyLimit::new(upstream, 1);
    let mut service = pool.retry(LlmPolicy::new()).layer(limited);
    for _ in 0..2 {
        assert!(service.ready().await.unwrap().call(Request::new(())).await.unwrap().status().is_success());
    }
}

/// The errors of the clients there are, and what wraps them, have their cause.
#[tokio::test]
async fn errors_have_causes() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{closed}/");
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    assert_eq!(client.get(url.parse().unwrap()).await.unwrap_err().cause(), "connect");

    let boxed = |error: tower::BoxError| error.cause();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    assert_eq!(boxed(client.get(url).send().await.unwrap_err().into()), "connect");

    let slow = service_fn(|()| std::future::pending::<io::Result<()>>());
    let timeout = tower::timeout::Timeout::new(slow, Duration::from_millis(1));
    assert_eq!(timeout.oneshot(()).await.unwrap_err().cause(), "timeout");

    assert_eq!(io::Error::from(ErrorKind::TimedOut).cause(), "timeout");
    assert_eq!(io::Error::other(io::Error::from(ErrorKind::NotConnected)).cause(), "connect");
    assert_eq!(boxed("something else".into()), "error");
}

/// A global cap around a cap for each model, with the retrying innermost: both
/// slots were held in back-off, both records say so, and neither pool takes the
/// request for one that waits beside a free slot.
#[tokio::test(start_paused = true)]
async fn nested_meters_both_know() {
    for innermost_is_outer in [false, true] {
        let ((outer, outer_records), (inner, inner_records)) = (metered(), metered());
        let upstream = Upstream::new([refusal(&[("retry-after", "30")]), stream()]);
        let retries = if innermost_is_outer { &outer } else { &inner };
        let service = retries.retry(LlmPolicy::new()).layer(upstream);
        let service = outer.layer().layer(inner.layer().layer(service));
        let response = service.oneshot(Request::new(())).await.unwrap();
        response.into_body().collect().await.unwrap();
        for (pool, records) in [(&outer, &outer_records), (&inner, &inner_records)] {
            let records = records.0.lock().unwrap();
            assert_eq!((records.len(), records[0].retries.len()), (1, 1));
            let backoff = pool.reading().totals.slot_time_of(SlotPhase::Backoff);
            assert_eq!(backoff, Duration::from_secs(30));
            assert_eq!(pool.sample().dispatched, 2);
        }
        assert_eq!(inner.reading().totals.backlog_time(), Duration::ZERO);
        assert_eq!(outer.reading().totals.backlog_time(), Duration::ZERO);
    }
}

/// A gateway that retries, before a client that retries on its own: the client's
/// pool counts its own attempts from 1, by its own causes.
#[tokio::test(start_paused = true)]
async fn each_pool_counts_its_own_attempts() {
    let ((gateway, gateways), (client, clients)) = (metered(), metered());
    let upstream = Upstream::new([status(500), status(400), status(503), stream()]);
    let no_wait = LlmPolicy::new().backoff(Duration::ZERO, Duration::ZERO);
    let service = client.retry(no_wait).layer(client.layer().layer(upstream));
    // What the client's last attempt was refused with, the gateway tries again.
    let again = PassOn(1);
    let service = gateway.retry(again).layer(gateway.layer().layer(service));
    let response = service.oneshot(Request::new(())).await.unwrap();
    response.into_body().collect().await.unwrap();
    let attempts = |records: &Records| -> Vec<_> {
        let records = records.0.lock().unwrap();
        records.iter().map(|record| (record.attempt, record.attempt_cause)).collect()
    };
    assert_eq!(attempts(&gateways), [(1, None), (2, Some("status_4xx"))]);
    let own = [(1, None), (2, Some("status_5xx"))];
    assert_eq!(attempts(&clients), [own, own].concat());
}

/// Tries whatever fails again, so often.
#[derive(Clone)]
struct PassOn(u32);

impl<R, E> Policy<Request<()>, Response<R>, E> for PassOn {
    type Future = Ready<()>;

    fn retry(&mut self, _: &mut Request<()>, result: &mut Result<Response<R>, E>) -> Option<Ready<()>> {
        let failed = result.as_ref().is_ok_and(|response| !response.status().is_success());
        (failed && std::mem::replace(&mut self.0, 0) > 0).then(|| ready(()))
    }

    fn clone_request(&mut self, request: &Request<()>) -> Option<Request<()>> {
        Some(request.clone())
    }
}

/// A service between retry and meter that sends one attempt twice: what its slots
/// did is told once, as failed or as abandoned, and never as less than nothing.
#[tokio::test(start_paused = true)]
async fn an_attempt_of_two_flights() {
    let (pool, _records) = metered();
    let refused = || Err(ErrorKind::ConnectionRefused.into());
    let upstream = Upstream::new([refused(), refused(), stream()]);
    let metered = pool.layer().layer(upstream);
    let twice = service_fn(move |request: Request<()>| {
        let metered = metered.clone();
        async move {
            match metered.clone().oneshot(request.clone()).await {
                Err(_) => metered.oneshot(request).await,
                answer => answer,
            }
        }
    });
    let service = pool.retry(LlmPolicy::new().backoff(Duration::ZERO, Duration::ZERO)).layer(twice);
    let response = service.oneshot(Request::new(())).await.unwrap();
    response.into_body().collect().await.unwrap();
    let sample = pool.sample();
    assert_eq!((sample.failed_slot_time(), sample.abandoned_slot_time()), (Duration::ZERO, 2 * TAKES));
    assert_eq!((sample.failed_requests, sample.abandoned_attempts), (0, 2));
}

/// A kept connection that the server closes as it takes the next request on it,
/// over real TCP: that is a connection that broke, and it is tried again.
#[tokio::test]
async fn a_kept_connection_that_is_closed() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let taken = Arc::new(Mutex::new(0));
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let taken = taken.clone();
            tokio::spawn(async move {
                let mut request = [0; 4_096];
                while client.read(&mut request).await.is_ok_and(|length| length > 0) {
                    let number = {
                        let mut taken = taken.lock().unwrap();
                        *taken += 1;
                        *taken
                    };
                    // The second one is not answered.
                    if number == 2 {
                        return;
                    }
                    client.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
                }
            });
        }
    });
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let (pool, records) = metered();
    let service = pool.retry(LlmPolicy::new().backoff(Duration::ZERO, Duration::ZERO));
    let service = service.layer(pool.layer().layer(client));
    for _ in 0..2 {
        let request = Request::post(&url).body(Full::from("x")).unwrap();
        let response = service.clone().oneshot(request).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "ok");
    }
    server.abort();
    let causes: Vec<_> = records.0.lock().unwrap().iter().map(|record| record.attempt_cause).collect();
    assert_eq!(causes, [None, None, Some("connect")]);
}

/// What is kept of a request keeps its pool from nothing.
#[tokio::test]
async fn a_kept_request_keeps_no_pool() {
    #[derive(Debug)]
    struct End(Arc<Mutex<bool>>);
    impl tower_tps::observe::Observer for End {
        fn end(&self, _: &tower_tps::observe::Sample) {
            *self.0.lock().unwrap() = true;
        }
    }
    let (ended, kept) = (Arc::new(Mutex::new(false)), Arc::new(Mutex::new(None)));
    let pool = Pool::builder("test").observer(End(ended.clone())).build().unwrap();
    let keeps = kept.clone();
    let service = pool.layer().layer(service_fn(move |request: Request<()>| {
        *keeps.lock().unwrap() = Some(request.extensions().clone());
        ready(Ok::<_, io::Error>(Response::new(Full::<Bytes>::default())))
    }));
    pool.retry(LlmPolicy::new()).layer(service).oneshot(Request::new(())).await.unwrap();
    assert!(kept.lock().unwrap().as_ref().is_some_and(|kept| kept.get::<Retries>().is_some()));
    drop(pool);
    assert!(*ended.lock().unwrap());
}
