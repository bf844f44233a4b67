//! What must hold for any bytes whatever: no panic, nothing held without bound,
//! and the same sums however the bytes are cut.

pub mod log;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use tower_tps::tokens::{Counter, Tokenizer};
use tower_tps::wire::{Dialect, Dialects, Reader};

const UNMEASURABLE: &str = "unmeasurable";

/// Small, so that short inputs go over it.
const EVENT_LIMIT: usize = 512;

/// Counts characters, as a stand-in for a tokenizer.
#[derive(Debug)]
struct Characters;

impl Counter for Characters {
    fn push(&mut self, text: &str) -> u64 {
        text.chars().count() as u64
    }

    fn finish(&mut self) -> u64 {
        0
    }
}

/// A body of this content type, and of whatever format is found in it.
pub fn body(content_type: &'static str, data: &[u8]) {
    any_cut(content_type, "identity", &Dialects::all(), data);
}

/// A body in this encoding.
pub fn encoded(encoding: &'static str, data: &[u8]) {
    any_cut("text/event-stream", encoding, &Dialects::all(), data);
}

/// A body that is read as of this format: as events, as lines, as an array and
/// as one document.
pub fn dialect(dialect: impl Dialect + Clone, data: &[u8]) {
    for content_type in [
        "text/event-stream",
        "application/x-ndjson",
        "application/json",
        "application/vnd.amazon.eventstream",
    ] {
        any_cut(content_type, "identity", &Dialects::only(dialect.clone()), data);
    }
}

/// A text that is counted whole, and in pieces.
pub fn tokenizer(tokenizer: &impl Tokenizer, data: &[u8]) {
    let (cuts, text) = data.split_at(data.len().min(8));
    let text = String::from_utf8_lossy(text);
    let mut whole = tokenizer.counter();
    let expected = whole.push(&text) + whole.finish();

    let mut counter = tokenizer.counter();
    let mut sum = 0;
    let mut rest = &text[..];
    for step in cuts.iter().cycle() {
        let mut at = usize::from(step % 16).min(rest.len());
        while !rest.is_char_boundary(at) {
            at += 1;
        }
        let (piece, tail) = rest.split_at(at);
        sum += counter.push(piece);
        rest = tail;
        if rest.is_empty() || cuts.iter().all(|step| step % 16 == 0) {
            break;
        }
    }
    sum += counter.push(rest);
    sum += counter.finish();
    assert_eq!(sum, expected);
}

/// The first bytes say where the others are cut; the sums are the same as whole.
fn any_cut(content_type: &'static str, encoding: &'static str, dialects: &Dialects, data: &[u8]) {
    let (cuts, body) = data.split_at(data.len().min(8));
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    let new = || {
        Reader::new(StatusCode::OK, &headers)
            .with_dialects(dialects.clone())
            .with_event_limit(EVENT_LIMIT)
            .with_counter(Box::new(Characters))
    };
    let is_encoded = encoding != "identity";
    let whole = sum(new(), is_encoded, [body]);
    let bytewise = sum(new(), is_encoded, body.chunks(1));
    // A bomb is stopped by what one chunk of it gives, so that chunks of a byte may pass.
    if is_encoded && (whole == UNMEASURABLE || bytewise == UNMEASURABLE) {
        return;
    }
    assert_eq!(bytewise, whole, "byte by byte");
    let mut rest = body;
    let pieces = cuts.iter().map(|&step| {
        let (piece, tail) = rest.split_at(rest.len().min(usize::from(step)));
        rest = tail;
        piece
    });
    let mut pieces: Vec<&[u8]> = pieces.collect();
    pieces.push(rest);
    assert_eq!(sum(new(), is_encoded, pieces), whole, "cut by {cuts:?}");
}

/// All that a reader tells of a body that comes in these pieces.
fn sum<'a>(mut reader: Reader, is_encoded: bool, pieces: impl IntoIterator<Item = &'a [u8]>) -> String {
    let (mut events, mut tokens) = (0, 0);
    let mut add = |progress: tower_tps::wire::Progress| {
        events += progress.events;
        tokens += progress.tokens;
    };
    for piece in pieces {
        add(reader.push(piece));
    }
    add(reader.finish());
    // How much of a body is decoded before it shows that it is corrupt is up to the codec.
    if is_encoded && reader.format() == Some(UNMEASURABLE) {
        return UNMEASURABLE.to_owned();
    }
    let content = reader.content();
    assert_eq!(events, content.content_events(), "progress adds up");
    assert!(content.content_events() <= reader.events_seen());
    format!(
        "{:?} {:?} {} {} {events} {tokens} {:?} {:?} {:?} {:?} {} {:?} {:?}",
        reader.format(),
        reader.outcome(),
        reader.events_seen(),
        reader.skipped(),
        content.usage_seen(),
        content.output_tokens(),
        content.counted(),
        content.finish_reason(),
        content.ended(),
        content.error_type(),
        content.model_name(),
    )
}
