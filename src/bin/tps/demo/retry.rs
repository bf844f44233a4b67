//! The retrying, on either side of the meter.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Collected, Full};
use tokio::time::{Sleep, sleep};
use tower::retry::Policy;

use crate::proxy::request_body::RequestBody;

/// Time before a request is tried again.
const BACKOFF: Duration = Duration::from_millis(300);

/// How often a request is tried again at most.
const MOST_RETRIES: u32 = 5;

/// Sends a request again when it was refused or failed. The wait is always the
/// same, whatever the engine asks for, so that both runs wait for as long.
#[derive(Clone)]
pub(super) struct Again {
    left: u32,
}

impl Again {
    /// Does so, or never.
    pub(super) fn when(here: bool) -> Self {
        Self { left: if here { MOST_RETRIES } else { 0 } }
    }
}

impl<B: Clone, R, E> Policy<Request<B>, Response<R>, E> for Again {
    type Future = Sleep;

    fn retry(&mut self, _: &mut Request<B>, result: &mut Result<Response<R>, E>) -> Option<Sleep> {
        let status = result.as_ref().ok()?.status();
        if status != StatusCode::TOO_MANY_REQUESTS && !status.is_server_error() {
            return None;
        }
        self.left = self.left.checked_sub(1)?;
        Some(sleep(BACKOFF))
    }

    fn clone_request(&mut self, request: &Request<B>) -> Option<Request<B>> {
        Some(request.clone())
    }
}

/// The request with its whole body in memory, so that it can be sent again.
pub(super) async fn whole(request: Request<RequestBody>) -> Request<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    // A body that breaks off is the upstream's to refuse.
    let body = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
    Request::from_parts(parts, Full::new(body))
}
