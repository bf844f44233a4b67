//! What reading ahead costs in memory, for clients that keep up: counted by the
//! allocator itself.

use std::alloc::System;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_tps::Pool;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const EVENT: &[u8] = b"data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n";

const STREAMS: usize = 1_000;

/// What all bodies wait for: the next beat.
#[derive(Clone, Default)]
struct Beats {
    count: Arc<AtomicUsize>,
    waiting: Arc<Mutex<Vec<Waker>>>,
}

impl Beats {
    fn beat(&self) {
        self.count.fetch_add(1, Ordering::SeqCst);
        self.waiting.lock().unwrap().drain(..).for_each(Waker::wake);
    }
}

/// A body with a frame a beat, which allocates nothing.
struct Endless {
    beats: Beats,
    sent: usize,
}

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.sent == self.beats.count.load(Ordering::SeqCst) {
            self.beats.waiting.lock().unwrap().push(cx.waker().clone());
            return Poll::Pending;
        }
        self.sent += 1;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(EVENT)))))
    }
}

/// Bytes held for each of a thousand streams with ten frames behind them, and
/// allocations for the thousand frames of a further beat.
async fn costs<S, B>(beats: &Beats, service: S) -> (usize, usize)
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible> + Clone,
    B: Body<Data = Bytes, Error = Infallible> + Unpin,
{
    let mut bodies = Vec::with_capacity(STREAMS);
    beats.waiting.lock().unwrap().reserve(2 * STREAMS);
    let region = Region::new(ALLOCATOR);
    for _ in 0..STREAMS {
        bodies.push(Box::new(service.clone().oneshot(Request::new(())).await.unwrap().into_body()));
    }
    let mut allocations = 0;
    for _ in 0..10 {
        beats.beat();
        let before = Region::new(ALLOCATOR);
        for body in &mut bodies {
            assert!(body.frame().await.is_some());
        }
        let change = before.change();
        allocations = change.allocations + change.reallocations;
    }
    let change = region.change();
    drop(bodies);
    (change.bytes_allocated - change.bytes_deallocated, allocations)
}

/// Reading ahead of a client that keeps up takes no allocation for a frame, and no
/// more than 1 KiB a stream over what the meter takes.
#[tokio::test(flavor = "current_thread")]
async fn what_a_stream_costs() {
    let pool = Pool::builder("test").cap(10_000).build().unwrap();
    let upstream = |beats: &Beats| {
        let beats = beats.clone();
        service_fn(move |_: Request<()>| {
            let body = Endless { beats: beats.clone(), sent: beats.count.load(Ordering::SeqCst) };
            let response = Response::builder().header("content-type", "text/event-stream");
            std::future::ready(Ok::<_, Infallible>(response.body(body).unwrap()))
        })
    };
    let beats = Beats::default();
    let (metered, _) = costs(&beats, pool.layer().layer(upstream(&beats))).await;
    let beats = Beats::default();
    let (absorbed, allocations) =
        costs(&beats, pool.layer().absorb(256 * 1024).layer(upstream(&beats))).await;
    let more = (absorbed - metered) / STREAMS;
    println!(
        "{} bytes a stream metered, {more} more to read ahead; {allocations} allocations",
        metered / STREAMS
    );
    assert!(allocations < STREAMS / 10, "{allocations} allocations for {STREAMS} frames");
    assert!(more <= 1_024, "{more} bytes");
}
