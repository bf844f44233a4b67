//! Connections: how many are made for the requests of a pool, and how long each takes.
//!
//! A client that keeps no connections spends a connect, and mostly a TLS handshake, on each request,
//! while the request holds its slot. [`Pool::connector`] is a Tower layer for the connector of such a
//! client: for hyper-util's, or for reqwest's `ClientBuilder::connector_layer`. Requests and
//! connections pass through it as they are.
//!
//! Measured is the time from `call` until the connector's future is ready: finding the address,
//! connecting, and TLS where the wrapped connector does that too. Wrap the outermost one, or the
//! handshake is left out. What a server does with a connection after it has been accepted belongs to
//! the request, and is none of it. A connector that tries several addresses makes one connect.
//!
//! A future that is dropped before it is ready counts neither as made nor as failed: its client no
//! longer needed it, or gave it up by a timeout of its own around this layer.
//!
//! The [`Sample`](crate::observe::Sample) has the totals, and what was sent to the upstream to hold
//! them against; `tps_connections_total`, `tps_connect_seconds` and `tps_connection_reuse_ratio` are
//! the metrics.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::clock::Instant;
use crate::pool::Pool;

/// Wraps connectors in [`Connect`]: see [`Pool::connector`].
#[derive(Clone, Debug)]
pub struct ConnectLayer {
    pool: Pool,
}

/// A connector whose connects a pool hears of.
///
/// It is ready when the wrapped connector is, and calls the very one that was: a clone has that
/// readiness only if the clone of the wrapped one has it.
#[derive(Clone, Debug)]
pub struct Connect<S> {
    pool: Pool,
    inner: S,
}

pin_project! {
    /// The future of a [`Connect`].
    #[must_use = "futures do nothing unless polled"]
    pub struct ConnectFuture<F> {
        #[pin]
        future: F,
        began_at: Instant,
        pool: Pool,
    }
}

impl Pool {
    /// The Tower layer for the connector of the client that this pool's requests go out by. One that
    /// serves other requests too counts their connections as well.
    #[must_use]
    pub fn connector(&self) -> ConnectLayer {
        ConnectLayer { pool: self.clone() }
    }
}

impl<S> Layer<S> for ConnectLayer {
    type Service = Connect<S>;

    fn layer(&self, inner: S) -> Connect<S> {
        Connect { pool: self.pool.clone(), inner }
    }
}

impl<S> Connect<S> {
    /// The wrapped connector.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The wrapped connector.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The wrapped connector.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

// What is connected to is not named: reqwest's type for it cannot be.
impl<S, R> Service<R> for Connect<S>
where
    S: Service<R>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ConnectFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, target: R) -> Self::Future {
        // Some connectors do their work in `call`.
        let began_at = Instant::now();
        ConnectFuture { future: self.inner.call(target), began_at, pool: self.pool.clone() }
    }
}

impl<F, T, E> Future for ConnectFuture<F>
where
    F: Future<Output = Result<T, E>>,
{
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = ready!(this.future.poll(cx));
        let elapsed = Instant::now().since(*this.began_at);
        this.pool.connect_ended(result.is_ok(), elapsed);
        Poll::Ready(result)
    }
}

impl<F> fmt::Debug for ConnectFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectFuture").field("began_at", &self.began_at).finish_non_exhaustive()
    }
}
