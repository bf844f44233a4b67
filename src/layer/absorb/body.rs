//! The body that the client takes.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::runtime::Handle;

use super::ahead::Ahead;
use crate::layer::ResponseBody as Measured;

pin_project! {
    /// A response's body, read ahead of the client who takes it. Frames, trailers
    /// and errors pass unchanged and in their order, and size hints are as if the
    /// client read the upstream's body itself.
    pub struct ResponseBody<B>
    where
        B: Body,
    {
        #[pin]
        way: Way<B>,
    }
}

pin_project! {
    #[project = WayProjection]
    enum Way<B>
    where
        B: Body,
    {
        /// A refusal, a body that is over, or nobody to read ahead.
        Straight { #[pin] body: Measured<B> },
        Ahead { ahead: Ahead<B>, size: SizeHint, taken: u64 },
    }
}

impl<B> ResponseBody<B>
where
    B: Body + Send + 'static,
    B::Data: From<Bytes> + Send,
    B::Error: Send,
{
    /// Begins to read ahead, up to this limit.
    pub(super) fn new(body: Measured<B>, limit: usize) -> Self {
        let way = match Handle::try_current() {
            Ok(runtime) if limit > 0 && body.is_open() => {
                let size = body.size_hint();
                Way::Ahead { ahead: Ahead::start(body, limit, &runtime), size, taken: 0 }
            }
            _ => Way::Straight { body },
        };
        Self { way }
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
        match self.project().way.project() {
            WayProjection::Straight { body } => body.poll_frame(cx),
            WayProjection::Ahead { ahead, taken, .. } => {
                let frame = ready!(ahead.poll_frame(cx));
                if let Some(data) = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()) {
                    *taken = taken.saturating_add(data.remaining() as u64);
                }
                Poll::Ready(frame)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.way {
            Way::Straight { body } => body.is_end_stream(),
            Way::Ahead { ahead, .. } => ahead.is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.way {
            Way::Straight { body } => body.size_hint(),
            Way::Ahead { size, taken, .. } => less(size, *taken),
        }
    }
}

/// What is left of a size when so many bytes are gone.
fn less(size: &SizeHint, bytes: u64) -> SizeHint {
    let mut left = SizeHint::new();
    if let Some(upper) = size.upper() {
        left.set_upper(upper.saturating_sub(bytes));
    }
    left.set_lower(size.lower().saturating_sub(bytes));
    left
}

impl<B: Body> fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.way {
            Way::Straight { body } => body.fmt(f),
            Way::Ahead { ahead, .. } => ahead.fmt(f),
        }
    }
}
