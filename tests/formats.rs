//! Formats: those of one's own, the one that is fixed, and what cannot be read.

use http::{HeaderMap, HeaderValue, StatusCode, header};
use tower_tps::outcome::Outcome;
use tower_tps::tokens::{Counter, TokenSource};
use tower_tps::wire::{Content, DEFAULT_LIMIT, Dialect, Dialects, Event, Gemini, OpenAiChat, Reader, Usage};

/// A format of one's own: a text a line, and then `END` and a count.
#[derive(Clone, Copy, Debug)]
struct Shout;

impl Dialect for Shout {
    fn name(&self) -> &'static str {
        "shout"
    }

    fn recognises(&self, event: &Event<'_>) -> bool {
        event.data.starts_with(b"SHOUT ")
    }

    fn event(&self, event: &Event<'_>, content: &mut Content) {
        let Ok(text) = std::str::from_utf8(event.data) else { return };
        if let Some(count) = text.strip_prefix("END ") {
            content.usage(Usage { output: count.parse().ok(), ..Usage::default() });
            content.end();
        } else {
            content.text(text.trim_start_matches("SHOUT "));
        }
    }

    fn document(&self, _: &[u8], _: &mut Content) -> bool {
        false
    }
}

/// Counts bytes.
#[derive(Debug)]
struct Bytes;

impl Counter for Bytes {
    fn push(&mut self, text: &str) -> u64 {
        text.len() as u64
    }

    fn finish(&mut self) -> u64 {
        0
    }
}

fn reader(content_type: &'static str) -> Reader {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    Reader::new(StatusCode::OK, &headers)
}

fn read(mut reader: Reader, body: impl AsRef<[u8]>) -> Reader {
    let _ = reader.push(body.as_ref());
    let _ = reader.finish();
    reader
}

/// A format of one's own is asked before the others, and the others still are.
#[test]
fn a_format_of_ones_own() {
    let dialects = Dialects::all().with(Shout);
    let body = "SHOUT hey\nho\nEND 2\n";
    let shout = read(reader("application/x-ndjson").with_dialects(dialects.clone()), body);
    assert_eq!((shout.format(), shout.outcome()), (Some("shout"), Outcome::Completed));
    assert_eq!(shout.content().content_events(), 2);
    assert_eq!(shout.content().output_tokens(), Some((2, TokenSource::Usage)));

    let chat = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: [DONE]\n\n";
    let chat = read(reader("text/event-stream").with_dialects(dialects), chat);
    assert_eq!((chat.format(), chat.outcome()), (Some("openai-chat"), Outcome::Completed));
}

/// A format that is fixed is not looked for, even where another would be found.
#[test]
fn a_fixed_format() {
    let gemini =
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]},\"finishReason\":\"STOP\"}]}\n\n";
    let fixed = |dialects| read(reader("text/event-stream").with_dialects(dialects), gemini);
    assert_eq!(fixed(Dialects::only(Gemini)).outcome(), Outcome::Completed);
    let wrong = fixed(Dialects::only(OpenAiChat));
    assert_eq!((wrong.format(), wrong.outcome()), (Some("openai-chat"), Outcome::Truncated));
    assert_eq!(wrong.content().content_events(), 0);
}

/// A text of one's own format is not taken for JSON: what differs in the text
/// alone is shown to the dialect every time.
#[test]
fn ones_own_events_are_all_shown() {
    let body = "SHOUT \"a\"\nSHOUT \"b\"\nSHOUT \"c\"\nEND 3\n";
    let counted =
        reader("application/x-ndjson").with_dialects(Dialects::only(Shout)).with_counter(Box::new(Bytes));
    assert_eq!(read(counted, body).content().counted(), Some(9));
}

/// An event that is too large costs itself: of the closing one its name is
/// enough to know the end, and of one that may have had text, that no count is right.
#[test]
fn too_large_events() {
    let text = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"abc\"}\n\n";
    let large = |name: &str| {
        let filler = "x".repeat(DEFAULT_LIMIT);
        format!(
            "event: {name}\ndata: {{\"type\":\"{name}\",\"response\":{{\"instructions\":\"{filler}\"}}}}\n\n"
        )
    };
    let counted = |body: String| read(reader("text/event-stream").with_counter(Box::new(Bytes)), body);

    let whole = counted([large("response.created"), text.into(), large("response.completed")].concat());
    assert_eq!((whole.format(), whole.outcome()), (Some("openai-responses"), Outcome::Completed));
    assert_eq!((whole.skipped(), whole.events_seen()), (2, 3));
    assert_eq!(whole.content().output_tokens(), Some((3, TokenSource::Tokenizer)));

    let unread =
        counted([text.into(), large("response.output_text.delta"), large("response.completed")].concat());
    assert_eq!(unread.outcome(), Outcome::Completed);
    assert_eq!((unread.content().output_tokens(), unread.content().counted()), (None, None));

    // A larger limit reads them.
    let limit = reader("text/event-stream").with_event_limit(2 * DEFAULT_LIMIT);
    assert_eq!(read(limit, [text.into(), large("response.completed")].concat()).skipped(), 0);
}

/// Of an item that is too large, what it repeats came in pieces, or else was
/// text that nobody read; and so with a closing event that has all of it.
#[test]
fn too_large_items() {
    let filler = "x".repeat(DEFAULT_LIMIT);
    let event = |name: &str, rest: &str| format!("event: {name}\ndata: {{\"type\":\"{name}\"{rest}}}\n\n");
    let text = event("response.output_text.delta", ",\"delta\":\"abc\"");
    let item = event("response.output_item.done", ",\"item\":{\"type\":\"message\"}");
    let large_item = event("response.output_item.done", &format!(",\"item\":{{\"arguments\":\"{filler}\"}}"));
    let end = event("response.completed", "");
    let large_end = event("response.completed", &format!(",\"response\":{{\"output\":\"{filler}\"}}"));
    let counted = |events: &[&String]| {
        let body: String = events.iter().map(|event| event.as_str()).collect();
        let reader = read(reader("text/event-stream").with_counter(Box::new(Bytes)), body);
        assert_eq!(reader.outcome(), Outcome::Completed);
        reader.content().counted()
    };
    assert_eq!(counted(&[&text, &large_item, &end]), Some(3));
    assert_eq!(counted(&[&text, &item, &large_item, &end]), None);
    assert_eq!(counted(&[&text, &item, &large_end]), Some(3));
    assert_eq!(counted(&[&item, &large_end]), None);
}

/// A dialect that wraps one of ours is shown every event, those too that differ
/// from the one before in their text alone.
#[test]
fn a_wrapped_format() {
    #[derive(Debug)]
    struct Wrapped;
    impl Dialect for Wrapped {
        fn name(&self) -> &'static str {
            "wrapped"
        }
        fn recognises(&self, event: &Event<'_>) -> bool {
            OpenAiChat.recognises(event)
        }
        fn event(&self, event: &Event<'_>, content: &mut Content) {
            OpenAiChat.event(event, content);
            if event.data.windows(5).any(|window| window == b"<end>") {
                content.finish("sentinel");
                content.end();
            }
        }
        fn document(&self, _: &[u8], _: &mut Content) -> bool {
            false
        }
    }
    let body: String = ["a", "b", "<end>"]
        .map(|text| format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n"))
        .concat();
    let wrapped = read(reader("text/event-stream").with_dialects(Dialects::all().with(Wrapped)), body);
    assert_eq!(
        (wrapped.outcome(), wrapped.content().finish_reason()),
        (Outcome::Completed, Some("sentinel"))
    );
}

/// What the short way reads is what the whole event says: where a text may be
/// empty, something else in the event may stand for it.
#[test]
fn an_empty_text_is_read_in_full() {
    let event = |text: &str| {
        format!(
            "data: {{\"candidates\":[{{\"content\":{{\"parts\":[{{\"text\":\"{text}\"}},{{\"functionCall\":{{\"name\":\"f\"}}}}]}}}}]}}\n\n"
        )
    };
    let counted = reader("text/event-stream").with_counter(Box::new(Bytes));
    let gemini = read(counted, [event("ab"), event("cd"), event("")].concat());
    assert_eq!((gemini.content().content_events(), gemini.content().counted()), (3, Some(5)));
}

/// Choices whose texts come one between the other are not one text, and no
/// tokenizer's count of it is right.
#[test]
fn interleaved_choices() {
    let chunk = |index: u32| {
        format!("data: {{\"choices\":[{{\"index\":{index},\"delta\":{{\"content\":\"ab\"}}}}]}}\n\n")
    };
    let counted = |indices: &[u32]| {
        let body: String = indices.iter().map(|&index| chunk(index)).collect();
        let reader = read(reader("text/event-stream").with_counter(Box::new(Bytes)), body);
        reader.content().output_tokens()
    };
    assert_eq!(counted(&[0, 0, 0, 0]), Some((8, TokenSource::Tokenizer)));
    assert_eq!(counted(&[0, 0, 1, 1]), Some((8, TokenSource::Tokenizer)), "one after the other");
    assert_eq!(counted(&[0, 1, 0, 1]), Some((4, TokenSource::Events)));

    // A document has its choices one after the other.
    let choice = |index: u32| format!("{{\"index\":{index},\"message\":{{\"content\":\"abc\"}}}}");
    let body = format!("{{\"choices\":[{},{}]}}", choice(0), choice(1));
    let document = read(reader("application/json").with_counter(Box::new(Bytes)), body);
    assert_eq!(document.content().output_tokens(), Some((6, TokenSource::Tokenizer)));
}

/// A line that is too long costs its event only if it has data in it.
#[test]
fn too_long_lines() {
    let id = "x".repeat(2 * DEFAULT_LIMIT);
    let body =
        format!("id: {id}\ndata: {{\"choices\":[{{\"delta\":{{\"content\":\"ab\"}}}}]}}\n\ndata: [DONE]\n\n");
    let reader = read(reader("text/event-stream").with_counter(Box::new(Bytes)), body);
    assert_eq!((reader.skipped(), reader.content().counted()), (0, Some(2)));
}

/// Frames whose checksum is wrong end the reading, and what was read before
/// counts for nothing but a final usage.
#[test]
fn corrupt_frames() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/conformance/bedrock-converse/text.eventstream");
    let mut body = std::fs::read(path).unwrap();
    let aws = || reader("application/vnd.amazon.eventstream");
    assert_eq!(read(aws(), &body).format(), Some("bedrock-converse"));

    let last = body.len() - 1;
    body[last] ^= 1;
    let corrupt = read(aws(), &body);
    assert_eq!((corrupt.format(), corrupt.outcome()), (Some("unmeasurable"), Outcome::Completed));
    assert_eq!(corrupt.content().output_tokens(), None);
}

/// A small body that would decode to a very large one is not decoded.
#[cfg(feature = "decompress")]
#[test]
fn a_bomb_is_not_decoded() {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("zstd"));
    // One frame of zstd, with blocks of 128 KiB that are one byte each.
    let zeros = |blocks: usize| {
        let block = (128 * 1024_u32) << 3 | 0b01 << 1;
        let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x68];
        for _ in 0..blocks {
            frame.extend_from_slice(&block.to_le_bytes()[..3]);
            frame.push(b'\n');
        }
        frame
    };
    let format = |blocks| {
        let mut reader = Reader::new(StatusCode::OK, &headers);
        let _ = reader.push(&zeros(blocks));
        reader.format()
    };
    assert_eq!((format(8), format(9)), (None, Some("unmeasurable")), "1 MiB, and more");
}
