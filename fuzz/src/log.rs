//! Run logs: what must hold of any bytes that are given as one, and logs whose
//! lines can be read and whose values are anything.

use std::io::BufReader;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tower_tps::analysis::{By, Comparison, Demands, Details, LeftOut, Logs, Report, Run, html};

/// No run is cut into more windows.
const MOST_WINDOWS: u32 = 40;

/// The whole report of these bytes, which is the same however they are read.
pub fn report(data: &[u8]) {
    let (runs, left_out) = read(data, 1 << 16);
    let lines = data.split_inclusive(|byte| *byte == b'\n').count() as u64;
    assert_eq!(left_out.lines, lines, "every line is read");
    assert!(left_out.skipped <= lines, "no line is left out twice");
    let longest = runs.iter().map(Run::window_time).max().unwrap_or_default();
    let window = (longest / MOST_WINDOWS).max(Duration::from_nanos(1));
    let details = Details::default().window(window).by(By::Model).by(By::Status).by(By::Format);
    let whole = json(&runs, left_out, &details);
    let (runs, left_out) = read(data, 7);
    assert_eq!(json(&runs, left_out, &details), whole, "read in pieces");
}

/// The pages of these bytes: of all their runs, and of the first and the last compared.
pub fn pages(data: &[u8]) {
    let (runs, left_out) = read(data, 1 << 16);
    let report = Report::of(&runs, left_out, &Details::default());
    let mut pages = vec![html::report(&report, &runs)];
    if let [first, .., last] = runs.as_slice() {
        let comparison = Comparison::of(first, last, Demands::default());
        pages.push(html::comparison(&comparison, first, last));
    }
    for page in pages {
        assert!(!page.contains("NaN"), "a figure that is none");
    }
}

fn read(data: &[u8], at_once: usize) -> (Vec<Run>, LeftOut) {
    let mut logs = Logs::default();
    logs.read("log", BufReader::with_capacity(at_once, data)).expect("memory can be read");
    logs.finish()
}

fn json(runs: &[Run], left_out: LeftOut, details: &Details) -> String {
    serde_json::to_string(&Report::of(runs, left_out, details)).expect("a report is JSON")
}

/// What is left of the bytes to take values from; zeros when there is nothing left.
struct Values<'a>(&'a [u8]);

impl Values<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// Small ones, huge ones, and those in between.
    fn number(&mut self) -> u64 {
        let shift = self.byte() % 66;
        let digits = u64::from(self.byte());
        digits.checked_shl(shift.into()).unwrap_or(u64::MAX)
    }

    /// Near each other, far apart, and beyond what the clock can hold.
    fn instant(&mut self) -> Value {
        let nanos = match self.byte() {
            kind @ ..224 => 1_700_000_000_000_000_000 + (u64::from(kind) % 16) * 250_000_000,
            _ => self.number(),
        };
        let (seconds, nanos) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
        // Days of the same length: which one it is does not matter.
        let (days, second) = (seconds / 86_400, seconds % 86_400);
        let (years, day) = (days / 366, days % 366);
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        let (month, day) = (day / 31 + 1, day % 28 + 1);
        let year = 1970 + years;
        json!(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanos:09}Z"))
    }

    fn seconds(&mut self) -> Value {
        match self.byte() {
            kind @ ..224 => json!(f64::from(kind % 16) * 0.25),
            _ => json!(self.number() as f64 / 3.0),
        }
    }

    fn one_of(&mut self, words: &[&str]) -> Value {
        json!(words[usize::from(self.byte()) % words.len()])
    }
}

const KINDS: [&str; 8] = ["run", "request", "request", "request", "sample", "cap", "backlog", "end"];

/// A log of lines that are what they should be, with values taken from the bytes.
pub fn of_values(data: &[u8]) -> Vec<u8> {
    let mut values = Values(data);
    let mut log = Vec::new();
    while !values.0.is_empty() {
        let kind = KINDS[usize::from(values.byte()) % KINDS.len()];
        let line = Value::Object(line(kind, &mut values));
        log.extend_from_slice(line.to_string().as_bytes());
        log.push(b'\n');
    }
    log
}

fn line(kind: &str, values: &mut Values<'_>) -> Map<String, Value> {
    let mut line = Map::new();
    let mut set = |key: &str, value: Value| drop(line.insert(key.to_owned(), value));
    set("type", json!(kind));
    set("run_id", values.one_of(&["r", "r", "s"]));
    match kind {
        "run" => {
            set("started_at", values.instant());
            if values.byte() % 4 == 0 {
                set("pool", json!(["p", "q"]));
                set("cap", json!({"p": values.byte(), "q": values.number()}));
            } else {
                set("pool", values.one_of(&["p", "p", "q"]));
                set("cap", json!(values.byte()));
            }
        }
        "request" => {
            set("pool", values.one_of(&["p", "p", "q"]));
            request(values, set);
        }
        "cap" | "backlog" => {
            set("pool", values.one_of(&["p", "p", "q"]));
            set("at", values.instant());
            set("from", json!(values.number()));
            set("to", json!(values.number()));
        }
        _ => {
            set("pool", values.one_of(&["p", "p", "q"]));
            set("at", values.instant());
            for key in ["cap", "backlog", "requests", "output_tokens", "connections", "emitted_tokens"] {
                set(key, json!(values.number()));
            }
            for key in ["failed_requests", "abandoned_attempts"] {
                set(key, json!(values.number()));
            }
            for key in ["gap_time", "busy_slot_time", "connect_time", "failed_slot_time"] {
                set(key, values.seconds());
            }
        }
    }
    line
}

fn request(values: &mut Values<'_>, mut set: impl FnMut(&str, Value)) {
    set("request_id", values.one_of(&["a", "b", "c"]));
    set(
        "outcome",
        values.one_of(&["completed", "completed", "cancelled", "failed", "rejected", "truncated"]),
    );
    set("token_source", values.one_of(&["usage", "tokenizer", "events"]));
    set("model", values.one_of(&["m", "n"]));
    set("status", json!(values.byte()));
    set("attempt", json!(values.byte() % 4));
    // In their order for the most part, or hardly any line could be true.
    let mut instants: Vec<Value> = (0..6).map(|_| values.instant()).collect();
    if values.byte() % 16 != 0 {
        instants.sort_by_key(Value::to_string);
    }
    let has = values.byte();
    let keys = ["queued_at", "admitted_at", "headers_at", "first_token_at", "last_token_at", "released_at"];
    for (index, (key, at)) in keys.iter().zip(instants).enumerate() {
        let is_there = match index {
            0 | 5 => true,
            3 | 4 => has & 3 != 0,
            _ => has & 12 != 0,
        };
        if is_there {
            set(key, at);
        }
    }
    for key in ["output_tokens", "counted_tokens", "input_tokens", "first_chunk_tokens"] {
        set(key, json!(values.number()));
    }
    set("burst", values.seconds());
    set("max_token_gap", values.seconds());
    if has & 16 != 0 {
        for key in ["dispatch", "prefill", "generate", "stall", "drain"] {
            set(key, values.seconds());
        }
    }
    if has & 32 != 0 {
        let mut retry = json!({"cause": "status_429", "failed_at": values.instant()});
        if has & 64 != 0 {
            retry["resumed_at"] = values.instant();
        }
        set("retries", json!([retry.clone(), retry]));
    }
}
