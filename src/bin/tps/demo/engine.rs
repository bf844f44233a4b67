//! The engine on a thread of its own, so that nothing the orchestration does
//! can slow it.

use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;
use tower_tps::sim::{Engine, Faults};

use super::scenario::CAP;
use crate::failure::Failure;

/// A running engine. Stops when dropped.
pub(super) struct Thread {
    url: String,
    /// Stops it when dropped.
    running: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Thread {
    pub(super) fn start() -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::running("the engine", error);
        let (running, stopped) = oneshot::channel();
        let (tells, told) = mpsc::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let thread = std::thread::Builder::new().name("engine".into()).spawn(move || {
            runtime.block_on(serve(tells, stopped));
        });
        let thread = thread.map_err(failed)?;
        let url = told.recv().map_err(|error| Failure::running("the engine", error))?.map_err(failed)?;
        Ok(Self { url, running: Some(running), thread: Some(thread) })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.running = None;
        if let Some(thread) = self.thread.take() {
            // It has nothing to say.
            let _ = thread.join();
        }
    }
}

async fn serve(tells: mpsc::Sender<std::io::Result<String>>, stopped: oneshot::Receiver<()>) {
    let engine = Engine::builder()
        .slots(CAP as usize)
        .prefill_per_token(Duration::from_micros(1_500))
        .token_interval(Duration::from_millis(4))
        .jitter(0.3)
        .faults(Faults { status_429: 0.06, status_500: 0.02, ..Faults::default() })
        .seed(1)
        .start()
        .await;
    let engine = match engine {
        Ok(engine) => engine,
        Err(error) => {
            let _ = tells.send(Err(error));
            return;
        }
    };
    let _ = tells.send(Ok(engine.url()));
    // The sender is only ever dropped.
    let _ = stopped.await;
}
