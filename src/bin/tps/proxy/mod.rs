//! `tps proxy`: starts everything or nothing, serves, and ends in good order.

mod admin;
mod closing;
mod config;
mod manager;
mod pools;
pub(crate) mod request_body;
mod routes;
mod running;
pub(crate) mod server;
mod signals;
mod tls;
pub(crate) mod upstream;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::net::TcpListener;

use self::admin::{Admin, Token};
use self::config::Config;
use self::running::Running;
use self::server::Server;
use self::signals::{Signals, Wish};
use crate::args::ProxyArgs;
use crate::failure::Failure;

/// Runs until it is told to stop.
pub(crate) fn run(args: &ProxyArgs) -> Result<(), Failure> {
    let config = Config::of(args)?;
    let sockets = manager::sockets()?;
    let runtime = tokio::runtime::Runtime::new().map_err(|error| Failure::running("the runtime", error))?;
    let done = runtime.block_on(serve(args, config, sockets));
    // What is still under way after the drain is cut off here, and not waited for.
    runtime.shutdown_background();
    done
}

async fn serve(
    args: &ProxyArgs,
    config: Config,
    [clients, operators]: [Option<std::net::TcpListener>; 2],
) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    // The addresses first: a log is begun only once nothing else can fail.
    let clients = listener(clients, config.listen, "--listen").await?;
    let operators = listener(operators, config.admin, "--admin").await?;
    let token = Token::for_listener(&operators, config.admin_token_file.as_deref())?;
    let metrics = admin::recorder()?;
    let mut running = Running::start(config).await?;
    let ready = Arc::new(AtomicBool::new(true));
    let scheme = if running.certificate.is_some() { "https" } else { "http" };
    for pool in &running.config().pools {
        let (clients, base) = (address(&clients), running.base(pool)?);
        eprintln!("tps: {scheme}://{clients} -> {base}, cap {}", pool.cap);
    }
    eprintln!("tps: admin on http://{}", address(&operators));

    let admin = Admin {
        pools: running.pools.clone(),
        recent: running.recent.clone(),
        metrics,
        ready: ready.clone(),
        token: token.clone(),
    };
    let admin = tokio::spawn(admin.serve(operators));
    let server = Server::new(running.routes.clone(), running.config().max_request);
    let server = server.with_tls(running.certificate.clone());
    let stop = async {
        manager::ready();
        loop {
            match signals.next().await {
                Wish::Stop => return,
                Wish::Reload => reload(args, &mut running, token.as_ref()).await,
                Wish::ReopenLog => running.reopen_log(),
            }
        }
    };
    let connections = server.accept_until(clients, stop).await;

    ready.store(false, Ordering::Relaxed);
    manager::stopping();
    let limit = running.config().drain_timeout;
    eprintln!("tps: stopping; streams under way have {limit:?}");
    tokio::select! {
        () = connections.drain(limit) => {}
        () = signals.stop() => eprintln!("tps: stopping at once"),
    }
    admin.abort();
    closing::all(&running.all_pools(), &mut signals).await?;
    match running.dropped() {
        0 => Ok(()),
        count => Err(Failure::running("--log", format!("{count} lines could not be written"))),
    }
}

/// Reads the configuration again. One that is wrong changes nothing.
async fn reload(args: &ProxyArgs, running: &mut Running, token: Option<&Token>) {
    manager::reloading();
    let reloaded = match Config::of(args) {
        Ok(config) => running.reload(config, token).await,
        Err(failure) => Err(failure),
    };
    match reloaded {
        Ok(()) => eprintln!("tps: reloaded"),
        Err(failure) => failure.warn("it goes on as it was"),
    }
    manager::ready();
}

/// The socket that was given, or one bound to the address.
async fn listener(
    given: Option<std::net::TcpListener>,
    address: SocketAddr,
    flag: &str,
) -> Result<TcpListener, Failure> {
    if let Some(given) = given {
        let taken = given.set_nonblocking(true).and_then(|()| TcpListener::from_std(given));
        return taken.map_err(|error| Failure::usage("LISTEN_FDS", error, "give TCP sockets that listen"));
    }
    TcpListener::bind(address)
        .await
        .map_err(|error| Failure::usage(format!("{flag} {address}"), error, "choose another address"))
}

/// The address that was bound, which may have been asked for as port 0.
fn address(listener: &TcpListener) -> String {
    listener.local_addr().map_or_else(|_| "?".into(), |address| address.to_string())
}
