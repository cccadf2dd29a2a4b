"""What other people's tools make of history: DuckDB and delta-rs for Python read the tables that a real server wrote of real traffic,
in a folder and in a bucket, and give the counts and sums that `e2egraph sql` gives; and a bucket that refuses, is slow, lies or is
gone, a damaged log and a table of a later version end in a clear error in bounded time, while the server lives on."""

import http.server
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

import boto3
import duckdb
from deltalake import DeltaTable
from harness import BINARY, Checks, Server, free_ports

TABLES = ["entities", "relations", "flows", "measures", "events", "interactions"]
KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}
checks = Checks()


def run(*args, env=None, wait=240):
    begin = time.monotonic()
    done = subprocess.run([BINARY, *args], capture_output=True, text=True, timeout=wait, env={**os.environ, **(env or {})})
    done.seconds = time.monotonic() - begin
    return done


def sql(query, *args, env=None):
    done = run("sql", query, "--json", *args, env=env)
    assert done.returncode == 0, f"{query}: {done.returncode} {done.stderr}"
    return json.loads(done.stdout)["rows"]


def near(a, b):
    return abs(a - b) <= 1e-9 * max(abs(a), abs(b), 1)


def decode(blob):
    """A sketch as docs/history.md describes it: {bucket: count}."""
    numbers, number, shift = [], 0, 0
    for byte in blob:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte & 0x80 == 0:
            numbers.append(number)
            number = shift = 0
    assert numbers[0] == 1 and len(numbers) == 2 + 2 * numbers[1], numbers[:4]
    buckets, at = {}, 0
    for step, count in zip(numbers[2::2], numbers[3::2]):
        at += (step >> 1) ^ -(step & 1)
        buckets[at] = buckets.get(at, 0) + count
    return buckets


def quantile(buckets, q):
    rank = int(q * (sum(buckets.values()) - 1))
    gamma, below = 1.01 / 0.99, 0
    for bucket, count in sorted(buckets.items()):
        below += count
        if below > rank:
            return 0.0 if bucket == 0 else (1 if bucket > 0 else -1) * gamma ** (abs(bucket) - 2000) * 0.99


def figures(ask):
    """Counts of every table and sums of two, from whoever answers `ask`."""
    found = {table: ask(f"select count(*) from {table}")[0][0] for table in TABLES}
    found["calls"], found["failed"], found["ms"] = ask("select sum(count), sum(errors), sum(sum) from flows")[0]
    found["samples"] = ask("select sum(count) from measures")[0][0]
    return found


def same(a, b):
    return all(near(a[k], b[k]) for k in a)


CYPHER = [
    "MATCH (s:Service) RETURN s.name AS service, s.id AS id, s.first_seen AS since ORDER BY id",
    "MATCH (a:Operation)-[c:calls]->(b:Operation) RETURN a.name, b.name, c.count AS n, c.errors, c.mean_ms, c.p50_ms, c.p95_ms ORDER BY n DESC, a.name, b.name",
    "MATCH (i:Instance)-[:instance_of]->(s:Service) RETURN s.name AS s, count(i) AS n ORDER BY s",
    "MATCH (v:View)-[:backed_by]->(o:Operation) RETURN v.name AS v, o.name AS o ORDER BY v, o",
    "MATCH (v:AppVersion)<-[:ran]-(s:Session) RETURN v.name AS v, count(s) AS n ORDER BY v",
    "MATCH (d:Deployment)-[:deploys]->(x) RETURN d.name, x.name ORDER BY d.name, x.name",
    "MATCH (s:Service)-[:answers_to]->(t:Team) RETURN s.name, t.name ORDER BY s.name, t.name",
]


def asked(at, *args, wait=240):
    """Rows of openCypher at a moment, with what the answer says of itself."""
    answers = []
    for query in CYPHER:
        done = run("graph", "cypher", query, "--at", at, "--json", "--limit-rows", "100000", *args, wait=wait)
        assert done.returncode == 0, f"{query}: {done.returncode} {done.stderr}"
        answer = json.loads(done.stdout)
        answers.append((query, answer["rows"], answer.get("note", "")))
    return answers


def earlier(data, place):
    """The same questions of the same moments, from the graph, from history alone, and from a server that forgot."""
    first, last = sql("select min(time), max(time) from flows", "--history", place)[0]
    begin = int(first[11:13]) * 60 + int(first[14:16]) + 40
    at = f"{first[:11]}{begin // 60:02}:{begin % 60:02}:30Z"
    series = f"series view.ttr between {first[:11]}{begin // 60:02}:{begin % 60 // 10}0:00Z and {first[:11]}{begin // 60 + 1:02}:00:00Z every 5m show geomean"
    text = lambda *args: run("graph", "query", series, "--json", *args)
    hot = asked(at, "--data", data)
    line = json.loads(text("--data", data).stdout)["series"]
    checks.check("the graph answers without history", all(rows for _, rows, _ in hot) and not any(note for *_, note in hot), hot)
    cold = asked(at, "--history", place)
    for (query, rows, _), (_, theirs, note) in zip(hot, cold):
        checks.check(f"history gives the same rows: {query}", rows == theirs, f"{rows[:5]} {theirs[:5]}")
        checks.check("and says that it is history", note.startswith("Read from history"), note)
    done = text("--history", place)
    checks.check("a series is the same from history", done.returncode == 0 and json.loads(done.stdout)["series"] == line, done.stderr)
    none = run("graph", "cypher", CYPHER[0], "--at", "2001-01-01T00:00:00Z", "--history", place)
    checks.check("a moment before everything is told", none.returncode == 3 and "begin at" in none.stderr, none.stderr)
    copy = tempfile.mkdtemp(prefix="e2egraph-test-")
    shutil.copytree(data, copy, dirs_exist_ok=True, ignore=shutil.ignore_patterns("lock"))
    with Server(data=copy, extra=["--graph-hours", "1"]) as server:
        # Something new makes the graph forget what is older than an hour.
        change = [{"kind": "deployment", "id": "deploy-late", "service": "content/ratings", "version": "9", "environment": "prod",
                   "status": "done", "by": "cd", "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}]
        status, _, body = server.post(server.url + "/api/v1/feeds/changes", json.dumps(change).encode())
        checks.check("something new is taken", status == 200, body)
        begin = time.monotonic()
        told = asked(at, "--server", server.url)
        seconds = time.monotonic() - begin
        for (query, rows, _), (_, theirs, note) in zip(hot, told):
            checks.check(f"a server that forgot gives the same rows: {query}", rows == theirs, f"{rows[:5]} {theirs[:5]}")
            checks.check("and says where from", note.startswith("Read from history"), note)
        print(f"# seven questions to history in {seconds:.1f} s")
        done = run("graph", "cypher", CYPHER[0], "--at", at, "--as-known", last, "--server", server.url)
        checks.check("what was known is not asked of history", done.returncode == 1 and "as_known" in done.stderr, done.stderr)
        done = text("--server", server.url)
        answer = json.loads(done.stdout)
        checks.check("a series of the server is the same", answer["series"] == line and "history" in answer["note"], answer)


def folder_duckdb(place):
    """DuckDB over the files that the log names: nothing of ours in between."""
    db = duckdb.connect()
    for table in TABLES:
        files = DeltaTable(f"{place}/{table}").file_uris()
        names = ", ".join("'" + f.replace("'", "''") + "'" for f in files)
        db.sql(f"create view {table} as select * from read_parquet([{names}], hive_partitioning = true, union_by_name = true)")
    return lambda query: db.sql(query).fetchall()


def settled(ask):
    """Figures once nothing more is concluded: regressions are noted a while after the facts that show them."""
    deadline, before = time.monotonic() + 120, figures(ask)
    while time.monotonic() < deadline:
        time.sleep(5)
        now = figures(ask)
        if same(before, now):
            break
        before = now
    return before


def local(data):
    place = os.path.join(data, "history")
    with Server(data=data) as server:
        played = run("sim", "run", "version_cell", "--speed", "0", "--http", f"127.0.0.1:{server.http}",
                     "--otlp-grpc", f"127.0.0.1:{server.grpc}", "--otlp-http", f"127.0.0.1:{server.otlp}")
        checks.check("a world was played", played.returncode == 0, played.stderr)
        ask = lambda query: sql(query, "--server", server.url)
        hot = settled(ask)
        checks.check("every table has rows while all is hot", all(hot[t] > 0 for t in TABLES), hot)
        deadline = time.monotonic() + 150
        while server.metric("e2egraph_history_hours_total") == 0 and time.monotonic() < deadline:
            time.sleep(1)
        written = server.metric("e2egraph_history_rows_total")
        checks.check("the server writes hours that are over", written > 0, server.output())
        checks.check("and says which was the last", server.metric("e2egraph_history_last_hour_timestamp_seconds") > 1e9)
        both = figures(ask)
        checks.check("history and graph together give each row once", same(hot, both), f"{hot} {both}")
        total = ask("select sum(count) from measures where measure = 'view.ttr'")[0][0]
        nodes = server.query("find View")
        checks.check("samples of a measure are there", total > 0 and nodes, total)
        status, _, body = server.post(server.url + "/api/v1/sql", b'{"query": "select * from flow"}')
        checks.check("an unknown table is told with the nearest", status == 404 and b"`flows`" in body, body)
        status, _, body = server.post(server.url + "/api/v1/sql", b'{"query": "drop table flows"}')
        checks.check("a query changes nothing", status == 400, body)
        for chain in (" + 1" * 990, " + 1" * 1_500, " = 1 and 1" * 450, "::bigint" * 450):
            status, _, body = server.post(server.url + "/api/v1/sql", json.dumps({"query": "select 1" + chain}).encode())
            checks.check(f"a chain of {len(chain)} bytes is answered or refused", status in (200, 400), f"{status} {body}")
            checks.check("and too long a one says why", len(chain) < 5_000 or b"sql_words" in body, body)
    done = run("history", "write", "--data", data, "--all", "--json")
    checks.check("the rest is written from the folder", done.returncode == 0, done.stderr)
    again = run("history", "write", "--data", data, "--json")
    checks.check("writing again writes nothing", again.returncode == 0 and json.loads(again.stdout)["hours"] == 0, again.stdout)
    ours = figures(lambda query: sql(query, "--history", place))
    checks.check("history alone has all of it", same(hot, ours), f"{hot} {ours}")
    earlier(data, place)
    theirs = figures(folder_duckdb(place))
    checks.check("DuckDB gives the same counts and sums", same(ours, theirs), f"{ours} {theirs}")
    tables = {t: DeltaTable(f"{place}/{t}") for t in TABLES}
    counts = {t: tables[t].count() if hasattr(tables[t], "count") else tables[t].to_pyarrow_dataset().count_rows() for t in TABLES}
    checks.check("delta-rs for Python gives the same counts", all(counts[t] == ours[t] for t in TABLES), counts)
    text = [f.name for f in tables["measures"].schema().fields]
    checks.check("dimensions are columns", {"app_version", "device_model", "day", "sketch"} <= set(text), text)
    merged = {}
    for (blob,) in folder_duckdb(place)("select sketch from measures where measure = 'view.ttr' and sketch is not null"):
        for bucket, count in decode(blob).items():
            merged[bucket] = merged.get(bucket, 0) + count
    p95 = sql("select p95(merge_sketch(sketch)) from measures where measure = 'view.ttr'", "--history", place)[0][0]
    checks.check("a sketch is read by ten lines of Python", near(p95, quantile(merged, 0.95)), f"{p95} {quantile(merged, 0.95)}")
    tidied = run("history", "tidy", "--data", data, "--json")
    checks.check("tables are tidied", tidied.returncode == 0, tidied.stderr)
    checks.check("and hold the same afterwards", same(ours, figures(folder_duckdb(place))))
    whole(data, ours)
    return ours


def whole(data, ours):
    """Tables are found whole, are restored with the folder they lie in, and damage is named."""
    done = run("history", "check", "--data", data, "--json")
    told = json.loads(done.stdout)
    rows = {t["table"]: t["rows"] for t in told["tables"]}
    checks.check("history is found whole", done.returncode == 0 and told["sound"], done.stdout)
    checks.check("all of it was read", rows == {t: ours[t] for t in TABLES}, f"{rows} {ours}")
    above = tempfile.mkdtemp(prefix="e2egraph-test-")
    try:
        new = os.path.join(above, "new")
        restored = run("store", "restore", data, new)
        checks.check("a folder is restored with its history", restored.returncode == 0, restored.stderr)
        again = figures(lambda query: sql(query, "--history", os.path.join(new, "history")))
        checks.check("which holds the same", same(ours, again), f"{ours} {again}")
        # Files that were replaced are still there: one of those that count, of an hour that is over.
        uris = DeltaTable(os.path.join(new, "history", "flows")).file_uris()
        day = min((urllib.parse.unquote(u.removeprefix("file://")) for u in uris), key=os.path.basename)
        with open(day, "r+b") as file:
            file.seek(os.path.getsize(day) // 3)
            byte = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte[0] ^ 0xFF]))
        done = run("history", "check", "--data", new)
        checks.check("damage is named", done.returncode == 1 and os.path.basename(day) in done.stdout, done.stdout + done.stderr)
    finally:
        shutil.rmtree(above, ignore_errors=True)


def bucket(data, ours):
    port, = free_ports(1)
    moto = subprocess.Popen([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    endpoint = f"http://127.0.0.1:{port}"
    env = {**KEYS, "AWS_ENDPOINT_URL": endpoint, "AWS_ALLOW_HTTP": "true"}
    copy = tempfile.mkdtemp(prefix="e2egraph-test-")
    try:
        s3 = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="key", aws_secret_access_key="secret")
        deadline = time.monotonic() + 60
        while True:
            try:
                s3.create_bucket(Bucket="tables")
                break
            except Exception:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        place = "s3://tables/e2egraph"
        # Two writers of the same log at the same time, each with a copy of the folder.
        shutil.copytree(data, copy, dirs_exist_ok=True, ignore=shutil.ignore_patterns("history", "lock"))
        racing = [subprocess.Popen([BINARY, "history", "write", "--data", d, "--history", place, "--all"], env={**os.environ, **env},
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for d in (data, copy)]
        told = [r.communicate(timeout=300)[0] for r in racing]
        checks.check("two writers race into a bucket", all(r.returncode == 0 for r in racing), told)
        found = figures(lambda query: sql(query, "--history", place, env=env))
        checks.check("a bucket holds what the folder holds, each row once", same(ours, found), f"{ours} {found}")
        options = {"AWS_ENDPOINT_URL": endpoint, "AWS_ALLOW_HTTP": "true", **KEYS}
        table = DeltaTable(f"{place}/flows", storage_options=options)
        rows = table.to_pyarrow_dataset().count_rows()
        checks.check("delta-rs for Python reads it from the bucket", rows == ours["flows"], rows)
        done = run("history", "check", "--history", place, env=env)
        checks.check("a bucket is found whole", done.returncode == 0 and done.stdout.rstrip().endswith("sound"), done.stdout + done.stderr)
        none = run("sql", "select count(*) from flows", "--history", "s3://nowhere/e2egraph", env=env)
        checks.check("a bucket that is not there is told", none.returncode != 0 and none.seconds < 60, f"{none.stdout} {none.stderr}")
        wrong = run("history", "write", "--data", data, "--history", "s3://nowhere/x", "--all", env=env)
        checks.check("and not written to", wrong.returncode == 1 and "s3://nowhere/x" in wrong.stderr and wrong.seconds < 120, wrong.stderr)
    finally:
        moto.kill()
        moto.wait()
        shutil.rmtree(copy, ignore_errors=True)


class Lying(http.server.BaseHTTPRequestHandler):
    """Takes everything, whatever the condition."""
    protocol_version = "HTTP/1.1"

    def answer(self, status, body=b""):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(status)
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_PUT(self):
        self.answer(200)

    def do_DELETE(self):
        self.answer(204)

    def do_POST(self):
        self.answer(200, b"<DeleteResult></DeleteResult>")

    def do_GET(self):
        self.answer(200, b'<?xml version="1.0"?><ListBucketResult><Name>x</Name><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>')

    def log_message(self, *_):
        pass


class Refusing(Lying):
    def answer(self, status, body=b""):
        super().answer(403, b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>")


def bad_buckets(data):
    def serve(handler):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server, f"http://127.0.0.1:{server.server_address[1]}"

    def write(endpoint):
        env = {**KEYS, "AWS_ENDPOINT_URL": endpoint}
        return run("history", "write", "--data", data, "--history", "s3://bad/x", "--all", env=env)

    lying, at = serve(Lying)
    done = write(at)
    checks.check("a bucket that does not keep conditional writes is refused", done.returncode == 1 and "conditional" in done.stderr, done.stderr)
    lying.shutdown()
    refusing, at = serve(Refusing)
    done = write(at)
    checks.check("a bucket that refuses is told", done.returncode == 1 and "s3://bad/x" in done.stderr and done.seconds < 90, done.stderr)
    refusing.shutdown()
    port, = free_ports(1)
    done = write(f"http://127.0.0.1:{port}")
    checks.check("a bucket that is gone is told in bounded time", done.returncode == 1 and done.seconds < 90, f"{done.seconds} {done.stderr}")

    # One that takes connections and never answers, under a server that goes on.
    silent = socket.create_server(("127.0.0.1", 0), backlog=64)
    at = f"http://127.0.0.1:{silent.getsockname()[1]}"
    for name, value in {**KEYS, "AWS_ENDPOINT_URL": at}.items():
        os.environ[name] = value
    try:
        with Server(extra=["--history", "s3://silent/x"]) as server:
            run("sim", "run", "version_cell", "--speed", "0", "--http", f"127.0.0.1:{server.http}",
                "--otlp-grpc", f"127.0.0.1:{server.grpc}", "--otlp-http", f"127.0.0.1:{server.otlp}")
            begin = time.monotonic()
            status, _, body = server.post(server.url + "/api/v1/sql", b'{"query": "select count(*) from flows", "limits": {"seconds": 20}}')
            checks.check("a query over a silent bucket ends in its time", status in (400, 503) and time.monotonic() - begin < 60, body)
            deadline = time.monotonic() + 200
            while server.metric("e2egraph_history_failures_total") == 0 and time.monotonic() < deadline:
                time.sleep(1)
            checks.check("a silent bucket is counted and told", server.metric("e2egraph_history_failures_total") > 0
                         and "history is not written" in server.output(), server.output())
            checks.check("the server answers on", server.get("/api/v1/regressions") is not None)
    finally:
        silent.close()
        for name in [*KEYS, "AWS_ENDPOINT_URL"]:
            os.environ.pop(name, None)


def damaged(data):
    place = os.path.join(data, "history")
    first = os.path.join(place, "flows", "_delta_log", "0" * 20 + ".json")
    whole = open(first).read()
    open(first, "w").write(whole.replace('"e2egraph.format":"1"', '"e2egraph.format":"7"'))
    newer = run("sql", "select count(*) from flows", "--history", place)
    checks.check("a table of a later version is refused", newer.returncode == 1 and "later version" in newer.stderr, newer.stderr)
    open(first, "w").write(whole[: len(whole) // 2])
    with Server(data=data) as server:
        status, _, body = server.post(server.url + "/api/v1/sql", b'{"query": "select count(*) from flows"}')
        checks.check("a damaged log is told by its table", status == 503 and b"flows" in body, body)
        status, _, body = server.post(server.url + "/api/v1/sql", b'{"query": "select count(*) from measures"}')
        checks.check("the other tables are read on", status == 200, body)
    open(first, "w").write(whole)
    done = run("sql", "select count(*) from flows", "--history", place)
    checks.check("and it is read again once it is mended", done.returncode == 0, done.stderr)


def main():
    data = tempfile.mkdtemp(prefix="e2egraph-test-")
    try:
        ours = local(data)
        bucket(data, ours)
        bad_buckets(data)
        damaged(data)
    finally:
        shutil.rmtree(data, ignore_errors=True)
    return checks.close()


if __name__ == "__main__":
    sys.exit(main())
