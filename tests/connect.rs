//! Connections as the pool hears of them: held against the engine's own count
//! over real TCP, and to the nanosecond under a paused clock.
#![cfg(all(feature = "connect", feature = "sim"))]

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use serde_json::Value;
use tokio::time::{sleep, timeout};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_tps::Pool;
use tower_tps::connect::Connect;
use tower_tps::layer::Retries;
use tower_tps::observe::{BUCKETS, RunLog, Sample, exposition};
use tower_tps::sim::Engine;

const BODY: &str = r#"{"prompt":"one two three","stream":true,"max_tokens":3}"#;

fn pool() -> Pool {
    Pool::builder("p").cap(4).build().unwrap()
}

async fn engine() -> Engine {
    Engine::builder().token_interval(Duration::from_millis(1)).start().await.unwrap()
}

/// Sends so many requests, one after the other, by a client that keeps up to `idle` connections.
async fn send(pool: &Pool, url: &str, count: usize, idle: usize) {
    let connector = pool.connector().layer(HttpConnector::new());
    let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(idle).build(connector);
    let metered = pool.layer().layer(client);
    for _ in 0..count {
        let request = Request::post(format!("{url}/v1/completions")).body(Full::<Bytes>::from(BODY)).unwrap();
        if let Ok(response) = metered.clone().oneshot(request).await {
            response.into_body().collect().await.unwrap();
        }
        // Until the connection has come back, if it is kept.
        sleep(Duration::from_millis(5)).await;
    }
}

/// Dispatched, connections, failed connects.
fn counts(sample: &Sample) -> (u64, u64, u64) {
    (sample.dispatched, sample.connections, sample.connects_failed)
}

/// Without keep-alive each request makes a connection; with it one serves them all. The engine has
/// counted the same.
#[tokio::test]
async fn with_and_without_keep_alive() {
    for (idle, connections, reused) in [(0, 8, 0.0), (1, 1, 0.875)] {
        let (pool, engine) = (pool(), engine().await);
        send(&pool, &engine.url(), 8, idle).await;
        let sample = pool.sample();
        assert_eq!(counts(&sample), (8, connections, 0));
        assert_eq!(engine.truth().connections, connections);
        assert_eq!(sample.connection_reuse_ratio(), Some(reused));
        assert!(sample.connect_time > Duration::ZERO);
    }
}

/// A port at which nobody listens is a failed connect, and no figure of what was reused.
#[tokio::test]
async fn a_refused_port() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let pool = pool();
    send(&pool, &url, 2, 1).await;
    let sample = pool.sample();
    assert_eq!(counts(&sample), (2, 0, 2));
    assert_eq!(sample.connection_reuse_ratio(), None);
}

/// reqwest takes the layer, and its connections are counted too.
#[tokio::test]
async fn reqwest_with_the_layer() {
    let (pool, engine) = (pool(), engine().await);
    for idle in [0, 1] {
        let client = reqwest::Client::builder()
            .pool_max_idle_per_host(idle)
            .connector_layer(pool.connector())
            .build()
            .unwrap();
        for _ in 0..4 {
            client.get(engine.url() + "/health").send().await.unwrap().bytes().await.unwrap();
            sleep(Duration::from_millis(5)).await;
        }
    }
    let sample = pool.sample();
    assert_eq!(counts(&sample), (0, 4 + 1, 0));
    assert_eq!(engine.truth().connections, 5);
    assert_eq!(sample.connection_reuse_ratio(), None, "nothing went through the meter");
}

// === scripted connectors, the clock paused ===

/// What a scripted connector is asked for: how long it takes, and whether it then has a connection.
type Script = (Duration, Result<&'static str, &'static str>);

fn scripted(
    pool: &Pool,
) -> Connect<impl Service<Script, Response = &'static str, Error = &'static str> + Clone> {
    pool.connector().layer(service_fn(|(time, result): Script| async move {
        sleep(time).await;
        result
    }))
}

/// The time is exact, of those made and those failed; response and error come unchanged, and who
/// gives up is neither.
#[tokio::test(start_paused = true)]
async fn the_connect_time_is_exact() {
    let pool = pool();
    let made = scripted(&pool).oneshot((Duration::from_millis(40), Ok("connection"))).await;
    let failed = scripted(&pool).oneshot((Duration::from_millis(7), Err("refused"))).await;
    let gave_up = scripted(&pool).oneshot((Duration::from_millis(500), Ok("late")));
    assert!(timeout(Duration::from_millis(100), gave_up).await.is_err());
    assert_eq!((made, failed), (Ok("connection"), Err("refused")));
    let sample = pool.sample();
    assert_eq!(counts(&sample), (0, 1, 1));
    let times = (sample.connect_time, sample.connect_failed_time);
    assert_eq!(times, (Duration::from_millis(40), Duration::from_millis(7)));
}

/// A connector that must be asked for readiness before each call, and forgets it when cloned.
#[derive(Debug, Default)]
struct Strict {
    is_ready: bool,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Service<()> for Strict {
    type Response = bool;
    type Error = Infallible;
    type Future = Ready<Result<bool, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // Ready at the second time of asking.
        if std::mem::replace(&mut self.is_ready, true) { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn call(&mut self, (): ()) -> Self::Future {
        ready(Ok(std::mem::take(&mut self.is_ready)))
    }
}

/// The connector that is called is the one that was ready, and it is asked each time.
#[test]
fn readiness_is_passed_on() {
    let mut connect = pool().connector().layer(Strict::default());
    let mut poll = tokio_test::task::spawn(());
    for _ in 0..2 {
        assert!(poll.enter(|cx, _| connect.poll_ready(cx)).is_pending());
        assert!(poll.enter(|cx, _| connect.poll_ready(cx)).is_ready());
        let was_ready = tokio_test::block_on(connect.call(()));
        assert_eq!(was_ready, Ok(true));
    }
    assert!(!connect.clone().get_ref().is_ready && !connect.into_inner().is_ready);
}

/// What is sent again while the slot is held is dispatched too; what never got so far is not.
#[tokio::test(start_paused = true)]
async fn what_is_dispatched() {
    let pool = Pool::builder("p").cap(1).max_queue(0).build().unwrap();
    let upstream = service_fn(|request: Request<()>| async move {
        let retries = request.extensions().get::<Retries>().unwrap();
        retries.failed("status_429");
        sleep(Duration::from_millis(10)).await;
        retries.resumed();
        // One more fails, and is not sent again.
        retries.failed("status_429");
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let metered = pool.layer().layer(upstream);
    let (sent, refused) =
        tokio::join!(metered.clone().oneshot(Request::new(())), metered.clone().oneshot(Request::new(())));
    sent.unwrap().into_body().collect().await.unwrap();
    assert_eq!(refused.unwrap().status(), 429);
    assert_eq!(pool.sample().dispatched, 2);
}

/// The metrics are exposed by their types, and the log has the same totals to the nanosecond.
#[test]
fn metrics_and_log() {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("connect.jsonl");
    let _ = std::fs::remove_file(&path);
    let mut builder = PrometheusBuilder::new();
    for (name, buckets) in BUCKETS {
        builder = builder.set_buckets_for_metric(Matcher::Full(name.into()), buckets).unwrap();
    }
    let recorder = builder.build_recorder();
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    let text = metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            let pool = Pool::builder("p").observer(RunLog::create(&path).unwrap()).build().unwrap();
            let connect = scripted(&pool);
            let upstream = service_fn(move |_: Request<()>| {
                let connect = connect.clone();
                async move {
                    let made = connect.oneshot((Duration::from_micros(1_234_000), Ok(""))).await;
                    made.map(|_| Response::new(Full::<Bytes>::default()))
                }
            });
            let metered = pool.layer().layer(upstream);
            metered.oneshot(Request::new(())).await.unwrap().into_body().collect().await.unwrap();
            let _ = scripted(&pool).oneshot((Duration::from_millis(1), Err("refused"))).await;
            pool.sample();
            pool.close();
        });
        exposition(&recorder.handle().render())
    });
    for line in [
        "# TYPE tps_connections_total counter",
        "# TYPE tps_connect_seconds histogram",
        "# TYPE tps_connection_reuse_ratio gauge",
        "tps_connections_total{pool=\"p\",outcome=\"connected\"} 1",
        "tps_connections_total{pool=\"p\",outcome=\"failed\"} 1",
        "tps_connect_seconds_bucket{pool=\"p\",outcome=\"connected\",le=\"1\"} 0",
        "tps_connect_seconds_bucket{pool=\"p\",outcome=\"connected\",le=\"2.5\"} 1",
        "tps_connect_seconds_count{pool=\"p\",outcome=\"failed\"} 1",
        "tps_connection_reuse_ratio{pool=\"p\"} 0",
    ] {
        assert!(text.contains(&format!("{line}\n")), "{line} in\n{text}");
    }
    let log = std::fs::read_to_string(&path).unwrap();
    let end = log.lines().last().unwrap();
    assert!(end.contains("\"connect_time\":1.234000000"), "{end}");
    assert!(end.contains("\"connect_failed_time\":0.001000000"), "{end}");
    let end: Value = serde_json::from_str(end).unwrap();
    assert_eq!(
        (&end["connections"], &end["connects_failed"], &end["dispatched"]),
        (&1.into(), &1.into(), &1.into())
    );
}
