//! Run logs as they are given: files and stdin, compressed or not.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use tower_tps::analysis::{LeftOut, Logs, Run};

use crate::failure::Failure;

/// Large, since logs are.
const BUFFER: usize = 1 << 16;
const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// Reads them all. Progress is shown on a terminal's stderr.
pub(crate) fn read(files: &[&str]) -> Result<(Vec<Run>, LeftOut), Failure> {
    let mut logs = Logs::default();
    for file in files.iter().copied() {
        let unreadable = |error: io::Error| {
            Failure::usage(file, error, "give a run log, as tps proxy --log writes it, or - for stdin")
        };
        let (input, length): (Box<dyn Read>, _) = if file == "-" {
            (Box::new(io::stdin().lock()), None)
        } else {
            let input = File::open(file).map_err(unreadable)?;
            let length = input.metadata().map_err(unreadable)?.len();
            (Box::new(input), Some(length).filter(|length| *length > 0))
        };
        let progress = progress(file, length);
        let input =
            decoded(BufReader::with_capacity(BUFFER, progress.wrap_read(input))).map_err(unreadable)?;
        let read = logs.read(file, input);
        progress.finish_and_clear();
        if let Err(error) = read {
            // A compressed log that was cut off, most likely: what came of it is worth telling.
            eprintln!("tps: {file}: {error}: what was read until then is all there is of it");
        }
    }
    let (runs, left_out) = logs.finish();
    if runs.is_empty() {
        let why = if left_out.lines == 0 { "it is empty" } else { "no line of a run log is in it" };
        let first = left_out.problems.first();
        let first = first.map(|problem| format!(" (line {}: {})", problem.line, problem.reason));
        return Err(Failure::usage(
            files.join(", "),
            format!("{why}{}", first.unwrap_or_default()),
            "give a run log, as tps proxy --log writes it",
        ));
    }
    Ok((runs, left_out))
}

/// The text of a log by its first bytes, whatever its name.
fn decoded(mut input: impl BufRead + 'static) -> io::Result<Box<dyn BufRead>> {
    let head = input.fill_buf()?;
    Ok(if head.starts_with(GZIP) {
        Box::new(BufReader::with_capacity(BUFFER, flate2::bufread::MultiGzDecoder::new(input)))
    } else if head.starts_with(ZSTD) {
        Box::new(BufReader::with_capacity(BUFFER, zstd::stream::read::Decoder::with_buffer(input)?))
    } else {
        Box::new(input)
    })
}

fn progress(file: &str, length: Option<u64>) -> ProgressBar {
    let name = Path::new(file).file_name().map_or_else(|| file.into(), |name| name.to_string_lossy());
    let (bar, template) = match length {
        Some(length) => {
            (ProgressBar::new(length), "{msg} {wide_bar} {percent:>3} %, {binary_bytes_per_sec}, {eta}")
        }
        None => (ProgressBar::new_spinner(), "{msg} {spinner} {binary_bytes}, {binary_bytes_per_sec}"),
    };
    // A template that is not understood would be a fault of this line.
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.with_style(style).with_message(name.into_owned())
}
