#!/usr/bin/env python3
"""Writes the binary files of this folder from the readable sources below.

    python3 -m venv venv && venv/bin/pip install brotli zstandard
    venv/bin/python make_binary.py

The AWS event streams need only the standard library; `brotli` and `zstandard` are for the two
files in `encoded/` that are named after them. The files are committed: run this to change them.
"""

import base64
import gzip
import json
import struct
import zlib
from pathlib import Path

HERE = Path(__file__).parent


# === AWS event stream ===
# A frame: total length, length of the headers, CRC32 of these two; headers, payload; CRC32 of all
# before it. All numbers are big-endian.


def string_header(name, value):
    """A header of type 7, a string."""
    name, value = name.encode(), value.encode()
    return bytes([len(name)]) + name + b"\x07" + struct.pack(">H", len(value)) + value


def other_header(name, kind, value=b""):
    """A header of any other type, its value already in bytes."""
    return bytes([len(name)]) + name.encode() + bytes([kind]) + value


def frame(headers, payload):
    prelude = struct.pack(">II", 12 + len(headers) + len(payload) + 4, len(headers))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return message + struct.pack(">I", zlib.crc32(message))


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def event(kind, payload):
    headers = [(":event-type", kind), (":content-type", "application/json"), (":message-type", "event")]
    return frame(b"".join(string_header(*header) for header in headers), compact(payload))


def exception(kind, message):
    headers = [(":exception-type", kind), (":content-type", "application/json"), (":message-type", "exception")]
    return frame(b"".join(string_header(*header) for header in headers), compact({"message": message}))


def error(code, message):
    headers = [(":error-code", code), (":error-message", message), (":message-type", "error")]
    return frame(b"".join(string_header(*header) for header in headers), b"")


def chunk(vendor, padding="abcdefgh"):
    """A frame of InvokeModelWithResponseStream around the vendor's own JSON."""
    return event("chunk", {"bytes": base64.b64encode(compact(vendor)).decode(), "p": padding})


def write(name, *frames):
    (HERE / name).parent.mkdir(exist_ok=True)
    (HERE / name).write_bytes(b"".join(frames))


# === Bedrock ConverseStream ===


def start():
    return event("messageStart", {"p": "abcde", "role": "assistant"})


def delta(value, index=0):
    return event("contentBlockDelta", {"contentBlockIndex": index, "delta": value, "p": "abcdefghijklm"})


def block_stop(index=0):
    return event("contentBlockStop", {"contentBlockIndex": index, "p": "abc"})


def stop(reason):
    return event("messageStop", {"p": "abcdefghij", "stopReason": reason})


def metadata(inputs, outputs, **more):
    usage = {"inputTokens": inputs, "outputTokens": outputs, "totalTokens": inputs + outputs}
    return event("metadata", {"metrics": {"latencyMs": 300}, "p": "abcdef", "usage": usage, **more})


def converse():
    folder = "bedrock-converse"
    write(
        f"{folder}/text.eventstream",
        start(), delta({"text": "Hel"}), delta({"text": "lo"}), block_stop(), stop("end_turn"), metadata(5, 2),
    )  # fmt: skip
    write(
        f"{folder}/reasoning.eventstream",
        start(),
        delta({"reasoningContent": {"redactedContent": "RXRrRUNrZ0I="}}),
        delta({"reasoningContent": {"text": "Two"}}, 1),
        delta({"reasoningContent": {"text": " and two."}}, 1),
        delta({"reasoningContent": {"signature": "EqQBCgIYAg=="}}, 1),
        delta({"text": "4"}, 2),
        stop("end_turn"),
        metadata(6, 9),
    )
    write(
        f"{folder}/tool-input.eventstream",
        start(),
        event("contentBlockStart", {"contentBlockIndex": 0, "start": {"toolUse": {"toolUseId": "t1", "name": "tide"}}}),
        delta({"toolUse": {"input": ""}}),
        delta({"toolUse": {"input": '{"port":'}}),
        delta({"toolUse": {"input": '"Brest"}'}}),
        stop("tool_use"),
        metadata(40, 9),
    )
    write(
        f"{folder}/empty-delta.eventstream",
        start(), delta({"text": ""}), delta({"text": "Hi"}), stop("max_tokens"),
    )  # fmt: skip
    write(f"{folder}/utf-8.eventstream", start(), delta({"text": "潮🌊é"}), stop("end_turn"), metadata(5, 4))
    write(
        f"{folder}/guardrail.eventstream",
        start(),
        delta({"text": "I cannot say."}),
        block_stop(),
        stop("guardrail_intervened"),
        metadata(12, 5, trace={"guardrail": {"actionReason": "Guardrail blocked."}}),
    )
    write(f"{folder}/exception-alone.eventstream", exception("throttlingException", "Too many requests."))
    write(
        f"{folder}/exception-after-content.eventstream",
        start(), delta({"text": "Hi"}), exception("modelStreamErrorException", "The model is gone."),
    )  # fmt: skip
    write(
        f"{folder}/error-frame.eventstream",
        start(), delta({"text": "Hi"}), error("InternalError", "An internal error."),
    )  # fmt: skip
    write(f"{folder}/cut.eventstream", start(), delta({"text": "Hi"}), delta({"text": " the"})[:-20])
    # All ten types of header value, `:event-type` among them.
    headers = b"".join([
        string_header(":message-type", "event"),
        other_header("true", 0),
        other_header("false", 1),
        other_header("byte", 2, b"\x07"),
        other_header("short", 3, struct.pack(">h", 7)),
        other_header("int", 4, struct.pack(">i", 7)),
        other_header("long", 5, struct.pack(">q", 7)),
        other_header("bytes", 6, struct.pack(">H", 3) + b"abc"),
        other_header("time", 8, struct.pack(">q", 1700000000000)),
        other_header("uuid", 9, bytes(range(16))),
        string_header(":event-type", "contentBlockDelta"),
    ])  # fmt: skip
    payload = compact({"contentBlockIndex": 0, "delta": {"text": "Hi"}})
    write(
        f"{folder}/headers-of-all-types.eventstream",
        start(), frame(headers, payload), stop("end_turn"), metadata(5, 1),
    )  # fmt: skip


# === Bedrock InvokeModelWithResponseStream ===


def metrics(inputs, outputs):
    figures = {"inputTokenCount": inputs, "outputTokenCount": outputs, "invocationLatency": 300, "firstByteLatency": 90}
    return {"amazon-bedrock-invocationMetrics": figures}


def invoke():
    folder = "bedrock-invoke"
    message = {"id": "msg_bdrk_1", "type": "message", "role": "assistant", "model": "parrot-1", "content": []}
    usage = {"stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 10, "output_tokens": 1}}
    head = [
        chunk({"type": "message_start", "message": {**message, **usage}}),
        chunk({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}, "ab"),
    ]

    def text(value, padding="abc"):
        return chunk({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": value}}, padding)

    write(
        f"{folder}/anthropic.eventstream",
        *head,
        text("Hel"),
        text("lo"),
        chunk({"type": "content_block_stop", "index": 0}),
        chunk({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 4}}),
        chunk({"type": "message_stop", **metrics(10, 6)}, ""),
    )
    write(
        f"{folder}/exception-after-content.eventstream",
        *head, text("Hel"), exception("modelTimeoutException", "The model took too long."),
    )  # fmt: skip
    write(f"{folder}/cut.eventstream", *head, text("Hel"), text("lo"))
    write(
        f"{folder}/nova.eventstream",
        chunk({"messageStart": {"role": "assistant"}}),
        chunk({"contentBlockDelta": {"delta": {"text": "Hel"}, "contentBlockIndex": 0}}),
        chunk({"contentBlockDelta": {"delta": {"text": "lo"}, "contentBlockIndex": 0}}),
        chunk({"contentBlockStop": {"contentBlockIndex": 0}}),
        chunk({"messageStop": {"stopReason": "end_turn"}}),
        chunk({"metadata": {"usage": {"inputTokens": 5, "outputTokens": 2}, "metrics": {}}, **metrics(5, 2)}),
    )

    def titan(text, total, reason, inputs, **more):
        counts = {"totalOutputTextTokenCount": total, "inputTextTokenCount": inputs}
        return chunk({"outputText": text, "index": 0, "completionReason": reason, **counts, **more})

    write(
        f"{folder}/titan.eventstream",
        titan("Hel", None, None, 5), titan("lo", 2, "FINISH", None, **metrics(5, 2)),
    )  # fmt: skip

    def llama(text, count, reason, inputs, **more):
        counts = {"prompt_token_count": inputs, "generation_token_count": count}
        return chunk({"generation": text, **counts, "stop_reason": reason, **more})

    write(
        f"{folder}/llama.eventstream",
        llama("Hel", 1, None, 5), llama("lo", 2, None, None), llama("", 3, "stop", None, **metrics(5, 3)),
    )  # fmt: skip
    write(
        f"{folder}/cohere.eventstream",
        chunk({"index": 0, "is_finished": False, "text": "a"}),
        chunk({"index": 1, "is_finished": False, "text": "b"}),
        chunk({"index": 1, "is_finished": False, "text": "c"}),
        chunk({"finish_reason": "MAX_TOKENS", "is_finished": True, **metrics(5, 7)}),
    )
    write(
        f"{folder}/claude-completion.eventstream",
        chunk({"completion": " Hello", "stop_reason": None, "stop": None}),
        chunk({"completion": "", "stop_reason": "stop_sequence", "stop": "\n\nHuman:", **metrics(25, 4)}),
    )
    write(
        f"{folder}/mistral.eventstream",
        chunk({"outputs": [{"text": "Hel", "stop_reason": None}]}),
        chunk({"outputs": [{"text": "lo", "stop_reason": None}]}),
        chunk({"outputs": [{"text": "", "stop_reason": "stop"}], **metrics(5, 3)}),
    )


# === Content encodings ===


def chat_events():
    def chat(delta, reason=None, **more):
        choices = [{"index": 0, "delta": delta, "finish_reason": reason}]
        return {"object": "chat.completion.chunk", "model": "parrot-1", "choices": choices, **more}

    usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    events = [
        chat({"role": "assistant", "content": ""}),
        chat({"content": "Hel"}),
        chat({"content": "lo"}),
        chat({}, "stop", usage=usage),
    ]
    return [b"data: " + compact(event) + b"\n\n" for event in events] + [b"data: [DONE]\n\n"]


def encoded():
    events = chat_events()
    stream = b"".join(events)

    def zip_flushed(events, finish):
        packer = zlib.compressobj(wbits=31)
        packed = b"".join(packer.compress(event) + packer.flush(zlib.Z_SYNC_FLUSH) for event in events)
        return packed + (packer.flush() if finish else b"")

    def deflate(wbits):
        packer = zlib.compressobj(wbits=wbits)
        return packer.compress(stream) + packer.flush()

    def member(content):
        return gzip.compress(content, mtime=0)

    write("encoded/identity.sse", stream)
    write("encoded/gzip.sse.gz", member(stream))
    write("encoded/capitals.sse.gz", member(stream))
    write("encoded/gzip-flushed.sse.gz", zip_flushed(events, finish=True))
    write("encoded/gzip-cut.sse.gz", zip_flushed(events[:2], finish=False))
    write("encoded/gzip-two-members.sse.gz", member(b"".join(events[:2])), member(b"".join(events[2:])))
    write("encoded/gzip-corrupt.sse.gz", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", b"\xff" * 60)
    write("encoded/deflate-zlib.sse.deflate", deflate(15))
    write("encoded/deflate-raw.sse.deflate", deflate(-15))
    write("encoded/unknown.sse.bin", bytes(range(7, 256, 3)))
    message = {"role": "assistant", "content": "Hello"}
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    document = {"object": "chat.completion", "model": "parrot-1", "choices": choices, "usage": usage}
    write("encoded/document.json.gz", member(compact(document)))
    try:
        import brotli
        import zstandard
    except ImportError as missing:
        print(f"left as they are: brotli.sse.br and zstd.sse.zst ({missing})")
        return
    write("encoded/brotli.sse.br", brotli.compress(stream))
    write("encoded/zstd.sse.zst", zstandard.ZstdCompressor().compress(stream))


converse()
invoke()
encoded()
