#!/usr/bin/env python3
"""Checks Grafana dashboards, as far as that goes without a Grafana.

    python3 grafana/check/dashcheck.py grafana/dashboards/*.json
    python3 grafana/check/dashcheck.py --prometheus http://127.0.0.1:9090 grafana/dashboards/*.json

Always: the files' own faults (lint.py) and each expression's grammar (promtool).
With --prometheus: every expression and every variable is evaluated there, and
must show something. That Prometheus must have scraped a fleet that works, for at
least as long as four scrapes take.

What it can't see: how Grafana lays the panels out, and whether it takes the
provisioning files.

Prints each fault on a line. Exit code 0: none. 1: some. 2: it could not check.
"""

import argparse
import sys

from dashboard import Dashboard
from lint import lint
from live import Prometheus, evaluation_faults, metrics_on_no_panel, parse_faults, variable_faults


def main(arguments):
    """The exit code."""
    options = _options(arguments)
    try:
        dashboards = [Dashboard(path) for path in options.dashboards]
        expressions = [e for dashboard in dashboards for e in dashboard.expressions()]
        variables = [v for dashboard in dashboards for v in dashboard.variables()]
        faults = [fault for dashboard in dashboards for fault in lint(dashboard)]
        faults += parse_faults(expressions)
        if options.prometheus:
            faults += _live_faults(options, expressions, variables)
    except (ConnectionError, ValueError, OSError) as error:
        print(f"dashcheck: {error}", file=sys.stderr)
        return 2
    for fault in faults:
        print(fault)
    panels = sum(len(dashboard.panels()) for dashboard in dashboards)
    how = "evaluated" if options.prometheus else "parsed"
    print(f"dashcheck: {len(dashboards)} dashboards, {panels} panels, {len(expressions)} expressions {how}, {len(faults)} faults")
    return 1 if faults else 0


def _live_faults(options, expressions, variables):
    prometheus = Prometheus(options.prometheus)
    rate_interval = options.rate_interval or prometheus.rate_interval()
    faults = evaluation_faults(prometheus, expressions, options.span, rate_interval, options.annotations_must_show)
    faults += variable_faults(prometheus, variables)
    unused = metrics_on_no_panel(prometheus, expressions)
    if unused:
        print(f"dashcheck: on no panel: {', '.join(unused)}")
    return faults


def _options(arguments):
    parser = argparse.ArgumentParser(description="Checks Grafana dashboards.")
    parser.add_argument("dashboards", nargs="+", metavar="DASHBOARD.json")
    parser.add_argument("--prometheus", metavar="URL", help="a Prometheus that scrapes a working fleet")
    parser.add_argument("--span", type=float, default=300, metavar="SECONDS", help="look back so far (300)")
    parser.add_argument("--rate-interval", metavar="DURATION", help="what $__rate_interval stands for (four scrapes)")
    parser.add_argument(
        "--annotations-must-show",
        action="store_true",
        help="the run has changed the strategy and restarted a process, so annotations must show it",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
