//! Writes the pages that `tests/html/run` looks at.
//!
//! `html_pages report OUT.html RUN.jsonl...` or `html_pages compare OUT.html BASELINE CANDIDATE`.

use std::error::Error;
use std::fs::File;
use std::io::BufReader;
use std::time::Duration;

use tower_tps::analysis::{By, Comparison, Demands, Details, LeftOut, Logs, Report, Run, html};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [what, out, logs @ ..] = args.as_slice() else {
        return Err("usage: html_pages report|compare OUT LOG...".into());
    };
    let (runs, left_out) = read(logs)?;
    let page = match (what.as_str(), runs.as_slice()) {
        ("report", runs) => {
            let details = Details::default().window(Duration::from_secs(10)).by(By::Model).by(By::Status);
            html::report(&Report::of(runs, left_out, &details), runs)
        }
        ("compare", [baseline, candidate]) => {
            let comparison = Comparison::of(baseline, candidate, Demands::default());
            html::comparison(&comparison, baseline, candidate)
        }
        _ => return Err("a comparison is of two runs".into()),
    };
    Ok(std::fs::write(out, page)?)
}

fn read(logs: &[String]) -> Result<(Vec<Run>, LeftOut), Box<dyn Error>> {
    let mut reading = Logs::default();
    for log in logs {
        reading.read(log, BufReader::new(File::open(log)?))?;
    }
    Ok(reading.finish())
}
