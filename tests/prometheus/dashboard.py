"""The dashboard as Grafana takes it: its panels, and their queries with the variables filled in."""

import itertools
import json
import os
import re

SHIPPED = os.path.join(os.path.dirname(__file__), "..", "..", "examples", "grafana", "dashboard.json")
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH = 24


def load():
    with open(SHIPPED, encoding="utf-8") as file:
        return json.load(file)


def panels(dashboard):
    """Those that show something: not the headings between them."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def expressions(dashboard):
    """Title, legend and query of every target."""
    return [
        (panel["title"], target.get("legendFormat", ""), target["expr"])
        for panel in panels(dashboard)
        for target in panel["targets"]
    ]


def filled(expression, pool, window):
    """As Grafana asks it of Prometheus; the window in whole seconds."""
    values = {"pool": pool, "__rate_interval": f"{window}s", "__range": f"{window}s"}
    return re.sub(r"\$(\w+)", lambda name: values[name[1]], expression)


def faults(dashboard):
    """What Grafana would stumble over."""
    found = []
    ids = [panel["id"] for panel in dashboard["panels"]]
    if len(set(ids)) != len(ids):
        found.append(f"an id is there twice: {ids}")
    names = [variable["name"] for variable in dashboard["templating"]["list"]]
    if names != ["datasource", "pool"]:
        found.append(f"the variables are {names}")
    taken = {}
    for panel in dashboard["panels"]:
        place, title = panel["gridPos"], panel["title"]
        if place["x"] + place["w"] > WIDTH:
            found.append(f"{title}: it is wider than the page")
        columns = range(place["x"], place["x"] + place["w"])
        lines = range(place["y"], place["y"] + place["h"])
        for cell in itertools.product(columns, lines):
            if cell in taken:
                found.append(f"{title}: it lies on {taken[cell]}")
                break
            taken[cell] = title
    for panel in panels(dashboard):
        title = panel["title"]
        if not panel.get("description"):
            found.append(f"{title}: nothing says what it shows")
        letters = [target["refId"] for target in panel["targets"]]
        if len(set(letters)) != len(letters):
            found.append(f"{title}: a refId is there twice: {letters}")
        if panel["datasource"] != SOURCE or any(target["datasource"] != SOURCE for target in panel["targets"]):
            found.append(f"{title}: it has a data source of its own")
        for target in panel["targets"]:
            if "$pool" not in target["expr"]:
                found.append(f"{title}: it shows other pools too: {target['expr']}")
    return found
