//! `tps compare`: whether a change is accepted.

mod markdown;
mod rows;
pub(crate) mod text;

use std::path::Path;
use std::process::ExitCode;

use tower_tps::analysis::{Comparison, Decision, Demands, Run, html};

use crate::args::CompareArgs;
use crate::failure::Failure;
use crate::{logs, output};

/// Reads both, judges, and says so in the exit code.
pub(crate) fn run(args: &CompareArgs) -> Result<ExitCode, Failure> {
    let (baseline, candidate) = (one(&args.baseline)?, one(&args.candidate)?);
    let mut demands = Demands::default();
    demands.min_effect = args.min_effect;
    demands.confidence = args.confidence;
    let comparison = Comparison::of(&baseline, &candidate, demands);
    if let Some(path) = &args.html {
        output::file("--html", path, &html::comparison(&comparison, &baseline, &candidate))?;
    }
    if args.json {
        output::stdout(|out| output::json(out, &comparison))?;
    } else if args.markdown {
        output::stdout(|out| markdown::write(out, &comparison))?;
    } else {
        output::stdout(|out| text::write(out, &comparison))?;
    }
    Ok(match comparison.verdict.decision() {
        Decision::Accepted => ExitCode::SUCCESS,
        Decision::Rejected => ExitCode::from(1),
        _ => ExitCode::from(3),
    })
}

/// The one run that is named: a log's only one, or that of a log which goes by
/// the name after `#`.
fn one(given: &str) -> Result<Run, Failure> {
    let (file, run_id) = match given.rsplit_once('#') {
        Some((file, run_id)) if !Path::new(given).exists() => (file, Some(run_id)),
        _ => (given, None),
    };
    let (runs, left_out) = logs::read(&[file])?;
    if !left_out.is_empty() {
        eprintln!("tps: {given}: {} lines were left out; tps report says which and why", left_out.skipped);
    }
    let names = runs.iter().map(|run| run.run_id().to_owned()).collect::<Vec<_>>().join(", ");
    let mut named = runs.into_iter().filter(|run| run_id.is_none_or(|run_id| run.run_id() == run_id));
    match (named.next(), named.next(), run_id) {
        (Some(run), None, _) => Ok(run),
        (Some(_), Some(_), None) => Err(Failure::usage(
            given,
            format!("it has several runs ({names})"),
            format!("name one, as {file}#RUN_ID"),
        )),
        (Some(_), Some(_), Some(_)) => {
            Err(Failure::usage(given, "several runs go by this name", "give each run a log of its own"))
        }
        (None, ..) => Err(Failure::usage(given, "there is no such run", format!("name one of {names}"))),
    }
}
