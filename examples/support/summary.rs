//! What the examples print at their end.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tower_tps::gate::GapCause;
use tower_tps::observe::{Observer, Sample};
use tower_tps::record::RequestRecord;

/// Collects the requests of a pool, and prints what they come to when the pool
/// ends.
#[derive(Debug, Default)]
pub(crate) struct Summary(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    outcomes: BTreeMap<&'static str, u64>,
    ttft: Vec<Duration>,
}

impl Observer for Summary {
    fn request(&self, record: &Arc<RequestRecord>) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *seen.outcomes.entry(record.outcome.as_str()).or_default() += 1;
        seen.ttft.extend(record.timeline.ttft());
    }

    fn end(&self, sample: &Sample) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.ttft.sort_unstable();
        print!("\n{}", Report { seen: &seen, sample });
    }
}

struct Report<'a> {
    seen: &'a Seen,
    sample: &'a Sample,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seen, sample } = self;
        let totals = &sample.reading.totals;
        let window = totals.window_time().as_secs_f64();

        write!(f, "requests       {}:", sample.requests)?;
        for (outcome, count) in &seen.outcomes {
            write!(f, " {count} {outcome}")?;
        }
        writeln!(f, "\noutput_tokens  {}", sample.output_tokens)?;
        writeln!(f, "system_tps     {:.1} over {window:.2} s", sample.output_tokens as f64 / window)?;
        match seen.ttft.get(seen.ttft.len().saturating_sub(1) / 2) {
            Some(median) => writeln!(f, "ttft p50       {:.3} s", median.as_secs_f64())?,
            None => writeln!(f, "ttft p50       no token came")?,
        }
        let Some(fraction) = totals.gap_fraction() else { return Ok(()) };
        let part = |cause| totals.gap_time_of(cause).as_secs_f64() / window;
        writeln!(
            f,
            "gap_fraction   {fraction:.4} (wakeup {:.4}, backoff {:.4}, orchestration {:.4})",
            part(GapCause::Wakeup),
            part(GapCause::Backoff),
            part(GapCause::Orchestration),
        )
    }
}
