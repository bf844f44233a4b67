//! The command line.

mod proxy;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand, ValueEnum, value_parser};
use tower_tps::analysis::By;

pub(crate) use self::proxy::{ProxyArgs, UpstreamHttp};
use crate::values::time;

/// How fast an LLM service really streams tokens, and how much capacity stood
/// idle while work was waiting.
#[derive(Debug, Parser)]
#[command(name = "tps", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Demo(DemoArgs),
    Proxy(Box<ProxyArgs>),
    Report(ReportArgs),
    Compare(CompareArgs),
}

/// Shows idle time being found, removed and proven gone.
///
/// The same work runs twice through a capped proxy before a simulated engine:
/// first as it is often done (a blocked executor, a connection for each request,
/// retries that sleep while they hold a slot, one submission at a time), then
/// without these faults. Everything is on loopback and inside this process.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tps demo
  tps demo --seconds 8 --json | jq .verdict")]
pub(crate) struct DemoArgs {
    /// About how long both runs take together
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = value_parser!(u32).range(8..=3600))]
    pub(crate) seconds: u32,
    /// Print the result as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Tells what came of one run, or of several together, from their logs alone.
///
/// Every figure is recomputed from the requests' lines and held against what the
/// pool told in its samples and at its end. A log may be compressed by gzip or zstd.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tps report run.jsonl
  tps report run.jsonl --html report.html
  tps report run.jsonl --window 10s --by model
  tps report replica-*.jsonl.zst --json | jq .fleets
  zcat run.jsonl.gz | tps report -")]
pub(crate) struct ReportArgs {
    /// The run logs, or - for stdin
    #[arg(value_name = "RUN.jsonl", required = true)]
    pub(crate) logs: Vec<String>,
    /// Add the figures over time, in windows of this length
    #[arg(long, value_name = "TIME", value_parser = time, allow_hyphen_values = true)]
    pub(crate) window: Option<Duration>,
    /// Add the figures of the requests apart by this; may be given again
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) by: Vec<ByArg>,
    /// Write it as a page with pictures too: one file that needs nothing else
    #[arg(long, value_name = "OUT.html")]
    pub(crate) html: Option<PathBuf>,
    /// Print it as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// What requests are told apart by.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ByArg {
    Model,
    Status,
    Format,
}

impl From<ByArg> for By {
    fn from(by: ByArg) -> Self {
        match by {
            ByArg::Model => Self::Model,
            ByArg::Status => Self::Status,
            ByArg::Format => Self::Format,
        }
    }
}

/// Judges a change by the logs of a run without it and a run with it.
///
/// Accepted if system_tps rises, success_rate does not fall, gap_fraction falls
/// where the baseline had backlog, and retry_rate does not rise: each by a
/// bootstrap interval, so that what chance could have done counts for nothing.
/// Exit code: 0 accepted, 1 rejected, 3 cannot be judged, 2 usage or unreadable input.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tps compare before.jsonl after.jsonl
  tps compare before.jsonl after.jsonl --min-effect 1% --markdown
  tps compare run.jsonl#monday run.jsonl#tuesday --json | jq .verdict")]
pub(crate) struct CompareArgs {
    /// The log of the run as it was; #RUN_ID after it names one of several
    #[arg(value_name = "BASELINE.jsonl")]
    pub(crate) baseline: String,
    /// The log of the run with the change
    #[arg(value_name = "CANDIDATE.jsonl")]
    pub(crate) candidate: String,
    /// By how much of the baseline's figure must rise what must rise, and fall what must fall
    #[arg(long, value_name = "SHARE", default_value = "0%", value_parser = effect, allow_hyphen_values = true)]
    pub(crate) min_effect: f64,
    /// How much of what chance could do each interval holds
    #[arg(long, value_name = "SHARE", default_value = "95%", value_parser = confidence, allow_hyphen_values = true)]
    pub(crate) confidence: f64,
    /// Print it as one JSON object
    #[arg(long, conflicts_with = "markdown")]
    pub(crate) json: bool,
    /// Print it as Markdown, for a pull request
    #[arg(long)]
    pub(crate) markdown: bool,
    /// Write it as a page with pictures too: one file that needs nothing else
    #[arg(long, value_name = "OUT.html")]
    pub(crate) html: Option<PathBuf>,
}

/// Reads the command line. An error is one line, and exit code 2; help is no error.
pub(crate) fn parse() -> Result<Command, ExitCode> {
    let error = match Cli::try_parse() {
        Ok(cli) => return Ok(cli.command),
        Err(error) => error,
    };
    match error.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayVersion
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => error.exit(),
        _ => {
            eprintln!("tps: {}", one_line(&error.render().to_string()));
            Err(ExitCode::from(2))
        }
    }
}

/// clap's message, whose parts stand on lines of their own, in one.
fn one_line(message: &str) -> String {
    let lines = message.lines().map(str::trim).filter(|line| !line.is_empty());
    let said: Vec<_> = lines.take_while(|line| !line.starts_with("Usage:")).collect();
    let said = said.join(" ");
    let said = said.strip_prefix("error: ").unwrap_or(&said);
    let said = said.split(" For more information").next().unwrap_or(said);
    format!("{said}; see --help")
}

/// A share: 1% or 0.01.
fn share(text: &str) -> Result<f64, String> {
    let (number, whole) = text.strip_suffix('%').map_or((text, 1.0), |number| (number, 100.0));
    let share = number.trim().parse::<f64>().map(|number| number / whole);
    share.ok().filter(|share| share.is_finite()).ok_or_else(|| "it is no share: give 1% or 0.01".to_owned())
}

fn effect(text: &str) -> Result<f64, String> {
    share(text).and_then(|share| match share {
        // 5 is 5 % to one and fivefold to another.
        _ if share > 1.0 && !text.ends_with('%') => Err(format!("it is more than all: give {text}% or 0.05")),
        0.0.. => Ok(share),
        _ => Err("it is below nothing: give 1% or 0.01".to_owned()),
    })
}

fn confidence(text: &str) -> Result<f64, String> {
    share(text).and_then(|share| match share {
        0.5..=0.998 => Ok(share),
        _ => Err("it must be from 50% to 99.8%, which 2,000 resamples can tell: give 95% or 0.99".to_owned()),
    })
}
