//! The layer.

use tower_layer::Layer;

use super::service::Retry;
use crate::pool::Pool;

/// Wraps services in [`Retry`]: see [`Pool::retry`].
#[derive(Clone, Debug)]
pub struct RetryLayer<P> {
    pool: Pool,
    policy: P,
}

impl Pool {
    /// The Tower layer that tries requests again as `policy` decides, on either
    /// side of [`Pool::layer`], and makes the retries known to this pool: see
    /// [`retry`](crate::retry).
    ///
    /// `policy` is any [`tower::retry::Policy`] on HTTP requests and responses;
    /// [`LlmPolicy`](crate::retry::LlmPolicy) is one that is ready. Each request
    /// starts with a clone of it.
    ///
    /// ```
    /// use http::{Request, Response};
    /// use tower::{Layer, service_fn};
    /// use tower_tps::{Pool, retry::LlmPolicy};
    ///
    /// let client = service_fn(|_: Request<String>| async {
    ///     Ok::<_, std::io::Error>(Response::new(String::new()))
    /// });
    /// let pool = Pool::builder("llama").cap(8).build().expect("8 is a valid cap");
    /// let outside = pool.retry(LlmPolicy::new()).layer(pool.layer().layer(client));
    /// ```
    #[must_use]
    pub fn retry<P>(&self, policy: P) -> RetryLayer<P> {
        RetryLayer { pool: self.clone(), policy }
    }
}

impl<S, P: Clone> Layer<S> for RetryLayer<P> {
    type Service = Retry<P, S>;

    fn layer(&self, inner: S) -> Retry<P, S> {
        Retry::new(self.pool.clone(), self.policy.clone(), inner)
    }
}
