//! Errors as the user sees them: one line that names the thing and the mend.

use std::fmt::Display;
use std::process::ExitCode;

/// Why the program could not do what it was asked to.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    code: u8,
}

impl Failure {
    /// Something in what the user gave is wrong: exit code 2.
    pub(crate) fn usage(thing: impl Display, why: impl Display, mend: impl Display) -> Self {
        Self { message: format!("{thing}: {why}: {mend}"), code: 2 }
    }

    /// Something went wrong in the doing: exit code 1.
    pub(crate) fn running(thing: impl Display, why: impl Display) -> Self {
        Self { message: format!("{thing}: {why}"), code: 1 }
    }

    /// The same where 1 is a verdict: exit code 2.
    pub(crate) fn without_a_verdict(self) -> Self {
        Self { code: 2, ..self }
    }

    /// Says it on stderr, and how it goes on nevertheless.
    pub(crate) fn warn(&self, and_yet: &str) {
        eprintln!("tps: {}; {and_yet}", self.message);
    }

    /// Says it on stderr, and gives the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        eprintln!("tps: {}", self.message);
        ExitCode::from(self.code)
    }
}
