"""`tps proxy` as a child process."""

import os
import signal
import subprocess

from net import free_port, wait_for


class Proxy:
    """The proxy, running. `stop` is its end in good order; leaving the block ends it in any case."""

    def __init__(self, upstream, cap, log, stderr, options=(), continued=False):
        self.log = log
        self.continued = continued
        self.stderr = stderr
        listen, admin = free_port(), free_port()
        self.url = f"http://127.0.0.1:{listen}"
        self.admin = f"http://127.0.0.1:{admin}"
        self.command = [
            os.environ["TPS_BIN"], "proxy", "--upstream", upstream, "--cap", str(cap),
            "--listen", f"127.0.0.1:{listen}", "--admin", f"127.0.0.1:{admin}", "--log", log,
            *options,
        ]  # fmt: skip

    def __enter__(self):
        # A run continues a file that exists: one that is to have a file of its own needs a fresh one.
        if not self.continued and os.path.exists(self.log):
            os.remove(self.log)
        with open(self.stderr, "wb") as out:
            self.child = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        try:
            wait_for(self.admin + "/readyz", self.child, seconds=20)
        except BaseException as error:
            self.__exit__()
            with open(self.stderr, errors="replace") as out:
                raise RuntimeError(f"tps proxy did not start: {error}; it said: {out.read()[-2000:]}") from error
        return self

    def __exit__(self, *_):
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait(timeout=10)

    def stop(self):
        """SIGTERM, and the exit code. It may drain for 10 s."""
        self.child.send_signal(signal.SIGTERM)
        return self.child.wait(timeout=20)
