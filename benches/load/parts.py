"""The processes of the load: the engine, the proxy, the clients, and what can be read of them."""

import json
import os
import resource
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

HOST = "127.0.0.1"


def raise_descriptors(needed):
    """Lets this process and its children open as many, or says that it cannot."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise SystemExit(f"{needed} descriptors are needed, and `ulimit -Hn` is {hard}: raise it, or ask for less")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def get(address, path="/"):
    with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as answer:
        return json.load(answer)


class Process:
    """A child, ended with the block that it is used in."""

    def __init__(self, *command, **pipes):
        self.child = subprocess.Popen([str(part) for part in command], text=True, **pipes)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def kill(self):
        self.child.kill()
        self.child.wait()

    def status(self, field):
        """A figure of /proc/PID/status in KiB."""
        for line in Path(f"/proc/{self.child.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1])
        raise SystemExit(f"no {field} of {self.child.args[0]}")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.child.pid}/fd"))

    def cpu(self):
        """Seconds of processor time so far."""
        fields = Path(f"/proc/{self.child.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Engine(Process):
    def __init__(self, load, rate):
        super().__init__(load, "engine", "--rate", rate, stdout=subprocess.PIPE)
        self.address = self.child.stdout.readline().strip()

    def counts(self):
        return get(self.address)


class Proxy(Process):
    """`tps proxy` before an engine, on ports of its own choice."""

    def __init__(self, tps, engine, log, *options):
        super().__init__(
            *(tps, "proxy", "--upstream", f"http://{engine.address}", "--listen", f"{HOST}:0"),
            *("--admin", f"{HOST}:0", "--log", log, *options),
            stderr=subprocess.PIPE,
        )
        self.address = self._told("http://").split(" ")[0]
        self.admin = self._told("admin on http://")

    def _told(self, what):
        line = self.child.stderr.readline()
        if what not in line:
            raise SystemExit(f"tps proxy says: {line}")
        return line.partition("http://")[2].strip()

    def counts(self):
        status = get(self.admin, "/status")
        return status["in_flight"], status["queue_depth"]

    def zero_after(self, since, limit=30):
        """Seconds from `since` until nothing is in flight and nothing queued."""
        while self.counts() != (0, 0):
            if time.monotonic() - since > limit:
                return None
            time.sleep(0.01)
        return time.monotonic() - since

    def stop(self):
        """SIGTERM: the exit code, and the seconds that it took."""
        since = time.monotonic()
        self.child.send_signal(signal.SIGTERM)
        _, said = self.child.communicate(timeout=60)
        return self.child.returncode, time.monotonic() - since, said


class Clients(Process):
    def __init__(self, load, role, address, **options):
        options = [part for name, value in options.items() for part in (f"--{name}", value)]
        super().__init__(load, role, address, *options, stdout=subprocess.PIPE)

    def result(self):
        """What they print once they have ended, or once `hold` is over."""
        return json.loads(self.child.stdout.readline() or "null")


def machine():
    """What is measured on."""
    model = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    model = model[0].partition(":")[2].strip() if model else os.uname().machine
    busy = os.getloadavg()[0]
    return f"{len(os.sched_getaffinity(0))} cores of {model}, Linux {os.uname().release}, load {busy:.1f} before"


def log_of(path):
    """The request lines' outcomes counted, and the end line if there is one."""
    outcomes, end = {}, None
    with open(path) as lines:
        for line in lines:
            line = json.loads(line)
            if line["type"] == "request":
                outcomes[line["outcome"]] = outcomes.get(line["outcome"], 0) + 1
            elif line["type"] == "end":
                end = line
    return outcomes, end
