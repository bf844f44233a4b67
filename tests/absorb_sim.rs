//! What reading ahead gains: system TPS with one slow client in four, against the
//! simulated engine.
#![cfg(feature = "sim")]

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::Request;
use http_body::Body;
use http_body_util::{BodyExt, Full};
use tokio::time::sleep;
use tower::{Layer, Service, ServiceExt};
use tower_tps::Pool;
use tower_tps::gate::SlotPhase;
use tower_tps::outcome::Outcome;
use tower_tps::sim::{self, Engine};

#[path = "support/records.rs"]
mod records;

use self::records::Records;

const REQUESTS: usize = 64;
const TOKENS: u64 = 100;
/// A token leaves the engine every 20 ms.
const INTERVAL: Duration = Duration::from_millis(20);

/// What became of the run, up to the last slot given back.
struct Ran {
    tokens: u64,
    until_released: Duration,
    stall: Duration,
}

impl Ran {
    fn system_tps(&self) -> f64 {
        self.tokens as f64 / self.until_released.as_secs_f64()
    }
}

/// Sixty-four requests through four slots, all there from the start, whose clients
/// take this long over a frame.
async fn run<S, B>(make: impl Fn(&Pool, sim::Service) -> S, pause: impl Fn(usize) -> Duration) -> Ran
where
    S: Service<Request<Full<Bytes>>, Response = http::Response<B>> + Clone,
    S::Error: std::fmt::Debug,
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Debug,
{
    let engine = Engine::builder().slots(8).token_interval(INTERVAL).service();
    let records = Records::default();
    let pool = Pool::builder("sim").cap(4).observer(records.clone()).build().unwrap();
    let service = make(&pool, engine.clone());
    let sent = (0..REQUESTS).map(|index| {
        let body = format!("{{\"prompt\":\"prompt {index}\",\"stream\":true,\"max_tokens\":{TOKENS}}}");
        let request = Request::post("/v1/completions").body(Full::from(body)).unwrap();
        let (service, pause) = (service.clone(), pause(index));
        async move {
            let mut body = service.oneshot(request).await.unwrap().into_body();
            while let Some(frame) = body.frame().await {
                frame.unwrap();
                if !pause.is_zero() {
                    sleep(pause).await;
                }
            }
        }
    });
    join_all(sent).await;

    assert!(pool.is_settled() && engine.truth().max_busy <= 4);
    let records = records.0.lock().unwrap();
    assert!(records.len() == REQUESTS && records.iter().all(|record| record.outcome == Outcome::Completed));
    let started_at = records.iter().map(|record| record.timeline.queued_at).min().unwrap();
    Ran {
        tokens: records.iter().filter_map(|record| record.output_tokens()).sum(),
        until_released: records
            .iter()
            .filter_map(|record| record.timeline.t_total().zip(Some(record.timeline.queued_at)))
            .map(|(total, queued_at)| queued_at.since(started_at) + total)
            .max()
            .unwrap(),
        stall: records.iter().filter_map(|record| Some(record.phases?.of(SlotPhase::Stall))).sum(),
    }
}

/// With one client in four slow, five times as slow as the engine, reading ahead
/// has the slots do exactly what they do when all clients are fast: each is given
/// back at the same instant, and no time is stall. Without it the slow ones hold
/// theirs five times as long.
#[tokio::test(start_paused = true)]
async fn one_slow_client_in_four() {
    let fast = |_| Duration::ZERO;
    let one_in_four = |index: usize| if index % 4 == 3 { INTERVAL * 5 } else { Duration::ZERO };
    let ideal = run(|pool, engine| pool.layer().layer(engine), fast).await;
    let without = run(|pool, engine| pool.layer().layer(engine), one_in_four).await;
    let with = run(|pool, engine| pool.layer().absorb(256 * 1024).layer(engine), one_in_four).await;
    println!(
        "one slow client in four: {:.1} tokens/s and {:.0} s of stall without absorb, {:.1} and {:.0} with 256 KiB; {:.1} with none slow",
        without.system_tps(),
        without.stall.as_secs_f64(),
        with.system_tps(),
        with.stall.as_secs_f64(),
        ideal.system_tps(),
    );
    assert_eq!((with.tokens, without.tokens, ideal.tokens), (6_400, 6_400, 6_400));
    assert_eq!((with.until_released, with.stall), (ideal.until_released, Duration::ZERO));
    // Sixteen slow clients with a hundred frames each, less what the engine takes to make them.
    assert!(without.stall >= (INTERVAL * 4) * 16 * 99, "{:?}", without.stall);
    // Four slots were held for at least that long, where all could have been fast.
    let held = INTERVAL * 99 * 48 + INTERVAL * 5 * 99 * 16;
    assert!(without.until_released >= held / 4, "{:?}", without.until_released);
    assert!(with.system_tps() > without.system_tps());
}
