//! All that is told of one or several runs.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::fleet::Fleet;
use super::log::LeftOut;
use super::run::Run;
use super::series::Window;
use super::summary::Summary;
use super::traffic::{self, Request, Traffic};

/// One or several runs in figures, in the order in which they were given.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// Each run by itself.
    pub runs: Vec<RunReport>,
    /// Several runs together; empty for a single one.
    pub fleets: Vec<Fleet>,
    /// What of the logs could not be read.
    pub left_out: LeftOut,
}

/// One run in figures.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct RunReport {
    /// The run's name; empty where it has none.
    pub run_id: String,
    /// The pool's name.
    pub pool: String,
    /// The log it was read from; absent for what was kept in memory.
    pub file: Option<String>,
    /// The version of the program that wrote it.
    pub version: Option<String>,
    /// When it started, as RFC 3339.
    pub started_at: String,
    /// When it ended, or the last instant that was told of.
    pub ended_at: String,
    /// Whether its end was told. One that was not may lack requests that were
    /// under way.
    pub has_end: bool,
    /// The run's labels.
    pub labels: BTreeMap<String, String>,
    /// Its figures.
    #[serde(flatten)]
    pub summary: Summary,
    /// The same requests by what was asked for, those without it under `-`; and by
    /// the source of their tokens where there are several, since those are never
    /// added up.
    pub by: BTreeMap<&'static str, BTreeMap<String, Group>>,
    /// Its figures over time, if they were asked for.
    pub windows: Vec<Window>,
}

/// The requests that have something in common.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Group {
    /// Output tokens of those that completed / the run's window; absent where
    /// their tokens are of several sources.
    pub system_tps: Option<f64>,
    /// The requests.
    #[serde(flatten)]
    pub traffic: Traffic,
}

/// What requests may have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum By {
    /// The model that the response named.
    Model,
    /// The response's status.
    Status,
    /// The response's format.
    Format,
    /// Where the count of its output tokens comes from.
    TokenSource,
}

/// What a report has beyond the figures of each run.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Details {
    /// The length of the windows of the figures over time; absent for none.
    pub window: Option<Duration>,
    /// What to tell requests apart by.
    pub by: Vec<By>,
}

impl By {
    /// The name in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Status => "status",
            Self::Format => "format",
            Self::TokenSource => "token_source",
        }
    }

    fn of(self, Request { run, row }: &Request<'_>) -> String {
        let value = match self {
            Self::Model => row.model.map(|name| run.name(name).to_owned()),
            Self::Format => row.format.map(|name| run.name(name).to_owned()),
            Self::Status => row.status.map(|status| status.to_string()),
            Self::TokenSource => {
                let tokenizer = row.tokenizer.map(|name| run.name(name));
                row.source.map(|source| traffic::source_name(source, tokenizer).into_owned())
            }
        };
        value.unwrap_or_else(|| "-".to_owned())
    }
}

impl Details {
    /// With figures over time, in windows of this length.
    #[must_use]
    pub fn window(mut self, length: Duration) -> Self {
        self.window = Some(length);
        self
    }

    /// With the requests told apart by this.
    #[must_use]
    pub fn by(mut self, by: By) -> Self {
        self.by.push(by);
        self
    }
}

impl Report {
    /// The report of these runs.
    #[must_use]
    pub fn of(runs: &[Run], left_out: LeftOut, details: &Details) -> Self {
        Self {
            runs: runs.iter().map(|run| RunReport::of(run, details)).collect(),
            fleets: Fleet::all(runs),
            left_out,
        }
    }
}

impl RunReport {
    fn of(run: &Run, details: &Details) -> Self {
        let meta = &run.meta;
        let text = |text: &Option<Box<str>>| text.as_deref().map(ToOwned::to_owned);
        let summary = Summary::of(run);
        let mut by = details.by.clone();
        if summary.traffic.output_tokens.len() > 1 {
            by.push(By::TokenSource);
        }
        let labels = meta.labels.iter().map(|(key, value)| (key.to_string(), value.to_string()));
        Self {
            run_id: meta.run_id.to_string(),
            pool: meta.pool.to_string(),
            file: text(&meta.file),
            version: text(&meta.version),
            started_at: rfc3339(run.started_at()),
            ended_at: rfc3339(run.wall(run.ends_at())),
            has_end: run.closed_at.is_some(),
            labels: labels.collect(),
            summary,
            by: by.iter().map(|by| (by.as_str(), groups(run, *by))).collect(),
            windows: details.window.map(|length| run.windows(length)).unwrap_or_default(),
        }
    }
}

fn groups(run: &Run, by: By) -> BTreeMap<String, Group> {
    let mut groups: BTreeMap<String, Vec<Request<'_>>> = BTreeMap::new();
    for request in run.attempts() {
        groups.entry(by.of(&request)).or_default().push(request);
    }
    let window = run.window_time().as_secs_f64();
    let group = |(name, requests): (String, Vec<Request<'_>>)| {
        let traffic = Traffic::of(requests.into_iter());
        (name, Group { system_tps: traffic.per_second(window).0, traffic })
    };
    // An attempt that was given up for another is a request of no group.
    groups.into_iter().map(group).filter(|(_, group)| group.traffic.requests > 0).collect()
}

fn rfc3339(at: SystemTime) -> String {
    humantime::format_rfc3339_nanos(at).to_string()
}
