//! What a client is answered when its request could not be passed on.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::{Either, Full};
use tower_tps::layer::ErrorType;
use tower_tps::wire::ErrorFormat;

use super::forward::UpstreamBody;

/// What it was that failed, and what the record calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The request is none that can be passed on.
    Request,
    /// Its body is larger than is allowed.
    RequestTooLarge,
    /// There is no memory to keep it in while it waits.
    NoRoom,
    /// Its body did not come.
    RequestTimeout,
    /// It has come through here too often.
    Loop,
    /// No pool is for it.
    NoPool,
    /// The upstream cannot be connected to.
    Connect,
    /// Nor within the time for that.
    ConnectTimeout,
    /// The upstream broke off, or what it sent is no response.
    Upstream,
    /// The first byte did not come in time.
    FirstByteTimeout,
    /// No token came in time.
    TokenTimeout,
    /// The request took too long.
    WholeTimeout,
}

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::RequestTooLarge => "request_too_large",
            Self::NoRoom => "no_room",
            Self::RequestTimeout => "request_body_timeout",
            Self::Loop => "loop",
            Self::NoPool => "no_pool",
            Self::Connect => "connect",
            Self::ConnectTimeout => "connect_timeout",
            Self::Upstream => "upstream",
            Self::FirstByteTimeout => "first_byte_timeout",
            Self::TokenTimeout => "token_timeout",
            Self::WholeTimeout => "request_timeout",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::Request => StatusCode::BAD_REQUEST,
            Self::RequestTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NoRoom => StatusCode::SERVICE_UNAVAILABLE,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::Loop => StatusCode::LOOP_DETECTED,
            Self::NoPool => StatusCode::NOT_FOUND,
            Self::Connect | Self::Upstream => StatusCode::BAD_GATEWAY,
            Self::ConnectTimeout | Self::FirstByteTimeout | Self::TokenTimeout | Self::WholeTimeout => {
                StatusCode::GATEWAY_TIMEOUT
            }
        }
    }
}

/// The answer to a request of this format, which says what failed and why.
pub(crate) fn failed(kind: Kind, format: ErrorFormat, cause: &str) -> Response<UpstreamBody> {
    let message = format!("The request cannot be passed on: {cause}.");
    let document = format.document(kind.status(), kind.as_str(), &message);
    let mut response = Response::new(Either::Right(Full::<Bytes>::from(document)));
    *response.status_mut() = kind.status();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.extensions_mut().insert(ErrorType(kind.as_str()));
    response
}
