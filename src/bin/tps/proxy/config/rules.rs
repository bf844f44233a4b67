//! Which requests are for a pool.

use http::HeaderName;
use http::request::Parts;
use wildmatch::WildMatch;

/// Conditions that all hold of a request which the rule is for. In a pattern, `*`
/// is any text and `?` any character.
#[derive(Clone, Debug, Default)]
pub(in crate::proxy) struct Rule {
    pub(super) path: Option<WildMatch>,
    pub(super) headers: Vec<(HeaderName, WildMatch)>,
    pub(super) model: Option<WildMatch>,
    /// Whether such a request goes through the pool; if it is not said, a POST does.
    pub(in crate::proxy) measured: Option<bool>,
}

impl Rule {
    /// Whether it asks for the model, which only the body tells.
    pub(in crate::proxy) fn needs_model(&self) -> bool {
        self.model.is_some()
    }

    /// Whether it is for this request. One that names no model, such as a list of
    /// models, is asked for none.
    pub(in crate::proxy) fn is_for(&self, request: &Parts, model: Option<&str>) -> bool {
        let path = self.path.as_ref().is_none_or(|path| path.matches(request.uri.path()));
        let headers = self.headers.iter().all(|(name, pattern)| {
            let mut values = request.headers.get_all(name).iter();
            values.any(|value| value.to_str().is_ok_and(|value| pattern.matches(value)))
        });
        let named = match (&self.model, model) {
            (Some(pattern), Some(model)) => pattern.matches(model),
            (Some(_), None) => request.method != http::Method::POST,
            (None, _) => true,
        };
        path && headers && named
    }
}
