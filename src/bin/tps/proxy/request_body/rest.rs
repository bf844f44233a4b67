//! What of a body comes from the connection while it goes to the upstream.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame};
use http_body_util::{LengthLimitError, Limited};
use hyper::body::Incoming;
use tokio::sync::oneshot;
use tokio::time::{Sleep, sleep};
use tower::BoxError;

use super::SILENCE;
use crate::proxy::upstream::Kind;

/// The rest of a body, and how long it may keep us waiting.
#[derive(Debug)]
pub(super) struct Rest {
    pub(super) body: Limited<Incoming>,
    /// Who is told that the client is gone; there until then.
    pub(super) gone: Option<oneshot::Sender<()>>,
    /// There while it keeps us waiting.
    silence: Option<Pin<Box<Sleep>>>,
}

/// Why the rest of a body did not come. To be told from what fails upstream.
#[derive(Debug)]
pub(crate) struct BrokenOff(BoxError);

/// Its client has sent nothing for too long.
#[derive(Debug)]
struct Silence;

impl Rest {
    /// Of this body, which may have so many bytes more.
    pub(super) fn new(body: Incoming, most: usize) -> Self {
        Self { body: Limited::new(body, most), gone: None, silence: None }
    }

    /// The next frame. Where its client is gone, it never comes.
    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            self.silence = None;
            let error = frame.as_ref().and_then(|frame| frame.as_ref().err()?.downcast_ref());
            let breaks_off = error.is_some_and(|error: &hyper::Error| !error.is_parse());
            // Where the whole connection is dropped, the body just stops.
            let stops_short = frame.is_none() && self.body.size_hint().lower() > 0;
            if breaks_off || stops_short {
                // Who is told drops the call, and this with it.
                let _ = self.gone.take().map(|gone| gone.send(()));
                return Poll::Pending;
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(BrokenOff)));
        }
        ready!(self.silence.get_or_insert_with(|| Box::pin(sleep(SILENCE))).as_mut().poll(cx));
        Poll::Ready(Some(Err(BrokenOff(Silence.into()))))
    }
}

// === impl BrokenOff ===

impl BrokenOff {
    /// What the answer is to call it.
    pub(crate) fn kind(&self) -> Kind {
        if self.0.is::<Silence>() {
            Kind::RequestTimeout
        } else if self.0.is::<LengthLimitError>() {
            Kind::RequestTooLarge
        } else {
            Kind::Request
        }
    }
}

impl fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for BrokenOff {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("its body did not come in time")
    }
}

impl Error for Silence {}
