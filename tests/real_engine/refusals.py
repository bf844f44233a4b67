"""What the engine refuses is `failed` by its status, in every format, and has no tokens."""

import json
import os

import anthropic
import openai
from clients import CLIENTS, PATHS, Ask, Refused, run
from net import send
from proxy import Proxy
from run_log import RunLog

TOO_LONG = "word " * 9000
JSON = {"content-type": "application/json"}
# Refused before any format is looked at: the path, a feature that is off, and a field that llama.cpp itself fails to find.
OTHERS = {
    "no-such-path": ("/nowhere", {}),
    "embeddings-off": ("/v1/embeddings", {"input": "Hi"}),
    "no-messages": ("/v1/messages", {}),
}
# Answers that are no generation at all.
SERVICES = {
    "count-tokens": ("/v1/messages/count_tokens", {"messages": [{"role": "user", "content": "Hi"}]}),
    "tokenize": ("/tokenize", {"content": "Hi"}),
    "apply-template": ("/apply-template", {"messages": [{"role": "user", "content": "Hi"}]}),
}


def check(checks, engine, directory):
    path = os.path.join(directory, "refusals.jsonl")
    statuses = {}
    with Proxy(engine.url, 1, path, os.path.join(directory, "refusals.stderr")) as proxy:
        for format in CLIENTS:
            for streamed in (True, False):
                ask = Ask(f"{format}-too-long-{'stream' if streamed else 'document'}", format, TOO_LONG, streamed)
                statuses[ask.request_id] = refused(proxy, ask)
            name = f"{format}-bad-json"
            statuses[name] = plain(proxy, name, PATHS[format], b'{"prompt": ["')
        for name, (where, body) in {**OTHERS, **SERVICES}.items():
            statuses[name] = plain(proxy, name, where, json.dumps(body).encode())
        checks.equal("the exit code of the refusals' proxy on SIGTERM", proxy.stop(), 0)
    with open(path, encoding="utf-8") as text:
        lines = RunLog(text.read()).by_id()
    for name, status in statuses.items():
        found = lines.get(name, [])
        faults = [f"{len(found)} lines in the log"] if len(found) != 1 else list(differences(name, status, found[0]))
        checks.all(f"no tokens: {name}", faults, f"status {status}")


def refused(proxy, ask):
    """The status that its package reports."""
    try:
        run(proxy.url, ask)
    except (openai.APIStatusError, anthropic.APIStatusError, Refused) as error:
        return error.status_code
    return None


def plain(proxy, name, where, body):
    return send(proxy.url + where, "POST", body, {**JSON, "x-request-id": name})[0]


def differences(name, status, line):
    expected = {
        "status": status, "outcome": "failed", "error_type": f"status_{status}", "output_tokens": None,
        "usage_output_tokens": None, "input_tokens": None, "token_source": None, "content_events": 0,
        "first_token_at": None, "last_token_at": None, "stream_tps": None,
    }  # fmt: skip
    if name in SERVICES:
        expected |= {"status": 200, "outcome": "completed", "error_type": None, "format": "opaque"}
    elif name not in OTHERS:
        expected |= {"status": 400}
    for field, value in expected.items():
        if line.get(field) != value:
            yield f"{field} is {line.get(field)!r}, not {value!r}"
