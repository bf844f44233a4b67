//! What systemd, or a manager that speaks as it does, gives and is told.

use listenfd::ListenFd;
use sd_notify::NotifyState;

use crate::failure::Failure;

/// The sockets that were opened for us: the clients', then the operators'. Each is
/// absent where there is none.
pub(super) fn sockets() -> Result<[Option<std::net::TcpListener>; 2], Failure> {
    let mut given = ListenFd::from_env();
    let mut take = |index| given.take_tcp_listener(index);
    let failed = |error| Failure::usage("LISTEN_FDS", error, "give TCP sockets that listen");
    Ok([take(0).map_err(failed)?, take(1).map_err(failed)?])
}

pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

pub(super) fn reloading() {
    // The time is what `Type=notify-reload` asks for; without it, it is told less.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        eprintln!("tps: the service manager cannot be told: {error}");
    }
}
