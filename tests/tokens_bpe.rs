//! The exact tokenizers: any cut of a text gives the count of the whole text.
//! `tests/tiktoken/run` holds them against the reference itself.

use proptest::prelude::*;
use tower_tps::tokens::{Bpe, Tokenizer, Tokens};

/// What makes a splitter stumble: each of these begins, ends or continues some
/// alternative of the patterns.
const FRAGMENTS: [&str; 64] = [
    "a",
    "b",
    "don",
    "Hello",
    "HTTP",
    "fooBar",
    "É",
    "ß",
    "ſ",
    "s",
    "t",
    "ll",
    "LL",
    "'",
    "'s",
    "'S",
    "'ll",
    "'re",
    "’s",
    " ",
    "  ",
    "\t",
    "\n",
    "\r\n",
    "\n\n",
    "\u{a0}",
    "\u{2028}",
    "\u{3000}",
    "\u{85}",
    "0",
    "12",
    "12345",
    "٣",
    "½",
    ".",
    ",",
    "!",
    "...",
    "/",
    "//",
    "/\n",
    "-",
    "====",
    "{",
    "}",
    "();",
    "世",
    "界世界",
    "こんにちは",
    "안녕",
    "ǅ",
    "ʰ",
    "\u{301}",
    "e\u{301}",
    "ह\u{93f}",
    "👍",
    "👩\u{200d}👩\u{200d}👧",
    "🏳\u{fe0f}",
    "\u{fffd}",
    "\0",
    "\u{7}",
    "\u{7f}",
    "\u{200b}",
    "\u{10ffff}",
];

fn encodings() -> [(Bpe, &'static bpe_openai::Tokenizer); 2] {
    [(Bpe::o200k(), bpe_openai::o200k_base()), (Bpe::cl100k(), bpe_openai::cl100k_base())]
}

fn count<'a>(tokenizer: &Bpe, cuts: impl IntoIterator<Item = &'a str>) -> u64 {
    let mut counter = tokenizer.counter();
    let pushed: u64 = cuts.into_iter().map(|cut| counter.push(cut)).sum();
    pushed + counter.finish()
}

/// Cuts `text` after each of so many characters.
fn cut<'a>(text: &'a str, lengths: &[usize]) -> Vec<&'a str> {
    let mut rest = text;
    let mut cuts = Vec::new();
    for length in lengths {
        let at = rest.char_indices().nth(*length).map_or(rest.len(), |(at, _)| at);
        let (head, tail) = rest.split_at(at);
        cuts.push(head);
        rest = tail;
    }
    cuts.push(rest);
    cuts
}

/// Text of fragments, of any characters, and of both.
fn text() -> impl Strategy<Value = String> {
    let fragment = || proptest::sample::select(FRAGMENTS.as_slice()).prop_map(str::to_owned);
    let any = || any::<char>().prop_map(String::from);
    prop_oneof![
        4 => proptest::collection::vec(fragment(), 0..60),
        1 => proptest::collection::vec(prop_oneof![fragment(), any()], 0..60),
        1 => proptest::collection::vec(any(), 0..60),
    ]
    .prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// However a text is cut, empty cuts included, its sum is the count of the whole text.
    #[test]
    fn any_cut_gives_the_count_of_the_whole(
        text in text(),
        lengths in proptest::collection::vec(0_usize..6, 0..120),
    ) {
        for (tokenizer, whole) in encodings() {
            let expected = whole.count(text.as_str()) as u64;
            prop_assert_eq!(count(&tokenizer, [text.as_str()]), expected);
            prop_assert_eq!(count(&tokenizer, cut(&text, &lengths)), expected);
            prop_assert_eq!(count(&tokenizer, cut(&text, &vec![1; text.len()])), expected);
        }
    }

    /// The same holds where pieces are longer than what is waited for.
    #[test]
    fn any_cut_gives_one_count_with_a_bound(
        fragments in proptest::collection::vec((proptest::sample::select(FRAGMENTS.as_slice()), 1_usize..40), 0..12),
        lengths in proptest::collection::vec(0_usize..9, 0..120),
        longest in 0_usize..70,
    ) {
        let text: String = fragments.iter().map(|(fragment, times)| fragment.repeat(*times)).collect();
        for (tokenizer, _) in encodings() {
            let bounded = tokenizer.longest_piece(longest);
            let whole = count(&bounded, [text.as_str()]);
            prop_assert_eq!(count(&bounded, cut(&text, &lengths)), whole);
            prop_assert_eq!(count(&bounded, cut(&text, &vec![1; text.len()])), whole);
        }
    }
}

/// Counts that `tiktoken` gives, `o200k_base` and `cl100k_base`.
#[test]
fn known_counts() {
    let cases: &[(&str, u64, u64)] = &[
        ("", 0, 0),
        ("Hello, world!", 4, 4),
        ("tokenization", 2, 2),
        ("don't", 1, 2),
        ("DON'T we'll I’ll", 5, 6),
        ("'s'S's", 3, 3),
        ("rock'n'roll", 4, 4),
        ("1234567", 3, 3),
        ("3.14159", 4, 4),
        ("   x", 2, 2),
        ("\n\n\n", 1, 1),
        ("a\n \nb", 3, 3),
        ("\r\n\r\n  if", 3, 3),
        ("\t\t\treturn;", 3, 3),
        ("fn main() { println!(\"{}\", 0x7fff); }", 13, 13),
        ("https://a.b/c?d=e#f", 10, 10),
        ("XMLHttpRequest", 3, 2),
        ("你好，世界", 3, 6),
        ("こんにちは世界", 2, 4),
        ("안녕하세요", 2, 5),
        ("一AAAAa", 3, 3),
        ("e\u{301}", 2, 2),
        ("👩\u{200d}👩\u{200d}👧", 8, 13),
        ("🏳\u{fe0f}\u{200d}🌈", 6, 9),
        ("\0\u{7}\u{1b}[0m", 6, 5),
        ("\u{fffd}\u{fffd}", 1, 1),
        ("<|endoftext|>", 7, 7),
    ];
    let [o200k, cl100k] = [Bpe::o200k(), Bpe::cl100k()];
    for (text, in_o200k, in_cl100k) in cases {
        let one_by_one = || cut(text, &vec![1; text.len()]);
        assert_eq!(count(&o200k, [*text]), *in_o200k, "{text:?}");
        assert_eq!(count(&o200k, one_by_one()), *in_o200k, "{text:?}");
        assert_eq!(count(&cl100k, [*text]), *in_cl100k, "{text:?}");
        assert_eq!(count(&cl100k, one_by_one()), *in_cl100k, "{text:?}");
    }
}

/// What comes can take a piece back: these three cuts are where simpler ways of counting fail.
#[test]
fn a_piece_waits_for_what_may_extend_it() {
    for (cuts, text) in
        [(["don", "'", "ll"], "don'll"), (["\n", " ", "\n"], "\n \n"), (["一", "AAAA", "a"], "一AAAAa")]
    {
        for (tokenizer, whole) in encodings() {
            assert_eq!(count(&tokenizer, cuts), whole.count(text) as u64, "{text:?}");
        }
    }
}

/// A push tells only what is certain: a word may go on, and has ended once another begins.
#[test]
fn tokens_are_told_when_they_are_certain() {
    let mut counter = Bpe::o200k().counter();
    assert_eq!(counter.push("Hello"), 0);
    assert_eq!(counter.push(" wor"), 1);
    assert_eq!(counter.push("ld!"), 1);
    assert_eq!(counter.finish(), 1);
    assert_eq!(counter.finish(), 0);
}

/// The end begins a new text: nothing of the one before it lasts.
#[test]
fn a_counter_starts_anew_after_the_end() {
    for (tokenizer, _) in encodings() {
        let mut counter = tokenizer.counter();
        let first = counter.push("a text \n\n") + counter.finish();
        let second = counter.push("a text \n\n") + counter.finish();
        assert_eq!(first, second);
    }
}

/// Long runs of one kind are the worst text for a splitter; up to the bound they are exact.
#[test]
fn runs_below_the_bound_are_exact() {
    for unit in ["a", "A", " ", "\n", "'", "7", "-", "世", "\u{301}", "👍"] {
        let text = unit.repeat((64 * 1024) / unit.len());
        for (tokenizer, whole) in encodings() {
            assert_eq!(count(&tokenizer, [text.as_str()]), whole.count(text.as_str()) as u64, "{unit:?}");
        }
    }
}

/// Beyond the bound a run is counted in parts: within a token for each part of the exact count.
#[test]
fn runs_beyond_the_bound_are_nearly_exact() {
    for unit in ["a", "A", " ", "-", "世"] {
        let text = unit.repeat(256 * 1024 / unit.len());
        for (tokenizer, whole) in encodings() {
            let (bounded, exact) = (count(&tokenizer, [text.as_str()]), whole.count(text.as_str()) as u64);
            assert!(bounded.abs_diff(exact) <= 5, "{unit:?}: {bounded} for {exact}");
        }
    }
}

/// The names that a record carries.
#[test]
fn names() {
    assert_eq!(Tokens::o200k().name(), "o200k_base");
    assert_eq!(Tokens::cl100k().name(), "cl100k_base");
}
