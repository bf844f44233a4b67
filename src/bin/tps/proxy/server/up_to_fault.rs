//! A response that breaks off comes to its client up to where it broke off.
//!
//! hyper drops an HTTP/1 connection as soon as a body fails, with all that it
//! has not written yet: the last tokens, or the whole response. Here such a body
//! fails only once the connection has written everything before.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::strict::Handle;

pin_project! {
    /// A body that has its connection cut rather than fail.
    pub(super) struct UpToFault<B> {
        #[pin]
        body: B,
        // Absent in HTTP/2, where only one stream of the connection has failed.
        connection: Option<Handle>,
        has_failed: bool,
    }

    impl<B> PinnedDrop for UpToFault<B> {
        fn drop(this: Pin<&mut Self>) {
            if let Some(connection) = &this.connection {
                connection.answered();
            }
        }
    }
}

impl<B> UpToFault<B> {
    pub(super) fn new(body: B, connection: Option<Handle>) -> Self {
        Self { body, connection, has_failed: false }
    }
}

impl<B: Body> Body for UpToFault<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        if *this.has_failed {
            return Poll::Pending;
        }
        let frame = ready!(this.body.poll_frame(cx));
        if let (Some(Err(_)), Some(connection)) = (&frame, &this.connection) {
            // Nobody has to be woken: the connection asks, and now it flushes.
            *this.has_failed = true;
            connection.cut();
            return Poll::Pending;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        !self.has_failed && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
