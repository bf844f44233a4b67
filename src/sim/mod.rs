//! A simulated LLM engine, which behaves like a continuous-batching one and
//! knows the truth about what it sent: a real HTTP server on loopback, or a
//! Tower [`Service`] for tests under tokio's paused clock. Both are the same code.
//!
//! It has slots and a FIFO queue before them, a prefill that grows with the
//! prompt, paced tokens, and faults. A request's behaviour is drawn from a
//! stream keyed by the seed, its body, and how often that body came before: it
//! does not depend on what else is under way.
//!
//! It answers `POST /v1/chat/completions` and `POST /v1/completions`, streamed
//! or whole, `GET /v1/models` and `GET /health`. The server speaks HTTP/1.1, and
//! HTTP/2 to a client that begins with it.
//!
//! # On demand
//!
//! A request asks by its headers for what is to happen to it. A value that
//! cannot be read is as if it were not there.
//!
//! | header | what happens |
//! |---|---|
//! | `x-sim-fault: NAME` | a fault: `status=429`, `status=500`, `error-event`, `truncate`, `stall` or `drop`, as [`Faults`] has them |
//! | `x-sim-fault: NAME;times=N` | the same, for the first N requests with this body only |
//! | `x-sim-retry-after: SECONDS` | the `retry-after` of a 429, which is 1 unless told |
//! | `x-sim-headers-delay: MILLIS` | the upstream's own queue: so long nothing happens, and only then the request takes its place in line for a slot, where a stream's headers leave |
//! | `x-sim-pause: MILLIS` | after half of the tokens, rounded down, and before a fault in the stream, the engine is silent for so long on top of the time that the next token takes |
//!
//! # A client that does not read
//!
//! One chunk waits for the client, no more: with the next one ready the engine
//! stands still and keeps its slot. It does not catch up afterwards. The truth
//! has when each token was ready and when it left. Over TCP the chunks that the
//! connection's buffers take have left.

mod asked;
mod body;
mod builder;
mod engine;
mod faults;
mod generate;
mod request;
mod response;
mod serve;
mod service;
mod truth;

pub use self::body::ResponseBody;
pub use self::builder::Builder;
pub use self::faults::Faults;
pub use self::service::Service;
pub use self::truth::{RequestTruth, Truth};

use std::fmt;
use std::net::SocketAddr;

use tokio::task::JoinHandle;

use crate::clock::Instant;

/// A running engine. Dropping it stops the server and cuts its connections.
pub struct Engine {
    addr: SocketAddr,
    service: Service,
    server: JoinHandle<()>,
}

impl Engine {
    /// The settings of an engine to be started.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The base URL, without a slash at its end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// What has happened so far, all read at one moment.
    #[must_use]
    pub fn truth(&self) -> Truth {
        self.service.truth()
    }

    /// When it started: the instant from which those of its truth are counted.
    #[must_use]
    pub fn started_at(&self) -> Instant {
        self.service.started_at()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("addr", &self.addr).finish_non_exhaustive()
    }
}
