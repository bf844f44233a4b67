"""A Prometheus of our own: what `examples/prometheus/` starts from, with these targets and a scrape every second."""

import json
import os
import shutil
import subprocess
import time
import urllib.parse

from net import free_port, get, send, wait_for

SHIPPED = os.path.join(os.path.dirname(__file__), "..", "..", "examples", "prometheus")
INTERVAL = 1.0


class Prometheus:
    """It, running; leaving the block ends it."""

    def __init__(self, directory, targets):
        self.directory = os.path.join(directory, "data")
        shutil.rmtree(self.directory, ignore_errors=True)
        os.mkdir(self.directory)
        for name in ("rules.yml", "alerts.yml"):
            shutil.copy(os.path.join(SHIPPED, name), self.directory)
        with open(os.path.join(SHIPPED, "prometheus.yml"), encoding="utf-8") as file:
            config = file.read()
        for shipped, ours in [("15s", "1s"), ('["127.0.0.1:9090"]', json.dumps(targets))]:
            assert shipped in config, f"the configuration has no {shipped}"
            config = config.replace(shipped, ours)
        with open(os.path.join(self.directory, "prometheus.yml"), "w", encoding="utf-8") as file:
            file.write(config)
        self.address = f"127.0.0.1:{free_port()}"

    def __enter__(self):
        self.log = os.path.join(self.directory, "prometheus.log")
        with open(self.log, "wb") as out:
            self.child = subprocess.Popen(
                [
                    "prometheus", f"--config.file={self.directory}/prometheus.yml",
                    f"--storage.tsdb.path={self.directory}", f"--web.listen-address={self.address}", "--log.level=warn",
                ],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            )  # fmt: skip
        try:
            wait_for(f"http://{self.address}/-/ready", self.child, seconds=30)
        except BaseException as error:
            self.__exit__()
            with open(self.log, errors="replace") as out:
                raise RuntimeError(f"prometheus did not start: {error}; it said: {out.read()[-2000:]}") from error
        return self

    def __exit__(self, *_):
        if self.child.poll() is None:
            self.child.terminate()
            self.child.wait(timeout=30)

    def query(self, expression, at):
        """The answer at an instant, in Unix seconds: a list of `(labels, value)`, the name left out of the labels."""
        return [(labels, float(series["value"][1])) for labels, series in self.ask(expression, at)]

    def value(self, expression, at):
        """The one value of an answer that has one."""
        [(_, value)] = self.query(expression, at)
        return value

    def samples(self, expression, at):
        """Of a range: a list of `(labels, [(Unix seconds, value), …])`."""
        return [
            (labels, [(when, float(value)) for when, value in series["values"]])
            for labels, series in self.ask(expression, at)
        ]

    def ask(self, expression, at):
        asked = urllib.parse.urlencode({"query": expression, "time": f"{at:.3f}"})
        form = {"content-type": "application/x-www-form-urlencoded"}
        _, _, body = send(f"http://{self.address}/api/v1/query", "POST", asked, form)
        answer = json.loads(body)
        if answer["status"] != "success":
            raise ValueError(f"{expression}: {answer['error']}")
        series = answer["data"]["result"]
        if answer["data"]["resultType"] == "scalar":
            series = [{"metric": {}, "value": series}]
        return [({k: v for k, v in one["metric"].items() if k != "__name__"}, one) for one in series]

    def health(self):
        """Of every rule, by its name."""
        groups = json.loads(get(f"http://{self.address}/api/v1/rules"))["data"]["groups"]
        return {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}

    def wait_for_scrapes(self, count):
        """Waits until every target has been scraped so often again, and gives an instant after it."""
        since, deadline = time.time(), time.monotonic() + 30
        while True:
            now = time.time()
            targets = self.samples("up[1m]", now)
            scraped = [len([when for when, up in values if when > since and up == 1]) for _, values in targets]
            if scraped and min(scraped) >= count:
                return now
            if time.monotonic() > deadline:
                raise RuntimeError(f"only {scraped} scrapes in 30 s")
            time.sleep(INTERVAL / 4)
