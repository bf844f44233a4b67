//! Calls of all kinds, drawn by a seed, with the faults of either end.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::connection::{Connection, wrong};
use super::exchange::{self, Answer, Reply};
use super::script::{self, Asked};

/// How long a stalled stream is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a refused caller waits.
const REFUSED: Duration = Duration::from_millis(100);
/// How much a slow reader takes, and how often.
const SLOW: (usize, Duration) = (8 * 1024, Duration::from_millis(50));

/// What a call is about.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Streamed,
    Whole,
    /// It takes a long answer little by little.
    Slow,
    /// It goes away after so many milliseconds, with a reset or in good order.
    Leaves {
        after: u64,
        reset: bool,
    },
    /// It sends half of the request, and goes away.
    Half,
    UpstreamResets,
    UpstreamStalls,
}

/// How it went, where nothing was wrong.
type Outcome = &'static str;

/// Calls for so long, waits for what is under way, and prints how often what came of it.
pub(crate) async fn run(
    address: SocketAddr,
    callers: u64,
    rate: u64,
    time: Duration,
    seed: u64,
) -> io::Result<()> {
    let (outcomes, until) = (Rc::new(RefCell::new(BTreeMap::new())), Instant::now() + time);
    let mut all = JoinSet::new();
    for caller in 0..callers {
        let (outcomes, mut random) = (outcomes.clone(), Rng::with_seed(seed.wrapping_add(caller)));
        all.spawn_local(async move {
            let (mut kept, mut calls) = (None, 0);
            while Instant::now() < until {
                calls += 1;
                let (kind, asked) = draw(&mut random, caller * 1_000_000 + calls);
                let outcome = call(address, &mut kept, kind, asked, rate, random.usize(..32 * 1024)).await;
                let outcome = outcome.unwrap_or_else(|error| {
                    eprintln!("{kind:?} {asked:?}: {error}");
                    "wrong"
                });
                *outcomes.borrow_mut().entry(outcome).or_insert(0_u64) += 1;
                if outcome == "refused" {
                    sleep(REFUSED).await;
                }
            }
        });
    }
    while all.join_next().await.is_some() {}
    println!("{}", serde_json::json!(*outcomes.borrow()));
    Ok(())
}

fn draw(random: &mut Rng, id: u64) -> (Kind, Asked) {
    let max_tokens = random.u64(1..100);
    let asked = Asked { id, stream: true, max_tokens, wait: random.u64(..200), ..Asked::default() };
    match random.u32(..100) {
        0..50 => (Kind::Streamed, asked),
        50..65 => (Kind::Whole, Asked { stream: false, ..asked }),
        65..68 => (Kind::Slow, Asked { stream: false, max_tokens: random.u64(1..60_000), ..asked }),
        68..83 => (Kind::Leaves { after: random.u64(..3000), reset: random.bool() }, asked),
        83..88 => (Kind::Half, asked),
        88..96 => (Kind::UpstreamResets, Asked { reset_at: Some(random.u64(..max_tokens)), ..asked }),
        _ => (Kind::UpstreamStalls, Asked { stall_at: Some(random.u64(..max_tokens)), ..asked }),
    }
}

async fn call(
    address: SocketAddr,
    kept: &mut Option<Connection>,
    kind: Kind,
    asked: Asked,
    rate: u64,
    prompt: usize,
) -> io::Result<Outcome> {
    let mut connection = match (kept.take(), kind) {
        (Some(connection), Kind::Streamed | Kind::Whole) => connection,
        (_, kind) => Connection::connect(address, matches!(kind, Kind::Slow)).await?,
    };
    match kind {
        Kind::Half => {
            let request = script::request(&asked, prompt);
            connection.send(&request[..request.len() / 2]).await?;
            return Ok("half a request");
        }
        Kind::Leaves { after, reset } => {
            let whole = answered(&mut connection, kind, asked, rate, prompt);
            let Ok(outcome) = timeout(Duration::from_millis(after), whole).await else {
                if reset {
                    connection.reset()?;
                }
                return Ok("left");
            };
            return outcome;
        }
        _ => {}
    }
    let outcome = answered(&mut connection, kind, asked, rate, prompt).await?;
    if matches!(outcome, "completed" | "refused") {
        *kept = Some(connection);
    }
    Ok(outcome)
}

async fn answered(
    connection: &mut Connection,
    kind: Kind,
    asked: Asked,
    rate: u64,
    prompt: usize,
) -> io::Result<Outcome> {
    match exchange::ask(connection, &asked, prompt).await? {
        Reply::Stream => streamed(connection, asked, rate).await,
        Reply::Whole(length) => {
            if let Kind::Slow = kind {
                while connection.received.len() < length {
                    sleep(SLOW.1).await;
                    if connection.receive_at_most(SLOW.0).await? == 0 {
                        return Err(wrong("closed within a body"));
                    }
                }
            }
            let body = exchange::body(connection, length).await?;
            if body == script::whole(&asked) {
                Ok("completed")
            } else {
                Err(wrong("another body than was sent"))
            }
        }
        Reply::Error(status, length) => {
            exchange::body(connection, length).await?;
            match status {
                429 | 503 => Ok("refused"),
                502 if asked.reset_at == Some(0) => Ok("upstream reset"),
                _ => Err(wrong(&format!("status {status}"))),
            }
        }
    }
}

async fn streamed(connection: &mut Connection, asked: Asked, rate: u64) -> io::Result<Outcome> {
    let mut answer = Answer::new(asked, rate);
    loop {
        let more = answer.more(connection, |_| {});
        let more = match timeout(PATIENCE, more).await {
            Ok(more) => more,
            Err(_) if asked.stall_at == Some(answer.tokens) => return Ok("upstream stalled"),
            Err(_) => return Err(wrong("nothing came for long")),
        };
        match more {
            Ok(true) => return Ok("completed"),
            Ok(false) => {}
            // All bytes up to the fault must have come, and no end that looks like one.
            Err(_) if asked.reset_at.is_some_and(|at| answer.tokens <= at) => return Ok("upstream reset"),
            Err(error) => return Err(error),
        }
    }
}
