//! Where the times and rates of a run's requests lie, by length: more of each
//! distribution than a report holds.

use super::draw::spread::Bar;
use crate::analysis::Run;
use crate::analysis::traffic::{LENGTHS, length_of};

/// The bars of a run: all requests first, then each length that there was.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Spreads {
    /// In seconds, of every attempt that has a token.
    pub(super) ttft: Vec<Bar>,
    /// In tokens a second, of completed requests.
    pub(super) stream_tps: Vec<Bar>,
}

/// Values of all, and by length.
#[derive(Default)]
struct Values {
    all: Vec<f64>,
    of: [Vec<f64>; LENGTHS.len()],
}

impl Spreads {
    pub(super) fn of(run: &Run) -> Self {
        let (mut ttft, mut stream_tps) = (Values::default(), Values::default());
        for request in run.attempts() {
            let row = request.row;
            let tokens = row.output_tokens.get();
            if let Some(time) = row.timeline.ttft() {
                // A logarithmic axis has no zero.
                ttft.add(tokens, time.as_secs_f64().max(1e-6));
            }
            if let Some(rate) = row.unbuffered_stream_tps().filter(|_| row.is_rated()) {
                stream_tps.add(tokens, rate);
            }
        }
        Self { ttft: ttft.bars(), stream_tps: stream_tps.bars() }
    }

    /// The least and the greatest value that either has bars for.
    pub(super) fn reach(bars: &[Bar]) -> (f64, f64) {
        let least = bars.iter().map(|bar| bar.quantiles[0]).fold(f64::INFINITY, f64::min);
        (least, bars.iter().map(|bar| bar.max).fold(0.0, f64::max))
    }
}

impl Values {
    fn add(&mut self, tokens: Option<u64>, value: f64) {
        self.all.push(value);
        if let Some(tokens) = tokens {
            self.of[length_of(tokens)].push(value);
        }
    }

    fn bars(self) -> Vec<Bar> {
        let names = std::iter::once("all").chain(LENGTHS.iter().map(|(_, name)| *name));
        let bars = names.zip(std::iter::once(self.all).chain(self.of));
        bars.filter_map(|(name, values)| bar(name, values)).collect()
    }
}

fn bar(name: &'static str, mut values: Vec<f64>) -> Option<Bar> {
    values.sort_unstable_by(f64::total_cmp);
    let max = *values.last()?;
    let count = values.len();
    // By nearest rank, as in the tables.
    let rank = |share: f64| values[((share * count as f64).ceil() as usize).clamp(1, count) - 1];
    Some(Bar { name, quantiles: [0.01, 0.1, 0.5, 0.9, 0.99].map(rank), max })
}
