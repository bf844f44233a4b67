//! Many streams at once.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use super::connection::{Connection, wrong};
use super::exchange::{self, Answer, Reply};
use super::script::{self, Asked};

/// The length of the prompts.
const PROMPT: usize = 400;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) streams: u64,
    pub(crate) rate: u64,
    pub(crate) tokens: u64,
    pub(crate) ramp: Duration,
}

#[derive(Default)]
struct Tally {
    open: Cell<u64>,
    completed: Cell<u64>,
    failures: RefCell<BTreeMap<String, u64>>,
    tokens: Cell<u64>,
    /// Microseconds behind the due instant, once all streams have been asked for.
    lags: RefCell<Vec<u32>>,
    steady: Cell<bool>,
}

pub(crate) async fn run(load: Load, hold: Option<Duration>) -> io::Result<()> {
    let tally = Rc::new(Tally::default());
    let mut streams = JoinSet::new();
    for id in 0..load.streams {
        let tally = tally.clone();
        streams.spawn_local(async move {
            sleep(load.ramp.mul_f64(id as f64 / load.streams as f64)).await;
            match one(&load, id, &tally).await {
                Ok(()) => tally.completed.set(tally.completed.get() + 1),
                Err(error) => *tally.failures.borrow_mut().entry(error.to_string()).or_default() += 1,
            }
        });
    }
    let steady = tally.clone();
    streams.spawn_local(async move {
        sleep(load.ramp).await;
        steady.steady.set(true);
    });
    let Some(hold) = hold else {
        while streams.join_next().await.is_some() {}
        tally.print();
        return Ok(());
    };
    sleep(load.ramp + hold).await;
    tally.print();
    // Until killed, with all the streams.
    while streams.join_next().await.is_some() {}
    std::future::pending().await
}

async fn one(load: &Load, id: u64, tally: &Tally) -> io::Result<()> {
    let asked = Asked { id, stream: true, max_tokens: load.tokens, ..Asked::default() };
    let mut connection = Connection::connect(load.address, false).await?;
    match exchange::ask(&mut connection, &asked, PROMPT).await? {
        Reply::Stream => {}
        other => return Err(wrong(&format!("{other:?}"))),
    }
    tally.open.set(tally.open.get() + 1);
    let mut answer = Answer::new(asked, load.rate);
    let lag = |lag: u64| {
        tally.tokens.set(tally.tokens.get() + 1);
        if tally.steady.get() {
            tally.lags.borrow_mut().push(u32::try_from(lag / 1000).unwrap_or(u32::MAX));
        }
    };
    let ended = loop {
        match answer.more(&mut connection, lag).await {
            Ok(false) => {}
            Ok(true) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    tally.open.set(tally.open.get() - 1);
    ended
}

impl Tally {
    fn print(&self) {
        let mut lags = self.lags.borrow().clone();
        lags.sort_unstable();
        let quantile = |share: f64| {
            let last = lags.len().saturating_sub(1) as f64;
            lags.get((last * share) as usize).map(|&micros| f64::from(micros) / 1000.0)
        };
        let failures = self.failures.borrow();
        println!(
            "{}",
            serde_json::json!({
                "at": script::now(),
                "open": self.open.get(),
                "completed": self.completed.get(),
                "failed": failures.values().sum::<u64>(),
                "failures": *failures,
                "tokens": self.tokens.get(),
                "lag_ms": {"p50": quantile(0.5), "p99": quantile(0.99), "p999": quantile(0.999), "max": quantile(1.0)},
            })
        );
    }
}
