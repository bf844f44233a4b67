//! The slot-time ledger: what each busy slot was doing.
//!
//! A slot has an [`Account`] as soon as someone has something to enter there;
//! until then all its time is dispatch. Whoever reads the gate brings every
//! account up to date, and at release an account is closed under the gate's lock:
//! so at every instant the slot-time in flight is the sum over the phases and of
//! what is not attributed yet, and of the latter nothing is left when no slot is
//! held.

use std::ops::DerefMut;
use std::time::Duration;

use crate::clock::Instant;
use crate::sync::{AtomicU64, Mutex, Ordering};

/// What a busy slot was doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SlotPhase {
    /// From admission to the response's headers: connecting, and the upstream's
    /// own queue.
    Dispatch,
    /// Waiting to be tried again, with the slot held.
    Backoff,
    /// From the headers to the first token, waiting on the upstream. To the
    /// release where there is no token.
    Prefill,
    /// From the first token to the last, waiting on the upstream.
    Generate,
    /// The response or a frame of it was handed down, and the caller did not ask
    /// for the next: the caller is slow.
    Stall,
    /// From the last token to the release, waiting on the upstream.
    Drain,
}

/// The slot-time of one request by phase. Its sum is the time that the slot was
/// held, to the nanosecond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PhaseTimes([u64; SlotPhase::ALL.len()]);

/// An attempt that failed while the slot was held, and was followed by another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// What failed: `status_429`, `status_5xx`, `connect`, `timeout` and the like.
    pub cause: &'static str,
    /// When it failed.
    pub failed_at: Instant,
    /// When the next attempt went out; absent if none did.
    pub resumed_at: Option<Instant>,
}

/// The account of one slot. All its instants are read under its lock, or are
/// moved on to the last one entered: a reading that came between has entered
/// the time up to then.
#[derive(Debug)]
pub(crate) struct Account {
    /// When the caller asked for the next frame, as bits: to be entered by
    /// whoever next has the lock, so that asking needs none.
    asked_at: AtomicU64,
    /// Tokens that have passed. Only the one who holds the slot adds to them.
    tokens: AtomicU64,
    entries: Mutex<Entries>,
}

/// What a frame was found to carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// No bytes.
    Nothing,
    /// Bytes that are read, and no content.
    NoContent,
    /// Bytes of which only what follows will tell.
    Open,
    /// At least one event with generated content.
    Content,
}

#[derive(Debug)]
struct Entries {
    /// The time up to here has been entered.
    entered_at: Instant,
    last_token_at: Option<Instant>,
    doing: Doing,
    times: PhaseTimes,
    /// Waiting on the upstream until the last chunk: of a phase that the next
    /// token or the release decides.
    undecided: u64,
    /// Waiting on the upstream since then.
    since_chunk: u64,
    told: Option<Box<Told>>,
}

/// What services under the meter have told. In a box, since few do and each
/// stream's memory counts.
#[derive(Debug, Default)]
struct Told {
    retries: Vec<Retry>,
    error_type: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    Dispatch,
    Backoff,
    /// Waiting on the upstream for a frame before the first token, with
    /// everything read that has come: whatever follows, it is prefill.
    Prefill,
    /// Waiting on the upstream for a frame.
    Waiting,
    /// The caller has yet to ask. It then waits, in prefill or not.
    Stall {
        prefill: bool,
    },
    Closed,
}

/// What a walk over the open accounts finds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Open {
    pub(super) times: [u128; SlotPhase::ALL.len()],
    pub(super) oldest: Option<Instant>,
    pub(super) quietest: Option<Instant>,
    pub(super) tokens: u64,
}

// === impl SlotPhase ===

impl SlotPhase {
    /// All phases, in the order of a request's life.
    pub const ALL: [Self; 6] =
        [Self::Dispatch, Self::Backoff, Self::Prefill, Self::Generate, Self::Stall, Self::Drain];

    /// The name in logs and labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dispatch => "dispatch",
            Self::Backoff => "backoff",
            Self::Prefill => "prefill",
            Self::Generate => "generate",
            Self::Stall => "stall",
            Self::Drain => "drain",
        }
    }
}

// === impl PhaseTimes ===

impl PhaseTimes {
    /// The time in this phase.
    #[must_use]
    pub fn of(&self, phase: SlotPhase) -> Duration {
        Duration::from_nanos(self.0[phase as usize])
    }

    /// The time in all phases together.
    #[must_use]
    pub fn total(&self) -> Duration {
        SlotPhase::ALL.iter().fold(Duration::ZERO, |sum, phase| sum.saturating_add(self.of(*phase)))
    }

    /// By phase, in nanoseconds and in the order of [`SlotPhase::ALL`].
    pub(crate) fn from_nanos(nanos: [u64; SlotPhase::ALL.len()]) -> Self {
        Self(nanos)
    }

    /// By phase, in nanoseconds and in the order of [`SlotPhase::ALL`].
    pub(crate) fn nanos(&self) -> [u64; SlotPhase::ALL.len()] {
        self.0
    }

    /// Without this phase.
    pub(crate) fn without(mut self, phase: SlotPhase) -> Self {
        self.0[phase as usize] = 0;
        self
    }

    /// Each phase of both added up.
    pub(crate) fn plus(mut self, other: &Self) -> Self {
        SlotPhase::ALL.iter().for_each(|phase| self.add(*phase, other.0[*phase as usize]));
        self
    }

    /// The same in parts, with no more than this in all.
    pub(crate) fn at_most(mut self, total: Duration) -> Self {
        let was = self.total();
        if was > total {
            let factor = total.as_secs_f64() / was.as_secs_f64();
            self.0.iter_mut().for_each(|time| *time = (*time as f64 * factor) as u64);
        }
        self
    }

    /// Each phase less that of an earlier sum.
    pub(crate) fn minus(mut self, earlier: &Self) -> Self {
        self.0.iter_mut().zip(earlier.0).for_each(|(later, earlier)| *later = later.saturating_sub(earlier));
        self
    }

    /// So many nanoseconds of dispatch, and of nothing else.
    pub(crate) fn dispatch(nanos: u64) -> Self {
        let mut times = Self::default();
        times.add(SlotPhase::Dispatch, nanos);
        times
    }

    fn add(&mut self, phase: SlotPhase, nanos: u64) {
        let time = &mut self.0[phase as usize];
        *time = time.saturating_add(nanos);
    }

    /// Adds this to sums of the same order.
    pub(super) fn add_to(&self, sums: &mut [u128; SlotPhase::ALL.len()]) {
        for (sum, time) in sums.iter_mut().zip(self.0).filter(|(_, time)| *time > 0) {
            *sum += u128::from(time);
        }
    }
}

// === impl Account ===

impl Account {
    /// The account of a slot that was taken at this moment.
    pub(super) fn new(admitted_at: Instant) -> Self {
        let entries = Entries {
            entered_at: admitted_at,
            last_token_at: None,
            doing: Doing::Dispatch,
            times: PhaseTimes::default(),
            undecided: 0,
            since_chunk: 0,
            told: None,
        };
        Self { asked_at: AtomicU64::new(0), tokens: AtomicU64::new(0), entries: Mutex::new(entries) }
    }

    /// The entries, with the caller's asking entered.
    fn entries(&self) -> impl DerefMut<Target = Entries> {
        let mut entries = self.entries.lock();
        if let Some(at) = Instant::from_bits(self.asked_at.load(Ordering::Relaxed)) {
            entries.ask(at);
        }
        entries
    }

    /// An attempt has failed and will be followed by another: back-off begins.
    /// Too late once there is a response, or the slot is given back.
    pub(crate) fn failed(&self, cause: &'static str) {
        let mut entries = self.entries();
        if matches!(entries.doing, Doing::Dispatch | Doing::Backoff) {
            let failed_at = entries.enter(Instant::now());
            entries.doing = Doing::Backoff;
            let retry = Retry { cause, failed_at, resumed_at: None };
            entries.told.get_or_insert_default().retries.push(retry);
        }
    }

    /// The next attempt goes out.
    pub(crate) fn resumed(&self) {
        let mut entries = self.entries();
        if entries.doing == Doing::Backoff {
            let at = entries.enter(Instant::now());
            entries.doing = Doing::Dispatch;
            if let Some(retry) = entries.told.as_mut().and_then(|told| told.retries.last_mut()) {
                retry.resumed_at = Some(at);
            }
        }
    }

    /// A failure that follows is to be called so, unless it has a name already.
    pub(crate) fn fails_with(&self, error_type: &'static str) {
        self.entries().told.get_or_insert_default().error_type.get_or_insert(error_type);
    }

    /// What a failure is to be called; absent where nobody told.
    pub(crate) fn error_type(&self) -> Option<&'static str> {
        self.entries().told.as_ref().and_then(|told| told.error_type)
    }

    /// What the slot did, and the retries made with it, once it is given back.
    pub(crate) fn take(&self) -> (PhaseTimes, Vec<Retry>) {
        let mut entries = self.entries();
        let retries = entries.told.take().unwrap_or_default().retries;
        (entries.times, retries)
    }

    /// For how long the upstream was waited for since the last token; absent
    /// while there is none.
    pub(crate) fn silence(&self) -> Option<Duration> {
        let mut entries = self.entries();
        entries.last_token_at?;
        entries.enter(Instant::now());
        Some(Duration::from_nanos(entries.undecided.saturating_add(entries.since_chunk)))
    }

    /// The response is there, and is handed down.
    pub(crate) fn responded(&self) -> Instant {
        let mut entries = self.entries();
        let at = entries.enter(Instant::now());
        entries.doing = Doing::Stall { prefill: true };
        at
    }

    /// The caller asks for the next frame.
    pub(crate) fn ask(&self) {
        self.asked_at.store(Instant::now().to_bits(), Ordering::Relaxed);
    }

    /// A frame was there at `at`, and is handed down. Gives `at`, moved on to
    /// what was entered.
    pub(crate) fn frame(&self, at: Instant, found: Found) -> Instant {
        let mut entries = self.entries();
        let at = entries.enter(at);
        entries.found(at, found);
        self.asked_at.store(0, Ordering::Relaxed);
        at
    }

    /// So many tokens have passed. No two may tell of some at once.
    pub(crate) fn passed(&self, tokens: u64) {
        self.tokens.store(self.tokens().saturating_add(tokens), Ordering::Relaxed);
    }

    pub(super) fn tokens(&self) -> u64 {
        self.tokens.load(Ordering::Relaxed)
    }

    /// The end showed that the last chunk, which was there at `at`, carried content.
    pub(crate) fn content_in_last(&self, at: Instant) {
        self.entries().content(at);
    }

    /// Closes the account at the moment, which it gives, and decides what was
    /// undecided.
    pub(super) fn close(&self) -> (Instant, PhaseTimes) {
        let mut entries = self.entries();
        let at = entries.enter(Instant::now());
        let left = entries.undecided.saturating_add(entries.since_chunk);
        let phase = if entries.last_token_at.is_some() { SlotPhase::Drain } else { SlotPhase::Prefill };
        entries.times.add(phase, left);
        entries.doing = Doing::Closed;
        (at, entries.times)
    }
}

// === impl Open ===

impl Open {
    /// Adds a slot that is held, with its account brought up to `at`.
    pub(super) fn add(&mut self, admitted_at: Instant, account: Option<&Account>, at: Instant) {
        self.oldest = earliest(self.oldest, Some(admitted_at));
        let Some(account) = account else {
            return PhaseTimes::dispatch(at.nanos_since(admitted_at)).add_to(&mut self.times);
        };
        self.tokens = self.tokens.saturating_add(account.tokens());
        let mut entries = account.entries();
        entries.enter(at);
        entries.times.add_to(&mut self.times);
        self.quietest = earliest(self.quietest, entries.last_token_at);
    }
}

fn earliest(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        _ => one.or(other),
    }
}

// === impl Entries ===

impl Entries {
    /// Enters the time up to `at`, and gives the instant up to which all is entered.
    fn enter(&mut self, at: Instant) -> Instant {
        let nanos = at.nanos_since(self.entered_at);
        match self.doing {
            Doing::Dispatch => self.times.add(SlotPhase::Dispatch, nanos),
            Doing::Backoff => self.times.add(SlotPhase::Backoff, nanos),
            Doing::Prefill => self.times.add(SlotPhase::Prefill, nanos),
            Doing::Waiting => self.since_chunk = self.since_chunk.saturating_add(nanos),
            Doing::Stall { .. } => self.times.add(SlotPhase::Stall, nanos),
            Doing::Closed => {}
        }
        self.entered_at = self.entered_at.max(at);
        self.entered_at
    }

    fn ask(&mut self, at: Instant) {
        if let Doing::Stall { prefill } = self.doing {
            self.enter(at);
            self.doing = if prefill { Doing::Prefill } else { Doing::Waiting };
        }
    }

    fn found(&mut self, at: Instant, found: Found) {
        let was_prefill = matches!(self.doing, Doing::Prefill | Doing::Stall { prefill: true });
        if found != Found::Nothing {
            self.undecided = self.undecided.saturating_add(std::mem::take(&mut self.since_chunk));
        }
        let prefill = match found {
            Found::Nothing => was_prefill,
            Found::NoContent if self.last_token_at.is_none() => {
                self.times.add(SlotPhase::Prefill, std::mem::take(&mut self.undecided));
                true
            }
            Found::NoContent | Found::Open => false,
            Found::Content => {
                self.content(at);
                false
            }
        };
        self.doing = Doing::Stall { prefill };
    }

    fn content(&mut self, at: Instant) {
        let phase = if self.last_token_at.is_some() { SlotPhase::Generate } else { SlotPhase::Prefill };
        self.times.add(phase, std::mem::take(&mut self.undecided));
        self.last_token_at = Some(at);
    }
}
