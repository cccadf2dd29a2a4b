"""Real OpenTelemetry SDKs, of Python, Node and Rust, send traces, metrics and logs; the graph must hold the paths from the user's
session to the hosts, across all of them."""

import datetime
import os
import shutil
import subprocess
import sys
import tempfile
import time

from harness import Checks, Server

here = os.path.dirname(os.path.abspath(__file__))
cache = os.environ["E2EGRAPH_CACHE"]


def main():
    checks = Checks()
    with Server() as server, tempfile.TemporaryDirectory() as folder:
        context = subprocess.run(
            [sys.executable, os.path.join(here, "sdk_python.py"), server.otlp_url, f"127.0.0.1:{server.grpc}"],
            check=True, capture_output=True, text=True, timeout=120).stdout.strip().splitlines()[-1]
        # Node finds its packages beside the script.
        shutil.copy(os.path.join(here, "sdk_node.mjs"), folder)
        os.symlink(os.path.join(cache, "node", "node_modules"), os.path.join(folder, "node_modules"))
        subprocess.run(["node", os.path.join(folder, "sdk_node.mjs"), server.otlp_url, context], check=True, timeout=120)
        subprocess.run([os.path.join(cache, "peer-rust", "debug", "peer-rust"), server.otlp_url, f"http://127.0.0.1:{server.grpc}", context],
                       check=True, timeout=120)

        def wait_for(query, good):
            deadline = time.monotonic() + 20
            answer = None
            while time.monotonic() < deadline:
                try:
                    answer = server.query(query)
                    if good(answer):
                        return answer
                except OSError as error:
                    answer = str(error)
                time.sleep(0.2)
            return answer

        def edge(query, relation, target):
            answer = wait_for(query, lambda a: any(r[1] == relation and target in r[2] for r in a["rows"]))
            found = isinstance(answer, dict) and any(r[1] == relation and target in r[2] for r in answer["rows"])
            checks.check(f"{query.split(' ', 1)[1]} -{relation}-> {target}", found, answer)

        sessions = wait_for('find Session', lambda a: len(a["rows"]) == 1)
        checks.check("one session", isinstance(sessions, dict) and len(sessions["rows"]) == 1, sessions)
        session = sessions["rows"][0][2]
        checks.check("the session's id is not stored in clear", "session-sdk-1" not in str(server.query(f'show Session "{session}"')))
        edge(f'neighbours Session "{session}"', "ran", "AppVersion tvui/8.42.0")
        interactions = wait_for('find Interaction', lambda a: len(a["rows"]) == 1)
        interaction = interactions["rows"][0][2]
        edge(f'neighbours Interaction "{interaction}"', "in_session", "Session")
        edge(f'neighbours Interaction "{interaction}"', "called", "Operation gateway/home")
        edge('neighbours Operation "gateway/home"', "calls", "Operation ratings/ratings")
        edge('neighbours Operation "ratings/ratings"', "operation_of", "Service ratings")
        edge('neighbours Service "ratings"', "instance_of", "Service ratings")
        edge('neighbours Instance "ratings-node-1"', "runs_on", "Host host-node")
        edge('neighbours Operation "gateway/home"', "calls", "Operation catalog/catalog")
        edge('neighbours Operation "catalog/catalog"', "calls", "Operation titles/titles/{id}")
        edge('neighbours Operation "titles/titles/{id}"', "operation_of", "Service titles")
        edge('neighbours Service "titles"', "instance_of", "Service titles")
        for service in ("catalog", "titles"):
            edge(f'neighbours Instance "{service}-rust-1"', "runs_on", f"Host host-{service}")
        edge('neighbours Instance "titles-rust-1"', "hit", "no title <*> in the store")
        for host in ("host-node", "host-titles"):
            path = wait_for(f'path Session "{session}" to Host "{host}"', lambda a: len(a["rows"]) > 0)
            checks.check(f"one path from the session to {host}", isinstance(path, dict) and 3 <= len(path["rows"]) <= 8, path)
            print(path)
        now = datetime.datetime.now(datetime.timezone.utc)
        between = " and ".join((now + datetime.timedelta(minutes=m)).strftime("%Y-%m-%dT%H:%M:00Z") for m in (-10, 5))
        for host, busy in (("host-py", 0.31), ("host-node", 0.42), ("host-catalog", 0.53)):
            told = wait_for(f'series host.pressure of Host "{host}" between {between} show mean', lambda a: a["value"])
            checks.check(f"the processor of {host} is as busy as its SDK says", isinstance(told, dict) and abs((told["value"] or 0) - busy) < 0.001, told)
        sources = server.get("/api/v1/sources")
        refused = {s["name"]: s["reasons"] for s in sources["sources"] if s["refused"]}
        checks.check("nothing the SDKs sent is set aside", not refused, refused)
    return checks.close()


if __name__ == "__main__":
    sys.exit(main())
