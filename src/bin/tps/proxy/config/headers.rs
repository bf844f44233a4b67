//! Headers that the proxy sets on what it sends upstream: keys, mostly.

use std::env::VarError;
use std::path::PathBuf;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::Deserialize;

use super::table::MaybeTable;

/// Their names and values. No value is ever shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::proxy) struct Headers(Vec<(HeaderName, HeaderValue)>);

/// The mend where a value has no place, or several.
const SAY_WHERE: &str = "give one of { env = … }, { file = … } and { value = … }";

/// What frames a message, or is of one connection: never for a file to set.
const OURS: [HeaderName; 8] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
    header::EXPECT,
];

/// Where a value comes from, as the file has it: one of the three.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Source {
    value: Option<String>,
    env: Option<String>,
    file: Option<PathBuf>,
    /// What goes before it, `Bearer ` for instance.
    #[serde(default)]
    prefix: String,
}

impl Headers {
    /// Adds one, from where it is said to be. An error says why it cannot, and the mend.
    pub(super) fn add(
        &mut self,
        name: HeaderName,
        source: &MaybeTable<Source>,
    ) -> Result<(), (String, &'static str)> {
        if OURS.contains(&name) {
            return Err(("the proxy itself sets this header".into(), "leave it out"));
        }
        if self.0.iter().any(|(before, _)| *before == name) {
            return Err(("it is there twice".into(), "leave one out"));
        }
        let MaybeTable::Table(source) = source else {
            return Err(("it does not say where its value is".into(), SAY_WHERE));
        };
        let value = source.read()?;
        if value.trim().is_empty() {
            return Err(("its value is empty".into(), "fill the variable or the file that it names"));
        }
        let value = format!("{}{value}", source.prefix);
        let mut value = HeaderValue::from_str(&value)
            .map_err(|_| ("its value can be in no header".into(), "give one line of plain text"))?;
        // Shown nowhere, and in no table of HTTP/2's compression.
        value.set_sensitive(true);
        self.0.push((name, value));
        Ok(())
    }

    /// Sets them, whatever was there before.
    pub(in crate::proxy) fn set(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.0 {
            headers.insert(name, value.clone());
        }
    }
}

impl Source {
    fn read(&self) -> Result<String, (String, &'static str)> {
        match (&self.value, &self.env, &self.file) {
            (Some(value), None, None) => Ok(value.clone()),
            (None, Some(name), None) => std::env::var(name).map_err(|error| match error {
                VarError::NotPresent => {
                    (format!("the environment has no {name}"), "set it before tps starts")
                }
                VarError::NotUnicode(_) => (format!("{name} is no text"), "give it a value that is"),
            }),
            (None, None, Some(path)) => match std::fs::read_to_string(path) {
                Ok(text) => Ok(text.trim_end_matches(['\r', '\n']).to_owned()),
                Err(error) => Err((format!("{}: {error}", path.display()), "give a file that can be read")),
            },
            _ => Err(("its value is said in no way or in several".into(), SAY_WHERE)),
        }
    }
}
