"""The `openai` package from npm: streams, documents and tools at once on one client, and a stream that is aborted."""

import json
import os
import subprocess

import known
from clients import Answer, Ask, chat_body
from cut_off import PROMPT, wait_until_idle
from formats import differences
from proxy import Proxy
from run_log import RunLog

CAP = 2
EACH = 2
LEAVE_AFTER = 5
LEFT = Ask("node-left", "openai-chat", PROMPT, True, 200)


def check(checks, engine, directory):
    log, stderr = (os.path.join(directory, f"node.{kind}") for kind in ("jsonl", "stderr"))
    with Proxy(engine.url, CAP, log, stderr) as proxy:
        asked = [*asks(), LEFT]
        answers = send(proxy.url, asked)
        idle = wait_until_idle(engine)
        checks.equal("the exit code of node's proxy on SIGTERM", proxy.stop(), 0)
    with open(log, encoding="utf-8") as text:
        by_id = RunLog(text.read()).by_id()
    checks.equal(
        "node: every request has one line",
        {request_id: len(found) for request_id, found in by_id.items()},
        {ask.request_id: 1 for ask in asked},
    )
    *whole, left = answers
    for answer in whole:
        checks.all(
            f"as its package saw it: {answer.ask.request_id}",
            [*differences(answer, by_id[answer.ask.request_id][0]), *known.faults(answer)],
            f"{answer.output_tokens} tokens in {len(answer.texts)} texts, {answer.finish_reason}",
        )
    line = by_id[LEFT.request_id][0]
    tokens = line.get("output_tokens") or 0
    checks.that(
        "node: an aborted stream is cancelled while it streams, and the engine is let go",
        (line["outcome"], line["phase"], idle) == ("cancelled", "streaming", True)
        and LEAVE_AFTER == len(left.texts) <= tokens == line["content_events"] < LEFT.max_tokens,
        f"{line['outcome']} in {line['phase']}, {tokens} tokens by {line['token_source']}, idle {idle}",
    )


def asks():
    for number in range(EACH):
        for streamed in (True, False):
            yield known.text("node", number, streamed)
            yield known.tool("node", number, streamed)


def send(url, asked):
    requests = [
        {"request_id": ask.request_id, "body": chat_body(ask), "leave_after": LEAVE_AFTER if ask is LEFT else None}
        for ask in asked
    ]
    said = subprocess.run(
        ["node", os.environ["NODE_CLIENT"], url], input=json.dumps(requests).encode(), stdout=subprocess.PIPE,
        timeout=180, check=True,
    ).stdout  # fmt: skip
    return [answer(ask, told) for ask, told in zip(asked, json.loads(said), strict=True)]


def answer(ask, told):
    usage = told["usage"] or {}
    return Answer(
        ask, told["texts"], told["seen_at"], usage.get("completion_tokens"), usage.get("prompt_tokens"),
        told["finish_reason"], told["timings"],
    )  # fmt: skip
