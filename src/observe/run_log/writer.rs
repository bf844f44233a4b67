//! The log's thread: takes what is there, and writes it.

use std::fs::File;
use std::io::Write;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::line::Line;
use super::{News, Run, Shared};

/// How long news waits at most before it is written.
const CADENCE: Duration = Duration::from_millis(50);

/// Writes until the run has ended.
pub(super) fn run(mut file: File, shared: &Shared, run: &Run) {
    let mut batch = Vec::new();
    let mut bytes = Vec::new();
    loop {
        let ended = {
            let mut buffer = shared.buffer.lock();
            std::mem::swap(&mut buffer.news, &mut batch);
            buffer.ended
        };
        let taken = batch.len() as u64;
        for news in batch.drain(..) {
            write(&mut bytes, &news, run, shared.dropped.load(Ordering::Relaxed));
        }
        if !bytes.is_empty() && file.write_all(&bytes).is_err() {
            shared.dropped.fetch_add(taken, Ordering::Relaxed);
            // What came through of it may end in half a line.
            let _ = file.write_all(b"\n");
        }
        bytes.clear();
        if ended {
            return;
        }
        std::thread::park_timeout(CADENCE);
    }
}

fn write(out: &mut Vec<u8>, news: &News, run: &Run, dropped: u64) {
    match news {
        News::Start(start) => Line::run(out, start, run),
        News::Request(record) => Line::request(out, record, run),
        News::Sample(sample) => Line::sample(out, sample, run),
        News::Change(pool, change) => Line::change(out, pool, change, run),
        News::End(sample) => Line::end(out, sample, run, dropped),
    }
}
