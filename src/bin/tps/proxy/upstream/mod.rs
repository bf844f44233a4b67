//! The server behind a pool: how it is connected to, and asked.

mod connector;
mod failure;
mod forward;
mod headers;
mod limits;
mod tunnel;

use std::path::PathBuf;
use std::time::Duration;

use http::Uri;
use http::uri::Scheme;

pub(crate) use self::connector::{Connector, plain};
pub(crate) use self::failure::{Kind, failed};
pub(crate) use self::forward::{Forward, UpstreamBody};
pub(crate) use self::headers::{Hop, take_in};
pub(crate) use self::limits::{Limited, Limits, Timed};
use crate::args::UpstreamHttp;
use crate::failure::Failure;

/// How many idle connections are kept to an upstream with TLS, where it is not said.
/// Without TLS none is: some engines close a connection right after a stream that
/// they announced as kept alive, and a request just sent on it is lost.
const IDLE: usize = 32;

/// How an upstream is spoken to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Protocol {
    pub(crate) http: UpstreamHttp,
    /// How many idle connections are kept.
    pub(crate) keep_alive: Option<usize>,
    /// Certificates to trust beside the system's.
    pub(crate) ca: Option<PathBuf>,
}

impl Protocol {
    /// What connects so, within that time. Errors about its files begin with `place`.
    pub(crate) fn connector(&self, limit: Duration, place: &str) -> Result<Connector, Failure> {
        connector::of(self, limit, place)
    }

    /// How many idle connections are kept to that address.
    pub(crate) fn idle(&self, base: &Uri) -> usize {
        let default = if base.scheme() == Some(&Scheme::HTTPS) { IDLE } else { 0 };
        self.keep_alive.unwrap_or(default)
    }

    /// Whether HTTP/2 is spoken without being agreed on.
    pub(crate) fn is_http2(&self) -> bool {
        self.http == UpstreamHttp::Two
    }
}
