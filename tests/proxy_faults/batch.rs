//! A batch of sequences through one proxy, and what must hold after any.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use tokio::net::TcpStream;

use crate::case::{Case, Client, Upstream};
use crate::client::{Sequence, play};
use crate::expected::Expected;
use crate::plan::{PATIENCE, Plan};
use crate::proxy::Proxy;
use crate::upstream;
use crate::wire::Wire;

const CAP: usize = 8;

/// How many sequences are under way at once: more than the cap, so that some queue.
const AT_ONCE: usize = 64;

/// How many failures are shown.
const SHOWN: usize = 10;

/// Runs the sequences and holds every invariant: each arrival is in one record, which says how it
/// ended; every byte is right up to the fault; the cap held; the counts are back to zero; no slot is
/// lost. Panics with what did not hold.
pub(crate) async fn run(name: &str, flags: &str, cases: Vec<Case>, sequences: Vec<Sequence>) {
    let plan = Arc::new(Plan::new(cases, CAP));
    let upstream = upstream::start(&plan).await;
    let proxy = Proxy::start(name, upstream, CAP, flags);
    let sequences = Arc::new(sequences);
    let next = Arc::new(AtomicUsize::new(0));
    let runners: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let (plan, sequences, next, clients) =
                (plan.clone(), sequences.clone(), next.clone(), proxy.clients);
            tokio::spawn(async move {
                let mut played = Vec::new();
                while let Some(sequence) = sequences.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match play(&plan, sequence, clients).await {
                        Ok(count) => played.push((sequence.clone(), count)),
                        Err(error) => {
                            let cases = &plan.cases[sequence.cases.clone()];
                            plan.complain(format!("{error}\n  {sequence:?} of {cases:?}"));
                        }
                    }
                }
                played
            })
        })
        .collect();
    let mut played = Vec::new();
    for runner in runners {
        played.extend(runner.await.unwrap());
    }
    proxy.reaches("in_flight", 0).await;
    proxy.reaches("queue_depth", 0).await;
    come_together(&plan, &proxy).await;
    let records = tokio::task::spawn_blocking(|| proxy.records()).await.unwrap();
    for (sequence, count) in &played {
        for (at, case) in plan.cases[sequence.cases.clone()].iter().enumerate() {
            // What is behind a connection's end never comes to the proxy.
            let expected = if at < *count { Expected::of(case) } else { Expected::nothing() };
            if let Err(error) = hold(case, &expected, records.get(&case.id())) {
                plan.complain(format!("{error}\n  {:?} in {sequence:?}", case));
            }
        }
    }
    let unknown = records.keys().filter(|id| !is_one_of(id, &plan)).count();
    assert_eq!(unknown, 0, "there are records of requests that nobody sent");
    say(&plan.complaints(), &records);
}

fn is_one_of(id: &str, plan: &Plan) -> bool {
    let number: Option<usize> = id.strip_prefix("fault-").and_then(|number| number.parse().ok());
    number.is_some_and(|number| number < plan.cases.len())
}

/// Holds a record against what it must say.
fn hold(case: &Case, expected: &Expected, record: Option<&Value>) -> Result<(), String> {
    let Some(record) = record else {
        return if expected.may_be_absent {
            Ok(())
        } else {
            Err(format!("no record; expected {expected:?}"))
        };
    };
    let is_told = expected.records.iter().any(|told| {
        record["outcome"] == told.outcome
            && record["phase"] == told.phase
            && record["error_type"] == told.error_type.clone().map_or(Value::Null, Value::from)
            && record["status"] == told.status.map_or(Value::Null, Value::from)
    });
    if !is_told {
        return Err(format!("the record says otherwise: {record}\n  expected {:?}", expected.records));
    }
    let Upstream::Replies(reply) = &case.upstream else { return Ok(()) };
    if reply.status >= 400 || case.client != Client::Reads {
        return Ok(());
    }
    // As many tokens as there were events with one in the bytes that passed, and perhaps one that has no end.
    let passed = record["response_bytes"].as_u64().unwrap_or(0) as usize;
    let tokens = reply.body().token_ends.iter().filter(|end| **end <= passed).count() as u64;
    let told = record["output_tokens"].as_u64().unwrap_or(0);
    if record["status"] == reply.status && told != tokens && (record["phase"] != "done" || told != tokens + 1)
    {
        return Err(format!("{tokens} tokens passed, and the record says {told}"));
    }
    Ok(())
}

/// As many requests at once as the cap lets, each of which is answered only when all are there.
async fn come_together(plan: &Plan, proxy: &Proxy) {
    let come = (0..CAP).map(|number| async move {
        let mut wire = Wire::new(TcpStream::connect(proxy.clients).await.unwrap(), false);
        let request = format!(
            "POST / HTTP/1.1\r\nhost: a\r\nx-script: together\r\nx-request-id: together-{number}\r\ncontent-length: 0\r\n\r\n"
        );
        wire.send(request.as_bytes(), &mut fastrand::Rng::new()).await;
        wire.head().await.map(|head| head.status())
    });
    let answers = tokio::time::timeout(PATIENCE, futures_util::future::join_all(come)).await;
    if answers.as_ref().map_or(true, |answers| answers.iter().any(|status| *status != Some(200))) {
        plan.complain(format!("a slot is lost: {answers:?}"));
    }
}

/// Panics with the complaints, if there are any.
fn say(complaints: &[String], records: &HashMap<String, Value>) {
    let shown: Vec<_> = complaints.iter().take(SHOWN).map(String::as_str).collect();
    assert!(
        complaints.is_empty(),
        "{} failures among {} records:\n{}",
        complaints.len(),
        records.len(),
        shown.join("\n")
    );
}
