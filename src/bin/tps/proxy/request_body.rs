//! A request's body, of which the beginning has been read before it queues.
//!
//! A body that nobody reads hides from the server that its client is gone. Read
//! up to a bound, the connection is free to show a hang-up, and a request that
//! is abandoned in the queue leaves it at once.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use tokio::sync::oneshot;
use tokio::time::{Sleep, sleep, timeout};
use tower::BoxError;

/// How much is read beforehand. What is longer goes on from the connection.
const MOST_HELD: usize = 1024 * 1024;

/// How long a client may be silent in the middle of its request.
const SILENCE: Duration = Duration::from_secs(60);

/// What has been read, and what is still to come.
#[derive(Debug)]
pub(crate) struct RequestBody {
    held: Bytes,
    rest: Option<Rest>,
}

/// What comes from the connection, and how long it may keep us waiting.
#[derive(Debug)]
struct Rest {
    body: Limited<Incoming>,
    /// Who is told that the client is gone; there until then.
    gone: Option<oneshot::Sender<()>>,
    /// There while it does.
    silence: Option<Pin<Box<Sleep>>>,
}

/// Why the beginning of a body is not there.
#[derive(Debug)]
pub(super) enum Unread {
    /// It breaks off, or is none.
    Broken(hyper::Error),
    /// It is larger than is allowed.
    TooLarge,
    /// Its client has fallen silent.
    Silent,
}

/// Why the rest of a body did not come. To be told from what fails upstream.
#[derive(Debug)]
pub(crate) struct BrokenOff(BoxError);

/// Its client has sent nothing for too long.
#[derive(Debug)]
struct Silence;

impl BrokenOff {
    /// Whether its client has sent nothing for too long.
    pub(super) fn is_by_silence(&self) -> bool {
        self.0.is::<Silence>()
    }
}

impl Rest {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
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

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("its body did not come in time")
    }
}

impl Error for Silence {}

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

impl RequestBody {
    /// Reads a body to its end, or to the bound. It may have `most` bytes in all.
    pub(super) async fn read(mut body: Incoming, most: u64) -> Result<Self, Unread> {
        if body.size_hint().lower() > most {
            return Err(Unread::TooLarge);
        }
        let mut held = BytesMut::new();
        while held.len() < MOST_HELD {
            let Ok(frame) = timeout(SILENCE, body.frame()).await else { return Err(Unread::Silent) };
            let Some(frame) = frame else {
                return Ok(Self { held: held.freeze(), rest: None });
            };
            // Trailers of a request are for the hop that they came on.
            if let Ok(data) = frame.map_err(Unread::Broken)?.into_data() {
                held.extend_from_slice(&data);
            }
            if held.len() as u64 > most {
                return Err(Unread::TooLarge);
            }
        }
        let left = usize::try_from(most - held.len() as u64).unwrap_or(usize::MAX);
        Ok(Self {
            held: held.freeze(),
            rest: Some(Rest { body: Limited::new(body, left), gone: None, silence: None }),
        })
    }

    /// Waits until the client is found to be gone in the middle of its body. The server
    /// does not drop the request's call for that.
    pub(super) fn gone(&mut self) -> impl Future<Output = ()> + use<> {
        let gone = self.rest.as_mut().map(|rest| {
            let (tells, told) = oneshot::channel();
            rest.gone = Some(tells);
            told
        });
        async move {
            let is_gone = match gone {
                Some(told) => told.await.is_ok(),
                None => false,
            };
            if !is_gone {
                std::future::pending().await
            }
        }
    }

    /// What has been read: all of it, unless it is very long.
    pub(super) fn held(&self) -> &[u8] {
        &self.held
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let held = std::mem::take(&mut self.held);
        if !held.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(held))));
        }
        match &mut self.rest {
            Some(rest) => rest.poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_empty() && self.rest.as_ref().is_none_or(|rest| rest.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let held = self.held.len() as u64;
        let Some(rest) = &self.rest else { return SizeHint::with_exact(held) };
        let mut hint = SizeHint::new();
        let rest = rest.body.size_hint();
        hint.set_lower(rest.lower().saturating_add(held));
        if let Some(upper) = rest.upper().and_then(|upper| upper.checked_add(held)) {
            hint.set_upper(upper);
        }
        hint
    }
}
