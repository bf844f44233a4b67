//! The short way through an event that differs from the one before in its text
//! alone.
//!
//! Most events of a stream are the same bytes around another piece of text. Once
//! an event was read in full and told just one text, what stands before and
//! after that text is kept. If the next event begins and ends with the same
//! bytes, and what is between has neither a quote nor a backslash, then it is the
//! same JSON with that text in its place, and tells just that.

use memchr::memchr2;

use super::Event;

/// The most that is kept of an event around its text.
const MOST_KEPT: usize = 512;

/// A stream whose events differ otherwise is not tried for ever.
const MOST_MISSES: u8 = 8;

/// What the last event that was read in full had around its text.
#[derive(Debug, Default)]
pub(super) struct Template {
    /// Its name, what stood before the text, and what stood after it.
    kept: Vec<u8>,
    name_ends: u16,
    before_ends: u16,
    misses: u8,
}

impl Template {
    /// The text of an event that fits.
    pub(super) fn text<'a>(&mut self, event: &Event<'a>) -> Option<&'a str> {
        if self.kept.is_empty() || self.misses >= MOST_MISSES {
            return None;
        }
        let text = self.fits(event);
        self.misses = if text.is_some() { 0 } else { self.misses + 1 };
        text
    }

    fn fits<'a>(&self, event: &Event<'a>) -> Option<&'a str> {
        let (name_ends, before_ends) = (usize::from(self.name_ends), usize::from(self.before_ends));
        let (before, after) = (self.kept.get(name_ends..before_ends)?, self.kept.get(before_ends..)?);
        let (begins, rest) = event.data.split_at_checked(before.len())?;
        let (text, ends) = rest.split_at_checked(rest.len().checked_sub(after.len())?)?;
        let fits = same(begins, before) && same(ends, after) && same(event.name, self.kept.get(..name_ends)?);
        // An empty text is none, and what stands for it then the dialect knows.
        let fits = fits && !text.is_empty();
        let text = Some(text).filter(|text| fits && memchr2(b'"', b'\\', text).is_none());
        std::str::from_utf8(text?).ok()
    }

    /// Keeps nothing: the next event is read in full.
    pub(super) fn forget(&mut self) {
        self.kept.clear();
    }

    /// Keeps what an event has around its only text, which stands at this
    /// address and is so long.
    pub(super) fn learn(&mut self, event: &Event<'_>, (address, length): (usize, usize)) {
        let place = address.checked_sub(event.data.as_ptr() as usize);
        let Some((before, rest)) = place.and_then(|at| event.data.split_at_checked(at)) else { return };
        let Some(after) = rest.get(length..) else { return };
        let is_quoted = before.last() == Some(&b'"') && after.first() == Some(&b'"');
        let parts = [event.name, before, after];
        let size = parts.iter().map(|part| part.len()).sum();
        if !is_quoted || size > MOST_KEPT || self.misses >= MOST_MISSES {
            return;
        }
        self.kept.clear();
        self.kept.reserve_exact(size);
        parts.iter().for_each(|part| self.kept.extend_from_slice(part));
        // Both are below `MOST_KEPT`.
        self.name_ends = event.name.len() as u16;
        self.before_ends = (event.name.len() + before.len()) as u16;
    }
}

/// Whether two pieces are the same. By blocks, which the compiler compares in
/// place, and of which the last may overlap: calls of `memcmp` with lengths that
/// it cannot see took longer than all else here.
fn same(one: &[u8], other: &[u8]) -> bool {
    let (ones, others) = (one.chunks_exact(32), other.chunks_exact(32));
    let blocks = ones.zip(others).all(|(one, other)| one.first_chunk::<32>() == other.first_chunk::<32>());
    one.len() == other.len()
        && blocks
        && match (one.last_chunk::<32>(), other.last_chunk::<32>()) {
            (Some(one), Some(other)) => one == other,
            _ => one.iter().eq(other),
        }
}
