//! The program itself, before an upstream of ours.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::plan::PATIENCE;
use crate::tps::{Proxy as Program, file, tps};

/// A proxy with a log. Killed when dropped.
pub(crate) struct Proxy {
    program: Program,
    pub(crate) clients: SocketAddr,
    log: PathBuf,
}

impl Proxy {
    pub(crate) fn start(name: &str, upstream: SocketAddr, cap: usize, flags: &str) -> Self {
        let log = file(&format!("faults-{name}.jsonl"));
        let all = format!(
            "proxy --upstream http://{upstream} --listen 127.0.0.1:0 --admin 127.0.0.1:0 --cap {cap} {flags} --log"
        );
        let program = Program::of(tps(&all).arg(&log));
        let clients = program.address().parse().unwrap();
        Self { program, clients, log }
    }

    pub(crate) async fn status(&self) -> Value {
        self.program.status().await
    }

    /// Waits for a count to become so, which it must.
    pub(crate) async fn reaches(&self, name: &str, count: u64) {
        let reached = async {
            while self.status().await[name] != count {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, reached).await.is_err() {
            panic!("{name} does not become {count}: {:#}", self.status().await);
        }
    }

    /// Ends it in good order, and gives the records by their id, each of which is there once.
    pub(crate) fn records(mut self) -> HashMap<String, Value> {
        assert_eq!(self.program.terminate().code(), Some(0));
        let text = std::fs::read_to_string(&self.log).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let end = lines.last().unwrap();
        assert_eq!((&end["type"], &end["dropped_records"]), (&"end".into(), &0.into()));
        assert_eq!((&end["in_flight"], &end["queue_depth"]), (&0.into(), &0.into()));
        let mut records = HashMap::new();
        for line in lines.into_iter().filter(|line| line["type"] == "request") {
            let id = line["request_id"].as_str().unwrap().to_owned();
            if let Some(other) = records.insert(id, line) {
                panic!("one request has two records, one of them {other}");
            }
        }
        records.retain(|id, _| !id.starts_with("together"));
        let _ = std::fs::remove_file(&self.log);
        records
    }
}
