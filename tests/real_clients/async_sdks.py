"""The asynchronous clients of `openai` and `anthropic`: many requests at once on one client, and some given up."""

import asyncio
import json
import os
import time

import anthropic
import known
import openai
from clients import (
    Answer, Ask, chat_arguments, chat_text, end_of_message, message_arguments, message_text,
)  # fmt: skip
from cut_off import PROMPT, wait_until_idle
from formats import differences
from net import get
from proxy import Proxy
from run_log import RunLog, instants

CAP = 2
EACH = 2
# Of a long story: one that is left has many more tokens to come.
LONG = 200


async def chat(client, ask, answer):
    """As the clients of `clients.py`: yields the texts, and fills in the answer."""
    headers = {"x-request-id": ask.request_id}
    made = await client.chat.completions.create(extra_headers=headers, **chat_arguments(ask))
    if not ask.streamed:
        yield chat_text(answer, made)
        return
    async with made:
        async for part in made:
            if text := chat_text(answer, part):
                yield text


async def messages(client, ask, answer):
    if not ask.streamed:
        message = await client.messages.create(**message_arguments(ask))
        yield "".join(block.text if block.type == "text" else json.dumps(block.input) for block in message.content)
    else:
        async with client.messages.stream(**message_arguments(ask)) as stream:
            async for event in stream:
                if text := message_text(event):
                    yield text
            message = await stream.get_final_message()
    end_of_message(answer, message)


# The format, its package's client, how that takes the proxy's address, and one request by it.
PACKAGES = (
    ("openai-chat", openai.AsyncOpenAI, "/v1", chat),
    ("anthropic-messages", anthropic.AsyncAnthropic, "", messages),
)


async def run(send, client, answer):
    async for text in send(client, answer.ask, answer):
        answer.texts.append(text)
        answer.seen_at.append(time.time_ns())
    return answer


def check(checks, engine, directory):
    for format, package, path, send in PACKAGES:
        name = f"async-{format}"
        log, stderr = (os.path.join(directory, f"{name}.{kind}") for kind in ("jsonl", "stderr"))
        with Proxy(engine.url, CAP, log, stderr) as proxy:
            with_client = in_client(package, proxy.url + path)
            answers = asyncio.run(with_client(at_once, send, list(asks(name, format))))
            left = asyncio.run(with_client(given_up, send, name, format, proxy))
            idle = wait_until_idle(engine)
            checks.equal(f"the exit code of {name}'s proxy on SIGTERM", proxy.stop(), 0)
        with open(log, encoding="utf-8") as text:
            lines = RunLog(text.read())
        by_id = lines.by_id()
        checks.equal(
            f"{name}: every request has one line",
            {request_id: len(found) for request_id, found in by_id.items()},
            {answer.ask.request_id: 1 for answer in [*answers, *left.values()]},
        )
        for answer in answers:
            checks.all(
                f"as its package saw it: {answer.ask.request_id}",
                [*differences(answer, by_id[answer.ask.request_id][0]), *text_faults(answer)],
                f"{answer.output_tokens} tokens in {len(answer.texts)} texts, {answer.finish_reason}",
            )
        checks.equal(f"{name}: the slots were all in use at once, and no more", lines.most_in_flight(), CAP)
        faults = [fault for phase, answer in left.items() for fault in left_faults(phase, answer, by_id)]
        faults += [] if idle else ["the engine was still at work"]
        checks.all(f"{name}: given up in the queue and half way, and the engine is let go", faults)


def asks(name, format):
    for number in range(EACH):
        for streamed in (True, False):
            yield known.text(name, number, streamed, format)
            yield known.tool(name, number, streamed, format)


def text_faults(answer):
    # llama.cpp passes no grammar on from a request in Anthropic's format: only what a tool is called with is known.
    return known.faults(answer) if answer.ask.format == "openai-chat" or answer.ask.kind == "tool" else ()


def in_client(package, url):
    """Calls with one client for all requests, which is closed afterwards."""

    async def call(function, *arguments):
        async with package(base_url=url, api_key="none", timeout=120, max_retries=0) as client:
            return await function(client, *arguments)

    return call


async def at_once(client, send, all_):
    return await asyncio.gather(*(run(send, client, Answer(ask)) for ask in all_))


async def given_up(client, send, name, format, proxy):
    """Two streams hold the slots and two wait: one of each is given up, and then the last waiting one has its slot."""
    answers = {
        phase: Answer(Ask(f"{name}-{phase}", format, PROMPT, True, LONG))
        for phase in ("streaming", "left", "queued", "done")
    }
    tasks = {}
    for phase, answer in answers.items():
        tasks[phase] = asyncio.create_task(run(send, client, answer))
        # One after the other, so that it is known which of them wait.
        await until(lambda: holds(answer, phase, proxy))
    await cancel(tasks["queued"])
    await until(lambda: len(answers["streaming"].texts) >= 5)
    await cancel(tasks["streaming"])
    await until(lambda: answers["done"].texts)
    await cancel(tasks["left"])
    await tasks["done"]
    return answers


def holds(answer, phase, proxy):
    """Whether it has come as far as it can: to its first text, or into the queue."""
    if phase in ("streaming", "left"):
        return bool(answer.texts)
    status = json.loads(get(proxy.admin + "/status"))
    return status["queue_depth"] == {"queued": 1, "done": 2}[phase]


async def cancel(task):
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        return
    raise RuntimeError("the stream was over before it was given up")


async def until(holds):
    deadline = time.monotonic() + 60
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError("what was waited for did not come")
        await asyncio.sleep(0.01)


def left_faults(phase, answer, by_id):
    line = by_id[answer.ask.request_id][0]
    expected = {
        "queued": {"outcome": "cancelled", "phase": "queued", "admitted_at": None, "output_tokens": None},
        "done": {"outcome": "completed", "phase": "done", "output_tokens": answer.output_tokens, "status": 200},
    }.get(phase, {"outcome": "cancelled", "phase": "streaming", "output_tokens": line.get("content_events")})
    for name, value in expected.items():
        if line.get(name) != value:
            yield f"{phase}: {name} is {line.get(name)!r}, not {value!r}"
    # More may have come to the proxy than to a caller who had a package to go through.
    if line.get("content_events", 0) < len(answer.texts):
        yield f"{phase}: {line.get('content_events')} events, the caller had {len(answer.texts)} texts"
    found = list(instants(line).values())
    if found != sorted(found):
        yield f"{phase}: instants out of their order: {instants(line)}"
