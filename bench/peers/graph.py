#!/usr/bin/env python3
"""Raphtory (PyPI `raphtory`, a temporal graph library) on the data of `e2egraph bench graph-append`, `graph-snapshot` and `graph-asof`.

Runs those three, then makes the same ten million calls between 100,000 things, loads them into the peer in the same pieces (200,000
calls, as Arrow columns: its fastest way), and asks it for the same neighbours of the same things at the same moment. Prints one object
a figure with the ratio to ours. The peer gets one thread; loading is compared by processor time, reading by the clock, as ours is.

What cannot be compared like with like, and whom it favours:
* The peer keeps each call with its moment, duration and outcome, and can be asked for any of them. Ours sums up by edge, cohort and
  minute, keeps which items it has counted (told twice, counted once), names, sources and when things were seen. So bytes are compared
  as the whole of what each holds after the same calls.
* The peer is given numbers for things and columns ready made; ours is given facts with keys and names (in the peer's favour).
* A window of the peer is a filter that is applied when read, of a graph that goes on changing; a snapshot of ours stays as it is.
  Making either costs next to nothing; the peer's figure that says more is the second, of counting the edges in it.
* An edge of ours holds for so many minutes after a call; the peer is asked for a window of the same minutes. It does not tell apart what
  was so from what was known.
* Steps are taken in Python for the peer, in Rust for ours (in ours' favour): what an empty step costs, asking a node of its name, is
  printed with it as `peer_overhead`.

    python3 -m venv venv && venv/bin/pip install raphtory==0.17.0 numpy pyarrow
    venv/bin/python bench/peers/graph.py target/release/e2egraph [--calls N]    # fewer calls for the peer: no ratios
"""

import argparse
import json
import os
import subprocess
import sys
import time

os.environ["RAYON_NUM_THREADS"] = "1"

import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402
import raphtory  # noqa: E402

ENTITIES = 100_000
CALLS = 10_000_000
PIECE = 200_000
GOLDEN = 0x9E3779B97F4A7C15
# Numbers drawn for each call: both ends, twelve for how long it took, one for whether it failed.
DRAWN = 15
START_MS = 1_790_000_000_000
# How long a call is taken to last on (`FLOW_LIFE_MINUTES` in crates/graph/src/read.rs).
LIFE_MINUTES = 10
STARTS = {1: 20_000, 3: 2_000}
# Where a walk of several steps ends.
WALKED = 1_000


def mixed(z):
    z = z ^ (z >> np.uint64(30))
    z = z * np.uint64(0xBF58476D1CE4E5B9)
    z = z ^ (z >> np.uint64(27))
    z = z * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def drawn(first, calls, which):
    """The numbers of this place that calls from `first` on draw."""
    n = np.arange(first, first + calls, dtype=np.uint64) * np.uint64(DRAWN) + np.uint64(which + 1)
    return mixed(np.uint64(1) + n * np.uint64(GOLDEN))


def share(numbers):
    return (numbers >> np.uint64(11)).astype(np.float64) / float(1 << 53)


def things(numbers):
    return np.power(float(ENTITIES), share(numbers)).astype(np.int64) - 1


def piece(first, many, calls):
    """Calls as columns: times in milliseconds, both ends, nanoseconds, whether each failed."""
    normal = sum(share(drawn(first, many, which)) for which in range(2, 14)) - 6.0
    at = START_MS + (3_600_000 * np.arange(first, first + many, dtype=np.int64)) // calls
    return pa.table({
        "time": pa.array(at, pa.timestamp("ms")),
        "from": things(drawn(first, many, 0)),
        "to": things(drawn(first, many, 1)),
        "lasted_ns": (20e6 * np.exp(normal * 0.8)).astype(np.int64),
        "failed": drawn(first, many, 14) % np.uint64(100) == 0,
    })


def rss():
    with open("/proc/self/status", encoding="utf-8") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmRSS"))


def measured(binary):
    figures = {}
    for bench in ["graph-append", "graph-snapshot", "graph-asof"]:
        said = subprocess.run([binary, "bench", bench, "--json"], capture_output=True, text=True, check=True).stdout
        for figure in map(json.loads, said.splitlines()):
            figures[figure["name"]] = figure
            print(json.dumps(figure), flush=True)
    return figures


def loaded(calls):
    """A graph, processor seconds that loading took, bytes it holds, and things in the order in which they came."""
    graph, seconds, held, came = raphtory.Graph(), 0.0, 0, []
    before = rss()
    for first in range(0, calls, PIECE):
        table = piece(first, min(PIECE, calls - first), calls)
        came.append(np.column_stack([table["from"], table["to"]]).ravel())
        begin = time.process_time()
        graph.load_edges(table, time="time", src="from", dst="to", properties=["lasted_ns", "failed"])
        seconds += time.process_time() - begin
    held = rss() - before - sum(c.nbytes for c in came)
    ends = np.concatenate(came)
    _, at = np.unique(ends, return_index=True)
    return graph, seconds, held, ends[np.sort(at)]


def around(view, start, hops):
    """How many things are within some steps, until there are many, as `around` of the benchmark."""
    seen, edge = set(), [start]
    for _ in range(hops):
        following = []
        for thing in edge:
            for near in view.node(thing).neighbours.id:
                if near not in seen:
                    seen.add(near)
                    following.append(near)
                # Ours asks on at each thing that is left, and ends there at once; asking costs the peer much more.
                if hops > 1 and len(seen) >= WALKED:
                    return len(seen)
        edge = following
    return len(seen)


def percentile(times, of):
    return sorted(times)[len(times) * of // 100]


def clocked(many, ask):
    times, found = [], 0
    for i in range(many):
        begin = time.perf_counter()
        found += ask(i)
        times.append((time.perf_counter() - begin) * 1e6)
    return times, found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary", help="a release build of e2egraph")
    parser.add_argument("--calls", type=int, default=CALLS)
    args = parser.parse_args()
    ours = measured(args.binary) if args.calls == CALLS else {}

    def told(name, value, unit, ours_value=None, **more):
        line = {"name": name, "peer": f"Raphtory {raphtory.__version__}", "peer_value": round(value, 3), "unit": unit}
        if ours_value is not None:
            line |= {"value": round(ours_value, 3), "ratio": round(ours_value / value, 4)}
        print(json.dumps(line | more), flush=True)

    def of(name):
        return ours[name]["value"] if name in ours else None

    graph, seconds, held, order = loaded(args.calls)
    told("graph-append", args.calls / seconds, "edges/CPU-s", of("graph-append"), n=args.calls)
    weight = ours.get("graph-append-bytes")
    told("graph bytes a call", held / args.calls, "B", weight and weight["value"] * weight["n"] / args.calls, n=graph.count_edges())

    # Ours is asked of half an hour after the beginning, in whole minutes.
    minute = (START_MS + 1_800_000) // 60_000
    window = ((minute - LIFE_MINUTES) * 60_000, (minute + 1) * 60_000)
    times, _ = clocked(1_001, lambda _: graph.window(*window) is None)
    snapshot = of("graph-snapshot")
    told("graph-snapshot", percentile(times, 50), "µs p50", snapshot and snapshot * 1e3)
    view = graph.window(*window)
    times, found = clocked(5, lambda _: view.count_edges())
    told("edges of a window", percentile(times, 50) / 1e3, "ms p50", n=found // 5)

    def start(i):
        state = np.array([(7 + (i + 1) * GOLDEN) % 2**64], dtype=np.uint64)
        return int(order[int(mixed(state)[0]) % len(order)])

    for hops, many in STARTS.items():
        starts = [start(i) for i in range(many)]
        # A thing without calls in these minutes is not in the view.
        times, found = clocked(many, lambda i: around(view, starts[i], hops) if view.has_node(starts[i]) else 0)
        empty, _ = clocked(many, lambda i: graph.node(starts[i]).id is None)
        name = f"graph-asof-{hops}"
        told(name, percentile(times, 99), "µs p99", of(name), peer_p50=round(percentile(times, 50), 3), peer_found=found, asked=many, peer_overhead=round(percentile(empty, 50), 3))


if __name__ == "__main__":
    sys.exit(main())
