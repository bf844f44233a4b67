//! The gate under a model checker that tries interleavings of threads:
//! `RUSTFLAGS="--cfg shuttle" cargo test --test gate_model`.
#![cfg(shuttle)]

use std::task::Context;

use shuttle::future::block_on;
use shuttle::thread;
use tower_tps::gate::Gate;

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
