//! Run logs, read back: each run as it was, and what could not be read of it.

mod decimal;
mod line;
mod lines;
mod open;
mod problems;
mod request;

use std::collections::BTreeMap;
use std::io::{self, BufRead};
use std::ops::RangeFrom;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use self::line::{Caps, ChangeLine, Pools, RequestLine, RunLine, SampleLine, Tag};
use self::lines::{LONGEST, Lines, Read};
use self::open::{Begun, Found, Goes, Key, Open};
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
    /// The number of the line being read, from 1.
    number: u64,
    open: Open,
}

#[derive(Debug)]
struct Reading {
    gathering: Gathering,
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
struct Of<'a> {
    run_id: Option<&'a str>,
    pool: Option<&'a str>,
    /// Its first instant.
    at: Instant,
    /// The cap at an instant.
    cap: Option<(Instant, u32)>,
}

/// What some editors put before a text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Why a line was left out.
type Skip = (Kind, String);

impl Logs {
    /// Runs beyond so many are left out.
    const MOST_RUNS: usize = 1_000;
    /// No run lasts so long: ten years.
    const LONGEST_RUN: Duration = Duration::from_secs(10 * 366 * 24 * 60 * 60);

    /// Reads a log to its end. `file` is what it is called in reports.
    ///
    /// # Errors
    /// Those of the input. What was read until then is kept.
    pub fn read(&mut self, file: &str, input: impl BufRead) -> io::Result<()> {
        self.file = file.into();
        self.open = Open::default();
        let is_of_it = self.runs.len()..;
        let result = self.lines(input);
        self.tell_implied(is_of_it);
        result
    }

    /// The runs that were read, in the order of their logs, and what was not.
    #[must_use]
    pub fn finish(self) -> (Vec<Run>, LeftOut) {
        let runs = self.runs.into_iter().map(|reading| reading.gathering.finish());
        (runs.collect(), self.left_out)
    }

    fn lines(&mut self, input: impl BufRead) -> io::Result<()> {
        let mut lines = Lines::new(input);
        self.number = 0;
        while let Some(read) = lines.next()? {
            self.left_out.lines += 1;
            self.number += 1;
            let read = match read {
                Read::Line(line) => self.line(line),
                Read::TooLong => Err((Kind::TooLong, format!("it is longer than {LONGEST} bytes"))),
            };
            if let Err((kind, reason)) = read {
                self.left_out.add(&self.file, self.number, kind, || reason);
            }
        }
        Ok(())
    }

    /// Tells of the runs among these that no `run` line has begun, nor any that came later.
    fn tell_implied(&mut self, runs: RangeFrom<usize>) {
        for Reading { gathering: Gathering { meta, .. }, implied } in self.runs.get(runs).unwrap_or_default()
        {
            let Some(Implied { line, cap_at }) = implied else { continue };
            let cap = if cap_at.is_some() { "that it tells" } else { "of 1, since it tells none" };
            self.left_out.add(&self.file, *line, Kind::NoStart, || {
                let (run_id, pool) = (&meta.run_id, &meta.pool);
                format!(
                    "the run {run_id:?} of the pool {pool:?} has no line of type run: \
                     it is read from its first instant on, with the cap {cap}"
                )
            });
        }
        self.left_out.sort(&self.file);
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Skip> {
        let line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
        if line.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        // As the log's own writer begins it: nearly all lines are these.
        if line.starts_with(b"{\"type\":\"request\"") {
            return self.request(line);
        }
        let tag: Tag<'_> = match serde_json::from_slice(line) {
            Ok(tag) => tag,
            Err(error) => return Err(no_tag(line, &error)),
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
        // One that cannot be is no reason to leave out the others.
        let all: Vec<_> = pools.iter().map(|pool| self.pool_of(line, run_id, pool)).collect();
        all.into_iter().collect()
    }

    fn pool_of(&mut self, line: &RunLine<'_>, run_id: &str, pool: &str) -> Result<(), Skip> {
        let cap = match &line.cap {
            Some(Caps::One(cap)) => Some(*cap),
            Some(Caps::Each(caps)) => caps.get(pool).copied(),
            None => None,
        };
        let cap = cap.filter(|cap| (1..=Gate::MAX_CAP).contains(cap));
        let cap = cap.ok_or_else(|| (Kind::Absurd, format!("the pool {pool:?} has no cap that can be")))?;
        let mut meta = meta(run_id, pool, &self.file, line.started_at.0, cap);
        meta.version = line.version.as_deref().map(Into::into);
        meta.tokenizer = line.tokenizer.as_deref().unwrap_or("").into();
        for (key, value) in line.labels.iter().flatten() {
            let value = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            meta.labels.insert(key.clone(), value.into());
        }
        self.begin(meta)
    }

    fn begin(&mut self, meta: Meta) -> Result<(), Skip> {
        let key: Key = (meta.run_id.clone(), meta.pool.clone());
        let at = meta.started_at;
        let same = |reading: &&Reading| {
            let other = &reading.gathering.meta;
            reading.implied.is_none()
                && (&other.run_id, &other.pool, other.started_at) == (&meta.run_id, &meta.pool, at)
        };
        if let Some(other) = self.runs.iter().find(same) {
            let file = other.gathering.meta.file.as_deref().unwrap_or("").to_owned();
            self.open.begin(key, Begun { at, goes: Goes::Nowhere });
            return Err((Kind::Duplicate, format!("the same run was read from {file} already")));
        }
        // A run whose first lines came before its own is it.
        if let Found::Name(name) = self.open.find(Some(&meta.run_id), Some(&meta.pool)) {
            if let Some(Begun { goes: Goes::To(index), .. }) = self.open.at(name, at) {
                let reading = &mut self.runs[index];
                if reading.implied.is_some() && at <= reading.gathering.meta.started_at {
                    reading.implied = None;
                    reading.gathering.meta =
                        Meta { dropped_records: reading.gathering.meta.dropped_records, ..meta };
                    self.open.began(name, index, at);
                    return Ok(());
                }
            }
        }
        let index = self.add(Gathering::new(meta), None)?;
        self.open.begin(key, Begun { at, goes: Goes::To(index) });
        Ok(())
    }

    fn add(&mut self, gathering: Gathering, implied: Option<Implied>) -> Result<usize, Skip> {
        if self.runs.len() >= Self::MOST_RUNS {
            let reason = format!("there are more than {} runs: give fewer logs at once", Self::MOST_RUNS);
            return Err((Kind::TooManyRuns, reason));
        }
        self.runs.push(Reading { gathering, implied });
        Ok(self.runs.len() - 1)
    }

    /// The run that a line belongs to.
    fn of(&mut self, of: &Of<'_>) -> Result<&mut Gathering, Skip> {
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
                return Err((Kind::Duplicate, "its run was read from another log already".to_owned()));
            }
            None => {
                let (run_id, pool) = (of.run_id.unwrap_or(""), of.pool.unwrap_or(""));
                let gathering = Gathering::new(meta(run_id, pool, &self.file, at, 1));
                let index = self.add(gathering, Some(Implied { line: self.number, cap_at: None }))?;
                self.open.begin((run_id.into(), pool.into()), Begun { at, goes: Goes::To(index) });
                index
            }
        };
        let Reading { gathering, implied } = &mut self.runs[index];
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

    fn request(&mut self, line: &[u8]) -> Result<(), Skip> {
        let line: RequestLine<'_> = parse(line)?;
        if let Some(reason) = request::absurd(&line) {
            return Err((Kind::Absurd, reason));
        }
        let of = Of {
            run_id: line.run_id.as_deref(),
            pool: line.pool.as_deref(),
            at: line.queued_at.0,
            // As it stood at its end.
            cap: line.cap.map(|cap| (line.released_at.0, cap)),
        };
        let run = self.of(&of)?;
        let row = request::row(&line, &mut run.names).map_err(|reason| (Kind::Absurd, reason))?;
        run.rows.push(row);
        Ok(())
    }

    fn change(&mut self, line: &[u8], quantity: Quantity) -> Result<(), Skip> {
        let line: ChangeLine<'_> = parse(line)?;
        let at = line.at.0;
        let cap = u32::try_from(line.from).ok().filter(|_| quantity == Quantity::Cap);
        let of = Of {
            run_id: line.run_id.as_deref(),
            pool: line.pool.as_deref(),
            at,
            cap: cap.map(|cap| (at, cap)),
        };
        let run = self.of(&of)?;
        run.changes.push(Change { quantity, at, from: line.from, to: line.to });
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
        let (run_id, pool) = (text("run_id"), text("pool"));
        let cap = cap.map(|cap| (at, cap));
        let of = Of { run_id: run_id.as_deref(), pool: pool.as_deref(), at, cap };
        let run = self.of(&of)?;
        let told = Told::read(at, number, time);
        if is_end {
            run.meta.dropped_records = number("dropped_records").unwrap_or(0);
            run.end(told);
        } else {
            run.sample(told);
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
    serde_json::from_slice(line).map_err(|error| unreadable(line, &error))
}

/// What is no object, or has no type that is a text.
fn no_tag(line: &[u8], error: &serde_json::Error) -> Skip {
    let (kind, words) = unreadable(line, error);
    if error.is_data() && !words.starts_with("duplicate") {
        return (Kind::Foreign, "it is no object with a type".to_owned());
    }
    (kind, words)
}

fn unreadable(line: &[u8], error: &serde_json::Error) -> Skip {
    let words = error.to_string();
    // Of a text of one line, the line is always the first.
    let what = words.rsplit_once(" at line ").map_or(&*words, |(what, _)| what);
    let column = error.column();
    // A number whose point is the last of it is no number.
    let is_at_end = error.is_syntax() && column >= line.len() && !line.ends_with(b"}");
    if (error.is_eof() || is_at_end) && line.trim_ascii_start().starts_with(b"{") {
        (Kind::Torn, format!("it breaks off after {column} bytes"))
    } else if column > 0 {
        (Kind::Unreadable, format!("{what} at column {column}"))
    } else {
        (Kind::Unreadable, what.to_owned())
    }
}
