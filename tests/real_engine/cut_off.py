"""Streams that the caller leaves half way: their tokens are counted as far as they came, and the engine is let go."""

import os
import time

from clients import CHATS, CLIENTS, Ask, run
from net import send
from proxy import Proxy
from run_log import RunLog, instants

TEXTS = 5
MAX_TOKENS = 400
# Long stories, told or asked for.
OPEN, PROMPT = "Once upon a time, in a lighthouse,", "Write a very long story about a lighthouse."
# So long that a caller can leave before the first token. llama.cpp reads a prompt to the end of a batch, come what may.
LONG = "word " * 500


def asks():
    for format in CLIENTS:
        for kind in ("text", "thinking") if format in CHATS else ("open",):
            yield Ask(f"{format}-{kind}-left", format, OPEN if kind == "open" else PROMPT, True, MAX_TOKENS, kind)


def check(checks, engine, directory):
    path = os.path.join(directory, "cut_off.jsonl")
    left = {}
    with Proxy(engine.url, 1, path, os.path.join(directory, "cut_off.stderr")) as proxy:
        for ask in asks():
            before = engine.metrics()["tokens_predicted_total"]
            answer = run(proxy.url, ask, leave_after=TEXTS)
            idle = wait_until_idle(engine)
            left[ask.request_id] = (answer, idle, int(engine.metrics()["tokens_predicted_total"] - before))
        early = leave_early(proxy, engine)
        checks.equal("the exit code of the left streams' proxy on SIGTERM", proxy.stop(), 0)
    with open(path, encoding="utf-8") as text:
        lines = RunLog(text.read()).by_id()
    for name, (answer, idle, predicted) in left.items():
        line = lines[name][0]
        faults = list(differences(answer, line))
        if not idle:
            faults.append("the engine was still at work")
        # It generates on until it hears of it, and the text of a token may be held back.
        if not 0 < predicted < MAX_TOKENS or line.get("output_tokens") is None or line["output_tokens"] > predicted:
            faults.append(f"the engine predicted {predicted}, the line says {line.get('output_tokens')}")
        checks.all(
            f"left after {TEXTS} texts: {name}", faults,
            f"{line.get('output_tokens')} tokens by {line.get('token_source')}, the engine predicted {predicted}",
        )  # fmt: skip
    checks.all("left before the first token: no tokens, and the engine is let go", list(before_a_token(early, lines)))


def differences(answer, line):
    expected = {"format": answer.ask.format, "outcome": "cancelled", "phase": "streaming", "streamed": True}
    for name, value in expected.items():
        if line.get(name) != value:
            yield f"{name} is {line.get(name)!r}, not {value!r}"
    # What is no final figure of the provider's is none, and nothing falls to zero. llama.cpp's own format has one
    # with each text, and so one for as far as it came.
    source = "usage" if answer.ask.format == "llama-cpp" else "events"
    if line.get("token_source") != source:
        yield f"token_source is {line.get('token_source')!r}, not {source!r}"
    events, tokens = line.get("content_events", 0), line.get("output_tokens") or 0
    # More may have come to the proxy than to the caller, who had a package to go through.
    if events < len(answer.texts) or tokens < len(answer.texts):
        yield f"{events} events and {tokens} tokens, the caller had {len(answer.texts)} texts"
    if source == "events" and tokens != events:
        yield f"{tokens} tokens by {events} events"
    at = instants(line)
    found = [at.get(name) for name in ("admitted_at", "first_token_at", "last_token_at", "released_at")]
    if None in found or found != sorted(found) or at["first_token_at"] == at["last_token_at"]:
        yield f"instants are missing or not in their order: {at}"


def leave_early(proxy, engine):
    """A caller that gives up while the engine still reads the prompt."""
    try:
        body = b'{"prompt": "%s", "n_predict": 8, "stream": true, "cache_prompt": false}' % LONG.encode()
        headers = {"content-type": "application/json", "x-request-id": "left-early"}
        send(proxy.url + "/completion", "POST", body, headers, timeout=0.5)
    except TimeoutError:
        return "gave up", wait_until_idle(engine)
    return "was answered", True


def before_a_token(early, lines):
    expected = {
        "outcome": "cancelled", "output_tokens": None, "token_source": None, "first_token_at": None, "content_events": 0
    }  # fmt: skip
    line = lines["left-early"][0]
    for name, value in expected.items():
        if (line.get(name) or value) != value:
            yield f"{name} is {line.get(name)!r}, not {value!r}"
    if early != ("gave up", True):
        yield f"the caller {early[0]}, the engine was let go: {early[1]}"


def wait_until_idle(engine):
    """Whether the engine soon has nothing under way."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        metrics = engine.metrics()
        if metrics["requests_processing"] + metrics["requests_deferred"] == 0:
            return True
        time.sleep(0.05)
    return False
