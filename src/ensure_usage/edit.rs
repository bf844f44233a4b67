//! The edit of a request, as an insertion into its text.

use std::fmt;
use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The body with the usage asked for; `None` if it is to stay as it is.
pub(super) fn ask_for_usage(body: &[u8]) -> Option<Bytes> {
    let (place, new) = edit(std::str::from_utf8(body).ok()?)?;
    let (before, after) = (body.get(..place.start)?, body.get(place.end..)?);
    let mut edited = BytesMut::with_capacity(before.len() + new.len() + after.len());
    edited.put_slice(before);
    edited.put_slice(new.as_bytes());
    edited.put_slice(after);
    Some(edited.freeze())
}

/// What is to be replaced, and by what.
fn edit(body: &str) -> Option<(Range<usize>, &'static str)> {
    let keys = ["stream", "messages", "prompt", "stream_options"];
    let [stream, messages, prompt, options] = values(body, keys)?;
    if stream?.get() != "true" || messages.or(prompt).is_none() {
        return None;
    }
    let Some(options) = options.map(RawValue::get) else {
        let (at, _) = last_place(body)?;
        return Some((at..at, r#","stream_options":{"include_usage":true}"#));
    };
    let place = span(body, options)?;
    if options == "null" {
        return Some((place, r#"{"include_usage":true}"#));
    }
    let [include_usage] = values(options, ["include_usage"])?;
    match include_usage.map(RawValue::get) {
        None => {
            let (at, is_empty) = last_place(options)?;
            let at = place.start + at;
            Some((at..at, if is_empty { r#""include_usage":true"# } else { r#","include_usage":true"# }))
        }
        Some(no @ ("false" | "null")) => Some((span(body, no)?, "true")),
        Some(_) => None,
    }
}

/// Where one more member of an object goes, and whether it is the first.
fn last_place(object: &str) -> Option<(usize, bool)> {
    let members = object.trim_end().strip_suffix('}')?.trim_end();
    Some((members.len(), members.ends_with('{')))
}

/// Where in the whole a part that borrows from it lies.
fn span(whole: &str, part: &str) -> Option<Range<usize>> {
    let start = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    let end = start.checked_add(part.len())?;
    whole.get(start..end)?;
    Some(start..end)
}

/// The values of these keys in an object, of each the last; `None` if the text
/// is not one JSON object.
fn values<'a, const N: usize>(object: &'a str, keys: [&str; N]) -> Option<[Option<&'a RawValue>; N]> {
    let mut json = serde_json::Deserializer::from_str(object);
    let values = (&mut json).deserialize_map(Values(keys)).ok()?;
    json.end().ok()?;
    Some(values)
}

struct Values<'k, const N: usize>([&'k str; N]);

impl<'de, const N: usize> Visitor<'de> for Values<'_, N> {
    type Value = [Option<&'de RawValue>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut values = [None; N];
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value::<&RawValue>()?;
            for (key, last) in self.0.iter().zip(&mut values) {
                if *key == name {
                    *last = Some(value);
                }
            }
        }
        Ok(values)
    }
}
