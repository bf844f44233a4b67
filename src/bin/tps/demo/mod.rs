//! `tps demo`: the same work twice, with the faults of the field and without,
//! and the verdict.

mod audit;
mod engine;
mod live;
mod orchestration;
mod result;
mod retry;
mod scenario;

use std::io::{self, Write};

use serde_json::json;
use tower_tps::analysis::{Run, Summary, Verdict};
use tower_tps::diagnosis::Diagnosis;

use self::live::Live;
use self::scenario::Scenario;
use crate::args::DemoArgs;
use crate::failure::Failure;

/// One run.
#[derive(Debug)]
pub(crate) struct Outcome {
    run: Run,
    summary: Summary,
    diagnosis: Diagnosis,
}

/// Runs both, shows them as they go, and prints what came of them.
pub(crate) fn run(args: &DemoArgs) -> Result<(), Failure> {
    let requests = scenario::requests(args.seconds);
    let mut live = Live::new();
    let baseline = once(&Scenario::BASELINE, requests, &mut live)?;
    let candidate = once(&Scenario::CANDIDATE, requests, &mut live)?;
    let verdict = Verdict::of(&baseline.run, &candidate.run)
        .ok_or_else(|| Failure::running("the verdict", "a run has no sample"))?;
    let mut out = io::stdout().lock();
    let written = if args.json {
        let object = json!({
            "baseline": baseline.json(),
            "candidate": candidate.json(),
            "verdict": verdict,
        });
        writeln!(out, "{object:#}")
    } else {
        result::write(&mut out, &baseline, &candidate, &verdict)
    };
    match written {
        // Whoever reads it has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|error| Failure::running("the output", error)),
    }
}

fn once(scenario: &'static Scenario, requests: usize, live: &mut Live) -> Result<Outcome, Failure> {
    let engine = engine::Thread::start()?;
    let work = orchestration::Thread::start(scenario, requests, engine.url())?;
    let run = live.watch(scenario.name, requests, work)?;
    let summary = Summary::of(&run).ok_or_else(|| Failure::running(scenario.name, "it has no sample"))?;
    let diagnosis = run.diagnosis().ok_or_else(|| Failure::running(scenario.name, "it has no sample"))?;
    Ok(Outcome { run, summary, diagnosis })
}

impl Outcome {
    fn json(&self) -> serde_json::Value {
        let mut object = json!(self.summary);
        object["diagnosis"] = json!(self.diagnosis);
        object
    }
}
