"""Every format that the engine serves, streamed and not: its line in the log against what its package made of it."""

import os

from clients import CHATS, CLIENTS, Ask, run
from proxy import Proxy
from run_log import RunLog, instant, instants

PROMPTS = {
    "text": "Write a story about a lighthouse.",
    "thinking": "Why is the sky blue?",
    "tool": "What is the weather in Paris?",
    # The formats that are no chat go on with a text.
    "open": "Once upon a time, in a lighthouse,",
    "nothing": "Once upon a time, in a lighthouse,",
}
# Of a grammar without a word the model can only say that it is over, a token without a text.
EXTRA = {"nothing": {"grammar": 'root ::= ""'}}
# Between the proxy's reading of the clock and the caller's, who has a package to go through first.
LATE = 250_000_000
# The proxy's instants are of one monotonic clock, the caller's of the system's, which may be slewed.
EARLY = 20_000_000
# Where the caller's clock counts from.
EPOCH = instant("1970-01-01T00:00:00.000000000Z")


def asks():
    for format in CLIENTS:
        for kind in ("text", "thinking", "tool") if format in CHATS else ("open", "nothing"):
            for streamed in (True, False):
                name = f"{format}-{kind}-{'stream' if streamed else 'document'}"
                # A call must come to its end; a text and a thought are cut short.
                most = 60 if kind == "tool" else 24
                # One format leaves what is cached of the prompt out of its input: streamed, it is asked something new.
                new = "Tell me shortly. " if format == "anthropic-messages" and streamed else ""
                yield Ask(name, format, new + PROMPTS[kind], streamed, most, kind, extra=EXTRA.get(kind, {}))


def check(checks, engine, directory):
    for format in CLIENTS:
        # A package loads much of itself with its first answer, and reads that one late.
        run(engine.url, Ask("warm", format, PROMPTS["open"], max_tokens=1))
    path = os.path.join(directory, "formats.jsonl")
    before = engine.metrics()["tokens_predicted_total"]
    with Proxy(engine.url, 1, path, os.path.join(directory, "formats.stderr")) as proxy:
        answers = [run(proxy.url, ask) for ask in asks()]
        checks.equal("the exit code of the formats' proxy on SIGTERM", proxy.stop(), 0)
    predicted = int(engine.metrics()["tokens_predicted_total"] - before)
    with open(path, encoding="utf-8") as text:
        lines = RunLog(text.read()).by_id()
    checks.equal(
        "every request of every format has one line in the log",
        {name: len(found) for name, found in lines.items()},
        {answer.ask.request_id: 1 for answer in answers},
    )
    for answer in answers:
        faults = list(differences(answer, lines[answer.ask.request_id][0]))
        checks.all(
            f"as its package saw it: {answer.ask.request_id}", faults,
            f"{answer.input_tokens} tokens in, {answer.output_tokens} out in {len(answer.texts)} texts, "
            f"{answer.finish_reason}",
        )  # fmt: skip
    tokens = sum(lines[answer.ask.request_id][0]["output_tokens"] or 0 for answer in answers)
    checks.equal(f"over all formats output_tokens add up to what the engine predicted, {predicted}", tokens, predicted)


def differences(answer, line):
    """What the line says otherwise than the caller saw, in words."""
    ask = answer.ask
    expected = {
        "format": ask.format, "outcome": "completed", "phase": "done", "status": 200, "streamed": ask.streamed,
        "output_tokens": answer.output_tokens, "usage_output_tokens": answer.output_tokens, "token_source": "usage",
        "input_tokens": answer.input_tokens, "finish_reason": answer.finish_reason, "skipped_events": 0,
        "content_events": len(answer.texts),
    }  # fmt: skip
    for name, value in expected.items():
        if line.get(name) != value:
            yield f"{name} is {line.get(name)!r}, the caller saw {value!r}"
    if not answer.output_tokens or not answer.finish_reason or bool(answer.texts) != (ask.kind != "nothing"):
        yield f"the caller saw {answer}"
    if answer.timings and answer.timings["predicted_n"] != answer.output_tokens:
        yield f"the engine's timings and its usage disagree: {answer.timings}"
    # The last token can be the end of text; an answer is cut into no more texts than tokens.
    if len(answer.texts) > (answer.output_tokens or 0):
        yield f"{len(answer.texts)} texts of {answer.output_tokens} tokens"
    yield from times(answer, line)


def times(answer, line):
    """The tokens' instants lie within the response, and are those at which the caller had the texts."""
    at = instants(line)
    if answer.ask.kind == "nothing":
        if "first_token_at" in at or "last_token_at" in at:
            yield f"an instant of a token that has no text: {at}"
        return
    order = ["admitted_at", "headers_at", "first_chunk_at", "first_token_at", "last_token_at", "released_at"]
    found = [at.get(name) for name in order]
    if None in found or found != sorted(found):
        yield f"instants are missing or not in their order: {at}"
        return
    first, last = at["first_token_at"], at["last_token_at"]
    if answer.ask.streamed != (first < last):
        yield f"the first token at {first}, the last at {last}"
    for name, proxys, callers in (("first", first, answer.seen_at[0]), ("last", last, answer.seen_at[-1])):
        late = callers + EPOCH - proxys
        if not -EARLY <= late <= LATE:
            yield f"the caller had the {name} text {late} ns after {name}_token_at"
