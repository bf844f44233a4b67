//! The file of `--config`: what it may hold, and what is wrong with it where.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use http::HeaderName;
use serde::Deserialize;
use toml::Spanned;
use wildmatch::WildMatch;

use super::admission::{self, Class, ClassTable};
use super::headers::Source;
use super::table::MaybeTable;
use super::{Admission, Config, Headers, PoolConfig, Rule, Tls, place, value};
use crate::args::UpstreamHttp;
use crate::failure::Failure;
use crate::proxy::upstream::{Limits, Protocol};
use crate::tokenizers::TokenizerArg;
use crate::values::Upstream;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default = "value::listen")]
    listen: SocketAddr,
    #[serde(default = "value::admin")]
    admin: SocketAddr,
    admin_token_file: Option<PathBuf>,
    tls: Option<TlsTable>,
    log: Option<PathBuf>,
    #[serde(default, deserialize_with = "value::some_size")]
    log_rotate: Option<u64>,
    run_id: Option<String>,
    #[serde(default = "value::a_second", deserialize_with = "value::time")]
    sample_interval: Duration,
    #[serde(default = "value::ten_seconds", deserialize_with = "value::time")]
    drain_timeout: Duration,
    #[serde(default = "value::max_request", deserialize_with = "value::size")]
    max_request: u64,
    #[serde(default)]
    pool: Vec<Spanned<PoolTable>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TlsTable {
    cert: PathBuf,
    key: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PoolTable {
    name: Spanned<String>,
    #[serde(deserialize_with = "value::upstream")]
    upstream: Upstream,
    #[serde(deserialize_with = "value::cap")]
    cap: u32,
    max_queue: Option<u64>,
    #[serde(default, deserialize_with = "value::some_time")]
    queue_timeout: Option<Duration>,
    #[serde(default, deserialize_with = "value::tokenizers")]
    tokenizer: Vec<TokenizerArg>,
    #[serde(default = "value::ten_seconds", deserialize_with = "value::time")]
    connect_timeout: Duration,
    #[serde(default, deserialize_with = "value::some_time")]
    first_byte_timeout: Option<Duration>,
    #[serde(default, deserialize_with = "value::some_time")]
    token_timeout: Option<Duration>,
    #[serde(default, deserialize_with = "value::some_time")]
    request_timeout: Option<Duration>,
    #[serde(default, deserialize_with = "value::some_size")]
    absorb: Option<u64>,
    keep_alive: Option<usize>,
    #[serde(default)]
    upstream_http: UpstreamHttp,
    ca: Option<PathBuf>,
    #[serde(default)]
    headers: MaybeTable<BTreeMap<Spanned<String>, MaybeTable<Source>>>,
    tenant: Option<Spanned<String>>,
    #[serde(default, rename = "class")]
    classes: Vec<Spanned<ClassTable>>,
    #[serde(default, rename = "match")]
    rules: Vec<RuleTable>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleTable {
    path: Option<String>,
    #[serde(default)]
    headers: Patterns,
    model: Option<String>,
    measured: Option<bool>,
}

/// Headers, and what their values must look like.
type Patterns = BTreeMap<Spanned<String>, String>;

/// The text of a file, and its name for errors.
struct Text<'a> {
    path: &'a Path,
    text: String,
}

/// Reads a file and all that it points to.
pub(super) fn read(path: &Path) -> Result<Config, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::usage(format!("--config {}", path.display()), error, "give a file that can be read")
    })?;
    let text = Text { path, text };
    let file: File = toml::from_str(&text.text).map_err(|error| text.unreadable(&error))?;
    let mut pools: Vec<PoolConfig> = Vec::new();
    for table in file.pool {
        let pool = pool(&text, table.into_inner())?;
        if let Some(before) = pools.iter().find(|before| before.name == pool.name || before.rules.is_empty())
        {
            let (why, mend) = if before.name == pool.name {
                ("a pool before it has that name", "give each its own")
            } else {
                ("a pool before it takes all requests", "give that one [[pool.match]] rules, or put it last")
            };
            return Err(Failure::usage(format!("{}pool {}", pool.place, pool.name), why, mend));
        }
        pools.push(pool);
    }
    if pools.is_empty() {
        return Err(Failure::usage(
            path.display(),
            "it has no pool",
            "add [[pool]] with name, upstream and cap",
        ));
    }
    Ok(Config {
        listen: file.listen,
        admin: file.admin,
        admin_token_file: file.admin_token_file,
        tls: file.tls.map(|TlsTable { cert, key }| Tls { cert, key }),
        log: file.log,
        log_rotate: file.log_rotate,
        run_id: file.run_id,
        sample_interval: file.sample_interval,
        drain_timeout: file.drain_timeout,
        max_request: file.max_request,
        pools,
    })
}

fn pool(text: &Text<'_>, table: PoolTable) -> Result<PoolConfig, Failure> {
    let at = table.name.span().start;
    if table.name.get_ref().is_empty() {
        return Err(text.wrong(at, "name", "it is empty", "give the pool a name"));
    }
    let mut headers = Headers::default();
    let MaybeTable::Table(sources) = &table.headers else {
        return Err(text.wrong(
            at,
            "headers",
            "they are no table",
            "give [pool.headers] with a line for each",
        ));
    };
    for (key, source) in sources {
        let name = text.header(key)?;
        let wrong = |(why, mend)| text.wrong(key.span().start, key.get_ref(), why, mend);
        headers.add(name, source).map_err(wrong)?;
    }
    let rules = table.rules.into_iter().map(|rule| text.rule(rule, at)).collect::<Result<_, _>>()?;
    let tenant = table.tenant.as_ref().map(|name| text.header(name)).transpose()?;
    let classes = table.classes.into_iter().map(|class| text.class(class)).collect::<Result<_, _>>()?;
    Ok(PoolConfig {
        place: text.place(at),
        name: table.name.into_inner(),
        cap: table.cap,
        max_queue: table.max_queue,
        queue_timeout: table.queue_timeout,
        tokenizer: table.tokenizer,
        upstream: table.upstream,
        protocol: Protocol { http: table.upstream_http, keep_alive: table.keep_alive, ca: table.ca },
        limits: Limits {
            connect: table.connect_timeout,
            first_byte: table.first_byte_timeout,
            token: table.token_timeout,
            request: table.request_timeout,
        },
        absorb: table.absorb.map_or(0, super::bounded),
        headers,
        admission: Admission { classes, tenant },
        rules,
    })
}

// === impl Text ===

impl Text<'_> {
    /// `FILE:LINE: `
    fn place(&self, position: usize) -> String {
        format!("{}:{}: ", self.path.display(), place::line(&self.text, position))
    }

    fn wrong(&self, position: usize, key: &str, why: impl Display, mend: &str) -> Failure {
        Failure::usage(format!("{}{key}", self.place(position)), why, mend)
    }

    fn unreadable(&self, error: &toml::de::Error) -> Failure {
        let span = error.span().unwrap_or_default();
        let key = place::key(&self.text, &span).unwrap_or_else(|| "the file".into());
        let why = error.message().replace('\n', "; ");
        match why.rsplit_once(": give ") {
            Some((why, mend)) => self.wrong(span.start, &key, why, &format!("give {mend}")),
            None => self.wrong(span.start, &key, why, "write it as the README has it"),
        }
    }

    fn header(&self, key: &Spanned<String>) -> Result<HeaderName, Failure> {
        let name = key.get_ref();
        HeaderName::from_str(name)
            .map_err(|error| self.wrong(key.span().start, name, error, "give the name of a header"))
    }

    fn patterns(&self, table: &Patterns) -> Result<Vec<(HeaderName, WildMatch)>, Failure> {
        table.iter().map(|(key, pattern)| Ok((self.header(key)?, WildMatch::new(pattern)))).collect()
    }

    fn class(&self, table: Spanned<ClassTable>) -> Result<Class, Failure> {
        let (at, table) = (table.span().start, table.into_inner());
        if table.weight == Some(0) {
            return Err(self.wrong(at, "class", "its weight is 0", "give a weight of 1 or more, or none"));
        }
        let unread = |error| self.wrong(at, "class", error, "give a file of keys, one on each line");
        Ok(Class {
            weight: table.weight,
            headers: self.patterns(&table.headers)?,
            keys: table.keys.as_ref().map(|path| admission::keys(path).map_err(unread)).transpose()?,
        })
    }

    fn rule(&self, table: RuleTable, at: usize) -> Result<Rule, Failure> {
        if table.path.as_ref().is_some_and(|path| !path.starts_with(['/', '*'])) {
            return Err(self.wrong(at, "match", "its path is none", "begin it with / or *"));
        }
        let pattern = |text: String| WildMatch::new(&text);
        Ok(Rule {
            headers: self.patterns(&table.headers)?,
            path: table.path.map(pattern),
            model: table.model.map(pattern),
            measured: table.measured,
        })
    }
}
