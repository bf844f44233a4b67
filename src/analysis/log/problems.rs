//! What was wrong with the lines of a log, so that nothing is left out silently.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

/// What was read, what of it was left out, and why.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct LeftOut {
    /// Lines read, the empty ones too.
    pub lines: u64,
    /// Lines left out.
    pub skipped: u64,
    /// Those and other troubles by kind.
    pub kinds: BTreeMap<&'static str, u64>,
    /// Lines of types that are not known, by type, which are no trouble.
    pub unknown_types: BTreeMap<String, u64>,
    /// The first of each kind, in the order of the lines.
    pub problems: Vec<Problem>,
}

/// One trouble with a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Problem {
    /// The log.
    pub file: String,
    /// The line, from 1.
    pub line: u64,
    /// What kind of trouble.
    pub kind: Kind,
    /// What it is, in words.
    pub reason: String,
}

/// A kind of trouble with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// It breaks off: whoever wrote it did not come to its end.
    Torn,
    /// It is no JSON, or no line of its type: two lines in one, or something else.
    Unreadable,
    /// It is JSON of something else.
    Foreign,
    /// It is longer than any line of a run log.
    TooLong,
    /// Its values cannot be.
    Absurd,
    /// It belongs to a run that was given already.
    Duplicate,
    /// It does not say to which of several runs it belongs.
    Unclear,
    /// It belongs to a run that has no `run` line, or whose first part is in no log. It
    /// is read all the same, and that run's window begins with its first instant, or
    /// where its log was cut.
    NoStart,
    /// Before it a part of its run is missing, whose log was cut into several. It is read
    /// all the same.
    MissingPart,
    /// There are more runs than are kept apart.
    TooManyRuns,
}

/// Why a line was left out.
pub(super) type Skip = (Kind, String);

impl Kind {
    /// The name in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Torn => "torn",
            Self::Unreadable => "unreadable",
            Self::Foreign => "foreign",
            Self::TooLong => "too_long",
            Self::Absurd => "absurd",
            Self::Duplicate => "duplicate",
            Self::Unclear => "unclear",
            Self::NoStart => "no_start",
            Self::MissingPart => "missing_part",
            Self::TooManyRuns => "too_many_runs",
        }
    }

    /// Whether the line is left out for it.
    fn skips(self) -> bool {
        !matches!(self, Self::NoStart | Self::MissingPart)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl LeftOut {
    /// So many of each kind are told one by one.
    const MOST_TOLD: u64 = 10;
    /// So many types are told by name.
    const MOST_TYPES: usize = 16;

    pub(super) fn add(&mut self, file: &str, line: u64, kind: Kind, reason: impl FnOnce() -> String) {
        self.add_several(file, line, kind, 1, reason);
    }

    /// So many lines that have the same trouble, told as one.
    pub(super) fn add_several(
        &mut self,
        file: &str,
        line: u64,
        kind: Kind,
        lines: u64,
        reason: impl FnOnce() -> String,
    ) {
        self.skipped += if kind.skips() { lines } else { 0 };
        let count = self.kinds.entry(kind.as_str()).or_default();
        let is_told = *count < Self::MOST_TOLD;
        *count += lines;
        if is_told {
            let reason = shortened(reason());
            self.problems.push(Problem { file: file.to_owned(), line, kind, reason });
        }
    }

    /// Puts what was told of a log, which was read last, in the order of its lines.
    pub(super) fn sort(&mut self, file: &str) {
        let others = self.problems.iter().rposition(|problem| problem.file != file);
        let begins = others.map_or(0, |index| index + 1);
        self.problems[begins..].sort_by_key(|problem| problem.line);
    }

    pub(super) fn unknown(&mut self, kind: &str) {
        let has_room = self.unknown_types.len() < Self::MOST_TYPES;
        let kind = if has_room || self.unknown_types.contains_key(kind) { kind } else { "(other)" };
        *self.unknown_types.entry(shortened(kind.to_owned())).or_default() += 1;
    }

    /// Whether there was no trouble at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }
}

/// What is too long for a line of a report loses its end.
fn shortened(mut text: String) -> String {
    const LONGEST: usize = 240;
    if text.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or(0));
        text.push('…');
    }
    text
}
