"""No request is lost to a connection that the engine has just closed.

llama.cpp closes the connection after every stream, though it announces
`Keep-Alive` and never `Connection: close`. A proxy that keeps it for the next
request, which a queue makes follow within microseconds, writes into a closed
connection. Many short streams through one slot make that likely to show.
"""

import concurrent.futures
import json
import os

from net import send
from proxy import Proxy

CALLERS = 4
REQUESTS = 80


def check(checks, engine, directory):
    body = json.dumps({"prompt": "Hi", "max_tokens": 2, "temperature": 0, "stream": True}).encode()
    paths = (os.path.join(directory, name) for name in ("reuse.jsonl", "reuse.stderr"))
    with Proxy(engine.url, 1, *paths) as proxy, concurrent.futures.ThreadPoolExecutor(CALLERS) as callers:

        def ask(_):
            return send(proxy.url + "/v1/completions", "POST", body, {"content-type": "application/json"})

        answers = list(callers.map(ask, range(REQUESTS)))
        faults = [f"{status}: {text[:200]!r}" for status, _, text in answers if status != 200]
        checks.all("each of many short streams, one after the other, is answered", faults, f"{REQUESTS} streams")
        checks.equal("that proxy's exit code on SIGTERM, too", proxy.stop(), 0)
