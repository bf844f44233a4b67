//! What the requests of the last minutes were like: an observer that remembers
//! so many of them and no more.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tower_tps::analysis::Distribution;
use tower_tps::clock::Instant;
use tower_tps::observe::{FirstToken, Observer, Sample};
use tower_tps::outcome::Outcome;
use tower_tps::record::RequestRecord;

/// How far back it goes.
const WINDOW: Duration = Duration::from_secs(300);
/// How many it remembers of each pool; where more come, it goes back less far.
const MOST: usize = 4096;

/// The requests of the last minutes, by pool. Cheap to clone, and one serves all
/// pools.
#[derive(Clone, Debug, Default)]
pub(in crate::proxy) struct Recent(Arc<Mutex<HashMap<Arc<str>, Requests>>>);

#[derive(Debug, Default)]
struct Requests {
    /// The `ttft` of those that have had their first token.
    first: Ring<f64>,
    ended: Ring<Ended>,
}

#[derive(Clone, Copy, Debug)]
struct Ended {
    outcome: Outcome,
    /// Of one that completed.
    stream_tps: Option<f64>,
    is_buffered: bool,
}

#[derive(Debug)]
struct Ring<T>(VecDeque<(Instant, T)>);

impl Recent {
    /// The distributions of a pool that has run for so long, and how its requests
    /// ended. Times are seconds.
    pub(super) fn of(&self, pool: &str, runs: Duration) -> Value {
        let now = Instant::now();
        let (first, ended) = {
            let mut pools = self.0.lock();
            let requests = pools.get_mut(pool);
            requests.map(|requests| (requests.first.since(now), requests.ended.since(now))).unzip()
        };
        let (first, ended) = (first.unwrap_or_default(), ended.unwrap_or_default());
        let window = |reaches: Option<Duration>| reaches.unwrap_or(WINDOW).min(runs).as_secs_f64();
        let mut outcomes = BTreeMap::new();
        for ended in &ended.values {
            *outcomes.entry(ended.outcome.as_str()).or_insert(0_u64) += 1;
        }
        let number = |outcome: Outcome| outcomes.get(outcome.as_str()).copied().unwrap_or(0);
        let decided = ended.values.len() as u64 - number(Outcome::Cancelled);
        let rates = ended.values.iter().filter_map(|ended| ended.stream_tps);
        json!({
            "first_tokens": {"window_time": window(first.reaches), "ttft": Distribution::of(first.values)},
            "ended": {
                "window_time": window(ended.reaches),
                "outcomes": outcomes,
                "success_rate": (decided > 0).then(|| number(Outcome::Completed) as f64 / decided as f64),
                "stream_tps": Distribution::of(rates.collect()),
                "buffered": ended.values.iter().filter(|ended| ended.is_buffered).count(),
            },
        })
    }

    fn enter(&self, pool: &Arc<str>, enter: impl FnOnce(&mut Requests, Instant)) {
        let mut pools = self.0.lock();
        let requests = match pools.get_mut(pool) {
            Some(requests) => requests,
            None => pools.entry(pool.clone()).or_default(),
        };
        enter(requests, Instant::now());
    }
}

impl Observer for Recent {
    fn first_token(&self, first: &FirstToken) {
        self.enter(&first.pool, |requests, now| requests.first.push(now, first.ttft.as_secs_f64()));
    }

    fn request(&self, record: &Arc<RequestRecord>) {
        let tokens = record.output_tokens().filter(|_| record.outcome == Outcome::Completed);
        let is_buffered = tokens.is_some_and(|tokens| record.timeline.is_buffered(tokens));
        let stream_tps =
            tokens.filter(|_| !is_buffered).and_then(|tokens| record.timeline.stream_tps(tokens));
        let ended = Ended { outcome: record.outcome, stream_tps, is_buffered };
        self.enter(&record.pool, |requests, now| requests.ended.push(now, ended));
    }

    fn end(&self, sample: &Sample) {
        self.0.lock().remove(&sample.pool);
    }
}

// === impl Ring ===

/// What a ring holds of its window, and how far back it reaches where that is less.
struct Held<T> {
    values: Vec<T>,
    reaches: Option<Duration>,
}

impl<T: Copy> Ring<T> {
    fn push(&mut self, now: Instant, value: T) {
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back((now, value));
    }

    fn since(&mut self, now: Instant) -> Held<T> {
        let old = self.0.partition_point(|(at, _)| now.since(*at) > WINDOW);
        self.0.drain(..old);
        let oldest = self.0.front().filter(|_| self.0.len() == MOST);
        let reaches = oldest.map(|(at, _)| now.since(*at));
        Held { values: self.0.iter().map(|(_, value)| *value).collect(), reaches }
    }
}

impl<T> Default for Ring<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T> Default for Held<T> {
    fn default() -> Self {
        Self { values: Vec::new(), reaches: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is older than the window is forgotten; of more than it holds, the
    /// last are kept, and it says how far back they reach.
    #[tokio::test(start_paused = true)]
    async fn a_window_and_no_more() {
        let (mut ring, start) = (Ring::default(), Instant::now());
        let at = |seconds: u64| start.after(Duration::from_secs(seconds)).unwrap();
        for second in 0..1_000 {
            ring.push(at(second), second);
        }
        let held = ring.since(at(1_000));
        assert_eq!((held.values.first(), held.values.len(), held.reaches), (Some(&700), 300, None));
        for number in 0..10_000 {
            ring.push(at(1_001 + number / 1_000), number);
        }
        let held = ring.since(at(1_011));
        let reaches = Some(Duration::from_secs(5));
        assert_eq!((held.values.first(), held.values.len(), held.reaches), (Some(&5_904), MOST, reaches));
    }
}
