//! The two ends of the load on `tps proxy`, each in a process of its own, so that
//! the proxy's memory is the proxy's alone:
//!
//! - `load engine`: streams paced to the millisecond, and a count of them;
//! - `load clients`: many streams at once, every byte of them held against what
//!   the engine is known to send, and every token against its due instant;
//! - `load mixed`: calls of all kinds, with the faults of clients and engines.
//!
//! Both are raw TCP and one thread, so that what they cost is little beside what
//! is measured. `benches/load/run` and `benches/load/soak` start them.

mod chunked;
mod clients;
mod connection;
mod engine;
mod exchange;
mod mixed;
mod script;
mod wheel;

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;

/// The roles.
#[derive(Debug, Parser)]
enum Role {
    /// Answers `POST` with what it asks for, and `GET` with its counts
    Engine {
        /// Tokens a second in each stream
        #[arg(long)]
        rate: u64,
    },
    /// Opens streams, and prints what came of them once all have ended, or after `--hold`
    Clients {
        /// Where to connect
        address: SocketAddr,
        /// How many at once
        #[arg(long)]
        streams: u64,
        /// Tokens a second in each, as the engine has it
        #[arg(long)]
        rate: u64,
        /// Tokens in each
        #[arg(long)]
        tokens: u64,
        /// In how many seconds they are opened
        #[arg(long)]
        ramp: u64,
        /// Print after this many seconds, and go on until killed
        #[arg(long)]
        hold: Option<u64>,
    },
    /// Makes calls of all kinds, and prints what came of them
    Mixed {
        /// Where to connect
        address: SocketAddr,
        /// How many callers at once
        #[arg(long)]
        callers: u64,
        /// Tokens a second in each stream, as the engine has it
        #[arg(long)]
        rate: u64,
        /// For how long new calls are made
        #[arg(long)]
        seconds: u64,
        /// What decides which calls are made
        #[arg(long)]
        seed: u64,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            match Role::parse() {
                Role::Engine { rate } => engine::run(rate).await,
                Role::Clients { address, streams, rate, tokens, ramp, hold } => {
                    let load =
                        clients::Load { address, streams, rate, tokens, ramp: Duration::from_secs(ramp) };
                    clients::run(load, hold.map(Duration::from_secs)).await
                }
                Role::Mixed { address, callers, rate, seconds, seed } => {
                    mixed::run(address, callers, rate, Duration::from_secs(seconds), seed).await
                }
            }
        })
        .await
}
