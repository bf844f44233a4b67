//! What counting tokens costs: one delta of the size of a token, pushed.
//! `cargo bench --features bpe --bench tokens`; a figure is the time of one delta.

use std::hint::black_box;

use criterion::Criterion;
use tower_tps::tokens::{Bpe, Tokenizer};

const ENGLISH: &str = include_str!("../README.md");
const CODE: &str = include_str!("../src/layer/flight/mod.rs");
const CJK: &str = include_str!("cjk.txt");

/// What an engine would send: one delta for each token that is whole characters.
fn deltas(encoding: &bpe_openai::Tokenizer, text: &str) -> Vec<String> {
    let mut deltas = Vec::new();
    let mut held = Vec::new();
    for token in encoding.encode(text) {
        held.extend_from_slice(encoding.bpe.token_bytes(token));
        if let Ok(delta) = std::str::from_utf8(&held) {
            deltas.push(delta.to_owned());
            held.clear();
        }
    }
    deltas
}

fn push(c: &mut Criterion) {
    let encodings = [(Bpe::o200k(), bpe_openai::o200k_base()), (Bpe::cl100k(), bpe_openai::cl100k_base())];
    for (tokenizer, encoding) in &encodings {
        let mut group = c.benchmark_group(tokenizer.name());
        for (name, text) in [("english", ENGLISH), ("code", CODE), ("cjk", CJK)] {
            let deltas = deltas(encoding, text);
            println!(
                "{name}: {} deltas of {:.1} bytes",
                deltas.len(),
                text.len() as f64 / deltas.len() as f64
            );
            group.bench_function(name, |b| {
                let mut counter = tokenizer.counter();
                let mut stream = deltas.iter().cycle();
                b.iter(|| stream.next().map(|delta| counter.push(black_box(delta))));
            });
        }
    }
}

fn counter(c: &mut Criterion) {
    let tokenizer = Bpe::o200k();
    c.bench_function("counter", |b| b.iter(|| tokenizer.counter()));
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    push(&mut criterion);
    counter(&mut criterion);
    criterion.final_summary();
}
