//! The way through all attempts to the response.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower::retry::Policy;
use tower_service::Service;

use super::cause::Failure;
use super::recorded::Recorded;

pin_project! {
    /// The future of a [`Retry`](super::Retry). Dropping it gives up the attempt
    /// under way, or ends the wait for the next.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<P, S, B, R>
    where
        P: Policy<Request<B>, Response<R>, S::Error>,
        S: Service<Request<B>, Response = Response<R>>,
        S::Error: Failure,
    {
        #[pin]
        inner: tower::retry::future::ResponseFuture<Recorded<P>, S, Request<B>>,
    }
}

impl<P, S, B, R> ResponseFuture<P, S, B, R>
where
    P: Policy<Request<B>, Response<R>, S::Error>,
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: Failure,
{
    pub(super) fn new(inner: tower::retry::future::ResponseFuture<Recorded<P>, S, Request<B>>) -> Self {
        Self { inner }
    }
}

impl<P, S, B, R> Future for ResponseFuture<P, S, B, R>
where
    P: Policy<Request<B>, Response<R>, S::Error>,
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: Failure,
{
    type Output = Result<Response<R>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().inner.poll(cx)
    }
}

impl<P, S, B, R> fmt::Debug for ResponseFuture<P, S, B, R>
where
    P: Policy<Request<B>, Response<R>, S::Error>,
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: Failure,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
