//! Who is under way: exact, all of one instant, the oldest first, and told to nobody.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::time::sleep;
use tower::{Layer, ServiceExt, service_fn};
use tower_tps::Pool;
use tower_tps::clock::Instant;
use tower_tps::gate::SlotPhase;
use tower_tps::observe::{Observer, Sample};

/// Counts the samples that are told.
#[derive(Clone, Debug, Default)]
struct Samples(Arc<AtomicUsize>);

impl Observer for Samples {
    fn sample(&self, _: &Sample) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn millis(time: u64) -> Duration {
    Duration::from_millis(time)
}

/// Asks for a stream whose headers come after `headers`, and whose tokens come
/// `each` apart. So many are read, and then it is held.
async fn ask(pool: Pool, headers: Duration, each: Duration, reads: usize) {
    let service = service_fn(move |_: Request<()>| async move {
        sleep(headers).await;
        let body = StreamBody::new(Box::pin(stream::unfold((), move |()| async move {
            sleep(each).await;
            let event = Bytes::from_static(b"data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n");
            Some((Ok::<_, Infallible>(Frame::data(event)), ()))
        })));
        Ok::<_, Infallible>(
            Response::builder().header("content-type", "text/event-stream").body(body).unwrap(),
        )
    });
    let mut body = pool.layer().layer(service).oneshot(Request::new(())).await.unwrap().into_body();
    for _ in 0..reads {
        body.frame().await;
    }
    std::future::pending::<()>().await;
}

/// Each has its number, its age, and what its slot is doing; the list is as long
/// as was asked for, and agrees with the counts beside it.
#[tokio::test(start_paused = true)]
async fn each_with_its_phase_and_age() {
    let (ever, all) = (Duration::from_secs(3_600), usize::MAX);
    let pool = Pool::builder("test").cap(4).build().unwrap();
    let start = Instant::now();
    // One generates, one is not read, one waits for its first token, one for its headers; two wait.
    let asked = [
        (millis(10), millis(20), all),
        (millis(10), millis(20), 2),
        (millis(10), ever, all),
        (ever, ever, all),
        (ever, ever, all),
        (ever, ever, all),
    ];
    for (headers, each, reads) in asked {
        tokio::spawn(ask(pool.clone(), headers, each, reads));
        sleep(millis(1)).await;
    }
    // From the start, with the frames at 30, 50, 70 and 90; the second has two of them.
    sleep(millis(94)).await;

    let under_way = pool.under_way(10);
    let reading = under_way.sample.reading;
    let since = |at: Instant| at.since(start);
    let held: Vec<_> = under_way
        .in_flight
        .iter()
        .map(|one| (one.arrival, since(one.admitted_at), one.phase, one.tokens, one.last_token_at.map(since)))
        .collect();
    assert_eq!(
        held,
        [
            (1, millis(0), SlotPhase::Generate, 4, Some(millis(90))),
            (2, millis(1), SlotPhase::Stall, 2, Some(millis(51))),
            (3, millis(2), SlotPhase::Prefill, 0, None),
            (4, millis(3), SlotPhase::Dispatch, 0, None),
        ]
    );
    let queued: Vec<_> = under_way.queued.iter().map(|one| (one.arrival, since(one.queued_at))).collect();
    assert_eq!(queued, [(5, millis(4)), (6, millis(5))]);
    assert_eq!((reading.counts.in_flight, reading.counts.waiting), (4, 2));
    assert_eq!(reading.at.since(start), millis(100));

    let oldest = pool.under_way(1);
    assert_eq!(oldest.in_flight, under_way.in_flight[..1]);
    assert_eq!(oldest.queued, under_way.queued[..1]);
    assert_eq!((oldest.sample.reading.counts.in_flight, oldest.sample.requests), (4, 6));
    let none = pool.under_way(0);
    assert!(none.in_flight.is_empty() && none.queued.is_empty());
}

/// Who comes out of the queue keeps its number, and its age begins anew.
#[tokio::test(start_paused = true)]
async fn from_the_queue_into_a_slot() {
    let pool = Pool::builder("test").build().unwrap();
    let first = tokio::spawn(ask(pool.clone(), millis(1), millis(1), 5));
    sleep(millis(2)).await;
    tokio::spawn(ask(pool.clone(), millis(1), millis(10), 1));
    sleep(millis(8)).await;
    assert_eq!(pool.under_way(9).queued[0].arrival, 2);
    first.abort();
    sleep(millis(2)).await;
    let under_way = pool.under_way(9);
    let [one] = under_way.in_flight[..] else { panic!("one is in flight") };
    assert_eq!((one.arrival, one.phase), (2, SlotPhase::Prefill));
    assert_eq!(under_way.sample.reading.at.since(one.admitted_at), millis(2));
    assert!(under_way.queued.is_empty());
}

/// Looking is told to nobody: no line of a run log comes of a snapshot, a list, a
/// diagnosis or a scrape. Only a sample is told.
#[tokio::test(start_paused = true)]
async fn looking_is_told_to_nobody() {
    let told = Samples::default();
    let pool = Pool::builder("test").sample_interval(millis(1_000)).observer(told.clone()).build().unwrap();
    sleep(millis(2_500)).await;
    let before = told.0.load(Ordering::Relaxed);
    let now = pool.snapshot();
    assert_eq!(pool.sample_before(&now, millis(1_000)).reading.at.since(now.reading.at), Duration::ZERO);
    assert_eq!(now.reading.at.since(pool.sample_before(&now, millis(1_000)).reading.at), millis(1_500));
    let _ = (pool.under_way(1), pool.diagnose(millis(1_000)));
    pool.publish();
    assert_eq!(told.0.load(Ordering::Relaxed), before);
    pool.sample();
    assert_eq!(told.0.load(Ordering::Relaxed), before + 1);
}

/// A scrape in the middle of two samples sees the moment.
#[tokio::test(start_paused = true)]
async fn what_is_published_is_of_now() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let pool = Pool::builder("test").sample_interval(Duration::from_secs(3_600)).build().unwrap();
    let backlog = pool.backlog(3);
    sleep(millis(1_500)).await;
    metrics::with_local_recorder(&recorder, || pool.publish());
    let text = recorder.handle().render();
    assert!(text.contains("tps_queue_depth{pool=\"test\"} 3\n"), "{text}");
    assert!(text.contains("tps_gap_seconds_total{pool=\"test\",cause=\"orchestration\"} 1.5\n"), "{text}");
    drop(backlog);
}
