//! What a report recomputes from a log is what the pool counted while it ran:
//! every counter and every integral, whatever went wrong meanwhile.
#![cfg(all(feature = "analysis", feature = "sim", feature = "retry"))]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use tower_tps::analysis::{Logs, Recording, Run, Summary};
use tower_tps::gate::Totals;

#[path = "support/chaos.rs"]
mod chaos;

use self::chaos::{Scenario, scenario};

fn log(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// The one run of a log, of which nothing may be left out.
fn read(log: &Path) -> Run {
    let mut logs = Logs::default();
    logs.read("log", BufReader::new(File::open(log).unwrap())).unwrap();
    let (mut runs, left_out) = logs.finish();
    assert!(left_out.is_empty() && left_out.unknown_types.is_empty(), "{left_out:#?}");
    assert_eq!(runs.len(), 1);
    runs.remove(0)
}

fn check_agreement(summary: &Summary, from: &str) {
    let agreement = &summary.agreement;
    assert!(agreement.has_end, "{from}");
    assert!(agreement.disagreements.is_empty(), "{from}: {:#?}", agreement.disagreements);
}

/// Every figure of the summary that is one of these integrals, by its name.
fn check_integrals(summary: &serde_json::Value, totals: &Totals) {
    let told: BTreeMap<_, _> =
        totals.named().into_iter().map(|(name, time)| (name, Some(time.as_secs_f64()))).collect();
    let recomputed = told.keys().map(|name| (*name, summary[name].as_f64())).collect();
    assert_eq!(told, recomputed);
}

fn json(summary: &Summary) -> serde_json::Value {
    serde_json::to_value(summary).unwrap()
}

fn rng() -> TestRng {
    let seed = std::env::var("TPS_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    println!("TPS_SEED={seed}");
    // The policy's jitter is drawn from here.
    fastrand::seed(seed);
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    TestRng::from_seed(RngAlgorithm::ChaCha, &bytes)
}

/// How requests ended and where, and what went wrong with them.
type Ends = BTreeSet<String>;

fn add_ends(ends: &mut Ends, summary: &Summary) {
    let traffic = &summary.traffic;
    for (outcome, phases) in &traffic.outcomes_by_phase {
        ends.extend(phases.keys().map(|phase| format!("{outcome} {phase}")));
    }
    ends.extend(traffic.error_types.keys().cloned());
    ends.extend(traffic.retry_causes.keys().cloned());
    ends.extend((summary.slots.over_slot_time > 0.0).then(|| "over".to_owned()));
}

/// Runs under the paused clock, and holds the log, the memory and the pool
/// against each other.
fn check(scenario: &Scenario, ends: &mut Ends) {
    let path = log("chaos.jsonl");
    let recording = Recording::default();
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().unwrap();
    let reading = runtime.block_on(async {
        let pool = scenario.run(&path, &recording, Duration::from_millis(1)).await;
        pool.reading()
    });
    let logged = Summary::of(&read(&path));
    check_agreement(&logged, "the log");
    add_ends(ends, &logged);
    let kept = Summary::of(&recording.run().unwrap());
    check_agreement(&kept, "the recording");
    let (logged, kept) = (json(&logged), json(&kept));
    assert_eq!(logged, kept, "the log and the recording");
    check_integrals(&logged, &reading.totals);
}

/// A hundred and fifty runs with cancellations in every phase, refusals, cap
/// changes, faults, retries on both sides, declared work and slow readers. The
/// seed is printed, and given again by `TPS_SEED`.
#[test]
fn recomputed_is_online() {
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(150) };
    let ends = RefCell::default();
    let outcome = TestRunner::new_with_rng(config, rng()).run(&scenario(), |scenario| {
        check(&scenario, &mut ends.borrow_mut());
        Ok(())
    });
    outcome.unwrap();
    let ends: Ends = ends.into_inner();
    for end in [
        "completed done",
        "cancelled queued",
        "cancelled dispatch",
        "cancelled prefill",
        "cancelled streaming",
        "truncated done",
        "failed streaming",
        "rejected queued",
        "queue_full",
        "queue_timeout",
        "service",
        "body",
        "stream_error",
        "status_429",
        "status_500",
        "status_5xx",
        "connect",
        "over",
    ] {
        assert!(ends.contains(end), "{end} in {ends:?}");
    }
}

/// The same on two threads and the real clock, where several instants fall
/// otherwise. (It asserts equality of sums and no duration.)
#[test]
fn recomputed_is_online_on_threads() {
    let mut runner = TestRunner::new_with_rng(ProptestConfig::default(), rng());
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_time().build().unwrap();
    let runs: Vec<_> = (0..24)
        .map(|index| {
            let scenario = scenario().new_tree(&mut runner).unwrap().current();
            let (path, recording) = (log(&format!("threads-{index}.jsonl")), Recording::default());
            runtime.spawn(async move {
                scenario.run(&path, &recording, Duration::from_micros(50)).await;
                (path, recording)
            })
        })
        .collect();
    for run in runs {
        let (path, recording) = runtime.block_on(run).unwrap();
        let logged = Summary::of(&read(&path));
        check_agreement(&logged, "the log");
        let kept = Summary::of(&recording.run().unwrap());
        check_agreement(&kept, "the recording");
        assert_eq!(json(&logged), json(&kept), "the log and the recording");
    }
}
