//! Real responses of providers and engines, where they are at hand: every figure
//! is what an independent reader found, however the bytes are cut.

use std::path::Path;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use tower_tps::outcome::Outcome;
use tower_tps::tokens::Counter;
use tower_tps::wire::Reader;

/// Counts characters.
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

const PARSES: &str = "the end of a document is that it parses, with a finish reason or without";

/// Where the index is wrong, and why.
const INDEX_IS_WRONG: [(&str, &str); 5] = [
    (
        "cohere/cohere--rig--streaming_grammar.thinking_stream-0.sse",
        "its usage has tokens.reasoning_tokens: 169, a figure of its own",
    ),
    ("gemini-json/agentgateway--agentgateway--blocked-0.json", PARSES),
    ("openai-chat-json/snowflake--pydantic-ai--test_snowflake.test_snowflake_thinking-0.json", PARSES),
    (
        "openai-completions-json/writer--openllmetry--test_completions.test_writer_completions_with_events_with_no_content-0.2.json",
        PARSES,
    ),
    (
        "anthropic-messages-json/anthropic--pydantic-ai--test_thinking_native_tools.test_thinking_with_native_tool_wire_contract_anthropic-0.json",
        "it has output_tokens_details.thinking_tokens: 80, and its end is that it parses",
    ),
];

/// One row of the corpus's index.
struct Row<'a>(Vec<&'a str>);

impl<'a> Row<'a> {
    fn text(&self, column: usize) -> &'a str {
        self.0.get(column).copied().unwrap_or("")
    }

    fn number(&self, column: usize) -> Option<u64> {
        self.text(column).parse().ok()
    }

    fn path(&self) -> &'a str {
        self.text(0)
    }

    fn content_type(&self) -> &'static str {
        match self.path().rsplit('.').next() {
            Some("sse") => "text/event-stream",
            Some("ndjson") => "application/x-ndjson",
            Some("eventstream") => "application/vnd.amazon.eventstream",
            _ => "application/json",
        }
    }

    /// The provider's figure with reasoning in it. The index has it as given:
    /// Google's figures leave reasoning out, and others' do if there is more of it.
    fn output(&self) -> Option<u64> {
        let (output, reasoning) = (self.number(6)?, self.number(8).unwrap_or(0));
        let google = self.text(1).starts_with("gemini") || self.text(12).contains("google-interactions");
        Some(if google || reasoning > output { output + reasoning } else { output })
    }

    fn outcome(&self) -> Outcome {
        match self.text(10) {
            "ok" => Outcome::Completed,
            "truncated" => Outcome::Truncated,
            _ => Outcome::Failed,
        }
    }
}

/// What is compared: output, input and reasoning tokens, outcome, end marker,
/// and the index of the first event with content.
type Figures = (Option<u64>, Option<u64>, Option<u64>, Outcome, bool, Option<u64>);

/// Reads byte by byte, so that the event that brought content is known.
fn figures(reader: &mut Reader, body: &[u8]) -> Figures {
    let mut first = None;
    for byte in body.chunks(1) {
        if reader.push(byte).events > 0 {
            first.get_or_insert(reader.events_seen() - 1);
        }
    }
    if reader.finish().events > 0 {
        first.get_or_insert(reader.events_seen() - 1);
    }
    let content = reader.content();
    let usage = content.usage_seen();
    (
        usage.normalised_output(),
        usage.input.map(u64::from),
        usage.reasoning.map(u64::from),
        reader.outcome(),
        content.ended(),
        first.filter(|_| reader.streamed()),
    )
}

/// All that a reader tells, in words.
fn sum(reader: &Reader) -> String {
    let content = reader.content();
    let ends = (content.ended(), content.finish_reason(), content.error_type(), reader.outcome());
    let counts = (reader.events_seen(), reader.skipped(), content.content_events(), content.counted());
    format!("{:?} {:?} {ends:?} {counts:?} {:?}", reader.format(), content.usage_seen(), content.model_name())
}

/// The body cut at random places, the same ones in every run.
fn pieces(body: &[u8]) -> Vec<&[u8]> {
    let mut random = fastrand::Rng::with_seed(body.len() as u64);
    let mut pieces = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let (piece, tail) = rest.split_at(random.usize(..=rest.len().min(300)));
        pieces.push(piece);
        rest = tail;
    }
    pieces
}

/// Real responses: every figure is what an independent reader found.
#[test]
fn corpus() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    let Ok(index) = std::fs::read_to_string(folder.join("INDEX.tsv")) else {
        println!("skipped: there is no corpus here");
        return;
    };
    let mut wrong = Vec::new();
    let mut count = 0;
    for row in index.lines().skip(1).map(|row| Row(row.split('\t').collect())) {
        let body = std::fs::read(folder.join(row.path())).expect("the index names files that are there");
        count += 1;
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(row.content_type()));
        let status = row.text(14).split(' ').next().and_then(|status| status.parse().ok());
        let status = status.unwrap_or(StatusCode::OK);
        let new = || Reader::new(status, &headers).with_counter(Box::new(Characters));
        let mut reader = new();
        let ours = figures(&mut reader, &body);
        let cuts = [vec![&body[..]], body.chunks(7).collect(), body.chunks(1460).collect(), pieces(&body)];
        for chunks in cuts {
            let mut other = new();
            for chunk in &chunks {
                let _ = other.push(chunk);
            }
            let _ = other.finish();
            assert_eq!(sum(&other), sum(&reader), "{} in {} pieces", row.path(), chunks.len());
        }
        let streamed = row.content_type() != "application/json" || row.path().ends_with("json-array");
        let expected = (
            row.output(),
            row.number(7),
            row.number(8),
            row.outcome(),
            row.text(9) == "y",
            row.number(11).filter(|_| streamed),
        );
        let reason = INDEX_IS_WRONG.iter().find(|(path, _)| *path == row.path()).map(|(_, reason)| reason);
        if let Some(reason) = reason {
            assert_ne!(ours, expected, "{} is right by now", row.path());
            println!("{}: {reason}", row.path());
        } else if ours != expected {
            wrong.push(format!(
                "{} ({:?}):\n    {ours:?}, not\n    {expected:?}",
                row.path(),
                reader.format()
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
    println!("{count} real responses read as their index says, but for {}", INDEX_IS_WRONG.len());
}
