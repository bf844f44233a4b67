//! The log's thread: takes what is there, and writes it.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::line::Line;
use super::output::{Output, Unwritten};
use super::part::{Cut, Standing};
use super::{News, Run, Shared};
use crate::clock::Instant;

/// How long news waits at most before it is written.
const CADENCE: Duration = Duration::from_millis(50);
/// How often to look whether all pools have started that a first line is to tell of.
const MOST_LOOKS: u32 = 20;
/// So many bytes are written at once.
const AT_ONCE: usize = 1 << 18;

/// Writes the lines of all pools that are on.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) run: Run,
    pub(super) output: Output,
    /// The first `run` line is to tell of so many pools.
    pub(super) announced: usize,
    pub(super) on_failure: OnFailure,
    has_begun: bool,
    /// The pools that have started and not ended.
    pools: Vec<Standing>,
    /// Which part of the run is being written, from 1.
    part: u32,
    /// The last instant that was told of.
    until: Option<Instant>,
    /// Whether the file has more than the line that a part begins with.
    has_news: bool,
    is_failing: bool,
    lines: Vec<u8>,
    /// Where each of them ends, and whose it is.
    ends: Vec<(usize, Arc<str>)>,
}

/// Who is told when something cannot be done.
#[derive(Default)]
pub(super) struct OnFailure(pub(super) Option<Box<Tell>>);

pub(super) type Tell = dyn Fn(&io::Error) + Send;

impl Writer {
    pub(super) fn new(output: Output, run: Run) -> Self {
        Self {
            run,
            announced: 1,
            on_failure: OnFailure::default(),
            has_begun: false,
            pools: Vec::new(),
            part: 1,
            until: None,
            has_news: !output.is_empty(),
            output,
            is_failing: false,
            lines: Vec::new(),
            ends: Vec::new(),
        }
    }

    /// Writes until every pool that has started has ended.
    pub(super) fn run(mut self, shared: &Shared) -> Self {
        let (mut batch, mut looks) = (Vec::new(), 0);
        loop {
            let (is_over, started) = {
                let mut buffer = shared.buffer.lock();
                let is_over = buffer.on == 0;
                let is_enough = buffer.started >= self.announced || looks >= MOST_LOOKS;
                if self.has_begun || is_over || is_enough {
                    std::mem::swap(&mut buffer.news, &mut batch);
                }
                (is_over, buffer.started)
            };
            looks += u32::from(started > 0);
            if shared.reopen.swap(false, Ordering::AcqRel) {
                self.reopen(shared);
            }
            if !self.has_begun && !batch.is_empty() {
                self.begin(&mut batch, shared);
            }
            for news in batch.drain(..) {
                self.news(&news, shared);
            }
            self.flush(shared);
            if is_over {
                return self;
            }
            std::thread::park_timeout(CADENCE);
        }
    }

    /// Writes the first line, of all the pools that it is to tell of.
    fn begin(&mut self, batch: &mut Vec<News>, shared: &Shared) {
        let mut starts = Vec::new();
        batch.retain(|news| match news {
            News::Start(start) if starts.len() < self.announced => {
                starts.push(Standing::new(start.clone()));
                false
            }
            _ => true,
        });
        self.has_begun = true;
        self.start(starts, shared);
    }

    /// Pools start.
    fn start(&mut self, pools: Vec<Standing>, shared: &Shared) {
        let Some(first) = pools.first() else { return };
        let (pool, until) = (first.start.pool.clone(), pools.iter().map(|pool| pool.start.at).max());
        let begins = self.lines.len();
        Line::run(&mut self.lines, &pools, self.part, None, &self.run);
        if self.make_room(begins, shared) {
            // It is in another part now.
            self.lines.clear();
            Line::run(&mut self.lines, &pools, self.part, None, &self.run);
        }
        self.added(pool, shared);
        self.until = self.until.max(until);
        self.pools.extend(pools);
    }

    fn news(&mut self, news: &News, shared: &Shared) {
        let (begins, run, lines) = (self.lines.len(), &self.run, &mut self.lines);
        let at = match news {
            News::Start(start) => return self.start(vec![Standing::new(start.clone())], shared),
            News::Request(record) => {
                Line::request(lines, record, run);
                record.timeline.released_at.unwrap_or(record.timeline.queued_at)
            }
            News::Sample(sample) => {
                Line::sample(lines, sample, run);
                sample.reading.at
            }
            News::Change(pool, change) => {
                Line::change(lines, pool, change, run);
                change.at
            }
            News::End(sample) => {
                Line::end(lines, sample, run, shared.dropped.of(&sample.pool));
                sample.reading.at
            }
        };
        let pool = news.pool();
        self.make_room(begins, shared);
        self.added(pool.clone(), shared);
        self.until = self.until.max(Some(at));
        match news {
            News::Change(_, change) => {
                let standing = self.pools.iter_mut().find(|standing| standing.start.pool == *pool);
                standing.into_iter().for_each(|standing| standing.change(change));
            }
            News::End(_) => self.pools.retain(|standing| standing.start.pool != *pool),
            _ => {}
        }
    }

    /// Where there is no room for the line that begins there, the file is rotated, and the
    /// line is the only one that is not written yet. Whether that was so.
    fn make_room(&mut self, begins: usize, shared: &Shared) -> bool {
        let is_full = self.has_news && self.output.is_full_with(self.lines.len()) && self.can_cut();
        if is_full {
            let line = self.lines.split_off(begins);
            self.flush(shared);
            let rotated = self.output.rotate();
            self.cut(rotated, shared);
            self.lines.extend_from_slice(&line);
        }
        is_full
    }

    /// A line has been added.
    fn added(&mut self, pool: Arc<str>, shared: &Shared) {
        self.has_news = true;
        self.ends.push((self.lines.len(), pool));
        if self.lines.len() >= AT_ONCE {
            self.flush(shared);
        }
    }

    fn reopen(&mut self, shared: &Shared) {
        if self.can_cut() {
            let reopened = self.output.reopen();
            self.cut(reopened, shared);
        } else {
            shared.reopen.store(true, Ordering::Release);
        }
    }

    /// Whether what is known of the pools can be told: not between two changes that
    /// came out of their order.
    fn can_cut(&self) -> bool {
        self.pools.iter().all(Standing::can_be)
    }

    /// Begins the next part of the run, where there is a new file for it.
    fn cut(&mut self, done: io::Result<()>, shared: &Shared) {
        if let Err(error) = done {
            self.on_failure.tell(&error);
            return;
        }
        self.has_news = !self.output.is_empty();
        let (Some(at), Some(first)) = (self.until, self.pools.first()) else { return };
        let pool = first.start.pool.clone();
        self.part += 1;
        Line::run(&mut self.lines, &self.pools, self.part, Some(Cut { at }), &self.run);
        self.ends.push((self.lines.len(), pool));
        self.flush(shared);
    }

    /// Hands over to the system what is there.
    fn flush(&mut self, shared: &Shared) {
        if self.lines.is_empty() {
            return;
        }
        match self.output.write(&self.lines) {
            Ok(()) => self.is_failing = false,
            Err(Unwritten { written, error }) => {
                let lost = self.ends.iter().filter(|(end, _)| *end > written);
                lost.for_each(|(_, pool)| shared.dropped.add(pool));
                if !std::mem::replace(&mut self.is_failing, true) {
                    self.on_failure.tell(&error);
                }
            }
        }
        self.lines.clear();
        self.ends.clear();
    }
}

impl OnFailure {
    fn tell(&self, error: &io::Error) {
        if let Some(tell) = &self.0 {
            tell(error);
        }
    }
}

impl fmt::Debug for OnFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "OnFailure(…)" } else { "OnFailure(none)" })
    }
}
