//! What a request carries of the attempts before it, where the retrying is done
//! outside the meter.

use std::sync::Arc;
use std::time::Duration;

use http::Request;

use super::held::Held;
use super::retries::Attempt;
use crate::pool::Pool;

/// The request's id where it has no `x-request-id` header. Whoever retries puts
/// the same one in the extensions of all attempts, whose records are joined by
/// it. With neither, each request is given an id of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(pub Arc<str>);

/// Why the attempt before this one failed: `status_429`, `status_5xx`,
/// `connect`, `timeout` and the like. Whoever retries puts it in the extensions
/// of every attempt but the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptCause(pub &'static str);

/// What an attempt's flight takes along of the retrying outside. In a box of its
/// own, since most requests have none of it and each stream's memory counts.
#[derive(Debug, Default)]
pub(super) struct Outside {
    cause: Option<AttemptCause>,
    held: Option<Held>,
}

impl RequestId {
    /// The id that a request came with.
    pub(crate) fn of<B>(request: &Request<B>) -> Option<&str> {
        let header = request.headers().get("x-request-id").and_then(|id| id.to_str().ok());
        let header = header.filter(|id| !id.is_empty());
        header.or_else(|| request.extensions().get().map(|Self(id)| &**id))
    }

    /// An id for a request that came with none.
    pub(crate) fn made() -> String {
        format!("{:032x}", fastrand::u128(..))
    }
}

impl Outside {
    /// What there is of it.
    pub(super) fn of<B>(request: &mut Request<B>, pool: &Pool) -> Option<Box<Self>> {
        let cause = request.extensions().get().copied();
        let held = request.extensions().get().filter(|held: &&Held| held.is_of(pool)).cloned();
        (cause.is_some() || held.is_some()).then(|| Box::new(Self { cause, held }))
    }

    pub(super) fn cause(&self) -> Option<&'static str> {
        self.cause.map(|AttemptCause(cause)| cause)
    }

    /// The attempt is over, and its slot worked so long for nothing. True if it
    /// is known that another follows.
    pub(super) fn ended(&self, worked: Duration) -> bool {
        self.held.as_ref().is_some_and(|held| held.ended(worked))
    }
}

/// Which attempt a request is: by its extensions, else by the count of retries
/// that the official SDKs send along.
pub(crate) fn number<B>(request: &Request<B>) -> u32 {
    if let Some(&Attempt(attempt)) = request.extensions().get() {
        return attempt;
    }
    let retries = request.headers().get("x-stainless-retry-count");
    let retries = retries.and_then(|count| count.to_str().ok()?.parse::<u32>().ok());
    retries.unwrap_or(0).saturating_add(1)
}
