//! A policy that tells the pool what another decides.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower::retry::Policy;

use super::cause::{Failure, cause};
use crate::gate::Backoff;
use crate::layer::{Attempt, AttemptCause, Held, RequestId, Retries, attempt_number};
use crate::pool::Pool;

/// The policy of one request, and the side of the meter that it is on.
#[derive(Clone, Debug)]
pub(super) struct Recorded<P> {
    policy: P,
    side: Side,
}

#[derive(Clone, Debug)]
enum Side {
    /// The meter is outside and holds a slot for all attempts.
    Inside(Retries),
    /// The meter, if there is one, is further in and sees each attempt.
    Outside(Attempts),
}

/// The attempts of one request that a meter sees as requests.
#[derive(Clone, Debug)]
struct Attempts {
    pool: Pool,
    id: Arc<str>,
    attempt: u32,
    held: Held,
}

pin_project! {
    /// The wait for the next attempt.
    #[derive(Debug)]
    pub(super) struct Waiting<F> {
        #[pin]
        future: F,
        mark: Mark,
    }
}

/// By what the pool knows of a wait.
#[derive(Debug)]
enum Mark {
    Retries(Retries),
    /// Held, and not looked at: the wait lasts for as long as it lives.
    Backoff {
        _waits: Backoff,
    },
}

// === impl Recorded ===

impl<P> Recorded<P> {
    /// The policy of this request, which is prepared for its first attempt.
    pub(super) fn new<B>(policy: P, pool: &Pool, request: &mut Request<B>) -> Self {
        let side = match request.extensions().get::<Retries>() {
            Some(retries) => Side::Inside(retries.clone()),
            None => Side::Outside(Attempts::first(pool, request)),
        };
        Self { policy, side }
    }
}

impl<P, B, R, E> Policy<Request<B>, Response<R>, E> for Recorded<P>
where
    P: Policy<Request<B>, Response<R>, E>,
    E: Failure,
{
    type Future = Waiting<P::Future>;

    fn retry(
        &mut self,
        request: &mut Request<B>,
        result: &mut Result<Response<R>, E>,
    ) -> Option<Self::Future> {
        // First, since the policy may change what it sees.
        let cause = cause(result);
        let future = self.policy.retry(request, result)?;
        let mark = match &mut self.side {
            Side::Inside(retries) => {
                retries.failed(cause);
                Mark::Retries(retries.clone())
            }
            Side::Outside(attempts) => {
                attempts.next(request, cause);
                Mark::Backoff { _waits: attempts.pool.backoff() }
            }
        };
        Some(Waiting { future, mark })
    }

    fn clone_request(&mut self, request: &Request<B>) -> Option<Request<B>> {
        // Made before the request goes on, the clone has nothing in it that a
        // meter further in puts there.
        self.policy.clone_request(request)
    }
}

// === impl Attempts ===

impl Attempts {
    fn first<B>(pool: &Pool, request: &mut Request<B>) -> Self {
        let id = RequestId::of(request).map_or_else(|| RequestId::made().into(), Into::into);
        let held = Held::new(pool.clone());
        let attempts = Self { pool: pool.clone(), id, attempt: attempt_number(request), held };
        attempts.stamp(request);
        attempts
    }

    /// One attempt is abandoned, and this request is the next.
    fn next<B>(&mut self, request: &mut Request<B>, cause: &'static str) {
        self.held.abandon();
        self.held = Held::new(self.pool.clone());
        self.attempt = self.attempt.saturating_add(1);
        self.stamp(request);
        request.extensions_mut().insert(AttemptCause(cause));
    }

    /// Whole each time: a policy may clone requests without their extensions.
    fn stamp<B>(&self, request: &mut Request<B>) {
        let extensions = request.extensions_mut();
        extensions.insert(RequestId(self.id.clone()));
        extensions.insert(Attempt(self.attempt));
        extensions.insert(self.held.clone());
    }
}

// === impl Waiting ===

impl<F: Future<Output = ()>> Future for Waiting<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        ready!(this.future.poll(cx));
        if let Mark::Retries(retries) = this.mark {
            retries.resumed();
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::io::{self, ErrorKind};
    use std::sync::Mutex;
    use std::time::Duration;

    use bytes::Bytes;
    use http_body_util::{BodyExt, Full};
    use tokio::time::sleep;
    use tower::{Layer, ServiceExt, service_fn};

    use super::*;
    use crate::retry::LlmPolicy;

    const TAKES: Duration = Duration::from_secs(1);

    type Answer = Result<u16, ErrorKind>;

    /// The slot-time that counts as abandoned when a request is answered so, each
    /// time after a second, with the retrying inside or outside the meter.
    async fn abandoned(answers: &[Answer], inside: bool) -> Duration {
        let pool = Pool::builder("test").build().unwrap();
        let answers = Arc::new(Mutex::new(VecDeque::from(answers.to_vec())));
        let upstream = service_fn(move |_: Request<()>| {
            let answer = answers.lock().unwrap().pop_front().unwrap();
            async move {
                sleep(TAKES).await;
                let response = Response::builder().status(answer.map_err(io::Error::from)?);
                response.body(Full::<Bytes>::from("text")).map_err(io::Error::other)
            }
        });
        let (meter, retry) = (pool.layer(), pool.retry(LlmPolicy::new()));
        let request = Request::new(());
        if inside {
            // Whoever gets an error here has seen the last attempt of it.
            let _ = meter.layer(retry.layer(upstream)).oneshot(request).await;
        } else if let Ok(response) = retry.layer(meter.layer(upstream)).oneshot(request).await {
            response.into_body().collect().await.unwrap();
        }
        pool.abandoned_time()
    }

    /// An attempt's slot-time is abandoned exactly once if another follows it,
    /// whether its flight ends after the decision (an error's response) or before
    /// (a failed service); that of the last attempt never is.
    #[tokio::test(start_paused = true)]
    async fn abandoned_slot_time_counts_once() {
        const REFUSED: Answer = Err(ErrorKind::ConnectionRefused);
        for (answers, times) in [
            (&[Ok(200)][..], 0),
            (&[Ok(400)], 0),
            (&[Ok(429), Ok(200)], 1),
            (&[REFUSED, Ok(200)], 1),
            (&[REFUSED, Ok(500), Ok(200)], 2),
            (&[Ok(500), Ok(500), Ok(500)], 2),
            (&[REFUSED, REFUSED, REFUSED], 2),
        ] {
            assert_eq!(abandoned(answers, false).await, TAKES * times, "{answers:?}");
        }
    }

    /// Inside the meter the slot was one and the same: nothing of it is abandoned.
    #[tokio::test(start_paused = true)]
    async fn nothing_is_abandoned_inside() {
        assert_eq!(abandoned(&[Ok(429), Ok(200)], true).await, Duration::ZERO);
    }
}
