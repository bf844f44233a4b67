"""Random texts of all kinds that stream, and of those that never should."""

ENGLISH = """the a of to and in that is was for it with as his on be at by had not are but from or have they which one
you were all her she there would their we him been has when who will no more if out so said what up its about than into
them can only other time new some could these two may first then do any like my now over such our man me even most made
after also did many before must through years where much your way well down should because long each just state people
those too mr. Mrs. little good world still see own work men day get here between both life being under three never know
same last another while us off might great go come since against right came take used himself few house American use
place during high without again home around small however found part school thought went say general once upon don't
I'm you'll they've we'd it's O'Neill rock'n'roll IT'S WE'LL tokenization serialisation counterintuitive""".split()

CODE = r"""fn main() { let mut x = vec![1, 2, 3]; }|    if (a != null && b[i] >= 0x7fff) {|for (int i = 0; i < n; ++i) sum += a[i];|
def f(self, *args, **kwargs):|    return {k: v for k, v in d.items() if v is not None}|// TODO: fix this!|/* ---- */|#include <stdio.h>|
SELECT id, name FROM users WHERE created_at > '2024-01-01' ORDER BY 2 DESC;|{"id": "chatcmpl-123", "choices": [{"delta": {}}]}|
<div class="row" id='x'>&nbsp;</div>|https://example.com/a/b?c=d&e=%20#frag|let s = "it's \"quoted\"\n";|$ grep -rn 'foo' . \| wc -l|
XMLHttpRequest camelCase snake_case SCREAMING_CASE|/////|=====|!==|<<=|::<>|\t\treturn;|@@ -1,7 +1,9 @@|1.234e-56|0b1010_1100""".split("|")

CJK = """大型语言模型的推理服务通常以流的形式返回结果 每生成一个词元就立即发送给客户端 世界 你好 我们 人工智能 昔々ある山の麓に小さな村がありました
こんにちは カタカナ トークンを一つずつ数える 서울의 겨울은 춥고 건조하지만 안녕하세요 。 、 ! ? 「」 《》 ・ ー 々 〇 ㌀ ㍿ 𠮷 繁體中文 東京都の人口は約1400万人""".split()

OTHER = """Привет мир Как дела ЭТО ΕΛΛΗΝΙΚΑ ελληνικά مرحبا بالعالم שלום עולם हिन्दी में नमस्ते ภาษาไทย Tiếng Việt straße ŒUVRE
İstanbul ǅ ǈ ʰ ˈ ªº ſtreng K Å ﬁ ﬃ Ⅷ ½ ² ٣٤٥ १२३ ൧ ᏣᎳᎩ Ꭰꭰ""".split()

EMOJI = ["👍", "👍🏽", "👩\u200d👩\u200d👧\u200d👦", "🏳\ufe0f\u200d🌈", "🇩🇪", "🇯🇵🇰🇷", "❤\ufe0f", "1\ufe0f\u20e3", "😀😀", "🧑\u200d💻", "☃", "\ue000"]

BLANKS = [" ", "  ", "   ", "\t", "\n", "\r\n", "\r", "\n\n", " \n", "\n ", "\n\t", "\xa0", "\u3000", "\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\u1680", "\u200a"]

CONTROLS = ["\0", "\x01", "\x07", "\x08", "\x1b[31m", "\x1c", "\x1f", "\x7f", "\x80", "\x9f", "\u200b", "\u200d", "\u200e", "\u202e", "\ufeff", "\ufffd", "\ufffe", "\U0010ffff", "\U000e0041"]

CONTRACTIONS = ["'", "''", "'s", "'S", "'t", "'re", "'RE", "'ve", "'m", "'ll", "'Ll", "'d", "'l", "'r", "'v", "'ſ", "’s", "’ll", "don", "I", "we", "WE", "a", "A", "x'", " '", "'\n"]

SPECIAL = ["<|endoftext|>", "<|fim_prefix|>", "<|endofprompt|>", "<|", "|>", "<|im_start|>user\n"]

MARKS = ["\u0301", "\u0308", "\u093f", "\u0e33", "\u064b", "\u20dd", "\ufe0f", "a", "A", "é", "É", "一", "ʰ", "ǅ", "1", " ", ".", "'"]


def english(source):
    words = []
    for _ in range(source.randint(1, 60)):
        word = source.choice(ENGLISH)
        word = source.choice([str, str, str, str, str.capitalize, str.upper])(word)
        words.append(word + source.choice([""] * 8 + [",", ".", ";", "?", "!", ":", "...", "\n", "\n\n", ")", '"', " 1984", " 3.14159"]))
    return " ".join(words)


def code(source):
    lines = (source.choice(["", "    ", "\t", "        "]) + source.choice(CODE) for _ in range(source.randint(1, 12)))
    return source.choice(["\n", "\r\n", "\n\n"]).join(lines)


def of(parts, most=40, glue=("",)):
    return lambda source: source.choice(glue).join(source.choice(parts) for _ in range(source.randint(1, most)))


def invalid(source):
    """Bytes that are no UTF-8, or UTF-8 that was cut and damaged."""
    if source.random() < 0.5:
        raw = source.randbytes(source.randint(1, 80))
    else:
        raw = bytearray(part(source).encode())
        for _ in range(source.randint(1, 8)):
            raw[source.randrange(len(raw))] = source.randrange(256)
    return bytes(raw).decode(errors="replace")


def anything(source):
    """Characters of all of Unicode, with surrogates left out."""
    ranges = ((0x20, 0x7F), (0x80, 0x2FF), (0x300, 0x1FFF), (0x2000, 0x2FFF), (0x3000, 0xD7FF), (0xE000, 0xFFFF), (0x10000, 0x10FFFF))
    return "".join(chr(source.randint(*source.choice(ranges))) for _ in range(source.randint(1, 40)))


def run(source):
    """A run of one kind, and what ends it."""
    unit = source.choice(["a", "A", " ", "\n", "'", "0", "-", "=", "一", "ab", "\u0301", "👍", "\t ", " \n"])
    return unit * source.randint(2, 300)


def mixture(source):
    parts = source.choice([BLANKS + ENGLISH[:20], CONTRACTIONS + BLANKS[:5], MARKS, BLANKS + CODE, CJK + OTHER + ENGLISH[:20], CONTROLS + EMOJI + BLANKS])
    return of(parts)(source)


PARTS = [english, english, code, code, mixture, mixture, mixture, run, anything] + [
    of(CJK, 20, ("", "", "，", " ", "\n")),
    of(OTHER, 30, (" ", "")),
    of(EMOJI, 20, ("", "", " ")),
    of(BLANKS),
    of(CONTROLS),
    of(CONTRACTIONS),
    of(MARKS),
    of(SPECIAL + ENGLISH[:20], 8, ("", " ")),
]


def part(source):
    return source.choice(PARTS)(source)


def text(source):
    parts = [source.choice(PARTS + [invalid, invalid])(source) for _ in range(source.randint(1, 5))]
    return source.choice(["", "", " ", "\n", "\n\n"]).join(parts)
