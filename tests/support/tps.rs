//! The program as a user runs it, and a proxy of it that runs.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;

pub(crate) fn tps(args: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tps"));
    command.args(args.split_whitespace()).stdin(Stdio::null());
    command
}

pub(crate) fn run(args: &str) -> Output {
    tps(args).output().unwrap()
}

/// The path of a file of the tests', which is not there yet.
pub(crate) fn file(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_file(&path);
    path
}

/// A proxy on ports of its own. Killed when dropped.
pub(crate) struct Proxy {
    child: Child,
    pub(crate) clients: String,
    pub(crate) admin: String,
    said: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    pub(crate) fn start(upstream: &str, args: &str) -> Self {
        Self::of(&mut tps(&format!(
            "proxy --upstream {upstream} --listen 127.0.0.1:0 --admin 127.0.0.1:0 {args}"
        )))
    }

    pub(crate) fn of(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (mut clients, mut admin) = (None, None);
        // One line for each pool, and the admin's last.
        while admin.is_none() {
            let line = lines.next().expect("it says where it listens").unwrap();
            let said = line.strip_prefix("tps: ").unwrap_or_else(|| panic!("said: {line}"));
            match said.strip_prefix("admin on ") {
                Some(url) => admin = Some(url.to_owned()),
                None => clients = said.split(' ').next().map(str::to_owned),
            }
        }
        let (clients, admin) = (clients.unwrap(), admin.unwrap());
        assert!(clients.starts_with("http"), "said: {clients}");
        // What it says later is read to the end, so that it never waits for it.
        let said = Arc::new(Mutex::new(Vec::new()));
        let hears = said.clone();
        std::thread::spawn(move || lines.for_each(|line| hears.lock().unwrap().push(line.unwrap())));
        Self { child, clients, admin, said }
    }

    /// `HOST:PORT` for clients.
    pub(crate) fn address(&self) -> &str {
        self.clients.split("//").nth(1).unwrap()
    }

    /// A request of the chat completions with this body.
    pub(crate) fn post(&self, body: &'static str) -> reqwest::RequestBuilder {
        reqwest::Client::new().post(format!("{}/v1/chat/completions", self.clients)).body(body)
    }

    pub(crate) async fn admin(&self, path: &str) -> String {
        let response = reqwest::get(format!("{}{path}", self.admin)).await.unwrap();
        response.text().await.unwrap()
    }

    pub(crate) async fn status(&self) -> Value {
        serde_json::from_str(&self.admin("/status").await).unwrap()
    }

    /// Waits until it has said something with this in it.
    pub(crate) async fn says(&self, what: &str) {
        while !self.said.lock().unwrap().iter().any(|line| line.contains(what)) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    pub(crate) fn terminate(&mut self) -> ExitStatus {
        self.signal("-TERM");
        self.child.wait().unwrap()
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines of a log that are of this type.
pub(crate) fn lines(log: &std::path::Path, kind: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(log).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["type"] == kind).collect()
}
