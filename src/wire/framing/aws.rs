//! AWS event streams: binary frames with a length, headers and checksums, as
//! Amazon Bedrock streams.

use aws_smithy_eventstream::frame::read_message_from;
use aws_smithy_types::event_stream::Message;

use super::Event;

/// The length of a frame, that of its headers, and the checksum of both.
const PRELUDE: usize = 12;

/// The lengths that a frame can have: an empty one, and the most that AWS allows.
const LENGTHS: std::ops::RangeInclusive<usize> = PRELUDE + 4..=24 * 1024 * 1024;

/// Cuts a stream of bytes into frames. A frame over the limit is skipped by its
/// length, and its checksum is not asked.
#[derive(Debug)]
pub(crate) struct AwsFramer {
    limit: usize,
    held: Vec<u8>,
    /// What is still to come of a frame that is skipped.
    to_skip: usize,
    corrupt: bool,
}

impl AwsFramer {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, held: Vec::new(), to_skip: 0, corrupt: false }
    }

    /// Whether no frame is under way.
    pub(super) fn is_between(&self) -> bool {
        self.held.is_empty() && self.to_skip == 0
    }

    /// False once the bytes are corrupt: where the next frame would begin is
    /// then unknown.
    pub(super) fn push(&mut self, mut chunk: &[u8], mut on_event: impl FnMut(Event<'_>)) -> bool {
        while !chunk.is_empty() && !self.corrupt {
            if self.to_skip > 0 {
                let (skipped, rest) = chunk.split_at(chunk.len().min(self.to_skip));
                self.to_skip -= skipped.len();
                chunk = rest;
                continue;
            }
            if self.held.len() < PRELUDE && (!self.held.is_empty() || chunk.len() < PRELUDE) {
                chunk = self.hold(chunk, PRELUDE);
                if self.held.len() < PRELUDE {
                    break;
                }
            }
            let begun = if self.held.is_empty() { chunk } else { &self.held };
            let Some(length) = length(begun).filter(|length| LENGTHS.contains(length)) else {
                self.corrupt = true;
                break;
            };
            if length > self.limit {
                on_event(Event { skipped: true, ..Event::default() });
                self.to_skip = length - self.held.len();
                self.held.clear();
            } else if self.held.is_empty() && chunk.len() >= length {
                let (frame, rest) = chunk.split_at(length);
                self.corrupt = !emit(frame, &mut on_event);
                chunk = rest;
            } else {
                chunk = self.hold(chunk, length);
                if self.held.len() == length {
                    self.corrupt = !emit(&self.held, &mut on_event);
                    self.held.clear();
                }
            }
        }
        !self.corrupt
    }

    /// Holds as much as makes it `length`, and gives what is behind that.
    fn hold<'a>(&mut self, chunk: &'a [u8], length: usize) -> &'a [u8] {
        let (piece, rest) = chunk.split_at(chunk.len().min(length - self.held.len()));
        self.held.extend_from_slice(piece);
        rest
    }
}

fn length(frame: &[u8]) -> Option<usize> {
    let length = u32::from_be_bytes(frame.get(..4)?.try_into().ok()?);
    usize::try_from(length).ok()
}

/// Hands on a whole frame; false if it is corrupt.
fn emit(frame: &[u8], on_event: &mut impl FnMut(Event<'_>)) -> bool {
    let Ok(message) = read_message_from(frame) else { return false };
    let kind = header(&message, ":message-type");
    let error = match kind {
        "exception" => Some(header(&message, ":exception-type")),
        "error" => Some(header(&message, ":error-code")),
        _ => None,
    };
    let name = header(&message, ":event-type").as_bytes();
    on_event(Event { name, data: message.payload(), error, skipped: false });
    true
}

/// The text of a header; empty without it.
fn header<'a>(message: &'a Message, name: &str) -> &'a str {
    let header = message.headers().iter().find(|header| header.name().as_str() == name);
    let value = header.and_then(|header| header.value().as_string().ok());
    value.map_or("", |text| text.as_str())
}
