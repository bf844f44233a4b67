//! The log's file: written at its end, kept under another name when it is full,
//! and opened anew when it was moved away.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// An open file and how much is in it.
#[derive(Debug)]
pub(super) struct Output {
    path: PathBuf,
    file: File,
    length: u64,
    /// It is full beyond so many bytes; never, for a device or a pipe.
    most: Option<u64>,
    /// What was added to it last breaks off within a line.
    is_torn: bool,
}

/// Not all was written.
#[derive(Debug)]
pub(super) struct Unwritten {
    /// So many bytes were.
    pub(super) written: usize,
    pub(super) error: io::Error,
}

impl Output {
    /// Opens the file, or creates it. A last line without an end stays alone.
    ///
    /// # Errors
    /// When it cannot be opened or read, or written where that is needed.
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(&path)?;
        let mut length = file.metadata()?.len();
        if torn(&mut file, length)? {
            file.write_all(b"\n")?;
            length += 1;
        }
        Ok(Self { path, file, length, most: None, is_torn: false })
    }

    /// It is full beyond so many bytes.
    pub(super) fn limit(&mut self, most: u64) {
        self.most = Some(most).filter(|_| self.file.metadata().is_ok_and(|meta| meta.is_file()));
    }

    /// Whether so many bytes more would be too many.
    pub(super) fn is_full_with(&self, more: usize) -> bool {
        self.most.is_some_and(|most| self.length.saturating_add(more as u64) > most)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Adds whole lines.
    ///
    /// # Errors
    /// When not all were written. What comes next does not join a half-written one.
    pub(super) fn write(&mut self, lines: &[u8]) -> Result<(), Unwritten> {
        if self.is_torn {
            self.file.write_all(b"\n").map_err(|error| self.failed(0, error))?;
            self.length += 1;
            self.is_torn = false;
        }
        let mut written = 0;
        while written < lines.len() {
            match self.file.write(&lines[written..]) {
                Ok(0) => return Err(self.failed(written, io::ErrorKind::WriteZero.into())),
                Ok(count) => {
                    written += count;
                    self.length += count as u64;
                    self.is_torn = lines[written - 1] != b'\n';
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(written, error)),
            }
        }
        Ok(())
    }

    /// Keeps what is there under the next free number after the name, and begins an
    /// empty file by the old one.
    ///
    /// # Errors
    /// When either cannot be done. It then goes on with the same file, which counts as
    /// full only after as much again.
    pub(super) fn rotate(&mut self) -> io::Result<()> {
        let rotated = self.keep().map_err(|error| self.told(error)).and_then(|kept| {
            self.reopen().inspect_err(|_| {
                if let Some(kept) = kept {
                    let _ = fs::rename(kept, &self.path);
                }
            })
        });
        if rotated.is_err() {
            self.most = self.most.map(|most| most.saturating_add(self.length));
        }
        rotated
    }

    /// Opens the file by its name again: a new one, where it was moved away.
    ///
    /// # Errors
    /// When it cannot be opened. It then goes on with the one it had.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        let new = Self::open(self.path.clone()).map_err(|error| self.told(error))?;
        *self = Self { most: self.most, ..new };
        Ok(())
    }

    /// Moves the file to a name that no other has; `None` where it is not there any more.
    fn keep(&self) -> io::Result<Option<PathBuf>> {
        let kept = self.next_name()?;
        match fs::rename(&self.path, &kept) {
            Ok(()) => Ok(Some(kept)),
            Err(error) => {
                let _ = fs::remove_file(&kept);
                if error.kind() == io::ErrorKind::NotFound { Ok(None) } else { Err(error) }
            }
        }
    }

    /// Takes the number after the highest there is. The name is an empty file of our own
    /// from then on, so that moving the log there overwrites nothing.
    fn next_name(&self) -> io::Result<PathBuf> {
        let name = self.path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let folder = self.path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
        let mut last = 0;
        for entry in fs::read_dir(folder)? {
            last = last.max(number(&entry?.file_name(), name).unwrap_or(0));
        }
        loop {
            last += 1;
            let mut numbered = name.to_owned();
            numbered.push(format!(".{last}"));
            let path = self.path.with_file_name(numbered);
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(_) => return Ok(path),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn failed(&self, written: usize, error: io::Error) -> Unwritten {
        Unwritten { written, error: self.told(error) }
    }

    /// The error with the name of the file.
    fn told(&self, error: io::Error) -> io::Error {
        io::Error::new(error.kind(), format!("{}: {error}", self.path.display()))
    }
}

/// The number that a file has after this name and a point, and before what a packer
/// may have added.
fn number(file: &OsStr, name: &OsStr) -> Option<u64> {
    let rest = file.as_encoded_bytes().strip_prefix(name.as_encoded_bytes())?.strip_prefix(b".")?;
    let digits = rest.split(|byte| *byte == b'.').next()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Whether the file's last line has no end: the next must not be joined to it.
fn torn(file: &mut File, length: u64) -> io::Result<bool> {
    if length == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}
