"""The shipped dashboards pass; a dashboard with a seeded fault doesn't, and the fault is named."""

import contextlib
import copy
import glob
import io
import json
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import dashcheck  # noqa: E402
from fake_fleet import TOKEN, Fleet  # noqa: E402
from prometheus_under_test import PrometheusUnderTest  # noqa: E402

SHIPPED = sorted(glob.glob(os.path.join(HERE, os.pardir, "dashboards", "*.json")))
OVERVIEW = next(path for path in SHIPPED if path.endswith("fastchat-overview.json"))


def check(*arguments):
    """dashcheck's exit code and all that it printed."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        code = dashcheck.main([str(argument) for argument in arguments])
    return code, out.getvalue()


class Seeded(unittest.TestCase):
    """Takes the overview, makes one thing wrong, checks."""

    def setUp(self):
        with open(OVERVIEW, encoding="utf-8") as file:
            self.dashboard = json.load(file)
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def panel(self, title):
        return next(panel for panel in self.dashboard["panels"] if panel["title"] == title)

    def target(self, title):
        return self.panel(title)["targets"][0]

    def replace_in(self, title, old, new):
        target = self.target(title)
        self.assertIn(old, target["expr"])
        target["expr"] = target["expr"].replace(old, new)

    def check_seeded(self, *arguments):
        path = os.path.join(self.folder.name, "fastchat-overview.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(self.dashboard, file)
        return check(*arguments, path)

    def assert_named(self, *expected, arguments=()):
        code, said = self.check_seeded(*arguments)
        self.assertEqual(code, 1, said)
        for text in expected:
            self.assertIn(text, said)


class FaultsOfTheFile(Seeded):
    """Lint and grammar: no Prometheus runs."""

    def test_the_shipped_dashboards_have_none(self):
        code, said = check(*SHIPPED)
        self.assertEqual(code, 0, said)

    def test_the_exit_code_of_the_program_is_1(self):
        self.panel("Connections").pop("description")
        path = os.path.join(self.folder.name, "fastchat-overview.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(self.dashboard, file)
        program = os.path.join(HERE, "dashcheck.py")
        run = subprocess.run([sys.executable, program, path], capture_output=True, text=True, check=False)
        self.assertEqual(run.returncode, 1, run.stdout + run.stderr)
        self.assertIn("Connections: no description", run.stdout)

    def test_an_extra_bracket_is_named(self):
        self.target("Connections")["expr"] += ")"
        self.assert_named("Connections: promtool: could not parse")

    def test_two_broken_expressions_are_both_named(self):
        self.target("Connections")["expr"] += ")"
        self.target("Memory")["expr"] += ")"
        self.assert_named("Connections: promtool:", "Memory: promtool:")

    def test_a_panel_outside_the_grid_is_named(self):
        self.panel("Memory")["gridPos"]["w"] = 9
        self.assert_named("Memory: outside the grid")

    def test_panels_that_overlap_are_named(self):
        self.panel("Bus")["gridPos"]["x"] -= 1
        self.assert_named("Bus: overlaps Errors by code")

    def test_an_id_given_twice_is_named(self):
        self.panel("Bus")["id"] = self.panel("Memory")["id"]
        self.assert_named("is given twice")

    def test_a_panel_without_a_unit_is_named(self):
        self.panel("Bytes")["fieldConfig"]["defaults"].pop("unit")
        self.assert_named("Bytes: no unit")

    def test_a_fixed_data_source_is_named(self):
        self.target("Bytes")["datasource"] = {"type": "prometheus", "uid": "P1"}
        self.assert_named("Bytes: the data source is not the variable")

    def test_an_editable_dashboard_is_named(self):
        self.dashboard["editable"] = True
        self.assert_named("editable must be false")

    def test_another_uid_is_named(self):
        self.dashboard["uid"] = "xyz"
        self.assert_named("uid is 'xyz'")

    def test_a_counter_without_rate_is_named(self):
        self.target("Appends")["expr"] = 'sum(fastchat_server_appends_total{instance=~"$server"})'
        self.assert_named("Appends: fastchat_server_appends_total is a counter")

    def test_a_gauge_under_rate_is_named(self):
        self.target("Connections")["expr"] = 'sum(rate(fastchat_server_connections{instance=~"$server"}[$__rate_interval]))'
        self.assert_named("Connections: fastchat_server_connections is no counter")

    def test_a_fixed_range_is_named(self):
        self.replace_in("Appends", "$__rate_interval", "5m")
        self.assert_named("Appends: fastchat_server_appends_total[5m]: the range must be")

    def test_irate_is_named(self):
        self.replace_in("Appends", "rate(", "irate(")
        self.assert_named("Appends: irate")

    def test_an_undefined_variable_is_named(self):
        self.replace_in("Connections", "$server", "$node")
        self.assert_named("Connections: no variable $node", 'no matcher instance=~"$server"')

    def test_a_file_that_is_no_json_can_not_be_checked(self):
        path = os.path.join(self.folder.name, "broken.json")
        with open(path, "w", encoding="utf-8") as file:
            file.write("{")
        code, said = check(path)
        self.assertEqual(code, 2)
        self.assertIn("broken.json: not JSON", said)

    def test_a_prometheus_that_does_not_answer_is_said(self):
        code, said = check("--prometheus", "http://127.0.0.1:1", *SHIPPED)
        self.assertEqual(code, 2)
        self.assertIn("http://127.0.0.1:1: no Prometheus answers", said)


class FaultsOnAPrometheus(Seeded):
    """A real Prometheus, on the shipped prometheus.yml, scrapes a fake fleet."""

    @classmethod
    def setUpClass(cls):
        cls.fleet = Fleet()
        cls.addClassCleanup(cls.fleet.close)
        cls.prometheus = PrometheusUnderTest(cls.fleet.admin_port, TOKEN)
        cls.addClassCleanup(cls.prometheus.close)
        cls.prometheus.wait_for('count(up{job="fastchat"} == 1) == 5')
        cls.fleet.strategy = "round-robin"
        cls.fleet.restart("s1")
        cls.prometheus.wait_for('fastchat_balancer_strategy_info{strategy="round-robin"} == 1')
        cls.prometheus.wait_for('changes(process_start_time_seconds{instance="s1"}[1m]) > 0')
        cls.prometheus.wait_for('count_over_time(up{instance="s1"}[1m]) > 8')
        cls.live = ("--prometheus", cls.prometheus.url, "--span", "10")

    def assert_named(self, *expected, arguments=()):
        super().assert_named(*expected, arguments=(*self.live, *arguments))

    def test_the_shipped_dashboards_show_everything(self):
        code, said = check(*self.live, "--annotations-must-show", *SHIPPED)
        self.assertEqual(code, 0, said)

    def test_the_token_and_the_targets_are_read_by_service_discovery(self):
        run = subprocess.run(
            ["promtool", "check", "service-discovery", "--timeout=3s", self.prometheus.config, "fastchat"],
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        labels = [target["labels"] for target in json.loads(run.stdout)]
        self.assertEqual({label["instance"] for label in labels}, {"s1", "s2", "b1", "host-1", "admin"})
        self.assertFalse([label for label in labels if "server" in label], "a target's label would hide a metric's")

    def test_a_misspelt_metric_is_named(self):
        self.replace_in("Connections", "fastchat_server_connections", "fastchat_server_conections")
        self.assert_named("Connections: no data", "fastchat_server_conections")

    def test_a_misspelt_label_in_a_matcher_is_named(self):
        self.replace_in("Memory", 'role="server"', 'role="srever"')
        self.assert_named("Memory: no data")

    def test_a_label_in_the_legend_that_no_series_has_is_named(self):
        self.target("Connections per server")["legendFormat"] = "{{pod}}"
        self.assert_named("Connections per server: the legend names the label pod")

    def test_several_series_under_one_legend_are_named(self):
        self.target("Connections per server")["legendFormat"] = "connections"
        self.assert_named("Connections per server: 2 series and no label in the legend")

    def test_an_expression_that_is_never_a_number_is_named(self):
        self.target("Connections")["expr"] += " * 0 / 0"
        self.assert_named("Connections: only NaN")

    def test_a_variable_without_values_is_named(self):
        variable = next(v for v in self.dashboard["templating"]["list"] if v["name"] == "server")
        variable["query"]["query"] = "label_values(fastchat_server_connections, pod)"
        self.assert_named("variable server: no values: label pod")

    def test_an_expression_that_prometheus_refuses_is_named(self):
        self.target("Connections")["expr"] = (
            'sum(fastchat_server_connections{instance=~"$server"}) + on (instance) group_left up * on (instance) fastchat_balancer_strategy_info'
        )
        self.assert_named("Connections: ")

    def test_an_annotation_that_shows_nothing_is_named_only_where_it_must(self):
        annotation = next(a for a in self.dashboard["annotations"]["list"] if a["name"] == "Restarts")
        annotation["expr"] = annotation["expr"].replace("process_start_time_seconds", "process_birth_seconds")
        quiet = copy.deepcopy(self.dashboard)
        self.assert_named("annotation Restarts: no data", arguments=("--annotations-must-show",))
        self.dashboard = quiet
        code, said = self.check_seeded(*self.live)
        self.assertEqual(code, 0, said)


if __name__ == "__main__":
    unittest.main()
