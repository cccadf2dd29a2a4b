"""Records what a real kube-apiserver tells the watcher: builds it where it is not yet (kubernetes_build.sh), plays a day in the life of
a small cluster, and has the watcher of $E2EGRAPH follow through a proxy that writes down every answer as it came. A second watcher
follows over TLS, without the proxy. Writes kubernetes.recording.json.gz beside this file; `kubernetes.py` replays it.

    E2EGRAPH=target/debug/e2egraph E2EGRAPH_CACHE=~/.cache/e2egraph python3 tests/peers/kubernetes_record.py
"""

import gzip
import http.client
import http.server
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

from harness import Checks, Server
from kubernetes_cluster import HOME, NODES, Cluster, Kubelets
from kubernetes_replay import CLUSTER, RECORDING, check_graph, wait

HERE = os.path.dirname(os.path.abspath(__file__))
GUIDE = os.path.join(HERE, "..", "..", "docs", "sources", "kubernetes.md")
HEADERS = ("Content-Type", "Content-Length", "Transfer-Encoding")


class Proxy(http.server.ThreadingHTTPServer):
    """Passes requests on with the sender's own token. `exchanges` are the requests with the heads of their answers, `tape` what came in
    the order it came: [exchange, "head"], [exchange, "line", text], and how it ended: "end" as HTTP ends, "broken", or "closed" without
    an answer."""

    daemon_threads = True

    def __init__(self, cluster):
        super().__init__(("127.0.0.1", 0), Passing)
        self.cluster = cluster
        self.lock = threading.Lock()
        self.exchanges, self.tape = [], []
        self.open, self.recording = True, True
        self.upstream, self.watching = set(), {}
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, address):
        pass

    def wrote(self, *entry):
        with self.lock:
            if self.recording:
                self.tape.append(list(entry))

    def cut(self):
        """Breaks every connection, and closes new ones until it is mended."""
        self.open = False
        for connection in list(self.upstream):
            if connection.sock:
                connection.sock.shutdown(socket.SHUT_RDWR)

    def mend(self):
        self.open = True

    def following(self):
        """Of how many kinds a watch is open."""
        return len({path for path in self.watching.values()})

    def told(self, text, since=0):
        with self.lock:
            return any(text in e[2] for e in self.tape[since:] if e[1] == "line")


class Passing(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        proxy = self.server
        self.close_connection = True
        url = urllib.parse.urlsplit(self.path)
        with proxy.lock:
            number = len(proxy.exchanges)
            exchange = {"path": url.path, "query": url.query}
            if proxy.recording:
                proxy.exchanges.append(exchange)
        connection = http.client.HTTPSConnection("127.0.0.1", proxy.cluster.port, timeout=600, context=proxy.cluster.trust)
        try:
            if not proxy.open:
                raise OSError
            connection.request("GET", self.path, headers={n: v for n, v in self.headers.items() if n.lower() != "host"})
            proxy.upstream.add(connection)
            answer = connection.getresponse()
        except (OSError, http.client.HTTPException):
            proxy.upstream.discard(connection)
            return proxy.wrote(number, "closed")
        exchange |= {"status": answer.status, "headers": {n: answer.headers[n] for n in HEADERS if n in answer.headers}}
        proxy.wrote(number, "head")
        if answer.status == 200 and "watch=1" in url.query:
            proxy.watching[number] = url.path
        try:
            self.passed(answer, exchange, number)
        finally:
            proxy.watching.pop(number, None)
            proxy.upstream.discard(connection)
            connection.close()

    def passed(self, answer, exchange, number):
        proxy = self.server
        self.send_response(answer.status)
        for name, value in exchange["headers"].items():
            self.send_header(name, value)
        self.end_headers()
        try:
            for line in lines(answer):
                proxy.wrote(number, "line", line.decode())
                self.wfile.write(b"%x\r\n%b\r\n" % (len(line), line) if answer.chunked else line)
        except BrokenPipeError:
            return
        except (OSError, ValueError, http.client.HTTPException):
            return proxy.wrote(number, "broken")
        proxy.wrote(number, "end")
        if answer.chunked:
            self.wfile.write(b"0\r\n\r\n")


def lines(answer):
    """The lines of a body as they come; raises when it ends otherwise than HTTP says."""
    if not answer.chunked:
        yield from answer.read().splitlines(keepends=True)
        return
    line = b""
    while size := int(answer.fp.readline().partition(b";")[0], 16):
        data = answer.fp.read(size + 2)
        if len(data) < size + 2:
            raise ValueError("the connection broke within a chunk")
        for piece in data[:size].splitlines(keepends=True):
            line += piece
            if line.endswith(b"\n"):
                yield line
                line = b""
    if line:
        yield line


def node(name, zone):
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {
        "topology.kubernetes.io/region": "eu-west-1", "topology.kubernetes.io/zone": zone, "node.kubernetes.io/instance-type": "m7i.large"}},
        "spec": {"providerID": f"aws:///{zone}/i-{name}"}}


def workload(kind, name, replicas, image, containers=1, **spec):
    labels = {"app": name}
    names = [name, *(f"{name}-side{n}" for n in range(1, containers))]
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name, "namespace": "shop", "labels": {"team": "checkout"}}, "spec": {
        "replicas": replicas, "selector": {"matchLabels": labels}, **spec, "template": {"metadata": {"labels": labels}, "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [{"name": n, "image": image, "env": [{"name": "PASSWORD", "value": "hunter2"}]} for n in names]}}}}


def settled(cluster, name, kind="deployment"):
    cluster.kubectl("-n", "shop", "rollout", "status", f"{kind}/{name}", "--timeout=60s")


def rights():
    """The rights that the guide says are needed, and no more."""
    text = open(GUIDE).read()
    return next(block for block in re.findall(r"```yaml\n(.*?)```", text, re.S) if "ClusterRole" in block)


def before(cluster):
    cluster.apply(node("node-a", "eu-west-1a"), node("node-b", "eu-west-1b"))
    cluster.kubectl("create", "namespace", "shop")
    cluster.kubectl("create", "namespace", "e2egraph")
    cluster.kubectl("-n", "e2egraph", "create", "serviceaccount", "e2egraph")
    cluster.kubectl("apply", "-f", "-", stdin=rights())
    wait(lambda: any(a.get("secrets") for a in cluster.api("GET", "/api/v1/namespaces/shop/serviceaccounts")["items"]))
    cluster.apply(workload("Deployment", "cart", 2, "shop/cart:1.0"), workload("Deployment", "pair", 2, "shop/pair:3.1", containers=2),
                  workload("Deployment", "old", 1, "shop/old:0.9"), workload("StatefulSet", "ledger", 2, "shop/ledger:7", serviceName="ledger"))
    cluster.kubectl("-n", "shop", "expose", "deployment", "cart", "--port", "80")
    for kind, name in (("deployment", "cart"), ("deployment", "pair"), ("deployment", "old"), ("statefulset", "ledger")):
        settled(cluster, name, kind)


def while_followed(cluster, kubelets):
    shop = lambda *args: cluster.kubectl("-n", "shop", *args)
    shop("autoscale", "deployment", "cart", "--min", "3", "--max", "8", "--cpu-percent", "80")
    wait(lambda: cluster.api("GET", "/apis/autoscaling/v1/namespaces/shop/horizontalpodautoscalers/cart")["status"].get("lastScaleTime"))
    settled(cluster, "cart")
    shop("set", "image", "deployment/cart", "cart=shop/cart:1.1")
    settled(cluster, "cart")
    shop("scale", "deployment/cart", "--replicas", "5")
    settled(cluster, "cart")
    shop("rollout", "undo", "deployment/cart")
    settled(cluster, "cart")
    shop("create", "job", "migrate", "--image", "shop/migrate:1")
    shop("wait", "--for=condition=complete", "job/migrate", "--timeout=60s")
    shop("delete", "deployment", "old")
    shop("delete", "pod", "ledger-0")
    settled(cluster, "ledger", "statefulset")
    # A container that the kernel killed, as a kubelet tells it: in the pod's status, and as an event.
    pod = next(p for p in cluster.api("GET", "/api/v1/namespaces/shop/pods")["items"] if p["metadata"]["name"] == "ledger-1")
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    killed = {"terminated": {"exitCode": 137, "reason": "OOMKilled", "startedAt": now, "finishedAt": now}}
    kubelets.status("/api/v1/namespaces/shop/pods/ledger-1", pod, "Running", killed)
    about = {"kind": "Pod", "namespace": "shop", "name": "ledger-1", "uid": pod["metadata"]["uid"], "apiVersion": "v1", "fieldPath": "spec.containers{ledger}"}
    cluster.api("POST", "/api/v1/namespaces/shop/events", {
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": "ledger-1.backoff", "namespace": "shop"}, "involvedObject": about, "reason": "BackOff",
        "type": "Warning", "message": "Back-off restarting failed container", "source": {"component": "kubelet", "host": pod["spec"]["nodeName"]},
        "firstTimestamp": now, "lastTimestamp": now, "count": 1})


def while_away(cluster):
    """What no watch tells: made while nobody can hear it, and forgotten before anybody asks."""
    cluster.kubectl("-n", "shop", "delete", "deployment", "pair")
    cluster.kubectl("-n", "shop", "set", "image", "deployment/cart", "cart=shop/cart:1.2")
    settled(cluster, "cart")
    wait(lambda: not cluster.api("GET", "/api/v1/namespaces/shop/pods?labelSelector=app%3Dpair")["items"])
    cluster.compact()
    cluster.end("kube-apiserver")
    cluster.start_api()


def truth(cluster, kubelets):
    """What another client, kubectl, says of the cluster at the end; of pods that are gone, what the stand-in for kubelets saw."""
    get = lambda what: json.loads(cluster.kubectl("get", what, "-A", "-o", "json"))["items"]
    name = lambda o: o["metadata"]["name"]
    wait(lambda: not any("deletionTimestamp" in p["metadata"] for p in get("pods")))
    pods = {p["metadata"]["uid"]: p for p in get("pods")}
    def told(pod, alive):
        return {"name": name(pod), "uid": pod["metadata"]["uid"], "node": pod["spec"].get("nodeName"), "alive": alive,
                "containers": [[c["name"], c["image"]] for c in pod["spec"]["containers"]], "app": pod["metadata"]["labels"].get("app")}
    return {
        "cluster_uid": cluster.kubectl("get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}"),
        "nodes": [name(n) for n in get("nodes")],
        "deployments": [{"name": name(d), "uid": d["metadata"]["uid"], "replicas": d["spec"]["replicas"]} for d in get("deployments")],
        "gone": ["old", "pair"],
        "revisions": sorted([int(r["metadata"]["annotations"]["deployment.kubernetes.io/revision"]), r["spec"]["template"]["spec"]["containers"][0]["image"]]
                            for r in get("replicasets") if r["metadata"]["ownerReferences"][0]["name"] == "cart"),
        "scaled_at": [h["status"]["lastScaleTime"] for h in get("hpa")],
        "pods": [told(p, p["status"]["phase"] in ("Pending", "Running")) for p in pods.values()]
                + [told(p, False) for uid, p in kubelets.seen.items() if uid not in pods],
    }


def main():
    if not os.path.exists(os.path.join(HOME, "bin", "kubectl")):
        subprocess.run([os.path.join(HERE, "kubernetes_build.sh")], check=True)
    checks = Checks()
    with tempfile.TemporaryDirectory() as folder, Cluster(folder) as cluster:
        kubelets = Kubelets(cluster)
        before(cluster)
        token = cluster.account_token("e2egraph", "e2egraph")
        proxy = Proxy(cluster)
        passed = cluster.write_kubeconfig("proxy.kubeconfig", f"http://127.0.0.1:{proxy.server_address[1]}", token)
        direct = cluster.write_kubeconfig("direct.kubeconfig", cluster.url, token, "ca.pem")
        extra = lambda config: ["--kubernetes", config, "--kubernetes-cluster", CLUSTER]
        with Server(extra=extra(passed)) as followed, Server(extra=extra(direct)) as beside:
            checks.check("eleven kinds are followed with the rights that the guide says", wait(lambda: proxy.following() == 11), proxy.exchanges)
            for server in (followed, beside):
                checks.check("no right is missing", "not let in" not in server.output(), server.output())
            while_followed(cluster, kubelets)
            checks.check("the API tells how far a quiet watch is", wait(lambda: proxy.told('"BOOKMARK"'), 120))
            cluster.end("kube-apiserver")
            cluster.start_api()
            checks.check("all are followed again", wait(lambda: proxy.following() == 11, 120), proxy.watching)
            cluster.kubectl("-n", "shop", "delete", "pod", "ledger-1")
            settled(cluster, "ledger", "statefulset")
            proxy.cut()
            while_away(cluster)
            since = len(proxy.tape)
            proxy.mend()
            checks.check("what was forgotten meanwhile is told as 410 Gone", wait(lambda: proxy.told('"code":410', since), 120))
            checks.check("all are followed once more", wait(lambda: proxy.following() == 11, 120), proxy.watching)
            world = truth(cluster, kubelets)
            kubelets.stop()
            checks.check("the stand-in for kubelets had no trouble", not kubelets.troubles, kubelets.troubles)
            check_graph(checks, followed, world, "through the proxy")
            with proxy.lock:
                proxy.recording = False
            check_graph(checks, beside, world, "over TLS")
            checks.check("the token is not shown", not any(token in server.output() for server in (followed, beside)))
            version = json.loads(cluster.kubectl("version", "-o", "json"))["serverVersion"]["gitVersion"]
    recording = {"server": f"kube-apiserver {version}", "recorded": time.strftime("%Y-%m-%d", time.gmtime()), "truth": world,
                 "exchanges": proxy.exchanges, "tape": proxy.tape}
    text = json.dumps(recording, separators=(",", ":"))
    checks.check("the recording holds no token", token not in text and cluster.admin not in text)
    with open(RECORDING if not checks.failed else os.path.join(tempfile.gettempdir(), "kubernetes.failed.json.gz"), "wb") as raw, gzip.GzipFile("", "wb", 9, raw, 0) as file:
        file.write(text.encode())
    print(f"{len(proxy.exchanges)} answers, {len(text)} bytes, {os.path.getsize(raw.name)} compressed: {raw.name}")
    return checks.close()


if __name__ == "__main__":
    sys.exit(main())
