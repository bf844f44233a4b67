//! What the gate refuses, as a response.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use http_body::Body;

use super::body::ResponseBody;
use crate::gate::Refused;
use crate::wire::ErrorFormat;

/// The status that a refusal is answered with.
pub(super) fn status(reason: Refused) -> StatusCode {
    match reason {
        Refused::QueueFull => StatusCode::TOO_MANY_REQUESTS,
        Refused::QueueTimeout => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// The response to a request of this path, in the words that its client reads.
pub(super) fn response<B: Body>(reason: Refused, path: &str, retry_after: u64) -> Response<ResponseBody<B>> {
    let message = match reason {
        Refused::QueueFull => "The queue is full: try again later.",
        Refused::QueueTimeout => "No slot came free in time: try again later.",
    };
    let document = ErrorFormat::of_path(path).document(status(reason), reason.as_str(), message);
    let mut response = Response::new(ResponseBody::refusal(Bytes::from(document)));
    *response.status_mut() = status(reason);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(retry_after));
    response
}
