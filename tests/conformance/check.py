#!/usr/bin/env python3
"""Checks EXPECTED.tsv against the files beside it, with the standard library alone.

The table's shape, that it lists every file and no other, and the columns that follow from the
bytes without judgement: events, first_content, content_events, characters.
"""

import base64
import json
import re
import struct
import sys
import zlib
from pathlib import Path

HERE = Path(__file__).parent
COLUMNS = (
    "file content_type content_encoding status format streamed events first_content content_events output_tokens "
    "input_tokens reasoning_tokens finish_reason end_marker outcome error model characters shows"
).split()
NUMBERS = "status events first_content content_events output_tokens input_tokens reasoning_tokens characters".split()
FORMATS = (
    "- openai-chat openai-completions openai-responses anthropic-messages gemini google-interactions cohere-v2 "
    "cohere-v1 ollama tgi llama-cpp bedrock-converse bedrock-invoke opaque unmeasurable"
).split()
KNOWN = {
    "format": FORMATS,
    "streamed": ["yes", "no"],
    "end_marker": ["yes", "no", "-"],
    "outcome": ["completed", "failed", "truncated"],
}
# Where generated text stands, by the keys on the way to it; `*` is every element of an array.
DELTA = "text thinking partial_json input reasoningContent.text reasoningContent.reasoningText.text toolUse.input".split()
MESSAGE = (
    "content content.*.text content.*.thinking content.*.thinking.*.text reasoning_content refusal reasoning "
    "tool_calls.*.function.arguments function_call.arguments audio.transcript"
).split()
PARTS = "text functionCall.args functionCall.partialArgs.*.stringValue executableCode.code".split()
TOOLS = "tool_plan tool_calls.function.arguments tool_calls.*.function.arguments"
PATHS = {
    "openai-chat": [f"choices.*.{of}.{path}" for of in ("delta", "message") for path in MESSAGE],
    "openai-completions": ["choices.*.text"],
    "openai-responses": ["delta", "output.*.content.*.text", "output.*.arguments", "output.*.summary.*.text"],
    "anthropic-messages": [f"{of}.{path}" for of in ("delta", "content_block", "content.*", "message.content.*") for path in DELTA],
    "gemini": [f"candidates.*.content.parts.*.{path}" for path in PARTS],
    "google-interactions": "delta.text delta.arguments delta.content.text outputs.*.text".split(),
    "cohere-v2": [f"{of}message.{path}" for of in ("", "delta.") for path in f"content.text content.thinking content.*.text content.*.thinking {TOOLS}".split()],
    "cohere-v1": ["text"],
    "ollama": "message.thinking message.content message.tool_calls.*.function.arguments thinking response".split(),
    "llama-cpp": ["content"],
    "bedrock-converse": [f"{of}.{path}" for of in ("delta", "output.message.content.*") for path in DELTA],
    "bedrock-invoke": [*(f"{of}delta.{path}" for of in ("", "contentBlockDelta.") for path in DELTA), "outputText", "generation", "text", "completion", "outputs.*.text"],
}  # fmt: skip


def sse(body):
    for block in re.split(r"\n\n+", re.sub(r"\r\n?", "\n", body.decode("utf-8-sig"))):
        fields = [line.partition(":") for line in block.split("\n")]
        data = [value.removeprefix(" ") for field, _, value in fields if field == "data"]
        if data:
            yield "\n".join(data)


def frames(body):
    while len(body) >= 16:
        length, headers, crc = struct.unpack(">III", body[:12])
        if length > len(body):
            return
        assert zlib.crc32(body[:8]) == crc and zlib.crc32(body[: length - 4]) == int.from_bytes(body[length - 4 : length], "big"), "CRC"
        yield body[12 + headers : length - 4].decode()
        body = body[length:]


def elements(body):
    text, decoder, at = body.decode(), json.JSONDecoder(), 1
    while True:
        at += len(re.match(r"[\s,]*", text[at:])[0])
        try:
            value, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError:
            return
        yield json.dumps(value)


def events(row, body):
    if row["content_encoding"].lower() in ("gzip", "deflate"):
        name, packed, body = row["content_encoding"].lower(), body, b""
        while packed:
            unpacker = zlib.decompressobj(31 if name == "gzip" else 15 if packed[0] == 0x78 else -15)
            body, packed = body + unpacker.decompress(packed), unpacker.unused_data
    kind = row["content_type"].lower().partition(";")[0]
    if row["streamed"] == "no":
        return [body.decode()]
    of = {"text/event-stream": sse, "application/json": elements, "application/vnd.amazon.eventstream": frames}
    return list(of[kind](body)) if kind in of else [line for line in body.decode().splitlines() if line.strip()]


def walk(value, path):
    if not path:
        found = json.dumps(value, ensure_ascii=False, separators=(",", ":")) if isinstance(value, dict) and value else value
        return [found] if isinstance(found, str) and found else []
    key, rest = path[0], path[1:]
    if key == "*":
        return [text for item in value for text in walk(item, rest)] if isinstance(value, list) else []
    return walk(value[key], rest) if isinstance(value, dict) and key in value else []


def texts(form, event):
    """The generated texts of one event of a known format."""
    try:
        value = json.loads(event)
    except json.JSONDecodeError:
        return []
    if form == "tgi":
        value = value[0] if isinstance(value, list) else value
        token = value.get("token")
        return [t for t in ["" if token and token["special"] else (token or {}).get("text", value.get("generated_text"))] if t]
    if "bytes" in value:
        value = json.loads(base64.b64decode(value["bytes"]))
    if form == "openai-responses" and value.get("type") == "response.output_item.done":
        item = value["item"]
        return walk(item, ["arguments"]) + walk(item, ["content", "*", "text"])
    if form == "cohere-v1" and value.get("event_type", "text-generation") != "text-generation":
        return []
    for choice in value.get("choices", []) if form == "openai-chat" else []:
        if "delta" in choice:
            choice.pop("message", None)
        said = choice.get("delta") or choice.get("message") or {}
        if said.get("reasoning") == said.get("reasoning_content"):
            said.pop("reasoning", None)
    return [text for path in PATHS[form] for text in walk(value, path.split("."))]


def check(row):
    wrong = [f"{key} is {row[key]}" for key, values in KNOWN.items() if row[key] not in values]
    wrong += [f"{key} is {row[key]}" for key in NUMBERS if not re.fullmatch(r"\d+|-", row[key])]
    if wrong or row["content_encoding"] in ("br", "zstd") or row["format"] == "unmeasurable":
        return wrong
    found = events(row, (HERE / row["file"]).read_bytes())
    said = [texts(row["format"], event) if row["format"] in PATHS or row["format"] == "tgi" else [] for event in found]
    if row["format"] == "openai-responses" and any('.delta"' in event for event in found):
        # What the deltas have told is repeated when an item is done.
        said = [[] if "output_item.done" in event else text for event, text in zip(found, said)]
    having = [n for n, text in enumerate(said) if text]
    figures = {"events": len(found), "first_content": having[0] if having else "-", "content_events": len(having)}
    figures["characters"] = sum(len(text) for event in said for text in event)
    return [f"{key} is {row[key]}, found {value}" for key, value in figures.items() if row[key] not in (str(value), "-" if key == "events" else None)]


def main():
    head, *lines = (HERE / "EXPECTED.tsv").read_text().rstrip("\n").split("\n")
    assert head.split("\t") == COLUMNS, "the header line"
    rows = [line.split("\t") for line in lines]
    wrong = [f"{row[0]}: {len(row)} fields" for row in rows if len(row) != len(COLUMNS) or "" in row]
    rows = [dict(zip(COLUMNS, row)) for row in rows]
    listed = [row["file"] for row in rows]
    present = {str(path.relative_to(HERE)) for path in HERE.glob("*/*") if path.is_file()}
    wrong += [] if listed == sorted(set(listed)) else ["the rows are not in order, or not unique"]
    wrong += [f"{name}: listed or present, not both" for name in present.symmetric_difference(listed)]
    wrong += [f"{row['file']}: {what}" for row in rows if row["file"] in present for what in check(row)]
    print("\n".join(wrong) or f"{len(rows)} files as the table says")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
