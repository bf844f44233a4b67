"""The engine's own vocabulary as a tokenizer folder, for programs that count tokens themselves.

`python tokenizer.py MODEL.gguf FOLDER` reads it out of the model file, so both count by the same.
"""

import json
import mmap
import pathlib
import struct
import sys

# GGUF's types of a value, by their numbers; 8 is a text and 9 a list.
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
# The token types of GGUF that stand for no text: unknown, control.
SPECIAL = (2, 3)


class Metadata:
    """Reads the key and value pairs at the start of a GGUF file."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def pairs(self):
        magic, _, _, pairs = self.take("4sIQQ")
        if magic != b"GGUF":
            raise ValueError("not a GGUF file")
        return dict((self.text(), self.value(self.take("I")[0])) for _ in range(pairs))

    def take(self, layout):
        values = struct.unpack_from("<" + layout, self.data, self.at)
        self.at += struct.calcsize("<" + layout)
        return values

    def text(self):
        (length,) = self.take("Q")
        self.at += length
        return self.data[self.at - length : self.at].decode()

    def value(self, kind):
        if kind == 8:
            return self.text()
        if kind == 9:
            kind, length = self.take("IQ")
            return [self.value(kind) for _ in range(length)]
        return self.take(SCALARS[kind])[0]


def tokenizer(pairs):
    """As `tokenizers` reads it: byte-level BPE, in which every digit stands alone."""
    if (pairs["tokenizer.ggml.model"], pairs["tokenizer.ggml.pre"]) != ("gpt2", "smollm"):
        raise ValueError("a vocabulary of another kind")
    tokens, kinds = pairs["tokenizer.ggml.tokens"], pairs["tokenizer.ggml.token_type"]
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    added = [
        {"id": id, "content": token, **plain} for id, (token, kind) in enumerate(zip(tokens, kinds)) if kind in SPECIAL
    ]
    bytes_ = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, bytes_]},
        "post_processor": None, "decoder": bytes_,
        "model": {
            "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
            "vocab": {token: id for id, token in enumerate(tokens)}, "merges": pairs["tokenizer.ggml.merges"],
        },
    }  # fmt: skip


def write(model, folder):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with open(model, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        pairs = Metadata(data).pairs()
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer(pairs)), encoding="utf-8")
    # Loaders look here for the kind of tokenizer.
    (folder / "config.json").write_text('{"model_type": "gpt2"}', encoding="utf-8")


if __name__ == "__main__":
    write(*sys.argv[1:])
