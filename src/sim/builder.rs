//! The engine's settings, and its start.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use super::engine::Core;
use super::service::Service;
use super::{Engine, Faults, serve};

/// Settings of a simulated [`Engine`].
#[derive(Clone, Debug)]
#[must_use = "an engine serves only once started"]
pub struct Builder {
    pub(super) slots: usize,
    pub(super) prefill_per_token: Duration,
    pub(super) token_interval: Duration,
    pub(super) jitter: f64,
    pub(super) tokens_per_chunk: usize,
    pub(super) connect_delay: Duration,
    pub(super) seed: u64,
    pub(super) faults: Faults,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            slots: 8,
            prefill_per_token: Duration::from_micros(200),
            token_interval: Duration::from_millis(10),
            jitter: 0.0,
            tokens_per_chunk: 1,
            connect_delay: Duration::ZERO,
            seed: 0,
            faults: Faults::default(),
        }
    }
}

impl Builder {
    /// How many requests generate at once; at least 1, 8 unless told.
    pub fn slots(mut self, slots: usize) -> Self {
        self.slots = slots.clamp(1, tokio::sync::Semaphore::MAX_PERMITS);
        self
    }

    /// Prefill time for each word of the prompt; 0.2 ms unless told.
    pub fn prefill_per_token(mut self, time: Duration) -> Self {
        self.prefill_per_token = time;
        self
    }

    /// Mean time from one token to the next; 10 ms unless told.
    pub fn token_interval(mut self, interval: Duration) -> Self {
        self.token_interval = interval;
        self
    }

    /// How far an interval strays from its mean, as a fraction from 0 (the default) to 1.
    pub fn jitter(mut self, fraction: f64) -> Self {
        self.jitter = if fraction.is_nan() { 0.0 } else { fraction.clamp(0.0, 1.0) };
        self
    }

    /// How many tokens travel in one chunk; at least 1, the default.
    pub fn tokens_per_chunk(mut self, tokens: usize) -> Self {
        self.tokens_per_chunk = tokens.max(1);
        self
    }

    /// Time spent on each new connection before it is served, as a TLS handshake would; none unless told.
    pub fn connect_delay(mut self, delay: Duration) -> Self {
        self.connect_delay = delay;
        self
    }

    /// What all random draws start from; 0 unless told.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// How often requests fail; never unless told.
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// The engine without a network, started now: to be called in a tokio runtime with its timer on.
    /// There are no connections, and [`connect_delay`](Self::connect_delay) says nothing.
    pub fn service(self) -> Service {
        Service { core: Arc::new(Core::new(self)) }
    }

    /// Listens on a free port of the loopback and serves from the current runtime.
    ///
    /// # Errors
    ///
    /// When no port can be bound.
    pub async fn start(self) -> io::Result<Engine> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let service = self.service();
        let server = tokio::spawn(serve::accept(listener, service.clone()));
        Ok(Engine { addr, service, server })
    }
}
