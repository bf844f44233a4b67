//! JSON read once, from left to right, with nothing built.
//!
//! Events are small and of known shape, and all that is wanted of them is a
//! few fields. A [`Cursor`] stands before a value; whoever wants it takes it,
//! and what nobody takes is passed over. No allocation, no recursion of its
//! own, and every byte is looked at once. What is not JSON ends the reading at
//! the place where it breaks.

mod string;

use memchr::{memchr, memchr2};

/// A place in a JSON text, before a value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

/// The inside of a JSON string, escapes and all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quoted<'a>(&'a [u8]);

// === impl Cursor ===

impl<'a> Cursor<'a> {
    pub(crate) fn new(json: &'a [u8]) -> Self {
        Self { rest: json }
    }

    /// Takes an object, and shows each field's key and the cursor before its
    /// value; false, and nothing taken, if the value is none.
    pub(crate) fn object(&mut self, mut field: impl FnMut(&'a [u8], &mut Self)) -> bool {
        if !self.take(b'{') {
            return false;
        }
        if self.take(b'}') {
            return true;
        }
        loop {
            let Some(Quoted(key)) = self.quoted() else { return self.stop() };
            if !self.take(b':') {
                return self.stop();
            }
            self.value(|value| field(key, value));
            if self.take(b',') {
                continue;
            }
            return self.take(b'}') || self.stop();
        }
    }

    /// Takes an object, and shows the cursor before the value that lies at
    /// `path` in it, if one does.
    pub(crate) fn at(&mut self, path: &[&[u8]], mut show: impl FnMut(&mut Self)) {
        fn walk<'a>(value: &mut Cursor<'a>, path: &[&[u8]], show: &mut dyn FnMut(&mut Cursor<'a>)) {
            match path.split_first() {
                Some((first, rest)) => {
                    value.object(|key, value| {
                        if key == *first {
                            walk(value, rest, show);
                        }
                    });
                }
                None => show(value),
            }
        }
        walk(self, path, &mut show);
    }

    /// Takes an array, and shows the cursor before each element; false, and
    /// nothing taken, if the value is none.
    pub(crate) fn array(&mut self, mut element: impl FnMut(&mut Self)) -> bool {
        if !self.take(b'[') {
            return false;
        }
        if self.take(b']') {
            return true;
        }
        loop {
            self.value(&mut element);
            if self.take(b',') {
                continue;
            }
            return self.take(b']') || self.stop();
        }
    }

    /// Takes a string; none, and nothing taken, if the value is another.
    pub(crate) fn quoted(&mut self) -> Option<Quoted<'a>> {
        if self.peek() != Some(b'"') {
            return None;
        }
        let inside = self.rest.get(1..)?;
        let mut at = 0;
        loop {
            let Some(found) = inside.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) else {
                self.stop();
                return None;
            };
            at += found;
            if inside.get(at) == Some(&b'"') {
                let (text, rest) = inside.split_at(at);
                self.rest = rest.get(1..).unwrap_or_default();
                return Some(Quoted(text));
            }
            at += 2;
        }
    }

    /// Takes a count of tokens: a whole number, `7.0` included, that one
    /// response can have. None, and nothing taken, for all else.
    pub(crate) fn figure(&mut self) -> Option<u32> {
        let mut after = *self;
        let number = after.raw();
        let text = std::str::from_utf8(number).ok()?;
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let tokens = whole.parse().ok()?;
        if !part.bytes().all(|digit| digit == b'0') {
            return None;
        }
        *self = after;
        Some(tokens)
    }

    /// Takes `true` or `false`; none, and nothing taken, for all else.
    pub(crate) fn boolean(&mut self) -> Option<bool> {
        let mut after = *self;
        let value = match after.raw() {
            b"true" => true,
            b"false" => false,
            _ => return None,
        };
        *self = after;
        Some(value)
    }

    /// Takes any value, as it is written.
    pub(crate) fn raw(&mut self) -> &'a [u8] {
        self.peek();
        let before = self.rest;
        self.skip();
        before.get(..before.len() - self.rest.len()).unwrap_or_default()
    }

    /// The first byte of the value: it tells its kind.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        while let Some((b' ' | b'\n' | b'\r' | b'\t', rest)) = self.rest.split_first() {
            self.rest = rest;
        }
        self.rest.first().copied()
    }

    /// Shows a value, and passes over it if it was not taken.
    fn value(&mut self, show: impl FnOnce(&mut Self)) {
        self.peek();
        let before = self.rest.len();
        show(self);
        if self.rest.len() == before {
            self.skip();
        }
    }

    fn skip(&mut self) {
        match self.peek() {
            Some(b'"') => {
                self.quoted();
            }
            Some(b'{' | b'[') => self.skip_nested(),
            _ => {
                let is_end =
                    |byte: &u8| matches!(byte, b',' | b'}' | b']' | b':' | b' ' | b'\n' | b'\r' | b'\t');
                let end = self.rest.iter().position(is_end).unwrap_or(self.rest.len());
                self.rest = self.rest.get(end..).unwrap_or_default();
            }
        }
    }

    fn skip_nested(&mut self) {
        let mut depth = 0_usize;
        while let Some(&byte) = self.rest.first() {
            match byte {
                b'"' => {
                    self.quoted();
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.rest = self.rest.get(1..).unwrap_or_default();
            if depth == 0 {
                return;
            }
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.rest = self.rest.get(1..).unwrap_or_default();
        }
        found
    }

    /// Ends the reading: what is here is not JSON. It was an object or an
    /// array all the same.
    fn stop(&mut self) -> bool {
        self.rest = &[];
        true
    }
}

// === impl Quoted ===

impl<'a> Quoted<'a> {
    /// The bytes as they are written.
    pub(crate) fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// The text, borrowed where it has no escapes, else written into
    /// `scratch`. What is not UTF-8 becomes U+FFFD.
    pub(crate) fn text<'s>(self, scratch: &'s mut String) -> &'s str
    where
        'a: 's,
    {
        if memchr(b'\\', self.0).is_none() {
            if let Ok(text) = std::str::from_utf8(self.0) {
                return text;
            }
        }
        scratch.clear();
        string::unescape(&String::from_utf8_lossy(self.0), scratch);
        scratch
    }
}

/// Reads the fields of a JSON object; false if `json` does not begin one.
pub(crate) fn fields<'a>(json: &'a [u8], field: impl FnMut(&'a [u8], &mut Cursor<'a>)) -> bool {
    Cursor::new(json).object(field)
}

/// The text of a field of a JSON object, as it is written; none without one.
pub(crate) fn text_field<'a>(json: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut text = None;
    fields(json, |key, value| {
        if key == name {
            text = value.quoted();
        }
    });
    text.map(Quoted::bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// Rebuilds a value from what the cursor shows.
    fn rebuild(cursor: &mut Cursor<'_>) -> Value {
        let mut fields = serde_json::Map::new();
        let mut elements = Vec::new();
        if cursor.object(|key, value| {
            let key = Quoted(key).text(&mut String::new()).to_owned();
            fields.insert(key, rebuild(value));
        }) {
            return Value::Object(fields);
        }
        if cursor.array(|value| elements.push(rebuild(value))) {
            return Value::Array(elements);
        }
        match cursor.quoted() {
            Some(text) => Value::String(text.text(&mut String::new()).to_owned()),
            None => serde_json::from_slice(cursor.raw()).unwrap(),
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::from),
            (-1e9..1e9).prop_map(Value::from),
            any::<String>().prop_map(Value::String),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
                proptest::collection::vec((any::<String>(), inner), 0..5)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// What the cursor shows is what serde_json wrote, pretty or not; what
        /// nobody takes is passed over whole.
        #[test]
        fn agrees_with_serde_json(value in json(), pretty: bool) {
            let text = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) }.unwrap();
            // Not `value`: serde_json does not read every number back as it was.
            let value: Value = serde_json::from_slice(&text).unwrap();
            prop_assert_eq!(rebuild(&mut Cursor::new(&text)), value);
            let mut cursor = Cursor::new(&text);
            prop_assert_eq!(cursor.raw(), text.as_slice());
            prop_assert!(cursor.rest.is_empty());
        }

        /// What is not JSON ends the reading, and nothing worse.
        #[test]
        fn garbage_ends_the_reading(text in "[\\[\\]{}:,\"\\\\a1 \n]{0,40}") {
            let mut cursor = Cursor::new(text.as_bytes());
            let mut count = 0;
            fn walk(cursor: &mut Cursor<'_>, count: &mut u32, depth: u8) {
                *count += 1;
                if depth > 0 && !cursor.object(|_, value| walk(value, count, depth - 1)) {
                    cursor.array(|value| walk(value, count, depth - 1));
                }
            }
            walk(&mut cursor, &mut count, 3);
            prop_assert!(count <= 41);
        }
    }

    fn figure(json: &str) -> Option<u32> {
        Cursor::new(json.as_bytes()).figure()
    }

    /// Counts are whole, and of a size that a response can have.
    #[test]
    fn figures() {
        assert_eq!([figure("7"), figure(" 7.0,"), figure("0")], [Some(7), Some(7), Some(0)]);
        for not in ["7.5", "-1", "1e3", "\"7\"", "null", "{}", "99999999999999999999", "4294967296"] {
            assert_eq!(figure(not), None, "{not}");
        }
    }
}
