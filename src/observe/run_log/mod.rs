//! The run log: JSON Lines, written by a thread of its own.
//!
//! Traffic hands its news over through a bounded buffer and never waits. The
//! thread takes what is there twenty times a second, since one that is woken
//! for each record costs the traffic more than the writing does, and hands it to
//! the system at once: a process that is killed loses the news of that time, and
//! may leave half a line. What finds the buffer full, or does not reach the disk,
//! is counted as dropped.

mod dropped;
mod line;
mod output;
mod part;
mod writer;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use ::metrics::counter;

pub use self::dropped::Dropped;
use self::output::Output;
use self::writer::{OnFailure, Writer};
use super::metrics::LOG_DROPPED;
use super::{Observer, Sample, Start};
use crate::clock::Anchor;
use crate::gate::Change;
use crate::record::RequestRecord;
use crate::sync::Mutex;

/// What the buffer holds at most.
const MOST_HELD: usize = 65_536;

/// Writes a run to a file: a `run` line, then each request, sample and change, and
/// an `end` line with the totals.
///
/// All clones are the same log. Given to several pools, whose names must differ, it
/// holds the run of each: see [`pools`](Self::pools). It is settled before the first
/// pool starts: what is set later has no effect.
#[derive(Clone, Debug)]
pub struct RunLog(Arc<Shared>);

/// What every line of a run has in common.
#[derive(Debug)]
struct Run {
    id: Box<str>,
    anchor: Anchor,
    labels: Vec<(Box<str>, Box<str>)>,
}

#[derive(Debug)]
struct Shared {
    buffer: Mutex<Buffer>,
    dropped: Dropped,
    /// The file is to be opened anew.
    reopen: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    /// No pool is on.
    Idle(Box<Writer>),
    Writing(JoinHandle<Writer>),
    /// There is no thread, and cannot be: all is counted as dropped.
    Lost,
}

#[derive(Debug, Default)]
struct Buffer {
    news: Vec<News>,
    /// Pools that have started.
    started: usize,
    /// Those of them that have not ended.
    on: usize,
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
        let output = Output::open(path.as_ref().to_owned())?;
        let run = Run {
            id: format!("{:016x}", fastrand::u64(..)).into(),
            anchor: Anchor::now(),
            labels: Vec::new(),
        };
        Ok(Self(Arc::new(Shared {
            buffer: Mutex::default(),
            dropped: Dropped::default(),
            reopen: AtomicBool::new(false),
            state: Mutex::new(State::Idle(Box::new(Writer::new(output, run)))),
        })))
    }

    /// Names the run; a random name unless told.
    #[must_use]
    pub fn run_id(self, id: &str) -> Self {
        self.set(|writer| writer.run.id = id.into())
    }

    /// Adds a label to the `run` line.
    #[must_use]
    pub fn label(self, key: &str, value: &str) -> Self {
        self.set(|writer| writer.run.labels.push((key.into(), value.into())))
    }

    /// How many pools the first `run` line is to tell of: one unless told otherwise. It
    /// is written once they have started, or a second after the first of them. A pool
    /// that starts later has a `run` line of its own, by the same name of the run.
    #[must_use]
    pub fn pools(self, count: usize) -> Self {
        self.set(|writer| writer.announced = count)
    }

    /// Lets the file grow to so many bytes, and no further by more than one line. It is
    /// then kept under its name with `.1` after it, the next with `.2` and so on, never
    /// by a name that is taken, and a new file is begun with a `run` line that says how
    /// the pools stand: all parts together, in any order, are the log. Without it the
    /// file grows for ever. What is no regular file is not rotated.
    #[must_use]
    pub fn rotate(self, bytes: u64) -> Self {
        self.set(|writer| writer.output.limit(bytes))
    }

    /// Calls `tell` when lines cannot be written, once until they can be again, and when
    /// the file cannot be rotated or reopened, each time: the log then goes on with the
    /// file it has. It runs in the log's thread.
    #[must_use]
    pub fn on_failure(self, tell: impl Fn(&io::Error) + Send + 'static) -> Self {
        self.set(|writer| writer.on_failure = OnFailure(Some(Box::new(tell))))
    }

    /// Opens the file by its name again, within 50 ms, after another program has moved it
    /// away. The new file begins as after [`rotate`](Self::rotate).
    pub fn reopen(&self) {
        self.0.reopen.store(true, Ordering::Release);
    }

    /// The count of lines that could not be kept, for whoever gives the log away.
    #[must_use]
    pub fn dropped(&self) -> Dropped {
        self.0.dropped.clone()
    }

    fn set(self, set: impl FnOnce(&mut Writer)) -> Self {
        if let State::Idle(writer) = &mut *self.0.state.lock() {
            set(writer);
        }
        self
    }

    fn count_dropped(&self, pool: &Arc<str>) {
        counter!(LOG_DROPPED, "pool" => pool.clone()).absolute(self.0.dropped.of(pool));
    }

    fn hand_over(&self, news: News) {
        let mut buffer = self.0.buffer.lock();
        if buffer.on == 0 || buffer.news.len() >= MOST_HELD {
            drop(buffer);
            self.0.dropped.add(news.pool());
        } else {
            buffer.news.push(news);
        }
    }
}

impl Observer for RunLog {
    fn start(&self, start: &Start) {
        let mut state = self.0.state.lock();
        {
            let mut buffer = self.0.buffer.lock();
            buffer.news.push(News::Start(start.clone()));
            buffer.started += 1;
            buffer.on += 1;
        }
        *state = match std::mem::replace(&mut *state, State::Lost) {
            State::Idle(writer) => {
                let shared = self.0.clone();
                let thread = std::thread::Builder::new().name("tps-run-log".into());
                thread.spawn(move || writer.run(&shared)).map_or(State::Lost, State::Writing)
            }
            other => other,
        };
        if matches!(*state, State::Lost) {
            let mut buffer = self.0.buffer.lock();
            buffer.on = 0;
            buffer.news.drain(..).for_each(|news| self.0.dropped.add(news.pool()));
        }
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
        let mut state = self.0.state.lock();
        let is_last = {
            let mut buffer = self.0.buffer.lock();
            let was_on = buffer.on > 0;
            if was_on {
                // However full: a run that ended says so.
                buffer.news.push(News::End(sample.clone()));
                buffer.on -= 1;
            }
            was_on && buffer.on == 0
        };
        if is_last {
            *state = match std::mem::replace(&mut *state, State::Lost) {
                State::Writing(thread) => {
                    thread.thread().unpark();
                    thread.join().map_or(State::Lost, |writer| State::Idle(Box::new(writer)))
                }
                other => other,
            };
        }
        drop(state);
        self.count_dropped(&sample.pool);
    }
}

// === impl News ===

impl News {
    /// Whose it is.
    fn pool(&self) -> &Arc<str> {
        match self {
            Self::Start(start) => &start.pool,
            Self::Request(record) => &record.pool,
            Self::Sample(sample) | Self::End(sample) => &sample.pool,
            Self::Change(pool, _) => pool,
        }
    }
}
