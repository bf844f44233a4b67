//! Retries on either side of the meter, made known to the pool.
//!
//! [`Pool::retry`](crate::Pool::retry) puts a service into
//! [`tower::retry::Retry`] with a policy of your choice, and finds out for each
//! request on which side of the meter it is:
//!
//! - **Retrying outside**, `pool.retry(policy).layer(pool.layer().layer(client))`:
//!   the slot is free while the policy waits. Each attempt is a request of its
//!   own with its own record; they share one `request_id`, count up `attempt`, and
//!   all but the first say in `attempt_cause` why the one before failed. The wait
//!   counts in the pool's `queue_depth` as back-off.
//! - **Retrying inside**, `pool.layer().layer(pool.retry(policy).layer(client))`:
//!   the slot is held while the policy waits. There is one record, whose `retries`
//!   say why and when.
//!
//! A response that is not kept is dropped before the wait begins, its body
//! unread: over HTTP/1.1 its connection is closed then. A policy sees only heads,
//! so that nothing is ever tried again once a response has been handed on.

mod cause;
mod future;
mod layer;
mod llm_policy;
mod recorded;
mod retry_after;
mod service;

pub use self::cause::Failure;
pub use self::future::ResponseFuture;
pub use self::layer::RetryLayer;
pub use self::llm_policy::LlmPolicy;
pub use self::service::Retry;
