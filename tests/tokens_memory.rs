//! What the exact tokenizers cost in memory and time to load, counted by the
//! allocator itself: `cargo test --release --features bpe --test tokens_memory -- --nocapture`.

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tower_tps::clock::Instant;
use tower_tps::tokens::{Bpe, Tokenizer};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const MIB: usize = 1 << 20;

const TEXTS: [&str; 3] = [
    include_str!("../README.md"),
    include_str!("../src/layer/flight/mod.rs"),
    include_str!("../benches/cjk.txt"),
];

/// Deltas of three characters.
fn deltas(text: &str) -> Vec<&str> {
    let mut deltas = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let at = rest.char_indices().nth(3).map_or(rest.len(), |(at, _)| at);
        let (head, tail) = rest.split_at(at);
        deltas.push(head);
        rest = tail;
    }
    deltas
}

fn load(load: fn() -> Bpe) -> Bpe {
    let (region, start) = (Region::new(ALLOCATOR), Instant::now());
    let tokenizer = load();
    let (took, stats) = (Instant::now().since(start), region.change());
    let held = stats.bytes_allocated.saturating_sub(stats.bytes_deallocated);
    println!("{}: loaded in {took:?}, {} MiB held on the heap", tokenizer.name(), held / MIB);
    // The rest, up to 31 MiB, is the vocabulary in the program's file.
    assert!(held <= 64 * MIB, "{held}");
    tokenizer
}

/// Both encodings fit their budget; another use of one costs nothing; a counter
/// is one small allocation; and once it has seen such text, a push is none.
#[test]
fn memory() {
    for (first, again) in [(load(Bpe::o200k), Bpe::o200k()), (load(Bpe::cl100k), Bpe::cl100k())] {
        let region = Region::new(ALLOCATOR);
        let mut counter = again.counter();
        let created = region.change();
        println!("{}: a counter is {} bytes", first.name(), created.bytes_allocated);
        assert_eq!(created.allocations, 1);
        assert!(created.bytes_allocated <= 256);

        for text in TEXTS {
            let deltas = deltas(text);
            let tokens: u64 = deltas.iter().map(|delta| counter.push(delta)).sum();
            let region = Region::new(ALLOCATOR);
            for _ in 0..3 {
                deltas.iter().for_each(|delta| assert!(counter.push(delta) <= tokens));
            }
            let steady = region.change();
            assert_eq!((steady.allocations, steady.reallocations), (0, 0));
        }
        let region = Region::new(ALLOCATOR);
        drop(counter);
        println!("{}: after use it held {} bytes", first.name(), region.change().bytes_deallocated);
    }
}
