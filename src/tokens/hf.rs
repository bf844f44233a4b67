//! Any tokenizer that comes as a Hugging Face `tokenizer.json`.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use tokenizers::Tokenizer as Loaded;

use super::{Counter, Tokenizer};

/// The longest text that is counted, in bytes, unless told otherwise.
const LONGEST_TEXT: usize = 1024 * 1024;

/// The tokenizer of a `tokenizer.json`, counting exactly what the library
/// `tokenizers` does of the whole text, without adding special tokens.
///
/// Such a file can hold any normaliser and any model, and none of them says
/// what is certain before the text has ended. So a stream's text is kept, and
/// counted at the end, off the poll that ends it where it is long. Until then
/// no tokens are told.
#[derive(Clone)]
pub struct Hf {
    name: Arc<str>,
    loaded: Arc<Loaded>,
    longest_text: usize,
}

impl Hf {
    /// Loads a `tokenizer.json`. Its name in the record is the file's, or that of
    /// the folder if the file is called `tokenizer.json`.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or is no such tokenizer.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, HfError> {
        let path = path.as_ref();
        let failed = |source| HfError { path: path.display().to_string().into(), source };
        let mut loaded = Loaded::from_file(path).map_err(failed)?;
        // Both serve batches of a fixed length. A count is of the text as it is.
        loaded.with_truncation(None).map_err(failed)?;
        loaded.with_padding(None);
        Ok(Self { name: name(path), loaded: Arc::new(loaded), longest_text: LONGEST_TEXT })
    }

    /// Bounds the text that is kept of a stream, in bytes: 1 MiB unless told
    /// otherwise. The count of a longer one is given up, and events stand in.
    #[must_use]
    pub fn longest_text(mut self, bytes: usize) -> Self {
        self.longest_text = bytes;
        self
    }
}

fn name(path: &Path) -> Arc<str> {
    let of_folder = || path.parent()?.file_name();
    let name = match path.file_stem() {
        Some(stem) if stem == "tokenizer" => of_folder().or(Some(stem)),
        stem => stem,
    };
    name.map_or_else(|| "hf".into(), |name| name.to_string_lossy().into())
}

impl Tokenizer for Hf {
    fn name(&self) -> &str {
        &self.name
    }

    fn counter(&self) -> Box<dyn Counter> {
        Box::new(HfCounter { hf: self.clone(), text: String::new(), lost: false })
    }
}

impl fmt::Debug for Hf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hf").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Keeps one text, and counts it at its end.
struct HfCounter {
    hf: Hf,
    text: String,
    lost: bool,
}

impl Counter for HfCounter {
    fn push(&mut self, text: &str) -> u64 {
        self.lost = self.lost || text.len() > self.hf.longest_text - self.text.len();
        if self.lost {
            self.text = String::new();
        } else {
            self.text.push_str(text);
        }
        0
    }

    fn finish(&mut self) -> u64 {
        match self.hf.loaded.encode_fast(std::mem::take(&mut self.text), false) {
            Ok(encoding) => encoding.len() as u64,
            Err(_) => {
                self.lost = true;
                0
            }
        }
    }

    fn pending(&self) -> usize {
        self.text.len()
    }

    fn is_lost(&self) -> bool {
        self.lost
    }
}

impl fmt::Debug for HfCounter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The text is the stream's, and nobody else's to read.
        f.debug_struct("HfCounter")
            .field("hf", &self.hf)
            .field("kept", &self.text.len())
            .finish_non_exhaustive()
    }
}

/// A `tokenizer.json` could not be loaded.
#[derive(Debug)]
pub struct HfError {
    path: Box<str>,
    source: tokenizers::Error,
}

impl fmt::Display for HfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} could not be loaded as a tokenizer", self.path)
    }
}

impl std::error::Error for HfError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.source)
    }
}
