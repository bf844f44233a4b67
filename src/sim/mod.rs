//! A simulated LLM engine: a real HTTP/1.1 server on loopback that behaves like
//! a continuous-batching engine, and knows the truth about what it sent.
//!
//! It has slots and a FIFO queue before them, a prefill that grows with the
//! prompt, paced tokens, and faults. A request's behaviour is drawn from a
//! stream keyed by the seed, its body, and how often that body came before: it
//! does not depend on what else is under way.
//!
//! It answers `POST /v1/chat/completions` and `POST /v1/completions`, streamed
//! or whole, `GET /v1/models` and `GET /health`. The header `x-sim-fault` asks
//! for one fault: `status=429`, `status=500`, `error-event`, `truncate`,
//! `stall` or `drop`.

mod builder;
mod engine;
mod faults;
mod request;
mod response;
mod serve;
mod truth;

pub use self::builder::Builder;
pub use self::faults::Faults;
pub use self::truth::{RequestTruth, Truth};

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::task::JoinHandle;

/// A running engine. Dropping it stops the server and cuts its connections.
pub struct Engine {
    addr: SocketAddr,
    core: Arc<engine::Core>,
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
        self.core.books.snapshot()
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
