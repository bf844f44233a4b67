//! Run logs as they are given: files and stdin, compressed or not.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use tower_tps::analysis::{LeftOut, Logs, Run};

use crate::failure::Failure;

/// Large, since logs are.
const BUFFER: usize = 1 << 16;
const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// What was read of logs.
pub(crate) struct Read {
    pub(crate) runs: Vec<Run>,
    pub(crate) left_out: LeftOut,
    /// Why a log could be read in part only, if one could.
    pub(crate) broken: Option<Failure>,
}

/// Reads them all. Progress is shown on a terminal's stderr.
pub(crate) fn read(files: &[&str]) -> Result<Read, Failure> {
    if files.iter().filter(|file| **file == "-").count() > 1 {
        return Err(Failure::usage("-", "stdin can be read once", "give a file for the others"));
    }
    let (mut logs, mut broken) = (Logs::default(), None);
    for file in files.iter().copied() {
        let (input, length) = open(file).map_err(|error| unreadable(file, &error))?;
        let progress = progress(file, length);
        let input = decoded(BufReader::with_capacity(BUFFER, progress.wrap_read(input)));
        let read = input.and_then(|input| logs.read(file, input));
        progress.finish_and_clear();
        if let Err(error) = read {
            broken = Some(unreadable(file, &error));
        }
    }
    let (runs, left_out) = logs.finish();
    match broken {
        Some(broken) if runs.is_empty() => Err(broken),
        None if runs.is_empty() => Err(nothing(files, &left_out)),
        broken => Ok(Read { runs, left_out, broken }),
    }
}

type Input = (Box<dyn io::Read>, Option<u64>);

/// A log and its length, where it has one.
fn open(file: &str) -> io::Result<Input> {
    if file == "-" {
        return Ok((Box::new(io::stdin().lock()), None));
    }
    let input = File::open(file)?;
    let meta = input.metadata()?;
    if meta.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok((Box::new(input), Some(meta.len()).filter(|length| *length > 0)))
}

fn unreadable(file: &str, error: &io::Error) -> Failure {
    let mend = match error.kind() {
        io::ErrorKind::PermissionDenied => "allow it to be read, or give it on stdin as -",
        io::ErrorKind::IsADirectory => "give the files in it",
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
            "it is cut off or corrupt: compress it again"
        }
        _ => "give a run log, as tps proxy --log writes it, or - for stdin",
    };
    Failure::usage(if file.is_empty() { "\"\"" } else { file }, error, mend)
}

/// There is no run in any of them.
fn nothing(files: &[&str], left_out: &LeftOut) -> Failure {
    let why = if left_out.lines == 0 { "it is empty" } else { "no line of a run log is in it" };
    let first = left_out.problems.first();
    let first = first.map(|problem| format!(" (line {}: {})", problem.line, problem.reason));
    let why = format!("{why}{}", first.unwrap_or_default());
    Failure::usage(files.join(", "), why, "give a run log, as tps proxy --log writes it")
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
