//! How a pool stands at one instant.

use std::sync::Arc;

use crate::gate::Reading;

/// How a pool stands at one instant, with running totals since its start.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Sample {
    /// The pool's name.
    pub pool: Arc<str>,
    /// Its counts and integrals.
    pub reading: Reading,
    /// Requests that have arrived.
    pub requests: u64,
    /// Requests that have completed.
    pub completed: u64,
    /// Output tokens of the requests that have completed.
    pub output_tokens: u64,
    /// Tokens that have passed, whatever became of their request.
    pub emitted_tokens: u64,
}
