//! The work that follows on each response: on the executor's own thread, where
//! it holds up everything else, or on a thread meant for it.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use tower_tps::observe::Observer;
use tower_tps::record::RequestRecord;

/// How long it takes.
const WORK: Duration = Duration::from_millis(15);

/// Does the work as soon as a request has ended.
#[derive(Debug)]
pub(super) enum Audit {
    /// There and then, as a log that is written synchronously.
    Here,
    /// On a thread of its own, which ends with the sender.
    Elsewhere(mpsc::Sender<()>),
}

impl Audit {
    pub(super) fn new(here: bool) -> std::io::Result<Self> {
        if here {
            return Ok(Self::Here);
        }
        let (sender, receiver) = mpsc::channel();
        let thread = std::thread::Builder::new().name("audit".into());
        thread.spawn(move || receiver.iter().for_each(|()| std::thread::sleep(WORK)))?;
        Ok(Self::Elsewhere(sender))
    }
}

impl Observer for Audit {
    fn request(&self, _: &Arc<RequestRecord>) {
        match self {
            // An observer must not block. That is the fault.
            Self::Here => std::thread::sleep(WORK),
            Self::Elsewhere(sender) => {
                // Its thread lives as long as this.
                let _ = sender.send(());
            }
        }
    }
}
