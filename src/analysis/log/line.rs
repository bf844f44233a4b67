//! The lines of a run log as they are read: what the figures need of them, and
//! nothing else. Everything that may be missing is optional.

use std::borrow::{Borrow, Cow};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde_json::value::RawValue;

use super::decimal;
use crate::clock::Instant;

/// What every line says of itself.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Tag<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Option<Text<'a>>,
}

#[derive(Debug, serde::Deserialize)]
pub(super) struct RunLine<'a> {
    #[serde(borrow)]
    pub(super) run_id: Option<Text<'a>>,
    pub(super) started_at: At,
    pub(super) pool: Option<Pools>,
    pub(super) cap: Option<Each<u32>>,
    #[serde(borrow)]
    pub(super) version: Option<Text<'a>>,
    pub(super) tokenizer: Option<Each<Box<str>>>,
    /// When each of several pools started.
    pub(super) pool_started_at: Option<BTreeMap<Box<str>, At>>,
    /// Which part of the run it begins, from 1.
    pub(super) part: Option<u32>,
    /// Where the run was cut: there if it began in a part before, as the next two, which
    /// are how it stood then.
    pub(super) at: Option<At>,
    pub(super) backlog: Option<Each<u64>>,
    pub(super) backoff: Option<Each<u64>>,
    pub(super) labels: Option<BTreeMap<Box<str>, serde_json::Value>>,
}

/// One pool, or several of one process.
#[derive(Debug, serde::Deserialize)]
#[serde(untagged, expecting = "`pool` is neither a name nor a list of names")]
pub(super) enum Pools {
    One(Box<str>),
    Several(Vec<Box<str>>),
}

/// What one pool has, or each of several by its name.
#[derive(Debug, serde::Deserialize)]
#[serde(untagged, expecting = "it is neither one value nor values by pool")]
pub(super) enum Each<T> {
    One(T),
    ByPool(BTreeMap<Box<str>, T>),
}

impl<T> Each<T> {
    pub(super) fn of(&self, pool: &str) -> Option<&T> {
        match self {
            Self::One(value) => Some(value),
            Self::ByPool(values) => values.get(pool),
        }
    }
}

#[derive(Debug, serde::Deserialize)]
pub(super) struct RequestLine<'a> {
    #[serde(borrow)]
    pub(super) run_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) pool: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) request_id: Option<Text<'a>>,
    pub(super) status: Option<u16>,
    #[serde(borrow)]
    pub(super) outcome: Text<'a>,
    #[serde(borrow)]
    pub(super) phase: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) error_type: Option<Text<'a>>,
    pub(super) queued_at: At,
    pub(super) admitted_at: Option<At>,
    pub(super) headers_at: Option<At>,
    pub(super) first_chunk_at: Option<At>,
    pub(super) first_token_at: Option<At>,
    pub(super) last_token_at: Option<At>,
    pub(super) released_at: At,
    #[serde(borrow)]
    pub(super) format: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) model: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) finish_reason: Option<Text<'a>>,
    pub(super) output_tokens: Option<u64>,
    #[serde(borrow)]
    pub(super) token_source: Option<Text<'a>>,
    pub(super) usage_output_tokens: Option<u64>,
    pub(super) input_tokens: Option<u64>,
    pub(super) reasoning_tokens: Option<u64>,
    pub(super) counted_tokens: Option<u64>,
    #[serde(borrow)]
    pub(super) tokenizer: Option<Text<'a>>,
    pub(super) content_events: Option<u64>,
    pub(super) attempt: Option<u32>,
    #[serde(borrow)]
    pub(super) attempt_cause: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) retries: Option<Vec<RetryLine<'a>>>,
    pub(super) max_token_gap: Option<Seconds>,
    pub(super) dispatch: Option<Seconds>,
    pub(super) backoff: Option<Seconds>,
    pub(super) prefill: Option<Seconds>,
    pub(super) generate: Option<Seconds>,
    pub(super) stall: Option<Seconds>,
    pub(super) drain: Option<Seconds>,
    pub(super) first_chunk_tokens: Option<u64>,
    pub(super) burst: Option<f64>,
    pub(super) cap: Option<u32>,
}

#[derive(Debug, serde::Deserialize)]
pub(super) struct RetryLine<'a> {
    #[serde(borrow)]
    pub(super) cause: Text<'a>,
    pub(super) failed_at: At,
    pub(super) resumed_at: Option<At>,
}

#[derive(Debug, serde::Deserialize)]
pub(super) struct ChangeLine<'a> {
    #[serde(borrow)]
    pub(super) run_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) pool: Option<Text<'a>>,
    pub(super) at: At,
    pub(super) from: u64,
    pub(super) to: u64,
}

/// A sample, or the end: figures by their names.
pub(super) type SampleLine<'a> = BTreeMap<Text<'a>, &'a RawValue>;

/// An instant: RFC 3339.
#[derive(Clone, Copy, Debug)]
pub(super) struct At(pub(super) Instant);

/// Seconds, exact to the nanosecond.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seconds(pub(super) Duration);

/// Text, which stays where it is unless it had escapes. An `Option` of a `Cow`
/// would always be copied.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Text<'a>(Cow<'a, str>);

impl Borrow<str> for Text<'_> {
    fn borrow(&self) -> &str {
        self
    }
}

impl std::ops::Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;

        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Cow<'de, str>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Cow::Borrowed(text))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Cow::Owned(text.to_owned()))
            }
        }

        deserializer.deserialize_str(TextVisitor).map(Text)
    }
}

impl<'de> Deserialize<'de> for At {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Text::deserialize(deserializer)?;
        decimal::instant(&text)
            .map(At)
            .ok_or_else(|| D::Error::custom(format_args!("no instant: {}", &*text)))
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&RawValue>::deserialize(deserializer)?.get();
        decimal::seconds(text)
            .map(Seconds)
            .ok_or_else(|| D::Error::custom(format_args!("no number of seconds: {text}")))
    }
}
