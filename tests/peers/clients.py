"""Real libraries of clients and of flag services send to the feeds; the graph must hold what they told."""

import json
import os
import shutil
import subprocess
import sys
import tempfile

from harness import Checks, Server

here = os.path.dirname(os.path.abspath(__file__))
cache = os.environ["E2EGRAPH_CACHE"]


def main():
    checks = Checks()
    with Server() as server, tempfile.TemporaryDirectory() as folder:
        # Node finds its packages beside the script.
        shutil.copy(os.path.join(here, "clients.mjs"), folder)
        os.symlink(os.path.join(cache, "node", "node_modules"), os.path.join(folder, "node_modules"))
        run = subprocess.run(["node", os.path.join(folder, "clients.mjs"), server.url, server.otlp_url], capture_output=True, text=True, timeout=120)
        if not checks.check("the libraries ran", run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]):
            return checks.close()
        done = json.loads(run.stdout.strip().splitlines()[-1])
        checks.check("the page had no error", done["errors"] == [], done["errors"])
        checks.check("a report of Chromium's is taken whole", done["reported"]["accepted"] > 0 and not done["reported"]["refused"], done["reported"])
        checks.check("the player's reports are taken whole", done["cmcd"] and all(s == 200 and not a["refused"] for s, a in done["cmcd"]), done["cmcd"])
        told = [event for event, _ in done["unleash"]]
        checks.check("the Unleash SDK registers and sends its counts", {"registered", "sent"} <= set(told) and "error" not in told, done["unleash"])

        def rows(query):
            return server.query(query)["rows"]

        def edge(query, relation, target):
            found = rows(query)
            checks.check(f"{query} -{relation}-> {target}", any(r[1] == relation and target in r[2] for r in found), found)

        def node(kind, text):
            return next((r[2] for r in rows(f"find {kind}") if text in r[2]), text)

        view = node("View", "/title/{id}")
        edge(f'neighbours View "{view}"', "view_of", "App")
        whole = json.dumps(server.query(f'show View "{view}"'))
        checks.check("the view's vitals are told", all(m in whole for m in ("web.lcp", "web.fcp", "web.ttfb", "web.cls")), whole)
        checks.check("what the policy forbade is told", any("csp-violation/img-src" in r[2] for r in rows("find ErrorKind")), rows("find ErrorKind"))
        title = json.dumps(server.query('show Title "80100172"'))
        checks.check("the title's playback is told", all(m in title for m in ("play.bitrate", "play.starvation", "play.delay", "play.buffer")), title)
        names = [r[2] for r in rows("find Variant")]
        checks.check("the variants that users got are known", all(any(v in n for n in names) for v in ("deep", "flat", "on")), names)
        variant = json.dumps(server.query(f'show Variant "{node("Variant", "deep")}"'))
        checks.check("… and how often", "treatment.exposures" in variant, variant)
        data = b"".join(open(os.path.join(d, f), "rb").read() for d, _, fs in os.walk(server.data) for f in fs if "log" not in f)
        checks.check("no session is stored in clear beside the log", b"session-of-a-page" not in data and b"sid-of-a-player" not in data)
        refused = {s["name"]: s["reasons"] for s in server.get("/api/v1/sources")["sources"] if s["refused"]}
        checks.check("nothing is set aside", not refused, refused)
    return checks.close()


if __name__ == "__main__":
    sys.exit(main())
