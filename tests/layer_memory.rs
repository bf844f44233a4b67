//! What the meter costs in memory: counted by the allocator itself.

use std::alloc::System;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tokio_test::task::spawn;
use tower::{Layer, Service, service_fn};
use tower_tps::Pool;

#[path = "support/records.rs"]
mod records;

use self::records::Records;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// One event a frame, as engines send them: plain text, then with escapes.
const EVENTS: [&[u8]; 2] = [
    b"data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n",
    b"data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\\n\\u00e9\"},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n",
];

/// A body that never ends and allocates nothing: whole events, or events that
/// each end in the next frame.
#[derive(Debug)]
struct Endless {
    count: usize,
    cut: bool,
}

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.count += 1;
        let half = self.count / 2 % 2;
        let data = match (self.cut, self.count % 2) {
            (false, _) => Bytes::from_static(EVENTS[self.count % 2]),
            (true, 0) => Bytes::from_static(&EVENTS[half][..100]),
            (true, _) => Bytes::from_static(&EVENTS[half][100..]),
        };
        Poll::Ready(Some(Ok(Frame::data(data))))
    }
}

fn respond(_: Request<()>) -> std::future::Ready<Result<Response<Endless>, Infallible>> {
    let response = Response::builder().header("content-type", "text/event-stream");
    std::future::ready(Ok(response.body(Endless { count: 1, cut: false }).unwrap()))
}

/// The body of one response that came through `service`.
fn body<S, B>(service: &mut S) -> Box<B>
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
{
    let Poll::Ready(response) = spawn(service.call(Request::new(()))).poll() else { panic!("not ready") };
    Box::new(response.unwrap().into_body())
}

fn poll<B: Body<Data = Bytes, Error = Infallible> + Unpin>(body: &mut B, frames: usize) {
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..frames {
        assert!(Pin::new(&mut *body).poll_frame(&mut cx).is_ready());
    }
}

/// Bytes that are held at once for each of a thousand bodies with some frames behind them.
fn bytes_a_stream<S, B>(mut service: S) -> usize
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
    B: Body<Data = Bytes, Error = Infallible> + Unpin,
{
    const STREAMS: usize = 1_000;
    let mut bodies = Vec::with_capacity(STREAMS);
    let region = Region::new(ALLOCATOR);
    for _ in 0..STREAMS {
        bodies.push(body(&mut service));
    }
    bodies.iter_mut().for_each(|body| poll(&mut **body, 10));
    let change = region.change();
    drop(bodies);
    (change.bytes_allocated - change.bytes_deallocated) / STREAMS
}

/// No allocation for a frame in the steady state, whole or cut, and no more
/// than 1 KiB for each stream in flight. (One test: the allocator counts for
/// the whole process.)
#[test]
fn what_a_stream_costs() {
    let records = Records::default();
    let pool = Pool::builder("test").cap(10_000).observer(records.clone()).build().unwrap();
    for cut in [false, true] {
        let mut service = pool.layer().layer(service_fn(move |request| {
            let response =
                respond(request).into_inner().map(|response| response.map(|_| Endless { count: 1, cut }));
            std::future::ready(response)
        }));
        let mut body = body(&mut service);
        poll(&mut body, 100);
        // The test harness allocates beside us now and then, but not every time.
        let fewest = (0..5).map(|_| {
            let region = Region::new(ALLOCATOR);
            poll(&mut body, 2_000);
            let change = region.change();
            change.allocations + change.reallocations
        });
        assert_eq!(fewest.min(), Some(0), "cut: {cut}");
        drop(body);
        let events = records.0.lock().unwrap().remove(0).generated.unwrap().content_events;
        assert_eq!(events, if cut { 5_050 } else { 10_100 }, "each event was read");
    }

    let bare = bytes_a_stream(service_fn(respond));
    let metered = bytes_a_stream(pool.layer().layer(service_fn(respond)));
    println!("{bare} bytes a stream bare, {metered} metered");
    assert!(metered - bare <= 1_024, "{} bytes for the meter", metered - bare);
}
