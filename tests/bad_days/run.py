"""Bad input and bad days, on the real binary: each gets a clear answer and loses nothing else."""

import glob
import gzip
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

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


def cypher_checks(checks, server):
    """Queries that nobody means: each ends in bounded time and memory with a clear word."""

    def ask(query, **more):
        begin = time.monotonic()
        status, _, body = server.post(server.url + "/api/v1/cypher", json.dumps({"query": query, **more}).encode())
        return status, json.loads(body or b"{}"), time.monotonic() - begin

    before = rss(server)
    for what, query in {
        "a query of 1 MB": "RETURN '" + "x" * (1 << 20) + "'",
        "lists nested 10,000 deep": "RETURN " + "[" * 10_000 + "]" * 10_000,
    }.items():
        status, answer, took = ask(query)
        checks.check(f"{what}: 413, quickly", status == 413 and answer.get("error") and took < 5, (status, str(answer)[:300], took))
    for what, query in {
        "parentheses": "RETURN " + "(" * 4000 + "1" + ")" * 4000,
        "NOT": "RETURN " + "NOT " * 2000 + "true",
        "minus": "RETURN " + "-" * 8000 + "1",
        "EXISTS": "MATCH (a) WHERE " + "EXISTS { MATCH (b) WHERE " * 250 + "true" + " }" * 250 + " RETURN a",
        "steps of a pattern": "MATCH (a)" + "-->()" * 1500 + " RETURN a",
    }.items():
        status, answer, took = ask(query)
        problem = answer.get("problem") or {}
        checks.check(f"{what} by the thousand in what is short enough: 400 that says where", status == 400 and problem.get("line") == 1 and problem.get("column", 0) > 1 and took < 5,
                     (status, str(answer)[:300], took))
    for what, query in {
        "a product of everything with itself": "MATCH (a), (b), (c), (d), (e), (f), (g), (h), (i), (j), (k), (l), (m), (n), (o), (r), (s), (t), (u), (v) RETURN count(*)",
        "walks of any length over cycles": "MATCH p = (a)-[*]-(b), q = (c)-[*]-(d), (e), (f), (g), (h), (i), (j), (k), (l), (m), (n), (o), (r), (s), (t), (u), (v) RETURN count(p), count(q)",
        "numbers without end": "UNWIND range(1, 1000000) AS a UNWIND range(1, 1000000) AS b RETURN max(a + b)",
    }.items():
        status, answer, took = ask(query, limits={"seconds": 1})
        checks.check(f"{what}: ended by its limit, and said", status == 200 and answer.get("truncated") == "time" and took < 10, (status, str(answer)[:300], took))
    status, answer, took = ask("RETURN range(1, 1000000000000) AS all")
    checks.check("a list larger than memory: the same", status == 200 and answer.get("truncated") == "memory" and took < 10, (status, str(answer)[:300], took))
    for what, query, near, wanted in [
        ("label", "MATCH (s:Servce) RETURN s", "Service", 404),
        ("relationship type", "MATCH ()-[c:cals]->() RETURN c", "calls", 404),
        ("property", "MATCH (s:Service) RETURN s.frst_seen", "first_seen", 404),
        ("function", "RETURN siez([1])", "size", 400),
    ]:
        status, answer, _ = ask(query)
        checks.check(f"an unknown {what}: {wanted} with the nearest", status == wanted and near in json.dumps(answer), (status, str(answer)[:300]))
    checks.check("all of it in bounded memory", rss(server) - before < 600 << 20, rss(server) - before)
    status, answer, _ = ask("MATCH (s:Service) RETURN count(s) AS n")
    checks.check("and a good query is answered", status == 200 and answer["rows"][0][0] >= 1, (status, answer))


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


def command_line_checks(checks):
    """Wrong command lines: exit 2, and what is wrong with which part. A reader that goes away: no panic."""
    time_hint, span = "2026-11-24T12:05:00Z", "2026-11-24T10:00:00Z..2026-11-24T11:00:00Z"
    for args, says in [
        (["--nope"], "--nope"), (["ask"], "QUESTION"), (["ask", ""], "QUESTION"), (["ask", "why?", "--at", "yesterday"], time_hint),
        (["ask", "why?", "--server", "ftp://x"], "http://127.0.0.1:4320"), (["graph", "find", ""], "CLASS"),
        (["graph", "find", "Service", "--at", "2026-13-01"], time_hint), (["graph", "find", "Service", "--limit", "many"], "--limit"),
        (["graph", "diff", "--before", "x", "--after", span], ".."), (["graph", "diff", "--before", "x..y", "--after", span], time_hint),
        (["graph", "diff", "--before", "2026-11-24T11:00:00Z..2026-11-24T10:00:00Z", "--after", span], "begin before"),
        (["ontology", "schema", "nope"], "classes"), (["eval", "nope", "."], "robustspot"),
        (["bench", "nope"], "fold"), (["sim", "score", "--seeds", "0"], "--seeds"), (["sim", "run", "nope"], "version_cell"),
        (["sim", "run", "healthy", "--speed", "nan"], "--speed"), (["demo", "--scenario", "日本"], "version_cell"),
        (["serve", "--http", "nowhere"], "--http"), (["serve", "--allow-host", "http://x"], "graph.example"), (["completions", "tcsh"], "zsh"),
    ]:
        odd = run(*args)
        checks.check(f"{' '.join(args)}: 2, and says what would be right", odd.returncode == 2 and says in odd.stderr and not odd.stdout, (odd.returncode, odd.stderr))
    odd = run("ontology", "show", "nope")
    checks.check("ontology show nope: 3, and what is nearest", odd.returncode == 3 and "nearest" in odd.stderr and not odd.stdout, (odd.returncode, odd.stderr))
    for command in ["ontology show classes", "ontology schema classes", "completions bash", "sim list", "--help"]:
        closed = subprocess.run(["bash", "-c", f'"{BINARY}" {command} > >(true); sleep 0.1; "{BINARY}" {command} | head -c 1; echo "${{PIPESTATUS[0]}}"'],
                                capture_output=True, text=True, timeout=60)
        checks.check(f"{command} | head: no panic", closed.stdout.endswith("0\n") and "panic" not in closed.stderr, (closed.stdout, closed.stderr))
    for args in [["ontology", "show", part, "--json"] for part in ("classes", "relations", "measures")] + [["ontology", "check", "--json"], ["sim", "list", "--json"]]:
        done = run(*args)
        try:
            json.loads(done.stdout)
        except ValueError as error:
            checks.check(f"{' '.join(args)}: one JSON document", False, (error, done.stdout[:200]))
    for shell in ("bash", "zsh", "fish"):
        script = run("completions", shell).stdout
        checks.check(f"completions for {shell}", "e2egraph" in script, script[:200])
        if shutil.which(shell):
            check = subprocess.run([shell, "-n"], input=script, capture_output=True, text=True, timeout=60)
            checks.check(f"{shell} reads them", check.returncode == 0 and not check.stderr, check.stderr)
    with Server() as server:
        answer = run("graph", "find", "Service", "--server", server.url, "--json")
        checks.check("graph find --json: one document", answer.returncode == 0 and json.loads(answer.stdout)["rows"] == [], answer)
        asked = run("ask", "Why is the flux capacitor wobbling?", "--server", server.url, "--json")
        checks.check("not understood: 3", asked.returncode == 3 and json.loads(asked.stdout)["status"] == "not_understood", (asked.returncode, asked.stderr))
        ports = ["--http", f"127.0.0.1:{server.http}", "--otlp-grpc", f"127.0.0.1:{server.grpc}", "--otlp-http", f"127.0.0.1:{server.otlp}"]
        played = run("sim", "run", "healthy", "--json", *ports)
        checks.check("sim run --json: one document", played.returncode == 0 and json.loads(played.stdout)["requests"] > 1000, (played.stdout, played.stderr))


def protection_checks(checks):
    """Addresses that others can reach are refused without a word from the operator (docs/security.md)."""
    with tempfile.TemporaryDirectory() as data:
        ports = {"--http": "127.0.0.1:0", "--otlp-grpc": "127.0.0.1:0", "--otlp-http": "127.0.0.1:0"}
        for flag in ports:
            for command in ("serve", "demo"):
                odd = run(command, "--data", data, *[word for pair in {**ports, flag: "0.0.0.0:0"}.items() for word in pair])
                checks.check(f"{command} {flag} 0.0.0.0: refused, naming it and the override", odd.returncode == 2 and flag in odd.stderr
                             and "--unprotected" in odd.stderr and not os.listdir(data), (odd.returncode, odd.stderr))
    with Server(extra=["--unprotected", "--allow-origin", "https://tv.example/", "--allow-host", "Graph.example"]) as server:
        page = {"Origin": "https://tv.example"}
        status, headers, _ = server.post(server.otlp_url + TRACES, spans({}), headers=page)
        allowed = {k.lower(): v for k, v in headers.items()}.get("access-control-allow-origin")
        checks.check("a page of an allowed origin may send", status == 200 and allowed == "https://tv.example", (status, headers))
        status, _, body = server.post(server.otlp_url + TRACES, spans({}), headers={"Origin": "https://evil.example"})
        checks.check("another may not, and is told how it could", status == 403 and b"--allow-origin" in body, (status, body))
        status, _, body = server.post(server.otlp_url + TRACES, gzip.compress(spans({})), headers={"Content-Encoding": "GZIP"})
        checks.check("names of encodings in capitals are the same", status == 200, (status, body))
        for name, wanted in {"evil.example": 403, "graph.example:443": 200, f"localhost:{server.http}": 200}.items():
            for path in ("/", "/healthz", "/metrics", "/api/v1/regressions"):
                status, body = called(server, name, path)
                checks.check(f"{path} called {name}: {wanted}", status == wanted and (wanted == 200 or b"--allow-host" in body), (status, body[:300]))
        status, _, body = server.post(server.url + "/nowhere", b"{}")
        checks.check("an unknown address: 404 in JSON", status == 404 and "error" in json.loads(body or b"{}"), (status, body))
        status, _, body = server.post(server.url + "/healthz", b"{}")
        checks.check("a wrong method: 405 in JSON", status == 405 and "error" in json.loads(body or b"{}"), (status, body))


def called(server, name, path):
    request = urllib.request.Request(server.url + path, headers={"Host": name})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def mapped_checks(checks):
    """Many distinct values of attributes that name nodes: held within the bounds, and reported."""
    with Server() as server:
        for batch in range(45):
            now = time.time_ns()
            ids = [batch * 10_000 + i for i in range(10_000)]
            records = [{"timeUnixNano": str(now), "eventName": "e2e.view.rendered", "attributes": [
                {"key": k, "value": {"stringValue": v}} for k, v in {"e2e.view.name": "lolomo", "e2e.interaction.id": f"i{n}", "session.id": f"s{n}", "e2e.outcome": "ok"}.items()]} for n in ids]
            resource = {"attributes": [{"key": k, "value": {"stringValue": v}} for k, v in {"e2e.app.name": "tvui", "e2e.app.platform": "tv", "service.version": "1"}.items()]}
            status, _, body = server.post(server.otlp_url + "/v1/logs", json.dumps({"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": records}]}]}).encode())
            if status != 200:
                checks.check("many sessions are taken", False, (status, body))
                break
        bounds = {line["name"]: line for line in server.get("/api/v1/sources")["limits"]}
        sampled = bounds["graph_sampled_nodes"]
        checks.check("sessions beyond the bound are let go", 0 < sampled["used"] <= sampled["value"], sampled)
        checks.check("and counted under the bound's name", metric(server, "e2egraph_beyond_limit_total", "graph_sampled_nodes") > 0)
        checks.check("in bounded memory", rss(server) < 2 << 30, rss(server))


def metric(server, family, limit):
    text = urllib.request.urlopen(server.url + "/metrics", timeout=30).read().decode()
    found = re.search(rf'^{family}{{limit="{limit}"}} (\S+)$', text, re.M)
    return float(found.group(1)) if found else -1


def damage_checks(checks):
    """Flipped bytes in the middle of the log: named by file and offset, everything around them read."""
    server = Server().start()
    try:
        for i in range(20):
            server.post(server.otlp_url + TRACES, spans({}))
        stamp = [time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + s)) for s in (-600, 120)]
        text = f'series operation.latency of Operation "bad-days/work" between {stamp[0]} and {stamp[1]} show count'
        before = server.query(text)["value"]
        server.stop()
        segment = sorted(glob.glob(os.path.join(server.data, "log-*.seg")))[0]
        with open(segment, "r+b") as file:
            file.seek(os.path.getsize(segment) // 2)
            flipped = bytes(b ^ 0xFF for b in file.read(8))
            file.seek(-8, os.SEEK_CUR)
            file.write(flipped)
        server.start()
        said = server.output()
        checks.check("damage in the log: said by file and offset", os.path.basename(segment) in said and "cannot be read" in said, said)
        checks.check("the restart says how long it took", re.search(r"requests replayed from .* in [0-9.]+ s", said), said)
        after = server.query(text)["value"]
        checks.check("all but the damaged record is there", before - 2 <= after < before, (before, after))
        code = interrupted(server)
        checks.check("SIGINT ends it well", code == 0, f"exit code {code}; {server.output()[-600:]}")
        folder_checks(checks, server, segment)
    finally:
        server.stop()
        shutil.rmtree(server.data, ignore_errors=True)


def folder_checks(checks, server, segment):
    """A stopped server's folder: who may read it, and what is missing from it or too new in it."""
    def started():
        ports = ["--http", "127.0.0.1:0", "--otlp-grpc", "127.0.0.1:0", "--otlp-http", "127.0.0.1:0"]
        return run("serve", "--data", server.data, *ports)

    open_files = [name for name in os.listdir(server.data) if os.stat(os.path.join(server.data, name)).st_mode & 0o077]
    checks.check("no file of the data folder is for others", not open_files, open_files)
    with open(segment, "rb") as file:
        whole = file.read()
    with open(segment, "wb") as file:
        file.write(whole[:3] + b"2" + whole[4:35] + b"2" + whole[36:])
    odd = started()
    checks.check("a segment of a newer format: refused by name", odd.returncode == 1 and os.path.basename(segment) in odd.stderr and "newer format version 2" in odd.stderr, odd.stderr)
    with open(segment, "wb") as file:
        file.write(whole)
    os.remove(os.path.join(server.data, "doc-hash-key"))
    odd = started()
    checks.check("a log without its hash key: refused, saying what would go wrong and how to go on", odd.returncode == 1 and "other ids" in odd.stderr and "--new-hash-key" in odd.stderr, odd.stderr)
    print(odd.stderr)
    server.extra = ["--new-hash-key"]
    os.chmod(server.data, 0o755)
    server.start()
    checks.check("and opened on purpose", os.path.exists(os.path.join(server.data, "doc-hash-key")), server.output())
    checks.check("a folder that others may read: said at the start", "chmod 700" in server.output(), server.output())


def store_checks(checks):
    """`store check` and `store stats`: whole, damaged, torn, in use, not there, not ours, not readable; nothing is changed."""
    def contents():
        return {name: open(os.path.join(server.data, name), "rb").read() for name in sorted(os.listdir(server.data))}

    def checked(*args):
        before = contents()
        done = run("store", "check", server.data, *args)
        checks.check("store check changes nothing", contents() == before)
        return done

    server = Server().start()
    try:
        for _ in range(20):
            server.post(server.otlp_url + TRACES, spans({}))
        for command in ("check", "stats"):
            odd = run("store", command, server.data)
            says = f"in use by a running server (process {server.process.pid})"
            checks.check(f"store {command} of a folder in use: 1, and by whom", odd.returncode == 1 and says in odd.stderr and not odd.stdout, odd)
        server.stop()
        whole = checked()
        checks.check("a whole folder: 0", whole.returncode == 0 and whole.stdout.endswith("sound\n") and "20 records" in whole.stdout, whole)
        stats = json.loads(run("store", "stats", server.data, "--json").stdout)
        form = stats["by_form"][0]
        checks.check("stats: bytes by form and source, times, documents",
                     (form["source"], form["form"], form["records"], form["bytes"]) == ("otlp", "TracesJson", 20, stats["body_bytes"])
                     and stats["first_arrival"] < stats["last_arrival"] and "hash-key" in [d["name"] for d in stats["documents"]], stats)
        segment = sorted(glob.glob(os.path.join(server.data, "log-*.seg")))[0]
        size = os.path.getsize(segment)
        with open(segment, "r+b") as file:
            file.seek(size // 2)
            flipped = file.read(1)[0] ^ 1
            file.seek(size // 2)
            file.write(bytes([flipped]))
            file.seek(0, os.SEEK_END)
            file.write(b"half a record")
        damaged = checked("--json")
        told = json.loads(damaged.stdout)
        at = told["damage"][0]
        checks.check("a flipped bit: 1, by file and offset", damaged.returncode == 1 and not told["sound"] and len(told["damage"]) == 1
                     and at["file"] == os.path.basename(segment) and at["offset"] <= size // 2 < at["offset"] + at["bytes"]
                     and at["records_lost"] == 1 and told["records"] == 19, told)
        checks.check("a torn tail: where and how long", (told["torn"]["offset"], told["torn"]["bytes"]) == (size, 13), told["torn"])
        text = checked()
        checks.check("the same as text", f"byte {at['offset']} of {at['file']}" in text.stdout and "torn tail: 13 bytes" in text.stdout and text.returncode == 1, text)
        unfit_checks(checks, server.data)
    finally:
        server.stop()
        shutil.rmtree(server.data, ignore_errors=True)


def unfit_checks(checks, data):
    with tempfile.TemporaryDirectory() as other:
        odd = run("store", "check", os.path.join(other, "nowhere"))
        checks.check("store check of no folder: 3", odd.returncode == 3 and "there is no folder" in odd.stderr, odd)
        odd = run("store", "stats", other)
        checks.check("of somebody's folder: 1, and nothing is left in it", odd.returncode == 1 and "not a data folder" in odd.stderr and not os.listdir(other), odd)
        # Rights do not hold back root, so another user asks then.
        os.chmod(other, 0o755)
        binary = shutil.copy(BINARY, other)
        nobody = {"user": 65534} if os.geteuid() == 0 else {}
        os.chmod(data, 0o700 if nobody else 0o000)
        odd = subprocess.run([binary, "store", "check", data], capture_output=True, text=True, timeout=60, cwd=other, **nobody)
        os.chmod(data, 0o700)
        checks.check("without rights: 1, and what to do", odd.returncode == 1 and "may not read" in odd.stderr and data in odd.stderr, odd)
    segment = sorted(glob.glob(os.path.join(data, "log-*.seg")))[0]
    with open(segment, "r+b") as file:
        for at in (3, 35):
            file.seek(at)
            file.write(b"2")
    odd = run("store", "check", data)
    checks.check("of a newer format: 1, by file and version", odd.returncode == 1 and os.path.basename(segment) in odd.stderr and "newer format version 2" in odd.stderr, odd)


def interrupted(server):
    server.process.send_signal(signal.SIGINT)
    return server.process.wait(20)


def main():
    checks = Checks()
    command_line_checks(checks)
    protection_checks(checks)
    damage_checks(checks)
    store_checks(checks)
    mapped_checks(checks)
    with Server() as server:
        input_checks(checks, server)
        cypher_checks(checks, server)
    start_checks(checks)
    disk_checks(checks)
    return checks.close()


if __name__ == "__main__":
    sys.exit(main())
