//! The run as it goes: a table that is redrawn on a terminal, plain lines elsewhere.

use std::time::Duration;

use console::{Term, style};
use tower_tps::analysis::{Distribution, Run, Summary};
use tower_tps::gate::Reading;

use super::orchestration::Thread;
use crate::failure::Failure;
use crate::text::figures::{number, percent};

/// How often the table is redrawn.
const REDRAW: Duration = Duration::from_millis(250);
/// So many redraws make a plain line.
const LINE_EVERY: u32 = 8;

/// Where progress is shown: on stderr, since results go to stdout.
pub(super) struct Live {
    term: Term,
    drawn: usize,
}

impl Live {
    pub(super) fn new() -> Self {
        Self { term: Term::stderr(), drawn: 0 }
    }

    /// Shows a run until its end, and gives it.
    pub(super) fn watch(&mut self, name: &str, requests: usize, work: Thread) -> Result<Run, Failure> {
        let mut redraws = 0;
        while !work.is_done() {
            std::thread::sleep(REDRAW);
            redraws += 1;
            if self.term.is_term() || redraws % LINE_EVERY == 0 {
                self.show(name, requests, &work);
            }
        }
        self.show(name, requests, &work);
        self.drawn = 0;
        work.finish()
    }

    fn show(&mut self, name: &str, requests: usize, work: &Thread) {
        let Some(summary) = work.recording().run().as_ref().map(Summary::of) else { return };
        let reading = work.pool().reading();
        // Where it cannot be shown there is nobody to tell.
        let _ = if self.term.is_term() {
            let lines = table(name, requests, &reading, &summary);
            let cleared = self.term.clear_last_lines(std::mem::replace(&mut self.drawn, lines.len()));
            cleared.and_then(|()| lines.iter().try_for_each(|line| self.term.write_line(line)))
        } else {
            self.term.write_line(&line(name, requests, &reading, &summary))
        };
    }
}

fn table(name: &str, requests: usize, reading: &Reading, summary: &Summary) -> Vec<String> {
    // The requests under way are in the reading, and in no summary.
    let (counts, gap_fraction) = (&reading.counts, reading.totals.gap_fraction().unwrap_or(0.0));
    let gap = style(percent(Some(gap_fraction)));
    let gap = if gap_fraction > 0.1 { gap.red() } else { gap.green() };
    let slots: String = (0..counts.cap).map(|slot| if slot < counts.in_flight { '█' } else { '·' }).collect();
    let rates = &summary.traffic.distributions;
    vec![
        format!("{:<10} {} of {requests} done", style(name).bold().for_stderr(), done(summary)),
        format!("  slots    {slots}  {} of {}, queue {}", counts.in_flight, counts.cap, counts.queue_depth()),
        format!("  gap      {gap} of the time so far"),
        format!(
            "  tokens/s stream {:>6}   end to end {:>6}   system {:>6}",
            median(rates.stream_tps.as_ref()),
            median(rates.end_to_end_tps.as_ref()),
            number(summary.system_tps),
        ),
        format!("  TTFT     {} (median)", seconds(rates.ttft.as_ref())),
    ]
}

fn line(name: &str, requests: usize, reading: &Reading, summary: &Summary) -> String {
    let (counts, rates) = (&reading.counts, &summary.traffic.distributions);
    format!(
        "{name}: {} of {requests} done, in flight {} of {}, queue {}, gap {}, tokens/s: stream {}, end to end {}, system {}; TTFT {}",
        done(summary),
        counts.in_flight,
        counts.cap,
        counts.queue_depth(),
        percent(reading.totals.gap_fraction()),
        median(rates.stream_tps.as_ref()),
        median(rates.end_to_end_tps.as_ref()),
        number(summary.system_tps),
        seconds(rates.ttft.as_ref()),
    )
}

fn done(summary: &Summary) -> u64 {
    summary.traffic.outcomes.get("completed").copied().unwrap_or(0)
}

fn median(distribution: Option<&Distribution>) -> String {
    number(distribution.map(|distribution| distribution.p50))
}

fn seconds(distribution: Option<&Distribution>) -> String {
    distribution.map_or_else(|| "-".into(), |distribution| format!("{:.2} s", distribution.p50))
}
