//! The model that a request names, from what is there of its body.

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};

/// The string `model` of a JSON object; absent where there is none, or none yet.
pub(super) fn of(body: &[u8]) -> Option<String> {
    let mut model = None;
    // Where the body breaks off, or is no JSON, what was found before that counts.
    let _ = Search(&mut model).deserialize(&mut serde_json::Deserializer::from_slice(body));
    model
}

struct Search<'a>(&'a mut Option<String>);

impl<'de> DeserializeSeed<'de> for Search<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Search<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<std::borrow::Cow<'_, str>>()? {
            if key == "model" {
                *self.0 = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::of;

    /// The model is found wherever it stands, and in a body that breaks off after it.
    #[test]
    fn finds_the_model() {
        let found = |body: &str| of(body.as_bytes());
        assert_eq!(found(r#"{"stream": true, "model": "llama-3"}"#).as_deref(), Some("llama-3"));
        assert_eq!(found(r#"{"messages": [{"model": "no"}], "model": "yes"}"#).as_deref(), Some("yes"));
        assert_eq!(found(r#"{"model": "a\"b", "messages": [{"con"#).as_deref(), Some("a\"b"));
    }

    /// What names none has none.
    #[test]
    fn finds_none() {
        for body in ["", "{}", "[]", "\"model\"", r#"{"model": 1}"#, r#"{"x": {"model": "no"}}"#, "nonsense"]
        {
            assert_eq!(of(body.as_bytes()), None, "{body}");
        }
    }
}
