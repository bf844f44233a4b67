//! The layer and the service it makes.

use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::body::ResponseBody;
use super::flight::Flight;
use super::future::ResponseFuture;
use crate::pool::Pool;

/// Wraps services in [`Meter`]: see [`Pool::layer`].
#[derive(Clone, Debug)]
pub struct MeterLayer {
    pool: Pool,
}

/// A service whose requests go through a pool.
///
/// It is always ready: the inner service is asked for readiness once the
/// request holds its slot, so no readiness is kept in a queue.
#[derive(Clone, Debug)]
pub struct Meter<S> {
    pool: Pool,
    inner: S,
}

impl Pool {
    /// The Tower layer that runs requests through this pool.
    #[must_use]
    pub fn layer(&self) -> MeterLayer {
        MeterLayer { pool: self.clone() }
    }
}

impl<S> Layer<S> for MeterLayer {
    type Service = Meter<S>;

    fn layer(&self, inner: S) -> Meter<S> {
        Meter { pool: self.pool.clone(), inner }
    }
}

impl<S> Meter<S> {
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

impl<S, R, B> Service<Request<R>> for Meter<S>
where
    S: Service<Request<R>, Response = Response<B>> + Clone,
    B: Body,
    B::Data: From<Bytes>,
{
    type Response = Response<ResponseBody<B>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, R>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<R>) -> Self::Future {
        // No readiness was taken on the inner service, so a plain clone is
        // enough: there is none to move along with it.
        let flight = Flight::start(self.pool.clone(), &request);
        ResponseFuture::new(self.inner.clone(), request, flight)
    }
}
