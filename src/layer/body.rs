//! The body that holds the slot, and the one place that knows when it has ended.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::flight::{End, Flight};

pin_project! {
    /// A response's body on its way through the meter. Frames, trailers, errors
    /// and size hints pass unchanged.
    pub struct ResponseBody<B> {
        // Dropped in this order: the upstream's body before the slot.
        #[pin]
        inner: Option<B>,
        flight: Option<Box<Flight>>,
        refusal: Option<Bytes>,
    }
}

impl<B: Body> ResponseBody<B> {
    pub(super) fn measured(inner: B, mut flight: Option<Box<Flight>>) -> Self {
        // A body that is over before it began is never polled at all.
        let inner = if inner.is_end_stream() {
            drop(inner);
            Flight::end_all(&mut flight, End::Clean);
            None
        } else {
            Some(inner)
        };
        Self { inner, flight, refusal: None }
    }

    pub(super) fn refusal(body: Bytes) -> Self {
        Self { inner: None, flight: None, refusal: Some(body) }
    }
}

impl<B> ResponseBody<B> {
    /// Whether the upstream's body is there and has not ended.
    pub(super) fn is_open(&self) -> bool {
        self.inner.is_some()
    }

    /// From here on the body is read by one and handed over by another.
    pub(super) fn hand_over(&mut self) {
        if let Some(flight) = &mut self.flight {
            flight.hand_over();
        }
    }

    /// A frame with so many bytes of data is handed over.
    pub(super) fn handed(self: Pin<&mut Self>, bytes: usize) {
        if let Some(flight) = self.project().flight {
            flight.handed(bytes as u64);
        }
    }

    /// All of it has been handed over.
    pub(super) fn handed_over(self: Pin<&mut Self>) {
        Flight::handed_over(self.project().flight);
    }

    /// The upstream's body; absent once it has ended, and in a refusal.
    pub fn get_ref(&self) -> Option<&B> {
        self.inner.as_ref()
    }

    /// The upstream's body; absent once it has ended, and in a refusal.
    pub fn get_mut(&mut self) -> Option<&mut B> {
        self.inner.as_mut()
    }
}

impl<B> Body for ResponseBody<B>
where
    B: Body,
    B::Data: From<Bytes>,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let Some(mut inner) = this.inner.as_mut().as_pin_mut() else {
            return Poll::Ready(this.refusal.take().map(|body| Ok(Frame::data(body.into()))));
        };
        if let Some(flight) = this.flight {
            flight.ask();
        }
        let frame = ready!(inner.as_mut().poll_frame(cx));
        let end = match &frame {
            None => Some(End::Clean),
            Some(Err(_)) => Some(End::BodyError),
            Some(Ok(frame)) => {
                if let Some(flight) = this.flight {
                    flight.frame(frame.data_ref());
                }
                // After trailers, or after the hint, a server polls no more.
                (frame.is_trailers() || inner.is_end_stream()).then_some(End::Clean)
            }
        };
        if let Some(end) = end {
            this.inner.set(None);
            Flight::end_all(this.flight, end);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Some(inner) => inner.is_end_stream(),
            None => self.refusal.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Some(inner) => inner.size_hint(),
            None => SizeHint::with_exact(self.refusal.as_ref().map_or(0, |body| body.len() as u64)),
        }
    }
}

impl<B> fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").field("flight", &self.flight).finish_non_exhaustive()
    }
}
