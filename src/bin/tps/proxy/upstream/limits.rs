//! Time limits of a request that holds its slot, each with a name of its own.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Buf;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};
use tower::BoxError;
use tower_service::Service;
use tower_tps::layer::{ErrorType, InFlight};
use tower_tps::wire::ErrorFormat;

use super::failure::{Kind, failed};
use super::forward::UpstreamBody;

/// Further away than any request lasts.
const FAR: Duration = Duration::from_secs(365 * 86_400);

/// How long what may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Connecting to the upstream.
    pub(crate) connect: Duration,
    /// From the slot to the first byte of the response's body.
    pub(crate) first_byte: Option<Duration>,
    /// Waiting on the upstream for a token, from the first one on.
    pub(crate) token: Option<Duration>,
    /// From the slot to the end.
    pub(crate) request: Option<Duration>,
}

/// Keeps the limits of what `S` does, but for the time to connect.
#[derive(Clone)]
pub(crate) struct Limited<S> {
    inner: S,
    limits: Limits,
}

pin_project! {
    /// A body with its limits.
    pub(crate) struct Timed<B> {
        #[pin]
        inner: B,
        clock: Option<Box<Clock>>,
    }
}

/// The limits of one request. In a box: a request without limits has none.
struct Clock {
    /// When to look whether one is reached.
    timer: Pin<Box<Sleep>>,
    in_flight: InFlight,
    first_byte: Option<Instant>,
    token: Option<Duration>,
    request: Option<Instant>,
    /// Whether the first byte was there.
    has_begun: bool,
}

/// Why a body came to no end.
#[derive(Debug)]
pub(crate) enum Cut {
    Upstream(BoxError),
    /// This limit was reached.
    Limit(Kind),
}

impl<S> Limited<S> {
    pub(crate) fn new(inner: S, limits: Limits) -> Self {
        Self { inner, limits }
    }
}

impl<S, B> Service<Request<B>> for Limited<S>
where
    S: Service<Request<B>, Response = Response<UpstreamBody>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Timed<UpstreamBody>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let clock = request.extensions().get().and_then(|in_flight| Clock::start(&self.limits, in_flight));
        let format = ErrorFormat::of_path(request.uri().path());
        let answered = self.inner.call(request);
        Box::pin(async move {
            let Some(mut clock) = clock else {
                return Ok(answered.await?.map(|inner| Timed { inner, clock: None }));
            };
            tokio::select! {
                // What is there counts, however late.
                biased;
                answered = answered => Ok(answered?.map(|inner| Timed { inner, clock: Some(clock) })),
                kind = poll_fn(|cx| clock.poll_reached(cx)) => {
                    let response = failed(kind, format, "the upstream did not answer in time");
                    Ok(response.map(|inner| Timed { inner, clock: None }))
                }
            }
        })
    }
}

// === impl Timed ===

impl<B> Body for Timed<B>
where
    B: Body<Error = BoxError>,
{
    type Data = B::Data;
    type Error = Cut;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, Cut>>> {
        let this = self.project();
        match (this.inner.poll_frame(cx), this.clock) {
            (Poll::Ready(Some(Ok(frame))), Some(clock)) => {
                if frame.data_ref().is_some_and(Buf::has_remaining) {
                    clock.byte();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            (Poll::Ready(frame), _) => Poll::Ready(frame.map(|frame| frame.map_err(Cut::Upstream))),
            (Poll::Pending, Some(clock)) => {
                let kind = ready!(clock.poll_reached(cx));
                clock.in_flight.fails_with(ErrorType(kind.as_str()));
                Poll::Ready(Some(Err(Cut::Limit(kind))))
            }
            (Poll::Pending, None) => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

// === impl Clock ===

impl Clock {
    /// Absent where there is no limit.
    fn start(limits: &Limits, in_flight: &InFlight) -> Option<Box<Self>> {
        let now = Instant::now();
        let after = |limit: Option<Duration>| limit.and_then(|limit| now.checked_add(limit));
        let (first_byte, request) = (after(limits.first_byte), after(limits.request));
        if first_byte.is_none() && request.is_none() && limits.token.is_none() {
            return None;
        }
        let (timer, in_flight) = (Box::pin(sleep_until(now)), in_flight.clone());
        let mut clock = Self { timer, in_flight, first_byte, token: limits.token, request, has_begun: false };
        clock.set(first_byte);
        Some(Box::new(clock))
    }

    /// Looks at `next`, or when the whole is to be over, if that is before.
    fn set(&mut self, next: Option<Instant>) {
        let first = next.into_iter().chain(self.request).min();
        self.timer.as_mut().reset(first.unwrap_or_else(|| Instant::now() + FAR));
    }

    /// A byte of the body is there.
    fn byte(&mut self) {
        if !std::mem::replace(&mut self.has_begun, true) {
            self.set(self.token.and_then(|limit| Instant::now().checked_add(limit)));
        }
    }

    /// Waits until a limit is reached.
    fn poll_reached(&mut self, cx: &mut Context<'_>) -> Poll<Kind> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let now = Instant::now();
            let is_over = |limit: Option<Instant>| limit.is_some_and(|limit| limit <= now);
            if is_over(self.request) {
                return Poll::Ready(Kind::WholeTimeout);
            }
            if !self.has_begun {
                if is_over(self.first_byte) {
                    return Poll::Ready(Kind::FirstByteTimeout);
                }
                self.set(self.first_byte);
                continue;
            }
            // Until a token is there, it is the other limits' to say how long it may take.
            let silence = self.in_flight.silence().unwrap_or_default();
            let left = self.token.map(|limit| limit.saturating_sub(silence));
            if left == Some(Duration::ZERO) {
                return Poll::Ready(Kind::TokenTimeout);
            }
            self.set(left.and_then(|left| now.checked_add(left)));
        }
    }
}

// === impl Cut ===

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Upstream(error) => error.fmt(f),
            Self::Limit(kind) => write!(f, "{} reached", kind.as_str()),
        }
    }
}

impl Error for Cut {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Upstream(error) => Some(&**error),
            Self::Limit(_) => None,
        }
    }
}
