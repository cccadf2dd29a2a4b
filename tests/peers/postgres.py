"""What PostgreSQL's own clients make of it: psql and psycopg ask a real server over real traffic and get the counts that
`POST /api/v1/sql` gives; what they ask of the catalog is there; what writes, takes too long, breaks off or is no PostgreSQL at all ends
in a clear error, and the server lives on."""

import asyncio
import datetime
import json
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback

import psycopg
from harness import BINARY, Checks, Server, free_ports

TABLES = ["entities", "relations", "flows", "measures", "events", "interactions"]
# Ends by itself long after its time is over.
ENDLESS = "select count(*) from generate_series(1, 300000) a cross join generate_series(1, 300000) b where a.value % 7 = b.value % 5"
checks = Checks()


class Postgres:
    """A server with history and PostgreSQL's protocol on a free port."""

    def __init__(self, data, *extra):
        self.port, = free_ports(1)
        self.server = Server(data=data, extra=["--postgres", f"127.0.0.1:{self.port}", *extra])

    def __enter__(self):
        self.server.start()
        return self

    def __exit__(self, *_):
        self.server.stop()

    def connect(self, **more):
        return psycopg.connect(host="127.0.0.1", port=self.port, dbname="e2egraph", user="grafana", connect_timeout=20, **more)

    def psql(self, text, *args, password="", wait=90):
        command = ["psql", "-X", "-h", "127.0.0.1", "-p", str(self.port), "-U", "someone", "-d", "e2egraph", "-v", "VERBOSITY=verbose", *args]
        env = {**os.environ, "PGPASSWORD": password, "PGCONNECT_TIMEOUT": "20", "PAGER": ""}
        return subprocess.run([*command, "-c", text], capture_output=True, text=True, timeout=wait, env=env)

    def http(self, query):
        status, _, body = self.server.post(self.server.url + "/api/v1/sql", json.dumps({"query": query, "limits": {"rows": 100000}}).encode())
        assert status == 200, body
        return json.loads(body)["rows"]

    def raw(self):
        client = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        return client


def refused(db, query, state, *words, values=None):
    """The query fails with this SQLSTATE and these words, and the connection is good for the next."""
    try:
        db.execute(query, values)
        told = None
    except psycopg.Error as error:
        told = error
    db.rollback()
    what = f"refused with {state}: {query[:70]}"
    ok = told is not None and told.sqlstate == state and all(w in str(told) for w in words)
    checks.check(what, ok and db.execute("select 1").fetchone() == (1,), f"{told and told.sqlstate} {told}")
    db.rollback()


def alike(a, b):
    """The same but for the last digits of sums, which depend on the order in which rows come."""
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(alike, a, b))
    if isinstance(a, float) and isinstance(b, float):
        return abs(a - b) <= 1e-9 * max(abs(a), abs(b), 1)
    return a == b


def same_rows(pg):
    for table in TABLES:
        wanted = str(pg.http(f"select count(*) from {table}")[0][0])
        done = pg.psql(f"select count(*) from {table}", "-At")
        checks.check(f"psql counts the same in {table}", done.returncode == 0 and done.stdout.strip() == wanted and wanted != "0",
                     f"{done.stdout} {done.stderr} {wanted}")
    with pg.connect() as db:
        for query in [
            "select from_name, to_name, sum(count), sum(errors), sum(sum) from flows group by 1, 2 order by 1, 2",
            "select measure, p95(merge_sketch(sketch)), quantile(merge_sketch(sketch), 0.5) from measures group by 1 order by 1",
            "select class, id, name from entities order by time, class, id limit 500",
        ]:
            theirs = [list(r) for r in db.execute(query).fetchall()]
            ours = pg.http(query)
            checks.check(f"psycopg gives the same rows: {query[:50]}", theirs and alike(theirs, ours), f"{theirs[:3]} {ours[:3]}")
        one = db.execute("select time, attributes, sources, day from entities where cardinality(attributes) > 0 limit 1").fetchone()
        checks.check("a moment is a moment, a map is JSON, a list of texts an array, a day a day",
                     isinstance(one[0], datetime.datetime) and one[0].tzinfo is not None and isinstance(one[1], dict)
                     and isinstance(one[2], list) and isinstance(one[3], datetime.date), one)
        for binary in (False, True):
            with db.cursor(binary=binary) as cursor:
                row = cursor.execute("select time, leads_to, seen_to, count(*) over () from interactions where leads_to is not null order by time, id limit 1").fetchone()
                checks.check(f"nested lists are JSON, in binary {binary}", isinstance(row[1], list) and isinstance(row[0], datetime.datetime), row)
        nulls = db.execute("select null as a, cast(null as bigint) as b, interval '90 seconds' as c, max(time) - min(time) as d, 1.5::numeric(10, 2) as e, true as f, x'00ff' as g from flows").fetchone()
        checks.check("other types are read", nulls[0] is None and nulls[1] is None and isinstance(nulls[3], datetime.timedelta)
                     and str(nulls[4]) == "1.50" and nulls[5] is True and nulls[6] == b"\x00\xff", nulls)


def parameters(pg):
    with pg.connect(autocommit=True) as db:
        first, last = db.execute("select min(time), max(time) from flows").fetchone()
        whole = db.execute("select count(*) from flows").fetchone()[0]
        for binary in (False, True):
            got = db.execute("select count(*) from flows where time between %s and %s and side = any(%s)",
                             [first, last, ["answered", "asked"]], binary=binary).fetchone()[0]
            checks.check(f"parameters are taken, results in binary {binary}", got == whole, f"{got} {whole}")
        got = db.execute("select count(*) from flows where time >= %s::timestamptz and count > %s and side = %s", [first.isoformat(), 0.5, "asked"]).fetchone()[0]
        wanted = pg.http(f"select count(*) from flows where time >= '{first.isoformat()}' and count > 0.5 and side = 'asked'")[0][0]
        checks.check("a text is a moment where one is asked for", got == wanted > 0, f"{got} {wanted}")
        got = db.execute("select %s, %s::bigint + 1, %s, %s::double precision", ["it's", 41, None, 2.5]).fetchone()
        checks.check("values without a table", got == ("it's", 42, None, 2.5), got)
        again = [db.execute("select sum(count) from flows where to_name = %s", [name], prepare=True).fetchone()[0]
                 for name in [r[0] for r in db.execute("select distinct to_name from flows order by 1 limit 8").fetchall()] * 2]
        checks.check("a prepared statement is run again and again", len(again) == 16 and again[:8] == again[8:] and all(again), again)
        db.execute("deallocate all")
        try:
            db.execute("select count(*) from flows where time > %s", ["yesterday or so"])
            told = "nothing"
        except psycopg.Error as error:
            told = f"{error.sqlstate} {error}"
        checks.check("a value of the wrong kind is told", told.startswith("22"), told)
        with db.pipeline():
            cursors = [db.execute("select count(*), %s::int from flows", [n]) for n in range(20)]
        checks.check("twenty statements in one go", [c.fetchone() for c in cursors] == [(whole, n) for n in range(20)])
    with pg.connect() as db, db.cursor() as cursor:
        seen = sum(1 for _ in cursor.stream("select from_id, to_id from flows", size=1))
        checks.check("rows are read one by one", seen == whole, f"{seen} {whole}")


def catalog(pg):
    for command, words in [("\\d", TABLES), ("\\dt", TABLES), ("\\d flows", ["from_name", "timestamp with time zone", "sketch", "bytea"]),
                           ("\\d measures", ["app_version", "double precision"]), ("\\l", ["e2egraph"]), ("\\dn", ["public"]), ("\\conninfo", ["127.0.0.1"])]:
        done = pg.psql(command)
        ok = done.returncode == 0 and "ERROR" not in done.stderr and all(w in done.stdout for w in words)
        checks.check(f"psql {command}", ok, f"{done.stdout[-1500:]} {done.stderr}")
    with pg.connect() as db:
        oid = db.execute("select 'flows'::regclass::oid").fetchone()[0]
        for _ in range(2):
            again = db.execute("select oid from pg_class where relname = 'flows'").fetchone()[0]
            checks.check("a table keeps its number", again == oid, f"{oid} {again}")
        with db.transaction():
            found = db.execute("select oid, typname from pg_type where typname = %s", ["timestamptz"]).fetchone()
        checks.check("types have PostgreSQL's numbers, also within a savepoint", found == (1184, "timestamptz"), found)
        found = db.execute("select column_name, data_type from information_schema.columns where table_name = 'flows' order by ordinal_position").fetchall()
        checks.check("information_schema has the columns", ("from_name" in [f[0] for f in found]) and len(found) > 15, found)
        for name, wanted in [("server_version", "16"), ("statement_timeout", "0"), ("transaction_read_only", "on"), ("timezone", "UTC")]:
            checks.check(f"show {name}", db.execute(f"show {name}").fetchone()[0].startswith(wanted))
        checks.check("the version is a number to drivers", db.info.server_version == 160006, db.info.server_version)


# As the PostgreSQL data source of Grafana 11 and 12 sends them (pkg/tsdb/grafana-postgresql-datasource, and queries of its editor).
GRAFANA = [
    "SELECT current_setting('server_version_num')::int/100 as version",
    "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'",
    """select quote_ident(table_name) as "table" from information_schema.tables
      where quote_ident(table_schema) not in ('information_schema', 'pg_catalog', '_timescaledb_cache', '_timescaledb_catalog', '_timescaledb_internal', '_timescaledb_config', 'timescaledb_information', 'timescaledb_experimental')
      and  table_type = 'BASE TABLE' and  quote_ident(table_schema) IN ('public')""",
    """select quote_ident(column_name) as "column", data_type as "type"
    from information_schema.columns
    where quote_ident(table_name) = 'flows'""",
]


def grafana(pg, first, last):
    with pg.connect(autocommit=True) as db:
        for query in GRAFANA:
            try:
                rows = db.execute(query).fetchall()
                checks.check(f"Grafana's query: {query[:60]}", "extension" in query or len(rows) > 0, rows)
            except psycopg.Error as error:
                checks.check(f"Grafana's query: {query[:60]}", False, error)
        stretch = f"time BETWEEN '{first}' AND '{last}'"
        series = db.execute(f"""SELECT floor(extract(epoch from time)/60)*60 AS "time", to_name AS metric, sum(count) AS value
            FROM flows WHERE {stretch} AND side = 'answered' GROUP BY 1, to_name ORDER BY 1, 2""").fetchall()
        total = pg.http(f"select sum(count) from flows where {stretch} and side = 'answered'")[0][0]
        checks.check("$__timeFilter and $__timeGroup give a series with all that is in it",
                     len(series) > 10 and abs(sum(r[2] for r in series) - total) < 1e-6 * total and float(series[0][0]) > 1e9, f"{series[:2]} {total}")
        p95 = db.execute(f"""SELECT floor(extract(epoch from time)/300)*300 AS "time", app_version AS metric, p95(merge_sketch(sketch)) AS p95_ms
            FROM measures WHERE measure = 'view.ttr' AND {stretch} GROUP BY 1, 2 ORDER BY 1""").fetchall()
        checks.check("quantiles of merged sketches are a series", len(p95) > 3 and all(r[2] > 0 for r in p95), p95[:3])
        alias = db.execute(f"SELECT time AS \"time\", sum(errors)/sum(count) AS value FROM flows WHERE {stretch} GROUP BY time ORDER BY time LIMIT 5").fetchall()
        checks.check("times as they are", len(alias) == 5 and alias[0][0].tzinfo is not None, alias)


def wrong(pg):
    with pg.connect() as db:
        refused(db, "select * from flow", "42P01", "`flow`", "`flows`")
        refused(db, "select fromname from flows", "42703", "`from_name`")
        refused(db, "selec 1", "42601")
        refused(db, "select nosuch(1)", "42883", "nosuch")
        refused(db, "select 1/0", "22012")
        refused(db, "select 'x'::int", "22P02")
        refused(db, "select * from secret.flows", "3F000", "secret")
        refused(db, "select * from pg_catalog.pg_nosuch", "42P01")
        refused(db, "insert into flows (count) values (1)", "25006", "INSERT")
        refused(db, "delete from flows", "25006", "DELETE")
        refused(db, "drop table flows", "25006", "DROP TABLE")
        refused(db, "create table x as select 1", "25006", "CREATE TABLE")
        refused(db, "select 1 as a into x", "25006")
        refused(db, "create external table x stored as csv location '/etc/passwd'", "25006")
        refused(db, "copy flows to '/tmp/e2egraph-copied'", "25006", "COPY")
        refused(db, "select * from '/etc/passwd'", "42P01")
        refused(db, "set datafusion.runtime.memory_limit = '100G'", "42704", "statement_timeout")
        refused(db, "set time zone 'Europe/Berlin'", "22023", "UTC")
        refused(db, "show nosuch", "42704", "nosuch")
        refused(db, "declare c cursor for select 1", "0A000", "cursors")
        refused(db, "select * from generate_series(1, 100001)", "54000", "sql_rows")
        refused(db, "select a.from_id from flows a cross join flows b cross join flows c", "53200", "bytes")
        db.execute("select 1")
        try:
            db.execute("select * from flow")
        except psycopg.Error:
            pass
        try:
            db.execute("select 1")
            told = ""
        except psycopg.Error as error:
            told = error.sqlstate
        checks.check("a failed transaction takes nothing but its end", told == "25P02", told)
        db.rollback()
    checks.check("nothing was copied to a file", not os.path.exists("/tmp/e2egraph-copied"))
    done = pg.psql("select 1 as a; select * from flow; select 2")
    checks.check("psql is told with the code and the nearest name", done.returncode == 1 and "42P01" in done.stderr and "`flows`" in done.stderr, done.stderr)
    done = pg.psql("select 1 as a; select 2 as b", "-At")
    checks.check("several statements at once are answered in order", done.stdout.split() == ["1", "2"], done.stdout)
    done = pg.psql("", "-At")
    checks.check("an empty statement is no error", done.returncode == 0, done.stderr)


def bounds(pg):
    with pg.connect(autocommit=True) as db:
        begin = time.monotonic()
        try:
            db.execute("set statement_timeout = '1500ms'")
            db.execute(ENDLESS)
            told = "nothing"
        except psycopg.Error as error:
            told = f"{error.sqlstate} {error}"
        checks.check("statement_timeout ends a statement", told.startswith("57014") and "1.5 s" in told and time.monotonic() - begin < 20, told)
        with pg.connect(options="-c statement_timeout=1200") as other:
            checks.check("statement_timeout is kept to when it is said at once", other.execute("show statement_timeout").fetchone() == ("1200",))
        db.execute("set statement_timeout = 0")
        timer = threading.Timer(1.0, db.cancel)
        timer.start()
        begin = time.monotonic()
        try:
            db.execute(ENDLESS)
            told = "nothing"
        except psycopg.Error as error:
            told = f"{error.sqlstate} {error}"
        timer.join()
        checks.check("a client cancels its statement", told.startswith("57014") and "canceled" in told and time.monotonic() - begin < 20, told)
        checks.check("and asks on", db.execute("select 7").fetchone() == (7,))
        db.cancel()
        checks.check("nothing to cancel is no harm", db.execute("select 8").fetchone() == (8,))
    # Each holds one of the four turns until its client is gone.
    gone = [pg.connect(autocommit=True) for _ in range(4)]
    threads = []
    for db in gone:
        def ask(db=db):
            try:
                db.execute(ENDLESS)
            except psycopg.Error:
                pass
        threads.append(threading.Thread(target=ask, daemon=True))
        threads[-1].start()
    time.sleep(2)
    for db in gone:
        # The connection breaks off in the middle of the statement.
        sock = socket.socket(fileno=os.dup(db.fileno()))
        sock.shutdown(socket.SHUT_RDWR)
        sock.close()
    begin = time.monotonic()
    with pg.connect() as db:
        got = db.execute("select count(*) from events").fetchone()
    seconds = time.monotonic() - begin
    checks.check("statements whose clients are gone give up their turns", got[0] > 0 and seconds < 20, f"{got} {seconds}")
    for thread in threads:
        thread.join(30)


def many(pg):
    whole = pg.http("select count(*), sum(count) from flows")[0]
    async def one(n):
        async with await psycopg.AsyncConnection.connect(host="127.0.0.1", port=pg.port, dbname="x", user=f"u{n}", autocommit=True) as db:
            rows = []
            for _ in range(5):
                cursor = await db.execute("select count(*), sum(count) from flows where count >= %s", [0])
                rows.append(list(await cursor.fetchone()))
            return rows
    async def all_of_them():
        return await asyncio.gather(*[one(n) for n in range(20)])
    begin = time.monotonic()
    got = asyncio.run(all_of_them())
    checks.check("twenty clients at once get the same", all(r == whole for rows in got for r in rows), f"{got[:1]} {whole}")
    print(f"# 100 statements of 20 clients in {time.monotonic() - begin:.1f} s")
    held = [pg.connect(autocommit=True) for _ in range(64)]
    try:
        try:
            pg.connect().close()
            told = "nothing"
        except psycopg.OperationalError as error:
            told = str(error)
        checks.check("one too many is told so", "postgres_connections" in told, told)
        checks.check("those that are in are served", held[63].execute("select 1").fetchone() == (1,))
        timer = threading.Timer(1.0, held[0].cancel)
        timer.start()
        try:
            held[0].execute(ENDLESS)
            told = "nothing"
        except psycopg.Error as error:
            told = error.sqlstate
        checks.check("even then a client can cancel", told == "57014", told)
    finally:
        for db in held:
            db.close()
    deadline = time.monotonic() + 10
    while pg.server.metric("e2egraph_postgres_connections") > 0 and time.monotonic() < deadline:
        time.sleep(0.1)
    checks.check("and leaves room when it goes", pg.server.metric("e2egraph_postgres_connections") == 0)
    checks.check("statements, failures and refusals are counted", pg.server.metric("e2egraph_postgres_statements_total") > 100
                 and pg.server.metric("e2egraph_postgres_failures_total") > 5 and pg.server.metric("e2egraph_postgres_refused_total") == 1)


def drained(client, seconds=30):
    client.settimeout(seconds)
    told = b""
    try:
        while chunk := client.recv(65536):
            told += chunk
    except ConnectionError:
        pass
    return told


def startup():
    body = struct.pack(">i", 196608) + b"user\0x\0database\0x\0\0"
    return struct.pack(">i", len(body) + 4) + body


def message(kind, body):
    return kind + struct.pack(">i", len(body) + 4) + body


def garbage(pg):
    rng = random.Random(7)
    for name, sent in [("HTTP", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"), ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(512)),
                       ("noise", rng.randbytes(4096)), ("a length of nothing", bytes(8)), ("a huge first message", struct.pack(">i", 1 << 30) + bytes(100)),
                       ("another protocol", struct.pack(">ii", 8 + 1, 2 << 16) + b"\0")]:
        with pg.raw() as client:
            client.sendall(sent)
            begin = time.monotonic()
            told = drained(client)
            checks.check(f"{name} is sent away at once", time.monotonic() - begin < 8 and (told == b"" or told.startswith(b"E")), told)
    for name, sent, state in [("a message of no kind", b"~\0\0\0\4", b"08P01"), ("a huge message", b"Q" + struct.pack(">i", 1 << 30), b"54000"),
                              ("a negative length", b"Q\xff\xff\xff\xff", b"08P01"), ("values that are cut off", message(b"B", b"\0\0\0\0\0\1\x7f\xff\xff\xff\0\0"), b"08P01"),
                              ("a statement without end", message(b"Q", b"select 1"), b"08P01")]:
        with pg.raw() as client:
            client.sendall(startup())
            time.sleep(0.3)
            client.sendall(sent)
            told = drained(client)
            checks.check(f"{name} ends the connection with {state.decode()}", state in told, told[-200:])
    # Random bodies of every kind.
    for _ in range(200):
        with pg.raw() as client:
            client.sendall(startup() + b"".join(message(bytes([rng.choice(b"pQPBCDEHSXcdf")]), bytes(rng.choice(b"\0\0\0\1\2a") for _ in range(rng.randrange(30))))
                                                for _ in range(5)) + b"X\0\0\0\4")
            client.shutdown(socket.SHUT_WR)
            drained(client)
    checks.check("random messages leave no panic", "panicked" not in pg.server.output(), pg.server.output())
    # A fetch of as many rows as a number can say.
    with pg.raw() as client:
        client.sendall(startup() + message(b"P", b"\0select 1\0\0\0") + message(b"B", b"\0\0\0\0\0\0\0\0") + message(b"E", b"\0\x7f\xff\xff\xff")
                       + message(b"B", b"\0\0\0\0\0\0\0\0") + message(b"E", b"\0\xff\xff\xff\xff") + message(b"S", b"") + message(b"X", b""))
        told = drained(client)
        checks.check("a fetch of any number of rows is one of all", told.count(b"SELECT 1") == 2, told[-200:])
    with pg.connect(autocommit=True) as db:
        refused(db, "select " + "1 + " * 200_000 + "1", "54001", "sql_words")
        refused(db, "select " + "(" * 100_000 + "1" + ")" * 100_000, "42601")
        got = db.execute("select " + "1 + " * 900 + "1").fetchone()
        checks.check("long sums are added up", got == (901,), got)
        got = db.execute("select count(*) from flows where from_name in (" + ", ".join(f"'{n}'" for n in range(20_000)) + ")").fetchone()
        checks.check("long lists are looked through", got == (0,), got)
    # Silent ones: more than may sign in at once.
    silent = [pg.raw() for _ in range(40)]
    begin = time.monotonic()
    with pg.connect() as db:
        got = db.execute("select 1").fetchone()
    seconds = time.monotonic() - begin
    checks.check("clients that say nothing hold nobody up for long", got == (1,) and seconds < 15, seconds)
    told = drained(silent[0])
    checks.check("and are told to go", b"08006" in told, told)
    for client in silent:
        client.close()
    # One that asks for much and reads nothing.
    with pg.raw() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(startup() + message(b"Q", b"select repeat('x', 10000) from generate_series(1, 90000)\0"))
        time.sleep(1)
        rss = int(open(f"/proc/{pg.server.process.pid}/statm").read().split()[1]) * 4096
        with pg.connect() as db:
            checks.check("one that reads nothing holds nobody up", db.execute("select 1").fetchone() == (1,))
    print(f"# {rss / 2**20:.0f} MiB resident with a client that reads nothing")


def passwords(data):
    file = os.path.join(tempfile.mkdtemp(prefix="e2egraph-test-"), "password")
    with open(file, "w") as f:
        f.write("right horse\n")
    with Postgres(data, "--postgres-password", file) as pg:
        done = pg.psql("select 1", "-At", password="right horse")
        checks.check("the password lets in", done.returncode == 0 and done.stdout.strip() == "1", done.stderr)
        for password in ["wrong", "right horse ", "right hors", "x"]:
            done = pg.psql("select 1", "-At", password=password)
            checks.check(f"another does not: {password}", done.returncode == 2 and "password is wrong" in done.stderr, done.stderr)
        done = pg.psql("select 1", "-At", "-w")
        checks.check("none does not", done.returncode == 2 and "password" in done.stderr, done.stderr)
        checks.check("refusals are counted", pg.server.metric("e2egraph_postgres_refused_total") >= 4)
    done = subprocess.run([BINARY, "serve", "--data", data, "--postgres", "127.0.0.1:0", "--postgres-password", "/nowhere/password"], capture_output=True, text=True, timeout=60)
    checks.check("a password that cannot be read is told", done.returncode == 1 and "/nowhere/password" in done.stderr, done.stderr)
    done = subprocess.run([BINARY, "serve", "--data", data, "--postgres", "0.0.0.0:5432"], capture_output=True, text=True, timeout=60)
    checks.check("an address that others reach is refused", done.returncode == 2 and "--postgres 0.0.0.0:5432" in done.stderr, done.stderr)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ports = free_ports(3)
        done = subprocess.run([BINARY, "serve", "--data", data, "--postgres", f"127.0.0.1:{port}", "--http", f"127.0.0.1:{ports[0]}", "--otlp-grpc", f"127.0.0.1:{ports[1]}",
                               "--otlp-http", f"127.0.0.1:{ports[2]}"], capture_output=True, text=True, timeout=60)
        checks.check("a port in use is told with the option that chooses another", done.returncode != 0 and "--postgres" in done.stderr and "in use" in done.stderr, done.stderr)


def interrupted(data):
    with Postgres(data) as pg:
        told = {}
        db = pg.connect(autocommit=True)
        idle = pg.connect(autocommit=True)
        def ask():
            try:
                db.execute(ENDLESS)
            except psycopg.Error as error:
                told["error"] = f"{error.sqlstate} {error}"
        thread = threading.Thread(target=ask)
        thread.start()
        time.sleep(1.5)
        begin = time.monotonic()
        os.kill(pg.server.process.pid, signal.SIGINT)
        code = pg.server.process.wait(30)
        seconds = time.monotonic() - begin
        thread.join(30)
        checks.check("Ctrl-C ends the server while a query runs", code == 0 and seconds < 15, f"{code} {seconds} {pg.server.output()}")
        checks.check("and its client is told", "57P01" in told.get("error", "") and "stopping" in told["error"], told)
        try:
            idle.execute("select 1")
            idle_told = "nothing"
        except psycopg.Error as error:
            idle_told = str(error)
        checks.check("so is one that was idle", "stopping" in idle_told, idle_told)
        checks.check("no panic on the way", "panicked" not in pg.server.output(), pg.server.output())


def whole(part, on):
    """A part that breaks off is a failed check, and the others are made all the same."""
    try:
        part(on)
    except Exception:
        checks.check("a part broke off", False, traceback.format_exc())


def main():
    data = tempfile.mkdtemp(prefix="e2egraph-test-")
    try:
        with Postgres(data) as pg:
            played = subprocess.run([BINARY, "sim", "run", "version_cell", "--speed", "0", "--http", f"127.0.0.1:{pg.server.http}",
                                     "--otlp-grpc", f"127.0.0.1:{pg.server.grpc}", "--otlp-http", f"127.0.0.1:{pg.server.otlp}"], capture_output=True, text=True, timeout=240)
            checks.check("a world was played", played.returncode == 0, played.stderr)
            checks.check("the address is told", f"127.0.0.1:{pg.port}" in pg.server.output(), pg.server.output())
            deadline = time.monotonic() + 150
            while pg.server.metric("e2egraph_history_hours_total") == 0 and time.monotonic() < deadline:
                time.sleep(1)
            first, last = (t.replace("+00:00", "Z") for t in pg.http("select min(time), max(time) from flows")[0])
            for part in [same_rows, parameters, catalog, lambda pg: grafana(pg, first, last), wrong, bounds, many, garbage]:
                whole(part, pg)
            checks.check("the server said nothing of panics", "panicked" not in pg.server.output(), pg.server.output())
        whole(passwords, data)
        whole(interrupted, data)
    finally:
        shutil.rmtree(data, ignore_errors=True)
    return checks.close()


if __name__ == "__main__":
    sys.exit(main())
