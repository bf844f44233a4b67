//! The conformance set, `tests/conformance/`: every file, at any cut, reads as
//! its row in the table says.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderMap, HeaderValue, StatusCode, header};
use tower_tps::tokens::{Counter, TokenSource};
use tower_tps::wire::{Progress, Reader};

const ABSENT: &str = "-";

/// Differences, by what differs, with the cuts that show it.
type Wrong = BTreeMap<(String, &'static str, String, String), Vec<String>>;

/// One row of the table: columns by name.
struct Row(BTreeMap<String, String>);

/// Counts characters, for itself too: the reader does not tell the sum of what
/// no tokenizer could count, such as choices whose texts come interleaved.
#[derive(Debug, Default)]
struct Characters(Arc<AtomicU64>);

// === impl Row ===

impl Row {
    fn get(&self, column: &str) -> &str {
        self.0.get(column).map_or_else(|| panic!("no column {column}"), String::as_str)
    }

    fn reader(&self) -> Reader {
        let value = |column| HeaderValue::from_str(self.get(column)).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, value("content_type"));
        if self.get("content_encoding") != ABSENT {
            headers.insert(header::CONTENT_ENCODING, value("content_encoding"));
        }
        let status = StatusCode::from_bytes(self.get("status").as_bytes()).unwrap();
        Reader::new(status, &headers)
    }

    fn is_encoded(&self) -> bool {
        ![ABSENT, "identity"].contains(&self.get("content_encoding"))
    }

    /// What may be anything, since the bytes do not tell it.
    fn is_open(&self, column: &str) -> bool {
        let open = ["format", "events", "content_events", "end_marker", "characters"];
        open.contains(&column) && self.get(column) == ABSENT
    }

    /// Reads the body in these pieces, and keeps what differs from the row.
    fn check(&self, cut: &str, pieces: &[&[u8]], wrong: &mut Wrong) {
        let characters = Arc::new(AtomicU64::new(0));
        let mut reader = self.reader().with_counter(Box::new(Characters(characters.clone())));
        let mut first = None;
        let mut note = |progress: Progress, reader: &Reader| {
            if first.is_none() && progress.events > 0 {
                first = Some(reader.events_seen() - 1);
            }
        };
        for piece in pieces {
            let progress = reader.push(piece);
            note(progress, &reader);
        }
        let progress = reader.finish();
        note(progress, &reader);

        let mut found = figures(&reader);
        let counted = reader.content().counted();
        let characters = characters.load(Ordering::Relaxed);
        assert!(counted.is_none_or(|counted| counted == characters), "{}", self.get("file"));
        found.push(("characters", characters.to_string()));
        // One byte of an encoded body can complete many events.
        if cut == "1" && !self.is_encoded() {
            found.push(("first_content", number(first)));
        }
        for (column, found) in found {
            let expected = self.get(column);
            if found != expected && !self.is_open(column) {
                let what = (self.get("file").to_owned(), column, expected.to_owned(), found);
                wrong.entry(what).or_default().push(cut.to_owned());
            }
        }
    }
}

// === impl Characters ===

impl Counter for Characters {
    fn push(&mut self, text: &str) -> u64 {
        let count = text.chars().count() as u64;
        self.0.fetch_add(count, Ordering::Relaxed);
        count
    }

    fn finish(&mut self) -> u64 {
        0
    }
}

fn number(figure: Option<impl ToString>) -> String {
    figure.map_or_else(|| ABSENT.to_owned(), |figure| figure.to_string())
}

fn yes_no(yes: bool) -> String {
    if yes { "yes" } else { "no" }.to_owned()
}

/// What a reader tells after the end of the body, by column.
fn figures(reader: &Reader) -> Vec<(&'static str, String)> {
    let content = reader.content();
    let text = |text: Option<&str>| text.unwrap_or(ABSENT).to_owned();
    let usage = content.output_tokens().filter(|(_, source)| *source == TokenSource::Usage);
    vec![
        ("format", text(reader.format())),
        ("streamed", yes_no(reader.streamed())),
        ("events", reader.events_seen().to_string()),
        ("content_events", content.content_events().to_string()),
        ("output_tokens", number(usage.map(|(tokens, _)| tokens))),
        ("input_tokens", number(content.usage_seen().input)),
        ("reasoning_tokens", number(content.usage_seen().reasoning)),
        ("finish_reason", text(content.finish_reason())),
        ("end_marker", yes_no(content.ended())),
        ("outcome", reader.outcome().to_string()),
        ("error", text(content.error_type())),
        ("model", text(content.model_name())),
    ]
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance")
}

fn table() -> Vec<Row> {
    let table = std::fs::read_to_string(folder().join("EXPECTED.tsv")).unwrap();
    let mut lines = table.lines().map(|line| line.split('\t').map(str::to_owned).collect::<Vec<_>>());
    let columns = lines.next().unwrap();
    lines.map(|fields| Row(columns.iter().cloned().zip(fields).collect())).collect()
}

/// The body at random places, the same ones in every run.
fn random_pieces(body: &[u8], seed: u64) -> Vec<&[u8]> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut pieces = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let (piece, tail) = rest.split_at(random.usize(..=rest.len().min(200)));
        pieces.push(piece);
        rest = tail;
    }
    pieces
}

/// Whole, in pieces of 1, 7 and 1460 bytes, and at random places: the figures
/// are the row's every time.
#[test]
fn every_file_at_any_cut() {
    let mut wrong = Wrong::new();
    let (mut read, mut skipped) = (0, 0);
    for row in table() {
        if row.is_encoded() && !cfg!(feature = "decompress") {
            println!("skipped, for it needs the feature `decompress`: {}", row.get("file"));
            skipped += 1;
            continue;
        }
        read += 1;
        let body = std::fs::read(folder().join(row.get("file"))).unwrap();
        row.check("whole", &[&body], &mut wrong);
        for size in [1, 7, 1460] {
            row.check(&size.to_string(), &body.chunks(size).collect::<Vec<_>>(), &mut wrong);
        }
        for seed in 0..4 {
            row.check(&format!("random {seed}"), &random_pieces(&body, seed), &mut wrong);
        }
    }
    let told: Vec<String> = wrong
        .iter()
        .map(|((file, column, expected, found), cuts)| {
            let cuts = if cuts.len() == 8 { "any".to_owned() } else { cuts.join(", ") };
            format!("{file}: {column} is {found}, not {expected} (cut: {cuts})")
        })
        .collect();
    assert!(told.is_empty(), "{} differences in {read} files:\n{}", told.len(), told.join("\n"));
    println!("{read} files as the table says, {skipped} skipped");
}
