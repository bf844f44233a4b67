//! A response's body, on its way to the caller.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::withhold::Filter;

pin_project! {
    /// A response's body on its way to the caller: as it comes, or without the
    /// event that the caller did not ask for.
    pub struct ResponseBody<B>
    where
        B: Body,
    {
        #[pin]
        inner: B,
        withholding: Option<Box<Withholding<B::Error>>>,
    }
}

struct Withholding<E> {
    filter: Filter,
    /// What came after the bytes that the filter still has.
    next: Option<Result<Frame<Bytes>, E>>,
    ended: bool,
}

// === impl ResponseBody ===

impl<B: Body> ResponseBody<B> {
    pub(super) fn passing(inner: B) -> Self {
        Self { inner, withholding: None }
    }

    pub(super) fn withholding(inner: B) -> Self {
        let withholding = Withholding { filter: Filter::default(), next: None, ended: false };
        Self { inner, withholding: Some(Box::new(withholding)) }
    }

    /// The inner service's body.
    pub fn get_ref(&self) -> &B {
        &self.inner
    }

    /// The inner service's body.
    pub fn get_mut(&mut self) -> &mut B {
        &mut self.inner
    }

    /// The inner service's body. Bytes that are held back are lost.
    pub fn into_inner(self) -> B {
        self.inner
    }
}

impl<B: Body<Data = Bytes>> Body for ResponseBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut this = self.project();
        let Some(Withholding { filter, next, ended }) = this.withholding.as_deref_mut() else {
            return this.inner.poll_frame(cx);
        };
        loop {
            if let Some(bytes) = filter.pop() {
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            if let Some(next) = next.take() {
                return Poll::Ready(Some(next));
            }
            if *ended {
                return Poll::Ready(None);
            }
            match ready!(this.inner.as_mut().poll_frame(cx)).map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => filter.push(&data),
                Some(Ok(Err(trailers))) => {
                    filter.release();
                    *next = Some(Ok(trailers));
                }
                Some(Err(error)) => {
                    filter.release();
                    *next = Some(Err(error));
                }
                None => {
                    filter.release();
                    *ended = true;
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let all_passed = |own: &Withholding<B::Error>| own.filter.is_empty() && own.next.is_none();
        match &self.withholding {
            Some(own) => all_passed(own) && (own.ended || self.inner.is_end_stream()),
            None => self.inner.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self.withholding {
            // How much will be withheld is not known.
            Some(_) => SizeHint::default(),
            None => self.inner.size_hint(),
        }
    }
}

impl<B: Body> fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let withholding = self.withholding.is_some();
        f.debug_struct("ResponseBody").field("withholding", &withholding).finish_non_exhaustive()
    }
}
