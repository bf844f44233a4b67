//! Where what would take too long in a poll is counted: one thread, which is
//! there from the first time on that it is needed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread;

/// How many streams may wait for their count.
const MOST_WAITING: usize = 64;

/// It is told whether there is time to count.
type Job = Box<dyn FnOnce(bool) + Send>;

/// Does it soon, in the order of the calls; or now and without counting, if too
/// many wait.
pub(crate) fn later(job: Job) {
    static THREAD: OnceLock<Option<SyncSender<Job>>> = OnceLock::new();
    let refused = match THREAD.get_or_init(start) {
        Some(sender) => sender.try_send(job).err(),
        None => Some(TrySendError::Disconnected(job)),
    };
    if let Some(TrySendError::Full(job) | TrySendError::Disconnected(job)) = refused {
        job(false);
    }
}

fn start() -> Option<SyncSender<Job>> {
    let (sender, jobs) = sync_channel::<Job>(MOST_WAITING);
    let work = move || {
        for job in jobs {
            // One that panics is no reason not to do the next.
            let _ = catch_unwind(AssertUnwindSafe(|| job(true)));
        }
    };
    thread::Builder::new().name("tower-tps-count".into()).spawn(work).ok().map(|_| sender)
}
