//! What headers say of whether a body may be changed.

use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, Method};

use crate::wire::essence;

/// Headers that are made of the body, or can be.
const MADE_OF_THE_BODY: &[&str] = &[
    "content-digest",
    "content-md5",
    "digest",
    "repr-digest",
    "signature",
    "signature-input",
    "x-amz-content-sha256",
];

/// Whether a request with this head may be edited, if its body is such a one.
pub(super) fn may_edit(head: &Parts, any_path: bool) -> bool {
    let path = head.uri.path();
    head.method == Method::POST
        && (any_path || path.strip_suffix('/').unwrap_or(path).ends_with("/completions"))
        && is_json(&head.headers)
        && is_plain(&head.headers)
        && !is_sealed(&head.headers)
}

/// Whether events may be withheld from a response with these headers.
pub(super) fn may_withhold(headers: &HeaderMap) -> bool {
    let mut kinds = headers.get_all(CONTENT_TYPE).iter();
    kinds.next().is_some_and(|kind| essence(kind).eq_ignore_ascii_case(b"text/event-stream"))
        && is_plain(headers)
        && !is_sealed(headers)
}

/// Whether something in these headers, or trailers, vouches for the body's bytes.
pub(super) fn is_sealed(headers: &HeaderMap) -> bool {
    let is_aws = |value: &[u8]| value.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"AWS4-"));
    MADE_OF_THE_BODY.iter().any(|&name| headers.contains_key(name))
        || headers.get_all(AUTHORIZATION).iter().any(|value| is_aws(value.as_bytes()))
}

fn is_plain(headers: &HeaderMap) -> bool {
    let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
    encodings.all(|encoding| essence(encoding).eq_ignore_ascii_case(b"identity"))
}

fn is_json(headers: &HeaderMap) -> bool {
    headers.get_all(CONTENT_TYPE).iter().all(|kind| {
        let kind = essence(kind).to_ascii_lowercase();
        kind == b"application/json" || kind.ends_with(b"+json")
    })
}
