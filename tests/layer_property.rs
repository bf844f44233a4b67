//! Any interleaving of calls, polls, drops and cap changes through the layer:
//! every arrival in exactly one record, the online integrals those of the
//! records, to the nanosecond, and the ledger complete at every moment.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use proptest::prelude::*;
use tokio_test::task::{Spawn, spawn};
use tower::{Layer, Service, service_fn};
use tower_tps::Pool;
use tower_tps::clock::Instant;
use tower_tps::gate::{Reading, SlotPhase};
use tower_tps::layer::{Meter, ResponseBody, ResponseFuture};
use tower_tps::outcome::Outcome;

#[path = "support/integrals.rs"]
mod integrals;
#[path = "support/records.rs"]
mod records;

use self::integrals::{Change, Integrals, recompute};
use self::records::Records;

#[derive(Clone, Debug)]
enum Step {
    Call,
    PollFuture(usize),
    DropFuture(usize),
    PollBody(usize),
    DropBody(usize),
    SetCap(u32),
    Advance(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Call),
        8 => any::<usize>().prop_map(Step::PollFuture),
        1 => any::<usize>().prop_map(Step::DropFuture),
        8 => any::<usize>().prop_map(Step::PollBody),
        1 => any::<usize>().prop_map(Step::DropBody),
        2 => (1..5u32).prop_map(Step::SetCap),
        6 => (1..1_000_000_000u64).prop_map(Step::Advance),
    ]
}

/// Frames with content and without, asked for in vain now and then, and an end
/// that is only seen by asking for it.
struct Frames(usize);

const FRAMES: [Option<&[u8]>; 10] = [
    None,
    Some(b": nothing yet\n\n"),
    Some(b"data: {\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n"),
    None,
    Some(b""),
    Some(b"data: {\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"con"),
    None,
    Some(b"tent\":\"b\"}}]}\n\n"),
    None,
    Some(b"data: {\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"c\"}}]}\n"),
];

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = FRAMES.get(self.0);
        self.0 += 1;
        match next {
            Some(None) => Poll::Pending,
            Some(Some(data)) => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(data))))),
            None => Poll::Ready(None),
        }
    }
}

type Upstream =
    tower::util::ServiceFn<fn(Request<()>) -> std::future::Ready<Result<Response<Frames>, Infallible>>>;

struct Run {
    pool: Pool,
    meter: Meter<Upstream>,
    futures: Vec<Spawn<ResponseFuture<Upstream, ()>>>,
    bodies: Vec<Spawn<ResponseBody<Frames>>>,
    changes: Vec<Change>,
}

/// The ledger's slot-time by phase, and what is not attributed, in nanoseconds.
fn ledger(reading: &Reading) -> ([u128; 6], u128) {
    let phases = SlotPhase::ALL.map(|phase| reading.totals.slot_time_of(phase).as_nanos());
    (phases, reading.totals.unattributed_slot_time().as_nanos())
}

/// At every moment the phases and what is not attributed are all of the busy
/// time, and no phase ever loses what it had.
fn complete(before: &Reading, now: &Reading) -> bool {
    let (phases, unattributed) = ledger(now);
    let total = phases.iter().sum::<u128>() + unattributed;
    let grows = std::iter::zip(ledger(before).0, phases).all(|(before, now)| before <= now);
    grows && total == now.totals.busy_slot_time().as_nanos()
}

fn upstream(_: Request<()>) -> std::future::Ready<Result<Response<Frames>, Infallible>> {
    let response = Response::builder().header("content-type", "text/event-stream");
    std::future::ready(Ok(response.body(Frames(0)).unwrap()))
}

impl Run {
    async fn step(&mut self, step: Step) {
        match step {
            Step::Call => self.futures.push(spawn(self.meter.call(Request::new(())))),
            Step::PollFuture(index) if !self.futures.is_empty() => {
                let index = index % self.futures.len();
                if let Poll::Ready(response) = self.futures[index].poll() {
                    drop(self.futures.remove(index));
                    self.bodies.push(spawn(response.unwrap().into_body()));
                }
            }
            Step::DropFuture(index) if !self.futures.is_empty() => {
                drop(self.futures.remove(index % self.futures.len()));
            }
            Step::PollBody(index) if !self.bodies.is_empty() => {
                let index = index % self.bodies.len();
                let _ = self.bodies[index].enter(|cx, body| body.poll_frame(cx));
            }
            Step::DropBody(index) if !self.bodies.is_empty() => {
                drop(self.bodies.remove(index % self.bodies.len()));
            }
            Step::SetCap(cap) => {
                let from = self.pool.reading().counts.cap;
                self.pool.set_cap(cap).unwrap();
                let cap = i64::from(cap) - i64::from(from);
                self.changes.push(Change { cap, ..Change::at(Instant::now()) });
            }
            Step::Advance(nanos) => tokio::time::advance(Duration::from_nanos(nanos)).await,
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// The counts return to zero, the records are as many as the calls, and
    /// from them every integral follows.
    #[test]
    fn records_are_the_whole_truth(cap in 1..5u32, steps in proptest::collection::vec(step(), 0..150)) {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let records = Records::default();
            let pool = Pool::builder("p").cap(cap).max_queue(6).observer(records.clone()).build().unwrap();
            let upstream: Upstream = service_fn(upstream);
            let changes = vec![Change { cap: cap.into(), ..Change::at(Instant::now()) }];
            let meter = pool.layer().layer(upstream);
            let mut run = Run { pool, meter, futures: vec![], bodies: vec![], changes };
            let calls = steps.iter().filter(|step| matches!(step, Step::Call)).count();
            let mut before = run.pool.reading();
            for step in steps {
                run.step(step).await;
                let now = run.pool.reading();
                prop_assert!(complete(&before, &now), "{:?} {:?}", ledger(&before), ledger(&now));
                before = now;
            }
            run.futures.clear();
            run.bodies.clear();

            let end = run.pool.reading();
            prop_assert_eq!((end.counts.in_flight, end.counts.queue_depth()), (0, 0));
            let records = records.0.lock().unwrap();
            prop_assert_eq!(records.len(), calls);
            for record in records.iter().filter(|record| record.outcome != Outcome::Rejected) {
                let timeline = record.timeline;
                let released = timeline.released_at.unwrap();
                let admitted = timeline.admitted_at;
                let in_flight = i64::from(admitted.is_some());
                run.changes.push(Change { waiting: 1, ..Change::at(timeline.queued_at) });
                let left = Change { waiting: -1, in_flight, ..Change::at(admitted.unwrap_or(released)) };
                run.changes.push(left);
                run.changes.push(Change { in_flight: -in_flight, ..Change::at(released) });
            }
            let (mut phases, unattributed) = ledger(&end);
            prop_assert_eq!(unattributed, 0);
            for record in records.iter() {
                prop_assert_eq!(record.phases.map(|phases| phases.total()), record.timeline.t_in_flight());
                for (left, phase) in phases.iter_mut().zip(SlotPhase::ALL) {
                    *left -= record.phases.map_or(0, |phases| phases.of(phase).as_nanos());
                }
            }
            prop_assert_eq!(phases, [0; 6]);
            prop_assert_eq!(Integrals::of(&end.totals), recompute(run.changes, end.at));
            Ok(())
        })?;
    }
}
