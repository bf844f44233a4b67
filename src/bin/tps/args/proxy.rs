//! The command line of `tps proxy`: one pool by flags, or several by a file.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum, value_parser};
use serde::Deserialize;
use tower_tps::gate::Gate;

use crate::tokenizers::TokenizerArg;
use crate::values::{Upstream, size, time, upstream};

/// Puts a cap that holds for whole streams before an LLM server, and measures.
///
/// POST requests go through the pool: they queue for a slot and hold it until
/// their response has ended. Everything else passes through unmeasured, upgrades
/// to WebSocket included.
///
/// SIGTERM and SIGINT stop it in good order, SIGHUP has it read its --config and
/// its certificate again, SIGUSR1 its log opened anew.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tps proxy --upstream http://127.0.0.1:8000 --cap 8 --log run.jsonl
  tps proxy --upstream sim --cap 4 --listen 127.0.0.1:8080
  tps proxy --upstream https://api.example.com --cap 8 --tokenizer events --tokenizer gpt-=o200k
  tps proxy --upstream http://127.0.0.1:8000 --cap 8 --queue-timeout 30s --token-timeout 20s
  tps proxy --config proxy.toml
  curl -X PUT -d '{\"cap\": 16}' http://127.0.0.1:9090/cap
  curl http://127.0.0.1:9090/metrics")]
pub(crate) struct ProxyArgs {
    /// The server behind: an http or https URL, or `sim` for a simulated engine inside
    #[arg(long, value_name = "URL|sim", value_parser = upstream, required_unless_present = "config")]
    pub(crate) upstream: Option<Upstream>,
    /// How many requests may be in flight at once
    #[arg(
        long,
        value_name = "N",
        value_parser = value_parser!(u32).range(1..=i64::from(Gate::MAX_CAP)),
        required_unless_present = "config"
    )]
    pub(crate) cap: Option<u32>,
    /// Where clients connect
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
    /// Where the live page is, and /metrics, /status, /events, /healthz, /readyz and PUT /cap
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9090")]
    pub(crate) admin: SocketAddr,
    /// The file of the token that changes must bear; needed where --admin is not on loopback
    #[arg(long, value_name = "FILE")]
    pub(crate) admin_token_file: Option<PathBuf>,
    /// How many may wait; more are refused with 429 [default: unbounded]
    #[arg(long, value_name = "N")]
    pub(crate) max_queue: Option<u64>,
    /// How long one may wait before it is refused with 503 [default: unbounded]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) queue_timeout: Option<Duration>,
    /// Where to write the run log; an existing file is continued
    #[arg(long, value_name = "FILE.jsonl")]
    pub(crate) log: Option<PathBuf>,
    /// How large the run log may become before it is kept as FILE.jsonl.1, .2 and so on, and begun
    /// anew [default: unbounded]
    #[arg(long, value_name = "SIZE", value_parser = size, requires = "log")]
    pub(crate) log_rotate: Option<u64>,
    /// The run's name in the log [default: a random one]
    #[arg(long, value_name = "ID")]
    pub(crate) run_id: Option<String>,
    /// How often the pool's state is logged and published
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = time)]
    pub(crate) sample_interval: Duration,
    /// How tokens are counted where the response has no usage: not at all (`usage`), one for each
    /// event with content (`events`), or by a tokenizer. With PREFIX= it is for the models whose
    /// names begin so, and may be given again [default: events]
    #[arg(long, value_name = "[PREFIX=]usage|events|o200k|cl100k|FILE.json")]
    pub(crate) tokenizer: Vec<TokenizerArg>,
    /// How long streams under way may go on after SIGTERM
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    pub(crate) drain_timeout: Duration,
    /// A file that sets all this, for one pool or several; with it no other flag is given
    #[arg(
        long,
        value_name = "FILE.toml",
        conflicts_with_all = [
            "upstream", "cap", "listen", "admin", "admin_token_file", "max_queue", "queue_timeout", "log",
            "log_rotate", "run_id",
            "sample_interval", "tokenizer", "drain_timeout", "connect_timeout", "first_byte_timeout",
            "token_timeout", "request_timeout", "max_request", "absorb", "keep_alive", "upstream_http", "ca",
            "tls_cert", "tls_key"
        ]
    )]
    pub(crate) config: Option<PathBuf>,
    /// How long connecting to the upstream may take, TLS included
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time, help_heading = "Limits")]
    pub(crate) connect_timeout: Duration,
    /// How long the first byte of a response's body may take, from the slot on [default: unbounded]
    #[arg(long, value_name = "TIME", value_parser = time, help_heading = "Limits")]
    pub(crate) first_byte_timeout: Option<Duration>,
    /// How long the upstream may take for each token after the first; comments and pings are none,
    /// and a slow client's time does not count [default: unbounded]
    #[arg(long, value_name = "TIME", value_parser = time, help_heading = "Limits")]
    pub(crate) token_timeout: Option<Duration>,
    /// How long a request may hold its slot [default: unbounded]
    #[arg(long, value_name = "TIME", value_parser = time, help_heading = "Limits")]
    pub(crate) request_timeout: Option<Duration>,
    /// How large a request's body may be; a larger one is refused with 413
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = size, help_heading = "Limits")]
    pub(crate) max_request: u64,
    /// Read ahead of a slow client up to this much, so that the slot goes back when the upstream
    /// is done [default: not at all]
    #[arg(long, value_name = "SIZE", value_parser = size, help_heading = "Connections")]
    pub(crate) absorb: Option<u64>,
    /// How many idle connections to the upstream are kept for requests to come
    /// [default: 0 to http, since some engines close right after a stream; 32 to https]
    #[arg(long, value_name = "N", help_heading = "Connections")]
    pub(crate) keep_alive: Option<usize>,
    /// What to speak to the upstream: `auto` is what TLS agrees on, and HTTP/1.1 without TLS
    #[arg(long, value_name = "VERSION", value_enum, default_value = "auto", help_heading = "Connections")]
    pub(crate) upstream_http: UpstreamHttp,
    /// Certificates in PEM to trust in the upstream, beside the system's
    #[arg(long, value_name = "FILE.pem", help_heading = "Connections")]
    pub(crate) ca: Option<PathBuf>,
    /// The certificate chain in PEM to serve clients by TLS
    #[arg(long, value_name = "FILE.pem", requires = "tls_key", help_heading = "Connections")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Its private key in PEM
    #[arg(long, value_name = "FILE.pem", requires = "tls_cert", help_heading = "Connections")]
    pub(crate) tls_key: Option<PathBuf>,
}

/// The versions of HTTP that an upstream is spoken to in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ValueEnum)]
pub(crate) enum UpstreamHttp {
    /// What TLS agrees on by ALPN, and HTTP/1.1 without TLS.
    #[default]
    #[serde(rename = "auto")]
    Auto,
    /// HTTP/1.1 alone.
    #[serde(rename = "1")]
    #[value(name = "1")]
    One,
    /// HTTP/2 alone, without TLS by prior knowledge.
    #[serde(rename = "2")]
    #[value(name = "2")]
    Two,
}
