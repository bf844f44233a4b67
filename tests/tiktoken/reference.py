"""Texts and their counts by tiktoken, as JSON lines: {"encoding", "text", "count"}.

tiktoken would fetch its vocabularies. Here they come from the Rust crate `bpe-openai`, and
tiktoken's own checksums prove that they are the official ones.

    reference.py TEXTS [SEED]
"""

import base64
import gzip
import hashlib
import json
import pathlib
import random
import subprocess
import sys

import tiktoken
from tiktoken_ext import openai_public

import corpus


def data_folder():
    metadata = json.loads(
        subprocess.run(
            ["cargo", "metadata", "--locked", "--format-version", "1", "--features", "bpe"],
            check=True,
            stdout=subprocess.PIPE,
        ).stdout
    )
    (crate,) = (package for package in metadata["packages"] if package["name"] == "bpe-openai")
    return pathlib.Path(crate["manifest_path"]).parent / "data"


def load(folder):
    """What stands in for tiktoken's loader: the same file, from the crate."""

    def load_tiktoken_bpe(url, expected_hash):
        name = url.rsplit("/", 1)[1]
        raw = gzip.decompress((folder / f"{name}.gz").read_bytes())
        if hashlib.sha256(raw).hexdigest() != expected_hash:
            sys.exit(f"{name} in {folder} is not the vocabulary that tiktoken expects")
        lines = (line.split() for line in raw.splitlines() if line)
        return {base64.b64decode(token): int(rank) for token, rank in lines}

    return load_tiktoken_bpe


def main():
    texts = int(sys.argv[1])
    source = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 20260131)
    openai_public.load_tiktoken_bpe = load(data_folder())
    encodings = [tiktoken.Encoding(**build()) for build in (openai_public.o200k_base, openai_public.cl100k_base)]
    for _ in range(texts):
        text = corpus.text(source)
        for encoding in encodings:
            count = len(encoding.encode(text, disallowed_special=()))
            print(json.dumps({"encoding": encoding.name, "text": text, "count": count}))


main()
