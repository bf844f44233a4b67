//! A pool's choice of how tokens are counted.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::{Counter, TokenSource, Tokenizer};

/// How a pool counts tokens. The provider's own final figure always comes
/// first; the choice is what stands in where it is missing.
///
/// What fits one model does not fit another, so there can be
/// [exceptions by model](Self::for_models); the record says which was used.
#[derive(Debug)]
pub struct Tokens {
    /// The default, and then the exceptions, the longest prefix first.
    choices: Vec<Choice>,
}

/// Which of its choices a pool uses for one stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Chosen(u16);

#[derive(Debug)]
struct Choice {
    prefix: Box<str>,
    name: Arc<str>,
    by: By,
}

#[derive(Debug)]
enum By {
    Usage,
    Events,
    Tokenizer(Box<dyn Tokenizer>),
}

// === impl Tokens ===

impl Tokens {
    /// Nothing stands in: without usage, tokens are unknown.
    #[must_use]
    pub fn usage() -> Self {
        Self::default_is(TokenSource::Usage.as_str(), By::Usage)
    }

    /// One token for each event that carried content.
    #[must_use]
    pub fn events() -> Self {
        Self::default_is(TokenSource::Events.as_str(), By::Events)
    }

    /// A tokenizer counts the text as it passes; should it fail, events stand in.
    #[must_use]
    pub fn by(tokenizer: impl Tokenizer) -> Self {
        let name = tokenizer.name().to_owned();
        Self::default_is(&name, By::Tokenizer(Box::new(tokenizer)))
    }

    /// OpenAI's `o200k_base`, exactly: [`Bpe::o200k`](super::Bpe::o200k).
    #[cfg(feature = "bpe")]
    #[must_use]
    pub fn o200k() -> Self {
        Self::by(super::Bpe::o200k())
    }

    /// OpenAI's `cl100k_base`, exactly: [`Bpe::cl100k`](super::Bpe::cl100k).
    #[cfg(feature = "bpe")]
    #[must_use]
    pub fn cl100k() -> Self {
        Self::by(super::Bpe::cl100k())
    }

    /// The tokenizer of a Hugging Face `tokenizer.json`; see [`Hf`](super::Hf).
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or is no such tokenizer.
    #[cfg(feature = "hf")]
    pub fn hf(path: impl AsRef<std::path::Path>) -> Result<Self, super::HfError> {
        super::Hf::load(path).map(Self::by)
    }

    /// OpenAI's models each by its own tokenizer, as tiktoken has them, and all
    /// others by events.
    #[cfg(feature = "bpe")]
    #[must_use]
    pub fn openai() -> Self {
        const O200K: [&str; 9] =
            ["gpt-5", "gpt-oss", "gpt-4o", "gpt-4.1", "gpt-4.5", "chatgpt-4o", "o1", "o3", "o4-mini"];
        const CL100K: [&str; 5] = ["gpt-4", "gpt-3.5", "gpt-35", "davinci-002", "babbage-002"];
        let by = |tokens: Self, models: &[&str], bpe: super::Bpe| {
            models.iter().fold(tokens, |tokens, models| tokens.for_models(models, bpe.clone()))
        };
        by(by(Self::events(), &O200K, super::Bpe::o200k()), &CL100K, super::Bpe::cl100k())
    }

    /// Counts with this tokenizer what comes of models whose name begins with
    /// `prefix`, as the response names them. The longest prefix that fits wins;
    /// capitals make no difference, nor do an owner before a `/` and the `ft:`
    /// of a model that was tuned. A response that has named no model by its
    /// first event with content is counted by the default.
    ///
    /// ```
    /// # #[cfg(feature = "bpe")] {
    /// use tower_tps::tokens::{Bpe, Tokens};
    ///
    /// let tokens = Tokens::openai().for_models("our-tuned-model", Bpe::o200k());
    /// # }
    /// ```
    #[must_use]
    pub fn for_models(mut self, prefix: &str, tokenizer: impl Tokenizer) -> Self {
        let name = tokenizer.name().into();
        let by = By::Tokenizer(Box::new(tokenizer));
        // A later one takes the place of one for the same models.
        let mut index = 0;
        self.choices.retain(|choice| {
            index += 1;
            index == 1 || *choice.prefix != *prefix
        });
        self.choices.push(Choice { prefix: prefix.into(), name, by });
        if let Some(exceptions) = self.choices.get_mut(1..) {
            exceptions.sort_by_key(|choice| std::cmp::Reverse(choice.prefix.len()));
        }
        self
    }

    /// What the default is: `usage`, `events`, or the tokenizer's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.choice(Chosen::default()).map_or("", |choice| &choice.name)
    }

    /// Whether the choice depends on the model.
    pub(crate) fn depends_on_model(&self) -> bool {
        self.choices.len() > 1
    }

    /// The choice for a stream of this model, if it is named.
    pub(crate) fn choose(&self, model: Option<&str>) -> Chosen {
        let begins = |name: &str, prefix: &str| {
            name.get(..prefix.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix))
        };
        let fits = |model: &str, prefix: &str| {
            let last = model.rsplit('/').next().unwrap_or(model);
            begins(model, prefix) || begins(last.strip_prefix("ft:").unwrap_or(last), prefix)
        };
        let exceptions = self.choices.get(1..).unwrap_or_default();
        let found = model.and_then(|model| exceptions.iter().position(|choice| fits(model, &choice.prefix)));
        let found = found.and_then(|index| u16::try_from(index + 1).ok());
        found.map_or_else(Chosen::default, Chosen)
    }

    /// The name of a choice, for the record.
    pub(crate) fn name_of(&self, chosen: Chosen) -> Arc<str> {
        self.choice(chosen).map_or_else(|| "".into(), |choice| choice.name.clone())
    }

    /// A counter for one stream; none without a tokenizer, or from one that panics.
    pub(crate) fn counter(&self, chosen: Chosen) -> Option<Box<dyn Counter>> {
        match &self.choice(chosen)?.by {
            By::Tokenizer(tokenizer) => catch_unwind(AssertUnwindSafe(|| tokenizer.counter())).ok(),
            By::Usage | By::Events => None,
        }
    }

    /// Whether a figure of this source may stand.
    pub(crate) fn admits(&self, chosen: Chosen, source: TokenSource) -> bool {
        let is_usage_alone = self.choice(chosen).is_some_and(|choice| matches!(choice.by, By::Usage));
        source == TokenSource::Usage || !is_usage_alone
    }

    fn default_is(name: &str, by: By) -> Self {
        Self { choices: vec![Choice { prefix: "".into(), name: name.into(), by }] }
    }

    fn choice(&self, Chosen(index): Chosen) -> Option<&Choice> {
        self.choices.get(usize::from(index))
    }
}

#[cfg(all(test, feature = "bpe"))]
mod tests {
    use super::*;

    /// OpenAI's models as tiktoken has them, in the spellings that are met.
    #[test]
    fn the_models_of_openai() {
        let tokens = Tokens::openai();
        for (models, tokenizer) in [
            (&["gpt-5", "gpt-5-mini", "gpt-4.1-nano", "gpt-4o-2024-05-13", "GPT-4o"][..], "o200k_base"),
            (&["o1-mini", "o3", "o4-mini", "chatgpt-4o-latest", "gpt-oss-120b"], "o200k_base"),
            (&["openai/gpt-4o-mini", "ft:gpt-4o-2024-08-06:us::1"], "o200k_base"),
            (&["gpt-4", "gpt-4-0314", "gpt-4-turbo", "gpt-3.5-turbo-0125", "gpt-35-turbo"], "cl100k_base"),
            (&["ft:gpt-4-0613:us::1", "ft:gpt-3.5-turbo:us", "davinci-002"], "cl100k_base"),
            (&["claude-opus-4", "gpt-neox-20b", "", "g", "ö"], "events"),
        ] {
            for model in models {
                assert_eq!(&*tokens.name_of(tokens.choose(Some(model))), tokenizer, "{model}");
            }
        }
        assert_eq!(&*tokens.name_of(tokens.choose(None)), "events");
    }
}
