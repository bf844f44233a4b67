//! Who is let in first: the class and the tenant that a request claims.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::sync::LazyLock;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};
use serde::Deserialize;
use tower_tps::gate::{Claim, Classes};
use wildmatch::WildMatch;

/// Random at each start, so that nobody can choose a key that counts as another's.
static TENANTS: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// The classes of a pool, and the header that tells tenants apart.
#[derive(Clone, Debug, Default)]
pub(in crate::proxy) struct Admission {
    pub(super) classes: Vec<Class>,
    pub(super) tenant: Option<HeaderName>,
}

/// One class, and whose requests are of it: all that no class before has taken, if
/// there is neither header nor key.
#[derive(Clone, Debug)]
pub(super) struct Class {
    pub(super) weight: Option<u32>,
    pub(super) headers: Vec<(HeaderName, WildMatch)>,
    /// Hashes of keys. Absent if the class asks for none.
    pub(super) keys: Option<HashSet<u64>>,
}

/// A class as the file has it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClassTable {
    pub(super) weight: Option<u32>,
    #[serde(default)]
    pub(super) headers: std::collections::BTreeMap<toml::Spanned<String>, String>,
    pub(super) keys: Option<PathBuf>,
}

/// The keys of a file, one on each line.
pub(super) fn keys(path: &PathBuf) -> std::io::Result<HashSet<u64>> {
    let text = std::fs::read_to_string(path)?;
    let keys = text.lines().map(str::trim).filter(|key| !key.is_empty());
    Ok(keys.map(|key| TENANTS.hash_one(key.as_bytes())).collect())
}

impl Admission {
    /// How the gate chooses between the classes.
    pub(in crate::proxy) fn order(&self) -> Classes {
        if self.classes.iter().all(|class| class.weight.is_none()) {
            // A class beyond the 255th is one with it.
            return Classes::strict(u8::try_from(self.classes.len()).unwrap_or(u8::MAX));
        }
        Classes::weighted(self.classes.iter().map(|class| class.weight.unwrap_or(1)))
    }

    /// What a request with these headers claims. One that no class is for is of the last.
    pub(in crate::proxy) fn claim(&self, headers: &HeaderMap) -> Claim {
        let class = self.classes.iter().position(|class| class.is_for(headers)).unwrap_or(self.classes.len());
        let claim = Claim::default().class(u8::try_from(class).unwrap_or(u8::MAX));
        match self.tenant.as_ref().and_then(|name| headers.get(name)) {
            Some(tenant) => claim.tenant(TENANTS.hash_one(tenant.as_bytes())),
            None => claim,
        }
    }
}

impl Class {
    fn is_for(&self, headers: &HeaderMap) -> bool {
        let named = self.headers.iter().all(|(name, pattern)| {
            headers.get_all(name).iter().any(|value| value.to_str().is_ok_and(|value| pattern.matches(value)))
        });
        named && self.keys.as_ref().is_none_or(|keys| key(headers).is_some_and(|key| keys.contains(&key)))
    }
}

/// The hash of the key that a request comes with: OpenAI's way, or Anthropic's.
fn key(headers: &HeaderMap) -> Option<u64> {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    let key = bearer.or_else(|| headers.get("x-api-key").map(http::HeaderValue::as_bytes))?;
    Some(TENANTS.hash_one(key))
}
