//! Takes the chunks apart again that a body came in.

use std::io;

use super::connection::wrong;

/// Where in a chunked body it is.
#[derive(Debug, Default)]
pub(crate) enum Chunked {
    #[default]
    Size,
    /// In data, of which this much is to come.
    Data(usize),
    /// Before the line's end that follows data.
    Line,
    /// After the last chunk.
    Last,
    Ended,
}

impl Chunked {
    /// Moves what is data in `received` to `body`; what is not whole yet stays.
    pub(crate) fn decode(&mut self, received: &mut Vec<u8>, body: &mut Vec<u8>) -> io::Result<()> {
        let mut rest = received.as_slice();
        loop {
            match self {
                Self::Size => {
                    let Some(end) = rest.windows(2).position(|two| two == b"\r\n") else { break };
                    let size = std::str::from_utf8(&rest[..end]).ok();
                    let size = size.and_then(|size| usize::from_str_radix(size, 16).ok());
                    let size = size.ok_or_else(|| wrong("a chunk without a size"))?;
                    rest = &rest[end + 2..];
                    *self = if size == 0 { Self::Last } else { Self::Data(size) };
                }
                Self::Data(size) => {
                    let here = rest.len().min(*size);
                    body.extend_from_slice(&rest[..here]);
                    rest = &rest[here..];
                    *size -= here;
                    if *size > 0 {
                        break;
                    }
                    *self = Self::Line;
                }
                Self::Line | Self::Last => {
                    let Some(line) = rest.get(..2) else { break };
                    if line != b"\r\n" {
                        return Err(wrong("a chunk without an end"));
                    }
                    rest = &rest[2..];
                    *self = if matches!(self, Self::Last) { Self::Ended } else { Self::Size };
                }
                Self::Ended => break,
            }
        }
        let taken = received.len() - rest.len();
        received.drain(..taken);
        Ok(())
    }

    pub(crate) fn is_ended(&self) -> bool {
        matches!(self, Self::Ended)
    }
}
