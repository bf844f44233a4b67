#!/usr/bin/env python3
"""Checks EXPECTED.tsv: its shape, that it lists every file and no other, and the columns that
follow from the bytes without judgement: events, first_content, content_events, characters."""

import base64, contextlib, json, re, struct, sys, zlib  # noqa: E401
from pathlib import Path

HERE = Path(__file__).parent
COLUMNS = (
    "file content_type content_encoding status format streamed events first_content content_events output_tokens "
    "input_tokens reasoning_tokens finish_reason end_marker outcome error model characters shows"
).split()
NUMBERS = "status events first_content content_events output_tokens input_tokens reasoning_tokens characters".split()
# Where generated text stands, by the keys on the way to it; `*` is every element of an array.
MESSAGE = """content content.*.text content.*.thinking content.*.thinking.*.text reasoning_content refusal reasoning
    reasoning_text reasoning_details.*.text content.*.summary.*.text
    tool_calls.*.function.arguments tool_calls.*.custom.input function_call.arguments audio.transcript"""
DELTA = "text thinking partial_json input reasoningContent.text reasoningContent.reasoningText.text toolUse.input"
GEMINI = "text functionCall.args functionCall.partialArgs.*.stringValue executableCode.code"
NAMES = "candidates.*.content.parts.*.functionCall.name".split(".")  # they stand for calls without arguments
COHERE = """content.text content.thinking content.*.text content.*.thinking tool_plan tool_calls.function.arguments
    tool_calls.*.function.arguments"""
PATHS = {  # by format: what leads to a message, and where in it the texts are
    "openai-chat": ("choices.*.delta. choices.*.message.", MESSAGE),
    "openai-completions": ("choices.*.", "text"),
    "openai-responses": ("output.*.", "content.*.text arguments summary.*.text"),
    "anthropic-messages": ("delta. content_block. content.*. message.content.*.", DELTA),
    "gemini": ("candidates.*.content.parts.*.", GEMINI),
    "google-interactions": ("delta. outputs.*.", "text arguments content.text"),
    "cohere-v2": ("message. delta.message.", COHERE),
    "cohere-v1": ("", "text"),
    "ollama": ("", "message.thinking message.content message.tool_calls.*.function.arguments thinking response"),
    "llama-cpp": ("", "content"),
    "bedrock-converse": ("delta. output.message.content.*.", DELTA),
    "bedrock-invoke": ("delta. contentBlockDelta.delta. outputs.*. ", f"{DELTA} outputText generation completion"),
    "tgi": (),  # see texts
}
KNOWN = {"streamed": {"yes", "no"}, "end_marker": {"yes", "no", "-"}, "outcome": {"completed", "failed", "truncated"}}
KNOWN["format"] = {*PATHS, "opaque", "unmeasurable", "-"}


def sse(body):
    for block in re.split(r"\n\n+", re.sub(r"\r\n?", "\n", body.decode("utf-8-sig"))):
        fields = [line.partition(":") for line in block.split("\n")]
        data = [value.removeprefix(" ") for field, _, value in fields if field == "data"]
        if data:
            yield "\n".join(data)


def lines(body):
    return [line for line in body.decode().splitlines() if line.strip()]


def frames(body):
    while len(body) >= 16 and len(body) >= int.from_bytes(body[:4], "big"):
        length, headers, crc = struct.unpack(">III", body[:12])
        assert crc == zlib.crc32(body[:8]), "the prelude's CRC"
        assert body[length - 4 : length] == struct.pack(">I", zlib.crc32(body[: length - 4])), "the frame's CRC"
        yield body[12 + headers : length - 4].decode()
        body = body[length:]


def elements(body):
    start, depth = 0, 0  # brackets inside strings are none
    for token in re.finditer(r'"(?:[^"\\]|\\.)*"|[{}]', text := body.decode()):
        depth += {"{": 1, "}": -1}.get(token[0], 0)
        start = token.start() if token[0] == "{" and depth == 1 else start
        if token[0] == "}" and depth == 0:
            yield text[start : token.end()]


def events(row, body):
    if row["content_encoding"].lower() in ("gzip", "deflate"):
        name, packed, body = row["content_encoding"].lower(), body, b""
        while packed:
            unpacker = zlib.decompressobj(31 if name == "gzip" else 15 if packed[0] == 0x78 else -15)
            body, packed = body + unpacker.decompress(packed), unpacker.unused_data
    if row["streamed"] == "no":
        return [body.decode()]
    of = {"text/event-stream": sse, "text/plain": sse, "application/json": elements, "application/vnd.amazon.eventstream": frames}
    return list(of.get(row["content_type"].lower().partition(";")[0], lines)(body))


def walk(value, path):
    if not path:
        if isinstance(value, dict) and value:
            return [json.dumps(value, ensure_ascii=False, separators=(",", ":"))]
        return [value] if isinstance(value, str) and value else []
    key, rest = path[0], path[1:]
    if key == "*":
        return [text for item in value for text in walk(item, rest)] if isinstance(value, list) else []
    return walk(value[key], rest) if isinstance(value, dict) and key in value else []


def texts(form, event):
    """The generated texts of one event of a known format."""
    value = {}
    with contextlib.suppress(json.JSONDecodeError):
        value = json.loads(event)
    if form == "tgi":
        value = value[0] if isinstance(value, list) else value
        token = value.get("token") or {"special": False, "text": value.get("generated_text")}
        return [token["text"]] if token["text"] and not token["special"] else []
    if form == "bedrock-invoke" and "bytes" in value:
        value = json.loads(base64.b64decode(value["bytes"]))
    if value.get("type") == "response.audio.delta":
        return []
    if form == "openai-responses" and "delta" in value:
        return [value["delta"]] if value["delta"] else []
    if form == "openai-responses" and value.get("type") == "response.output_item.done":
        value = {"output": [value["item"]]}
    if form == "cohere-v1" and value.get("event_type", "text-generation") != "text-generation":
        return []
    for choice in value.get("choices", []) if form == "openai-chat" else []:
        said = choice.get("delta") or choice.get("message") or {}
        choice["message"] = {} if "delta" in choice else said
        if said.get("reasoning") in (said.get("reasoning_content"), *walk(said, ["reasoning_details", "*", "text"])):
            said.pop("reasoning", None)  # the same under two names
    before, after = PATHS[form]
    found = [t for start in before.split(" ") for end in after.split() for t in walk(value, (start + end).split("."))]
    return found or (walk(value, NAMES) if form == "gemini" else [])


def check(row):
    wrong = [f"{key} is {row[key]}" for key, values in KNOWN.items() if row[key] not in values]
    wrong += [f"{key} is {row[key]}" for key in NUMBERS if not re.fullmatch(r"\d+|-", row[key])]
    if wrong or row["content_encoding"] in ("br", "zstd") or row["format"] == "unmeasurable":
        return wrong
    found = events(row, (HERE / row["file"]).read_bytes())
    said = [texts(row["format"], event) if row["format"] in PATHS else [] for event in found]
    if row["format"] == "openai-responses" and any('.delta"' in event for event in found):  # which tell all
        said = [[] if "output_item.done" in event else text for event, text in zip(found, said)]
    having = [n for n, text in enumerate(said) if text]
    figures = {"first_content": (having or "-")[0], "content_events": len(having)}
    figures["characters"] = sum(len(text) for event in said for text in event)
    figures["events"] = row["events"] if row["events"] == "-" else len(found)
    return [f"{key} is {row[key]}, found {value}" for key, value in figures.items() if row[key] != str(value)]


def main():
    head, *rows = [line.split("\t") for line in (HERE / "EXPECTED.tsv").read_text().splitlines()]
    assert head == COLUMNS, "the header line"
    wrong = [f"{row[0]}: {len(row)} fields" for row in rows if len(row) != len(COLUMNS) or "" in row]
    rows = [dict(zip(COLUMNS, row)) for row in rows]
    listed = [row["file"] for row in rows]
    present = {str(path.relative_to(HERE)) for path in HERE.glob("*/*") if path.is_file()}
    wrong += [] if listed == sorted(set(listed)) else ["the rows are not in order, or not unique"]
    wrong += [f"{name}: listed or present, not both" for name in present.symmetric_difference(listed)]
    wrong += [f"{row['file']}: {what}" for row in rows if row["file"] in present for what in check(row)]
    print("\n".join(wrong) or f"{len(rows)} files as the table says")
    return bool(wrong)


sys.exit(main())
