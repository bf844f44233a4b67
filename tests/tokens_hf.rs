//! A tokenizer from a `tokenizer.json`.

use tower_tps::tokens::{Hf, TokenSource, Tokenizer, Tokens};
use tower_tps::wire::Content;

const WORDS: &str = "tests/fixtures/words/tokenizer.json";

fn words() -> Hf {
    Hf::load(WORDS).expect("the fixture loads")
}

fn count<'a>(tokenizer: &Hf, cuts: impl IntoIterator<Item = &'a str>) -> u64 {
    let mut counter = tokenizer.counter();
    let pushed: u64 = cuts.into_iter().map(|cut| counter.push(cut)).sum();
    pushed + counter.finish()
}

/// Any cut gives the count of the whole text, of whatever length the file would
/// truncate it to, with no special token added.
#[test]
fn any_cut_gives_the_count_of_the_whole() {
    let text = "Hello, world! Tokens tokenizers other";
    let tokens = ["hello", ",", "world", "!", "token", "##s", "token", "##izer", "##s", "[UNK]"].len() as u64;
    assert_eq!(count(&words(), [text]), tokens);
    for at in 0..=text.len() {
        let (head, tail) = text.split_at(at);
        assert_eq!(count(&words(), [head, "", tail]), tokens, "{head:?} {tail:?}");
    }
    assert_eq!(count(&words(), []), 0);
}

/// A text beyond the bound has no count; one of just that length has.
#[test]
fn a_text_beyond_the_bound_is_lost() {
    let bounded = words().longest_text(11);
    assert_eq!(count(&bounded, ["hello ", "world"]), 2);

    let mut counter = bounded.counter();
    counter.push("hello world");
    assert!(!counter.is_lost());
    counter.push("!");
    assert!(counter.is_lost());
    assert_eq!(counter.push("hello") + counter.finish(), 0);
}

/// Where the count is lost, events stand in.
#[test]
fn events_stand_in_for_a_lost_count() {
    let counted = |longest| {
        let mut content = Content::new(Some(words().longest_text(longest).counter()));
        for _ in 0..3 {
            content.text("hello world ");
            content.close_event();
        }
        content.close();
        (content.counted(), content.output_tokens())
    };
    assert_eq!(counted(100), (Some(6), Some((6, TokenSource::Tokenizer))));
    assert_eq!(counted(20), (None, Some((3, TokenSource::Events))));
}

/// The record's name for it is the model's folder.
#[test]
fn its_name_is_that_of_its_folder() {
    assert_eq!(Tokens::hf(WORDS).expect("the fixture loads").name(), "words");
}

/// What cannot be loaded says which file it was, and why.
#[test]
fn what_is_no_tokenizer_fails() {
    for path in ["tests/fixtures/none.json", "Cargo.toml"] {
        let error = Tokens::hf(path).expect_err("this is no tokenizer");
        assert_eq!(error.to_string(), format!("{path} could not be loaded as a tokenizer"));
        assert!(std::error::Error::source(&error).is_some());
    }
}
