"""The question of `e2egraph bench history`, asked of DuckDB over the same files: prints one object a figure, as the benchmark does.

    python3 -m venv venv && venv/bin/pip install duckdb==2.0.1
    venv/bin/python bench/peers/history.py target/release/e2egraph [DIR]
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile

import duckdb

QUESTION = """select app_version, device_model, place, count(*) as n, count(ended_at) as ended, max(ended_at) as last
    from interactions where class = 'Interaction' group by app_version, device_model, place order by n desc, 1, 2, 3 limit 20"""
RUNS = 7


def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main():
    binary = sys.argv[1]
    folder = sys.argv[2] if len(sys.argv) > 2 else tempfile.mkdtemp(prefix="e2egraph-bench-")
    ours = subprocess.run([binary, "bench", "history", folder, "--json"], capture_output=True, text=True, check=True).stdout
    print(ours, end="")
    ours = json.loads(ours)
    db = duckdb.connect()
    db.sql(f"set threads = {os.cpu_count()}")
    db.sql(f"create view interactions as select * from read_parquet('{folder}/interactions/*/*.parquet', hive_partitioning = true)")
    took = []
    for _ in range(RUNS + 1):
        begin = cpu()
        rows = db.sql(QUESTION).fetchall()
        took.append(cpu() - begin)
    assert len(rows) == 20
    theirs = statistics.median(took[1:])
    print(json.dumps({"name": "history", "value": ours["value"], "unit": ours["unit"], "cpu_seconds": sum(took), "peer": "DuckDB " + duckdb.__version__,
                      "peer_value": theirs, "ratio": ours["value"] / theirs,
                      "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, "n": ours["n"]}))


if __name__ == "__main__":
    main()
