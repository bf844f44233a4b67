//! What the proxy is told to do, by flags or by a file.

mod admission;
mod file;
mod headers;
mod place;
mod rules;
mod table;
mod value;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub(super) use self::admission::Admission;
pub(super) use self::headers::Headers;
pub(super) use self::rules::Rule;
use super::upstream::{Limits, Protocol};
use crate::args::ProxyArgs;
use crate::failure::Failure;
use crate::tokenizers::TokenizerArg;
use crate::values::Upstream;

/// The name of the pool that flags set.
const THE_POOL: &str = "proxy";

/// All of it.
#[derive(Clone, Debug)]
pub(super) struct Config {
    pub(super) listen: SocketAddr,
    pub(super) admin: SocketAddr,
    /// The file of the token that changes must bear.
    pub(super) admin_token_file: Option<PathBuf>,
    pub(super) tls: Option<Tls>,
    pub(super) log: Option<PathBuf>,
    /// How large the log's file may become before another is begun.
    pub(super) log_rotate: Option<u64>,
    pub(super) run_id: Option<String>,
    pub(super) sample_interval: Duration,
    pub(super) drain_timeout: Duration,
    /// The most bytes of a request's body.
    pub(super) max_request: u64,
    /// At least one.
    pub(super) pools: Vec<PoolConfig>,
}

/// The files that clients are served by TLS with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tls {
    pub(super) cert: PathBuf,
    pub(super) key: PathBuf,
}

/// One capacity, and the server behind it.
#[derive(Clone, Debug)]
pub(super) struct PoolConfig {
    pub(super) name: String,
    /// What errors about it name: the file and the line, or nothing.
    pub(super) place: String,
    pub(super) cap: u32,
    pub(super) max_queue: Option<u64>,
    pub(super) queue_timeout: Option<Duration>,
    pub(super) tokenizer: Vec<TokenizerArg>,
    pub(super) upstream: Upstream,
    pub(super) protocol: Protocol,
    pub(super) limits: Limits,
    /// How far to read ahead of a slow client, in bytes; 0 is not at all.
    pub(super) absorb: usize,
    pub(super) headers: Headers,
    pub(super) admission: Admission,
    /// The requests that are for it; all, if there are none.
    pub(super) rules: Vec<Rule>,
}

/// A size as memory has it.
fn bounded(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

impl Config {
    /// By the file that the flags name, or else by the flags.
    pub(super) fn of(args: &ProxyArgs) -> Result<Self, Failure> {
        if let Some(path) = &args.config {
            return file::read(path);
        }
        let (Some(upstream), Some(cap)) = (args.upstream.clone(), args.cap) else {
            return Err(Failure::usage("--upstream", "it is not there, nor is --cap", "see --help"));
        };
        let pool = PoolConfig {
            name: THE_POOL.into(),
            place: String::new(),
            cap,
            max_queue: args.max_queue,
            queue_timeout: args.queue_timeout,
            tokenizer: args.tokenizer.clone(),
            upstream,
            protocol: Protocol { http: args.upstream_http, keep_alive: args.keep_alive, ca: args.ca.clone() },
            limits: Limits {
                connect: args.connect_timeout,
                first_byte: args.first_byte_timeout,
                token: args.token_timeout,
                request: args.request_timeout,
            },
            absorb: args.absorb.map_or(0, bounded),
            headers: Headers::default(),
            admission: Admission::default(),
            rules: Vec::new(),
        };
        let tls = args.tls_cert.clone().zip(args.tls_key.clone());
        Ok(Self {
            listen: args.listen,
            admin: args.admin,
            admin_token_file: args.admin_token_file.clone(),
            tls: tls.map(|(cert, key)| Tls { cert, key }),
            log: args.log.clone(),
            log_rotate: args.log_rotate,
            run_id: args.run_id.clone(),
            sample_interval: args.sample_interval,
            drain_timeout: args.drain_timeout,
            max_request: args.max_request,
            pools: vec![pool],
        })
    }

    /// Whether a proxy that runs by this one can go on by `next`: an error names
    /// what cannot change.
    pub(super) fn can_become(&self, next: &Self) -> Result<(), Failure> {
        let fixed = [
            ("listen", self.listen == next.listen),
            ("admin", self.admin == next.admin),
            ("admin_token_file", self.admin_token_file.is_some() == next.admin_token_file.is_some()),
            ("tls", self.tls.is_some() == next.tls.is_some()),
            ("log", self.log == next.log),
            ("log_rotate", self.log_rotate == next.log_rotate),
            ("run_id", self.run_id == next.run_id),
            ("sample_interval", self.sample_interval == next.sample_interval),
            ("max_request", self.max_request == next.max_request),
        ];
        let needs_restart = |place: &str, key| {
            Err(Failure::usage(format!("{place}{key}"), "it cannot change while tps runs", "restart it"))
        };
        if let Some((key, _)) = fixed.into_iter().find(|(_, same)| !same) {
            return needs_restart("", key);
        }
        for pool in &next.pools {
            let Some(before) = self.pools.iter().find(|before| before.name == pool.name) else { continue };
            let fixed = [
                ("max_queue", before.max_queue == pool.max_queue),
                ("queue_timeout", before.queue_timeout == pool.queue_timeout),
                ("class", before.admission.order() == pool.admission.order()),
                ("tokenizer", before.tokenizer == pool.tokenizer),
            ];
            if let Some((key, _)) = fixed.into_iter().find(|(_, same)| !same) {
                return needs_restart(&pool.place, key);
            }
        }
        Ok(())
    }
}
