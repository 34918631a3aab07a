"""Faults that show only against programs: promtool parses, a Prometheus with data evaluates."""

import json
import math
import os
import re
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

TIMEOUT_S = 30
POINTS = 60


def parse_faults(expressions):
    """One line for each expression that promtool can't parse."""
    rules = [{"record": f"expression:{i}", "expr": substitute(e.promql, "1m")} for i, e in enumerate(expressions)]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "rules.yml")
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"groups": [{"name": "dashboards", "rules": rules}]}, file)
        run = subprocess.run(["promtool", "check", "rules", path], capture_output=True, text=True, check=False)
    if run.returncode == 0:
        return []
    said = run.stdout + run.stderr
    faults = []
    for line in said.splitlines():
        match = re.search(r'"expression:(\d+)": (.*)', line)
        if match:
            faults.append(f"{expressions[int(match[1])]}: promtool: {match[2]}")
    return faults or [f"promtool: {said.strip()}"]


def substitute(promql, rate_interval):
    """`promql` with Grafana's variables replaced, as with every server chosen."""
    values = {"__rate_interval": rate_interval, "__interval": "5s", "__range": "5m", "server": ".*"}
    return re.sub(r"\$\{?(\w+)\}?", lambda match: values.get(match[1], match[0]), promql)


class Prometheus:
    """A running Prometheus."""

    def __init__(self, url):
        self.url = url.rstrip("/")

    def get(self, path, **parameters):
        """The `data` of an API answer. ConnectionError, or ValueError with what Prometheus said."""
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            body = error.read().decode(errors="replace")
            try:
                said = json.loads(body).get("error", body)
            except json.JSONDecodeError:
                said = body
            raise ValueError(said) from error
        except OSError as error:
            raise ConnectionError(f"{self.url}: no Prometheus answers: {error}") from error

    def rate_interval(self):
        """What Grafana would take for `$__rate_interval`: four scrapes of the slowest target."""
        targets = self.get("targets", state="active")["activeTargets"]
        if not targets:
            raise ValueError(f"{self.url}: scrapes nothing: see its page /service-discovery")
        return f"{4 * max(_milliseconds(target['scrapeInterval']) for target in targets)}ms"

    def metric_names(self):
        """The names of all of FastChat's metrics that have been scraped."""
        return self.get("label/__name__/values", **{"match[]": '{__name__=~"fastchat_.*"}'})


def _milliseconds(duration):
    units = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000}
    return sum(int(n) * units[unit] for n, unit in re.findall(r"(\d+)(ms|s|m|h)", duration))


def evaluation_faults(prometheus, expressions, span_s, rate_interval, annotations_must_show):
    """One line for each expression that shows nothing over the last `span_s` seconds."""
    now = time.time()
    window = {"start": now - span_s, "end": now, "step": max(span_s / POINTS, 0.25)}
    faults = []
    for expression in expressions:
        promql = substitute(expression.promql, rate_interval)
        try:
            series = prometheus.get("query_range", query=promql, **window)["result"]
        except ValueError as error:
            faults.append(f"{expression}: {error}: {promql}")
            continue
        faults += [f"{expression}: {fault}: {promql}" for fault in _series_faults(expression, series, annotations_must_show)]
    return faults


def _series_faults(expression, series, annotations_must_show):
    is_annotation = expression.kind == "annotation"
    if not series:
        if annotations_must_show or not is_annotation:
            yield "no data"
        return
    if all(math.isnan(float(value)) for one in series for _, value in one["values"]):
        yield "only NaN"
    labels = set(re.findall(r"\{\{\s*(\w+)\s*\}\}", expression.legend))
    for label in sorted(labels):
        if any(label not in one["metric"] for one in series):
            yield f"the legend names the label {label}, which not every series has"
    if len(series) > 1 and not labels and not is_annotation:
        yield f"{len(series)} series and no label in the legend"


def variable_faults(prometheus, variables):
    """One line for each variable that has no value to choose."""
    faults = []
    for variable in variables:
        where = f"{variable.file}: variable {variable.name}"
        try:
            values = prometheus.get(f"label/{variable.label}/values", **{"match[]": variable.selector})
        except ValueError as error:
            faults.append(f"{where}: {error}")
            continue
        if not values:
            faults.append(f"{where}: no values: label {variable.label} of {variable.selector}")
    return faults


def metrics_on_no_panel(prometheus, expressions):
    """FastChat's metrics that none of the expressions uses."""
    used = set(re.findall(r"\bfastchat_\w+", " ".join(e.promql for e in expressions)))
    base = re.compile(r"_(bucket|sum|count)$")
    used_bases = {base.sub("", name) for name in used}
    return sorted({base.sub("", name) for name in prometheus.metric_names()} - used - used_bases)
