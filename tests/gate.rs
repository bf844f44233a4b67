//! The gate, one behaviour at a time, under the paused clock.

use std::time::Duration;

use tokio::time::advance;
use tokio_test::task::spawn;
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok};
use tower_tps::clock::Instant;
use tower_tps::gate::{GapCause, Gate, Refused};

const SECOND: Duration = Duration::from_secs(1);

/// A cap outside 1..=2^20 is refused, at the start and later, and changes nothing.
#[test]
fn caps_out_of_range_are_refused() {
    assert!(Gate::new(0).is_err());
    assert!(Gate::new(Gate::MAX_CAP + 1).is_err());
    let gate = Gate::new(Gate::MAX_CAP).unwrap();
    let error = gate.set_cap(0).unwrap_err();
    assert_eq!(error.to_string(), "a cap of 0 is out of range: give 1 to 1048576");
    assert_eq!(gate.reading().counts.cap, Gate::MAX_CAP);
}

/// Who never waits has one instant for both stamps, and adds no gap.
#[tokio::test(start_paused = true)]
async fn no_wait_is_no_gap() {
    let start = Instant::now();
    let gate = Gate::new(1).unwrap();
    let slot = gate.acquire().await.unwrap();
    assert_eq!(slot.queued_at(), slot.admitted_at());
    advance(SECOND).await;
    let departure = slot.release();
    assert_eq!(departure.at.since(start), SECOND);
    assert_eq!(departure.counts.in_flight, 1);
    let totals = gate.reading().totals;
    assert_eq!((totals.busy_slot_time(), totals.gap_time()), (SECOND, Duration::ZERO));
}

/// At the cap a request waits, in the order of arrival and not of polling.
#[tokio::test(start_paused = true)]
async fn first_come_first_served() {
    let gate = Gate::new(1).unwrap();
    let holder = gate.acquire().await.unwrap();
    let mut first = spawn(gate.acquire());
    let mut second = spawn(gate.acquire());
    assert_pending!(second.poll());
    assert_pending!(first.poll());
    drop(holder);
    assert!(first.is_woken() && !second.is_woken());
    // A newcomer does not overtake while the slot waits for its owner to wake.
    let mut third = spawn(gate.acquire());
    assert_pending!(third.poll());
    let slot = assert_ready_ok!(first.poll());
    drop(slot);
    drop(assert_ready_ok!(second.poll()));
    drop(assert_ready_ok!(third.poll()));
    assert_eq!(gate.reading().counts.in_flight, 0);
}

/// A slot handed to a task that does not run is a gap, and its cause is `wakeup`.
#[tokio::test(start_paused = true)]
async fn a_task_that_does_not_run_is_a_gap() {
    let gate = Gate::new(1).unwrap();
    let holder = gate.acquire().await.unwrap();
    let mut waiting = spawn(gate.acquire());
    assert_pending!(waiting.poll());
    advance(SECOND).await;
    drop(holder);
    advance(3 * SECOND).await;
    let mid = gate.reading().totals;
    assert_eq!(mid.gap_time(), 3 * SECOND, "a reading includes the running part");
    let slot = assert_ready_ok!(waiting.poll());
    assert_eq!(slot.admitted_at().since(slot.queued_at()), 4 * SECOND);
    let totals = gate.reading().totals;
    assert_eq!(totals.gap_time_of(GapCause::Wakeup), 3 * SECOND);
    assert_eq!(totals.backlog_time(), 4 * SECOND);
    assert_eq!(totals.gap_share(), Some(0.75));
}

/// Work declared and not submitted is a gap of the orchestration; work in
/// back-off one of `backoff`, which comes first; each adds only to its own.
#[tokio::test(start_paused = true)]
async fn causes_are_told_apart() {
    let gate = Gate::new(4).unwrap();
    let slot = gate.acquire().await.unwrap();
    let backlog = gate.backlog(2);
    advance(SECOND).await;
    let backoff = gate.backoff();
    advance(2 * SECOND).await;
    drop(backoff);
    drop(backlog);
    advance(SECOND).await;
    drop(slot);
    let totals = gate.reading().totals;
    assert_eq!(totals.gap_time_of(GapCause::Orchestration), SECOND);
    assert_eq!(totals.gap_time_of(GapCause::Backoff), 2 * SECOND);
    assert_eq!(totals.gap_time_of(GapCause::Wakeup), Duration::ZERO);
    assert_eq!(totals.gap_slot_time(), 9 * SECOND, "three free slots for three seconds");
    assert_eq!(totals.lost_slot_time(), 8 * SECOND, "two pieces for one second, three for two");
    assert_eq!(totals.idle_slot_time(), 3 * SECOND);
}

/// The adapter takes one piece out of the backlog for each item it hands out.
#[tokio::test(start_paused = true)]
async fn items_keep_the_backlog_true() {
    let gate = Gate::new(1).unwrap();
    let depth = || gate.reading().counts.backlog;
    let mut items = gate.backlog(3).items(["a", "b", "c"]);
    assert_eq!((items.next(), depth()), (Some("a"), 2));
    assert_eq!((items.next(), depth()), (Some("b"), 1));
    drop(items);
    assert_eq!(depth(), 0, "what was not handed out is withdrawn");
}

/// Above a lowered cap nothing new is admitted, and that is no gap.
#[tokio::test(start_paused = true)]
async fn above_a_lowered_cap_nothing_enters() {
    let gate = Gate::new(3).unwrap();
    let slots = [gate.acquire().await, gate.acquire().await, gate.acquire().await].map(Result::unwrap);
    let mut waiting = spawn(gate.acquire());
    assert_pending!(waiting.poll());
    gate.set_cap(1).unwrap();
    let [first, second, third] = slots;
    drop(first);
    drop(second);
    assert!(!waiting.is_woken(), "nobody is woken in vain");
    assert_pending!(waiting.poll());
    advance(SECOND).await;
    let totals = gate.reading().totals;
    assert_eq!((totals.gap_time(), totals.over_slot_time()), (Duration::ZERO, Duration::ZERO));
    drop(third);
    assert_ready_ok!(waiting.poll()).release();
    assert_eq!(gate.reading().counts.in_flight, 0);
}

/// A waiter that was woken for a slot which a lowered cap took away meanwhile
/// is held back, keeps its turn, and enters as soon as the cap allows.
#[tokio::test(start_paused = true)]
async fn a_woken_waiter_obeys_the_lowered_cap() {
    let gate = Gate::new(2).unwrap();
    let one = gate.acquire().await.unwrap();
    let two = gate.acquire().await.unwrap();
    let mut first = spawn(gate.acquire());
    let mut second = spawn(gate.acquire());
    assert_pending!(first.poll());
    assert_pending!(second.poll());
    drop(one);
    gate.set_cap(1).unwrap();
    assert_pending!(first.poll());
    assert_eq!(gate.reading().counts.in_flight, 1);
    gate.set_cap(2).unwrap();
    assert!(first.is_woken());
    let slot = assert_ready_ok!(first.poll());
    drop(two);
    drop(assert_ready_ok!(second.poll()));
    drop(slot);
    assert_eq!(gate.arrivals().ended, 4);
}

/// A cap that falls and rises back under a full load frees no slot.
#[tokio::test(start_paused = true)]
async fn a_cap_that_rises_back_frees_nothing() {
    let gate = Gate::new(2).unwrap();
    let slots = [gate.acquire().await.unwrap(), gate.acquire().await.unwrap()];
    let mut waiting = spawn(gate.acquire());
    assert_pending!(waiting.poll());
    gate.set_cap(1).unwrap();
    advance(SECOND).await;
    gate.set_cap(2).unwrap();
    assert!(!waiting.is_woken(), "nobody is woken in vain");
    assert_eq!(gate.reading().totals.over_slot_time(), SECOND);
    drop(slots);
    drop(assert_ready_ok!(waiting.poll()));
}

/// Who was held back is not overtaken by one that was woken later and runs first.
#[tokio::test(start_paused = true)]
async fn who_is_held_back_keeps_its_turn() {
    let gate = Gate::new(2).unwrap();
    let one = gate.acquire().await.unwrap();
    let two = gate.acquire().await.unwrap();
    let mut first = spawn(gate.acquire());
    let mut second = spawn(gate.acquire());
    drop(one);
    gate.set_cap(1).unwrap();
    assert_pending!(first.poll());
    gate.set_cap(2).unwrap();
    drop(two);
    gate.set_cap(1).unwrap();
    assert_pending!(second.poll());
    let slot = assert_ready_ok!(first.poll());
    assert_pending!(second.poll());
    drop(slot);
    drop(assert_ready_ok!(second.poll()));
}

/// Above the bound an arrival is refused at once; who waits is not touched.
#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses() {
    let gate = Gate::builder(1).max_queue(1).build().unwrap();
    let holder = gate.acquire().await.unwrap();
    let mut waiting = spawn(gate.acquire());
    assert_pending!(waiting.poll());
    let refusal = assert_ready_err!(spawn(gate.acquire()).poll());
    assert_eq!(refusal.reason, Refused::QueueFull);
    assert_eq!(refusal.departure.at, refusal.queued_at);
    drop(holder);
    drop(assert_ready_ok!(waiting.poll()));
}

/// Who waits for `queue_timeout` is refused at that instant and leaves the queue.
#[tokio::test(start_paused = true)]
async fn a_long_wait_is_refused() {
    let gate = Gate::builder(1).queue_timeout(SECOND).build().unwrap();
    let holder = gate.acquire().await.unwrap();
    let refusal = gate.acquire().await.unwrap_err();
    assert_eq!(refusal.reason, Refused::QueueTimeout);
    assert!(refusal.departure.at.since(refusal.queued_at) >= SECOND);
    assert_eq!(gate.reading().counts.waiting, 0);
    drop(holder);
}

/// A waiter that leaves with a slot already on its way passes it on.
#[tokio::test(start_paused = true)]
async fn a_leaver_passes_its_slot_on() {
    let gate = Gate::new(1).unwrap();
    let holder = gate.acquire().await.unwrap();
    let mut leaver = spawn(gate.acquire());
    let mut next = spawn(gate.acquire());
    assert_pending!(leaver.poll());
    assert_pending!(next.poll());
    drop(holder);
    drop(leaver);
    assert!(next.is_woken());
    drop(assert_ready_ok!(next.poll()));
}

/// With ten thousand callers at once the queue never passes its bound by one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_callers_never_pass_the_bound() {
    let gate = Gate::builder(2).max_queue(100).build().unwrap();
    let callers: Vec<_> = (0..10_000)
        .map(|_| {
            let gate = gate.clone();
            tokio::spawn(async move {
                let admitted = gate.acquire().await;
                let counts = gate.reading().counts;
                assert!(counts.waiting <= 100 && counts.in_flight <= 2, "{counts:?}");
                tokio::task::yield_now().await;
                admitted.is_ok()
            })
        })
        .collect();
    let mut admitted = 0;
    for caller in callers {
        admitted += u32::from(caller.await.unwrap());
    }
    assert!(admitted >= 2);
    let (counts, arrivals) = (gate.reading().counts, gate.arrivals());
    assert_eq!((counts.waiting, counts.in_flight), (0, 0));
    assert_eq!((arrivals.arrivals, arrivals.ended), (10_000, 10_000));
}

/// Two who were called, of whom a lowered cap leaves room for one: it is the
/// first, whichever runs first.
#[tokio::test(start_paused = true)]
async fn a_lowered_cap_keeps_the_order() {
    let gate = Gate::new(2).unwrap();
    let slots = [gate.acquire().await.unwrap(), gate.acquire().await.unwrap()];
    let mut first = spawn(gate.acquire());
    let mut second = spawn(gate.acquire());
    assert_pending!(first.poll());
    assert_pending!(second.poll());
    drop(slots);
    gate.set_cap(1).unwrap();
    assert_pending!(second.poll());
    let slot = assert_ready_ok!(first.poll());
    drop(slot);
    assert!(second.is_woken());
    drop(assert_ready_ok!(second.poll()));
}

/// An arrival does not overtake one who was called and has not run, even if
/// another who was called leaves.
#[tokio::test(start_paused = true)]
async fn an_arrival_does_not_overtake() {
    let gate = Gate::new(2).unwrap();
    let slots = [gate.acquire().await.unwrap(), gate.acquire().await.unwrap()];
    let mut first = spawn(gate.acquire());
    let second = spawn(gate.acquire());
    assert_pending!(first.poll());
    drop(slots);
    gate.set_cap(1).unwrap();
    drop(second);
    let mut late = spawn(gate.acquire());
    assert_pending!(late.poll());
    drop(assert_ready_ok!(first.poll()));
    drop(assert_ready_ok!(late.poll()));
}

/// With no queue allowed, an arrival is refused only when no slot is free, on
/// real threads too.
#[test]
fn nobody_is_refused_beside_a_free_slot() {
    let gate = Gate::builder(2).max_queue(0).build().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20_000 {
                    match spawn(gate.acquire()).poll() {
                        std::task::Poll::Ready(Ok(slot)) => drop(slot),
                        std::task::Poll::Ready(Err(refusal)) => {
                            assert_eq!(refusal.departure.counts.free(), 0);
                        }
                        std::task::Poll::Pending => panic!("nobody may wait"),
                    }
                }
            });
        }
    });
}

/// A waker whose clone, call and drop come back to the gate finds it unlocked.
#[test]
fn wakers_may_come_back_to_the_gate() {
    use std::sync::Arc;
    use std::task::{Context, Wake};

    struct Curious(Gate);
    impl Wake for Curious {
        fn wake(self: Arc<Self>) {
            let _ = self.0.reading();
        }
    }
    impl Drop for Curious {
        fn drop(&mut self) {
            let _ = self.0.reading();
        }
    }
    let gate = Gate::new(1).unwrap();
    let mut holder = Box::pin(gate.acquire());
    let slot = holder.settled().unwrap().unwrap();
    let mut waiting = Box::pin(gate.acquire());
    for _ in 0..2 {
        let waker = Arc::new(Curious(gate.clone())).into();
        assert!(waiting.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    drop(slot);
    let waker = Arc::new(Curious(gate.clone())).into();
    assert!(waiting.as_mut().poll(&mut Context::from_waker(&waker)).is_ready());
}
