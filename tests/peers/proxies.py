"""Real proxies before a small service: HAProxy tells of its requests over syslog and in a file, Envoy by its OpenTelemetry access logger
and in a file, as docs/sources/access-logs.md has them written. However it comes, the same must be in the graph of each."""

import contextlib
import datetime
import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

from harness import BINARY, Checks, Server, free_ports

# What is asked of a proxy: the path, and what it answers. Nothing listens behind /orders/.
ASKED = [("/cart/17", 200), ("/cart/18?q=milk", 200), ("/cart/slow", 200), ("/cart/missing/4", 404), ("/cart/broken/9", 500),
         ("/orders/3", 503), ("/wp-login.php", 404)]
SLOW_MS = 150

HAPROXY = """
global
  log 127.0.0.1:{syslog} format rfc5424 local0
  log stdout format raw local0
  log-tag edge-haproxy
  log-send-hostname
defaults
  mode http
  log global
  option dontlognull
  timeout connect 1s
  timeout client 5s
  timeout server 5s
  retries 0
  log-format '{{"date":%[date(0,ms)],"method":"%[capture.req.method,json(utf8s)]","uri":"%[capture.req.uri,json(utf8s)]","status_code":%ST,"Ta":%Ta,"frontend_name":"%f","backend_name":"%b","server_name":"%s","termination_state":"%ts"}}'
frontend web
  bind 127.0.0.1:{port}
  http-request return status 404 if {{ path_beg /wp- }}
  use_backend orders if {{ path_beg /orders/ }}
  default_backend cart
backend cart
  server cart-1 127.0.0.1:{upstream}
backend orders
  server orders-1 127.0.0.1:{closed}
"""

# Members of a line, for the file and for OTLP alike.
ENVOY_FORMAT = {
    "start_time": "%START_TIME%", "request_id": "%REQ(X-REQUEST-ID)%", "method": "%REQ(:METHOD)%",
    "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%", "response_code": "%RESPONSE_CODE%", "response_flags": "%RESPONSE_FLAGS%",
    "duration": "%DURATION%", "upstream_cluster": "%UPSTREAM_CLUSTER%", "downstream_remote_address": "%DOWNSTREAM_REMOTE_ADDRESS%",
}


class Upstream(http.server.BaseHTTPRequestHandler):
    """The service behind: it finds, fails or takes its time as it is asked."""

    def do_GET(self):
        if "slow" in self.path:
            time.sleep(SLOW_MS / 1000)
        self.send_response(404 if "missing" in self.path else 500 if "broken" in self.path else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def envoy(port, upstream, closed, otlp, file):
    """Envoy's configuration; it reads JSON like YAML."""
    def typed(kind, **fields):
        return {"@type": f"type.googleapis.com/envoy.extensions.{kind}", **fields}

    def at(port):
        return {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}

    def cluster(name, port, **more):
        endpoints = [{"lb_endpoints": [{"endpoint": at(port)}]}]
        return {"name": name, "connect_timeout": "1s", "load_assignment": {"cluster_name": name, "endpoints": endpoints}, **more}

    def values(of):
        return {"values": [{"key": key, "value": {"string_value": value}} for key, value in of.items()]}

    logs = [
        {"name": "file", "typed_config": typed(
            "access_loggers.file.v3.FileAccessLog", path=file, log_format={"json_format": ENVOY_FORMAT})},
        {"name": "otlp", "typed_config": typed(
            "access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig",
            common_config={"log_name": "edge", "transport_api_version": "V3", "grpc_service": {"envoy_grpc": {"cluster_name": "e2egraph"}},
                           "buffer_flush_interval": "0.2s"},
            resource_attributes=values({"service.name": "edge-envoy", "service.instance.id": "edge-envoy-1"}),
            body={"kvlist_value": values(ENVOY_FORMAT)})},
    ]
    routes = [{"match": {"prefix": f"/{name}/"}, "route": {"cluster": name}} for name in ("cart", "orders")]
    manager = typed(
        "filters.network.http_connection_manager.v3.HttpConnectionManager", stat_prefix="edge", access_log=logs,
        http_filters=[{"name": "router", "typed_config": typed("filters.http.router.v3.Router")}],
        route_config={"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]})
    http2 = {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": typed(
        "upstreams.http.v3.HttpProtocolOptions", explicit_http_config={"http2_protocol_options": {}})}
    return {
        "node": {"id": "edge-envoy-1", "cluster": "edge"},
        "static_resources": {
            "listeners": [{**at(port), "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}]}],
            "clusters": [cluster("cart", upstream), cluster("orders", closed),
                         cluster("e2egraph", otlp, typed_extension_protocol_options=http2)],
        },
    }


@contextlib.contextmanager
def running(command, port, output):
    """A program that listens at a port, ended by its pid."""
    with open(output, "wb") as out, open(output + ".err", "wb") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err)
        try:
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline and process.poll() is None:
                with socket.socket() as s:
                    if s.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            else:
                raise AssertionError(f"{command[0]} does not listen: {open(output + '.err').read()[-2000:]}")
            yield
        finally:
            if process.poll() is None:
                os.kill(process.pid, signal.SIGTERM)
                process.wait(20)


def statuses(port):
    """What a proxy answers to each of ASKED."""
    all_ = []
    for path, _ in ASKED:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
                all_.append(answer.status)
        except urllib.error.HTTPError as error:
            all_.append(error.code)
    return all_


def lines(path):
    """The lines of a log, once there is one for each request."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with open(path) as file:
            all_ = [line for line in file.read().splitlines() if line.startswith("{")]
        if len(all_) >= len(ASKED):
            return all_
        time.sleep(0.1)
    return all_


def send(server, file, service):
    """`e2egraph send`; its exit code and what it says."""
    done = subprocess.run([BINARY, "send", "access-log", file, "-p", f"service={service}", "--server", server.url],
                          capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def run(checks):
    syslog, haproxy_port, envoy_port, closed = free_ports(4)
    upstream = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    behind = upstream.server_address[1]
    with Server(extra=["--syslog", f"127.0.0.1:{syslog}"]) as server, tempfile.TemporaryDirectory() as folder:
        def inside(name, text):
            path = os.path.join(folder, name)
            with open(path, "w") as file:
                file.write(text)
            return path

        config = inside("haproxy.cfg", HAPROXY.format(syslog=syslog, port=haproxy_port, upstream=behind, closed=closed))
        haproxy_file = os.path.join(folder, "haproxy.log")
        with running(["/usr/sbin/haproxy", "-db", "-f", config], haproxy_port, haproxy_file):
            told = statuses(haproxy_port)
            checks.check("HAProxy answers", told == [status for _, status in ASKED], told)
            haproxy_lines = lines(haproxy_file)
        envoy_file = os.path.join(folder, "envoy.ndjson")
        config = inside("envoy.json", json.dumps(envoy(envoy_port, behind, closed, server.grpc, envoy_file)))
        program = os.path.join(os.path.dirname(sys.executable), "envoy")
        command = [program, "-c", config, "--concurrency", "1", "--log-level", "warn", "--use-dynamic-base-id"]
        with running(command, envoy_port, os.path.join(folder, "envoy.out")):
            told = statuses(envoy_port)
            checks.check("Envoy answers", told == [status for _, status in ASKED], told)
            envoy_lines = lines(envoy_file)
            check_graph(checks, server, "edge-envoy", "UF")
        check_graph(checks, server, "edge-haproxy", "SC")

        # The files, with what is beside lines of a log in a terminal: a notice, and a line whose end was not written yet.
        rest = f"[NOTICE] not a line of JSON\n{envoy_lines[0][:40]}"
        for name, all_, service, flag in (("haproxy.log", haproxy_lines, "files-haproxy", "SC"), ("envoy.ndjson", envoy_lines, "files-envoy", "UF")):
            path = inside(f"whole-{name}", "\n".join(all_) + "\n" + rest)
            code, said = send(server, path, service)
            checks.check(f"{name} is taken but for the lines that are none", code == 0 and f"{len(all_)} taken" in said
                         and "2 × line that is not JSON" in said and said.count("×") == 1, (code, said))
            send(server, path, service)
            check_graph(checks, server, service, flag)
        code, said = send(server, inside("none.log", rest), "files-none")
        checks.check("of a file without such lines nothing is taken", code == 1 and "0 taken" in said, (code, said))
        log = b"".join(open(os.path.join(at, f), "rb").read() for at, _, files in os.walk(server.data) for f in files)
        checks.check("no address of a client is kept", b'"downstream_remote_address":"127' not in log and b"downstream_remote_address" in log, "")
        sources = {s["name"]: s for s in server.get("/api/v1/sources")["sources"]}
        for name, allowed in (("otlp", set()), ("access-log", {"line that is not JSON"})):
            reasons = {r["reason"] for r in sources[name]["reasons"]}
            checks.check(f"nothing else of {name} is set aside", reasons <= allowed, sources[name])
    upstream.shutdown()


def check_graph(checks, server, service, flag):
    """What the log of one proxy must have become."""
    now = datetime.datetime.now(datetime.timezone.utc)
    between = " and ".join((now + datetime.timedelta(minutes=m)).strftime("%Y-%m-%dT%H:%M:00Z") for m in (-10, 5))

    def series(measure, of, show):
        return server.query(f"series {measure} of {of} between {between} show {show}")["value"]

    def edge(query, relation, target):
        found = server.query(query)["rows"]
        checks.check(f"{query.split(' ', 1)[1]} -{relation}-> {target}", any(r[1] == relation and target in r[2] for r in found), found)

    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        counted = sum(series("operation.latency", f'Operation "{r[1]}"', "count") or 0 for r in operations(server, service))
        if counted == len(ASKED):
            break
        time.sleep(0.2)
    checks.check(f"{service}: every request counts once", counted == len(ASKED), counted)
    names = sorted(r[1] for r in operations(server, service))
    wanted = [f"{service}/{n}" for n in ("(no such path)", "cart/broken/{id}", "cart/slow", "cart/{id}", "orders/{id}")]
    checks.check(f"{service}: one operation per shape of the path", names == wanted, names)
    slow = series("operation.latency", f'Operation "{service}/cart/slow"', "mean")
    checks.check(f"{service}: what takes long takes long", slow and SLOW_MS <= slow < 10 * SLOW_MS, slow)
    for name, errors in (("cart/{id}", 0), ("cart/broken/{id}", 1), ("orders/{id}", 1), ("(no such path)", 0)):
        told = series("operation.errors", f'Operation "{service}/{name}"', "bad")
        checks.check(f"{service}/{name}: {errors} errors", told == errors, told)
    for behind in ("cart", "orders"):
        edge(f'neighbours Service "{service}"', "depends_on", f"Service {behind}")
    known = [r[2] for r in server.query(f'neighbours Service "{service}"')["rows"] if r[1] == "depends_on"]
    checks.check(f"{service}: it depends on nothing else", len(known) == 2, known)
    edge(f'neighbours Operation "{service}/orders/{{id}}"', "hit", flag)


def operations(server, service):
    return [r for r in server.query("find Operation")["rows"] if str(r[1]).startswith(f"{service}/")]


if __name__ == "__main__":
    checks = Checks()
    run(checks)
    sys.exit(checks.close())
