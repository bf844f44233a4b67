//! What identifies a request all along its way, made where the client gave nothing.

use http::{HeaderMap, HeaderName, HeaderValue};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");

/// Adds an id and a trace (W3C Trace Context) of its own to a request without them,
/// so that the record and the upstream have the same ones.
pub(super) fn complete(headers: &mut HeaderMap) {
    set(headers, REQUEST_ID, || format!("{:032x}", fastrand::u128(..)));
    // Sampled is for whoever traces to decide: not here.
    set(headers, TRACE_PARENT, || format!("00-{:032x}-{:016x}-00", fastrand::u128(1..), fastrand::u64(1..)));
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: impl Fn() -> String) {
    if !headers.contains_key(&name) {
        if let Ok(value) = HeaderValue::from_str(&value()) {
            headers.insert(name, value);
        }
    }
}
