//! One run: all that was told of a pool from its start to its end.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::logical;
use super::names::{Name, Names};
use super::row::Row;
use super::told::Told;
use crate::clock::{Anchor, Instant};
use crate::gate::{Change, Counts, Quantity};

/// All that was told of one pool from its start to its end: kept in memory by a
/// [`Recording`](super::Recording), or read from a run log.
///
/// Requests that have not ended are not in it.
#[derive(Clone, Debug)]
pub struct Run {
    pub(super) meta: Meta,
    /// In the order of their ends, their attempts joined.
    pub(super) rows: Vec<Row>,
    pub(super) names: Names,
    pub(super) changes: Vec<Change>,
    /// In the order of time.
    pub(super) told: Vec<Told>,
    /// When the run ended, where that was told.
    pub(super) closed_at: Option<Instant>,
    ends_at: Instant,
    /// Requests that were left out, since they ended after it.
    pub(super) after_end: u64,
}

/// What a run says of itself.
#[derive(Clone, Debug)]
pub(super) struct Meta {
    pub(super) run_id: Box<str>,
    pub(super) pool: Box<str>,
    /// Where it was read from; absent for what was kept in memory.
    pub(super) file: Option<Box<str>>,
    pub(super) version: Option<Box<str>>,
    pub(super) started_at: Instant,
    pub(super) cap: u32,
    /// Work declared when it started. Not zero only where its beginning is missing.
    pub(super) backlog: u64,
    /// The same of what was in back-off.
    pub(super) backoff: u64,
    pub(super) tokenizer: Box<str>,
    pub(super) labels: BTreeMap<Box<str>, Box<str>>,
    pub(super) anchor: Anchor,
    /// Lines that the log's writer could not keep, as its `end` line says.
    pub(super) dropped_records: u64,
    /// The log and the line of its end; absent where that is in none.
    pub(super) end_in: Option<(Box<str>, u64)>,
    /// Whether it is read from a cut on, and what was before is missing.
    pub(super) begins_late: bool,
}

/// A run under way.
#[derive(Clone, Debug)]
pub(super) struct Gathering {
    pub(super) meta: Meta,
    pub(super) rows: Vec<Row>,
    pub(super) names: Names,
    pub(super) changes: Vec<Change>,
    pub(super) told: Vec<Told>,
    /// What was told at its end.
    end: Option<Told>,
}

impl Meta {
    /// What was taken for the beginning is not: this is. What was told of the end stays.
    pub(super) fn begin(&mut self, begins: Self) {
        let (dropped_records, end_in) = (self.dropped_records, self.end_in.take());
        *self = Self { dropped_records, end_in, ..begins };
    }

    /// The counts at the start.
    pub(super) fn counts(&self) -> Counts {
        let Self { cap, backlog, backoff, .. } = *self;
        Counts { cap, in_flight: 0, waiting: 0, backoff, backlog }
    }
}

impl Gathering {
    /// So many samples are kept. Of more, every second one is.
    const MOST_TOLD: usize = 16_384;

    pub(super) fn new(meta: Meta) -> Self {
        Self {
            meta,
            rows: Vec::new(),
            names: Names::default(),
            changes: Vec::new(),
            told: Vec::new(),
            end: None,
        }
    }

    /// A sample; none is kept beyond what memory is bounded by.
    pub(super) fn sample(&mut self, told: Told) {
        if self.told.len() >= Self::MOST_TOLD {
            let mut index = 0;
            self.told.retain(|_| {
                index += 1;
                index % 2 == 1
            });
        }
        self.told.push(told);
    }

    /// The end, which is always kept. Of several it is the last.
    pub(super) fn end(&mut self, told: Told) {
        let (end, other) = match self.end.take() {
            Some(end) if end.at > told.at => (end, Some(told)),
            end => (told, end),
        };
        self.end = Some(end);
        other.into_iter().for_each(|told| self.sample(told));
    }

    /// Where its beginning is missing: what was there before its first change was there
    /// from the start.
    pub(super) fn imply_counts(&mut self) {
        let first = |quantity: Quantity| {
            let changes = self.changes.iter().filter(|change| change.quantity == quantity);
            changes.min_by_key(|change| (change.at, change.from)).map_or(0, |change| change.from)
        };
        (self.meta.backlog, self.meta.backoff) = (first(Quantity::Backlog), first(Quantity::Backoff));
    }

    /// The run as it stands. In whatever order it was told, it is the same.
    pub(super) fn finish(mut self) -> Run {
        self.rows.sort_by_key(|row| (row.ended_at(), row.attempt, row.timeline.queued_at, row.id));
        self.told.sort_by_key(Told::order);
        let closed_at = self.end.as_ref().map(|told| told.at);
        // What ended after the run ended is none of its time: it cannot be.
        let ended = self.rows.partition_point(|row| closed_at.is_none_or(|closed| row.ended_at() <= closed));
        let after_end = (self.rows.len() - ended) as u64;
        self.rows.truncate(ended);
        logical::join(&mut self.rows.iter_mut().collect::<Vec<_>>());
        self.told.extend(self.end.take());
        let last = [
            self.rows.last().map(Row::ended_at),
            self.told.last().map(|told| told.at),
            self.changes.iter().map(|change| change.at).max(),
        ];
        let last = last.into_iter().flatten().max().unwrap_or(self.meta.started_at);
        let ends_at = closed_at.unwrap_or(last).max(self.meta.started_at);
        if self.meta.begins_late {
            // They count from a start that is not here.
            self.told.clear();
        }
        let Self { meta, rows, names, changes, told, .. } = self;
        Run { meta, rows, names, changes, told, closed_at, ends_at, after_end }
    }
}

impl Run {
    /// The name of the pool.
    #[must_use]
    pub fn pool(&self) -> &str {
        &self.meta.pool
    }

    /// The name of the run; empty for one that was kept in memory.
    #[must_use]
    pub fn run_id(&self) -> &str {
        &self.meta.run_id
    }

    /// When it started.
    #[must_use]
    pub fn started_at(&self) -> SystemTime {
        self.wall(self.meta.started_at)
    }

    /// Whether its end was told. Where it was not, requests that were under way are
    /// not in it.
    #[must_use]
    pub fn has_end(&self) -> bool {
        self.closed_at.is_some()
    }

    /// From the start to the end, or to the last instant that was told of.
    #[must_use]
    pub fn window_time(&self) -> Duration {
        self.ends_at.since(self.meta.started_at)
    }

    pub(super) fn ends_at(&self) -> Instant {
        self.ends_at
    }

    pub(super) fn wall(&self, at: Instant) -> SystemTime {
        self.meta.anchor.wall(at)
    }

    pub(super) fn name(&self, name: Name) -> &str {
        self.names.get(name)
    }
}
