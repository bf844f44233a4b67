//! Any interleaving of arrivals, cancellations, cap changes and ends: the
//! counts come back to zero, and the online integrals equal, to the
//! nanosecond, those recomputed from what each request saw.

use std::task::Poll;
use std::time::Duration;

use proptest::prelude::*;
use tokio_test::task::{Spawn, spawn};
use tower_tps::clock::Instant;
use tower_tps::gate::{Acquire, Backlog, Backoff, Gate, Slot};

#[path = "support/integrals.rs"]
mod integrals;

use self::integrals::{Change, Integrals, recompute};

#[derive(Clone, Debug)]
enum Step {
    Arrive,
    Poll(usize),
    Cancel(usize),
    Release(usize),
    SetCap(u32),
    Declare(u64),
    Submit(u64),
    BackOff,
    Resume,
    Advance(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Arrive),
        6 => any::<usize>().prop_map(Step::Poll),
        2 => any::<usize>().prop_map(Step::Cancel),
        4 => any::<usize>().prop_map(Step::Release),
        2 => (1..6u32).prop_map(Step::SetCap),
        1 => (1..4u64).prop_map(Step::Declare),
        1 => (1..4u64).prop_map(Step::Submit),
        1 => Just(Step::BackOff),
        1 => Just(Step::Resume),
        6 => (1..2_000_000_000u64).prop_map(Step::Advance),
    ]
}

/// A gate driven step by step, and the changes that its callers could see.
struct Run {
    gate: Gate,
    /// Those not resolved yet, and whether a slot was free for them on arrival.
    waiting: Vec<(Spawn<Acquire>, bool)>,
    slots: Vec<Slot>,
    backlog: Backlog,
    backoffs: Vec<Backoff>,
    changes: Vec<Change>,
    arrived: u64,
    ended: u64,
}

impl Run {
    fn new(cap: u32) -> Self {
        let gate = Gate::new(cap).unwrap();
        let changes = vec![Change { cap: i64::from(cap), ..Change::at(Instant::now()) }];
        let backlog = gate.backlog(0);
        Self {
            gate,
            waiting: vec![],
            slots: vec![],
            backlog,
            backoffs: vec![],
            changes,
            arrived: 0,
            ended: 0,
        }
    }

    fn arrive(&mut self) {
        let before = self.gate.reading().counts;
        let acquire = spawn(self.gate.acquire());
        let entered = self.gate.reading().counts.in_flight > before.in_flight;
        assert_eq!(entered, before.free() > 0 && before.waiting == 0, "at arrival: {before:?}");
        self.waiting.push((acquire, entered));
        self.arrived += 1;
    }

    fn poll(&mut self, index: usize) {
        let before = self.gate.reading().counts;
        let (mut acquire, entered) = self.waiting.remove(index);
        let earlier = self.waiting[..index].iter().filter(|(_, entered)| !entered).count();
        let turn = entered || earlier < before.free() as usize;
        let polled = acquire.poll();
        assert_eq!(polled.is_ready(), turn, "{earlier} before it: {before:?}");
        let Poll::Ready(slot) = polled else {
            return self.waiting.insert(index, (acquire, entered));
        };
        let slot = slot.unwrap();
        let (queued_at, admitted_at) = (slot.queued_at(), slot.admitted_at());
        self.changes.push(Change { waiting: 1, ..Change::at(queued_at) });
        self.changes.push(Change { waiting: -1, in_flight: 1, ..Change::at(admitted_at) });
        self.slots.push(slot);
    }

    fn cancel(&mut self, index: usize) {
        let (mut acquire, entered) = self.waiting.remove(index);
        let queued_at = acquire.queued_at();
        let departure = acquire.enter(|_, mut acquire| acquire.cancel()).unwrap();
        let (waiting, in_flight) = if entered { (0, 1) } else { (1, 0) };
        self.changes.push(Change { waiting, in_flight, ..Change::at(queued_at) });
        self.changes.push(Change { waiting: -waiting, in_flight: -in_flight, ..Change::at(departure.at) });
        self.ended += 1;
    }

    fn release(&mut self, index: usize) {
        let departure = self.slots.remove(index).release();
        self.changes.push(Change { in_flight: -1, ..Change::at(departure.at) });
        self.ended += 1;
    }

    async fn step(&mut self, step: Step) {
        let now = Instant::now();
        match step {
            Step::Arrive => self.arrive(),
            Step::Poll(index) if !self.waiting.is_empty() => self.poll(index % self.waiting.len()),
            Step::Cancel(index) if !self.waiting.is_empty() => self.cancel(index % self.waiting.len()),
            Step::Release(index) if !self.slots.is_empty() => self.release(index % self.slots.len()),
            Step::SetCap(cap) => {
                let from = self.gate.reading().counts.cap;
                self.gate.set_cap(cap).unwrap();
                self.changes.push(Change { cap: i64::from(cap) - i64::from(from), ..Change::at(now) });
            }
            Step::Declare(count) => {
                self.backlog.add(count);
                self.changes.push(Change { backlog: count as i64, ..Change::at(now) });
            }
            Step::Submit(count) => {
                let taken = self.backlog.take(count) as i64;
                self.changes.push(Change { backlog: -taken, ..Change::at(now) });
            }
            Step::BackOff => {
                self.backoffs.push(self.gate.backoff());
                self.changes.push(Change { backoff: 1, ..Change::at(now) });
            }
            Step::Resume if self.backoffs.pop().is_some() => {
                self.changes.push(Change { backoff: -1, ..Change::at(now) });
            }
            Step::Advance(nanos) => tokio::time::advance(Duration::from_nanos(nanos)).await,
            _ => {}
        }
        let (counts, arrivals) = (self.gate.reading().counts, self.gate.arrivals());
        assert_eq!((arrivals.arrivals, arrivals.ended), (self.arrived, self.ended));
        assert_eq!(arrivals.arrivals, arrivals.ended + u64::from(counts.in_flight) + counts.waiting);
    }

    /// Ends everything: whoever still waits must get in, or the gate has lost a slot.
    async fn drain(&mut self) {
        while !(self.waiting.is_empty() && self.slots.is_empty()) {
            let before = self.waiting.len() + self.slots.len();
            for index in (0..self.waiting.len()).rev() {
                self.poll(index);
            }
            if !self.slots.is_empty() {
                self.release(0);
            }
            assert!(self.waiting.len() + self.slots.len() < before, "a slot is lost");
            tokio::time::advance(Duration::from_nanos(7)).await;
        }
        self.step(Step::Submit(u64::MAX)).await;
        while !self.backoffs.is_empty() {
            self.step(Step::Resume).await;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Exact to the nanosecond, whatever happens; and both ways to cut the
    /// window give the same sums.
    #[test]
    fn online_equals_recomputed(cap in 1..6u32, steps in proptest::collection::vec(step(), 0..120)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut run = Run::new(cap);
            let (mut middle, half) = (run.gate.reading(), steps.len() / 2);
            for (index, step) in steps.into_iter().enumerate() {
                run.step(step).await;
                if index == half {
                    middle = run.gate.reading();
                }
            }
            run.drain().await;

            let end = run.gate.reading();
            prop_assert_eq!((end.counts.in_flight, end.counts.queue_depth()), (0, 0));
            let totals = end.totals;
            let online = Integrals::of(&totals);
            prop_assert_eq!(&online, &recompute(run.changes, end.at));
            prop_assert_eq!(
                online.cap + online.over,
                online.busy + online.gap_slots + online.idle,
                "the slot-time identity"
            );
            prop_assert_eq!(end.since(&middle).gap_time() + middle.totals.gap_time(), totals.gap_time());
            Ok(())
        })?;
    }
}
