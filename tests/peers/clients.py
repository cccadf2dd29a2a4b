"""Real libraries of clients and of flag services send to the feeds; the graph must hold what they told."""

import datetime
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
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                        "-keyout", os.path.join(folder, "key.pem"), "-out", os.path.join(folder, "cert.pem")], check=True, capture_output=True)
        run = subprocess.run(["node", os.path.join(folder, "clients.mjs"), server.url, server.otlp_url], capture_output=True, text=True, timeout=120)
        if not checks.check("the libraries ran", run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]):
            return checks.close()
        done = json.loads(run.stdout.strip().splitlines()[-1])
        checks.check("the page had no error", done["errors"] == [], done["errors"])
        checks.check("Chromium reports what went well, what failed and what was forbidden", {"ok", "http.error", "csp-violation"} <= set(done["kinds"]), done["reports"])
        checks.check("its reports are taken whole", all(status == 200 and '"refused":[]' in text for status, text, _ in done["reports"]), done["reports"])
        checks.check("the player's reports are taken whole", done["cmcd"] and all(s == 200 and not a["refused"] for s, a in done["cmcd"]), done["cmcd"])
        told = [event for event, _ in done["unleash"]]
        checks.check("the Unleash SDK registers and sends its counts", {"registered", "sent"} <= set(told) and "error" not in told, done["unleash"])

        def edge(query, relation, target):
            found = server.query(query)["rows"]
            checks.check(f"{query} -{relation}-> {target}", any(r[1] == relation and target in r[2] for r in found), found)

        now = datetime.datetime.now(datetime.timezone.utc)
        between = " and ".join((now + datetime.timedelta(minutes=m)).strftime("%Y-%m-%dT%H:%M:00Z") for m in (-10, 5))

        def count(measure, kind, name):
            return server.query(f'series {measure} of {kind} "{name}" between {between} show count')["value"] or 0

        view = "webui/title/{id}"
        edge(f'neighbours View "{view}"', "view_of", "App webui")
        edge(f'neighbours View "{view}"', "hit", "ErrorKind csp-violation/img-src")
        for measure in ("web.lcp", "web.fcp", "web.ttfb", "web.cls", "web.reports"):
            told = count(measure, "View", view)
            checks.check(f"the view's {measure} is told", told >= 1, told)
        failed = server.query(f'series net.fetch_errors of Service "localhost" between {between} show bad')["value"]
        told = count("net.fetch_errors", "Service", "localhost")
        checks.check("requests that failed are told apart from those that did not", failed and 1 <= failed < told, (failed, told))
        for measure, least in (("play.bitrate", 2), ("play.buffer", 2), ("play.starvation", 3), ("play.delay", 1), ("play.start_failures", 1)):
            told = count(measure, "Title", "80100172")
            checks.check(f"the title's {measure} is told", told >= least, told)
        variants = {v: count("treatment.exposures", "Variant", f"default/row-order/{v}") for v in ("deep", "flat")}
        checks.check("every user of the SDK got one variant", sum(variants.values()) == 20, variants)
        on = count("treatment.exposures", "Variant", "default/new-rows/on")
        checks.check("… and asked for a flag without", on == 20, on)
        data = b"".join(open(os.path.join(d, f), "rb").read() for d, _, fs in os.walk(server.data) for f in fs if "log" not in f)
        checks.check("no session is stored in clear beside the log", b"session-of-a-page" not in data and b"sid-of-a-player" not in data)
        refused = {s["name"]: s["reasons"] for s in server.get("/api/v1/sources")["sources"] if s["refused"]}
        checks.check("nothing is set aside", not refused, refused)
    return checks.close()


if __name__ == "__main__":
    sys.exit(main())
