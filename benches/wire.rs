//! What reading a stream costs: one event of 323 bytes a chunk, as engines send
//! them. `cargo bench --bench wire`; a figure is the time of one event.
//!
//! - `framing`: the event is cut out of the bytes.
//! - `reading/alike`: framed, and read by the short way, since it differs from
//!   the one before in its text alone. Less `framing`, that is the extraction.
//! - `reading/different`: framed, and read in full, since its id differs too.
//! - `extraction/…`: an event that is framed already, read in full.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use tower_tps::wire::{Content, Dialect, Event, OpenAiChat, Reader, SseFramer};

/// A chunk as OpenAI sends it, with this id and this text, and as long as that
/// of a text of five bytes is, 323 bytes.
fn event(id: usize, text: &str) -> Vec<u8> {
    format!(
        "data: {{\"id\":\"chatcmpl-{id:046}\",\"object\":\"chat.completion.chunk\",\"created\":1763990000,\
         \"model\":\"gpt-4o-mini-2024-07-18\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_560af6e559\",\
         \"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}},\"logprobs\":null,\"finish_reason\":null}}],\
         \"usage\":null}}\n\n"
    )
    .into_bytes()
}

fn reader() -> Reader {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    Reader::new(StatusCode::OK, &headers)
}

fn framing(c: &mut Criterion) {
    let event = event(1, " word");
    assert_eq!(event.len(), 323);
    let mut group = c.benchmark_group("framing");
    group.throughput(Throughput::Bytes(323));
    group.bench_function("one event a chunk", |b| {
        let mut framer = SseFramer::new();
        b.iter(|| {
            let mut length = 0;
            framer.push(black_box(&event), |event| length = event.data.len());
            length
        });
    });
    group.bench_function("an event in two chunks", |b| {
        let mut framer = SseFramer::new();
        let (first, second) = event.split_at(200);
        b.iter(|| {
            let mut length = 0;
            framer.push(black_box(first), |event| length = event.data.len());
            framer.push(black_box(second), |event| length = event.data.len());
            length
        });
    });
    group.finish();
}

fn reading(c: &mut Criterion) {
    let alike: Vec<Vec<u8>> = ["a", " word", " the", "."].iter().map(|text| event(1, text)).collect();
    let different: Vec<Vec<u8>> = (0..4).map(|id| event(id, " word")).collect();
    let mut group = c.benchmark_group("reading");
    group.throughput(Throughput::Bytes(323));
    for (name, events) in [("alike", alike), ("different", different)] {
        group.bench_function(name, |b| {
            let mut reader = reader();
            let mut events = events.iter().cycle();
            b.iter(|| events.next().map(|event| reader.push(black_box(event))));
        });
    }
    group.finish();
}

fn extraction(c: &mut Criterion) {
    let mut group = c.benchmark_group("extraction");
    for (name, text) in [("plain text", " word"), ("escapes", "\\n\\u00e9 ")] {
        let event = event(1, text);
        let data = event.strip_prefix(b"data: ").and_then(|event| event.strip_suffix(b"\n\n"));
        let event = Event { data: data.expect("an event"), ..Event::default() };
        group.bench_function(name, |b| {
            let mut content = Content::new(None);
            b.iter(|| {
                OpenAiChat.event(black_box(&event), &mut content);
                content.close_event();
            });
        });
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    framing(&mut criterion);
    reading(&mut criterion);
    extraction(&mut criterion);
    criterion.final_summary();
}
