"""Faults that a dashboard's file shows by itself, without any Prometheus.

The rules are those of Grafana's own dashboard linter, with ours added: a
provisioned dashboard isn't editable, and a server's metric follows `$server`.
"""

import re

GRID_WIDTH = 24

BUILT_IN_VARIABLES = {"__rate_interval", "__interval", "__range"}

# A selector: metric name, matchers, range.
SELECTOR = re.compile(
    r"(?<![\w:])(?P<name>(?:fastchat|process)_\w+|up)(?![\w(])\s*"
    r"(?P<matchers>\{(?:[^}\"]|\"(?:\\.|[^\"\\])*\")*\})?\s*"
    r"(?P<range>\[[^\]]*\])?"
)


def lint(dashboard):
    """All faults of `dashboard`'s file, each as one line."""
    faults = [f"{dashboard.file}: {fault}" for fault in _of_the_whole(dashboard)]
    faults += [f"{dashboard.file}: {fault}" for fault in _of_the_grid(dashboard.panels())]
    for panel in dashboard.panels():
        if panel["type"] != "row":
            title = panel.get("title") or f"panel {panel.get('id')}"
            faults += [f"{dashboard.file}: {title}: {fault}" for fault in _of_a_panel(panel)]
    for expression in dashboard.expressions():
        faults += [f"{expression}: {fault}" for fault in _of_an_expression(expression, dashboard.variable_names())]
    return faults


def _of_the_whole(dashboard):
    document = dashboard.json
    if document.get("uid") != dashboard.file.removesuffix(".json"):
        yield f"uid is {document.get('uid')!r}: it must be the file's name, and stay"
    if document.get("editable") is not False:
        yield "editable must be false: it is provisioned"
    if "datasource" not in dashboard.variable_names():
        yield "no variable `datasource`"
    ids = [panel.get("id") for panel in dashboard.panels()]
    for repeated in sorted({i for i in ids if ids.count(i) > 1}, key=str):
        yield f"panel id {repeated} is given twice"
    titles = [panel.get("title") for panel in dashboard.panels()]
    for repeated in sorted({t for t in titles if titles.count(t) > 1}, key=str):
        yield f"panel title {repeated!r} is given twice"


def _of_the_grid(panels):
    taken = {}
    for panel in panels:
        title, place = panel.get("title"), panel["gridPos"]
        if place["x"] < 0 or place["x"] + place["w"] > GRID_WIDTH:
            yield f"{title}: outside the grid, which is {GRID_WIDTH} wide"
        cells = [(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])]
        for other in sorted({taken[cell] for cell in cells if cell in taken}):
            yield f"{title}: overlaps {other}"
        taken.update({cell: title for cell in cells})


def _of_a_panel(panel):
    if not panel.get("description"):
        yield "no description"
    if not panel.get("fieldConfig", {}).get("defaults", {}).get("unit"):
        yield "no unit"
    if not panel.get("targets"):
        yield "no expression"
    sources = [panel.get("datasource")] + [target.get("datasource") for target in panel.get("targets", [])]
    if any((source or {}).get("uid") != "${datasource}" for source in sources):
        yield "the data source is not the variable ${datasource}"
    references = [target.get("refId") for target in panel.get("targets", [])]
    if len(references) != len(set(references)):
        yield "a refId is given twice"


def _of_an_expression(expression, variables):
    promql = expression.promql
    if not promql.strip():
        yield "an empty expression"
    for name in sorted(set(re.findall(r"\$\{?(\w+)", promql)) - set(variables) - BUILT_IN_VARIABLES):
        yield f"no variable ${name}"
    if re.search(r"\birate\s*\(", promql):
        yield "irate: it shows two scrapes and hides the rest; use rate"
    for selector in SELECTOR.finditer(promql):
        yield from _of_a_selector(expression, selector)


def _of_a_selector(expression, selector):
    name, matchers, window = selector["name"], selector["matchers"] or "", selector["range"]
    before = expression.promql[: selector.start()]
    under_rate = re.search(r"\b(rate|increase)\s*\(\s*$", before)
    if _is_counter(name) and not (under_rate and window):
        yield f"{name} is a counter: it must stand under rate or increase"
    if under_rate and not _is_counter(name):
        yield f"{name} is no counter: it must not stand under {under_rate[1]}"
    if window and expression.kind != "annotation" and window != "[$__rate_interval]":
        yield f"{name}{window}: the range must be [$__rate_interval]"
    if name.startswith("fastchat_server_") and 'instance=~"$server"' not in matchers and expression.kind != "annotation":
        yield f'{name}: no matcher instance=~"$server"'


def _is_counter(name):
    return name.endswith(("_total", "_bucket", "_sum", "_count"))
