//! How the work is done: with the faults that the field really has, or without.

use std::time::Duration;

/// The slots of the engine, and the cap before it.
pub(super) const CAP: u32 = 8;

/// One way to do the work. All ways do the same.
#[derive(Debug)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    /// One prompt is prepared and submitted after the other, instead of all at once.
    pub(super) one_at_a_time: bool,
    /// What follows on a response runs on the executor's own thread.
    pub(super) blocks_executor: bool,
    /// A retry sleeps inside the meter, where it holds its slot.
    pub(super) retries_in_slot: bool,
    /// Connections that are kept for the requests to come.
    pub(super) idle_connections: usize,
}

impl Scenario {
    pub(super) const BASELINE: Self = Self {
        name: "baseline",
        one_at_a_time: true,
        blocks_executor: true,
        retries_in_slot: true,
        idle_connections: 0,
    };
    pub(super) const CANDIDATE: Self = Self {
        name: "candidate",
        one_at_a_time: false,
        blocks_executor: false,
        retries_in_slot: false,
        idle_connections: CAP as usize,
    };
}

/// What a TLS handshake takes over a network, and stands for one here.
pub(super) const HANDSHAKE: Duration = Duration::from_millis(15);

/// How many requests take both runs together about so long.
pub(super) fn requests(seconds: u32) -> usize {
    14 * seconds as usize
}

/// Time until a prompt is ready to be sent. The first half of them come with a
/// document that has to be fetched.
pub(super) fn preparation(index: usize, requests: usize) -> Duration {
    Duration::from_millis(if index < requests / 2 { 40 } else { 12 })
}

/// The body of a request: prompts and answers of many lengths.
pub(super) fn body(index: usize) -> String {
    let prompt = "word ".repeat(5 + index * 7 % 20);
    let tokens = 16 + index * 11 % 40;
    serde_json::json!({
        "messages": [{"role": "user", "content": format!("{prompt}{index}")}],
        "max_tokens": tokens,
        "stream": true,
        "stream_options": {"include_usage": true},
    })
    .to_string()
}
