//! A client's connection: hyper sees only what can be read in one way of it, and
//! it can be cut behind what was written.
//!
//! What comes behind a request is kept back until that is answered. hyper would
//! take it in, and then not see that its client is gone.
//!
//! In place of all bytes from the first on that must not be read, hyper is shown
//! a few that are no part of any request: it answers 400 and closes.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use parking_lot::Mutex;
use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::framing::{Framing, Stop};

/// Ends a head, a chunk's line and a trailer alike, and is right in none of them.
const WRONG: &[u8] = b"\0\r\0\n\n";

/// How much of later requests is kept. A client that has sent more is not seen to go.
const MOST_HELD: usize = 64 * 1024;

/// How long a client may take nothing of what is there for it.
const SILENCE: Duration = Duration::from_secs(60);

/// How much is read at once of them.
const PIECE: usize = 4 * 1024;

pin_project! {
    /// A connection whose requests are held to their framing as they come.
    #[derive(Debug)]
    pub(super) struct Strict<S> {
        #[pin]
        stream: S,
        framing: Framing,
        // What is still to be shown in place of what is refused, if anything is.
        instead: Option<&'static [u8]>,
        // What has come behind the request that is being answered.
        held: Vec<u8>,
        // How many requests have been read to their end.
        requests: u64,
        handle: Handle,
        // There while the client takes nothing.
        silence: Option<Pin<Box<Sleep>>>,
    }
}

/// Fails where the client has taken nothing for too long: it would hold its slot for
/// as long as it likes.
fn taken(
    silence: &mut Option<Pin<Box<Sleep>>>,
    cx: &mut Context<'_>,
    written: Poll<io::Result<usize>>,
) -> Poll<io::Result<usize>> {
    if written.is_ready() {
        *silence = None;
        return written;
    }
    ready!(silence.get_or_insert_with(|| Box::pin(sleep(SILENCE))).as_mut().poll(cx));
    Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
}

/// Tells a [`Strict`] what it cannot see.
#[derive(Clone, Debug, Default)]
pub(super) struct Handle(Arc<Flags>);

#[derive(Debug, Default)]
struct Flags {
    is_switched: AtomicBool,
    is_cut: AtomicBool,
    answered: AtomicU64,
    /// Who waits for the next answer.
    reader: Mutex<Option<Waker>>,
}

impl Handle {
    /// The connection speaks another protocol from now on. To be said before
    /// the 101 goes out: the client sends nothing else until it has that.
    pub(super) fn switch(&self) {
        self.0.is_switched.store(true, Ordering::Release);
    }

    /// One more request has its whole answer, and the next may be read.
    pub(super) fn answered(&self) {
        self.0.answered.fetch_add(1, Ordering::Release);
        if let Some(reader) = self.0.reader.lock().take() {
            reader.wake();
        }
    }

    /// The connection fails once all that was handed to it has been written.
    pub(super) fn cut(&self) {
        self.0.is_cut.store(true, Ordering::Release);
    }
}

impl<S> Strict<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            framing: Framing::new(),
            instead: None,
            held: Vec::new(),
            requests: 0,
            handle: Handle::default(),
            silence: None,
        }
    }

    pub(super) fn handle(&self) -> Handle {
        self.handle.clone()
    }
}

impl<S: AsyncRead> AsyncRead for Strict<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut this = self.project();
        let before = buffer.filled().len();
        loop {
            if let Some(wrong @ [_, ..]) = this.instead {
                let (now, later) = wrong.split_at(wrong.len().min(buffer.remaining()));
                buffer.put_slice(now);
                *this.instead = Some(later);
                return Poll::Ready(Ok(()));
            }
            if *this.requests > this.handle.0.answered.load(Ordering::Acquire) {
                *this.handle.0.reader.lock() = Some(cx.waker().clone());
                if this.held.len() >= MOST_HELD {
                    return Poll::Pending;
                }
                let mut piece = [0; PIECE];
                let mut piece = ReadBuf::new(&mut piece);
                ready!(this.stream.as_mut().poll_read(cx, &mut piece))?;
                if piece.filled().is_empty() {
                    return Poll::Ready(Ok(()));
                }
                this.held.extend_from_slice(piece.filled());
                continue;
            }
            if this.held.is_empty() {
                ready!(this.stream.as_mut().poll_read(cx, buffer))?;
            } else {
                let count = this.held.len().min(buffer.remaining());
                buffer.put_slice(this.held.drain(..count).as_slice());
            }
            let Some(new @ [_, ..]) = buffer.filled().get(before..) else { return Poll::Ready(Ok(())) };
            if this.handle.0.is_switched.load(Ordering::Acquire) {
                this.framing.pass();
            }
            match this.framing.read(new) {
                None => return Poll::Ready(Ok(())),
                Some(Stop::End(at)) => {
                    *this.requests += 1;
                    this.held.splice(..0, new.iter().skip(at).copied());
                    buffer.set_filled(before + at);
                    return Poll::Ready(Ok(()));
                }
                Some(Stop::Refused(at)) => {
                    buffer.set_filled(before + at);
                    // Later ones are read for the sake of the end that comes after them.
                    this.instead.get_or_insert(WRONG);
                    if at > 0 {
                        return Poll::Ready(Ok(()));
                    }
                }
            }
        }
    }
}

impl<S: AsyncWrite> AsyncWrite for Strict<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.project();
        let written = this.stream.poll_write(cx, bytes);
        taken(this.silence, cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.project();
        let written = this.stream.poll_write_vectored(cx, slices);
        taken(this.silence, cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.project();
        // hyper flushes what it has written to, and has nothing left then.
        ready!(this.stream.poll_flush(cx))?;
        if this.handle.0.is_cut.load(Ordering::Acquire) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().stream.poll_shutdown(cx)
    }
}
