//! What a request carries of the attempts before it, where the retrying is done
//! outside the meter.

use std::sync::Arc;

use http::Request;

use super::fate::Fate;
use crate::pool::Pool;

/// The request's id where it has no `x-request-id` header, and that of a later
/// [`Attempt`] in any case. Whoever retries puts the same one in the extensions of
/// all attempts, whose records are joined by it. With neither, each request is
/// given an id of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(pub Arc<str>);

/// Which attempt a request is, counted from 1, where the retrying is done
/// outside and the meter sees each attempt as a request. Whoever retries puts
/// it in the request's extensions. Without it the header
/// `x-stainless-retry-count` of the official SDKs tells, and without that an
/// attempt is the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt(pub u32);

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
    fate: Option<Fate>,
}

impl RequestId {
    /// The id that a request came with. That of a later attempt is the first
    /// one's, even where each goes out with a header of its own.
    pub(crate) fn of<B>(request: &Request<B>) -> Option<&str> {
        let header = request.headers().get("x-request-id").and_then(|id| id.to_str().ok());
        let header = header.filter(|id| !id.is_empty());
        let extension = request.extensions().get().map(|Self(id)| &**id);
        if number(request) > 1 { extension.or(header) } else { header.or(extension) }
    }

    /// An id for a request that came with none.
    pub(crate) fn made() -> String {
        format!("{:032x}", fastrand::u128(..))
    }
}

impl Outside {
    /// What there is of it.
    pub(super) fn of<B>(request: &Request<B>, pool: &Pool) -> Option<Box<Self>> {
        let cause = request.extensions().get().copied();
        let fate = request.extensions().get().filter(|fate: &&Fate| fate.is_of(pool)).cloned();
        (cause.is_some() || fate.is_some()).then(|| Box::new(Self { cause, fate }))
    }

    pub(super) fn cause(&self) -> Option<&'static str> {
        self.cause.map(|AttemptCause(cause)| cause)
    }

    /// Who must be told first of an attempt that has failed.
    pub(super) fn fate(&self) -> Option<&Fate> {
        self.fate.as_ref()
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
