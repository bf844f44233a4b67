//! The run log: JSON Lines, written by a thread of its own.
//!
//! Traffic hands its news over through a bounded buffer and never waits. The
//! thread takes what is there twenty times a second, since one that is woken
//! for each record costs the traffic more than the writing does. What finds the
//! buffer full, or does not reach the disk, is counted as dropped.

mod line;
mod writer;

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use ::metrics::counter;

use super::metrics::LOG_DROPPED;
use super::{Observer, Sample, Start};
use crate::clock::Anchor;
use crate::gate::Change;
use crate::record::RequestRecord;
use crate::sync::Mutex;

/// What the buffer holds at most.
const MOST_HELD: usize = 65_536;

/// Writes a pool's run to a file: a `run` line, then each request, sample and
/// change, and an `end` line with the totals. One log takes one pool.
#[derive(Debug)]
pub struct RunLog {
    shared: Arc<Shared>,
    run: Arc<Run>,
    state: Mutex<State>,
}

/// The count of lines that a log could not keep, which outlives the log.
#[derive(Clone, Debug)]
pub struct Dropped(Arc<Shared>);

/// What every line of a run has in common.
#[derive(Debug)]
struct Run {
    id: Box<str>,
    anchor: Anchor,
    labels: Vec<(Box<str>, Box<str>)>,
}

#[derive(Debug)]
enum State {
    Opened(File),
    Writing(JoinHandle<()>),
    Closed,
}

#[derive(Debug, Default)]
struct Shared {
    buffer: Mutex<Buffer>,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct Buffer {
    news: Vec<News>,
    ended: bool,
}

#[derive(Debug)]
enum News {
    Start(Start),
    Request(Arc<RequestRecord>),
    Sample(Sample),
    Change(Arc<str>, Change),
    End(Sample),
}

// === impl RunLog ===

impl RunLog {
    /// Creates the file, or goes on at the end of one that exists: each run
    /// begins with a `run` line.
    ///
    /// # Errors
    /// When the file cannot be opened for writing.
    pub fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        if torn(&mut file)? {
            io::Write::write_all(&mut file, b"\n")?;
        }
        let run = Run {
            id: format!("{:016x}", fastrand::u64(..)).into(),
            anchor: Anchor::now(),
            labels: Vec::new(),
        };
        Ok(Self { shared: Arc::default(), run: Arc::new(run), state: Mutex::new(State::Opened(file)) })
    }

    /// Names the run; a random name unless told.
    #[must_use]
    pub fn run_id(mut self, id: &str) -> Self {
        if let Some(run) = Arc::get_mut(&mut self.run) {
            run.id = id.into();
        }
        self
    }

    /// Adds a label to the `run` line.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        if let Some(run) = Arc::get_mut(&mut self.run) {
            run.labels.push((key.into(), value.into()));
        }
        self
    }

    /// The count of lines that could not be kept, for whoever gives the log away.
    #[must_use]
    pub fn dropped(&self) -> Dropped {
        Dropped(self.shared.clone())
    }

    fn count_dropped(&self, pool: &Arc<str>) {
        counter!(LOG_DROPPED, "pool" => pool.clone()).absolute(self.shared.dropped.load(Ordering::Relaxed));
    }

    fn hand_over(&self, news: News) {
        let mut buffer = self.shared.buffer.lock();
        if buffer.ended || buffer.news.len() >= MOST_HELD {
            drop(buffer);
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        } else {
            buffer.news.push(news);
        }
    }
}

/// Whether the file's last line has no end: the next must not be joined to it.
fn torn(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

impl Observer for RunLog {
    fn start(&self, start: &Start) {
        let mut state = self.state.lock();
        *state = match std::mem::replace(&mut *state, State::Closed) {
            State::Opened(file) => {
                self.hand_over(News::Start(start.clone()));
                let (shared, run) = (self.shared.clone(), self.run.clone());
                let thread = std::thread::Builder::new().name("tps-run-log".into());
                match thread.spawn(move || writer::run(file, &shared, &run)) {
                    Ok(thread) => State::Writing(thread),
                    // Without a thread nothing is kept, and all is counted as dropped.
                    Err(_) => {
                        self.shared.buffer.lock().ended = true;
                        State::Closed
                    }
                }
            }
            other => other,
        };
    }

    fn request(&self, record: &Arc<RequestRecord>) {
        self.hand_over(News::Request(record.clone()));
    }

    fn change(&self, pool: &Arc<str>, change: &Change) {
        self.hand_over(News::Change(pool.clone(), *change));
    }

    fn sample(&self, sample: &Sample) {
        self.hand_over(News::Sample(sample.clone()));
        self.count_dropped(&sample.pool);
    }

    fn end(&self, sample: &Sample) {
        {
            let mut buffer = self.shared.buffer.lock();
            if !buffer.ended {
                // However full: a run that ended says so.
                buffer.news.push(News::End(sample.clone()));
                buffer.ended = true;
            }
        }
        let mut state = self.state.lock();
        if let State::Writing(thread) = std::mem::replace(&mut *state, State::Closed) {
            thread.thread().unpark();
            // It has nothing to say that its count of dropped lines does not.
            let _ = thread.join();
        }
        self.count_dropped(&sample.pool);
    }
}

// === impl Dropped ===

impl Dropped {
    /// Lines so far that found the buffer full or did not reach the disk.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }
}
