//! Reading ahead with the reader and the client on different threads: every
//! arrival ends in one record, whatever the client does and whenever.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use tower::{Layer, ServiceExt, service_fn};
use tower_tps::Pool;
use tower_tps::outcome::Outcome;

#[path = "support/records.rs"]
mod records;

use self::records::Records;

const STREAMS: u64 = 4_000;
const TOKEN: &[u8] = b"data: {\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n";
const DONE: &[u8] = b"data: [DONE]\n\n";

#[derive(Debug)]
struct Broken;

/// So many tokens and an end, with nothing there every now and then.
struct Script {
    random: fastrand::Rng,
    tokens: usize,
    breaks: bool,
    is_over: bool,
}

impl Body for Script {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if self.random.u8(..4) == 0 {
            // From elsewhere, as a connection would.
            let waker = cx.waker().clone();
            tokio::spawn(async move { waker.wake() });
            return Poll::Pending;
        }
        if self.tokens > 0 {
            self.tokens -= 1;
            return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(TOKEN)))));
        }
        let was_over = std::mem::replace(&mut self.is_over, true);
        Poll::Ready(match (was_over, self.breaks) {
            (true, _) => None,
            (false, true) => Some(Err(Broken)),
            (false, false) => Some(Ok(Frame::data(Bytes::from_static(DONE)))),
        })
    }
}

/// Four thousand streams through eight slots, with clients that keep up, lag, and
/// go away at any moment: no record is missing or told twice, no slot is lost, and
/// who took all of it got all of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_arrival_in_one_record() {
    let records = Records::default();
    let pool = Pool::builder("test").cap(8).observer(records.clone()).build().unwrap();
    let clients: Vec<_> = (0..STREAMS)
        .map(|seed| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let mut random = fastrand::Rng::with_seed(seed);
                let (tokens, breaks) = (random.usize(..40), random.u8(..4) == 0);
                let script = Script { random: random.fork(), tokens, breaks, is_over: false };
                let script = Arc::new(Mutex::new(Some(script)));
                let upstream = service_fn(move |_: Request<()>| {
                    let script = script.lock().unwrap().take().expect("called once");
                    let response = Response::builder().header("content-type", "text/event-stream");
                    async { Ok::<_, Infallible>(response.body(script).unwrap()) }
                });
                let limit = [1, 500, 100_000][random.usize(..3)];
                let request = Request::builder().header("x-request-id", seed.to_string()).body(()).unwrap();
                let response = pool.layer().absorb(limit).layer(upstream).oneshot(request).await.unwrap();
                let mut body = response.into_body();
                let leaves_after = if random.bool() { random.usize(..40) } else { usize::MAX };
                let (mut taken, mut bytes) = (0, 0);
                while taken < leaves_after {
                    for _ in 0..random.u8(..4) {
                        tokio::task::yield_now().await;
                    }
                    match body.frame().await {
                        Some(Ok(frame)) => bytes += frame.data_ref().unwrap().len() as u64,
                        Some(Err(Broken)) => return (bytes, Some(Outcome::Failed)),
                        None => return (bytes, Some(Outcome::Completed)),
                    }
                    taken += 1;
                }
                let is_all = !breaks && taken == tokens + 1;
                // One that leaves a broken stream is failed or cancelled, as the break has come or not.
                let outcome = if is_all { Outcome::Completed } else { Outcome::Cancelled };
                (bytes, (is_all || !breaks).then_some(outcome))
            })
        })
        .collect();
    let mut ended = Vec::new();
    for client in clients {
        ended.push(client.await.unwrap());
    }
    while !pool.is_settled() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let (counts, arrivals) = (pool.reading().counts, pool.arrivals());
    assert_eq!((counts.in_flight, counts.queue_depth()), (0, 0));
    assert_eq!((arrivals.arrivals, arrivals.ended), (STREAMS, STREAMS));
    let mut records = records.0.lock().unwrap();
    records.sort_by_key(|record| record.request_id.parse::<usize>().unwrap());
    assert_eq!(records.len() as u64, STREAMS);
    for (seed, (record, (bytes, outcome))) in records.iter().zip(ended).enumerate() {
        assert_eq!(*record.request_id, *seed.to_string());
        assert_eq!(record.response_bytes, bytes, "stream {seed}");
        match outcome {
            Some(outcome) => assert_eq!(record.outcome, outcome, "stream {seed}"),
            None => assert!(matches!(record.outcome, Outcome::Failed | Outcome::Cancelled), "stream {seed}"),
        }
        let timeline = &record.timeline;
        let clocks = [timeline.released_at, record.handed_over_at];
        assert!(clocks.iter().all(Option::is_some) && clocks.is_sorted(), "stream {seed}");
        assert!(record.first_token_handed_at.is_none_or(|at| Some(at) >= timeline.first_token_at));
        assert!(record.last_token_handed_at.is_none_or(|at| Some(at) >= timeline.last_token_at));
    }
}
