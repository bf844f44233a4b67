//! What a request asks of the engine by its headers.

use std::time::Duration;

use http::HeaderMap;

use super::faults::Fault;

/// One request's wishes. A value that cannot be read is no wish.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    fault: Option<Fault>,
    /// For how many requests with the same body the fault is meant.
    times: u64,
    /// Time before the engine does anything for the request.
    pub(super) headers_delay: Duration,
    /// Time in which the engine is silent halfway.
    pub(super) pause: Duration,
    /// What a 429 says, in seconds.
    pub(super) retry_after: u64,
}

impl Asked {
    pub(super) fn by(headers: &HeaderMap) -> Self {
        let millis = |name| Duration::from_millis(number(headers, name).unwrap_or(0));
        let (fault, times) = text(headers, "x-sim-fault").and_then(fault).unzip();
        Self {
            fault,
            times: times.unwrap_or(0),
            headers_delay: millis("x-sim-headers-delay"),
            pause: millis("x-sim-pause"),
            retry_after: number(headers, "x-sim-retry-after").unwrap_or(1),
        }
    }

    /// The fault for a request whose body has come so often, itself included.
    pub(super) fn fault(&self, seen: u64) -> Option<Fault> {
        self.fault.filter(|_| seen <= self.times)
    }
}

/// A fault and for how many it is meant: `status=429;times=2`, or for all.
fn fault(value: &str) -> Option<(Fault, u64)> {
    let (name, times) = match value.split_once(';') {
        None => (value, u64::MAX),
        Some((name, times)) => (name.trim(), times.trim().strip_prefix("times=")?.parse().ok()?),
    };
    Some((Fault::named(name)?, times))
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    text(headers, name)?.parse().ok()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}
