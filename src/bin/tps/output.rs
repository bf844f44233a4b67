//! Results, on stdout or in a file.

use std::io::{self, Write};
use std::path::Path;

use crate::failure::Failure;

/// Lets `write` write to stdout.
pub(crate) fn stdout(
    write: impl FnOnce(&mut io::BufWriter<io::StdoutLock<'_>>) -> io::Result<()>,
) -> Result<(), Failure> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        // Whoever reads it has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|error| Failure::running("the output", error)),
    }
}

/// Writes a page to a file that `flag` names.
pub(crate) fn file(flag: &str, path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|error| {
        Failure::usage(format!("{flag} {}", path.display()), error, "give a file that can be written")
    })
}

/// Writes it as one JSON object.
pub(crate) fn json(out: &mut impl Write, value: &impl serde::Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    out.write_all(b"\n")
}
