//! Random mixtures of all causes at once, under a paused clock: the ledger's
//! identities hold at every moment, each record is what its client saw, to the
//! nanosecond, and nothing is left over.
#![cfg(all(feature = "sim", feature = "retry"))]

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use tokio::time::{sleep, timeout};
use tower::{BoxError, Layer, ServiceExt};
use tower_tps::Pool;
use tower_tps::clock::Instant;
use tower_tps::gate::{GapCause, PhaseTimes, Reading, SlotPhase};
use tower_tps::record::RequestRecord;
use tower_tps::retry::LlmPolicy;
use tower_tps::sim::Engine;

#[path = "support/records.rs"]
mod records;

use self::records::Records;

/// One request: what is asked of the engine, and how its client behaves.
/// Times are milliseconds.
#[derive(Clone, Debug)]
struct Plan {
    arrives: u64,
    words: u64,
    tokens: u64,
    streamed: bool,
    headers_delay: u64,
    pause: u64,
    fault: &'static str,
    /// Before so many of the frames the client takes its time.
    slow_frames: usize,
    slow: u64,
    gives_up: Option<u64>,
}

#[derive(Clone, Debug)]
struct Run {
    cap: u32,
    slots: usize,
    retries_inside: bool,
    max_queue: u64,
    caps: Vec<(u64, u32)>,
    backlog: (u64, u64),
    plans: Vec<Plan>,
}

fn plan() -> impl Strategy<Value = Plan> {
    let faults = ["", "", "", "status=429;times=1", "status=500;times=2", "status=500", "error-event"];
    let faults = faults.into_iter().chain(["truncate", "stall", "drop"]).collect::<Vec<_>>();
    (
        (0..1_500u64, 1..60u64, 0..30u64, prop::bool::weighted(0.8)),
        (0..200u64, 0..500u64, prop::sample::select(faults)),
        (0..6usize, 0..700u64, prop::option::weighted(0.2, 1..2_000u64)),
    )
        .prop_map(
            |(
                (arrives, words, tokens, streamed),
                (headers_delay, pause, fault),
                (slow_frames, slow, gives_up),
            )| {
                // Nobody waits for ever for an engine that has fallen silent.
                let gives_up = if fault == "stall" { gives_up.or(Some(3_000)) } else { gives_up };
                Plan {
                    arrives,
                    words,
                    tokens,
                    streamed,
                    headers_delay,
                    pause,
                    fault,
                    slow_frames,
                    slow,
                    gives_up,
                }
            },
        )
}

fn run() -> impl Strategy<Value = Run> {
    let caps = prop::collection::vec((1..2_000u64, 1..5u32), 0..4);
    let backlog = (0..4u64, 0..1_000u64);
    let settings = (1..5u32, 1..5usize, any::<bool>(), 0..8u64, caps, backlog);
    (settings, prop::collection::vec(plan(), 1..12)).prop_map(
        |((cap, slots, retries_inside, max_queue, caps, backlog), plans)| Run {
            cap,
            slots,
            retries_inside,
            max_queue,
            caps,
            backlog,
            plans,
        },
    )
}

/// What a client saw of its response, in nanoseconds from one frame to the next.
#[derive(Debug, Default)]
struct Seen {
    waits: Vec<(u64, bool)>,
    stalls: u64,
    last: u64,
}

impl Seen {
    /// Prefill, generate, stall and drain, as the definitions have them.
    fn phases(&self) -> [u64; 4] {
        let content = |wait: &(u64, bool)| wait.1;
        let first = self.waits.iter().position(content);
        let last = self.waits.iter().rposition(content);
        let sum = |waits: &[(u64, bool)]| waits.iter().map(|wait| wait.0).sum();
        match first.zip(last) {
            None => [sum(&self.waits) + self.last, 0, self.stalls, 0],
            Some((first, last)) => [
                sum(&self.waits[..=first]),
                sum(&self.waits[first + 1..=last]),
                self.stalls,
                sum(&self.waits[last + 1..]) + self.last,
            ],
        }
    }
}

fn nanos(time: Duration) -> u64 {
    time.as_nanos() as u64
}

/// Reads a response as its plan says, and notes what is seen until it is over or
/// given up.
async fn read<B>(body: B, plan: &Plan, seen: &Mutex<Seen>)
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut body = body;
    let mut slow = 0..plan.slow_frames;
    loop {
        let handed_at = Instant::now();
        let stall = Stall { seen, since: handed_at };
        if slow.next().is_some() {
            sleep(Duration::from_millis(plan.slow)).await;
        }
        drop(stall);
        let wait = Wait { seen, since: Instant::now() };
        let frame = body.frame().await;
        let waited = nanos(Instant::now().since(wait.since));
        let Some(Ok(frame)) = frame else { return };
        std::mem::forget(wait);
        let data = frame.into_data().unwrap_or_default();
        let text = String::from_utf8_lossy(&data);
        // What the engine writes is content with a text, and nothing else is.
        let has_content = text.contains("\"content\":\" ");
        seen.lock().unwrap().waits.push((waited, has_content));
        if body.is_end_stream() {
            return;
        }
    }
}

/// A stall under way: noted when it is over, be it that the client gives up.
struct Stall<'a> {
    seen: &'a Mutex<Seen>,
    since: Instant,
}

impl Drop for Stall<'_> {
    fn drop(&mut self) {
        self.seen.lock().unwrap().stalls += nanos(Instant::now().since(self.since));
    }
}

/// A wait for what does not come: for the end, or until the client gives up.
struct Wait<'a> {
    seen: &'a Mutex<Seen>,
    since: Instant,
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        self.seen.lock().unwrap().last += nanos(Instant::now().since(self.since));
    }
}

fn request(index: usize, plan: &Plan) -> Request<Full<Bytes>> {
    let text = "word ".repeat(plan.words as usize);
    let body = format!(
        r#"{{"user":"{index}","messages":[{{"content":"{text}"}}],"max_tokens":{},"stream":{}}}"#,
        plan.tokens, plan.streamed
    );
    Request::post("/v1/chat/completions")
        .header("x-request-id", index.to_string())
        .header("x-sim-fault", plan.fault)
        .header("x-sim-headers-delay", plan.headers_delay)
        .header("x-sim-pause", plan.pause)
        .body(Full::from(body))
        .unwrap()
}

/// Sends and reads one request; gives what was seen of the response that came.
async fn follow<S, B>(service: S, index: usize, plan: Plan) -> Option<Seen>
where
    S: tower::Service<Request<Full<Bytes>>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes> + Unpin,
{
    sleep(Duration::from_millis(plan.arrives)).await;
    let seen = Mutex::new(Seen::default());
    let came = Mutex::new(false);
    let all = async {
        let Ok(response) = service.oneshot(request(index, &plan)).await else { return };
        *came.lock().unwrap() = true;
        read(response.into_body(), &plan, &seen).await;
    };
    let most = plan.gives_up.map_or(Duration::from_secs(3_600), Duration::from_millis);
    let _ = timeout(most, all).await;
    came.into_inner().unwrap().then(|| seen.into_inner().unwrap())
}

fn phases(phases: &PhaseTimes) -> [u64; 6] {
    SlotPhase::ALL.map(|phase| nanos(phases.of(phase)))
}

fn check_reading(before: &Reading, now: &Reading) {
    let totals = &now.totals;
    let busy: Duration = SlotPhase::ALL.iter().map(|phase| totals.slot_time_of(*phase)).sum();
    assert_eq!(busy + totals.unattributed_slot_time(), totals.busy_slot_time());
    for phase in SlotPhase::ALL {
        assert!(totals.slot_time_of(phase) >= before.totals.slot_time_of(phase));
    }
    let used = totals.busy_slot_time() + totals.gap_slot_time() + totals.idle_slot_time();
    assert_eq!(used, totals.cap_slot_time() + totals.over_slot_time());
    let lost: Duration = GapCause::ALL.iter().map(|cause| totals.lost_slot_time_of(*cause)).sum();
    assert_eq!(lost, totals.lost_slot_time());
}

/// The record holds what its client saw of the response, and its phases are its
/// instants.
fn check_record(record: &RequestRecord, seen: Option<&Seen>) {
    let timeline = &record.timeline;
    let Some(times) = &record.phases else {
        assert_eq!(timeline.t_in_flight(), None);
        return;
    };
    let [dispatch, backoff, prefill, generate, stall, drain] = phases(times);
    assert_eq!(times.total(), timeline.t_in_flight().unwrap());
    let until = timeline.headers_at.or(timeline.released_at).unwrap();
    assert_eq!(dispatch + backoff, nanos(until.since(timeline.admitted_at.unwrap())));
    let slept = record.retries.iter().map(|retry| {
        let resumed = retry.resumed_at.or(timeline.released_at).unwrap();
        nanos(resumed.since(retry.failed_at))
    });
    assert_eq!(backoff, slept.sum::<u64>());
    if let Some(seen) = seen {
        assert_eq!([prefill, generate, stall, drain], seen.phases(), "{record:?} {seen:?}");
    }
}

async fn check(run: Run) {
    let engine = Engine::builder()
        .slots(run.slots)
        .prefill_per_token(Duration::from_millis(1))
        .token_interval(Duration::from_millis(20))
        .jitter(0.5)
        .service();
    let records = Records::default();
    let pool = Pool::builder("p").cap(run.cap).max_queue(run.max_queue).observer(records.clone());
    let pool = pool.build().unwrap();
    let policy = LlmPolicy::new().backoff(Duration::from_millis(50), Duration::from_millis(400));
    let inside = pool.layer().layer(pool.retry(policy.clone()).layer(engine.clone()));
    let outside = pool.retry(policy).layer(pool.layer().layer(engine.clone()));

    let tasks: Vec<_> = run
        .plans
        .iter()
        .cloned()
        .enumerate()
        .map(|(index, plan)| {
            let (inside, outside) = (inside.clone(), outside.clone());
            let retries_inside = run.retries_inside;
            tokio::spawn(async move {
                if retries_inside {
                    follow(inside, index, plan).await
                } else {
                    follow(outside, index, plan).await
                }
            })
        })
        .collect();
    for (after, cap) in run.caps {
        let pool = pool.clone();
        tokio::spawn(async move {
            sleep(Duration::from_millis(after)).await;
            pool.set_cap(cap).unwrap();
        });
    }
    let (count, lasts) = run.backlog;
    let backlog = pool.backlog(count);
    tokio::spawn(async move {
        sleep(Duration::from_millis(lasts)).await;
        drop(backlog);
    });
    let watch = tokio::spawn({
        let pool = pool.clone();
        async move {
            let mut before = pool.reading();
            loop {
                sleep(Duration::from_millis(7)).await;
                let now = pool.reading();
                check_reading(&before, &now);
                before = now;
            }
        }
    });

    let mut seen = Vec::new();
    for task in tasks {
        seen.push(task.await.unwrap());
    }
    sleep(Duration::from_secs(3)).await;
    assert!(!watch.is_finished(), "a reading was not complete");
    watch.abort();

    let end = pool.reading();
    check_reading(&end, &end);
    assert_eq!((end.counts.in_flight, end.counts.queue_depth()), (0, 0));
    assert_eq!(end.totals.unattributed_slot_time(), Duration::ZERO);
    assert_eq!(engine.truth().busy, 0);
    let seen_by_arrivals = pool.arrivals();
    let records = records.0.lock().unwrap();
    assert_eq!(
        (records.len() as u64, seen_by_arrivals.ended),
        (seen_by_arrivals.arrivals, seen_by_arrivals.arrivals)
    );
    let mut last: BTreeMap<&str, &RequestRecord> = BTreeMap::new();
    for record in records.iter() {
        last.insert(&record.request_id, record);
    }
    let mut sums = [0; 6];
    for record in records.iter() {
        let index: usize = record.request_id.parse().unwrap();
        // The response that the client saw is that of the last attempt.
        let is_last = std::ptr::eq(last[&*record.request_id], record);
        check_record(record, seen[index].as_ref().filter(|_| is_last));
        let times = record.phases.as_ref().map(phases).unwrap_or_default();
        sums.iter_mut().zip(times).for_each(|(sum, time)| *sum += time);
    }
    assert_eq!(sums, SlotPhase::ALL.map(|phase| nanos(end.totals.slot_time_of(phase))));
}

/// Two hundred mixtures. The seed is printed, and given again by `TPS_SEED`.
#[test]
fn all_at_once() {
    let seed = std::env::var("TPS_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    println!("TPS_SEED={seed}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) };
    let outcome = TestRunner::new_with_rng(config, random).run(&run(), |run| {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_time().start_paused(true).build().unwrap();
        // The policy's jitter is drawn from here.
        fastrand::seed(seed);
        runtime.block_on(check(run));
        Ok(())
    });
    outcome.unwrap();
}
