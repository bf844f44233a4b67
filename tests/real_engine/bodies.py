"""Bodies pass unchanged, in both directions, whatever is asked of the engine.

Two views, since neither is enough. What the caller got is held byte by byte
against what the engine sent for this very request, by a relay between the two.
And it is held against the engine's answer to the same request sent directly,
which must be the same but for what the engine makes anew each time.
"""

import json
import os

from net import send
from proxy import Proxy
from relay import Relay

# Differs from one answer to the next, asked directly or not.
FRESH = ("id", "created", "timings", "id_slot")

# Answers repeat only where the arithmetic does: no sampling, and nothing reused from an earlier prompt.
SAME = {"temperature": 0, "seed": 7, "max_tokens": 24, "cache_prompt": False}
CHAT = {"messages": [{"role": "user", "content": "Say something in French, with accents: où, déjà, 日本 🦙"}]}
STREAM = {"stream": True, "stream_options": {"include_usage": True}}

CASES = (
    ("a chat stream", "/v1/chat/completions", {**CHAT, **STREAM, **SAME}),
    ("a chat stream without usage", "/v1/chat/completions", {**CHAT, **SAME, "stream": True}),
    ("a chat document", "/v1/chat/completions", {**CHAT, **SAME}),
    ("a completion stream", "/v1/completions", {"prompt": "Once upon a time", **STREAM, **SAME}),
    ("a stream of the engine's own format", "/completion", {"prompt": "Once upon a time", "stream": True, **SAME}),
    ("a list of models", "/v1/models", None),
    ("a path that is not there", "/nowhere", None),
    ("a body that is no JSON", "/v1/chat/completions", b'{"messages": ['),
)


def check(checks, engine, directory):
    with (
        Relay(engine.url) as relay,
        Proxy(relay.url, 2, os.path.join(directory, "bodies.jsonl"), os.path.join(directory, "bodies.stderr")) as proxy,
    ):
        for name, path, body in CASES:
            if isinstance(body, dict):
                body = json.dumps(body).encode()
            directly = ask(engine.url + path, body)
            proxied = ask(proxy.url + path, body)
            asked, answered = relay.take()
            faults = []
            if asked != (body or b""):
                faults.append(difference("the engine got", asked, "the caller sent", body or b""))
            if answered != proxied[2]:
                faults.append(difference("the caller got", proxied[2], "the engine sent", answered))
            if normal(proxied) != normal(directly):
                faults.append(
                    difference("through the proxy", repr(normal(proxied)), "directly", repr(normal(directly)))
                )
            checks.all(f"bytes as without the proxy: {name}", faults, f"status {proxied[0]}, {len(answered)} bytes")
        checks.equal("that proxy's exit code on SIGTERM", proxy.stop(), 0)


def ask(url, body):
    return send(url, "GET" if body is None else "POST", body, {"content-type": "application/json"})


def normal(answer):
    """An answer without what the engine makes anew for each: status, content type, events."""
    status, content_type, body = answer
    text = body.decode()
    if content_type != "text/event-stream":
        return status, content_type, stripped(json.loads(text))
    lines = text.split("\n")
    return status, content_type, [
        stripped(json.loads(line.removeprefix("data: "))) if line.startswith("data: {") else line for line in lines
    ]


def stripped(value):
    if isinstance(value, dict):
        return {name: stripped(inner) for name, inner in value.items() if name not in FRESH}
    return [stripped(inner) for inner in value] if isinstance(value, list) else value


def difference(one, left, other, right):
    """Where two texts part, in words."""
    at = len(os.path.commonprefix([left, right]))
    return f"from {at} on, {one} {left[at : at + 80]!r} and {other} {right[at : at + 80]!r}"
