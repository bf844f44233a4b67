//! The short way through events that differ from the one before in their text
//! alone: whatever is in them, it tells what reading them in full tells.

use std::collections::BTreeMap;
use std::path::Path;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::Value;
use tower_tps::tokens::Counter;
use tower_tps::wire::{
    AnthropicMessages, BedrockConverse, CohereV1, CohereV2, Content, Dialect, Dialects, Event, Gemini,
    GoogleInteractions, LlamaCpp, Ollama, OpenAiAssistants, OpenAiChat, OpenAiCompletions, OpenAiResponses,
    Reader, SseFramer, Tgi, WriterCompletions,
};

/// A dialect that is shown every event.
#[derive(Debug)]
struct InFull<D>(D);

impl<D: Dialect> Dialect for InFull<D> {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn recognises(&self, event: &Event<'_>) -> bool {
        self.0.recognises(event)
    }

    fn event(&self, event: &Event<'_>, content: &mut Content) {
        self.0.event(event, content);
    }

    fn document(&self, body: &[u8], content: &mut Content) -> bool {
        self.0.document(body, content)
    }
}

/// Sums up the bytes of the text, so that the text itself is compared.
#[derive(Debug)]
struct Sum;

impl Counter for Sum {
    fn push(&mut self, text: &str) -> u64 {
        text.bytes().map(u64::from).sum()
    }

    fn finish(&mut self) -> u64 {
        0
    }
}

/// The short way and the long one, by the folder of the format's fixtures.
fn both() -> BTreeMap<&'static str, [Dialects; 2]> {
    fn of<D: Dialect + Copy>(dialect: D) -> (&'static str, [Dialects; 2]) {
        (dialect.name(), [Dialects::only(dialect), Dialects::only(InFull(dialect))])
    }
    BTreeMap::from([
        of(AnthropicMessages),
        of(BedrockConverse),
        of(CohereV1),
        of(CohereV2),
        of(Gemini),
        of(GoogleInteractions),
        of(LlamaCpp),
        of(Ollama),
        of(OpenAiAssistants),
        of(OpenAiChat),
        of(OpenAiCompletions),
        of(OpenAiResponses),
        of(Tgi),
        of(WriterCompletions),
    ])
}

/// Every event of every fixture of a format, by name and data.
fn events(folder: &Path) -> Vec<(String, Value)> {
    let mut events = Vec::new();
    let mut keep = |name: &[u8], data: &[u8]| {
        if let Ok(json) = serde_json::from_slice(data) {
            events.push((String::from_utf8_lossy(name).into_owned(), json));
        }
    };
    let Ok(files) = std::fs::read_dir(folder) else { return events };
    for file in files {
        let body = std::fs::read(file.unwrap().path()).unwrap();
        let mut framer = SseFramer::new();
        framer.push(&body, |event| keep(event.name, event.data));
        framer.finish(|event| keep(event.name, event.data));
        body.split(|&byte| byte == b'\n').for_each(|line| keep(b"", line));
    }
    events
}

/// All strings in a value.
fn strings<'a>(value: &'a mut Value, found: &mut Vec<&'a mut String>) {
    match value {
        Value::String(text) => found.push(text),
        Value::Array(values) => values.iter_mut().for_each(|value| strings(value, found)),
        Value::Object(fields) => fields.values_mut().for_each(|value| strings(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn read(dialects: &Dialects, events: &[(String, Value)]) -> String {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    let mut reader =
        Reader::new(StatusCode::OK, &headers).with_dialects(dialects.clone()).with_counter(Box::new(Sum));
    let mut told = Vec::new();
    for (name, json) in events {
        told.push(reader.push(format!("event: {name}\ndata: {json}\n\n").as_bytes()));
    }
    let _ = reader.finish();
    let content = reader.content();
    format!(
        "{told:?} {:?} {:?} {:?} {:?} {:?}",
        content.usage_seen(),
        content.output_tokens(),
        content.finish_reason(),
        (content.ended(), content.error_type()),
        content.model_name(),
    )
}

/// Streams of each event of the fixtures, over and over, with one string or
/// another in it changed each time: to a longer one, to nothing, and back.
#[test]
fn it_tells_what_reading_in_full_tells() {
    let conformance = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance");
    let mut random = fastrand::Rng::with_seed(7);
    let mut count = 0;
    for (name, [short, long]) in both() {
        let all = events(&conformance.join(name));
        for (event, json) in &all {
            for _ in 0..12 {
                let mut stream = vec![(event.clone(), json.clone()); 6];
                // Mostly the same string changes, which is what the short way is for.
                let favourite = random.usize(..);
                for (_, json) in &mut stream {
                    let mut found = Vec::new();
                    strings(json, &mut found);
                    if found.is_empty() || random.u8(..3) == 0 {
                        continue;
                    }
                    let at = if random.u8(..4) > 0 { favourite } else { random.usize(..) } % found.len();
                    let texts = ["", "x", "some words", "é\"\\\n", "stop", "ERROR"];
                    *found[at] = texts[random.usize(..texts.len())].to_owned();
                }
                if random.bool() {
                    stream.insert(3, all[random.usize(..all.len())].clone());
                }
                assert_eq!(read(&short, &stream), read(&long, &stream), "{name}: {stream:#?}");
                count += 1;
            }
        }
    }
    assert!(count > 5_000, "{count} streams");
}
