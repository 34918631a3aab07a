"""A Prometheus of the test's own, on the project's `prometheus.yml`."""

import json
import os
import re
import socket
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request

CONFIG = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "prometheus.yml")
SCRAPE_INTERVAL = "250ms"
READY_WITHIN_S = 60


class PrometheusUnderTest:
    """Runs `prometheus` on the shipped configuration, against another control plane, and faster."""

    def __init__(self, admin_port, token):
        self.folder = tempfile.TemporaryDirectory()
        token_file = os.path.join(self.folder.name, "token")
        with open(token_file, "w", encoding="utf-8") as file:
            file.write(token)
        self.config = os.path.join(self.folder.name, "prometheus.yml")
        with open(CONFIG, encoding="utf-8") as shipped, open(self.config, "w", encoding="utf-8") as ours:
            ours.write(_adapted(shipped.read(), admin_port, token_file))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.log = open(os.path.join(self.folder.name, "log"), "w+", encoding="utf-8")
        self.process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={self.config}",
                f"--storage.tsdb.path={self.folder.name}/data",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )

    def wait_for(self, promql):
        """Returns once `promql` has a result. TimeoutError, with Prometheus's log, where it gets none."""
        end = time.monotonic() + READY_WITHIN_S
        query = f"{self.url}/api/v1/query?" + urllib.parse.urlencode({"query": promql})
        while time.monotonic() < end and self.process.poll() is None:
            try:
                with urllib.request.urlopen(query, timeout=5) as answer:
                    if json.load(answer)["data"]["result"]:
                        return
            except OSError:
                pass
            time.sleep(0.1)
        self.log.seek(0)
        raise TimeoutError(f"{promql}: nothing within {READY_WITHIN_S} s; Prometheus said:\n{self.log.read()}")

    def close(self):
        """Ends it and removes its data."""
        self.process.terminate()
        self.process.wait(timeout=30)
        self.log.close()
        self.folder.cleanup()


def _adapted(config, admin_port, token_file):
    replacements = (
        (r"http://127\.0\.0\.1:7100/", f"http://127.0.0.1:{admin_port}/"),
        (r"credentials_file: \S+", f"credentials_file: {token_file}"),
        (r"scrape_interval: \S+", f"scrape_interval: {SCRAPE_INTERVAL}"),
    )
    for pattern, replacement in replacements:
        config, count = re.subn(pattern, replacement, config)
        if count != 1:
            raise ValueError(f"grafana/prometheus.yml: {pattern} stands there {count} times, not once: adapt this test")
    return config
