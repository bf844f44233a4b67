//! What the meter costs: the gate, and a frame through the whole layer.
//! `cargo bench --bench layer`.
//!
//! - `gate/uncontended`, `gate/two threads`: a slot is taken and given back,
//!   which is two transitions. The figure is the time of both; with two threads,
//!   how long each thread takes for both while the other does the same.
//! - `gate/queue …`: one more arrives at a full gate where so many wait, the slot
//!   goes back, and the first takes it: of one tenant, and each of another.
//! - `gate/reading …`: a reading while so many slots are held, each with an
//!   account. The gate is locked for as long.
//! - `frame/…`: one event of 323 bytes a frame, as engines send them, without a
//!   tokenizer. `ready`: it is there when asked for. `pending`: it is asked for
//!   in vain once, as over a network; the upstream's own part in it is
//!   `frame/bare …`.
//! - `frame/task …`: the same on a current-thread runtime, with an upstream that wakes
//!   who asks it in vain: `metered`, and `absorbed`, read ahead of a client that
//!   keeps up.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::hint::black_box;
use std::pin::Pin;
use std::sync::Barrier;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, measurement::WallTime};
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_tps::Pool;
use tower_tps::clock::Instant;
use tower_tps::gate::{Acquire, Claim, Gate, Slot};
use tower_tps::layer::ResponseBody;

/// A chunk as OpenAI sends it, 323 bytes.
fn event(text: &str) -> Bytes {
    let event = format!(
        "data: {{\"id\":\"chatcmpl-{:046}\",\"object\":\"chat.completion.chunk\",\"created\":1763990000,\
         \"model\":\"gpt-4o-mini-2024-07-18\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_560af6e559\",\
         \"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}},\"logprobs\":null,\"finish_reason\":null}}],\
         \"usage\":null}}\n\n",
        1
    );
    event.into()
}

/// A body that never ends. Every other time it has nothing yet, if it is to.
struct Endless {
    events: [Bytes; 4],
    asked: usize,
    pends: bool,
    wakes: bool,
}

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.asked += 1;
        if self.pends && self.asked % 2 == 1 {
            if self.wakes {
                cx.waker().wake_by_ref();
            }
            return Poll::Pending;
        }
        Poll::Ready(Some(Ok(Frame::data(self.events[self.asked / 2 % 4].clone()))))
    }
}

fn response(pends: bool) -> Response<Endless> {
    let events = ["a", " word", " the", "."].map(event);
    let body = Endless { events, asked: 0, pends, wakes: false };
    Response::builder().header("content-type", "text/event-stream").body(body).expect("a response")
}

fn next(body: &mut (impl Body<Data = Bytes, Error = Infallible> + Unpin)) {
    let mut cx = Context::from_waker(Waker::noop());
    while black_box(Pin::new(&mut *body).poll_frame(&mut cx)).is_pending() {}
}

/// The body of a response that has come through the pool.
fn body(pool: &Pool, pends: bool) -> ResponseBody<Endless> {
    let upstream = move |_: Request<()>| std::future::ready(Ok::<_, Infallible>(response(pends)));
    let mut call = std::pin::pin!(pool.layer().layer(service_fn(upstream)).call(Request::new(())));
    match Future::poll(call.as_mut(), &mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(response)) => response.into_body(),
        Poll::Ready(Err(_)) | Poll::Pending => unreachable!("a slot is free, and the upstream is ready"),
    }
}

fn frame(c: &mut Criterion) {
    let mut group = c.benchmark_group("frame");
    for (name, pends) in [("ready", false), ("pending", true)] {
        group.bench_function(format!("bare {name}"), |b| {
            let mut body = response(pends).into_body();
            b.iter(|| next(&mut body));
        });
        group.bench_function(name, |b| {
            let pool = Pool::builder("bench").build().expect("a valid cap");
            let mut body = body(&pool, pends);
            b.iter(|| next(&mut body));
        });
    }
    group.finish();
}

/// An upstream that wakes who asks it in vain.
fn waking(_: Request<()>) -> std::future::Ready<Result<Response<Endless>, Infallible>> {
    std::future::ready(Ok(response(true).map(|body| Endless { wakes: true, ..body })))
}

fn task<S, B>(c: &mut Criterion, name: &str, service: S)
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible> + Clone,
    B: Body<Data = Bytes, Error = Infallible> + Unpin,
{
    // Whoever is woken has its turn next.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .event_interval(1)
        .build()
        .expect("a runtime");
    c.bench_function(&format!("frame/task {name}"), |b| {
        let mut body =
            runtime.block_on(service.clone().oneshot(Request::new(()))).expect("a response").into_body();
        b.iter_custom(|times| {
            runtime.block_on(async {
                let start = Instant::now();
                for _ in 0..times {
                    black_box(body.frame().await);
                }
                Instant::now().since(start)
            })
        });
    });
}

fn tasks(c: &mut Criterion) {
    let pool = Pool::builder("bench").cap(2).build().expect("a valid cap");
    task(c, "metered", pool.layer().layer(service_fn(waking)));
    task(c, "absorbed", pool.layer().absorb(256 * 1024).layer(service_fn(waking)));
}

fn take(gate: &Gate) {
    let slot = gate.acquire().settled();
    assert!(black_box(slot).is_some_and(|slot| slot.is_ok()), "a slot is free");
}

/// A gate of one slot, and those who wait for it: their tenants take turns, so
/// whoever came first is the next.
struct Line {
    gate: Gate,
    holder: Option<Slot>,
    waiting: VecDeque<Pin<Box<Acquire>>>,
    tenants: u64,
    arrived: u64,
}

impl Line {
    fn of(count: usize, tenants: u64) -> Self {
        let gate = Gate::new(1).expect("a valid cap");
        let holder = gate.acquire().settled().and_then(Result::ok);
        let mut line = Self { gate, holder, waiting: VecDeque::new(), tenants, arrived: 0 };
        (0..count).for_each(|_| line.joins());
        line
    }

    fn joins(&mut self) {
        self.arrived += 1;
        let claim = Claim::default().tenant(self.arrived % self.tenants);
        let mut acquire = Box::pin(self.gate.acquire_as(&claim));
        assert!(acquire.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        self.waiting.push_back(acquire);
    }

    fn moves(&mut self) {
        self.joins();
        self.holder = None;
        let first = self.waiting.pop_front();
        let Some(Poll::Ready(Ok(slot))) =
            first.map(|mut first| first.as_mut().poll(&mut Context::from_waker(Waker::noop())))
        else {
            unreachable!("whoever came first is called")
        };
        self.holder = Some(slot);
    }
}

fn gate(c: &mut Criterion<WallTime>) {
    let mut group = c.benchmark_group("gate");
    group.bench_function("uncontended", |b| {
        let gate = Gate::new(4).expect("a valid cap");
        b.iter(|| take(&gate));
    });
    group.bench_function("two threads", |b| {
        let gate = Gate::new(4).expect("a valid cap");
        b.iter_custom(|times| {
            let both = Barrier::new(2);
            let run = || {
                both.wait();
                let start = Instant::now();
                (0..times).for_each(|_| take(&gate));
                Instant::now().since(start)
            };
            let (one, other): (Duration, Duration) = std::thread::scope(|scope| {
                let other = scope.spawn(run);
                (run(), other.join().unwrap_or_default())
            });
            one.max(other)
        });
    });
    for (name, tenants) in [("one tenant", 1), ("as many tenants", u64::MAX)] {
        group.bench_function(format!("queue of 1000, {name}"), |b| {
            let mut line = Line::of(1_000, tenants);
            b.iter(|| line.moves());
        });
    }
    for held in [1_000, 10_000] {
        let pool = Pool::builder("bench").cap(held).build().expect("a valid cap");
        let bodies: Vec<_> = (0..held).map(|_| body(&pool, false)).collect();
        group.bench_function(format!("reading of {held} slots"), |b| b.iter(|| pool.reading()));
        drop(bodies);
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    gate(&mut criterion);
    frame(&mut criterion);
    tasks(&mut criterion);
    criterion.final_summary();
}
