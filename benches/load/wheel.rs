//! One timer for all streams: a ring of slots as long as the time between two
//! tokens, in which each stream stays in the slot that it began in.

use std::cell::{Cell, RefCell};
use std::io::{self, Write};
use std::rc::{Rc, Weak};

use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval};

use super::connection::Connection;
use super::engine::Held;
use super::script::{self, Asked, STEP};

/// A stream whose reader is this far behind gets no new token.
const MOST_UNSENT: usize = 64 * 1024;

/// A stream under way.
pub(crate) struct Flow {
    pub(crate) connection: Connection,
    asked: Asked,
    place: Cell<u64>,
    unsent: RefCell<Vec<u8>>,
    held: RefCell<Option<Held>>,
    ended: Notify,
}

#[derive(Default)]
pub(crate) struct Wheel {
    slots: Vec<RefCell<Vec<Weak<Flow>>>>,
    at: Cell<usize>,
}

impl Wheel {
    pub(crate) fn new(rate: u64) -> Self {
        Self { slots: (0..script::steps(rate)).map(|_| RefCell::default()).collect(), at: Cell::new(0) }
    }

    /// Begins a stream with the next step.
    pub(crate) fn join(&self, flow: &Rc<Flow>) {
        let next = (self.at.get() + 1) % self.slots.len();
        self.slots[next].borrow_mut().push(Rc::downgrade(flow));
    }

    /// Turns for ever.
    pub(crate) async fn turn(&self) {
        let mut steps = interval(STEP);
        steps.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let (mut due, mut chunks) = (script::now(), Vec::new());
        loop {
            steps.tick().await;
            let at = (self.at.get() + 1) % self.slots.len();
            self.at.set(at);
            // What joins meanwhile goes into another slot, unless there is but one.
            let mut flows = self.slots[at].take();
            flows.retain(|flow| flow.upgrade().is_some_and(|flow| flow.step(due, &mut chunks)));
            self.slots[at].borrow_mut().append(&mut flows);
            due += STEP.as_nanos() as u64;
        }
    }
}

impl Flow {
    pub(crate) fn new(connection: Connection, asked: Asked, held: Held) -> Rc<Self> {
        Rc::new(Self {
            connection,
            asked,
            place: Cell::new(0),
            unsent: RefCell::default(),
            held: RefCell::new(Some(held)),
            ended: Notify::new(),
        })
    }

    /// Waits until all has been given out, and sends what could not go at once.
    pub(crate) async fn ended(&self) -> io::Result<()> {
        self.ended.notified().await;
        let unsent = self.unsent.take();
        self.connection.send(&unsent).await
    }

    /// Sends the token that is due, and says whether there are more.
    fn step(&self, due: u64, chunks: &mut Vec<u8>) -> bool {
        let place = self.place.get();
        if self.asked.reset_at == Some(place) {
            // Where it fails, the connection is gone already.
            let _ = self.connection.set_reset();
            self.held.take();
            self.ended.notify_one();
            return false;
        }
        if self.asked.stall_at == Some(place) {
            return false;
        }
        chunks.clear();
        let behind = self.unsent.borrow().len() > MOST_UNSENT;
        let last = place + 1 == self.asked.max_tokens;
        if !behind {
            chunk(chunks, |out| script::token(out, self.asked.id, place, due));
            self.place.set(place + 1);
            if last {
                chunk(chunks, |out| script::ending(out, self.asked.id, self.asked.max_tokens));
                chunks.extend_from_slice(b"0\r\n\r\n");
                // Before the end can be seen, and another request be sent for it.
                self.held.take();
            }
        }
        let mut unsent = self.unsent.borrow_mut();
        // That it is gone, its task sees too.
        if unsent.is_empty() {
            let sent = self.connection.try_send(chunks).unwrap_or(chunks.len());
            unsent.extend_from_slice(&chunks[sent..]);
        } else {
            unsent.extend_from_slice(chunks);
            let sent = self.connection.try_send(&unsent).unwrap_or(unsent.len());
            unsent.drain(..sent);
        }
        if last && !behind {
            self.ended.notify_one();
        }
        behind || !last
    }
}

fn chunk(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let mut data = Vec::with_capacity(512);
    write(&mut data);
    let _ = write!(out, "{:x}\r\n", data.len());
    out.extend_from_slice(&data);
    out.extend_from_slice(b"\r\n");
}
