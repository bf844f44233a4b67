//! The program itself, before an upstream of ours.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::plan::PATIENCE;

/// A proxy with a log. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    child: Child,
    pub(crate) clients: SocketAddr,
    admin: SocketAddr,
    log: PathBuf,
}

impl Proxy {
    pub(crate) fn start(name: &str, upstream: SocketAddr, cap: usize, flags: &str) -> Self {
        let log = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("faults-{name}.jsonl"));
        let _ = std::fs::remove_file(&log);
        let all = format!(
            "proxy --upstream http://{upstream} --listen 127.0.0.1:0 --admin 127.0.0.1:0 --cap {cap} {flags} --log"
        );
        let mut child = Command::new(env!("CARGO_BIN_EXE_tps"))
            .args(all.split_whitespace())
            .arg(&log)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut address = |before: &str| {
            let line = said.next().unwrap().unwrap();
            let (_, rest) = line.split_once(before).unwrap_or_else(|| panic!("said: {line}"));
            rest.split(' ').next().unwrap().parse().unwrap()
        };
        let (clients, admin) = (address("tps: http://"), address("tps: admin on http://"));
        // What it says later is read to the end, so that it never waits for it.
        std::thread::spawn(move || said.for_each(drop));
        Self { child, clients, admin, log }
    }

    pub(crate) async fn status(&self) -> Value {
        let response = reqwest::get(format!("http://{}/status", self.admin)).await.unwrap();
        serde_json::from_str(&response.text().await.unwrap()).unwrap()
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
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
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

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
