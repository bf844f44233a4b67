//! In which order those who wait go in: classes and tenants, one behaviour at a time.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http::{Request, Response};
use http_body_util::Full;
use tokio_test::task::{Spawn, spawn};
use tokio_test::{assert_pending, assert_ready_ok};
use tower::{Layer, Service, service_fn};
use tower_tps::Pool;
use tower_tps::gate::{Acquire, Claim, Classes, Gate, Slot};

/// A gate of one slot that is held, and those who wait at it by name.
struct Line {
    gate: Gate,
    holder: Option<Slot>,
    waiting: Vec<(&'static str, Spawn<Acquire>)>,
}

impl Line {
    fn at(classes: Classes) -> Self {
        let gate = Gate::builder(1).classes(classes).build().unwrap();
        let holder = gate.acquire().settled().unwrap().unwrap();
        Self { gate, holder: Some(holder), waiting: vec![] }
    }

    fn join(&mut self, name: &'static str, claim: Claim) {
        let mut acquire = spawn(self.gate.acquire_as(&claim));
        assert_pending!(acquire.poll());
        self.waiting.push((name, acquire));
    }

    fn leave(&mut self, name: &str) {
        let index = self.waiting.iter().position(|(waits, _)| *waits == name).unwrap();
        drop(self.waiting.remove(index));
    }

    /// Gives the slot back, and tells who of them was woken and has it now.
    fn next(&mut self) -> &'static str {
        self.holder = None;
        let woken = |waiting: &(_, Spawn<Acquire>)| waiting.1.is_woken();
        assert_eq!(self.waiting.iter().filter(|waiting| woken(waiting)).count(), 1, "one slot wakes one");
        let index = self.waiting.iter().position(woken).unwrap();
        let (name, mut acquire) = self.waiting.remove(index);
        self.holder = Some(assert_ready_ok!(acquire.poll()));
        name
    }

    fn order(&mut self) -> String {
        let order: Vec<_> = (0..self.waiting.len()).map(|_| self.next()).collect();
        order.join(" ")
    }
}

fn class(class: u8) -> Claim {
    Claim::default().class(class)
}

fn tenant(tenant: u64) -> Claim {
    Claim::default().tenant(tenant)
}

/// Without classes and tenants the order is that of arrival, whatever class is claimed.
#[test]
fn first_come_first_served_unless_told_otherwise() {
    let mut line = Line::at(Classes::default());
    line.join("a", class(2));
    line.join("b", Claim::default());
    line.join("c", class(1));
    assert_eq!(line.order(), "a b c");
}

/// A later class goes in only while nobody of an earlier one waits.
#[test]
fn strict_classes() {
    let mut line = Line::at(Classes::strict(3));
    line.join("low", class(2));
    line.join("past the last", class(9));
    line.join("middle", class(1));
    line.join("high", class(0));
    assert_eq!(line.next(), "high");
    line.join("high again", class(0));
    assert_eq!(line.order(), "high again middle low past the last");
}

/// Weights share the turns, spread evenly, and a class that has them alone
/// takes them all.
#[test]
fn weighted_classes() {
    let mut line = Line::at(Classes::weighted([4, 1]));
    for _ in 0..10 {
        line.join("A", class(0));
    }
    for _ in 0..4 {
        line.join("b", class(1));
    }
    assert_eq!(line.order(), "A b A A A A b A A A A b A b");
}

/// Weights that do not divide each other share to within a turn, at every moment.
#[test]
fn odd_weights_share_to_within_a_turn() {
    const WEIGHTS: [u32; 3] = [7, 3, 5];
    let mut line = Line::at(Classes::weighted(WEIGHTS));
    for _ in 0..150 {
        line.join("0", class(0));
        line.join("1", class(1));
        line.join("2", class(2));
    }
    let mut had = [0_u32; 3];
    for turn in 1..=300 {
        had[line.next().parse::<usize>().unwrap()] += 1;
        for (had, weight) in had.iter().zip(WEIGHTS) {
            let due = f64::from(turn * weight) / 15.0;
            assert!((f64::from(*had) - due).abs() < 2.0, "{had} of {due} after {turn}");
        }
    }
    assert_eq!(had, [140, 60, 100]);
}

/// A class in which nobody waited for long has no claim to what it did not use,
/// and one that was served meanwhile is not made to pay for it.
#[test]
fn an_idle_class_saves_nothing() {
    let mut line = Line::at(Classes::weighted([1, 1]));
    for _ in 0..100 {
        line.join("A", class(0));
    }
    for _ in 0..90 {
        assert_eq!(line.next(), "A");
    }
    for _ in 0..5 {
        line.join("b", class(1));
    }
    assert_eq!(line.order(), "b A b A b A b A b A A A A A A");
}

/// One tenant's ten thousand hold up another's first by one request, and its
/// second by one more.
#[test]
fn ten_thousand_of_one_hold_up_another_by_one() {
    let mut line = Line::at(Classes::default());
    for _ in 0..10_000 {
        line.join("many", tenant(1));
    }
    line.join("first", tenant(2));
    line.join("second", tenant(2));
    assert_eq!([(); 4].map(|()| line.next()), ["many", "first", "many", "second"]);
    // The tenant has gone from the round, and comes into it anew.
    line.join("third", tenant(2));
    assert_eq!([(); 3].map(|()| line.next()), ["many", "third", "many"]);
}

/// Tenants go round within their class; those who name none are one of them.
#[test]
fn tenants_share_within_their_class() {
    let mut line = Line::at(Classes::strict(2));
    for name in ["x1", "x2", "x3"] {
        line.join(name, tenant(1).class(1));
    }
    line.join("y1", tenant(2).class(1));
    line.join("none 1", class(1));
    line.join("none 2", class(1));
    line.join("x4, first class", tenant(1));
    assert_eq!(line.order(), "x4, first class x1 y1 none 1 x2 none 2 x3");
}

/// Whoever leaves the line of its tenant does not cost the tenant its turn.
#[test]
fn who_leaves_keeps_nobody_of_its_tenant_back() {
    let mut line = Line::at(Classes::default());
    for name in ["x1", "x2", "x3"] {
        line.join(name, tenant(1));
    }
    line.join("y1", tenant(2));
    line.join("z1", tenant(3));
    line.leave("x1");
    line.leave("y1");
    assert_eq!(line.order(), "x2 z1 x3");
}

/// Who was called goes in, though one of an earlier class arrives before its
/// task runs; the next turn is the earlier class's.
#[test]
fn who_was_called_goes_in() {
    let mut line = Line::at(Classes::strict(2));
    line.join("low", class(1));
    line.holder = None;
    line.join("high", class(0));
    assert_eq!(line.order(), "low high");
}

/// Where a lowered cap leaves room for one of two who were called, it is the one
/// of the earlier class, though it was called later; and the other keeps its turn.
#[test]
fn a_lowered_cap_takes_the_later_class_back() {
    let gate = Gate::builder(2).classes(Classes::strict(2)).build().unwrap();
    let [one, two] = [(); 2].map(|()| gate.acquire().settled().unwrap().unwrap());
    let mut low = spawn(gate.acquire_as(&class(1)));
    assert_pending!(low.poll());
    drop(one);
    let mut high = spawn(gate.acquire_as(&class(0)));
    assert_pending!(high.poll());
    let mut late = spawn(gate.acquire_as(&class(1)));
    assert_pending!(late.poll());
    drop(two);
    assert!(low.is_woken() && high.is_woken() && !late.is_woken());
    gate.set_cap(1).unwrap();
    assert_pending!(low.poll());
    drop(assert_ready_ok!(high.poll()));
    drop(assert_ready_ok!(low.poll()));
    drop(assert_ready_ok!(late.poll()));
}

/// A tenant whose call was taken back is next when there is room again, and its
/// requests go in in their order.
#[test]
fn a_turn_taken_back_is_had_again() {
    let gate = Gate::new(2).unwrap();
    let slots = [(); 2].map(|()| gate.acquire().settled().unwrap().unwrap());
    let mut line = ["x1", "x2", "y1", "z1"].map(|name| {
        let mut acquire = spawn(gate.acquire_as(&tenant(name.as_bytes()[0].into())));
        assert_pending!(acquire.poll());
        acquire
    });
    drop(slots);
    assert_eq!(line.each_ref().map(|acquire| acquire.is_woken()), [true, false, true, false]);
    gate.set_cap(1).unwrap();
    let [x1, x2, y1, z1] = &mut line;
    assert_pending!(y1.poll());
    let slot = assert_ready_ok!(x1.poll());
    drop(slot);
    assert!(y1.is_woken() && !x2.is_woken() && !z1.is_woken());
    drop(assert_ready_ok!(y1.poll()));
    drop(assert_ready_ok!(z1.poll()));
    drop(assert_ready_ok!(x2.poll()));
}

/// No weight and no class is no panic: there is always a class, and every
/// class has its turns.
#[test]
fn senseless_classes_still_let_everyone_in() {
    for classes in [Classes::strict(0), Classes::weighted([]), Classes::weighted([0, 0])] {
        let mut line = Line::at(classes);
        line.join("a", class(0));
        line.join("b", class(1));
        assert_eq!(line.order(), "a b");
    }
}

/// Through the layer a request brings its claim in its extensions.
#[tokio::test]
async fn a_request_brings_its_claim() {
    let pool = Pool::builder("model").cap(1).classes(Classes::strict(2)).build().unwrap();
    let order = Arc::new(Mutex::new(vec![]));
    let seen = order.clone();
    let mut service = pool.layer().layer(service_fn(move |request: Request<&'static str>| {
        seen.lock().unwrap().push(*request.body());
        std::future::ready(Ok::<_, Infallible>(Response::new(Full::<bytes::Bytes>::from("{}"))))
    }));
    let mut call = |name, claim: Option<Claim>| {
        let mut request = Request::new(name);
        if let Some(claim) = claim {
            request.extensions_mut().insert(claim);
        }
        spawn(service.call(request))
    };
    let mut holder = call("holder", None);
    let response = assert_ready_ok!(holder.poll());
    let mut low = call("low", Some(class(1)));
    let mut high = call("high", None);
    assert_pending!(low.poll());
    assert_pending!(high.poll());
    drop(response);
    assert!(high.is_woken() && !low.is_woken());
    drop(assert_ready_ok!(high.poll()));
    drop(assert_ready_ok!(low.poll()));
    assert_eq!(*order.lock().unwrap(), ["holder", "high", "low"]);
}
