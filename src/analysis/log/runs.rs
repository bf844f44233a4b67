//! The runs that the logs have, and which of them a line belongs to.

use std::collections::BTreeMap;
use std::time::Duration;

use super::open::{Begun, Found, Goes, Key, Open};
use super::parts::{Cut, Parts};
use super::problems::{Kind, LeftOut, Skip};
use crate::analysis::run::{Gathering, Meta, Run};
use crate::clock::{Anchor, Instant};

/// The runs of all logs, of which the last is being read.
#[derive(Debug, Default)]
pub(super) struct Runs {
    all: Vec<Reading>,
    /// The name of that log.
    pub(super) file: Box<str>,
    /// The number of the line being read, from 1.
    pub(super) line: u64,
    open: Open,
    /// Those of that log are after so many others.
    others: usize,
}

#[derive(Debug)]
struct Reading {
    gathering: Gathering,
    parts: Parts,
    /// There where no `run` line began it.
    implied: Option<Implied>,
}

/// What stands in for a `run` line: the start and the cap are what the earliest of
/// the other lines tell.
#[derive(Debug)]
struct Implied {
    /// The first of them that was read.
    line: u64,
    cap_at: Option<Instant>,
}

/// What a line tells of its run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Of<'a> {
    pub(super) run_id: Option<&'a str>,
    pub(super) pool: Option<&'a str>,
    /// Its first instant.
    pub(super) at: Instant,
    /// The cap at an instant.
    pub(super) cap: Option<(Instant, u32)>,
}

impl Runs {
    /// Runs beyond so many are left out.
    const MOST_RUNS: usize = 1_000;
    /// No run lasts so long: ten years.
    const LONGEST_RUN: Duration = Duration::from_secs(10 * 366 * 24 * 60 * 60);

    /// A log begins.
    pub(super) fn next_log(&mut self, file: &str) {
        let others = self.all.len();
        *self = Self { all: std::mem::take(&mut self.all), file: file.into(), others, ..Self::default() };
    }

    /// The runs, and words for what is missing of them.
    pub(super) fn finish(self, left_out: &mut LeftOut) -> Vec<Run> {
        let finish = |Reading { mut gathering, parts, implied }| {
            if implied.is_some() {
                gathering.imply_counts();
            }
            tell_missing(&gathering.meta, &parts, left_out);
            if let Some(Cut { at, cap, backlog, backoff }) = parts.beginning() {
                let meta = &mut gathering.meta;
                (meta.started_at, meta.begins_late) = (at, true);
                (meta.cap, meta.backlog, meta.backoff) = (cap, backlog, backoff);
            }
            gathering.finish()
        };
        self.all.into_iter().map(finish).collect()
    }

    /// The runs of the log that no `run` line has begun: the first line of each that
    /// was read, and words for it.
    pub(super) fn without_a_start(&self) -> impl Iterator<Item = (u64, String)> {
        self.all.iter().skip(self.others).filter_map(|Reading { gathering, implied, .. }| {
            let (Meta { run_id, pool, .. }, Implied { line, cap_at }) = (&gathering.meta, implied.as_ref()?);
            let cap = if cap_at.is_some() { "that it tells" } else { "of 1, since it tells none" };
            let words = format!(
                "the run {run_id:?} of the pool {pool:?} has no line of type run: \
                 it is read from its first instant on, with the cap {cap}"
            );
            Some((*line, words))
        })
    }

    /// A run begins, or a part of it, whose number is given: with a cut where the run began
    /// in one before.
    ///
    /// # Errors
    /// Where it is given already, or is one too many.
    pub(super) fn begin(&mut self, meta: Meta, part: u32, cut: Option<Cut>) -> Result<(), Skip> {
        let key: Key = (meta.run_id.clone(), meta.pool.clone());
        let (at, file, line) = (meta.started_at, self.file.clone(), self.line);
        let same = |reading: &Reading| {
            let other = &reading.gathering.meta;
            reading.implied.is_none()
                && (&other.run_id, &other.pool, other.started_at) == (&meta.run_id, &meta.pool, at)
        };
        if let Some(index) = self.all.iter().position(same) {
            let reading = &mut self.all[index];
            if let Some(other) = reading.parts.log_of(part) {
                let reason = format!("the same run was read from {other} already");
                self.open.begin(key, Begun { at, goes: Goes::Nowhere });
                return Err((Kind::Duplicate, reason));
            }
            if reading.parts.add(part, cut, file, line) {
                reading.gathering.meta.begin(meta);
            }
            self.open.begin(key, Begun { at, goes: Goes::To(index) });
            return Ok(());
        }
        // A run whose first lines came before its own is it.
        if let Found::Name(name) = self.open.find(Some(&meta.run_id), Some(&meta.pool)) {
            if let Some(Begun { goes: Goes::To(index), .. }) = self.open.at(name, at) {
                let reading = &mut self.all[index];
                if reading.implied.is_some() && at <= reading.gathering.meta.started_at {
                    reading.implied = None;
                    reading.parts.add(part, cut, file, line);
                    reading.gathering.meta.begin(meta);
                    self.open.began(name, index, at);
                    return Ok(());
                }
            }
        }
        let index = self.add(Gathering::new(meta), None)?;
        self.all[index].parts.add(part, cut, file, line);
        self.open.begin(key, Begun { at, goes: Goes::To(index) });
        Ok(())
    }

    fn add(&mut self, gathering: Gathering, implied: Option<Implied>) -> Result<usize, Skip> {
        if self.all.len() >= Self::MOST_RUNS {
            let reason = format!("there are more than {} runs: give fewer logs at once", Self::MOST_RUNS);
            return Err((Kind::TooManyRuns, reason));
        }
        self.all.push(Reading { gathering, parts: Parts::default(), implied });
        Ok(self.all.len() - 1)
    }

    /// The run that a line belongs to.
    ///
    /// # Errors
    /// Where there is none that it can belong to.
    pub(super) fn of(&mut self, of: &Of<'_>) -> Result<&mut Gathering, Skip> {
        let Of { at, cap, .. } = *of;
        let name = match self.open.find(of.run_id, of.pool) {
            Found::Name(name) => Some(name),
            Found::New => None,
            Found::Several => {
                return Err((
                    Kind::Unclear,
                    "it does not say which of several runs it belongs to".to_owned(),
                ));
            }
        };
        let index = match name.and_then(|name| self.open.at(name, at)).map(|begun| begun.goes) {
            Some(Goes::To(index)) => index,
            Some(Goes::Nowhere) => {
                return Err((Kind::Duplicate, "its run was read already".to_owned()));
            }
            None => {
                let (run_id, pool) = (of.run_id.unwrap_or(""), of.pool.unwrap_or(""));
                let gathering = Gathering::new(self.meta(run_id, pool, at, 1));
                let index = self.add(gathering, Some(Implied { line: self.line, cap_at: None }))?;
                self.open.begin((run_id.into(), pool.into()), Begun { at, goes: Goes::To(index) });
                index
            }
        };
        let Reading { gathering, implied, .. } = &mut self.all[index];
        let started_at = gathering.meta.started_at;
        if at.since(started_at).max(started_at.since(at)) > Self::LONGEST_RUN {
            return Err((Kind::Absurd, "it is years away from its run".to_owned()));
        }
        match implied {
            Some(implied) => {
                if at < started_at {
                    gathering.meta.started_at = at;
                    if let Some(name) = name {
                        self.open.began(name, index, at);
                    }
                }
                let known = implied.cap_at.map(|at| (at, gathering.meta.cap));
                if let Some((at, cap)) = cap.filter(|cap| known.is_none_or(|known| *cap < known)) {
                    (implied.cap_at, gathering.meta.cap) = (Some(at), cap);
                }
            }
            None if at < started_at => return Err((Kind::Absurd, "it begins before its run".to_owned())),
            None => {}
        }
        Ok(gathering)
    }

    /// What a run of the log says of itself.
    pub(super) fn meta(&self, run_id: &str, pool: &str, started_at: Instant, cap: u32) -> Meta {
        Meta {
            run_id: run_id.into(),
            pool: pool.into(),
            file: Some(self.file.clone()),
            version: None,
            started_at,
            cap,
            backlog: 0,
            backoff: 0,
            tokenizer: "".into(),
            labels: BTreeMap::new(),
            anchor: Anchor::unix(),
            dropped_records: 0,
            end_in: None,
            begins_late: false,
        }
    }
}

/// Tells of a run's parts that are in no log.
fn tell_missing(meta: &Meta, parts: &Parts, left_out: &mut LeftOut) {
    let Meta { run_id, pool, .. } = meta;
    let of = format!("of the run {run_id:?} of the pool {pool:?}");
    if let (Some(_), Some((part, file, line))) = (parts.beginning(), parts.earliest()) {
        left_out.add(file, line, Kind::NoStart, || {
            format!("what is before part {part} {of} is in no log: it is read from there on, and its totals since its start are held against nothing")
        });
    }
    for (from, to, file, line) in parts.missing() {
        let (parts, are) = if from == to {
            (format!("part {from}"), "is")
        } else {
            (format!("parts {from} to {to}"), "are")
        };
        left_out.add(file, line, Kind::MissingPart, || format!("{parts} {of} {are} in no log"));
    }
}
