//! What is kept of one request once it has ended.

use std::borrow::Cow;
use std::sync::Arc;

use crate::gate::Counts;
use crate::outcome::{Outcome, Phase};
use crate::timeline::Timeline;

/// One request that has ended. Every request that arrives ends in exactly one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RequestRecord {
    /// The pool's name.
    pub pool: Arc<str>,
    /// The incoming `x-request-id`, else one made on arrival.
    pub request_id: Box<str>,
    /// The response's status; absent where there was no response. A refusal's
    /// is the one it was answered with.
    pub status: Option<u16>,
    /// How it ended.
    pub outcome: Outcome,
    /// Where it ended.
    pub phase: Phase,
    /// What went wrong: `status_500` and the like, `body`, `service`, or the
    /// reason of a refusal. Absent for what did not fail.
    pub error_type: Option<Cow<'static, str>>,
    /// Its instants.
    pub timeline: Timeline,
    /// The body's bytes as passed on.
    pub response_bytes: u64,
    /// The pool's counts just before it gave up its slot or its place in the
    /// queue, itself included.
    pub counts: Counts,
}
