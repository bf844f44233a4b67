//! `tps demo`: the same work twice, with the faults of the field and without,
//! and the verdict.

mod audit;
mod engine;
mod live;
mod orchestration;
mod retry;
mod scenario;

use tower_tps::analysis::{Comparison, Demands, Run};

use self::live::Live;
use self::scenario::Scenario;
use crate::args::DemoArgs;
use crate::compare::text;
use crate::failure::Failure;
use crate::output;

/// Runs both, shows them as they go, and prints what came of them.
pub(crate) fn run(args: &DemoArgs) -> Result<(), Failure> {
    let requests = scenario::requests(args.seconds);
    let mut live = Live::new();
    let baseline = once(&Scenario::BASELINE, requests, &mut live)?;
    let candidate = once(&Scenario::CANDIDATE, requests, &mut live)?;
    let comparison = Comparison::of(&baseline, &candidate, Demands::default());
    if args.json {
        output::stdout(|out| output::json(out, &comparison))
    } else {
        output::stdout(|out| text::write(out, &comparison))
    }
}

fn once(scenario: &'static Scenario, requests: usize, live: &mut Live) -> Result<Run, Failure> {
    let engine = engine::Thread::start()?;
    let work = orchestration::Thread::start(scenario, requests, engine.url())?;
    live.watch(scenario.name, requests, work)
}
