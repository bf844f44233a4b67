//! The work: a batch of prompts through the capped proxy, all on one thread, as
//! an asynchronous program has it.

use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tower::{Layer, ServiceExt, service_fn};
use tower_tps::Pool;
use tower_tps::analysis::{Recording, Run};

use super::audit::Audit;
use super::retry::{Again, whole};
use super::scenario::{self, CAP, Scenario};
use crate::failure::Failure;
use crate::proxy::server::Server;
use crate::proxy::upstream::{self, Forward};

/// How often the pool is sampled: often enough for the verdict's bins.
const SAMPLES: Duration = Duration::from_millis(50);

/// More than any prompt of this work.
const MAX_REQUEST: u64 = 1024 * 1024;

/// A run under way.
pub(super) struct Thread {
    recording: Recording,
    pool: Pool,
    thread: JoinHandle<Result<(), Failure>>,
}

impl Thread {
    pub(super) fn start(scenario: &'static Scenario, requests: usize, engine: &str) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::running("the orchestration", error);
        let engine: Uri = engine.parse().map_err(|error| Failure::running("the engine's address", error))?;
        let recording = Recording::default();
        let (tells, told) = mpsc::channel();
        let observer = recording.clone();
        let audit = Audit::new(scenario.blocks_executor).map_err(failed)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let thread = std::thread::Builder::new().name(scenario.name.into()).spawn(move || {
            runtime.block_on(async move {
                let pool = Pool::builder(scenario.name)
                    .cap(CAP)
                    .sample_interval(SAMPLES)
                    .observer(observer)
                    .observer(audit);
                let pool = pool.build().map_err(|error| Failure::running("the pool", error))?;
                let _ = tells.send(pool.clone());
                work(scenario, requests, engine, pool).await.map_err(failed)
            })
        });
        let thread = thread.map_err(failed)?;
        let pool = told.recv().map_err(|error| Failure::running("the pool", error))?;
        Ok(Self { recording, pool, thread })
    }

    pub(super) fn is_done(&self) -> bool {
        self.thread.is_finished()
    }

    pub(super) fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(super) fn recording(&self) -> &Recording {
        &self.recording
    }

    /// Waits for its end.
    pub(super) fn finish(self) -> Result<Run, Failure> {
        match self.thread.join() {
            Ok(done) => done?,
            Err(_) => return Err(Failure::running("the orchestration", "it panicked")),
        }
        self.recording.run().ok_or_else(|| Failure::running("the run", "it never started"))
    }
}

async fn work(scenario: &'static Scenario, requests: usize, engine: Uri, pool: Pool) -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let proxy = format!("http://{}/v1/chat/completions", listener.local_addr()?);
    let connector = pool.connector().layer(service_fn(|engine| {
        Box::pin(async {
            let connected = upstream::plain().oneshot(engine).await;
            tokio::time::sleep(scenario::HANDSHAKE).await;
            connected
        })
    }));
    let upstream = Forward::new(engine, connector, scenario.idle_connections, false);
    let inside = pool.retry(Again::when(scenario.retries_in_slot));
    let outside = pool.retry(Again::when(!scenario.retries_in_slot));
    let measured = outside.layer(pool.layer().layer(inside.layer(upstream)));
    let measured = service_fn(move |request| {
        let measured = measured.clone();
        async move { measured.oneshot(whole(request).await).await }
    });
    let server = Server::new(measured, MAX_REQUEST);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(server.accept_until(listener, async move {
        // The sender is only ever dropped.
        let _ = stopped.await;
    }));

    let submitter = Arc::new(Submitter { client: Client::builder(TokioExecutor::new()).build_http(), proxy });
    let mut tasks = JoinSet::new();
    if scenario.one_at_a_time {
        for index in pool.backlog(requests as u64).items(0..requests) {
            tokio::time::sleep(scenario::preparation(index, requests)).await;
            tasks.spawn(submitter.clone().submit(index));
        }
    } else {
        let backlog = Arc::new(std::sync::Mutex::new(pool.backlog(requests as u64)));
        for index in 0..requests {
            let (submitter, backlog) = (submitter.clone(), backlog.clone());
            tasks.spawn(async move {
                tokio::time::sleep(scenario::preparation(index, requests)).await;
                if let Ok(mut backlog) = backlog.lock() {
                    backlog.take(1);
                }
                submitter.submit(index).await;
            });
        }
    }
    while tasks.join_next().await.is_some() {}
    pool.close();
    drop(stop);
    if let Ok(connections) = serving.await {
        connections.drain(Duration::from_secs(1)).await;
    }
    Ok(())
}

/// Sends prompts.
struct Submitter {
    client: Client<HttpConnector, Full<Bytes>>,
    proxy: String,
}

impl Submitter {
    async fn submit(self: Arc<Self>, index: usize) {
        let request = Request::post(&self.proxy)
            .header("content-type", "application/json")
            .header("x-request-id", format!("{index}"))
            .body(Full::from(scenario::body(index)));
        // What fails on the way is in the records.
        let Ok(request) = request else { return };
        let Ok(response) = self.client.request(request).await else { return };
        let _ = response.into_body().collect().await;
    }
}
