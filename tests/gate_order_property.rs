//! Any interleaving of arrivals, cancellations, ends and cap changes: who may go
//! in is who may by a plain, slow model of the policy, and nobody sleeps over it.

use std::task::Poll;

use proptest::prelude::*;
use tokio_test::task::{Spawn, spawn};
use tower_tps::gate::{Acquire, Claim, Classes, Gate, Slot};

const CLASSES: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    Arrive(usize, u64),
    Poll(usize),
    Cancel(usize),
    Release(usize),
    SetCap(u32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..CLASSES, 0..4u64).prop_map(|(class, tenant)| Step::Arrive(class, tenant)),
        6 => any::<usize>().prop_map(Step::Poll),
        2 => any::<usize>().prop_map(Step::Cancel),
        3 => any::<usize>().prop_map(Step::Release),
        2 => (1..6u32).prop_map(Step::SetCap),
    ]
}

/// The weight of each class; none where the first goes before all others.
type Weights = Option<[u32; CLASSES]>;

fn weights() -> impl Strategy<Value = Weights> {
    let weight = || prop_oneof![Just(1_u32), Just(2), Just(4)];
    proptest::option::of([weight(), weight(), weight()])
}

/// One who waits.
#[derive(Clone, Debug)]
struct Waiter {
    id: usize,
    class: usize,
    tenant: u64,
}

/// The policy, in lists that are searched from end to end.
struct Model {
    weights: Weights,
    /// In the order of arrival.
    uncalled: Vec<Waiter>,
    /// In the order of their calls, with where their class stood then.
    called: Vec<(Waiter, u32)>,
    /// By class its tenants, the next one first.
    rounds: [Vec<u64>; CLASSES],
    /// By class how far it has come, in quarters of a turn of weight 1.
    levels: [u32; CLASSES],
    level: u32,
}

impl Model {
    fn new(weights: Weights) -> Self {
        let rounds = [vec![], vec![], vec![]];
        Self { weights, uncalled: vec![], called: vec![], rounds, levels: [0; CLASSES], level: 0 }
    }

    fn is_called(&self, id: usize) -> bool {
        self.called.iter().any(|(waiter, _)| waiter.id == id)
    }

    fn join(&mut self, waiter: Waiter) {
        let round = &mut self.rounds[waiter.class];
        if round.is_empty() {
            self.levels[waiter.class] = self.levels[waiter.class].max(self.level);
        }
        if !round.contains(&waiter.tenant) {
            round.push(waiter.tenant);
        }
        self.uncalled.push(waiter);
    }

    fn leave(&mut self, id: usize) {
        self.called.retain(|(waiter, _)| waiter.id != id);
        self.uncalled.retain(|waiter| waiter.id != id);
        let Self { rounds, uncalled, .. } = self;
        for (class, round) in rounds.iter_mut().enumerate() {
            round.retain(|tenant| {
                uncalled.iter().any(|waiter| waiter.class == class && waiter.tenant == *tenant)
            });
        }
    }

    fn call(&mut self, free: usize) {
        while self.called.len() < free && !self.uncalled.is_empty() {
            let waits = |class: &usize| !self.rounds[*class].is_empty();
            let class = match self.weights {
                None => (0..CLASSES).find(waits),
                Some(_) => (0..CLASSES).filter(waits).min_by_key(|class| self.levels[*class]),
            };
            let class = class.unwrap();
            let tenant = self.rounds[class].remove(0);
            let own = |waiter: &Waiter| waiter.class == class && waiter.tenant == tenant;
            let first = self.uncalled.iter().position(own).unwrap();
            let waiter = self.uncalled.remove(first);
            if self.uncalled.iter().any(own) {
                self.rounds[class].push(tenant);
            }
            let level = self.levels[class];
            self.level = self.level.max(level);
            if let Some(weights) = self.weights {
                self.levels[class] += 4 / weights[class];
            }
            self.called.push((waiter, level));
        }
        while self.called.len() > free {
            // Of the last class, or whose turn it was last.
            let last = match self.weights {
                None => {
                    (0..self.called.len()).max_by_key(|index| (self.called[*index].0.class, *index)).unwrap()
                }
                Some(_) => self.called.len() - 1,
            };
            let (waiter, level) = self.called.remove(last);
            self.levels[waiter.class] = level;
            self.rounds[waiter.class].retain(|tenant| *tenant != waiter.tenant);
            self.rounds[waiter.class].insert(0, waiter.tenant);
            self.uncalled.push(waiter);
            self.uncalled.sort_by_key(|waiter| waiter.id);
        }
    }
}

/// A gate and its model, driven step by step.
struct Run {
    gate: Gate,
    model: Model,
    cap: u32,
    arrived: usize,
    /// Those who wait, and whether they have been asked.
    waiting: Vec<(usize, Spawn<Acquire>, bool)>,
    slots: Vec<Slot>,
}

impl Run {
    fn new(cap: u32, weights: Weights) -> Self {
        let classes = weights.map_or(Classes::strict(CLASSES as u8), Classes::weighted);
        let gate = Gate::builder(cap).classes(classes).build().unwrap();
        Self { gate, model: Model::new(weights), cap, arrived: 0, waiting: vec![], slots: vec![] }
    }

    fn arrive(&mut self, class: usize, tenant: u64) {
        let mut claim = Claim::default().class(class as u8);
        // The first of them is none.
        if tenant > 0 {
            claim = claim.tenant(tenant);
        }
        let goes_in = self.free() > 0 && self.waiting.is_empty();
        let mut acquire = spawn(self.gate.acquire_as(&claim));
        let settled = acquire.enter(|_, mut acquire| acquire.settled());
        assert_eq!(settled.is_some(), goes_in);
        if let Some(slot) = settled {
            return self.slots.push(slot.unwrap());
        }
        self.arrived += 1;
        self.model.join(Waiter { id: self.arrived, class, tenant });
        self.waiting.push((self.arrived, acquire, false));
    }

    fn poll(&mut self, index: usize) {
        let (id, mut acquire, _) = self.waiting.remove(index);
        let polled = acquire.poll();
        assert_eq!(polled.is_ready(), self.model.is_called(id), "{id}");
        match polled {
            Poll::Ready(slot) => {
                self.slots.push(slot.unwrap());
                self.model.leave(id);
            }
            Poll::Pending => self.waiting.insert(index, (id, acquire, true)),
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Arrive(class, tenant) => self.arrive(class, tenant),
            Step::Poll(index) if !self.waiting.is_empty() => self.poll(index % self.waiting.len()),
            Step::Cancel(index) if !self.waiting.is_empty() => {
                let (id, acquire, _) = self.waiting.remove(index % self.waiting.len());
                drop(acquire);
                self.model.leave(id);
            }
            Step::Release(index) if !self.slots.is_empty() => {
                drop(self.slots.remove(index % self.slots.len()));
            }
            Step::SetCap(cap) => {
                self.gate.set_cap(cap).unwrap();
                self.cap = cap;
            }
            _ => {}
        }
        self.model.call(self.free());
        for (id, acquire, asked) in &self.waiting {
            assert!(!asked || acquire.is_woken() || !self.model.is_called(*id), "{id} sleeps on");
        }
        let counts = self.gate.reading().counts;
        assert_eq!(counts.waiting, self.waiting.len() as u64);
        assert_eq!(counts.in_flight as usize, self.slots.len());
    }

    fn free(&self) -> usize {
        (self.cap as usize).saturating_sub(self.slots.len())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Step by step, and then until all have been in.
    #[test]
    fn the_gate_follows_its_model(
        cap in 1..6u32,
        weights in weights(),
        steps in proptest::collection::vec(step(), 0..160),
    ) {
        let mut run = Run::new(cap, weights);
        for step in steps {
            run.step(step);
        }
        while !(run.waiting.is_empty() && run.slots.is_empty()) {
            let before = run.waiting.len() + run.slots.len();
            for index in (0..run.waiting.len()).rev() {
                run.step(Step::Poll(index));
            }
            run.step(Step::Release(0));
            assert!(run.waiting.len() + run.slots.len() < before, "a slot is lost");
        }
    }
}
