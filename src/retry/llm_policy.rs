//! The ready policy.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use tokio::time::{Sleep, sleep};
use tower::retry::Policy;
use tower::retry::budget::{Budget, TpsBudget};

use super::cause::{CONNECT, Failure};
use super::retry_after::retry_after;

/// The longest wait that a response may ask for. With more, it is the answer:
/// the official SDKs have the same bound.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Tries again what is worth it with an LLM service: 408, 409, 429, 5xx, and
/// connections that could not be made or broke before the response's head. No
/// other error is tried again: after a timeout the model may still be at work.
/// Once a head with success has come, nothing is, whatever its body does.
///
/// It waits for at least as long as `retry-after-ms`, else `retry-after`, asks; a
/// response that asks for more than 60 s is handed on instead of being tried too
/// early. Otherwise it waits for a random time up to a bound that doubles with
/// each retry ("full jitter": Brooker, *Exponential Backoff And Jitter*, AWS
/// 2015). Waiting needs a tokio runtime with its timer on.
///
/// All clones of a policy share one [`Budget`], so that an outage is not made
/// worse: each response that is not worth another attempt is a deposit, each
/// retry a withdrawal, and without one there is no retry.
#[derive(Clone)]
pub struct LlmPolicy {
    max_retries: u32,
    retries: u32,
    base: Duration,
    max: Duration,
    budget: Arc<dyn Budget + Send + Sync>,
}

impl LlmPolicy {
    /// A policy with the figures of the official SDKs, 2 retries and back-off
    /// from 0.5 s to 8 s, and tower's own default budget: as many retries as a
    /// fifth of the deposits, and 10 a second.
    #[must_use]
    pub fn new() -> Self {
        Self {
            max_retries: 2,
            retries: 0,
            base: Duration::from_millis(500),
            max: Duration::from_secs(8),
            budget: Arc::new(TpsBudget::default()),
        }
    }

    /// How often a request is tried again at most.
    #[must_use]
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.max_retries = retries;
        self
    }

    /// The bound of the first wait, and that of the longest.
    #[must_use]
    pub fn backoff(mut self, base: Duration, max: Duration) -> Self {
        self.base = base;
        self.max = max;
        self
    }

    /// What retries are taken from.
    #[must_use]
    pub fn budget(mut self, budget: Arc<dyn Budget + Send + Sync>) -> Self {
        self.budget = budget;
        self
    }

    /// How long to wait; absent where a response asks for too long a wait.
    fn wait<R, E>(&self, result: &Result<Response<R>, E>) -> Option<Duration> {
        let asked = result.as_ref().ok().and_then(|response| retry_after(response.headers()));
        let asked = asked.unwrap_or_default();
        (asked <= LONGEST_WAIT).then(|| asked.max(self.jitter()))
    }

    fn jitter(&self) -> Duration {
        let factor = 1_u32.checked_shl(self.retries).unwrap_or(u32::MAX);
        let bound = self.base.saturating_mul(factor).min(self.max);
        let nanos = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(fastrand::u64(0..=nanos))
    }
}

impl Default for LlmPolicy {
    fn default() -> Self {
        Self::new()
    }
}

impl<B, R, E> Policy<Request<B>, Response<R>, E> for LlmPolicy
where
    B: Clone,
    E: Failure,
{
    type Future = Sleep;

    fn retry(&mut self, _: &mut Request<B>, result: &mut Result<Response<R>, E>) -> Option<Sleep> {
        let worth_another = match result {
            Ok(response) => is_passing(response.status()),
            Err(error) => error.cause() == CONNECT,
        };
        if !worth_another {
            if result.is_ok() {
                self.budget.deposit();
            }
            return None;
        }
        if self.retries >= self.max_retries {
            return None;
        }
        let wait = self.wait(result)?;
        // Last: what is withdrawn is gone.
        if !self.budget.withdraw() {
            return None;
        }
        self.retries += 1;
        Some(sleep(wait))
    }

    fn clone_request(&mut self, request: &Request<B>) -> Option<Request<B>> {
        Some(request.clone())
    }
}

/// Whether a status tells of what may be over by the next attempt.
fn is_passing(status: StatusCode) -> bool {
    matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS)
        || status.is_server_error()
}

impl fmt::Debug for LlmPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LlmPolicy")
            .field("max_retries", &self.max_retries)
            .field("retries", &self.retries)
            .field("base", &self.base)
            .field("max", &self.max)
            .finish_non_exhaustive()
    }
}
