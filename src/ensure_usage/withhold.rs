//! The filter that the bytes of a stream of events run through.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::scanner::Scanner;
use crate::wire::SseFramer;

/// The longest event that can be withheld, and the most that is held of a
/// response: 64 KiB.
pub const EVENT_LIMIT: usize = 64 * 1024;

/// Takes a stream's bytes and gives them back but for the events with nothing
/// but usage. Any cut of the same bytes gives the same bytes.
#[derive(Debug, Default)]
pub(super) struct Filter {
    scanner: Scanner,
    /// The present event so far, if it may be one to withhold.
    held: BytesMut,
    /// After an event that ended in CR: whether it was withheld.
    after_cr: Option<bool>,
    ready: VecDeque<Bytes>,
}

/// An event with nothing but usage. With an entry in its choices it does not parse.
#[derive(Deserialize)]
struct UsageOnly {
    #[serde(rename = "choices")]
    _choices: [IgnoredAny; 0],
    usage: Option<IgnoredAny>,
    error: Option<IgnoredAny>,
}

impl Filter {
    /// Takes the next bytes.
    pub(super) fn push(&mut self, chunk: &Bytes) {
        // What lies before `at` has been looked at; what lies before `run` too,
        // and has been given back or withheld.
        let (mut run, mut at) = (0, 0);
        while let Some(rest) = chunk.get(at..).filter(|rest| !rest.is_empty()) {
            if let Some(withheld) = self.after_cr.take() {
                if rest.first() == Some(&b'\n') {
                    at += 1;
                    run = if withheld { at } else { run };
                    continue;
                }
            }
            let Some(length) = self.scanner.end(rest) else {
                if self.scanner.may_be_object(EVENT_LIMIT) {
                    self.give(chunk.slice(run..at));
                    self.held.extend_from_slice(rest);
                    return;
                }
                self.release();
                break;
            };
            let scanner = std::mem::take(&mut self.scanner);
            let event = rest.get(..length).unwrap_or(rest);
            let withheld = scanner.may_be_object(EVENT_LIMIT) && is_usage_only(&self.held, event);
            if withheld {
                self.held = BytesMut::new();
                self.give(chunk.slice(run..at));
                run = at + length;
            } else {
                self.release();
            }
            at += length;
            self.after_cr = scanner.ended_in_cr().then_some(withheld);
        }
        self.give(chunk.slice(run..));
    }

    /// The next bytes to pass on, if there are any now.
    pub(super) fn pop(&mut self) -> Option<Bytes> {
        self.ready.pop_front()
    }

    /// Whether there is nothing left to pass on, now or later.
    pub(super) fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.held.is_empty()
    }

    /// Gives back what is held, since it is none to withhold, or since no more
    /// bytes come.
    pub(super) fn release(&mut self) {
        let held = std::mem::take(&mut self.held);
        self.give(held.freeze());
    }

    fn give(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.ready.push_back(bytes);
        }
    }
}

/// Whether an event, which lies in two pieces, has nothing but usage.
fn is_usage_only(beginning: &[u8], end: &[u8]) -> bool {
    let mut is_usage_only = false;
    let mut framer = SseFramer::with_limit(EVENT_LIMIT);
    for piece in [beginning, end] {
        framer.push(piece, |event| {
            is_usage_only = serde_json::from_slice::<UsageOnly>(event.data)
                .is_ok_and(|event| event.usage.is_some() && event.error.is_none());
        });
    }
    is_usage_only
}
