//! A request's body, of which the beginning has been read before it queues.
//!
//! A body that nobody reads hides from the server that its client is gone. Read
//! up to a bound, the connection is free to show a hang-up, and a request that
//! is abandoned in the queue leaves it at once.

mod rest;
mod room;

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::oneshot;
use tokio::time::timeout;

pub(crate) use self::rest::BrokenOff;
use self::rest::Rest;
use self::room::Room;
use super::upstream::Kind;

/// How much is read beforehand. What is longer goes on from the connection.
const MOST_HELD: usize = 1024 * 1024;

/// How long a client may be silent in the middle of its request.
const SILENCE: Duration = Duration::from_secs(60);

/// What has been read, and what is still to come.
#[derive(Debug)]
pub(crate) struct RequestBody {
    held: Bytes,
    room: Room,
    rest: Option<Rest>,
}

/// Why a body is not there: what the answer is to call it, and why.
#[derive(Debug)]
pub(super) struct Unread {
    pub(super) kind: Kind,
    pub(super) why: String,
}

impl RequestBody {
    /// Reads a body to its end, or to the bound. It may have `most` bytes in all.
    pub(super) async fn read(mut body: Incoming, most: u64) -> Result<Self, Unread> {
        if body.size_hint().lower() > most {
            return Err(Unread::too_large());
        }
        let (mut held, mut room) = (BytesMut::new(), Room::default());
        while held.len() < MOST_HELD {
            let Ok(frame) = timeout(SILENCE, body.frame()).await else {
                return Err(Unread::of(Kind::RequestTimeout, "its body did not come in time"));
            };
            let Some(frame) = frame else {
                return Ok(Self { held: held.freeze(), room, rest: None });
            };
            let frame = frame.map_err(|error| Unread::of(Kind::Request, &error.to_string()))?;
            // Trailers of a request are for the hop that they came on.
            let Ok(data) = frame.into_data() else { continue };
            if (held.len() + data.len()) as u64 > most {
                return Err(Unread::too_large());
            }
            if !room.grows_to(held.len() + data.len()) {
                return Err(Unread::no_room());
            }
            held.extend_from_slice(&data);
        }
        let left = usize::try_from(most - held.len() as u64).unwrap_or(usize::MAX);
        Ok(Self { held: held.freeze(), room, rest: Some(Rest::new(body, left)) })
    }

    /// Reads the rest of it too.
    pub(super) async fn read_on(&mut self) -> Result<(), Unread> {
        let Some(rest) = &mut self.rest else { return Ok(()) };
        let mut held = BytesMut::from(std::mem::take(&mut self.held));
        while let Some(frame) = poll_fn(|cx| rest.poll_frame(cx)).await {
            let frame = frame.map_err(|error| Unread::of(error.kind(), &error.to_string()))?;
            let Ok(data) = frame.into_data() else { continue };
            if !self.room.grows_to(held.len() + data.len()) {
                return Err(Unread::no_room());
            }
            held.extend_from_slice(&data);
        }
        self.held = held.freeze();
        self.rest = None;
        Ok(())
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

impl Unread {
    pub(super) fn of(kind: Kind, why: &str) -> Self {
        Self { kind, why: why.to_owned() }
    }

    fn too_large() -> Self {
        Self::of(Kind::RequestTooLarge, "its body is too large")
    }

    fn no_room() -> Self {
        Self::of(Kind::NoRoom, "so much waits that there is no room for it")
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
        // It is the upstream's now.
        self.room = Room::default();
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
