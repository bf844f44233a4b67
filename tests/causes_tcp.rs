//! The causes that are on this side of the upstream, brought about on the real
//! clock and over real TCP: the ledger's figure against the amount that was in
//! fact injected, which is measured beside it.
#![cfg(all(feature = "sim", feature = "retry", feature = "connect"))]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::time::sleep;
use tower::retry::Policy;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_tps::Pool;
use tower_tps::clock::Instant;
use tower_tps::gate::{GapCause, SlotPhase};
use tower_tps::observe::Sample;
use tower_tps::sim::Engine;

/// How often a run is made anew: a machine that is busy with something else can
/// put the two measurements apart, and does so only now and then.
const MOST_RUNS: usize = 5;

/// How much was injected, as it was done.
#[derive(Clone, Default)]
struct Injected(Arc<Mutex<Duration>>);

impl Injected {
    fn add(&self, since: Instant) {
        *self.0.lock().unwrap() += Instant::now().since(since);
    }
}

/// Holds what the ledger found against what was injected, within 2 % or 5 ms;
/// all else that could be taken for it must stay below that.
async fn agrees(
    name: &str,
    inject: impl AsyncFn(&Pool, &Engine, &Injected),
    found: fn(&Sample) -> Duration,
    not: fn(&Sample) -> Duration,
) {
    let mut apart = Vec::new();
    for _ in 0..MOST_RUNS {
        let interval = Duration::from_millis(2);
        let engine = Engine::builder().slots(1).token_interval(interval).start().await.unwrap();
        let pool = Pool::builder("test").cap(1).build().unwrap();
        let injected = Injected::default();
        inject(&pool, &engine, &injected).await;
        let sample = pool.sample();
        let totals = &sample.reading.totals;
        let phases: Duration = SlotPhase::ALL.iter().map(|phase| totals.slot_time_of(*phase)).sum();
        assert_eq!(phases, totals.busy_slot_time());

        let injected = *injected.0.lock().unwrap();
        let tolerance = (injected / 50).max(Duration::from_millis(5));
        let (found, not) = (found(&sample), not(&sample));
        println!("{name}: {found:?} of {injected:?}, and {not:?} elsewhere");
        if found.abs_diff(injected) <= tolerance && not <= tolerance {
            return;
        }
        apart.push((found, injected, not));
    }
    panic!("{name}: found, injected, elsewhere: {apart:?}");
}

fn request(engine: &Engine, user: usize, asks: &[(&'static str, &'static str)]) -> Request<Full<Bytes>> {
    let body =
        format!(r#"{{"user":"{user}","messages":[{{"content":"hi"}}],"max_tokens":20,"stream":true}}"#);
    let mut request =
        Request::post(format!("{}/v1/chat/completions", engine.url())).body(Full::from(body)).unwrap();
    for (name, value) in asks {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    request
}

type Upstream = Client<HttpConnector, Full<Bytes>>;

fn client() -> Upstream {
    Client::builder(TokioExecutor::new()).build_http()
}

async fn answer<S, B>(service: S, request: Request<Full<Bytes>>)
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>>,
    S::Error: std::fmt::Debug,
    B: Body,
{
    let response = service.oneshot(request).await.unwrap();
    // Cut or not: what is wanted of it has happened by then.
    let _ = response.into_body().collect().await;
}

/// The executor is blocked for 300 ms as a slot is handed on.
#[tokio::test]
async fn a_blocked_executor() {
    let block = async |pool: &Pool, engine: &Engine, injected: &Injected| {
        let metered = pool.layer().layer(client());
        let waits = tokio::spawn({
            let (metered, request) = (metered.clone(), request(engine, 2, &[]));
            async move {
                sleep(Duration::from_millis(5)).await;
                answer(metered, request).await;
            }
        });
        answer(metered, request(engine, 1, &[])).await;
        let began_at = Instant::now();
        std::thread::sleep(Duration::from_millis(300));
        injected.add(began_at);
        waits.await.unwrap();
    };
    let found = |sample: &Sample| sample.reading.totals.lost_slot_time_of(GapCause::Wakeup);
    let not = |sample: &Sample| {
        let totals = &sample.reading.totals;
        totals.lost_slot_time() - totals.lost_slot_time_of(GapCause::Wakeup)
            + totals.slot_time_of(SlotPhase::Stall)
    };
    agrees("wakeup", block, found, not).await;
}

/// A batch that is submitted one after the other, with 150 ms between.
#[tokio::test]
async fn orchestration() {
    let slow = async |pool: &Pool, engine: &Engine, injected: &Injected| {
        let metered = pool.layer().layer(client());
        let mut batch = pool.backlog(3).items(1..=3);
        for _ in 0..3 {
            let began_at = Instant::now();
            sleep(Duration::from_millis(150)).await;
            injected.add(began_at);
            answer(metered.clone(), request(engine, batch.next().unwrap(), &[])).await;
        }
    };
    let found = |sample: &Sample| sample.reading.totals.lost_slot_time_of(GapCause::Orchestration);
    let not = |sample: &Sample| {
        let totals = &sample.reading.totals;
        totals.lost_slot_time() - totals.lost_slot_time_of(GapCause::Orchestration)
    };
    agrees("orchestration", slow, found, not).await;
}

/// A policy that tries a refusal again after 300 ms, and notes how long that was.
#[derive(Clone)]
struct Sleeps(Injected);

impl<B> Policy<Request<Full<Bytes>>, Response<B>, hyper_util::client::legacy::Error> for Sleeps {
    type Future = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

    fn retry(
        &mut self,
        _: &mut Request<Full<Bytes>>,
        result: &mut Result<Response<B>, hyper_util::client::legacy::Error>,
    ) -> Option<Self::Future> {
        let refused = result.as_ref().is_ok_and(|response| response.status() == 429);
        let injected = self.0.clone();
        refused.then(|| {
            let began_at = Instant::now();
            Box::pin(async move {
                sleep(Duration::from_millis(300)).await;
                injected.add(began_at);
            }) as Self::Future
        })
    }

    fn clone_request(&mut self, request: &Request<Full<Bytes>>) -> Option<Request<Full<Bytes>>> {
        Some(request.clone())
    }
}

const REFUSED: [(&str, &str); 1] = [("x-sim-fault", "status=429;times=1")];

/// A retry that waits beside a free slot, and one that waits in its slot: each is
/// found where it was, and not in the other place.
#[tokio::test]
async fn back_off() {
    let beside = |sample: &Sample| sample.reading.totals.lost_slot_time_of(GapCause::Backoff);
    let within = |sample: &Sample| sample.reading.totals.slot_time_of(SlotPhase::Backoff);
    let outside = async |pool: &Pool, engine: &Engine, injected: &Injected| {
        let retrying = pool.retry(Sleeps(injected.clone())).layer(pool.layer().layer(client()));
        answer(retrying, request(engine, 1, &REFUSED)).await;
    };
    agrees("back-off beside the slot", outside, beside, within).await;
    let inside = async |pool: &Pool, engine: &Engine, injected: &Injected| {
        let retrying = pool.layer().layer(pool.retry(Sleeps(injected.clone())).layer(client()));
        answer(retrying, request(engine, 1, &REFUSED)).await;
    };
    agrees("back-off in the slot", inside, within, beside).await;
}

/// A handshake of 100 ms for each of three requests, since no connection is kept.
#[tokio::test]
async fn connection_churn() {
    let churn = async |pool: &Pool, engine: &Engine, injected: &Injected| {
        let notes = injected.clone();
        let connector = pool.connector().layer(service_fn(move |uri| {
            let notes = notes.clone();
            Box::pin(async move {
                let began_at = Instant::now();
                let connected = HttpConnector::new().oneshot(uri).await;
                sleep(Duration::from_millis(100)).await;
                notes.add(began_at);
                connected
            })
        }));
        let client: Client<_, Full<Bytes>> =
            Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        for user in 1..=3 {
            answer(pool.layer().layer(client.clone()), request(engine, user, &[])).await;
        }
    };
    let not = |sample: &Sample| {
        let totals = &sample.reading.totals;
        // What the slots waited for beside the handshakes is the engine's answer.
        let dispatched = totals.slot_time_of(SlotPhase::Dispatch).saturating_sub(sample.connect_time);
        dispatched.saturating_sub(Duration::from_millis(20)) + totals.slot_time_of(SlotPhase::Stall)
    };
    agrees("connection churn", churn, |sample| sample.connect_time, not).await;
}

/// A stream that falls silent halfway, and that its client gives up after 300 ms.
#[tokio::test]
async fn failed_work() {
    let fail = async |pool: &Pool, engine: &Engine, injected: &Injected| {
        let metered = pool.layer().layer(client());
        let began_at = Instant::now();
        let silent = answer(metered, request(engine, 1, &[("x-sim-fault", "stall")]));
        assert!(tokio::time::timeout(Duration::from_millis(300), silent).await.is_err());
        injected.add(began_at);
    };
    agrees("failed work", fail, |sample| sample.failed_slot_time(), |sample| sample.abandoned_slot_time())
        .await;
}
