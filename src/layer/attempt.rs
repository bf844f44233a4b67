//! What a request carries of the attempts before it, where the retrying is done
//! outside the meter.

use std::sync::Arc;
use std::time::Duration;

use http::Request;

use super::held::Held;
use super::retries::Attempt;

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
    pub(super) fn of<B>(request: &mut Request<B>) -> Option<Box<Self>> {
        let cause = request.extensions().get().copied();
        // Taken out: a meter further in is not to tell its own time as well.
        let held = request.extensions_mut().remove();
        (cause.is_some() || held.is_some()).then(|| Box::new(Self { cause, held }))
    }

    pub(super) fn cause(&self) -> Option<&'static str> {
        self.cause.map(|AttemptCause(cause)| cause)
    }

    /// The attempt is over; it held its slot for so long, if it ever had one.
    pub(super) fn ended(&self, held: Option<Duration>) {
        if let Some(attempt) = &self.held {
            attempt.ended(held.unwrap_or_default());
        }
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
