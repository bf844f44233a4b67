//! The engine proper: slots, the queue before them, and the pace of one request.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, sleep_until};

use super::Builder;
use super::asked::Asked;
use super::request::{Api, Request};
use super::truth::Books;
use crate::clock::Instant;
use crate::sync::Mutex;

const WORDS: [&str; 32] = [
    " the", " a", " of", " and", " to", " in", " it", " is", " was", " for", " on", " with", " as", " at",
    " by", " from", " time", " year", " day", " way", " man", " world", " life", " hand", " part", " place",
    " small", " large", " good", " new", " first", " long",
];

/// What all connections share.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) settings: Builder,
    pub(super) books: Books,
    slots: Arc<Semaphore>,
    /// How often each body was seen, by its hash.
    seen: Mutex<HashMap<u64, u64>>,
}

/// One request under way: its name, its own random stream, its place in the books.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) core: Arc<Core>,
    pub(super) request: Request,
    pub(super) id: String,
    pub(super) rng: fastrand::Rng,
    pub(super) asked: Asked,
    /// How often its body has come, itself included.
    pub(super) seen: u64,
    entry: usize,
}

/// A slot, taken until dropped. The books forget it before the next in line can have it.
#[derive(Debug)]
pub(super) struct Slot {
    core: Arc<Core>,
    entry: usize,
    _permit: OwnedSemaphorePermit,
}

/// When the next chunk is due. Paced from due time to due time, so that late timers do not add up.
#[derive(Debug)]
pub(super) struct Pace {
    due: Instant,
}

// === impl Core ===

impl Core {
    pub(super) fn new(settings: Builder) -> Self {
        let slots = Arc::new(Semaphore::new(settings.slots));
        Self { settings, books: Books::new(), slots, seen: Mutex::default() }
    }

    /// Enters a request whose body was `body`.
    pub(super) fn run(self: &Arc<Self>, request: Request, body: &[u8], asked: Asked) -> Run {
        let hash = fnv1a(body);
        let seen = {
            let mut seen = self.seen.lock();
            let times = seen.entry(hash).or_default();
            *times += 1;
            *times
        };
        let mut key = [0; 24];
        key[..8].copy_from_slice(&self.settings.seed.to_le_bytes());
        key[8..16].copy_from_slice(&hash.to_le_bytes());
        key[16..].copy_from_slice(&seen.to_le_bytes());
        let mut rng = fastrand::Rng::with_seed(fnv1a(&key));
        let prefix = match request.api {
            Api::Chat => "chatcmpl",
            Api::Text => "cmpl",
        };
        let id = format!("{prefix}-{:016x}", rng.u64(..));
        let entry = self.books.arrived(id.clone());
        Run { core: Arc::clone(self), request, id, rng, asked, seen, entry }
    }
}

// === impl Run ===

impl Run {
    /// Waits in line for a slot, then through the prefill. Absent only once the slots are closed.
    pub(super) async fn admitted(&self) -> Option<Slot> {
        let permit = Arc::clone(&self.core.slots).acquire_owned().await.ok()?;
        self.core.books.admitted(self.entry);
        let slot = Slot { core: Arc::clone(&self.core), entry: self.entry, _permit: permit };
        let words = u32::try_from(self.request.prompt_tokens).unwrap_or(u32::MAX);
        let prefill = self.core.settings.prefill_per_token.saturating_mul(words);
        if !prefill.is_zero() {
            sleep(prefill).await;
        }
        Some(slot)
    }

    /// Notes that the response's headers leave now.
    pub(super) fn headers_left(&self) {
        self.core.books.headers_left(self.entry);
    }

    /// Notes that `tokens` are ready; gives when, since the start.
    pub(super) fn ready(&self, tokens: usize) -> Duration {
        self.core.books.ready(self.entry, tokens)
    }

    /// Notes that `tokens` leave now; gives when, since the start.
    pub(super) fn emitted(&self, tokens: usize) -> Duration {
        self.core.books.emitted(self.entry, tokens)
    }

    /// Notes that the last of the body leaves now.
    pub(super) fn ended(&self) {
        self.core.books.ended(self.entry);
    }

    /// Notes that headers and body leave now, together.
    pub(super) fn answered_whole(&self) {
        self.headers_left();
        self.ended();
    }

    /// The tokens before the pause or the fault, and those after.
    pub(super) fn halves(&self, failing: bool) -> (usize, usize) {
        let total = self.request.output_tokens;
        match (failing, self.asked.pause.is_zero()) {
            (true, _) => (total / 2, 0),
            (false, false) => (total / 2, total - total / 2),
            (false, true) => (total, 0),
        }
    }

    /// The text of the next `left` tokens, once they are all due.
    pub(super) async fn written(&mut self, pace: &mut Pace, mut left: usize) -> String {
        let mut text = String::new();
        while left > 0 {
            let tokens = left.min(self.core.settings.tokens_per_chunk);
            pace.next(self, tokens).await;
            text.push_str(&self.text(tokens));
            left -= tokens;
        }
        text
    }

    /// The text of the next `tokens` tokens.
    pub(super) fn text(&mut self, tokens: usize) -> String {
        (0..tokens).map(|_| WORDS[self.rng.usize(..WORDS.len())]).collect()
    }

    /// The jittered time that `tokens` tokens take.
    fn step(&mut self, tokens: usize) -> Duration {
        let settings = &self.core.settings;
        let factor = 1.0 + settings.jitter * (2.0 * self.rng.f64() - 1.0);
        let mean = settings.token_interval.saturating_mul(u32::try_from(tokens).unwrap_or(u32::MAX));
        Duration::try_from_secs_f64(mean.as_secs_f64() * factor).unwrap_or(mean)
    }
}

// === impl Pace ===

impl Pace {
    /// The first chunk is due now.
    pub(super) fn new() -> Self {
        Self { due: Instant::now() }
    }

    /// Waits until the next chunk is due, which the one after follows by the time of `tokens`.
    pub(super) async fn next(&mut self, run: &mut Run, tokens: usize) {
        if let Some(due) = self.due.into_tokio() {
            sleep_until(due).await;
        }
        self.put_off(run.step(tokens));
    }

    /// Whatever comes next is due that much later.
    pub(super) fn put_off(&mut self, time: Duration) {
        self.due = self.due.after(time).unwrap_or(self.due);
    }

    /// Nothing is due for that long.
    pub(super) async fn pause(&mut self, time: Duration) {
        if !time.is_zero() {
            sleep(time).await;
            self.put_off(time);
        }
    }
}

// === impl Slot ===

impl Drop for Slot {
    fn drop(&mut self) {
        self.core.books.released(self.entry);
    }
}

/// A hash that is the same on every machine and in every release.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
