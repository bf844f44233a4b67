//! `tps report`: run logs in figures.

mod text;

use tower_tps::analysis::{Details, Report, html};

use crate::args::ReportArgs;
use crate::failure::Failure;
use crate::{logs, output};

/// More windows than anyone reads, and more than memory should hold.
const MOST_WINDOWS: u64 = 100_000;

/// Reads the logs, and tells what came of them.
pub(crate) fn run(args: &ReportArgs) -> Result<(), Failure> {
    let read = logs::read(&args.logs.iter().map(String::as_str).collect::<Vec<_>>())?;
    if let Some(broken) = &read.broken {
        broken.warn("what was read until then is all there is of it");
    }
    let (runs, left_out) = (read.runs, read.left_out);
    let mut details = Details::default();
    details.window = args.window;
    details.by = args.by.iter().copied().map(Into::into).collect();
    if let Some(length) = args.window {
        let most = runs.iter().map(|run| run.windows_of(length)).max().unwrap_or(0);
        if most > MOST_WINDOWS {
            return Err(Failure::usage(
                format!("--window {}", humantime::format_duration(length)),
                format!("it makes {most} windows of a run, and {MOST_WINDOWS} are the most"),
                "give a longer one",
            ));
        }
    }
    let report = Report::of(&runs, left_out, &details);
    if let Some(path) = &args.html {
        output::file("--html", path, &html::report(&report, &runs))?;
    }
    if args.json {
        output::stdout(|out| output::json(out, &report))
    } else {
        output::stdout(|out| text::write(out, &report))
    }
}
