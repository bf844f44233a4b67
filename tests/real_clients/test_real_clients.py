"""Real clients through `tps proxy` before a real llama.cpp: what each of them saw is what the log says.

`python test_real_clients.py DIRECTORY`: files go to DIRECTORY, and TPS_BIN names the program. NODE_CLIENT names
`openai.mjs` where it lies beside its package, and AIPERF that program; without them they are not tested.
"""

import os
import shutil
import signal
import subprocess
import sys
import traceback

import aiperf_figures
import async_sdks
import curl_http2
import node_sdk
from checks import Checks
from engine import Engine

# The whole test, on a machine much slower than any that it was written on.
LIMIT_SECONDS = 600


def version(program):
    return subprocess.run([program, "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout


# What each of them needs, and whether it is there.
PARTS = (
    (async_sdks, "the packages of the asynchronous clients", lambda: True),
    (curl_http2, "a curl that speaks HTTP/2", lambda: shutil.which("curl") and "HTTP2" in version("curl")),
    (node_sdk, "the npm package of openai.mjs", lambda: os.environ.get("NODE_CLIENT")),
    (aiperf_figures, "AIPerf", lambda: os.environ.get("AIPERF")),
)


def main(directory):
    # Loopback only, whatever proxy the environment names.
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"
    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(LIMIT_SECONDS)
    checks = Checks()
    try:
        with Engine(directory) as engine:
            for part, needed, there in PARTS:
                if there():
                    part.check(checks, engine, directory)
                else:
                    print(f"skipped: {needed} cannot be had, so {part.__name__}.py was not run", flush=True)
    except Exception as error:
        traceback.print_exc()
        checks.that("the test came to its end", False, str(error))
    checks.close()


def too_long(*_):
    raise TimeoutError(f"not over within {LIMIT_SECONDS} s")


if __name__ == "__main__":
    main(sys.argv[1])
