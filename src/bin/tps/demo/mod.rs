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
use tower_tps::analysis::{Comparison, Demands, Run};

use self::live::Live;
use self::scenario::Scenario;
use crate::args::DemoArgs;
use crate::failure::Failure;

/// Runs both, shows them as they go, and prints what came of them.
pub(crate) fn run(args: &DemoArgs) -> Result<(), Failure> {
    let requests = scenario::requests(args.seconds);
    let mut live = Live::new();
    let baseline = once(&Scenario::BASELINE, requests, &mut live)?;
    let candidate = once(&Scenario::CANDIDATE, requests, &mut live)?;
    let comparison = Comparison::of(&baseline, &candidate, Demands::default());
    let mut out = io::stdout().lock();
    let written = if args.json {
        writeln!(out, "{:#}", json!(comparison))
    } else {
        result::write(&mut out, &comparison)
    };
    match written {
        // Whoever reads it has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|error| Failure::running("the output", error)),
    }
}

fn once(scenario: &'static Scenario, requests: usize, live: &mut Live) -> Result<Run, Failure> {
    let engine = engine::Thread::start()?;
    let work = orchestration::Thread::start(scenario, requests, engine.url())?;
    live.watch(scenario.name, requests, work)
}
