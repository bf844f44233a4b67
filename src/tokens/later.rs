//! Where what would take too long in a poll is counted: one thread, which is
//! there from the first time on that it is needed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;

/// The most text that may wait for its count, in bytes. What comes on top is
/// not counted.
const MOST_WAITING: usize = 64 * 1024 * 1024;

static WAITING: AtomicUsize = AtomicUsize::new(0);

/// Whether there is time to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It is this stream's turn.
    Count,
    /// Too much waits: the count is to be given up.
    GiveUp,
}

type Job = Box<dyn FnOnce(Turn) + Send>;

/// Does it soon, when it is its turn; or now and without counting, if too much
/// waits. `bytes` is the text that it has to count.
pub(crate) fn count_later(bytes: usize, job: Job) {
    static THREAD: OnceLock<Option<Sender<(usize, Job)>>> = OnceLock::new();
    let waiting = WAITING.fetch_add(bytes, Ordering::Relaxed);
    let sender = THREAD.get_or_init(start).as_ref().filter(|_| waiting <= MOST_WAITING);
    let refused = match sender {
        Some(sender) => sender.send((bytes, job)).err().map(|refused| refused.0.1),
        None => Some(job),
    };
    if let Some(job) = refused {
        WAITING.fetch_sub(bytes, Ordering::Relaxed);
        job(Turn::GiveUp);
    }
}

fn start() -> Option<Sender<(usize, Job)>> {
    let (sender, jobs) = channel::<(usize, Job)>();
    let work = move || {
        for (bytes, job) in jobs {
            // One that panics is no reason not to do the next.
            let _ = catch_unwind(AssertUnwindSafe(|| job(Turn::Count)));
            WAITING.fetch_sub(bytes, Ordering::Relaxed);
        }
    };
    thread::Builder::new().name("tower-tps-count".into()).spawn(work).ok().map(|_| sender)
}
