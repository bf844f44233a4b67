//! What client and upstream both know of a batch: the cases, and how far each has come.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Barrier, Notify};

use crate::case::Case;

/// How long anything may take that should be there at once. Only a failure waits that long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) cases: Vec<Case>,
    marks: Vec<Mark>,
    cap: usize,
    /// How many are at the upstream, of those that hold a slot for certain.
    present: AtomicUsize,
    /// Where as many requests as the cap lets wait for each other.
    pub(crate) together: Barrier,
    complaints: Mutex<Vec<String>>,
}

#[derive(Debug, Default)]
struct Mark {
    seen: Notify,
    place: AtomicU8,
}

const ELSEWHERE: u8 = 0;
const PRESENT: u8 = 1;
const LEFT: u8 = 2;

impl Plan {
    pub(crate) fn new(cases: Vec<Case>, cap: usize) -> Self {
        let marks = cases.iter().map(|_| Mark::default()).collect();
        Self {
            cases,
            marks,
            cap,
            present: AtomicUsize::new(0),
            together: Barrier::new(cap),
            complaints: Mutex::new(Vec::new()),
        }
    }

    pub(crate) fn complain(&self, complaint: String) {
        self.complaints.lock().unwrap().push(complaint);
    }

    pub(crate) fn complaints(&self) -> Vec<String> {
        std::mem::take(&mut *self.complaints.lock().unwrap())
    }

    /// The upstream has its head.
    pub(crate) fn arrives(&self, case: &Case) {
        if !case.is_post {
            return;
        }
        match self.place(case).compare_exchange(ELSEWHERE, PRESENT, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) => {}
            // Its client is gone, and the proxy may know it at any moment.
            Err(LEFT) => return,
            Err(_) => return self.complain(format!("the upstream got a request twice: {case:?}")),
        }
        let present = self.present.fetch_add(1, Ordering::SeqCst) + 1;
        if present > self.cap {
            self.complain(format!("{present} at the upstream, over the cap of {}", self.cap));
        }
    }

    /// From here on its slot may go back. Said before that which brings it about.
    pub(crate) fn leaves(&self, case: &Case) {
        if self.place(case).swap(LEFT, Ordering::SeqCst) == PRESENT {
            self.present.fetch_sub(1, Ordering::SeqCst);
        }
    }

    fn place(&self, case: &Case) -> &AtomicU8 {
        &self.marks[case.number].place
    }

    /// The upstream has all of it.
    pub(crate) fn seen(&self, case: &Case) {
        self.marks[case.number].seen.notify_one();
    }

    pub(crate) async fn until_seen(&self, case: &Case) {
        self.marks[case.number].seen.notified().await;
    }
}
