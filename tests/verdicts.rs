//! How often a verdict is right: many pairs of runs of the simulated engine, by
//! seed, of which it is known whether anything was changed.
#![cfg(all(feature = "analysis", feature = "sim"))]

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use tokio::time::sleep;
use tower::{Layer, ServiceExt};
use tower_tps::Pool;
use tower_tps::analysis::{Comparison, Decision, Demands, Recording, Run, Verdict};
use tower_tps::sim::{Engine, Faults};

const TRIALS: u64 = 200;
const CAP: u32 = 4;

/// How the work is submitted, and what the engine does to it.
#[derive(Clone, Copy)]
struct Plan {
    /// So many workers, each with one request at a time.
    workers: u64,
    /// The mean time that a worker needs before each.
    preparation: Duration,
    /// The share of the requests that fail at once.
    fails: f64,
    /// How far lengths differ: few are several times as long as most.
    has_long_tail: bool,
    requests: u64,
}

/// Slots stand idle while workers prepare.
const GAPPED: Plan = Plan {
    workers: 4,
    preparation: Duration::from_millis(40),
    fails: 0.03,
    has_long_tail: false,
    requests: 120,
};
/// There are more workers than slots, and each has its work at hand.
const FULL: Plan = Plan {
    workers: 8,
    preparation: Duration::from_millis(1),
    fails: 0.03,
    has_long_tail: false,
    requests: 120,
};

/// A process that goes on through one run after the other: its load drifts about
/// a mean that stays, so that neighbouring requests are alike.
struct Process {
    random: fastrand::Rng,
    mood: f64,
}

impl Process {
    fn new(seed: u64) -> Self {
        let mut process = Self { random: fastrand::Rng::with_seed(seed), mood: 0.0 };
        // Until it has forgotten where it began.
        for _ in 0..200 {
            process.drift();
        }
        process
    }

    /// A factor about 1, alike for about twenty requests.
    fn drift(&mut self) -> f64 {
        self.mood = 0.95 * self.mood + 0.3 * (1.0_f64 - 0.95 * 0.95).sqrt() * self.normal();
        self.mood.exp()
    }

    /// A normal number, as nearly as matters.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.random.f64()).sum::<f64>() - 6.0
    }

    /// What the next request is: its preparation, its tokens.
    fn next(&mut self, plan: Plan) -> (Duration, u64) {
        let mut mood = self.drift();
        if plan.has_long_tail {
            mood *= self.normal().exp();
        }
        let preparation = plan.preparation.mul_f64(mood * 2.0 * self.random.f64());
        (preparation, (mood * self.random.u64(4..40) as f64) as u64 + 1)
    }

    /// The next run.
    fn run(&mut self, plan: Plan) -> Run {
        let work: Vec<_> = (0..plan.requests).map(|_| self.next(plan)).collect();
        let seed = self.random.u64(..);
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let faults = Faults { status_500: plan.fails, ..Faults::default() };
            let engine = Engine::builder().slots(CAP as usize).tokens_per_chunk(4).seed(seed).faults(faults);
            let engine = engine.prefill_per_token(Duration::from_millis(1)).service();
            let recording = Recording::default();
            let pool = Pool::builder("p").cap(CAP).observer(recording.clone()).build().unwrap();
            let metered = pool.layer().layer(engine);
            let (work, backlog) = (&Mutex::new(work.into_iter()), &Mutex::new(pool.backlog(plan.requests)));
            let worker = |_| {
                let metered = metered.clone();
                async move {
                    loop {
                        let Some((preparation, tokens)) = work.lock().unwrap().next() else { return };
                        sleep(preparation).await;
                        backlog.lock().unwrap().take(1);
                        let response = metered.clone().oneshot(request(tokens)).await.unwrap();
                        let _ = response.into_body().collect().await;
                    }
                }
            };
            futures_util::future::join_all((0..plan.workers).map(worker)).await;
            pool.close();
            recording.run().unwrap()
        })
    }
}

fn request(tokens: u64) -> Request<Full<Bytes>> {
    let body = format!(
        r#"{{"messages":[{{"content":"a b c d"}}],"max_tokens":{tokens},"stream":true,"stream_options":{{"include_usage":true}}}}"#
    );
    Request::post("/v1/chat/completions").body(Full::from(body)).unwrap()
}

fn judged(baseline: &Run, candidate: &Run) -> Verdict {
    Comparison::of(baseline, candidate, Demands::default()).verdict
}

/// How many of so many trials this holds in, on all threads there are.
fn count(trials: u64, holds: impl Fn(u64) -> bool + Sync) -> usize {
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let of = |thread: u64| (thread..trials).step_by(threads as usize).filter(|seed| holds(*seed)).count();
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|thread| scope.spawn(move || of(thread))).collect();
        all.into_iter().map(|thread| thread.join().unwrap()).sum()
    })
}

/// Two halves of one stationary process: that one is better than the other is
/// said in at most 5 % of the trials, and of its throughput alone too.
#[test]
fn chance_is_no_gain() {
    let long = |plan| Plan { has_long_tail: true, requests: 500, ..plan };
    for (plan, trials) in [(GAPPED, 200), (FULL, 200), (long(GAPPED), 100), (long(FULL), 100)] {
        let (rises, judged_at_all) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let accepted = count(trials, |seed| {
            let mut process = Process::new(seed);
            let (first, second) = (process.run(plan), process.run(plan));
            let verdict = judged(&first, &second);
            let is_judged = verdict.decision() != Decision::NotJudged;
            judged_at_all.fetch_add(usize::from(is_judged), Ordering::Relaxed);
            rises.fetch_add(usize::from(is_judged && verdict.checks[0].holds), Ordering::Relaxed);
            verdict.accepted
        });
        println!(
            "by chance: {accepted} accepted, system_tps alone in {rises:?}, of {judged_at_all:?} of {TRIALS}"
        );
        let (rises, judged_at_all) = (rises.into_inner(), judged_at_all.into_inner());
        assert!(
            accepted * 20 <= TRIALS as usize && rises * 20 <= judged_at_all.max(1),
            "{accepted}, {rises}"
        );
    }
}

/// A gap that was really removed is accepted in at least 95 % of the trials.
#[test]
fn a_gap_removed_is_a_gain() {
    let accepted = count(TRIALS, |seed| {
        let mut process = Process::new(seed);
        let (before, after) = (process.run(GAPPED), process.run(FULL));
        judged(&before, &after).accepted
    });
    println!("accepted for cause: {accepted} of {TRIALS}");
    assert!(accepted * 100 >= TRIALS as usize * 95, "{accepted} of {TRIALS}");
}

/// More tokens by failing more requests is rejected, always; and a run is no
/// better than itself, ever.
#[test]
fn failing_more_is_no_gain() {
    let accepted = count(50, |seed| {
        let mut process = Process::new(seed);
        let (before, after) = (process.run(GAPPED), process.run(Plan { fails: 0.3, ..FULL }));
        let verdict = judged(&before, &after);
        let fails: Vec<_> =
            verdict.checks.iter().filter(|check| !check.holds).map(|check| check.name).collect();
        assert!(fails.contains(&"success_rate"), "{verdict:#?}");
        verdict.accepted || judged(&before, &before).accepted || judged(&after, &after).accepted
    });
    assert_eq!(accepted, 0);
}
