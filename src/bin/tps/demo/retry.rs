//! Retries inside the meter: the slot is held while they sleep.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::connect::HttpConnector;
use tower_service::Service;
use tower_tps::connect::Connect;
use tower_tps::layer::Retries;

use super::scenario::{BACKOFF, MOST_ATTEMPTS, Scenario};
use crate::proxy::forward::{Forward, UpstreamBody};
use crate::proxy::request_body::RequestBody;

/// The engine, by connections that the pool hears of.
type Upstream = Forward<Full<Bytes>, Connect<HttpConnector>>;

/// Sends a request again when it was refused or failed, if the scenario does so here.
#[derive(Clone)]
pub(super) struct Retrying {
    inner: Upstream,
    attempts: u32,
}

impl Retrying {
    pub(super) fn new(inner: Upstream, scenario: &Scenario) -> Self {
        Self { inner, attempts: if scenario.retries_in_slot { MOST_ATTEMPTS } else { 1 } }
    }
}

impl Service<Request<RequestBody>> for Retrying {
    type Response = Response<UpstreamBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let mut this = self.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            // A body that breaks off is the upstream's to refuse.
            let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
            let mut attempt = 1;
            loop {
                let request = Request::from_parts(parts.clone(), Full::new(body.clone()));
                let response = this.inner.call(request).await?;
                let Some(cause) = cause(response.status()).filter(|_| attempt < this.attempts) else {
                    return Ok(response);
                };
                drop(response);
                let retries = parts.extensions.get::<Retries>();
                if let Some(retries) = retries {
                    retries.failed(cause);
                }
                tokio::time::sleep(BACKOFF).await;
                if let Some(retries) = retries {
                    retries.resumed();
                }
                attempt += 1;
            }
        })
    }
}

/// What to call a status that is worth another attempt.
pub(super) fn cause(status: StatusCode) -> Option<&'static str> {
    match status {
        StatusCode::TOO_MANY_REQUESTS => Some("status_429"),
        status if status.is_server_error() => Some("status_5xx"),
        _ => None,
    }
}
