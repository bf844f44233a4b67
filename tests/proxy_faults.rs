//! The proxy between an upstream and clients that fail in every way. After each batch: every arrival is in
//! one record, the counts are back to zero, no slot is lost, and the bytes were right up to the fault.
#![cfg(feature = "cli")]

#[path = "proxy_faults/batch.rs"]
mod batch;
#[path = "proxy_faults/case.rs"]
mod case;
#[path = "proxy_faults/client.rs"]
mod client;
#[path = "proxy_faults/expected.rs"]
mod expected;
#[path = "proxy_faults/http2.rs"]
mod http2;
#[path = "proxy_faults/named.rs"]
mod named;
#[path = "proxy_faults/plan.rs"]
mod plan;
#[path = "proxy_faults/proxy.rs"]
mod proxy;
#[path = "proxy_faults/random.rs"]
mod random;
#[path = "proxy_faults/reply.rs"]
mod reply;
#[path = "proxy_faults/smuggling.rs"]
mod smuggling;
#[path = "support/tps.rs"]
mod tps;
#[path = "proxy_faults/upstream.rs"]
mod upstream;
#[path = "proxy_faults/wire.rs"]
mod wire;

use self::case::{Case, Client, Upload, Upstream};
use self::client::Sequence;

/// How many sequences of random faults are played.
const SEQUENCES: usize = 10_000;

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |number| number.parse().unwrap())
}

/// Any faults of client and upstream, in any order, by a seed that is said.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_faults_break_nothing() {
    let seed = number("TPS_FAULT_SEED", fastrand::u64(..));
    let count = number("TPS_FAULT_SEQUENCES", SEQUENCES as u64) as usize;
    println!("TPS_FAULT_SEED={seed} TPS_FAULT_SEQUENCES={count}");
    let (cases, sequences) = random::sequences(seed, count);
    batch::run("random", "", cases, sequences).await;
}

/// One case alone on its connection.
async fn one(name: &str, flags: &str, case: Case) {
    let sequence = Sequence { cases: 0..1, is_pipelined: false };
    batch::run(name, flags, vec![case], vec![sequence]).await;
}

fn post(client: Client, upstream: Upstream) -> Case {
    Case { number: 0, is_post: true, upload: Upload::Length(20), client, upstream, salt: 1 }
}

/// An upstream that switches to another protocol, which nobody has asked for, has failed.
#[tokio::test]
async fn an_unasked_switch_is_a_failure() {
    one("switch", "", post(Client::Reads, Upstream::Switches)).await;
}
