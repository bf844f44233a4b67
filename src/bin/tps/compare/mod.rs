//! `tps compare`: whether a change is accepted.

mod markdown;
mod rows;
pub(crate) mod text;

use std::path::Path;
use std::process::ExitCode;

use tower_tps::analysis::{Comparison, Decision, Demands, Kind, LeftOut, Run, html};

use crate::args::CompareArgs;
use crate::failure::Failure;
use crate::{logs, output};

/// The share of a log's lines that may be left out of what is judged.
const MOST_LEFT_OUT: f64 = 0.01;

/// Reads both, judges, and says so in the exit code.
pub(crate) fn run(args: &CompareArgs) -> Result<ExitCode, Failure> {
    judge(args).map_err(Failure::without_a_verdict)
}

fn judge(args: &CompareArgs) -> Result<ExitCode, Failure> {
    if args.baseline == "-" && args.candidate == "-" {
        return Err(Failure::usage("-", "stdin can be read once", "give a file for one of them"));
    }
    let [(baseline, old_left_out), (candidate, new_left_out)] = [one(&args.baseline)?, one(&args.candidate)?];
    let mut demands = Demands::default();
    demands.min_effect = args.min_effect;
    demands.confidence = args.confidence;
    let mut comparison = Comparison::of(&baseline, &candidate, demands);
    for (name, left_out) in [("baseline", old_left_out), ("candidate", new_left_out)] {
        if !left_out.is_empty() {
            let words = format!(
                "lines of the {name}'s log that were left out, as tps report tells: {}",
                left_out.skipped
            );
            let verdict = &mut comparison.verdict;
            if left_out.kinds.contains_key(Kind::MissingPart.as_str()) {
                let words = format!("parts of the {name}'s log are missing, as tps report tells");
                verdict.not_judged.push(words);
                verdict.accepted = false;
            }
            if left_out.skipped as f64 > left_out.lines as f64 * MOST_LEFT_OUT {
                verdict.not_judged.push(words);
                verdict.accepted = false;
            } else {
                verdict.warnings.push(words);
            }
        }
    }
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
/// the name after `#`, with its pool after `/` if it has several; and what of the
/// log could not be read.
fn one(given: &str) -> Result<(Run, LeftOut), Failure> {
    let (file, name) = match given.rsplit_once('#') {
        Some((file, name)) if !Path::new(given).exists() => (file, Some(name)),
        _ => (given, None),
    };
    let read = logs::read(&[file])?;
    if let Some(broken) = read.broken {
        return Err(broken);
    }
    let is_named = |run: &Run| {
        name.is_none_or(|name| name == run.run_id() || name == format!("{}/{}", run.run_id(), run.pool()))
    };
    let names = read.runs.iter().filter(|run| is_named(run));
    let mut names: Vec<_> = names.map(|run| format!("{}/{}", run.run_id(), run.pool())).collect();
    let all: Vec<_> = read.runs.iter().map(|run| run.run_id().to_owned()).collect();
    let mut named = read.runs.into_iter().filter(is_named);
    match (named.next(), named.next()) {
        (Some(run), None) => Ok((run, read.left_out)),
        (Some(_), Some(_)) => {
            let count = names.len();
            names.sort();
            names.dedup();
            Err(if names.len() == count {
                let why = format!("it has several runs ({})", names.join(", "));
                Failure::usage(given, why, format!("name one, as {file}#{}", names[0]))
            } else {
                let why = format!("several runs go by one name ({})", names.join(", "));
                Failure::usage(given, why, "give each run an id or a log of its own")
            })
        }
        (None, _) => {
            Err(Failure::usage(given, "there is no such run", format!("name one of {}", all.join(", "))))
        }
    }
}
