//! Reading the wire: framing, dialects, and the reader over both.

use futures_util::{StreamExt, stream};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use proptest::prelude::*;
use sseer::event_stream::EventStream;
use tower_tps::outcome::Outcome;
use tower_tps::tokens::{Counter, TokenSource};
use tower_tps::wire::{Event, Progress, Reader, SseFramer, Usage};

type Owned = (Vec<u8>, Vec<u8>);

fn owned(event: Event<'_>) -> Owned {
    (event.name.to_vec(), event.data.to_vec())
}

/// The events, and how many were skipped.
fn frame_with(mut framer: SseFramer, chunks: &[&[u8]]) -> (Vec<Owned>, u64) {
    let mut events = Vec::new();
    let mut skipped = 0;
    let mut take = |event: Event<'_>| match event.skipped {
        true => skipped += 1,
        false => events.push(owned(event)),
    };
    for chunk in chunks {
        framer.push(chunk, &mut take);
    }
    framer.finish(&mut take);
    (events, skipped)
}

fn frame(bytes: &[u8]) -> Vec<(String, String)> {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (events, _) = frame_with(SseFramer::new(), &[bytes]);
    events.into_iter().map(|(name, data)| (text(name), text(data))).collect()
}

fn pairs(events: &[(&str, &str)]) -> Vec<(String, String)> {
    events.iter().map(|&(name, data)| (name.to_owned(), data.to_owned())).collect()
}

/// Cuts `bytes` at the given places, wherever they fall.
fn cut<'a>(bytes: &'a [u8], at: &[usize]) -> Vec<&'a [u8]> {
    let mut at: Vec<usize> = at.iter().map(|at| at % (bytes.len() + 1)).collect();
    at.extend([0, bytes.len()]);
    at.sort_unstable();
    at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

fn reader(content_type: &'static str) -> Reader {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    Reader::new(StatusCode::OK, &headers)
}

fn read(mut reader: Reader, chunks: &[&[u8]]) -> (Reader, Progress) {
    let mut sum = Progress::default();
    let mut add = |progress: Progress| {
        sum.events += progress.events;
        sum.tokens += progress.tokens;
    };
    chunks.iter().for_each(|chunk| add(reader.push(chunk)));
    add(reader.finish());
    (reader, sum)
}

fn events(body: &str) -> Reader {
    read(reader("text/event-stream; charset=utf-8"), &[body.as_bytes()]).0
}

/// A stream of chat chunks with these deltas and nothing else.
fn deltas(deltas: &[&str]) -> Reader {
    let body: Vec<String> = deltas
        .iter()
        .map(|delta| format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{delta}}}]}}\n\n"))
        .collect();
    events(&body.concat())
}

/// Counts characters, and holds the last one back until the end.
#[derive(Debug, Default)]
struct Characters(u64);

impl Counter for Characters {
    fn push(&mut self, text: &str) -> u64 {
        let held = std::mem::replace(&mut self.0, 1);
        held + text.chars().count() as u64 - 1
    }

    fn finish(&mut self) -> u64 {
        std::mem::take(&mut self.0)
    }
}

#[derive(Debug)]
struct Panics;

impl Counter for Panics {
    fn push(&mut self, _: &str) -> u64 {
        panic!("a tokenizer's own trouble")
    }

    fn finish(&mut self) -> u64 {
        panic!("a tokenizer's own trouble")
    }
}

impl Drop for Panics {
    fn drop(&mut self) {
        panic!("and more of it")
    }
}

// === Framing ===

/// LF, CRLF and CR end lines, alone and mixed.
#[test]
fn line_ends() {
    let expected = pairs(&[("", "a"), ("", "b")]);
    assert_eq!(frame(b"data: a\n\ndata: b\n\n"), expected);
    assert_eq!(frame(b"data: a\r\n\r\ndata: b\r\n\r\n"), expected);
    assert_eq!(frame(b"data: a\r\rdata: b\r\r"), expected);
    assert_eq!(frame(b"data: a\r\n\ndata: b\n\r"), expected);
}

/// A CRLF cut in two is one line end.
#[test]
fn crlf_over_two_chunks() {
    let chunks: [&[u8]; 4] = [b"data: a\r", b"\ndata: b\r", b"\n\r", b"\n"];
    assert_eq!(frame_with(SseFramer::new(), &chunks).0, [(vec![], b"a\nb".to_vec())]);
}

/// A byte order mark is skipped at the start, and only there.
#[test]
fn byte_order_mark() {
    let data = "\u{feff}data: a\n\n\u{feff}data: b\n\ndata: c\n\n";
    assert_eq!(frame(data.as_bytes()), pairs(&[("", "a"), ("", "c")]));
}

/// One space after the colon is no part of the value; a second one is.
#[test]
fn space_after_the_colon() {
    assert_eq!(frame(b"data:a\n\ndata: a\n\ndata:  a\n\n"), pairs(&[("", "a"), ("", "a"), ("", " a")]));
}

/// Several data lines are joined with LF, empty ones too.
#[test]
fn data_lines_join() {
    assert_eq!(frame(b"data: a\ndata: b\ndata\ndata: c\n\n"), pairs(&[("", "a\nb\n\nc")]));
}

/// Comments, unknown fields and events without data give nothing.
#[test]
fn what_is_no_event() {
    assert_eq!(
        frame(b": ping\n\n: ping\n\nevent: x\n\nid: 1\nretry: 2\n\n\n\ndata: a\n\n"),
        pairs(&[("", "a")])
    );
}

/// The name may come before or after the data, and does not outlive its event.
#[test]
fn names() {
    let bytes = b"event: x\ndata: a\n\ndata: b\nevent: y\n\ndata: c\n\n";
    assert_eq!(frame(bytes), pairs(&[("x", "a"), ("y", "b"), ("", "c")]));
}

/// A last event counts without its blank line, and without its line end.
#[test]
fn last_event() {
    assert_eq!(frame(b"data: a\n\ndata: b\n"), pairs(&[("", "a"), ("", "b")]));
    assert_eq!(frame(b"data: a\n\ndata: b"), pairs(&[("", "a"), ("", "b")]));
}

/// What is over the limit is skipped and counted, the rest goes on; a long
/// comment is not over it.
#[test]
fn limit() {
    let body = b"data: 1\n\ndata: 0123456789abcdef\n\n: 0123456789abcdef0123\ndata: 2\n\ndata: 012345\ndata: 012345\n\ndata: 3\n\n";
    for size in 1..body.len() {
        let chunks: Vec<&[u8]> = body.chunks(size).collect();
        let (events, skipped) = frame_with(SseFramer::with_limit(12), &chunks);
        let data: Vec<Vec<u8>> = events.into_iter().map(|(_, data)| data).collect();
        assert_eq!((data, skipped), (vec![b"1".to_vec(), b"2".to_vec(), b"3".to_vec()], 2));
    }
}

fn lines() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        "data: ?[a-zé]{0,9}",
        "data: ?[a-zé]{0,9}",
        "event: ?[a-z]{1,4}",
        ": ?[a-z]{0,4}",
        "id: 7",
        "data",
        "",
        "",
    ];
    let end = prop_oneof![Just("\n"), Just("\r\n"), Just("\r")];
    proptest::collection::vec((line, end), 0..24)
        .prop_map(|lines| {
            lines.into_iter().flat_map(|(line, end)| [line, end.to_owned()]).collect::<String>()
        })
        .prop_map(String::into_bytes)
}

proptest! {
    /// However lines are cut into chunks, the events are the same.
    #[test]
    fn any_cut_gives_the_same_events(
        bytes in lines(),
        at in proptest::collection::vec(any::<usize>(), 0..12),
        limit in prop_oneof![Just(8_usize), Just(1000)],
    ) {
        let whole = frame_with(SseFramer::with_limit(limit), &[&bytes]);
        prop_assert_eq!(frame_with(SseFramer::with_limit(limit), &cut(&bytes, &at)), whole);
    }

    /// Garbage frames into the same events however it is cut, and never panics.
    #[test]
    fn any_cut_of_garbage(
        bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b':'), any::<u8>()], 0..200),
        at in proptest::collection::vec(any::<usize>(), 0..12),
    ) {
        let whole = frame_with(SseFramer::with_limit(16), &[&bytes]);
        prop_assert_eq!(frame_with(SseFramer::with_limit(16), &cut(&bytes, &at)), whole);
    }

    /// An independent parser finds the same events. It calls a nameless event
    /// `message`, and drops what has no blank line after it.
    #[test]
    fn agrees_with_sseer(bytes in lines()) {
        let bytes = [&bytes[..], b"\n\n"].concat();
        let chunks = stream::iter([Ok::<_, std::io::Error>(bytes::Bytes::from(bytes.clone()))]);
        let theirs: Vec<(String, String)> = futures_util::FutureExt::now_or_never(
            EventStream::new(chunks).map(|event| event.unwrap()).map(|event| (event.event.to_string(), event.data.to_string())).collect(),
        )
        .unwrap();
        let ours: Vec<(String, String)> = frame(&bytes)
            .into_iter()
            .map(|(name, data)| (if name.is_empty() { "message".to_owned() } else { name }, data))
            .collect();
        prop_assert_eq!(ours, theirs);
    }
}

// === Dialects ===

const CHAT: &str = concat!(
    ": ping\n\n",
    "data: {\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}],\"usage\":null}\n\n",
    "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"h\\u00e9\"},\"finish_reason\":null}]}\r\n\r\n",
    "data: {\"choices\":[{\"delta\":{\"content\":\"\\ud83d\\ude00 é\\n\"}}]}\n\n",
    "data: {broken\n\n",
    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":7,\"total_tokens\":12,\"completion_tokens_details\":{\"reasoning_tokens\":2}}}\n\n",
    "data: [DONE]\n\n",
);

/// One ordinary stream, from its role to its end marker.
#[test]
fn chat_stream() {
    let (reader, progress) =
        read(reader("text/event-stream").with_counter(Box::new(Characters::default())), &[CHAT.as_bytes()]);
    let content = reader.content();
    assert_eq!((reader.format(), reader.streamed()), (Some("openai-chat"), true));
    assert_eq!(reader.outcome(), Outcome::Completed);
    assert_eq!(content.output_tokens(), Some((7, TokenSource::Usage)));
    assert_eq!((content.usage_seen().input, content.usage_seen().reasoning), (Some(5), Some(2)));
    assert_eq!((content.finish_reason(), content.model_name()), (Some("stop"), Some("m")));
    assert_eq!((content.content_events(), content.counted()), (2, Some(6)));
    assert_eq!(progress, Progress { events: 2, tokens: 6 });
}

proptest! {
    /// However a stream is cut, its content is the same, token by token.
    #[test]
    fn any_cut_gives_the_same_content(at in proptest::collection::vec(any::<usize>(), 0..40)) {
        let counted = || reader("text/event-stream").with_counter(Box::new(Characters::default()));
        let (whole, all) = read(counted(), &[CHAT.as_bytes()]);
        let (parts, sum) = read(counted(), &cut(CHAT.as_bytes(), &at));
        prop_assert_eq!(format!("{:?}", parts.content().usage_seen()), format!("{:?}", whole.content().usage_seen()));
        prop_assert_eq!(parts.content().counted(), whole.content().counted());
        prop_assert_eq!(parts.content().finish_reason(), whole.content().finish_reason());
        prop_assert_eq!(parts.content().model_name(), whole.content().model_name());
        prop_assert_eq!((parts.outcome(), parts.format(), sum), (whole.outcome(), whole.format(), all));
    }

    /// Garbage, as a stream and as a document, never panics; nor does JSON
    /// with its values in the wrong places.
    #[test]
    fn garbage_never_panics(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        keys in proptest::collection::vec("choices|delta|content|usage|error|x_groq|tool_calls|\\[|\\{|\\]|\\}|:|,|\"|null|1", 0..40),
    ) {
        for bytes in [bytes, format!("data: {{\"choices\":[{}\n\n", keys.concat()).into_bytes()] {
            for kind in ["text/event-stream", "application/json", "text/plain"] {
                let _ = read(reader(kind), &[&bytes]).0.outcome();
            }
        }
    }
}

/// Every field of a delta that can carry content.
#[test]
fn every_content_field() {
    for delta in [
        r#"{"content":"ab"}"#,
        r#"{"content":[{"type":"text","text":"ab"}]}"#,
        r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"ab"}]}]}"#,
        r#"{"reasoning_content":"ab"}"#,
        r#"{"reasoning":"ab"}"#,
        r#"{"reasoning":"ab","reasoning_content":"ab"}"#,
        r#"{"refusal":"ab"}"#,
        r#"{"tool_calls":[{"function":{"name":"f","arguments":"ab"}}]}"#,
        r#"{"function_call":{"name":"f","arguments":"ab"}}"#,
        r#"{"audio":{"id":"x","transcript":"ab"}}"#,
    ] {
        let body = format!("data: {{\"choices\":[{{\"delta\":{delta}}}]}}\n\n");
        let counted = reader("text/event-stream").with_counter(Box::new(Characters::default()));
        let (reader, _) = read(counted, &[body.as_bytes()]);
        assert_eq!(reader.content().content_events(), 1, "{delta}");
        assert_eq!(reader.content().output_tokens(), Some((2, TokenSource::Tokenizer)), "{delta}");
    }
}

/// A role, an empty text, nulls and a tool's bare name are not content.
#[test]
fn what_is_no_content() {
    let reader = deltas(&[
        r#"{"role":"assistant"}"#,
        r#"{"content":"","refusal":"","tool_calls":null}"#,
        r#"{"content":null,"reasoning":null,"audio":{"data":"AAAA"}}"#,
        r#"{"content":[]}"#,
        r#"{"tool_calls":[{"id":"1","function":{"name":"f","arguments":""}}]}"#,
    ]);
    assert_eq!((reader.format(), reader.content().content_events()), (Some("openai-chat"), 0));
    assert_eq!(reader.content().output_tokens(), None);
}

/// Usage: the last figure that is present wins, wherever it stood.
#[test]
fn usage_last_present_wins() {
    let reader = events(concat!(
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}}\n\n",
        "data: {\"choices\":[],\"x_groq\":{\"usage\":{\"completion_tokens\":9}}}\n\n",
        "data: {\"choices\":[],\"usage\":null}\n\n",
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":4}}\n\n",
    ));
    assert_eq!(reader.content().output_tokens(), Some((9, TokenSource::Usage)));
    assert_eq!(reader.content().usage_seen().input, Some(4));
}

/// Reasoning is in the output figure, or is added, as the total says.
#[test]
fn usage_is_normalised() {
    let output = |output, reasoning, total| {
        let usage = Usage { output: Some(output), input: Some(10), reasoning, total, reasoning_apart: false };
        usage.normalised_output()
    };
    assert_eq!(output(8, Some(5), Some(18)), Some(8));
    assert_eq!(output(8, Some(5), Some(23)), Some(13));
    assert_eq!(output(2, Some(5), None), Some(7));
    assert_eq!(output(8, Some(5), None), Some(8));
    assert_eq!(output(8, None, Some(18)), Some(8));
}

/// Errors inside a 200: alone, beside choices, by name.
#[test]
fn errors_in_the_stream() {
    for (body, kind) in [
        ("data: {\"error\":{\"message\":\"x\",\"type\":\"server_error\"}}\n\n", "server_error"),
        ("data: {\"choices\":[],\"error\":{\"code\":502,\"message\":\"x\"}}\n\n", "502"),
        ("data: {\"error\":\"x\"}\n\n", "error"),
        ("event: error\ndata: {\"type\":\"overloaded\"}\n\n", "overloaded"),
        ("event: error\ndata: not json\n\n", "error"),
    ] {
        let reader = events(&format!("{body}data: [DONE]\n\n"));
        assert_eq!(reader.content().error_type(), Some(kind), "{body}");
        assert_eq!(reader.outcome(), Outcome::Failed);
    }
    assert_eq!(
        events("data: {\"choices\":[],\"error\":null}\n\ndata: [DONE]\n\n").outcome(),
        Outcome::Completed
    );
}

/// Either end marker will do; with neither the stream is cut off.
#[test]
fn end_markers() {
    let text = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
    assert_eq!(events(text).outcome(), Outcome::Truncated);
    assert_eq!(events(&format!("{text}data: [DONE]")).outcome(), Outcome::Completed);
    let finish = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"length\"}]}\n\n";
    assert_eq!(events(&format!("{text}{finish}")).outcome(), Outcome::Completed);
}

/// The older completions stream text.
#[test]
fn completions_stream() {
    let reader = events(concat!(
        "data: {\"object\":\"text_completion\",\"choices\":[{\"text\":\"a\",\"finish_reason\":null}]}\n\n",
        "data: {\"object\":\"text_completion\",\"choices\":[{\"text\":\"\",\"finish_reason\":\"stop\"}]}\n\n",
    ));
    assert_eq!((reader.format(), reader.outcome()), (Some("openai-completions"), Outcome::Completed));
    assert_eq!(reader.content().output_tokens(), Some((1, TokenSource::Events)));
}

/// A delta says chat, even in a chunk that names itself a text completion or
/// has a text beside the delta.
#[test]
fn chat_in_the_guise_of_completions() {
    for body in [
        "data:{\"object\":\"text_completion\",\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n",
        "data: {\"choices\":[{\"text\":\"a\",\"delta\":{\"content\":\"a\"}}]}\n\n",
    ] {
        let reader = events(body);
        assert_eq!((reader.format(), reader.content().content_events()), (Some("openai-chat"), 1));
    }
}

/// A counter that panics, in its drop too, loses its count and nothing else.
#[test]
fn a_panicking_counter() {
    let (reader, progress) =
        read(reader("text/event-stream").with_counter(Box::new(Panics)), &[CHAT.as_bytes()]);
    assert_eq!(reader.content().counted(), None);
    assert_eq!((progress.events, reader.outcome()), (2, Outcome::Completed));
}

// === The reader ===

/// A document is one event of content, told at its end.
#[test]
fn documents() {
    let chat = br#"{"choices":[{"message":{"content":"ab"},"finish_reason":"stop"}],"usage":{"completion_tokens":2}}"#;
    let mut whole = reader("application/json");
    assert_eq!(whole.push(chat), Progress::default());
    assert_eq!(whole.finish(), Progress { events: 1, tokens: 1 });
    assert_eq!((whole.format(), whole.streamed()), (Some("openai-chat"), false));
    assert_eq!(whole.content().output_tokens(), Some((2, TokenSource::Usage)));
    assert_eq!(whole.outcome(), Outcome::Completed);

    assert_eq!(read(reader("application/json"), &[&chat[..50]]).0.outcome(), Outcome::Truncated);
    let (other, _) = read(reader("application/json"), &[b"[1]"]);
    assert_eq!((other.format(), other.outcome()), (Some("opaque"), Outcome::Completed));
    let (error, _) = read(reader("application/json"), &[br#"{"error":{"type":"t"}}"#]);
    assert_eq!((error.content().error_type(), error.outcome()), (Some("t"), Outcome::Failed));
}

/// A document over the limit is opaque, and nothing of it is held.
#[test]
fn large_documents_are_opaque() {
    let (reader, _) = read(reader("application/json"), &vec![&[b' '; 65536][..]; 17]);
    assert_eq!((reader.format(), reader.outcome()), (Some("opaque"), Outcome::Completed));
}

/// A stream that nobody knows is opaque after 32 events, and truncated; other
/// bytes are opaque, and complete. Those in an unknown encoding are unmeasurable.
#[test]
fn opaque_bodies() {
    let mut stream = reader("text/event-stream");
    let _ = stream.push("data: x\n\n".repeat(31).as_bytes());
    assert_eq!(stream.format(), None);
    let _ = stream.push(b"data: x\n\n");
    assert_eq!((stream.format(), stream.outcome()), (Some("opaque"), Outcome::Truncated));
    assert_eq!(reader("text/plain").outcome(), Outcome::Completed);

    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("compress"));
    let encoded = Reader::new(StatusCode::OK, &headers);
    assert_eq!((encoded.format(), encoded.outcome()), (Some("unmeasurable"), Outcome::Completed));
    assert_eq!(Reader::new(StatusCode::BAD_GATEWAY, &headers).outcome(), Outcome::Failed);
}
