//! Cuts texts at random and counts them, against the counts that tiktoken gave.
//!
//! Reads JSON lines of `encoding`, `text` and `count` from stdin. Takes how
//! many cuts of each text to try; ends with 1 if any count differs.
//! `tests/tiktoken/run` gives it what to read.

use std::io::BufRead;
use std::process::ExitCode;

use serde::Deserialize;
use tower_tps::tokens::{Bpe, Tokenizer};

#[derive(Deserialize)]
struct Case {
    encoding: String,
    text: String,
    count: u64,
}

/// Counts `text` in cuts of 1 to `most` bytes, or up to the next character; tells of how many places it was cut.
fn count(tokenizer: &Bpe, text: &str, most: usize, random: &mut fastrand::Rng) -> (u64, u64) {
    let mut counter = tokenizer.counter();
    let (mut tokens, mut cuts) = (0, 0);
    let mut rest = text;
    loop {
        let mut at = if most == usize::MAX { most } else { random.usize(1..=most) }.min(rest.len());
        while !rest.is_char_boundary(at) {
            at += 1;
        }
        let (head, tail) = rest.split_at(at);
        tokens += counter.push(head);
        if tail.is_empty() {
            return (tokens + counter.finish(), cuts);
        }
        cuts += 1;
        rest = tail;
    }
}

fn main() -> ExitCode {
    let rounds: u32 = std::env::args().nth(1).and_then(|rounds| rounds.parse().ok()).unwrap_or(8);
    let mut random = fastrand::Rng::with_seed(20_260_131);
    let (mut texts, mut bytes, mut cuts, mut counts, mut mismatches) = (0_u64, 0, 0, 0_u64, 0_u64);
    for line in std::io::stdin().lock().lines() {
        let case: Case = match line
            .map_err(|e| e.to_string())
            .and_then(|l| serde_json::from_str(&l).map_err(|e| e.to_string()))
        {
            Ok(case) => case,
            Err(error) => {
                eprintln!("not a case: {error}");
                return ExitCode::from(2);
            }
        };
        let tokenizer = if case.encoding == "o200k_base" { Bpe::o200k() } else { Bpe::cl100k() };
        assert_eq!(tokenizer.name(), case.encoding);
        texts += 1;
        bytes += case.text.len() as u64;
        // The whole, single characters, and then anything between.
        for round in 0..rounds {
            let most = match round {
                0 => usize::MAX,
                1 => 1,
                _ => 1 << random.u32(1..7),
            };
            let (tokens, places) = count(&tokenizer, &case.text, most, &mut random);
            cuts += places;
            counts += 1;
            if tokens != case.count {
                mismatches += 1;
                if mismatches <= 20 {
                    eprintln!("{}: {tokens} for {} in {:?}", case.encoding, case.count, case.text);
                }
            }
        }
    }
    println!("{texts} texts of {bytes} bytes, {counts} counts, {cuts} cuts, {mismatches} mismatches");
    if mismatches > 0 || texts == 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
