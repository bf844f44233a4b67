//! The service.

use std::task::{Context, Poll};

use http::{Request, Response};
use tower::retry::Policy;
use tower_service::Service;

use super::cause::Failure;
use super::future::ResponseFuture;
use super::recorded::Recorded;
use crate::pool::Pool;

/// A service that tries requests again, and makes that known to a pool: see
/// [`Pool::retry`].
#[derive(Clone, Debug)]
pub struct Retry<P, S> {
    pool: Pool,
    policy: P,
    inner: S,
}

impl<P, S> Retry<P, S> {
    pub(super) fn new(pool: Pool, policy: P, inner: S) -> Self {
        Self { pool, policy, inner }
    }

    /// The wrapped service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The wrapped service.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The wrapped service.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<P, S, B, R> Service<Request<B>> for Retry<P, S>
where
    P: Policy<Request<B>, Response<R>, S::Error> + Clone,
    S: Service<Request<B>, Response = Response<R>> + Clone,
    S::Error: Failure,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = ResponseFuture<P, S, B, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let policy = Recorded::new(self.policy.clone(), &self.pool, &mut request);
        // What was polled ready must be what is called.
        let clone = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, clone);
        ResponseFuture::new(tower::retry::Retry::new(policy, ready).call(request))
    }
}
