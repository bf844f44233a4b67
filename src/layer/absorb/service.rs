//! The layer and the service it makes.

use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::body::ResponseBody;
use super::future::ResponseFuture;
use crate::layer::{Meter, MeterLayer};

/// Wraps services in [`Absorb`]: see [`MeterLayer::absorb`].
#[derive(Clone, Debug)]
pub struct AbsorbLayer {
    meter: MeterLayer,
    limit: usize,
}

/// A [`Meter`] that reads responses ahead of their clients.
#[derive(Clone, Debug)]
pub struct Absorb<S> {
    meter: Meter<S>,
    limit: usize,
}

impl MeterLayer {
    /// The same layer, which reads ahead of a slow client: see [`absorb`](super).
    /// No further frame is asked for once those that wait take up this many `bytes`,
    /// each counted with the little that it takes up itself. With 0 nothing is read
    /// ahead, and no record says when it was handed over.
    ///
    /// It reads from the tokio runtime that the response comes in. Without one
    /// nothing is read ahead.
    ///
    /// ```
    /// # use tower_tps::Pool;
    /// let pool = Pool::builder("llama").cap(8).build()?;
    /// let layer = pool.layer().absorb(256 * 1024);
    /// # Ok::<_, tower_tps::gate::InvalidCap>(())
    /// ```
    #[must_use]
    pub fn absorb(self, bytes: usize) -> AbsorbLayer {
        AbsorbLayer { meter: self, limit: bytes }
    }
}

impl<S> Layer<S> for AbsorbLayer {
    type Service = Absorb<S>;

    fn layer(&self, inner: S) -> Absorb<S> {
        Absorb { meter: self.meter.layer(inner), limit: self.limit }
    }
}

impl<S> Absorb<S> {
    /// The wrapped service.
    pub fn get_ref(&self) -> &S {
        self.meter.get_ref()
    }

    /// The wrapped service.
    pub fn get_mut(&mut self) -> &mut S {
        self.meter.get_mut()
    }

    /// The wrapped service.
    pub fn into_inner(self) -> S {
        self.meter.into_inner()
    }
}

impl<S, R, B> Service<Request<R>> for Absorb<S>
where
    S: Service<Request<R>, Response = Response<B>> + Clone,
    B: Body + Send + 'static,
    B::Data: From<Bytes> + Send,
    B::Error: Send,
{
    type Response = Response<ResponseBody<B>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.meter.poll_ready(cx)
    }

    fn call(&mut self, request: Request<R>) -> Self::Future {
        ResponseFuture::new(self.meter.call(request), self.limit)
    }
}
