//! The changes of a pool that no request makes.

use std::fmt;

use crate::clock::Instant;

/// A quantity that is set from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Quantity {
    /// The number of slots.
    Cap,
    /// The work declared and not submitted.
    Backlog,
    /// The requests in retry back-off that hold no slot.
    Backoff,
}

/// A quantity changed.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    /// Which.
    pub quantity: Quantity,
    /// When.
    pub at: Instant,
    /// Its value before. Changes can be told out of their order: what counts
    /// for an instant is the sum of the differences up to it.
    pub from: u64,
    /// Its value after.
    pub to: u64,
}

/// Who hears of changes.
#[derive(Default)]
pub(super) struct Listener(Option<Box<Tell>>);

type Tell = dyn Fn(&Change) + Send + Sync;

impl Quantity {
    /// The name in logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cap => "cap",
            Self::Backlog => "backlog",
            Self::Backoff => "backoff",
        }
    }
}

impl Listener {
    pub(super) fn new(listener: impl Fn(&Change) + Send + Sync + 'static) -> Self {
        Self(Some(Box::new(listener)))
    }

    pub(super) fn tell(&self, change: &Change) {
        match &self.0 {
            Some(listener) if change.from != change.to => listener(change),
            _ => {}
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Listener(…)" } else { "Listener(none)" })
    }
}
