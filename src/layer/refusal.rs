//! What the gate refuses, as a response.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use http_body::Body;

use super::body::ResponseBody;
use crate::gate::Refused;

/// The status that a refusal is answered with.
pub(super) fn status(reason: Refused) -> StatusCode {
    match reason {
        Refused::QueueFull => StatusCode::TOO_MANY_REQUESTS,
        Refused::QueueTimeout => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// The response, with a body in the words of OpenAI's errors, which every
/// client of that family reads.
pub(super) fn response<B: Body>(reason: Refused, retry_after: u64) -> Response<ResponseBody<B>> {
    let body: &'static [u8] = match reason {
        Refused::QueueFull => {
            br#"{"error":{"message":"The queue is full: try again later.","type":"rate_limit_error","param":null,"code":"queue_full"}}"#
        }
        Refused::QueueTimeout => {
            br#"{"error":{"message":"No slot came free in time: try again later.","type":"server_error","param":null,"code":"queue_timeout"}}"#
        }
    };
    let mut response = Response::new(ResponseBody::refusal(Bytes::from_static(body)));
    *response.status_mut() = status(reason);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(retry_after));
    response
}
