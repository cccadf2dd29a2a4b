"""A real Alertmanager sends what it is told to its webhook, which is our feed: alerts come, are silenced and are resolved, and
what Prometheus would post to us directly tells of the same alerts, by the same fingerprints."""

import datetime
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

from harness import BINARY, Checks, Server, free_ports

CONFIG = """
route: {receiver: e2egraph, group_by: [alertname], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}
receivers:
  - name: e2egraph
    webhook_configs: [{url: "%s/api/v1/feeds/alertmanager", send_resolved: true}]
"""
LABELS = {"alertname": "HighLatency", "severity": "page", "service": "ratings", "team": "ratings-team"}
NODE = {"alertname": "NodeNotReady", "node": "ip-10-0-1-7", "cluster": "prod"}


def told(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def post(url, body):
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read()


def wait_for(ask, good, seconds=30):
    deadline, answer = time.monotonic() + seconds, None
    while time.monotonic() < deadline:
        try:
            answer = ask()
            if good(answer):
                return True, answer
        except OSError as error:
            answer = str(error)
        time.sleep(0.2)
    return False, answer


def run(checks):
    began = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=2)
    port, = free_ports(1)
    with Server() as server, tempfile.TemporaryDirectory() as folder:
        config = os.path.join(folder, "alertmanager.yml")
        with open(config, "w") as file:
            file.write(CONFIG % server.url)
        command = ["prometheus-alertmanager", f"--config.file={config}", f"--storage.path={folder}/data", "--cluster.listen-address=",
                   f"--web.listen-address=127.0.0.1:{port}"]
        with open(os.path.join(folder, "log"), "w+") as log:
            manager = subprocess.Popen(command, stdout=log, stderr=log)
            try:
                peer(checks, server, f"http://127.0.0.1:{port}", began, folder)
            finally:
                os.kill(manager.pid, signal.SIGTERM)
                manager.wait(20)
                log.seek(0)
                print(log.read()[-2000:])


def peer(checks, server, manager, began, folder):
    checks.check("alertmanager is ready", *wait_for(lambda: urllib.request.urlopen(manager + "/-/ready", timeout=2).status, lambda s: s == 200))
    alerts = [{"labels": LABELS, "annotations": {"summary": "p99 above 300 ms"}, "startsAt": told(began), "generatorURL": "http://prometheus.example/graph"},
              {"labels": NODE, "startsAt": told(began)}]
    post(manager + "/api/v2/alerts", alerts)

    def find():
        return server.query("find Alert")["rows"]

    def show(name):
        return json.dumps(server.query(f'show Alert "{name}"'))

    def around(name):
        return [f"{r[1]} {r[2]}" for r in server.query(f'neighbours Alert "{name}"')["rows"]]

    checks.check("both alerts arrive", *wait_for(find, lambda rows: len(rows) == 2))
    names = [row[2] for row in find()]
    shown = {name: show(name) for name in names}
    latency = next(n for n in names if "HighLatency" in shown[n])
    node = next(n for n in names if "NodeNotReady" in shown[n])
    checks.check("one is critical, firing, with its summary and group",
                 all(word in shown[latency] for word in ["critical", "firing", "p99 above 300 ms", "alertname="]), shown[latency])
    checks.check("it is about its service", "about Service ratings" in around(latency), around(latency))
    checks.check("and the other about its node", "about Host prod/ip-10-0-1-7" in around(node), around(node))

    # What Prometheus posts has no fingerprint; ours must be the one that Alertmanager gave.
    soon = told(datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=4))
    answer = json.loads(post(server.url + "/api/v2/alerts", [{**a, "endsAt": soon} for a in alerts]))
    checks.check("what Prometheus posts is taken", answer == {"accepted": 2, "refused": []}, answer)
    checks.check("and tells of the same alerts", len(find()) == 2, find())

    # A silence shows in what Alertmanager answers, which can be sent as it is.
    subprocess.run(["amtool", f"--alertmanager.url={manager}", "silence", "add", "--comment=x", "--author=x", "alertname=NodeNotReady"],
                   check=True, capture_output=True, timeout=20)
    file = os.path.join(folder, "alerts.json")

    def silenced():
        with urllib.request.urlopen(manager + "/api/v2/alerts", timeout=10) as answer:
            body = answer.read()
        with open(file, "wb") as out:
            out.write(body)
        return body

    checks.check("a silence is told", *wait_for(silenced, lambda body: b'"suppressed"' in body))
    sent = subprocess.run([BINARY, "send", "alertmanager", file, "--server", server.url], capture_output=True, text=True, timeout=30)
    checks.check("its answer is taken", sent.returncode == 0 and "2 taken" in sent.stdout, (sent.stdout, sent.stderr))
    checks.check("the silenced alert is suppressed", "suppressed" in show(node), show(node))

    # Resolved: by its end.
    ended = datetime.datetime.now(datetime.timezone.utc)
    post(manager + "/api/v2/alerts", [{**alerts[0], "endsAt": told(ended)}])
    checks.check("an alert that ended is resolved", *wait_for(lambda: show(latency), lambda text: "resolved" in text and "ended_at" in text))
    checks.check("still two alerts", len(find()) == 2, find())
    refused = {s["name"]: s["reasons"] for s in server.get("/api/v1/sources")["sources"] if s["refused"]}
    checks.check("nothing Alertmanager sent is set aside", not refused, refused)


if __name__ == "__main__":
    all_checks = Checks()
    run(all_checks)
    sys.exit(all_checks.close())
