"""Bad input and bad days, on the real binary: each gets a clear answer and loses nothing else."""

import gzip
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "peers"))
from harness import BINARY, Checks, Server, free_ports  # noqa: E402

TRACES = "/v1/traces"


def spans(*changes, resource=None):
    now = time.time_ns()
    made = []
    for i, change in enumerate(changes):
        span = {"traceId": f"{7:016x}{now & (2**63 - 1):016x}", "spanId": f"{(now + i) & (2**63 - 1):016x}", "name": "work", "kind": 2,
                "startTimeUnixNano": str(now), "endTimeUnixNano": str(now + 1_000_000),
                "attributes": [{"key": "http.route", "value": {"stringValue": "/work"}}]}
        span.update(change)
        made.append(span)
    attributes = {"service.name": "bad-days", "service.instance.id": "bad-days-1", **(resource or {})}
    attributes = [{"key": k, "value": {"stringValue": v}} for k, v in attributes.items()]
    return json.dumps({"resourceSpans": [{"resource": {"attributes": attributes}, "scopeSpans": [{"spans": made}]}]}).encode()


def rejected(answer):
    partial = json.loads(answer[2] or b"{}").get("partialSuccess", {})
    return int(partial.get("rejectedSpans", 0)), partial.get("errorMessage", "")


def input_checks(checks, server):
    traces = server.otlp_url + TRACES

    def count():
        stamp = [time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + s)) for s in (-600, 120)]
        return server.query(f'series operation.latency of Operation "bad-days/work" between {stamp[0]} and {stamp[1]} show count')["value"]

    status, _, body = server.post(traces, spans({}))
    checks.check("good input is taken", status == 200 and count() == 1, (status, body))

    status, _, body = server.post(traces, b"\xff\xff\xff\xff not protobuf", "application/x-protobuf")
    checks.check("invalid protobuf: 400", status == 400, (status, body))
    status, _, body = server.post(traces, b'{"resourceSpans": [' * 10_000)
    checks.check("JSON nested 10,000 deep: 400 that says so", status == 400 and b"deep" in body.lower() or b"nest" in body.lower() or b"recursion" in body.lower(), (status, body[:300]))
    status, _, body = server.post(traces, b'{"resourceSpans": "no"}')
    checks.check("JSON of the wrong shape: 400", status == 400, (status, body))
    status, _, body = server.post(traces, b"<xml/>", "text/xml")
    checks.check("unknown content type: 415 that says what is taken", status == 415 and b"application/json" in body, (status, body))
    status, _, body = server.post(traces, b"")
    checks.check("an empty request is a success", status in (200, 400), (status, body))

    for what, change in {
        "a trace id of the wrong length": {"traceId": "abc123"},
        "a span id of the wrong length": {"spanId": "00"},
        "a trace id of zeros": {"traceId": "0" * 32},
        "a start at 0": {"startTimeUnixNano": "0"},
        "a start in 2106": {"startTimeUnixNano": "4294967296000000000", "endTimeUnixNano": "4294967296000000001"},
        "an end before the start": {"endTimeUnixNano": "1000"},
    }.items():
        before = count()
        answer = server.post(traces, spans({}, change))
        number, message = rejected(answer) if answer[0] == 200 else (0, "")
        checks.check(f"{what}: that span refused with a reason, its neighbour kept",
                     answer[0] == 200 and number == 1 and message and count() == before + 1, (answer, count(), before))

    status, _, body = server.post(traces, b'{"resourceSpans": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "\xff\xfe"}}]}}]}')
    checks.check("invalid UTF-8 in JSON: 400", status == 400, (status, body))

    # 200 MB: refused without being held in memory.
    peak = rss(server)
    status = big_body(server)
    checks.check("a 200 MB body: 413", status == 413, status)
    checks.check("which costs no memory", rss(server) - peak < 300 << 20, rss(server) - peak)
    bomb = gzip.compress(b"\0" * (1 << 30), 9)
    status, _, body = server.post(traces, bomb, "application/x-protobuf", {"Content-Encoding": "gzip"})
    checks.check(f"a gzip bomb of {len(bomb)} bytes: 413", status == 413, (status, body))
    checks.check("which costs no memory either", rss(server) - peak < 300 << 20, rss(server) - peak)
    status, _, body = server.post(traces, b"\x1f\x8bgarbage", "application/x-protobuf", {"Content-Encoding": "gzip"})
    checks.check("broken gzip: 400", status == 400, (status, body))
    status, _, body = server.post(traces, spans({}), headers={"Content-Encoding": "br"})
    checks.check("unknown encoding: a clear refusal", status in (400, 415), (status, body))

    # A million distinct attribute values.
    sent = 0
    for batch in range(100):
        now = time.time_ns()
        many = [{"attributes": [{"key": "http.route", "value": {"stringValue": "/work"}}, {"key": "user.thing", "value": {"stringValue": f"v{batch}-{i}"}}],
                 "traceId": f"{9:016x}{(batch << 20 | i) + 1:016x}", "spanId": f"{(batch << 20 | i) + 1:016x}",
                 "startTimeUnixNano": str(now), "endTimeUnixNano": str(now + 1_000_000)} for i in range(10_000)]
        status, _, body = server.post(traces, spans(*many))
        sent += status == 200
    checks.check("a million distinct attribute values are taken", sent == 100, sent)
    checks.check("in bounded memory", rss(server) < 4 << 30, rss(server))

    status, _, body = server.post(server.url + "/api/v1/feeds/changes", b"not json")
    checks.check("a feed that is not JSON: 400", status == 400, (status, body))
    status, _, body = server.post(server.url + "/api/v1/feeds/nonsense", b"{}")
    checks.check("an unknown feed: 404 that names the feeds", status == 404 and b"alertmanager" in body, (status, body))
    sources = server.get("/api/v1/sources")
    reasons = [r["reason"] for s in sources["sources"] for r in s["reasons"]]
    checks.check("what was set aside is listed with reasons", len(reasons) >= 5, reasons)
    print(reasons)
    status, _, body = server.post(traces, spans({}))
    checks.check("and good input is still taken", status == 200, (status, body))


def rss(server):
    with open(f"/proc/{server.process.pid}/status") as status:
        return int(next(line for line in status if line.startswith("VmRSS")).split()[1]) << 10


def big_body(server):
    """Sends 200 MB with a Content-Length, and reads the status even when the server stops reading."""
    with socket.create_connection(("127.0.0.1", server.otlp), timeout=60) as s:
        size = 200 << 20
        s.sendall(f"POST {TRACES} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Length: {size}\r\n\r\n".encode())
        block = b"\0" * (1 << 20)
        try:
            for _ in range(200):
                s.sendall(block)
        except OSError:
            pass
        try:
            line = s.recv(4096).split(b"\r\n")[0]
            return int(line.split()[1])
        except (OSError, IndexError, ValueError) as error:
            return str(error)


def run(*args):
    return subprocess.run([BINARY, *args], capture_output=True, text=True, timeout=60)


def disk_checks(checks):
    """A full disk, on a small file system of its own."""
    folder = tempfile.mkdtemp(prefix="e2egraph-full-")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", folder], capture_output=True, text=True)
    if not checks.check("a small file system can be mounted", mounted.returncode == 0, mounted.stderr):
        return
    try:
        server = Server(data=os.path.join(folder, "data")).start()
        filler = os.path.join(folder, "filler")
        with open(filler, "wb") as f:
            try:
                while True:
                    f.write(os.urandom(1 << 16))
                    f.flush()
            except OSError:
                pass
        statuses = set()
        for _ in range(40):
            status, headers, _ = server.post(server.otlp_url + TRACES, spans(*[{"name": "x" * 500, "spanId": f"{i + 1:016x}"} for i in range(200)]))
            statuses.add(status)
            if status == 503:
                break
        checks.check("a full disk: a retryable refusal with Retry-After", status == 503 and "retry-after" in {h.lower() for h in headers}, (statuses, headers))
        os.remove(filler)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and status != 200:
            time.sleep(0.2)
            status, _, _ = server.post(server.otlp_url + TRACES, spans({}))
        checks.check("and recovery when there is space again", status == 200, status)
        server.stop()
    finally:
        subprocess.run(["umount", "-l", folder], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def start_checks(checks):
    with Server() as server:
        ports = [f"127.0.0.1:{p}" for p in free_ports(3)]
        second = run("serve", "--data", server.data, "--http", ports[0], "--otlp-grpc", ports[1], "--otlp-http", ports[2])
        checks.check("two servers on one folder: the second says so", second.returncode == 1 and server.data in second.stderr, second.stderr)
        print(second.stderr)
        with tempfile.TemporaryDirectory() as other:
            taken = run("serve", "--data", other, "--http", f"127.0.0.1:{server.http}", "--otlp-grpc", ports[1], "--otlp-http", ports[2])
            checks.check("a port in use: which one, and what to do", taken.returncode == 1 and str(server.http) in taken.stderr, taken.stderr)
            print(taken.stderr)
    with tempfile.NamedTemporaryFile() as file:
        odd = run("serve", "--data", file.name)
        checks.check("a data folder that cannot be: a clear error", odd.returncode == 1 and file.name in odd.stderr, odd.stderr)
        print(odd.stderr)
    read_only = tempfile.mkdtemp(prefix="e2egraph-ro-")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "ro,size=1m", "tmpfs", read_only], capture_output=True, text=True)
    if checks.check("a read-only file system can be mounted", mounted.returncode == 0, mounted.stderr):
        odd = run("serve", "--data", os.path.join(read_only, "data"))
        checks.check("a read-only data folder: a clear error", odd.returncode == 1 and read_only in odd.stderr, odd.stderr)
        print(odd.stderr)
        subprocess.run(["umount", "-l", read_only], check=False)
    with tempfile.TemporaryDirectory() as site:
        with open(os.path.join(site, "classes.yaml"), "w") as f:
            f.write("classes:\n  svc:\n    Gadget: {is: Componet, key: [name], attrs: {name: string}}\n")
        odd = run("ontology", "check", "--ontology", site)
        checks.check("an ontology with an error: file, line, what to write instead",
                     odd.returncode == 1 and "classes.yaml:3" in odd.stdout + odd.stderr and "Component" in odd.stdout + odd.stderr, odd.stdout + odd.stderr)
        print(odd.stdout, odd.stderr)
    odd = run("ask")
    checks.check("a missing argument: 2, with usage", odd.returncode == 2 and "Usage" in odd.stderr, odd.stderr)
    odd = run("ask", "why?", "--server", "http://127.0.0.1:9")
    checks.check("no server: 5, and how to start one", odd.returncode == 5 and "e2egraph" in odd.stderr, (odd.returncode, odd.stderr))


def main():
    checks = Checks()
    with Server() as server:
        input_checks(checks, server)
    start_checks(checks)
    disk_checks(checks)
    return checks.close()


if __name__ == "__main__":
    sys.exit(main())
