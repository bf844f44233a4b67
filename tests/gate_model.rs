//! The gate under a model checker that tries interleavings of threads:
//! `RUSTFLAGS="--cfg shuttle" cargo test --test gate_model`.
#![cfg(shuttle)]

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use shuttle::future::block_on;
use shuttle::thread;
use tower::{Layer, Service, service_fn};
use tower_tps::Pool;
use tower_tps::gate::{Claim, Classes, Gate, Reading, SlotPhase};

const SCHEDULES: usize = 20_000;

fn at_rest(gate: &Gate, arrivals: u64) {
    let (counts, seen) = (gate.reading().counts, gate.arrivals());
    assert_eq!((counts.in_flight, counts.waiting), (0, 0));
    assert_eq!((seen.arrivals, seen.ended), (arrivals, arrivals));
}

/// Threads that each get a slot and give it back.
fn users(gate: &Gate, count: usize) -> Vec<thread::JoinHandle<()>> {
    let user = |gate: Gate| thread::spawn(move || drop(block_on(gate.acquire()).unwrap()));
    (0..count).map(|_| user(gate.clone())).collect()
}

/// Every thread gets its slot and none is lost, however they interleave.
#[test]
fn all_get_in() {
    shuttle::check_random(
        || {
            let gate = Gate::new(1).unwrap();
            let threads: Vec<_> = (0..3)
                .map(|_| {
                    let gate = gate.clone();
                    thread::spawn(move || {
                        let slot = block_on(gate.acquire()).unwrap();
                        assert_eq!(gate.reading().counts.in_flight, 1);
                        drop(slot);
                    })
                })
                .collect();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            at_rest(&gate, 3);
        },
        SCHEDULES,
    );
}

/// A cap that falls and rises under traffic loses no slot and wakes everyone.
#[test]
fn the_cap_moves_under_traffic() {
    shuttle::check_random(
        || {
            let gate = Gate::new(2).unwrap();
            let mut threads = users(&gate, 4);
            threads.push({
                let gate = gate.clone();
                thread::spawn(move || [1, 3, 1].iter().for_each(|&cap| gate.set_cap(cap).unwrap()))
            });
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            at_rest(&gate, 4);
            let slot = block_on(gate.acquire()).unwrap();
            let mut second = Box::pin(gate.acquire());
            let poll = second.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop()));
            assert!(poll.is_pending(), "the cap is 1 at the end");
            drop(slot);
            drop(block_on(second).unwrap());
        },
        SCHEDULES,
    );
}

/// A waiter that gives up at any moment leaves its slot to the others.
#[test]
fn leaving_at_any_moment() {
    shuttle::check_random(
        || {
            let gate = Gate::new(1).unwrap();
            let mut threads = users(&gate, 2);
            threads.push({
                let gate = gate.clone();
                thread::spawn(move || {
                    let mut leaver = Box::pin(gate.acquire());
                    let _ = leaver.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop()));
                    drop(leaver);
                    gate.set_cap(2).unwrap();
                })
            });
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            at_rest(&gate, 3);
        },
        SCHEDULES,
    );
}

/// Classes and tenants, of which one gives up at any moment, under a cap that
/// moves: everyone else gets in, and no slot is lost.
fn classes_and_tenants(classes: &Classes) {
    let gate = Gate::builder(2).classes(classes.clone()).build().unwrap();
    let claims = [Claim::default(), Claim::default().tenant(1), Claim::default().class(1).tenant(1)];
    let mut threads: Vec<_> = claims
        .into_iter()
        .map(|claim| {
            let gate = gate.clone();
            thread::spawn(move || drop(block_on(gate.acquire_as(&claim)).unwrap()))
        })
        .collect();
    threads.push({
        let gate = gate.clone();
        thread::spawn(move || {
            let mut leaver = Box::pin(gate.acquire_as(&Claim::default().tenant(1)));
            gate.set_cap(1).unwrap();
            let _ = leaver.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            drop(leaver);
            gate.set_cap(2).unwrap();
        })
    });
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    at_rest(&gate, 4);
}

/// The same whether the first class goes before the others.
#[test]
fn strict_classes_under_traffic() {
    shuttle::check_random(|| classes_and_tenants(&Classes::strict(2)), SCHEDULES);
}

/// Or they share by weight.
#[test]
fn weighted_classes_under_traffic() {
    shuttle::check_random(|| classes_and_tenants(&Classes::weighted([4, 1])), SCHEDULES);
}

/// A stream of two tokens, each asked for once in vain.
struct Tokens(usize);

impl Body for Tokens {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        const TOKEN: &[u8] = b"data: {\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n";
        self.0 += 1;
        match self.0 {
            1 | 3 => Poll::Pending,
            2 | 4 => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(TOKEN))))),
            _ => Poll::Ready(None),
        }
    }
}

fn stream(pool: &Pool) {
    let upstream = |_: Request<()>| {
        let response = Response::builder().header("content-type", "text/event-stream");
        std::future::ready(Ok::<_, Infallible>(response.body(Tokens(0)).unwrap()))
    };
    let mut cx = Context::from_waker(Waker::noop());
    let mut call = pin!(pool.layer().layer(service_fn(upstream)).call(Request::new(())));
    let Poll::Ready(Ok(response)) = call.as_mut().poll(&mut cx) else { panic!("a slot is free") };
    let mut body = response.into_body();
    while !matches!(Pin::new(&mut body).poll_frame(&mut cx), Poll::Ready(None)) {}
}

fn phases(reading: &Reading) -> [Duration; 6] {
    SlotPhase::ALL.map(|phase| reading.totals.slot_time_of(phase))
}

/// Whoever reads while streams run finds all of their slot-time, and no phase
/// that has lost any since; nothing is left open at the end.
#[test]
fn readings_of_running_streams() {
    shuttle::check_random(
        || {
            let pool = Pool::builder("model").cap(2).build().unwrap();
            let streams = (0..2).map(|_| {
                let pool = pool.clone();
                thread::spawn(move || stream(&pool))
            });
            let streams: Vec<_> = streams.collect();
            let mut before = pool.reading();
            for _ in 0..3 {
                let now = pool.reading();
                let known = phases(&now).iter().sum::<Duration>() + now.totals.unattributed_slot_time();
                assert_eq!(known, now.totals.busy_slot_time());
                assert!(std::iter::zip(phases(&before), phases(&now)).all(|(before, now)| before <= now));
                before = now;
            }
            streams.into_iter().for_each(|stream| stream.join().unwrap());
            let end = pool.reading().totals;
            assert_eq!(end.unattributed_slot_time(), Duration::ZERO);
        },
        SCHEDULES,
    );
}
