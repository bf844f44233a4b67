//! The trace that a request belongs to.

use http::HeaderMap;

/// The trace of a W3C `traceparent`: 32 hexadecimal digits, not all zero.
pub(super) fn trace_id(headers: &HeaderMap) -> Option<Box<str>> {
    let parent = headers.get("traceparent")?.to_str().ok()?;
    let trace = parent.split('-').nth(1)?;
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let valid = trace.len() == 32 && trace.bytes().all(is_hex) && trace.bytes().any(|byte| byte != b'0');
    valid.then(|| trace.into())
}
