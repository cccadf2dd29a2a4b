"""A running server goes over to a mended ontology, and what was set aside goes in; keys are rotated; nothing personal is on disk."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time

from harness import BINARY, Checks, Server

CLASSES = """
classes:
  site:
    LoadBalancer: {is: Component, key: [name], attrs: {name: string}, doc: "Spreads traffic over instances."}
"""
MAPPING = """
sources:
  site.balancers:
    reads: balancers
    LoadBalancer: {name: FIELD}
"""


def write(folder, name, text):
    with open(os.path.join(folder, name), "w") as file:
        file.write(text)


def cli(server, *args):
    done = subprocess.run([BINARY, *args, "--server", server.url], capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout, done.stderr


def main(checks):
    with tempfile.TemporaryDirectory() as site, Server(extra=["--ontology", site]) as server:
        def names():
            return sorted(r[1] for r in server.query("find LoadBalancer")["rows"])

        def post(feed, document):
            return server.post(f"{server.url}/api/v1/feeds/{feed}", json.dumps(document).encode())

        write(site, "classes.yaml", CLASSES)
        checks.check("a feed that no mapping reads is not there", post("balancers", {"lb": "lb-1"})[0] == 404)
        write(site, "mapping.yaml", MAPPING.replace("FIELD", "wrong_field"))
        code, out, err = cli(server, "ontology", "reload")
        checks.check("a new class and a new feed go in without a restart", code == 0 and "(new)" in out, (code, out, err))
        status, _, body = post("balancers", {"lb": "lb-1"})
        refused = json.loads(body)["refused"]
        checks.check("what does not fit is set aside with its reason", status == 200 and len(refused) == 1, body)
        write(site, "mapping.yaml", MAPPING.replace("FIELD", "lb").replace("LoadBalancer:", "LoadBalanser:"))
        code, out, err = cli(server, "ontology", "reload")
        checks.check("an unsound ontology is told and not used",
                     code != 0 and "did you mean `LoadBalancer`" in err and "mapping.yaml:5:" in err, (code, out, err))
        checks.check("the old one goes on", post("balancers", {"wrong_field": "lb-2"})[0] == 200 and names() == ["lb-2"], names())
        write(site, "mapping.yaml", MAPPING.replace("FIELD", "lb // wrong_field"))
        code, out, err = cli(server, "ontology", "replay-refused")
        checks.check("after the mapping is mended, what was set aside goes in",
                     code == 0 and "1 items went in, 0 are still set aside" in out and names() == ["lb-1", "lb-2"], (out, err, names()))
        print(out)
        before = server.get("/api/v1/sources")
        os.kill(server.process.pid, signal.SIGHUP)
        deadline = time.monotonic() + 20
        while "SIGHUP: ontology" not in server.output() and time.monotonic() < deadline:
            time.sleep(0.1)
        checks.check("SIGHUP reads it again", "SIGHUP: ontology e2e/core" in server.output(), server.output())
        checks.check("and nothing counts twice", [s["items"] for s in server.get("/api/v1/sources")["sources"]]
                     == [s["items"] for s in before["sources"]])

        def session():
            attributes = [{"key": k, "value": {"stringValue": v}} for k, v in
                          [("session.id", "clearly-personal-1"), ("client.address", "192.0.2.77"), ("enduser.id", "jane@example.org")]]
            record = {"timeUnixNano": str(time.time_ns()), "eventName": "session.start", "attributes": attributes}
            resource = {"attributes": [{"key": "e2e.app.name", "value": {"stringValue": "tvui"}}]}
            logs = {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": [record]}]}]}
            return server.post(server.otlp_url + "/v1/logs", json.dumps(logs).encode())[0]

        def sessions():
            return len(server.query("find Session")["rows"])

        session(), session()
        checks.check("the same person comes back", sessions() == 1, sessions())
        code, out, err = cli(server, "rotate-key")
        session()
        checks.check("with a new key as somebody else", code == 0 and sessions() == 2, (code, out, err, sessions()))
        server.stop()
        found = []
        for name in os.listdir(server.data):
            with open(os.path.join(server.data, name), "rb") as file:
                text = file.read()
            found += [(name, w) for w in [b"clearly-personal", b"192.0.2.77", b"jane@"] if w in text]
        checks.check("nothing personal is on disk", not found, found)
        server.start()
        checks.check("a restart has the same", sessions() == 2 and names() == ["lb-1", "lb-2"], (sessions(), names()))


if __name__ == "__main__":
    checks = Checks()
    main(checks)
    sys.exit(checks.close())
