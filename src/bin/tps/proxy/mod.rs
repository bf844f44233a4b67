//! `tps proxy`: starts everything or nothing, serves, and ends in good order.

mod admin;
pub(crate) mod forward;
mod framing;
pub(crate) mod request_body;
pub(crate) mod server;
mod strict;
mod up_to_fault;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tower_layer::Layer;
use tower_tps::Pool;
use tower_tps::observe::{Dropped, RunLog};
use tower_tps::sim::Engine;

use self::admin::Admin;
use self::forward::Forward;
use crate::args::{ProxyArgs, Upstream};
use crate::failure::Failure;
use crate::tokenizers;

/// How long what was cut off may take to end.
const SETTLING: Duration = Duration::from_secs(1);
/// How often to look whether it has.
const SETTLING_STEP: Duration = Duration::from_millis(2);
/// How long the log may take for its last lines.
const WRITING: Duration = Duration::from_secs(5);

/// Runs until it is told to stop.
pub(crate) fn run(args: &ProxyArgs) -> Result<(), Failure> {
    let runtime = tokio::runtime::Runtime::new().map_err(|error| Failure::running("the runtime", error))?;
    let done = runtime.block_on(serve(args));
    // What is still under way after the drain is cut off here, and not waited for.
    runtime.shutdown_background();
    done
}

async fn serve(args: &ProxyArgs) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    // The addresses first: a log is begun only once nothing else can fail.
    let clients = bind(args.listen, "--listen").await?;
    let operators = bind(args.admin, "--admin").await?;
    let engine = match args.upstream {
        Upstream::Sim => {
            Some(Engine::builder().start().await.map_err(|error| Failure::running("the engine", error))?)
        }
        Upstream::Url(_) => None,
    };
    let base = match (&args.upstream, &engine) {
        (Upstream::Url(url), _) => url.clone(),
        (Upstream::Sim, Some(engine)) => {
            engine.url().parse().map_err(|error| Failure::running("the engine's address", error))?
        }
        (Upstream::Sim, None) => return Err(Failure::running("the engine", "it did not start")),
    };
    let metrics = admin::recorder()?;
    let (pool, dropped) = pool(args)?;
    let ready = Arc::new(AtomicBool::new(true));
    eprintln!("tps: http://{} -> {base}, cap {}", address(&clients), args.cap);
    eprintln!("tps: admin on http://{}", address(&operators));

    let admin = Admin { pool: pool.clone(), metrics, ready: ready.clone() };
    let admin = tokio::spawn(admin.serve(operators));
    // No connection is kept: llama.cpp closes one right after a streamed response
    // that it announced as kept alive, and a request that was just sent on it is
    // lost. What was lost cannot be sent again blindly.
    let measured = pool.connector().layer(forward::connector());
    let measured = pool.layer().layer(Forward::new(base.clone(), 0, measured));
    let past = Forward::new(base, 0, forward::connector());
    let server = server::Server::new(measured, past);
    let connections = server.accept_until(clients, signals.next()).await;

    ready.store(false, Ordering::Relaxed);
    eprintln!("tps: stopping; streams under way have {:?}", args.drain_timeout);
    tokio::select! {
        () = connections.drain(args.drain_timeout) => {}
        () = signals.next() => eprintln!("tps: stopping at once"),
    }
    admin.abort();
    close(pool, &mut signals).await?;
    match dropped.map_or(0, |dropped| dropped.count()) {
        0 => Ok(()),
        count => Err(Failure::running("--log", format!("{count} lines could not be written"))),
    }
}

/// Closes the pool once all that was cut off has been told, and waits for the
/// log, but not for ever.
async fn close(pool: Pool, signals: &mut Signals) -> Result<(), Failure> {
    let settled = async {
        while !pool.is_settled() {
            tokio::time::sleep(SETTLING_STEP).await;
        }
    };
    if tokio::time::timeout(SETTLING, settled).await.is_err() {
        eprintln!("tps: some requests have not ended, and are not in the log, or not with their tokens");
    }
    let written = async {
        let closing = pool.clone();
        tokio::task::spawn_blocking(move || closing.close()).await?;
        while !pool.is_closed() {
            tokio::time::sleep(SETTLING_STEP).await;
        }
        Ok::<_, tokio::task::JoinError>(())
    };
    tokio::select! {
        written = tokio::time::timeout(WRITING, written) => match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Failure::running("--log", error)),
            Err(_) => Err(Failure::running("--log", "its last lines were not written in time")),
        },
        () = signals.next() => Err(Failure::running("--log", "its end was not waited for")),
    }
}

/// The pool, and the count of what its log has lost, if it has one.
fn pool(args: &ProxyArgs) -> Result<(Pool, Option<Dropped>), Failure> {
    let tokens = tokenizers::load(&args.tokenizer)?;
    let mut builder =
        Pool::builder("proxy").cap(args.cap).sample_interval(args.sample_interval).tokenizer(tokens);
    if let Some(waiting) = args.max_queue {
        builder = builder.max_queue(waiting);
    }
    if let Some(timeout) = args.queue_timeout {
        builder = builder.queue_timeout(timeout);
    }
    let mut dropped = None;
    if let Some(path) = &args.log {
        let mut log = RunLog::create(path).map_err(|error| {
            Failure::usage(format!("--log {}", path.display()), error, "give a file that can be written")
        })?;
        if let Some(id) = &args.run_id {
            log = log.run_id(id);
        }
        dropped = Some(log.dropped());
        builder = builder.observer(log);
    }
    let pool = builder.build().map_err(|error| Failure::usage("--cap", error, "see --help"))?;
    Ok((pool, dropped))
}

async fn bind(address: std::net::SocketAddr, flag: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address)
        .await
        .map_err(|error| Failure::usage(format!("{flag} {address}"), error, "choose another address"))
}

/// The address that was bound, which may have been asked for as port 0.
fn address(listener: &TcpListener) -> String {
    listener.local_addr().map_or_else(|_| "?".into(), |address| address.to_string())
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        use tokio::signal::unix::{SignalKind, signal};
        let failed = |error| Failure::running("signals", error);
        Ok(Self {
            terminate: signal(SignalKind::terminate()).map_err(failed)?,
            interrupt: signal(SignalKind::interrupt()).map_err(failed)?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
