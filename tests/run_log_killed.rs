//! A proxy that is killed under load, and what is in its log then.
#![cfg(feature = "cli")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use serde_json::Value;

#[path = "support/tps.rs"]
mod tps;

use self::tps::{Proxy, file, tps};

const STREAM: &str = r#"{"messages":[{"content":"a b"}],"stream":true,"max_tokens":4}"#;

/// A proxy before the simulated engine.
fn proxy(log: &Path) -> Proxy {
    Proxy::start("sim", &format!("--cap 8 --log {}", log.display()))
}

/// What was answered to the end, and when its client had it.
type Answered = Arc<Mutex<BTreeMap<String, SystemTime>>>;

async fn ask(address: String, caller: u32, answered: Answered) {
    let client = reqwest::Client::new();
    for number in 0.. {
        let id = format!("{caller}-{number}");
        let url = format!("{address}/v1/chat/completions");
        let answer = client.post(url).header("x-request-id", &id).body(STREAM).send().await;
        let Ok(answer) = answer else { return };
        if answer.bytes().await.is_err() {
            return;
        }
        answered.lock().unwrap().insert(id, SystemTime::now());
    }
}

/// The records of all that ended more than a second before a kill are in the log, and at
/// most its last line is torn. Started again it goes on with that log on a line of its
/// own, and both runs are read.
#[test]
fn a_kill_loses_no_more_than_a_second() {
    let log = file("killed.jsonl");
    let answered = Answered::default();
    let killed_at = tokio::runtime::Runtime::new().unwrap().block_on(async {
        let mut proxy = proxy(&log);
        let callers: Vec<_> = (0..32)
            .map(|caller| tokio::spawn(ask(proxy.clients.clone(), caller, answered.clone())))
            .collect();
        // Until some are older than what may be lost.
        let is_enough = || {
            let second = Duration::from_secs(1);
            let answered = answered.lock().unwrap();
            let old = answered.values().filter(|at| at.elapsed().is_ok_and(|age| age > second));
            old.count() > 100
        };
        while !is_enough() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let killed_at = SystemTime::now();
        proxy.signal("-KILL");
        proxy.wait();
        for caller in callers {
            caller.await.unwrap();
        }
        killed_at
    });
    let text = std::fs::read(&log).unwrap();
    let lines: Vec<_> = text.split_inclusive(|byte| *byte == b'\n').collect();
    let parsed: Vec<Option<Value>> = lines.iter().map(|line| serde_json::from_slice(line).ok()).collect();
    let (last, others) = parsed.split_last().unwrap();
    assert!(others.iter().all(Option::is_some), "only the last line may be torn");
    let ids: Vec<_> = parsed.iter().flatten().filter_map(|line| line["request_id"].as_str()).collect();
    let answered = answered.lock().unwrap();
    let certain = answered.iter().filter(|(_, at)| **at + Duration::from_secs(1) < killed_at);
    let mut count = 0;
    for (id, _) in certain {
        assert_eq!(ids.iter().filter(|logged| *logged == id).count(), 1, "{id}");
        count += 1;
    }
    assert!(count > 100, "{count}");
    // Every kill may tear a line: here one is.
    let mut torn = text.clone();
    if last.is_some() {
        torn.extend_from_slice(br#"{"type":"request","run_id":"#);
    }
    std::fs::write(&log, &torn).unwrap();

    assert!(proxy(&log).terminate().success());
    let report = tps("report --json").arg(&log).output().unwrap();
    assert!(report.status.success());
    let report: Value = serde_json::from_slice(&report.stdout).unwrap();
    let ends: Vec<_> = report["runs"].as_array().unwrap().iter().map(|run| &run["has_end"]).collect();
    assert_eq!(ends, [false, true]);
    assert_eq!(report["left_out"]["kinds"], serde_json::json!({"torn": 1}));
}
