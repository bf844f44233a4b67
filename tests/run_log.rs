//! A run log in several files, and of several pools: together they are one log, and
//! each is honest by itself.
#![cfg(feature = "analysis")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use http::Request;
use proptest::prelude::*;
use serde_json::Value;
use tower_tps::Pool;
use tower_tps::analysis::{LeftOut, Logs, Run, Summary};
use tower_tps::clock::Instant;
use tower_tps::observe::RunLog;
use tower_tps::pool::Builder;

#[path = "support/integrals.rs"]
#[allow(dead_code, reason = "what the meter says is not asked here")]
mod integrals;
#[path = "support/traffic.rs"]
mod traffic;

use self::integrals::{Change, Integrals, recompute};
use self::traffic::run;

/// An empty directory of its own under the target directory, and a log's name in it.
fn directory(name: &str) -> (PathBuf, PathBuf) {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("run_log").join(name);
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).unwrap();
    (directory.clone(), directory.join("run.jsonl"))
}

/// A pool with two slots of one.
fn pool(name: &str, logs: &[&RunLog]) -> Pool {
    let with = |builder: Builder, log: &&RunLog| builder.observer((*log).clone());
    logs.iter().fold(Pool::builder(name).cap(2).max_queue(6), with).build().unwrap()
}

/// Streams of 100 ms through a pool: some give up in the queue, some are refused, the
/// cap moves, a backlog is declared, a retry waits.
async fn traffic(pool: &Pool, requests: u64) {
    let send = |index: u64| {
        let limit = Duration::from_millis(if index % 6 == 5 { 10 } else { 100_000 });
        (Duration::from_millis(17 * index), Request::new(()), limit)
    };
    traffic::traffic(pool, (0..requests).map(send)).await;
}

/// The log's files, the kept ones first and in their order.
fn parts(log: &Path) -> Vec<PathBuf> {
    let number = |path: &PathBuf| path.extension()?.to_str()?.parse::<u32>().ok();
    let mut parts: Vec<_> =
        fs::read_dir(log.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path()).collect();
    parts.retain(|path| path == log || path.to_str().unwrap().starts_with(&format!("{}.", log.display())));
    parts.sort_by_key(|path| number(path).unwrap_or(u32::MAX));
    parts
}

fn read(logs: &[PathBuf]) -> (Vec<Run>, LeftOut) {
    let mut read = Logs::default();
    for log in logs {
        read.read(&log.display().to_string(), &*fs::read(log).unwrap()).unwrap();
    }
    read.finish()
}

fn lines(log: &Path) -> Vec<Value> {
    let text = fs::read_to_string(log).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Each run by its pool, in figures.
fn figures(runs: &[Run]) -> Vec<(String, Value)> {
    let figures = |run: &Run| (run.pool().to_owned(), serde_json::to_value(Summary::of(run)).unwrap());
    let mut figures: Vec<_> = runs.iter().map(figures).collect();
    figures.sort_by(|a, b| a.0.cmp(&b.0));
    figures
}

/// Two pools at once, and a third that comes when the first has gone, in a log that is
/// one file and in another that is cut after so many bytes.
fn three_pools(name: &str, most: u64) -> (PathBuf, PathBuf) {
    let (_, whole) = directory(&format!("{name}-whole"));
    let (_, cut) = directory(name);
    run(async {
        let log = |path: &Path| RunLog::create(path).unwrap().run_id("r").pools(2);
        let (one, other) = (log(&whole), log(&cut).rotate(most));
        let logs = [&one, &other];
        let (a, b) = (pool("a", &logs), pool("b", &logs));
        tokio::join!(traffic(&a, 12), traffic(&b, 7));
        a.close();
        let c = pool("c", &logs);
        tokio::join!(traffic(&b, 3), traffic(&c, 9));
        c.close();
        b.close();
        assert_eq!((one.dropped().count(), other.dropped().count()), (0, 0));
    });
    (whole, cut)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    /// Wherever a log is cut, its parts in any order give the report of the whole, to
    /// the nanosecond, and no part is larger than it may be unless one line is.
    #[test]
    fn all_parts_are_the_whole(most in prop_oneof![1_u64..3_000, 3_000_u64..40_000], order in any::<u64>()) {
        let (whole, cut) = three_pools("parts", most);
        let mut parts = parts(&cut);
        for part in &parts {
            let length = fs::metadata(part).unwrap().len();
            prop_assert!(length <= most || lines(part).len() <= 2, "{length} bytes in {part:?}");
            prop_assert_eq!(&lines(part)[0]["type"], "run");
            prop_assert_eq!(&lines(part)[0]["run_id"], "r");
        }
        fastrand::Rng::with_seed(order).shuffle(&mut parts);
        let (runs, left_out) = read(&parts);
        prop_assert!(left_out.is_empty(), "{left_out:#?}");
        let (of_whole, of_whole_left_out) = read(&[whole]);
        prop_assert!(of_whole_left_out.is_empty(), "{of_whole_left_out:#?}");
        let all = of_whole.iter().all(|run| run.has_end() && Summary::of(run).agreement.holds());
        prop_assert!(all && of_whole.len() == 3);
        prop_assert_eq!(figures(&runs), figures(&of_whole));
    }
}

/// Once in one file, the parts are the whole as well, and a part that is given twice
/// counts once.
#[test]
fn parts_joined_and_doubled() {
    let (whole, cut) = three_pools("joined", 6_000);
    let parts = parts(&cut);
    assert!(parts.len() > 3, "{parts:?}");
    let joined = cut.with_file_name("joined.jsonl");
    fs::write(&joined, parts.iter().flat_map(|part| fs::read(part).unwrap()).collect::<Vec<_>>()).unwrap();
    let (runs, left_out) = read(std::slice::from_ref(&joined));
    assert!(left_out.is_empty(), "{left_out:#?}");
    let of_whole = figures(&read(&[whole]).0);
    assert_eq!(figures(&runs), of_whole);
    for order in [[&joined, &parts[1]], [&parts[1], &joined]] {
        let (runs, left_out) = read(&order.map(Clone::clone));
        assert_eq!(figures(&runs), of_whole);
        assert_eq!(left_out.kinds.keys().collect::<Vec<_>>(), [&"duplicate"]);
        let reason = format!("the same run was read from {} already", order[0].display());
        assert!(left_out.problems.iter().any(|problem| problem.reason == reason), "{left_out:#?}");
    }
}

fn wall(value: &Value) -> Option<SystemTime> {
    value.as_str().map(|text| humantime::parse_rfc3339(text).unwrap())
}

/// The integrals of a pool from one instant to another, written out over the lines of
/// the whole log: what came before counts as if it came then.
fn between(log: &[Value], pool: &str, from: SystemTime, until: SystemTime) -> Integrals {
    let epoch = Instant::now();
    let at = |value: &Value| {
        let since = wall(value)?.max(from).duration_since(from).unwrap();
        Some(Change::at(epoch.after(since).unwrap()))
    };
    let delta = |line: &Value| line["to"].as_i64().unwrap() - line["from"].as_i64().unwrap();
    let is_of = |line: &&Value| line["pool"] == pool || line["pool"].as_array().is_some();
    let mut changes = Vec::new();
    for line in log.iter().filter(is_of) {
        match line["type"].as_str().unwrap() {
            "run" => changes.push(Change {
                cap: line["cap"].as_i64().or(line["cap"][pool].as_i64()).unwrap_or(0),
                ..at(&line["started_at"]).unwrap()
            }),
            "cap" => changes.push(Change { cap: delta(line), ..at(&line["at"]).unwrap() }),
            "backlog" => changes.push(Change { backlog: delta(line), ..at(&line["at"]).unwrap() }),
            "backoff" => changes.push(Change { backoff: delta(line), ..at(&line["at"]).unwrap() }),
            "request" if line["outcome"] != "rejected" => {
                let released = at(&line["released_at"]).unwrap();
                let admitted = at(&line["admitted_at"]);
                let in_flight = i64::from(admitted.is_some());
                changes.push(Change { waiting: 1, ..at(&line["queued_at"]).unwrap() });
                changes.push(Change { waiting: -1, in_flight, ..admitted.unwrap_or(released) });
                changes.push(Change { in_flight: -in_flight, ..released });
            }
            _ => {}
        }
    }
    recompute(changes, epoch.after(until.duration_since(from).unwrap()).unwrap())
}

/// Without its first parts a run is read from the cut on, and all its integrals from
/// there are those of the whole log: that of requests under way across the cut too. It
/// is told that its beginning is missing, and what the pool told since its start is
/// held against nothing.
#[test]
fn the_last_parts_alone() {
    let (_, cut) = three_pools("last", 4_000);
    let parts = parts(&cut);
    let mut all: Vec<_> = parts.iter().flat_map(|part| lines(part)).collect();
    all.retain(|line| line["type"] != "run" || line.get("at").is_none());
    let mut straddled = 0;
    for first in 1..parts.len() {
        let head = lines(&parts[first]).swap_remove(0);
        assert_eq!(head["part"], first as u64 + 1);
        let from = wall(&head["at"]).unwrap();
        let (runs, left_out) = read(&parts[first..]);
        for run in &runs {
            let end = all.iter().find(|line| line["type"] == "end" && line["pool"] == run.pool());
            let until = wall(&end.unwrap()["at"]).unwrap();
            let summary = Summary::of(run);
            assert!(run.has_end() && summary.agreement.holds());
            let is_late = head["pool"] == run.pool()
                || head["pool"].as_array().is_some_and(|pools| pools.contains(&run.pool().into()));
            if !is_late {
                continue;
            }
            assert_eq!((summary.agreement.samples, run.started_at()), (0, from));
            let truth = between(&all, run.pool(), from, until);
            let seconds = |nanos: u128| nanos as f64 / 1e9;
            let slots = &summary.slots;
            let near = |a: f64, b: u128| (a - seconds(b)).abs() < 1e-12;
            assert!(near(slots.backlog_time, truth.backlog), "{slots:#?} {truth:?}");
            assert!(near(slots.gap_time, truth.causes.iter().sum()), "{slots:#?} {truth:?}");
            assert!(near(slots.gap_slot_time, truth.gap_slots), "{slots:#?} {truth:?}");
            assert!(near(slots.lost_slot_time, truth.lost), "{slots:#?} {truth:?}");
            assert!(near(slots.cap_slot_time, truth.cap), "{slots:#?} {truth:?}");
            assert!(near(slots.busy_slot_time, truth.busy), "{slots:#?} {truth:?}");
            assert!(near(slots.idle_slot_time, truth.idle), "{slots:#?} {truth:?}");
            assert!(near(slots.over_slot_time, truth.over), "{slots:#?} {truth:?}");
            assert!(slots.busy_slot_time_unattributed.abs() < 1e-9, "{slots:#?}");
            straddled += lines(&parts[first])
                .iter()
                .filter(|line| wall(&line["admitted_at"]).is_some_and(|at| at < from))
                .count();
        }
        let late: BTreeSet<_> = left_out.kinds.keys().copied().collect();
        assert_eq!(late, BTreeSet::from(["no_start"]), "{left_out:#?}");
        let words = format!("what is before part {} of the run \"r\" of the pool", first + 1);
        assert!(left_out.problems[0].reason.starts_with(&words), "{left_out:#?}");
        assert_eq!(left_out.skipped, 0);
    }
    assert!(straddled > 0);
}

/// A part that is missing in the middle is told of, by its number.
#[test]
fn a_part_is_missing() {
    let (_, cut) = three_pools("missing", 3_000);
    let mut parts = parts(&cut);
    assert!(parts.len() > 6);
    drop(parts.drain(2..4));
    let (_, left_out) = read(&parts);
    assert!(left_out.kinds["missing_part"] > 0 && left_out.skipped == 0, "{left_out:#?}");
    let words = "parts 3 to 4 of the run \"r\" of the pool \"b\" are in no log";
    assert!(left_out.problems.iter().any(|problem| problem.reason == words), "{left_out:#?}");
}

/// The first line tells of all pools that were announced, and of each its cap; a pool
/// that comes later has a line of its own. Every pool has an end, and is a run.
#[test]
fn several_pools() {
    let (whole, _) = three_pools("pools", u64::MAX);
    let all = lines(&whole);
    let of = |kind: &str| all.iter().filter(|line| line["type"] == kind).collect::<Vec<_>>();
    let [first, later] = of("run")[..] else { panic!("{all:#?}") };
    assert_eq!(first, &all[0]);
    assert_eq!(first["pool"], serde_json::json!(["a", "b"]));
    assert_eq!(first["cap"], serde_json::json!({"a": 2, "b": 2}));
    assert_eq!(first["pool_started_at"]["a"], first["started_at"]);
    assert_eq!((&later["pool"], &later["cap"]), (&"c".into(), &2.into()));
    let ends: Vec<_> = of("end").iter().map(|end| end["pool"].clone()).collect();
    assert_eq!(ends, ["a", "c", "b"]);
    assert!(all.iter().skip(1).all(|line| line["pool"].is_string() && line["run_id"] == "r"));
    assert!(all.iter().all(|line| line.get("part").is_none()));
}

/// The log of one pool is what it was before there were several, to the key.
#[test]
fn one_pool() {
    let (_, path) = directory("one");
    run(async {
        let log = RunLog::create(&path).unwrap().run_id("r").label("host", "b");
        pool("p", &[&log]).close();
    });
    let text = fs::read_to_string(&path).unwrap();
    let first = text.lines().next().unwrap();
    let (before, rest) = first.split_once("\"started_at\":\"").unwrap();
    let (_, after) = rest.split_once('"').unwrap();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(before, format!("{{\"type\":\"run\",\"run_id\":\"r\",\"version\":\"{version}\","));
    let expected =
        r#","pool":"p","cap":2,"tokenizer":"events","sample_interval":1.000000000,"labels":{"host":"b"}}"#;
    assert_eq!(after, expected);
}

/// A log that was moved away is begun anew by its name, and both files are the run.
#[test]
fn reopened() {
    let (_, whole) = directory("reopened-whole");
    let (_, path) = directory("reopened");
    let moved = path.with_file_name("run.jsonl-20260131");
    run(async {
        let log = |path: &Path| RunLog::create(path).unwrap().run_id("r");
        let (one, other) = (log(&whole), log(&path));
        let p = pool("p", &[&one, &other]);
        traffic(&p, 12).await;
        while fs::metadata(&path).unwrap().len() == 0 {
            std::thread::yield_now();
        }
        fs::rename(&path, &moved).unwrap();
        other.reopen();
        while !path.exists() {
            std::thread::yield_now();
        }
        traffic(&p, 5).await;
        p.close();
    });
    let (first, second) = (lines(&moved), lines(&path));
    assert_eq!(first[0]["started_at"], second[0]["started_at"]);
    assert_eq!((second[0]["type"].as_str(), &second[0]["part"]), (Some("run"), &2.into()));
    assert!(first.iter().all(|line| line["type"] != "end"));
    let (runs, left_out) = read(&[path, moved]);
    assert!(left_out.is_empty(), "{left_out:#?}");
    assert_eq!(figures(&runs), figures(&read(&[whole]).0));
}

/// A log is kept by a name that no file has, even where a packer took the others: what
/// is there already stays as it is, and so does the log's own past.
#[test]
fn nothing_is_overwritten() {
    let (directory, path) = directory("kept");
    let old = [("run.jsonl.1", "one\n"), ("run.jsonl.7.gz", "seven\n"), ("run.jsonl.old", "old\n")];
    for (name, text) in old {
        fs::write(directory.join(name), text).unwrap();
    }
    fs::write(&path, "{\"type\":\"earlier\"}\n").unwrap();
    run(async {
        let log = RunLog::create(&path).unwrap().run_id("r").rotate(1);
        pool("p", &[&log]).close();
    });
    for (name, text) in old {
        assert_eq!(fs::read_to_string(directory.join(name)).unwrap(), text);
    }
    assert_eq!(lines(&directory.join("run.jsonl.8"))[0]["type"], "earlier");
    let run = &lines(&directory.join("run.jsonl.9"))[0];
    assert_eq!((&run["type"], run.get("part")), (&"run".into(), None));
    assert_eq!(lines(&path).last().unwrap()["type"], "end");
}

/// Keeps what is told of failures.
fn told() -> (Arc<Mutex<Vec<String>>>, impl Fn(&std::io::Error) + Send + 'static) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = told.clone();
    (told, move |error: &std::io::Error| tell.lock().unwrap().push(error.to_string()))
}

/// A log whose directory is gone goes on with the file it has, says so, and loses
/// nothing that the system still takes.
#[test]
fn the_directory_is_gone() {
    let (directory, path) = directory("gone");
    let (told, tell) = told();
    let log = RunLog::create(&path).unwrap().rotate(2_000).on_failure(tell);
    fs::remove_dir_all(&directory).unwrap();
    run(async {
        let p = pool("p", &[&log]);
        traffic(&p, 12).await;
        log.reopen();
        p.close();
    });
    assert_eq!(log.dropped().count(), 0);
    let told = told.lock().unwrap();
    assert!(told.len() > 1, "{told:?}");
    assert!(told.iter().all(|error| error.starts_with(&path.display().to_string())), "{told:?}");
}

/// What does not reach a disk that is full is counted, by its pool, and said once.
#[test]
fn the_disk_is_full() {
    let (told, tell) = told();
    let log = RunLog::create("/dev/full").unwrap().pools(2).rotate(1).on_failure(tell);
    run(async {
        let (a, b) = (pool("a", &[&log]), pool("b", &[&log]));
        traffic(&a, 12).await;
        a.close();
        b.close();
    });
    assert!(log.dropped().count() > 12);
    assert_eq!(*told.lock().unwrap(), ["/dev/full: No space left on device (os error 28)"]);
    assert!(Path::new("/dev/full").exists() && !Path::new("/dev/full.1").exists());
}

/// A pool that was announced and never starts keeps nobody waiting: the end of the
/// others is written, after a first line without it.
#[test]
fn announced_and_never_there() {
    let (_, path) = directory("announced");
    run(async {
        let log = RunLog::create(&path).unwrap().run_id("r").pools(3);
        let pools = [pool("a", &[&log]), pool("b", &[&log])];
        pools.iter().for_each(Pool::close);
        // One that comes when no pool is on is written all the same.
        pool("c", &[&log]).close();
    });
    let lines = lines(&path);
    assert_eq!(lines[0]["pool"], serde_json::json!(["a", "b"]));
    let (runs, left_out) = read(&[path]);
    assert!(left_out.is_empty(), "{left_out:#?}");
    assert_eq!(runs.iter().filter(|run| run.has_end()).count(), 3);
}

/// The program reports on the parts together as on any log, each pool by itself; a
/// comparison takes one of them by its name, and does not judge what lacks a part.
#[cfg(feature = "cli")]
#[test]
fn the_program_reads_them() {
    let tps = |args: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_tps")).args(args).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (_, cut) = three_pools("program", 4_000);
    let parts = parts(&cut);
    let names: Vec<_> = parts.iter().map(|part| part.to_str().unwrap()).collect();
    let (code, report) = tps(&[&["report"], &names[..]].concat());
    assert_eq!(code, Some(0));
    for pool in ["a", "b", "c"] {
        assert!(report.contains(&format!("Run r, pool {pool}")), "{report}");
    }
    assert_eq!(report.matches("the same to the nanosecond").count(), 3, "{report}");
    let joined = |name: &str, without: Option<usize>| {
        let path = cut.with_file_name(name);
        let all = parts.iter().enumerate().filter(|(index, _)| Some(*index) != without);
        let text: Vec<u8> = all.flat_map(|(_, part)| fs::read(part).unwrap()).collect();
        fs::write(&path, text).unwrap();
        format!("{}#r/b", path.display())
    };
    let (whole, holed) = (joined("whole.jsonl", None), joined("holed.jsonl", Some(2)));
    let words = "parts of the candidate's log are missing, as tps report tells";
    let (code, verdict) = tps(&["compare", &whole, &holed]);
    assert!(code == Some(3) && verdict.contains(words), "{code:?} {verdict}");
    let (_, verdict) = tps(&["compare", &whole, &whole]);
    assert!(!verdict.contains("are missing"), "{verdict}");
}
