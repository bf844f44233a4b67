"""The load, a process of its own: callers that ask one proxy again and again, until its stdin is closed.

    load.py PORT CALLERS
"""

import asyncio
import itertools
import json
import sys

# How the callers take turns; the last two leave early, the one from its stream and the other from the queue.
WAYS = (
    "usage", "events", "usage", "document", "usage", "status=500", "events", "truncate",
    "usage", "events", "leaves the stream", "leaves the queue",
)  # fmt: skip
MAX_TOKENS = 12


async def main(port, callers):
    numbers, ending = itertools.count(), asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    await asyncio.gather(*(caller(port, numbers, ending) for _ in range(callers)))


async def caller(port, numbers, ending):
    while not ending.done():
        number = next(numbers)
        if b" 429 " in await ask(port, number, WAYS[number % len(WAYS)]):
            await asyncio.sleep(0.3)


async def ask(port, number, way):
    """One request on a connection of its own; the answer's first line, or nothing where it was not waited for."""
    messages = [{"role": "user", "content": f"{number}"}]
    body = {"messages": messages, "max_tokens": MAX_TOKENS, "stream": way != "document"}
    if way == "usage":
        body["stream_options"] = {"include_usage": True}
    body = json.dumps(body).encode()
    head = "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n"
    head += f"content-length: {len(body)}\r\n"
    if way in ("status=500", "truncate"):
        head += f"x-sim-fault: {way}\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(head.encode() + b"\r\n" + body)
        if way == "leaves the queue":
            await asyncio.sleep(0.02)
            return b""
        first = await reader.readline()
        if way == "leaves the stream":
            await reader.readline()
        else:
            while await reader.read(65536):
                pass
        return first
    finally:
        writer.close()


asyncio.run(main(*map(int, sys.argv[1:])))
