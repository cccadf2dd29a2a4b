"""Real senders beside OpenTelemetry's: nginx over syslog, the Elasticsearch client, a handler for Loki, OpenTelemetry's exporters for
Zipkin, and a gRPC client that speaks Jaeger. What they send must be in the graph, and bad input must be refused clearly."""

import json
import logging
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import grpc
import logging_loki
from elasticsearch import Elasticsearch, helpers
from opentelemetry.exporter.zipkin.json import ZipkinExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanKind, set_span_in_context

from harness import Checks, Server, free_ports

NGINX = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log syslog:server=127.0.0.1:{syslog},tag=edge error;
events {{}}
http {{
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  log_format access escape=json '{{"request_method":"$request_method","uri":"$uri","status":$status,"request_time":$request_time,'
    '"upstream_addr":"$upstream_addr","upstream_response_time":"$upstream_response_time","upstream_name":"$proxy_host"}}';
  access_log syslog:server=127.0.0.1:{syslog},tag=edge access;
  upstream cart {{ server 127.0.0.1:{closed}; }}
  server {{
    listen 127.0.0.1:{port};
    location /fine/ {{ return 200 "fine"; }}
    location /cart/ {{ proxy_pass http://cart; }}
    location / {{ return 404; }}
  }}
}}
"""


def nginx(folder, syslog):
    """Starts nginx, asks it for pages, and ends it by its pid."""
    port, closed = free_ports(2)
    path = os.path.join(folder, "nginx.conf")
    with open(path, "w") as file:
        file.write(NGINX.format(folder=folder, syslog=syslog, port=port, closed=closed))
    process = subprocess.Popen(["/usr/sbin/nginx", "-p", folder, "-e", os.path.join(folder, "error"), "-c", path])
    try:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        statuses = []
        for page in ["/fine/17", "/fine/18", "/cart/4711", "/wp-login.php"]:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}{page}", timeout=10) as answer:
                    statuses.append(answer.status)
            except urllib.error.HTTPError as error:
                statuses.append(error.code)
        return statuses
    finally:
        os.kill(process.pid, signal.SIGTERM)
        process.wait(10)


def zipkin(exporter, service):
    """A service's span and its question to a store, by OpenTelemetry's exporter."""
    provider = TracerProvider(resource=Resource({
        "service.name": service, "service.version": "1.4", "service.instance.id": f"{service}-1", "host.id": f"host-{service}"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    server = tracer.start_span("GET /home", kind=SpanKind.SERVER, attributes={"http.route": "/home"})
    call = tracer.start_span("SELECT", kind=SpanKind.CLIENT, context=set_span_in_context(server),
                             attributes={"db.system": "postgresql", "db.name": "carts"})
    call.end()
    server.end()
    provider.shutdown()


def field(number, value):
    """One field of a protobuf message."""
    if isinstance(value, int):
        out = bytes([number << 3])
        while value >= 0x80:
            out += bytes([value & 0x7F | 0x80])
            value >>= 7
        return out + bytes([value])
    if isinstance(value, str):
        value = value.encode()
    length = field(1, len(value))[1:]
    return bytes([number << 3 | 2]) + length + value


def jaeger(address):
    """One span of Jaeger's, over gRPC."""
    def tag(key, value):
        return field(1, key) + field(3, value)

    moment = field(1, int(time.time()))
    span = (field(1, struct.pack(">QQ", 1, 2)) + field(2, struct.pack(">Q", 3)) + field(3, "GET /old") + field(6, moment)
            + field(7, field(2, 250_000_000)) + field(8, tag("span.kind", "server")) + field(8, tag("http.route", "/old")))
    process = field(1, "legacy") + field(2, tag("service.instance.id", "legacy-1"))
    request = field(1, field(1, span) + field(2, process))
    with grpc.insecure_channel(address) as channel:
        post = channel.unary_unary("/jaeger.api_v2.CollectorService/PostSpans", lambda b: b, lambda b: b)
        answer = post(request, timeout=10)
        try:
            post(b"\x0a\x7f", timeout=10)
            refused = None
        except grpc.RpcError as error:
            refused = error.code()
    return answer, refused


def loki(url):
    """Lines of a program that logs through a handler for Loki."""
    handler = logging_loki.LokiHandler(url=f"{url}/loki/api/v1/push", tags={"application": "billing", "instance": "billing-1"}, version="1")
    logger = logging.getLogger("billing.invoice")
    logger.addHandler(handler)
    logger.propagate = False
    for number in (17, 18, 99):
        logger.error("no invoice for customer %d", number)
    handler.close()


def elastic(url):
    """Documents by the client's helper for bulk requests."""
    client = Elasticsearch(f"{url}/elasticsearch")
    version = client.info()["version"]["number"]
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    documents = [{"@timestamp": now, "message": f"no stock for item {i}", "log.level": "error", "log.logger": "shop.Stock",
                  "service": {"name": "stock", "node": {"name": "stock-1"}}, "host": {"name": "web-7"}} for i in range(50)]
    taken, _ = helpers.bulk(client, documents, index="logs-shop")
    refused = 0
    for ok, _ in helpers.streaming_bulk(client, [{"_op_type": "delete", "_index": "logs-shop", "_id": "1"}], raise_on_error=False):
        refused += not ok
    found = client.options(ignore_status=404).perform_request("GET", "/_license").meta.status
    client.close()
    return version, taken, refused, found


def run(checks):
    syslog = free_ports(1)[0]
    with Server(extra=["--syslog", f"127.0.0.1:{syslog}"]) as server, tempfile.TemporaryDirectory() as folder:
        checks.check("nginx answers", (statuses := nginx(folder, syslog)) == [200, 200, 502, 404], statuses)
        with socket.create_connection(("127.0.0.1", syslog)) as stream:
            stream.sendall(b"<11>1 2026-11-24T12:05:00Z tcp-host mailer 7 - - queue 17 is full\n")
        zipkin(ZipkinExporter(endpoint=f"{server.url}/api/v2/spans"), "basket")
        answer, refused = jaeger(f"127.0.0.1:{server.grpc}")
        checks.check("Jaeger's call is answered, a broken one refused", answer == b"" and refused == grpc.StatusCode.INVALID_ARGUMENT, (answer, refused))
        loki(server.url)
        told = elastic(server.url)
        checks.check("the Elasticsearch client sends in bulk, and sees what was not taken", told[1:] == (50, 1, 404), told)

        def ask(query, good):
            deadline = time.monotonic() + 20
            answer = None
            while time.monotonic() < deadline:
                try:
                    answer = server.query(query)
                    if good(answer["rows"]):
                        return True, answer
                except OSError as error:
                    answer = str(error)
                time.sleep(0.2)
            return False, answer

        def edge(query, relation, target):
            found, answer = ask(query, lambda rows: any(r[1] == relation and target in r[2] for r in rows))
            checks.check(f"{query.split(' ', 1)[1]} -{relation}-> {target}", found, answer)

        edge('neighbours Operation "edge/fine/{id}"', "operation_of", "Service edge")
        edge('neighbours Operation "edge/cart/{id}"', "operation_of", "Service edge")
        edge('neighbours Service "edge"', "depends_on", "Service cart")
        found, answer = ask("find Operation", lambda rows: not any("wp-login" in str(r) for r in rows))
        checks.check("a page that is not there names no operation", found, answer)
        edge('neighbours Instance "mailer/tcp-host"', "instance_of", "Service mailer")
        edge('neighbours Operation "basket/home"', "uses", "Datastore")
        edge('neighbours Instance "basket-1"', "runs_on", "host-basket")
        edge('neighbours Operation "legacy/old"', "operation_of", "Service legacy")
        edge('neighbours Instance "legacy-1"', "instance_of", "Service legacy")
        edge('neighbours Instance "billing-1"', "hit", "no invoice for customer <*>")
        edge('neighbours Instance "stock-1"', "hit", "no stock for item <*>")
        kinds = server.query("find ErrorKind")
        checks.check("lines that differ in data are one kind, and their text is not kept",
                     not any("17" in r[1] or "99" in r[1] for r in kinds["rows"]), kinds)
        sources = {s["name"]: s for s in server.get("/api/v1/sources")["sources"]}
        for name, items in (("zipkin", 2), ("jaeger", 1), ("loki", 3), ("elasticsearch", 51)):
            got = sources.get(name, {})
            checks.check(f"{items} items from {name}", got.get("items") == items, got)
        aside = {n: s["reasons"] for n, s in sources.items() if s["refused"] and n not in ("elasticsearch", "jaeger")}
        checks.check("nothing else that they sent is set aside", not aside, aside)

        for path, kind, body, status in (
            ("/api/v2/spans", "application/json", b"{}", 400), ("/api/v2/spans", "text/plain", b"[]", 415),
            ("/loki/api/v1/push", "application/json", b"{}", 400), ("/loki/api/v1/push", "application/x-protobuf", b"\x05nope", 400),
            ("/elasticsearch/_bulk", "application/x-ndjson", b'{"frob":{}}\n', 400),
        ):
            code, _, text = server.post(server.url + path, body, kind)
            checks.check(f"{path} refuses {body!r} as {kind}", code == status and json.loads(text)["error"], (code, text))


if __name__ == "__main__":
    checks = Checks()
    run(checks)
    sys.exit(checks.close())
