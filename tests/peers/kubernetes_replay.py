"""Replays what a real kube-apiserver told the watcher (kubernetes_record.py), and says what the graph must then hold."""

import datetime
import gzip
import http.server
import json
import os
import re
import threading
import time
import urllib.parse
import urllib.request
from collections import defaultdict, deque

CLUSTER = "prod-eu"
RECORDING = os.path.join(os.path.dirname(os.path.abspath(__file__)), "kubernetes.recording.json.gz")


def wait(good, seconds=60):
    deadline = time.monotonic() + seconds
    while True:
        if result := good():
            return result
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)


MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def as_of_now(text):
    """A recording as if it had just been made: what was told long ago and never again would count as over by now."""
    form = "%Y-%m-%dT%H:%M:%SZ"
    read = lambda moment: datetime.datetime.strptime(moment, form)  # noqa: E731
    later = datetime.datetime.now(datetime.UTC).replace(tzinfo=None) - read(max(MOMENT.findall(text)))
    return MOMENT.sub(lambda found: (read(found[0]) + later).strftime(form), text)


class Replay(http.server.ThreadingHTTPServer):
    """Gives the recorded answers to the recorded questions, all in the order in which they came."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Replaying)
        with gzip.open(RECORDING, "rt") as file:
            self.recording = json.loads(as_of_now(file.read()))
        self.asked = defaultdict(deque)
        for number, exchange in enumerate(self.recording["exchanges"]):
            self.asked[exchange["path"]].append(number)
        self.tape = self.recording["tape"]
        self.at = 0
        self.turned = threading.Condition()
        self.wrong = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, address):
        pass

    def done(self):
        return self.at == len(self.tape)

    def entries(self, number):
        """The tape's entries of an exchange, each when it is its turn."""
        for place, entry in enumerate(self.tape):
            if entry[0] == number:
                with self.turned:
                    self.turned.wait_for(lambda: self.at == place)
                yield entry[1:]
                with self.turned:
                    self.at += 1
                    self.turned.notify_all()


class Replaying(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def send(self, data):
        try:
            self.wfile.write(data)
        except OSError:
            pass  # the watcher had left here when it was recorded, too

    def do_GET(self):
        replay = self.server
        self.close_connection = True
        url = urllib.parse.urlsplit(self.path)
        with replay.turned:
            left = replay.asked[url.path]
            number = left.popleft() if left else None
        if number is None:
            # After the recording's end nothing more is told.
            replay.wrong += [] if replay.done() else [f"asked once more: {self.path}"]
            return time.sleep(600)
        exchange = replay.recording["exchanges"][number]
        if exchange["query"] != url.query:
            replay.wrong.append(f"{url.path}: asked {url.query}, recorded {exchange['query']}")
        ended = False
        for what, *line in replay.entries(number):
            ended = what not in ("head", "line")
            if what == "head":
                self.send_response(exchange["status"])
                for name, value in exchange["headers"].items():
                    self.send_header(name, value)
                self.end_headers()
            elif what == "line":
                data = line[0].encode()
                self.send(b"%x\r\n%b\r\n" % (len(data), data) if self.chunked(exchange) else data)
            elif what == "end" and self.chunked(exchange):
                self.send(b"0\r\n\r\n")
        if not ended:
            time.sleep(600)

    def chunked(self, exchange):
        return exchange["headers"].get("Transfer-Encoding") == "chunked"


class Picture:
    """The graph of a server, by class and name."""

    def __init__(self, server):
        self.server = server
        with urllib.request.urlopen(server.url + "/api/v1/graph/export?format=nquads", timeout=30) as answer:
            self.gone = {line.split(">")[0].rsplit("/", 1)[1] for line in answer.read().decode().splitlines() if "gone_at>" in line.split(" ")[1]}

    def all(self, kind):
        """Every node of a class: its name, what is said of it, and what it is joined with."""
        found = {}
        for _, name, ident in self.server.query(f"find {kind} limit 1000")["rows"]:
            said = defaultdict(list)
            # A node that was met by several keys may be joined by an edge from each of them.
            for what, value in self.server.query(f'show {kind} "{name}"')["rows"]:
                if value not in said[what]:
                    said[what].append(value)
            said["gone"] = ident in self.gone
            found[name] = said
        return found


def check_graph(checks, server, truth, how):
    """What kubectl said of the cluster, against what is in the graph."""
    def check(what, ok, detail=""):
        checks.check(f"{what}, {how}", ok, detail)

    cart = next(d for d in truth["deployments"] if d["name"] == "cart")
    alive = {f"{p['uid']}/{c}" for p in truth["pods"] if p["alive"] for c, _ in p["containers"]}
    over = {f"{p['uid']}/{c}" for p in truth["pods"] if not p["alive"] for c, _ in p["containers"]}

    def settled():
        picture = Picture(server)
        instances = picture.all("Instance")
        return instances.keys() == alive | over and {n for n, i in instances.items() if i["gone"]} == over

    wait(settled)
    picture = Picture(server)
    clusters, hosts, workloads, instances = (picture.all(kind) for kind in ("Cluster", "Host", "Workload", "Instance"))
    check("one cluster, with the uid of kube-system", [(n, c["uid"]) for n, c in clusters.items()] == [(CLUSTER, [truth["cluster_uid"]])], clusters)
    check("every node is a host of the cluster", sorted(h["node"][0] for h in hosts.values()) == sorted(truth["nodes"])
          and all(h["-in_cluster->"] == [f"Cluster {CLUSTER}"] and h["-in_zone->"] for h in hosts.values()), hosts)
    check("every container that was there is one instance, and there is no other", instances.keys() == alive | over, sorted(instances.keys() ^ (alive | over)))
    gone = {n for n, i in instances.items() if i["gone"]}
    check("those and only those of pods that are gone or done have ended", gone == over, sorted(gone ^ over))
    host = {h["node"][0]: n for n, h in hosts.items()}
    wrong = [f"{p['uid']}/{c}" for p in truth["pods"] for c, _ in p["containers"] if p["alive"]
             if instances.get(f"{p['uid']}/{c}", {}).get("-runs_on->") != [f"Host {host.get(p['node'])}"]]
    check("every instance is on the host that kubectl says", not wrong, wrong)
    wrong = [(p["name"], instances.get(f"{p['uid']}/{p['app']}", {}).get("-runs_version->")) for p in truth["pods"] if p["app"]
             if instances.get(f"{p['uid']}/{p['app']}", {}).get("-runs_version->") != [f"ServiceVersion {p['app']}/{p['containers'][0][1].split(':')[1]}"]]
    check("every instance runs the version of its image", not wrong, wrong)
    for d in truth["deployments"]:
        said = workloads.get(f"{CLUSTER}/shop/Deployment/{d['name']}", defaultdict(list))
        check(f"the workload {d['name']} has its uid, replicas, cluster and service", (said["uid"], said["replicas"], said["-in_cluster->"], said["-serves->"])
              == ([d["uid"]], [d["replicas"]], [f"Cluster {CLUSTER}"], [f"Service {d['name']}"]), said)
    there = {n for n, w in workloads.items() if w["gone"]}
    check("the deployments that were deleted have ended", there == {f"{CLUSTER}/shop/Deployment/{n}" for n in truth["gone"]}, there)
    wanted = {f"Instance {p['uid']}/{c}" for p in truth["pods"] if p["app"] == "cart" for c, _ in p["containers"]}
    got = {n for n, i in instances.items() if i["-in_workload->"] == [f"Workload {CLUSTER}/shop/Deployment/cart"]}
    check("the instances of cart are its pods", {f"Instance {n}" for n in got} == wanted, got)

    revisions = {n: d for n, d in picture.all("Deployment").items() if d["deployment_id"] and n.startswith(cart["uid"])}
    versions = {int(n.rsplit("/", 1)[1]): sorted(t for t in d["-deploys->"] if t.startswith("ServiceVersion")) for n, d in revisions.items()}
    wanted = {r: [f"ServiceVersion cart/{image.split(':')[1]}"] for r, image in truth["revisions"]}
    # A rollback uses a revision's ReplicaSet again under a new number: the old number is known to whoever watched.
    check("every revision is a deployment of its version", wanted.items() <= versions.items(), (wanted, versions))
    check("the revision that was rolled back to was seen before, too", versions.get(1) == ["ServiceVersion cart/1.0"] and len(versions) == len(wanted) + 1, versions)
    check("the last revision is done", revisions.get(f"{cart['uid']}/{max(wanted)}", {}).get("status") == ["done"], revisions)
    scaled = picture.all("CapacityChange")
    check("the autoscaler's change is one", any(c["-changed->"] == [f"Workload {CLUSTER}/shop/Deployment/cart"] for c in scaled.values())
          and bool(truth["scaled_at"]) and len(scaled) >= 1, scaled)
    alerts = picture.all("Alert")
    ledger = next(n for n in (f"Instance {p['uid']}/ledger" for p in truth["pods"] if p["name"] == "ledger-1") if
                  any(n in a["-about->"] for a in alerts.values()))
    rules = sorted(a["rule"][0] for a in alerts.values() if ledger in a["-about->"])
    check("what killed the container is told of it", rules == ["BackOff", "OOMKilled"], alerts)
