#!/usr/bin/env python3
"""LadybugDB (PyPI `ladybug`, the graph database that was Kuzu) on the data and the questions of `e2egraph bench cypher`.

The same calls are made, edge by edge what went along them is summed beforehand for the peer, which keeps no traffic by the minute; it
gets one thread, and what is compared is processor time. A question that its dialect writes otherwise is listed below, one that
it cannot answer (quantiles) is left out. It loads with COPY from Parquet. An asking that takes longer than a limit is ended and counts
with what it had used by then, less than it would take; after as many of them as make the 95th percentile, a question is asked no more.
Needs `ladybug`, `numpy` and `pyarrow`.

    python3 bench/peers/cypher.py [--calls N] [--limit SECONDS] [--ours FILE]    # FILE: what `e2egraph bench cypher --json` printed
"""

import argparse
import json
import os
import re
import shutil
import sys
import tempfile
import time

import ladybug
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ENTITIES = 100_000
RUNS = 40
GOLDEN = 0x9E3779B97F4A7C15
# Numbers drawn for each call: both ends, twelve for how long it took, one for whether it failed.
DRAWN = 15
HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.join(HERE, "..", "..", "crates", "cli", "src", "command", "bench", "cypher.rs")

# What the peer's dialect writes otherwise.
OTHERWISE = {
    "shortest way between two": "MATCH (a:Service {name: $name}), (b:Service {name: $other}) "
    "MATCH p = (a)-[:depends_on* SHORTEST 1..6]->(b) RETURN list_transform(nodes(p), n -> n.name)",
    "callers as a list": "MATCH (s:Service {name: $name})<-[:depends_on]-(c) RETURN s.name, list_slice(collect(c.name), 1, 20)",
    "walks of up to four steps": "MATCH p = (:Service {name: $name})-[:depends_on* TRAIL 1..4]->(t) RETURN length(p), t.name LIMIT 100",
}
# Questions about the last quarter of an hour read other columns than those about the last ten minutes.
LATELY = {"d.count": "d.count15", "d.errors": "d.errors15"}


def mixed(z):
    z = z ^ (z >> np.uint64(30))
    z = z * np.uint64(0xBF58476D1CE4E5B9)
    z = z ^ (z >> np.uint64(27))
    z = z * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def mixed_one(z):
    return int(mixed(np.array([z & (2**64 - 1)], dtype=np.uint64))[0])


def drawn(first, calls, which):
    """The numbers of this place that calls from `first` on draw."""
    n = np.arange(first, first + calls, dtype=np.uint64) * np.uint64(DRAWN) + np.uint64(which + 1)
    return mixed(np.uint64(1) + n * np.uint64(GOLDEN))


def things(numbers):
    share = (numbers >> np.uint64(11)).astype(np.float64) / float(1 << 53)
    return np.power(float(ENTITIES), share).astype(np.int64) - 1


def edges(calls):
    """Ends, and calls and errors of the last ten minutes and of the last fifteen, of every edge."""
    parts = []
    step = 1_000_000
    for first in range(0, calls, step):
        n = min(step, calls - first)
        ends = things(drawn(first, n, 0)) * ENTITIES + things(drawn(first, n, 1))
        failed = drawn(first, n, 14) % np.uint64(100) == 0
        age = 3600.0 * (1.0 - np.arange(first, first + n) / calls)
        parts.append((ends, failed, age))
    ends, failed, age = (np.concatenate(column) for column in zip(*parts))
    unique, place = np.unique(ends, return_inverse=True)
    def counted(keep):
        return np.bincount(place, weights=keep, minlength=len(unique)).astype(np.int64)
    columns = [unique // ENTITIES, unique % ENTITIES]
    columns += [counted(age <= 600), counted((age <= 600) & failed), counted(age <= 900), counted((age <= 900) & failed)]
    return columns


def tier(thing):
    m = mixed_one(thing)
    zeros = (m & -m).bit_length() - 1 if m else 64
    return ["low", "medium", "high", "critical"][min(zeros, 3)]


class Draw:
    def __init__(self, state):
        self.state = state

    def service(self, below):
        self.state = (self.state + GOLDEN) % 2**64
        return f"service-{mixed_one(self.state) % below}"

    def parameters(self):
        names = [self.service(ENTITIES) for _ in range(20)]
        return {"name": self.service(ENTITIES), "other": self.service(ENTITIES), "busy": self.service(100), "names": names}


def questions():
    with open(SOURCE, encoding="utf-8") as file:
        text = file.read()
    listed = text[text.index("const QUESTIONS") : text.index("];", text.index("const QUESTIONS"))]
    for kind, name, query in re.findall(r'\b(now|lately)\(\s*"([^"]+)",\s*"([^"]+)",?\s*\)', listed):
        query = OTHERWISE.get(name, query)
        if kind == "lately":
            for ours, theirs in LATELY.items():
                query = query.replace(ours, theirs)
        yield name, query


def loaded(folder, calls):
    begin = time.process_time()
    names = [f"service-{i}" for i in range(ENTITIES)]
    pq.write_table(pa.table({"name": names, "tier": [tier(i) for i in range(ENTITIES)]}), f"{folder}/services.parquet")
    found = edges(calls)
    ends = [np.array(names, dtype=object)[c] for c in found[:2]]
    columns = dict(zip(["from", "to", "count", "errors", "count15", "errors15"], ends + found[2:]))
    pq.write_table(pa.table(columns), f"{folder}/edges.parquet")
    print(f"made {len(found[0]):,} edges of {calls:,} calls, {time.process_time() - begin:.0f} CPU-s", file=sys.stderr)
    begin = time.process_time()
    connection = ladybug.Connection(ladybug.Database(f"{folder}/graph"), num_threads=1)
    connection.execute("CREATE NODE TABLE Service(name STRING PRIMARY KEY, tier STRING)")
    connection.execute("CREATE REL TABLE depends_on(FROM Service TO Service, count INT64, errors INT64, count15 INT64, errors15 INT64)")
    connection.execute(f"COPY Service FROM '{folder}/services.parquet'")
    connection.execute(f"COPY depends_on FROM '{folder}/edges.parquet'")
    print(f"loaded, {time.process_time() - begin:.0f} CPU-s", file=sys.stderr)
    return connection


def p95(times):
    return sorted(times)[len(times) * 95 // 100]


def asked(connection, query, limit_ms):
    """Processor time of each asking but the first, rows found, and how many askings were ended by the limit."""
    draw, times, rows, ended = Draw(11), [], 0, 0
    used = set(re.findall(r"\$(\w+)", query))
    for run in range(RUNS + 1):
        parameters = {k: v for k, v in draw.parameters().items() if k in used}
        begin, waited = time.process_time(), time.monotonic()
        try:
            found = connection.execute(query, parameters)
            count = sum(1 for _ in iter(found.has_next, False) if found.get_next() is not None)
            took = (time.process_time() - begin) * 1e3
        except RuntimeError:
            if (time.monotonic() - waited) * 1e3 < limit_ms:
                raise
            # The limit is one of time on the clock: what was used of it is what is known.
            count, took, ended = 0, (time.process_time() - begin) * 1e3, ended + 1
        if run > 0:
            times.append(took)
            rows += count
        if ended >= RUNS - RUNS * 95 // 100:
            times += [took] * (RUNS - len(times))
            break
    return times, rows, ended


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=10_000_000)
    parser.add_argument("--limit", type=float, default=20.0, help="seconds that one asking may take")
    parser.add_argument("--ours", help="what `e2egraph bench cypher --json` printed")
    args = parser.parse_args()
    ours = {}
    if args.ours:
        with open(args.ours, encoding="utf-8") as file:
            ours = {f["name"].removeprefix("cypher: "): f for f in map(json.loads, file)}
    folder = tempfile.mkdtemp(prefix="e2egraph-peer-")
    try:
        connection = loaded(folder, args.calls)
        connection.set_query_timeout(int(args.limit * 1e3))
        everything = []
        for name, query in questions():
            if "p95" in query:
                print(f"{name}: left out, the peer has no quantiles of traffic")
                continue
            try:
                times, rows, ended = asked(connection, query, args.limit * 1e3)
            except RuntimeError as error:
                print(f"{name}: refused: {str(error).splitlines()[0]}")
                continue
            everything += times
            line = {"name": f"cypher: {name}", "peer": f"LadybugDB {ladybug.__version__}", "peer_value": round(p95(times), 3), "unit": "ms p95", "peer_rows": rows}
            if ended:
                line["ended_by_limit"] = ended
            if name in ours:
                line |= {"value": round(ours[name]["value"], 3), "rows": ours[name]["n"], "ratio": round(ours[name]["value"] / p95(times), 4)}
            print(json.dumps(line), flush=True)
        line = {"name": "cypher: all", "peer_value": round(p95(everything), 3), "unit": "ms p95", "load": os.getloadavg()[0]}
        print(json.dumps(line))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
