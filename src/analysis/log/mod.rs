//! Run logs, read back: each run as it was, and what could not be read of it.

mod decimal;
mod line;
mod lines;
mod problems;
mod request;

use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufRead};

use serde::Deserialize;
use serde_json::value::RawValue;

use self::line::{Caps, ChangeLine, Pools, RequestLine, RunLine, SampleLine, Tag};
use self::lines::{LONGEST, Lines, Read};
pub use self::problems::{Kind, LeftOut, Problem};
use super::run::{Gathering, Meta, Run};
use super::told::Told;
use crate::clock::{Anchor, Instant};
use crate::gate::{Change, Gate, Quantity};

/// Reads run logs, one after the other: of one process or of several, each with
/// any number of runs.
#[derive(Debug, Default)]
pub struct Logs {
    runs: Vec<Reading>,
    left_out: LeftOut,
    /// The name of the log being read.
    file: Box<str>,
    /// The runs of that log that lines may belong to: the last of each name.
    open: HashMap<Key, Open>,
    /// The one that the last line belonged to.
    last: Option<(Key, usize)>,
}

/// A run of a pool: its id and the pool's name.
type Key = (Box<str>, Box<str>);

/// Where the lines of a run go.
#[derive(Clone, Copy, Debug)]
enum Open {
    Run(usize),
    /// Another log has them already.
    Duplicate,
}

#[derive(Debug)]
struct Reading {
    gathering: Gathering,
    /// No `run` line began it: its start and its cap are what its lines tell.
    is_implied: bool,
}

/// Why a line was left out.
type Skip = (Kind, String);

impl Logs {
    /// Runs beyond so many are left out.
    const MOST_RUNS: usize = 1_000;

    /// Reads a log to its end. `file` is what it is called in reports.
    ///
    /// # Errors
    /// Those of the input. What was read until then is kept.
    pub fn read(&mut self, file: &str, input: impl BufRead) -> io::Result<()> {
        self.file = file.into();
        self.open.clear();
        self.last = None;
        let mut lines = Lines::new(input);
        while let Some(read) = lines.next()? {
            self.left_out.lines += 1;
            let read = match read {
                Read::Line(line) => self.line(line),
                Read::Unfinished(line) => self.line(line).map_err(|(kind, reason)| match kind {
                    Kind::Unreadable => (Kind::Torn, format!("the file ends within it: {reason}")),
                    kind => (kind, reason),
                }),
                Read::TooLong => Err((Kind::TooLong, format!("it is longer than {LONGEST} bytes"))),
            };
            if let Err((kind, reason)) = read {
                self.left_out.add(&self.file, lines.number, kind, || reason);
            }
        }
        Ok(())
    }

    /// The runs that were read, in the order of their logs, and what was not.
    #[must_use]
    pub fn finish(self) -> (Vec<Run>, LeftOut) {
        let runs = self.runs.into_iter().map(|reading| reading.gathering.finish());
        (runs.collect(), self.left_out)
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Skip> {
        if line.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        // As the log's own writer begins it: nearly all lines are these.
        if line.starts_with(b"{\"type\":\"request\"") {
            return self.request(line);
        }
        let tag: Tag<'_> = match serde_json::from_slice(line) {
            Ok(tag) => tag,
            Err(error) if error.is_data() => {
                return Err((Kind::Foreign, "it is no object with a type".to_owned()));
            }
            Err(error) => return Err(unreadable(&error)),
        };
        match tag.kind.as_deref() {
            Some("run") => self.run(&parse(line)?),
            Some("request") => self.request(line),
            Some("sample") => self.sample(line, false),
            Some("end") => self.sample(line, true),
            Some("cap") => self.change(line, Quantity::Cap),
            Some("backlog") => self.change(line, Quantity::Backlog),
            Some("backoff") => self.change(line, Quantity::Backoff),
            Some(kind) => {
                self.left_out.unknown(kind);
                Ok(())
            }
            None => Err((Kind::Foreign, "it has no type".to_owned())),
        }
    }

    fn run(&mut self, line: &RunLine<'_>) -> Result<(), Skip> {
        let run_id = line.run_id.as_deref().unwrap_or("");
        let pools = match &line.pool {
            None => vec![Box::default()],
            Some(Pools::One(pool)) => vec![pool.clone()],
            Some(Pools::Several(pools)) => pools.clone(),
        };
        for pool in &pools {
            let cap = match &line.cap {
                Some(Caps::One(cap)) => Some(*cap),
                Some(Caps::Each(caps)) => caps.get(pool).copied(),
                None => None,
            };
            let cap = cap.filter(|cap| (1..=Gate::MAX_CAP).contains(cap));
            let cap =
                cap.ok_or_else(|| (Kind::Absurd, format!("the pool {pool:?} has no cap that can be")))?;
            let mut meta = meta(run_id, pool, &self.file, line.started_at.0, cap);
            meta.version = line.version.as_deref().map(Into::into);
            meta.tokenizer = line.tokenizer.as_deref().unwrap_or("").into();
            for (key, value) in line.labels.iter().flatten() {
                let value = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
                meta.labels.insert(key.clone(), value.into());
            }
            self.begin(meta)?;
        }
        Ok(())
    }

    fn begin(&mut self, meta: Meta) -> Result<(), Skip> {
        let key = (meta.run_id.clone(), meta.pool.clone());
        self.last = None;
        let same = |reading: &&Reading| {
            let other = &reading.gathering.meta;
            !reading.is_implied
                && (&other.run_id, &other.pool, other.started_at)
                    == (&meta.run_id, &meta.pool, meta.started_at)
        };
        if let Some(other) = self.runs.iter().find(same) {
            let file = other.gathering.meta.file.as_deref().unwrap_or("").to_owned();
            self.open.insert(key, Open::Duplicate);
            return Err((Kind::Duplicate, format!("the same run was read from {file} already")));
        }
        // A run whose first lines came before its own is it.
        if let Some(Open::Run(index)) = self.open.get(&key) {
            let reading = &mut self.runs[*index];
            if reading.is_implied && meta.started_at <= reading.gathering.meta.started_at {
                reading.is_implied = false;
                reading.gathering.meta = meta;
                return Ok(());
            }
        }
        let index = self.add(Gathering::new(meta), false)?;
        self.open.insert(key, Open::Run(index));
        Ok(())
    }

    fn add(&mut self, gathering: Gathering, is_implied: bool) -> Result<usize, Skip> {
        if self.runs.len() >= Self::MOST_RUNS {
            let reason = format!("there are more than {} runs: give fewer logs at once", Self::MOST_RUNS);
            return Err((Kind::TooManyRuns, reason));
        }
        self.runs.push(Reading { gathering, is_implied });
        Ok(self.runs.len() - 1)
    }

    /// The run that a line belongs to, whose first instant is this.
    fn of(
        &mut self,
        run_id: Option<&str>,
        pool: Option<&str>,
        at: Instant,
        cap: Option<u32>,
    ) -> Result<&mut Gathering, Skip> {
        let index = self.index_of(run_id.unwrap_or(""), pool.unwrap_or(""), at, cap)?;
        let reading = &mut self.runs[index];
        let meta = &mut reading.gathering.meta;
        if reading.is_implied {
            meta.started_at = meta.started_at.min(at);
        } else if at < meta.started_at {
            return Err((Kind::Absurd, "it begins before its run".to_owned()));
        }
        Ok(&mut reading.gathering)
    }

    fn index_of(&mut self, run_id: &str, pool: &str, at: Instant, cap: Option<u32>) -> Result<usize, Skip> {
        if let Some(((last_id, last_pool), index)) = &self.last {
            if **last_id == *run_id && **last_pool == *pool {
                return Ok(*index);
            }
        }
        let key: Key = (run_id.into(), pool.into());
        let index = match self.open.get(&key) {
            Some(Open::Run(index)) => *index,
            Some(Open::Duplicate) => {
                return Err((Kind::Duplicate, "its run was read from another log already".to_owned()));
            }
            None => {
                let meta = meta(run_id, pool, &self.file, at, cap.unwrap_or(1));
                let index = self.add(Gathering::new(meta), true)?;
                let reason =
                    || format!("the run {run_id:?} of the pool {pool:?} has no line of type run before it");
                self.left_out.add(&self.file, self.left_out.lines, Kind::NoStart, reason);
                self.open.insert(key.clone(), Open::Run(index));
                index
            }
        };
        self.last = Some((key, index));
        Ok(index)
    }

    fn request(&mut self, line: &[u8]) -> Result<(), Skip> {
        let line: RequestLine<'_> = parse(line)?;
        if let Some(reason) = request::absurd(&line) {
            return Err((Kind::Absurd, reason));
        }
        let run = self.of(line.run_id.as_deref(), line.pool.as_deref(), line.queued_at.0, line.cap)?;
        let row = request::row(&line, &mut run.names).map_err(|reason| (Kind::Absurd, reason))?;
        run.rows.push(row);
        Ok(())
    }

    fn change(&mut self, line: &[u8], quantity: Quantity) -> Result<(), Skip> {
        let line: ChangeLine<'_> = parse(line)?;
        let cap = u32::try_from(line.from).ok().filter(|_| quantity == Quantity::Cap);
        let run = self.of(line.run_id.as_deref(), line.pool.as_deref(), line.at.0, cap)?;
        run.changes.push(Change { quantity, at: line.at.0, from: line.from, to: line.to });
        Ok(())
    }

    fn sample(&mut self, line: &[u8], is_end: bool) -> Result<(), Skip> {
        let line: SampleLine<'_> = parse(line)?;
        let raw = |name: &str| line.get(name).map(|raw: &&RawValue| raw.get());
        let text = |name: &str| raw(name).and_then(|raw| serde_json::from_str::<line::Text<'_>>(raw).ok());
        let number = |name: &str| raw(name).and_then(|raw| raw.parse::<u64>().ok());
        let time = |name: &str| raw(name).and_then(decimal::seconds);
        let at = text("at").and_then(|text| decimal::instant(&text));
        let at = at.ok_or_else(|| (Kind::Unreadable, "it has no instant `at`".to_owned()))?;
        let cap = number("cap").and_then(|cap| u32::try_from(cap).ok());
        let run = self.of(text("run_id").as_deref(), text("pool").as_deref(), at, cap)?;
        run.sample(Told::read(at, number, time));
        if is_end {
            run.closed_at = Some(at);
            run.meta.dropped_records = number("dropped_records").unwrap_or(0);
        }
        Ok(())
    }
}

fn meta(run_id: &str, pool: &str, file: &str, started_at: Instant, cap: u32) -> Meta {
    Meta {
        run_id: run_id.into(),
        pool: pool.into(),
        file: Some(file.into()),
        version: None,
        started_at,
        cap,
        tokenizer: "".into(),
        labels: BTreeMap::new(),
        anchor: Anchor::unix(),
        dropped_records: 0,
    }
}

fn parse<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Result<T, Skip> {
    serde_json::from_slice(line).map_err(|error| unreadable(&error))
}

fn unreadable(error: &serde_json::Error) -> Skip {
    (Kind::Unreadable, format!("{error}"))
}
