//! Values of the file that are written as text, and what they are without being written.

use std::fmt;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use tower_tps::gate::Gate;

use crate::tokenizers::TokenizerArg;
use crate::values::{self, Upstream};

/// A value of which the text says all, with an example of it.
struct Text<T, F> {
    example: &'static str,
    parse: F,
    value: PhantomData<T>,
}

impl<T, F: Fn(&str) -> Result<T, String>> Visitor<'_> for Text<T, F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "text: give {}", self.example)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        (self.parse)(text).map_err(E::custom)
    }
}

fn text<'de, D: Deserializer<'de>, T>(
    from: D,
    example: &'static str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<T, D::Error> {
    from.deserialize_str(Text { example, parse, value: PhantomData })
}

pub(super) fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    text(from, "a time such as \"30s\"", values::time)
}

pub(super) fn some_time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    time(from).map(Some)
}

pub(super) fn size<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    text(from, "a size such as \"64MiB\"", values::size)
}

pub(super) fn some_size<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    size(from).map(Some)
}

pub(super) fn upstream<'de, D: Deserializer<'de>>(from: D) -> Result<Upstream, D::Error> {
    text(from, "\"http://HOST:PORT\"", values::upstream)
}

pub(super) fn cap<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    let cap = i64::deserialize(from)?;
    let valid = u32::try_from(cap).ok().filter(|cap| (1..=Gate::MAX_CAP).contains(cap));
    valid.ok_or_else(|| Error::custom(format!("{cap} is no cap: give a number in 1..={}", Gate::MAX_CAP)))
}

pub(super) fn tokenizers<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<TokenizerArg>, D::Error> {
    let texts = Vec::<String>::deserialize(from)?;
    let parse = |text: &String| text.parse().map_err(|error| Error::custom(format!("{text}: {error}")));
    texts.iter().map(parse).collect()
}

// === where nothing is written ===

pub(super) fn listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8080))
}

pub(super) fn admin() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9090))
}

pub(super) fn a_second() -> Duration {
    Duration::from_secs(1)
}

pub(super) fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

pub(super) fn max_request() -> u64 {
    64 * 1024 * 1024
}
