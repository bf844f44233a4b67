//! The reading of one frame, whatever its data is made of.

use std::io::IoSlice;

use bytes::Buf;

use crate::wire::{Progress, Reader};

/// The most slices of one frame that are looked at.
const MOST_SLICES: usize = 64;

/// Shows a frame's data to the reader without taking any of it.
pub(super) fn read(reader: &mut Reader, data: &impl Buf) -> Progress {
    let first = data.chunk();
    if first.len() == data.remaining() {
        return reader.push(first);
    }
    let mut slices = [IoSlice::new(&[]); MOST_SLICES];
    let count = data.chunks_vectored(&mut slices);
    let mut seen = 0;
    for slice in slices.iter().take(count) {
        reader.feed(slice);
        seen += slice.len();
    }
    if seen < data.remaining() {
        reader.lose();
    }
    reader.progress()
}
