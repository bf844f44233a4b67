//! The way to the response, whose body is read from then on.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::body::ResponseBody;
use crate::layer::future::ResponseFuture as Measured;

pin_project! {
    /// The future of an [`Absorb`](super::Absorb). Dropping it gives up the queue
    /// or the slot.
    #[must_use = "futures do nothing unless polled, and this one holds a place in the queue"]
    pub struct ResponseFuture<S, R>
    where
        S: Service<Request<R>>,
    {
        #[pin]
        inner: Measured<S, R>,
        limit: usize,
    }
}

impl<S, R> ResponseFuture<S, R>
where
    S: Service<Request<R>>,
{
    pub(super) fn new(inner: Measured<S, R>, limit: usize) -> Self {
        Self { inner, limit }
    }
}

impl<S, R, B> Future for ResponseFuture<S, R>
where
    S: Service<Request<R>, Response = Response<B>>,
    B: Body + Send + 'static,
    B::Data: From<Bytes> + Send,
    B::Error: Send,
{
    type Output = Result<Response<ResponseBody<B>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.inner.poll(cx));
        Poll::Ready(response.map(|response| response.map(|body| ResponseBody::new(body, *this.limit))))
    }
}

impl<S, R> fmt::Debug for ResponseFuture<S, R>
where
    S: Service<Request<R>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
