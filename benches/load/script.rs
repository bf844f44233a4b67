//! What is asked for and the very bytes that answer it, known to both ends.

use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// How the engine answers a request.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Asked {
    /// Whose answer it is: in every event.
    pub(crate) id: u64,
    pub(crate) stream: bool,
    pub(crate) max_tokens: u64,
    /// Milliseconds before the answer begins.
    #[serde(default)]
    pub(crate) wait: u64,
    /// The connection is reset in place of this token.
    #[serde(default)]
    pub(crate) reset_at: Option<u64>,
    /// Nothing more comes in place of this token.
    #[serde(default)]
    pub(crate) stall_at: Option<u64>,
}

/// The head of a streamed response.
pub(crate) const STREAM_HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

/// Now, in nanoseconds since 1970: the clock that both processes have.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// A request for it, with this much text in the prompt.
pub(crate) fn request(asked: &Asked, prompt: usize) -> Vec<u8> {
    let options = serde_json::to_string(asked).unwrap_or_default();
    let prompt = "a word ".repeat(prompt / 7 + 1);
    let body = format!(
        "{{\"model\":\"load\",\"messages\":[{{\"role\":\"user\",\"content\":\"{prompt}\"}}],{}",
        &options[1..]
    );
    let mut request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: load\r\ncontent-type: application/json\r\n\
         accept: text/event-stream\r\nuser-agent: load\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body.as_bytes());
    request
}

/// One token: its stream, its place, and the instant that it was due at.
pub(crate) fn token(out: &mut Vec<u8>, id: u64, place: u64, due: u64) {
    // Writing to memory does not fail.
    let _ = write!(
        out,
        "data: {{\"id\":\"chatcmpl-{id:016}\",\"object\":\"chat.completion.chunk\",\"created\":1763990000,\
         \"model\":\"load\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\" {place:06}@{due:019}\"}},\
         \"finish_reason\":null}}]}}\n\n"
    );
}

/// The instant that a token says it was due at.
pub(crate) fn due_of(token: &[u8]) -> Option<u64> {
    let from = token.iter().position(|&byte| byte == b'@')? + 1;
    std::str::from_utf8(token.get(from..from + 19)?).ok()?.parse().ok()
}

/// What follows the last token of a stream.
pub(crate) fn ending(out: &mut Vec<u8>, id: u64, tokens: u64) {
    let _ = write!(
        out,
        "data: {{\"id\":\"chatcmpl-{id:016}\",\"object\":\"chat.completion.chunk\",\"created\":1763990000,\
         \"model\":\"load\",\"choices\":[{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"stop\"}}],\
         \"usage\":{{\"prompt_tokens\":9,\"completion_tokens\":{tokens},\"total_tokens\":{}}}}}\n\n\
         data: [DONE]\n\n",
        tokens + 9
    );
}

/// The body of a response that is not streamed.
pub(crate) fn whole(asked: &Asked) -> Vec<u8> {
    let mut text = Vec::new();
    for place in 0..asked.max_tokens {
        let _ = write!(text, " {place:07}");
    }
    let mut body = format!(
        "{{\"id\":\"chatcmpl-{:016}\",\"object\":\"chat.completion\",\"created\":1763990000,\"model\":\"load\",\
         \"choices\":[{{\"index\":0,\"message\":{{\"role\":\"assistant\",\"content\":\"",
        asked.id
    )
    .into_bytes();
    body.append(&mut text);
    let _ = write!(
        body,
        "\"}},\"finish_reason\":\"stop\"}}],\"usage\":{{\"prompt_tokens\":9,\"completion_tokens\":{},\
         \"total_tokens\":{}}}}}",
        asked.max_tokens,
        asked.max_tokens + 9
    );
    body
}

/// How often the engine looks which streams are due.
pub(crate) const STEP: Duration = Duration::from_millis(2);

/// How many steps there are from one token of a stream to its next, at so many a second.
pub(crate) fn steps(rate: u64) -> u64 {
    (500 / rate.max(1)).max(1)
}

/// The nanoseconds from one token of a stream to its next.
pub(crate) fn period(rate: u64) -> u64 {
    steps(rate) * 2_000_000
}
