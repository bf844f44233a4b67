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
use crate::layer::{Attempt, AttemptCause, Fate, RequestId, Retries, attempt_number};
use crate::pool::Pool;

/// The policy of one request, and the meters that it is between.
#[derive(Clone, Debug)]
pub(super) struct Recorded<P> {
    policy: P,
    /// A meter further out holds a slot for all attempts; this pool's, or that
    /// of the service which makes the request.
    inside: Option<Retries>,
    /// This pool's meter, if there is one, is further in and sees each attempt.
    outside: Option<Attempts>,
}

/// The attempts of one request that a meter sees as requests.
#[derive(Clone, Debug)]
struct Attempts {
    pool: Pool,
    id: Arc<str>,
    attempt: u32,
    fate: Fate,
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

/// By what the pools know of a wait.
#[derive(Debug)]
struct Mark {
    inside: Option<Retries>,
    /// Held, and not looked at: the wait lasts for as long as it lives.
    _outside: Option<Backoff>,
}

// === impl Recorded ===

impl<P> Recorded<P> {
    /// The policy of this request, which is prepared for its first attempt.
    pub(super) fn new<B>(policy: P, pool: &Pool, request: &mut Request<B>) -> Self {
        let inside = request.extensions().get::<Retries>().cloned();
        let is_inside = inside.as_ref().is_some_and(|retries| retries.are_of(pool));
        let outside = (!is_inside).then(|| Attempts::first(pool, request));
        Self { policy, inside, outside }
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
        if let Some(retries) = &self.inside {
            retries.failed(cause);
        }
        let waits = self.outside.as_mut().map(|attempts| {
            attempts.next(request, cause);
            attempts.pool.backoff()
        });
        let mark = Mark { inside: self.inside.clone(), _outside: waits };
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
        // What a pool further out counts is not this one's to go on with.
        let is_anothers = request.extensions().get().is_some_and(|fate: &Fate| !fate.is_of(pool));
        let attempt = if is_anothers { 1 } else { attempt_number(request) };
        if is_anothers {
            request.extensions_mut().remove::<AttemptCause>();
        }
        let fate = Fate::new(pool);
        let attempts = Self { pool: pool.clone(), id, attempt, fate };
        attempts.stamp(request);
        attempts
    }

    /// One attempt is abandoned, and this request is the next.
    fn next<B>(&mut self, request: &mut Request<B>, cause: &'static str) {
        self.fate.abandon(self.pool.tally());
        self.fate = Fate::new(&self.pool);
        self.attempt = self.attempt.saturating_add(1);
        self.stamp(request);
        request.extensions_mut().insert(AttemptCause(cause));
    }

    /// Whole each time: a policy may clone requests without their extensions.
    fn stamp<B>(&self, request: &mut Request<B>) {
        let extensions = request.extensions_mut();
        extensions.insert(RequestId(self.id.clone()));
        extensions.insert(Attempt(self.attempt));
        extensions.insert(self.fate.clone());
    }
}

// === impl Waiting ===

impl<F: Future<Output = ()>> Future for Waiting<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        ready!(this.future.poll(cx));
        if let Some(retries) = &this.mark.inside {
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
    /// time after a second, with the retrying inside or outside the meter; and the
    /// attempts, in seconds too.
    async fn abandoned(answers: &[Answer], inside: bool) -> [Duration; 2] {
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
        let sample = pool.sample();
        [sample.abandoned_slot_time(), TAKES * sample.abandoned_attempts as u32]
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
            assert_eq!(abandoned(answers, false).await, [TAKES * times; 2], "{answers:?}");
        }
    }

    /// Inside the meter it is that part of the slot's time: all attempts but the
    /// last, and not the waits between them.
    #[tokio::test(start_paused = true)]
    async fn abandoned_inside() {
        assert_eq!(abandoned(&[Ok(429), Ok(200)], true).await, [TAKES; 2]);
        assert_eq!(abandoned(&[Ok(429), Ok(500), Ok(200)], true).await, [TAKES * 2; 2]);
        assert_eq!(abandoned(&[Ok(200)], true).await, [Duration::ZERO; 2]);
    }
}
