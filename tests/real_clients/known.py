"""Requests whose answer is known to the letter: a grammar, or a tool's only choice, leaves nothing else to say.

So each of many at once can be told from the others by its text, however the
engine's arithmetic comes out with what else it works on.
"""

import json

from clients import Ask

CITIES = ("Rome", "Oslo", "Cairo", "Lima", "Paris", "Tokyo", "Delhi", "Quito")


def text(name, number, streamed=True, format="openai-chat"):
    """An answer of about forty tokens, which ends by itself."""
    said = f"Stream {number:02} counts: one two three four five six seven eight nine ten eleven twelve."
    return Ask(
        f"{name}-text-{number:02}-{how(streamed)}", format, "Count.", streamed, 60,
        extra={"grammar": f'root ::= "{said}"'},
    )  # fmt: skip


def tool(name, number, streamed=True, format="openai-chat"):
    """A call of the weather tool, for one city."""
    city = CITIES[number % len(CITIES)]
    return Ask(
        f"{name}-tool-{number:02}-{how(streamed)}", format, f"What is the weather in {city}?", streamed, 60, "tool",
        city={"enum": [city]},
    )  # fmt: skip


def how(streamed):
    return "stream" if streamed else "document"


def faults(answer):
    """Where the answer's text is not the one that it must be."""
    ask, said = answer.ask, "".join(answer.texts)
    if ask.kind == "tool":
        expected, said = {"city": ask.city["enum"][0]}, parsed(said)
    else:
        expected = ask.extra["grammar"].partition('"')[2].rstrip('"')
    if said != expected:
        yield f"the caller read {said!r}, not {expected!r}"


def parsed(said):
    try:
        return json.loads(said)
    except ValueError:
        return said
