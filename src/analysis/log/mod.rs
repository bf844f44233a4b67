//! Run logs, read back: each run as it was, and what could not be read of it.

mod decimal;
mod line;
mod lines;
mod open;
mod parts;
mod problems;
mod request;
mod runs;

use std::io::{self, BufRead};

use serde::Deserialize;
use serde_json::value::RawValue;

use self::line::{ChangeLine, Each, Pools, RequestLine, RunLine, SampleLine, Tag};
use self::lines::{LONGEST, Lines, Read};
use self::parts::Cut;
use self::problems::Skip;
pub use self::problems::{Kind, LeftOut, Problem};
use self::runs::{Of, Runs};
use super::run::Run;
use super::told::Told;
use crate::gate::{Change, Gate, Quantity};

/// Reads run logs, one after the other: of one process or of several, each with
/// any number of runs.
#[derive(Debug, Default)]
pub struct Logs {
    runs: Runs,
    left_out: LeftOut,
}

/// No program declares so much work.
const MOST_WAITING: u64 = 1_000_000_000_000;

/// What some editors put before a text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

impl Logs {
    /// Reads a log to its end. `file` is what it is called in reports.
    ///
    /// # Errors
    /// Those of the input. What was read until then is kept.
    pub fn read(&mut self, file: &str, input: impl BufRead) -> io::Result<()> {
        self.runs.next_log(file);
        let result = self.lines(input);
        for (line, reason) in self.runs.without_a_start() {
            self.left_out.add(file, line, Kind::NoStart, || reason);
        }
        self.left_out.sort(file);
        result
    }

    /// The runs that were read, in the order of their logs, and what was not.
    #[must_use]
    pub fn finish(mut self) -> (Vec<Run>, LeftOut) {
        let runs = self.runs.finish(&mut self.left_out);
        for run in runs.iter().filter(|run| run.after_end > 0) {
            let (file, line) = run.meta.end_in.as_ref().map_or(("", 0), |(file, line)| (&**file, *line));
            let reason = format!("{} requests end after this, the end of their run", run.after_end);
            self.left_out.add_several(file, line, Kind::Absurd, run.after_end, || reason);
        }
        (runs, self.left_out)
    }

    fn lines(&mut self, input: impl BufRead) -> io::Result<()> {
        let mut lines = Lines::new(input);
        while let Some(read) = lines.next()? {
            self.left_out.lines += 1;
            self.runs.line += 1;
            let read = match read {
                Read::Line(line) => self.line(line),
                Read::TooLong => Err((Kind::TooLong, format!("it is longer than {LONGEST} bytes"))),
            };
            if let Err((kind, reason)) = read {
                self.left_out.add(&self.runs.file, self.runs.line, kind, || reason);
            }
        }
        Ok(())
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
        let cap = line.cap.as_ref().and_then(|cap| cap.of(pool)).copied();
        let cap = cap.filter(|cap| (1..=Gate::MAX_CAP).contains(cap));
        let cap = cap.ok_or_else(|| (Kind::Absurd, format!("the pool {pool:?} has no cap that can be")))?;
        let waiting = |each: &Option<Each<u64>>| each.as_ref().and_then(|each| each.of(pool)).copied();
        let cut = line.at.map(|at| Cut {
            at: at.0,
            cap,
            backlog: waiting(&line.backlog).unwrap_or(0).min(MOST_WAITING),
            backoff: waiting(&line.backoff).unwrap_or(0).min(MOST_WAITING),
        });
        let started_at = line.pool_started_at.as_ref().and_then(|each| each.get(pool));
        let started_at = started_at.unwrap_or(&line.started_at).0;
        if cut.is_some_and(|cut| cut.at < started_at) {
            return Err((Kind::Absurd, "it goes on before its run begins".to_owned()));
        }
        let mut meta = self.runs.meta(run_id, pool, started_at, cap);
        meta.version = line.version.as_deref().map(Into::into);
        meta.tokenizer = line.tokenizer.as_ref().and_then(|each| each.of(pool)).cloned().unwrap_or_default();
        for (key, value) in line.labels.iter().flatten() {
            let value = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            meta.labels.insert(key.clone(), value.into());
        }
        self.runs.begin(meta, line.part.unwrap_or(1), cut)
    }

    fn request(&mut self, line: &[u8]) -> Result<(), Skip> {
        let line: RequestLine<'_> = parse(line)?;
        if let Some(reason) = request::absurd(&line) {
            return Err((Kind::Absurd, reason));
        }
        let (outcome, source) = request::words(&line).map_err(|reason| (Kind::Absurd, reason))?;
        let of = Of {
            run_id: line.run_id.as_deref(),
            pool: line.pool.as_deref(),
            at: line.queued_at.0,
            // As it stood at its end.
            cap: line.cap.map(|cap| (line.released_at.0, cap)),
        };
        let run = self.runs.of(&of)?;
        let row = request::row(&line, (outcome, source), &mut run.names);
        run.rows.push(row);
        Ok(())
    }

    fn change(&mut self, line: &[u8], quantity: Quantity) -> Result<(), Skip> {
        let line: ChangeLine<'_> = parse(line)?;
        let at = line.at.0;
        let possible = match quantity {
            Quantity::Cap => 1..=Gate::MAX_CAP.into(),
            _ => 0..=MOST_WAITING,
        };
        if let Some(number) = [line.from, line.to].iter().find(|number| !possible.contains(number)) {
            return Err((Kind::Absurd, format!("{number} is no {} that can be", quantity.as_str())));
        }
        let cap = u32::try_from(line.from).ok().filter(|_| quantity == Quantity::Cap);
        let of = Of {
            run_id: line.run_id.as_deref(),
            pool: line.pool.as_deref(),
            at,
            cap: cap.map(|cap| (at, cap)),
        };
        let run = self.runs.of(&of)?;
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
        let place = (self.runs.file.clone(), self.runs.line);
        let run = self.runs.of(&of)?;
        let told = Told::read(at, number, time);
        if is_end {
            run.meta.dropped_records = number("dropped_records").unwrap_or(0);
            run.meta.end_in = Some(place);
            run.end(told);
        } else {
            run.sample(told);
        }
        Ok(())
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
