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
    /// The distributions of a pool, and how its requests ended. Times are seconds.
    pub(super) fn of(&self, pool: &str) -> Value {
        let now = Instant::now();
        let (first, ended) = match self.0.lock().get_mut(pool) {
            Some(requests) => (requests.first.since(now), requests.ended.since(now)),
            None => (Held::default(), Held::default()),
        };
        let mut outcomes = BTreeMap::new();
        for ended in &ended.values {
            *outcomes.entry(ended.outcome.as_str()).or_insert(0_u64) += 1;
        }
        let number = |outcome: Outcome| outcomes.get(outcome.as_str()).copied().unwrap_or(0);
        let decided = ended.values.len() as u64 - number(Outcome::Cancelled);
        let rates = ended.values.iter().filter_map(|ended| ended.stream_tps);
        json!({
            "first_tokens": {"window_time": first.window, "ttft": Distribution::of(first.values)},
            "ended": {
                "window_time": ended.window,
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

/// What a ring holds of a window, and how long that is in seconds.
struct Held<T> {
    values: Vec<T>,
    window: f64,
}

impl<T: Copy> Ring<T> {
    fn push(&mut self, now: Instant, value: T) {
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back((now, value));
    }

    fn since(&mut self, now: Instant) -> Held<T> {
        let is_full = self.0.len() == MOST;
        let oldest = self.0.front().map_or(WINDOW, |(at, _)| now.since(*at));
        let window = if is_full { oldest.min(WINDOW) } else { WINDOW };
        let old = self.0.partition_point(|(at, _)| now.since(*at) > WINDOW);
        self.0.drain(..old);
        Held { values: self.0.iter().map(|(_, value)| *value).collect(), window: window.as_secs_f64() }
    }
}

impl<T> Default for Ring<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T> Default for Held<T> {
    fn default() -> Self {
        Self { values: Vec::new(), window: WINDOW.as_secs_f64() }
    }
}
