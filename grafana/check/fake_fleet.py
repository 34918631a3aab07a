"""A fleet made of text, for the tests: each process serves `/metrics`, a control plane lists them.

The names and labels are those that FastChat's processes export; the values grow
with time, so that a rate of them is above 0.
"""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "a token for the tests"
STRATEGIES = ("least-bytes", "least-load", "power-of-two", "random", "rendezvous", "round-robin")
BUCKETS = ("0.001", "0.01", "0.1", "1", "+Inf")


class Fleet:
    """Two chat servers, a balancer, an agent, a control plane; each on a port of its own."""

    def __init__(self):
        self.started = time.time()
        self.strategy = "least-load"
        self.start_times = {name: int(self.started) for name in ("s1", "s2", "b1", "host-1", "admin")}
        self.servers = []
        targets = []
        for name, role, text in (
            ("s1", "server", self._server),
            ("s2", "server", self._server),
            ("b1", "balancer", self._balancer),
            ("host-1", "agent", self._agent),
            ("admin", "control", self._admin),
        ):
            port = self._serve({"/metrics": ("text/plain; version=0.0.4", lambda n=name, r=role, t=text: self._process(n, r) + t())})
            labels = {"role": role, "server": name, "host": "host-1"}
            targets.append({"targets": [f"127.0.0.1:{port}"], "labels": labels})
        path = "/v1/prometheus/targets"
        self.admin_port = self._serve({path: ("application/json", lambda: json.dumps(targets))}, TOKEN)

    def restart(self, name):
        """From now on the process says that it started a second later."""
        self.start_times[name] += 1

    def close(self):
        """Ends all listeners."""
        for server in self.servers:
            server.shutdown()
            server.server_close()

    def _serve(self, routes, token=None):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                if token and self.headers.get("Authorization") != f"Bearer {token}":
                    return self.send_error(401)
                if self.path not in routes:
                    return self.send_error(404)
                content_type, text = routes[self.path]
                body = text().encode()
                self.send_response(200)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.servers.append(server)
        return server.server_port

    def _counted(self, per_second=100):
        return int((time.time() - self.started) * per_second)

    def _process(self, name, role):
        return _lines(
            ("fastchat_build_info", {"role": role, "version": "0.1.0"}, 1),
            ("process_start_time_seconds", {}, self.start_times[name]),
            ("process_resident_memory_bytes", {}, 20_000_000),
            ("process_cpu_seconds_total", {}, self._counted(1)),
            ("process_open_fds", {}, 30),
            ("process_max_fds", {}, 1024),
        )

    def _server(self):
        count = self._counted()
        plain = ("connections_accepted", "frames_in", "frames_out", "bytes_in", "bytes_out", "appends", "append_duplicates")
        plain += ("pushes", "pushes_dropped", "holes_read", "bus_messages_in", "bus_messages_out", "bus_messages_dropped")
        plain += ("blob_bytes_in", "blob_bytes_out", "blob_orphans_removed")
        plain += ("bus_messages_lost", "bus_links_ended", "bus_bytes_in", "bus_bytes_out")
        return (
            _lines(
                ("fastchat_server_connections", {}, 3),
                ("fastchat_server_generation", {}, 1),
                *_tls("server", {"listener": "clients"}),
                ("fastchat_server_connections_closed_total", {"reason": "closed-by-client"}, 0),
                ("fastchat_server_requests_total", {"op": "append"}, count),
                ("fastchat_server_errors_total", {"code": "not-member"}, 0),
                ("fastchat_server_errors_total", {"code": "bad-request"}, 0),
                ("fastchat_server_limited_total", {"limit": "account-appends"}, 0),
                ("fastchat_server_bus_link_up", {"peer": "s2"}, 1),
                ("fastchat_server_bus_connected", {}, 1),
                ("fastchat_server_bus_refused_total", {"reason": "key"}, 0),
                *(("fastchat_server_append_paths_total", {"path": path}, count) for path in ("memory", "locked", "again")),
                ("fastchat_server_sign_ins_total", {"method": "password", "outcome": "ok"}, 1),
                ("fastchat_server_blob_bytes_in_memory", {}, 0),
                ("fastchat_server_blobs_lost", {}, 0),
                ("fastchat_server_blobs_removed_total", {"reason": "unfinished"}, count),
                ("fastchat_server_blob_sweeps_total", {"outcome": "done"}, count),
                *((f"fastchat_server_{name}_total", {}, count) for name in plain),
                *(
                    (f"fastchat_server_{name}_total", {"event": event}, count)
                    for name in ("hints", "hints_dropped")
                    for event in ("mark", "signal", "device", "presence")
                ),
                ("fastchat_server_presence_watched", {}, 3),
            )
            + _histogram("fastchat_server_append_latency_seconds", count)
            + _histogram("fastchat_server_append_batch_entries", count)
        )

    def _balancer(self):
        count = self._counted()
        plain = ("frames_in", "frames_out", "bytes_in", "bytes_out", "tickets_redeemed", "tickets_expired")
        strategies = (("fastchat_balancer_strategy_info", {"strategy": s}, int(s == self.strategy)) for s in STRATEGIES)
        return _lines(
            ("fastchat_balancer_connections", {}, 1),
            ("fastchat_balancer_servers", {}, 2),
            ("fastchat_balancer_generation", {}, 1),
            *_tls("balancer", {"listener": "clients"}),
            ("fastchat_balancer_balancing_generation", {}, 1),
            ("fastchat_balancer_assign_failures_total", {"code": "no-server"}, 0),
            ("fastchat_balancer_limited_total", {"limit": "address-assigns"}, 0),
            ("fastchat_balancer_limited_total", {"limit": "balancer-pipes"}, 0),
            ("fastchat_balancer_assign_failures_total", {"code": "overloaded"}, 0),
            ("fastchat_balancer_trial", {}, 1),
            ("fastchat_balancer_trial_left_seconds", {}, 60),
            ("fastchat_balancer_reverts_total", {"cause": "unconfirmed"}, 0),
            ("fastchat_balancer_pipes", {}, 1),
            *(("fastchat_balancer_piped_bytes_total", {"direction": d}, count) for d in ("up", "down")),
            *(("fastchat_balancer_budget_left", {"server": s, "class": c}, 5) for s in ("s1", "s2") for c in ("resume", "sign-in")),
            *(("fastchat_balancer_assigns_total", {"server": s}, count) for s in ("s1", "s2")),
            *(("fastchat_balancer_server_connections", {"server": s}, 3) for s in ("s1", "s2")),
            *(("fastchat_balancer_server_reserved", {"server": s}, 0) for s in ("s1", "s2")),
            *(("fastchat_balancer_server_ejected", {"server": s}, 0) for s in ("s1", "s2")),
            *((f"fastchat_balancer_{name}_total", {}, count) for name in plain),
            *(("fastchat_balancer_shadow_imbalance", {"strategy": s}, 0) for s in STRATEGIES),
            *strategies,
        ) + _histogram("fastchat_balancer_assign_latency_seconds", count) + _histogram(
            "fastchat_balancer_wait_seconds", count, buckets=("0", *BUCKETS)
        )

    def _agent(self):
        return _lines(
            ("fastchat_agent_instances", {"state": "running"}, 3),
            ("fastchat_agent_restarts_total", {"instance": "s1"}, 0),
            ("fastchat_agent_generation", {}, 1),
        )

    def _admin(self):
        return _lines(
            ("fastchat_admin_http_requests_total", {"route": "/v1/servers", "method": "GET", "status": "200"}, self._counted(1)),
            ("fastchat_admin_generation", {}, 1),
            *_tls("admin", {}),
            ("fastchat_admin_servers", {"state": "ready"}, 2),
            ("fastchat_admin_operations", {"state": "succeeded"}, 2),
        ) + _histogram("fastchat_admin_http_request_duration_seconds", self._counted(1), {"route": "/v1/servers"})


def _tls(component, labels):
    return (
        (f"fastchat_{component}_tls_handshake_failures_total", {**labels, "reason": "refuses"}, 0),
        (f"fastchat_{component}_tls_certificate_expires_timestamp_seconds", {}, int(time.time()) + 30 * 86_400),
    )


def _lines(*samples):
    text = ""
    for name, labels, value in samples:
        inside = ",".join(f'{key}="{label}"' for key, label in labels.items())
        text += f"{name}{{{inside}}} {value}\n"
    return text


def _histogram(name, count, labels=None, buckets=BUCKETS):
    labels = labels or {}
    buckets = [(f"{name}_bucket", {**labels, "le": le}, count * (i + 1) // len(buckets)) for i, le in enumerate(buckets)]
    return _lines(*buckets, (f"{name}_sum", labels, count / 100), (f"{name}_count", labels, count))
