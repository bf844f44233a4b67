"""What `ensure_usage` holds of llama.cpp: asking for the usage brings one event more, and moves the `timings` into it.

So a caller who did not ask, and from whom that event is withheld, gets the same
events but for llama.cpp's `timings`, which it otherwise finds in the last of them.
"""

import json

from net import send

BODY = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4, "temperature": 0, "seed": 7, "stream": True}
FRESH = ("id", "created", "timings")


def check(checks, engine):
    asked = events(engine, {"stream_options": {"include_usage": True}})
    unasked = events(engine, {})
    *others, last = asked
    checks.that(
        "the event that a wanted usage brings is the last, and has no choices",
        last["choices"] == [] and last["usage"]["completion_tokens"] == last["timings"]["predicted_n"]
        and not any("usage" in event or not event["choices"] for event in others),
        f"it has {', '.join(sorted(last))}",
    )  # fmt: skip
    checks.equal("without it the events are those of a caller who did not ask", same(others), same(unasked))
    checks.equal(
        "the timings are in the last event, whichever that is",
        [["timings" in event for event in stream] for stream in (asked, unasked)],
        [[False] * (len(stream) - 1) + [True] for stream in (asked, unasked)],
    )


def events(engine, more):
    body = json.dumps({**BODY, **more}).encode()
    _, _, text = send(engine.url + "/v1/chat/completions", "POST", body, {"content-type": "application/json"})
    *datas, done = [line.removeprefix("data: ") for line in text.decode().split("\n") if line]
    if done != "[DONE]":
        raise RuntimeError(f"the stream ends with {done!r}")
    return list(map(json.loads, datas))


def same(stream):
    return [{name: value for name, value in event.items() if name not in FRESH} for event in stream]
