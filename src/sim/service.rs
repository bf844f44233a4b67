//! The engine without a network: a Tower service.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;

use super::body::ResponseBody;
use super::engine::Core;
use super::generate;
use super::truth::Truth;
use crate::clock::Instant;

/// An engine that is called and not connected to. All clones are the same engine.
///
/// It is always ready, and never fails: what is wrong with a request is in its response. Only
/// tokio's clock moves it, so that with that clock paused each instant is what the settings say.
/// Tokio's timers go by whole milliseconds: what is due between two of them comes with the later.
#[derive(Clone, Debug)]
pub struct Service {
    pub(super) core: Arc<Core>,
}

impl Service {
    /// What has happened so far, all read at one moment.
    #[must_use]
    pub fn truth(&self) -> Truth {
        self.core.books.snapshot()
    }

    /// When it started: the instant from which those of its truth are counted.
    #[must_use]
    pub fn started_at(&self) -> Instant {
        self.core.books.started_at()
    }
}

impl<B> tower_service::Service<Request<B>> for Service
where
    B: Body + Send + 'static,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let core = Arc::clone(&self.core);
        Box::pin(async move { Ok(generate::route(&core, request).await) })
    }
}
