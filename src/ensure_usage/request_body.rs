//! A request's body, of which the beginning may have been read already.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    /// A request's body on its way to the inner service: as it came, or with
    /// the usage asked for.
    pub struct RequestBody<B>
    where
        B: Body,
    {
        held: Bytes,
        next: Option<Result<Frame<Bytes>, B::Error>>,
        #[pin]
        rest: Rest<B>,
    }
}

pin_project! {
    #[project = RestProjection]
    enum Rest<B> {
        Untouched { #[pin] body: B },
        Begun { body: Pin<Box<B>> },
        Ended,
    }
}

// === impl RequestBody ===

impl<B: Body> RequestBody<B> {
    pub(super) fn untouched(body: B) -> Self {
        Self { held: Bytes::new(), next: None, rest: Rest::Untouched { body } }
    }

    /// What is held comes first, then the frame or the error, then the rest.
    pub(super) fn begun(
        held: Bytes,
        next: Option<Result<Frame<Bytes>, B::Error>>,
        rest: Option<Pin<Box<B>>>,
    ) -> Self {
        Self { held, next, rest: rest.map_or(Rest::Ended, |body| Rest::Begun { body }) }
    }

    /// The caller's body, of which some may have been read already; absent once
    /// it has been read to its end.
    pub fn get_ref(&self) -> Option<&B> {
        match &self.rest {
            Rest::Untouched { body } => Some(body),
            Rest::Begun { body } => Some(body),
            Rest::Ended => None,
        }
    }
}

impl<B: Body<Data = Bytes>> Body for RequestBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        if !this.held.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(this.held)))));
        }
        if let Some(next) = this.next.take() {
            return Poll::Ready(Some(next));
        }
        match this.rest.project() {
            RestProjection::Untouched { body } => body.poll_frame(cx),
            RestProjection::Begun { body } => body.as_mut().poll_frame(cx),
            RestProjection::Ended => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_empty() && self.next.is_none() && self.get_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let next = self.next.as_ref().and_then(|next| next.as_ref().ok()?.data_ref());
        let before = (self.held.len() + next.map_or(0, Bytes::len)) as u64;
        let Some(rest) = self.get_ref().map(Body::size_hint) else { return SizeHint::with_exact(before) };
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(before));
        if let Some(upper) = rest.upper().and_then(|upper| upper.checked_add(before)) {
            hint.set_upper(upper);
        }
        hint
    }
}

impl<B: Body> fmt::Debug for RequestBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBody").field("held", &self.held.len()).finish_non_exhaustive()
    }
}
