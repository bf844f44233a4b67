//! The signals that the proxy heeds.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::Failure;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// SIGTERM or SIGINT.
    Stop,
    /// SIGHUP.
    Reload,
    /// SIGUSR1.
    ReopenLog,
}

/// All of them, from the moment it is made.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    user1: Signal,
}

impl Signals {
    pub(super) fn new() -> Result<Self, Failure> {
        let of = |kind| signal(kind).map_err(|error| Failure::running("signals", error));
        Ok(Self {
            terminate: of(SignalKind::terminate())?,
            interrupt: of(SignalKind::interrupt())?,
            hangup: of(SignalKind::hangup())?,
            user1: of(SignalKind::user_defined1())?,
        })
    }

    pub(super) async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.terminate.recv() => Wish::Stop,
            _ = self.interrupt.recv() => Wish::Stop,
            _ = self.hangup.recv() => Wish::Reload,
            _ = self.user1.recv() => Wish::ReopenLog,
        }
    }

    /// Waits for a stop, and lets the rest pass.
    pub(super) async fn stop(&mut self) {
        while self.next().await != Wish::Stop {}
    }
}
