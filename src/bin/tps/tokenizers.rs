//! What `--tokenizer` says: which tokenizer, and for the models of which name.

use std::path::PathBuf;
use std::str::FromStr;

use tower_tps::tokens::{Bpe, Hf, Tokens};

use crate::failure::Failure;

/// One `--tokenizer`: the default, or an exception to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TokenizerArg {
    /// Whose names begin so; all, if absent.
    models: Option<String>,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Usage,
    Events,
    O200k,
    Cl100k,
    File(PathBuf),
}

impl FromStr for TokenizerArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (models, name) = match text.split_once('=') {
            Some((models, name)) => (Some(models.to_owned()), name),
            None => (None, text),
        };
        let kind = match name {
            "usage" => Kind::Usage,
            "events" => Kind::Events,
            "o200k" => Kind::O200k,
            "cl100k" => Kind::Cl100k,
            file if file.ends_with(".json") => Kind::File(file.into()),
            _ => return Err("give usage, events, o200k, cl100k or the path of a tokenizer.json".into()),
        };
        match (&models, &kind) {
            (Some(models), _) if models.is_empty() => {
                Err("no model's name is before the `=`: give PREFIX=NAME".into())
            }
            (Some(_), Kind::Usage | Kind::Events) => {
                Err("models can be excepted for a tokenizer alone: give o200k, cl100k or a file".into())
            }
            _ => Ok(Self { models, kind }),
        }
    }
}

/// What all of them say together. Without a default, it is by events.
pub(crate) fn load(args: &[TokenizerArg]) -> Result<Tokens, Failure> {
    let mut defaults = args.iter().filter(|arg| arg.models.is_none());
    let mut tokens = match defaults.next().map(|arg| &arg.kind) {
        None | Some(Kind::Events) => Tokens::events(),
        Some(Kind::Usage) => Tokens::usage(),
        Some(Kind::O200k) => Tokens::o200k(),
        Some(Kind::Cl100k) => Tokens::cl100k(),
        Some(Kind::File(path)) => Tokens::by(file(path)?),
    };
    if defaults.next().is_some() {
        let why = "there can be one default";
        return Err(Failure::usage("--tokenizer", why, "give PREFIX=NAME for the models of that name"));
    }
    for arg in args {
        let Some(models) = &arg.models else { continue };
        tokens = match &arg.kind {
            Kind::Usage | Kind::Events => tokens,
            Kind::O200k => tokens.for_models(models, Bpe::o200k()),
            Kind::Cl100k => tokens.for_models(models, Bpe::cl100k()),
            Kind::File(path) => tokens.for_models(models, file(path)?),
        };
    }
    Ok(tokens)
}

fn file(path: &PathBuf) -> Result<Hf, Failure> {
    Hf::load(path).map_err(|error| {
        let why = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
        Failure::usage(format!("--tokenizer {}", path.display()), why, "give a Hugging Face tokenizer.json")
    })
}
