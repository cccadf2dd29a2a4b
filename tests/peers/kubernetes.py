"""A small API server of Kubernetes speaks the list and watch protocol, pages, bookmarks, 410 Gone, broken connections and TLS
included; what it tells must reach the graph, and what it must not tell must not. Then what a real kube-apiserver told is replayed
(kubernetes_replay.py)."""

import http.server
import json
import os
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

from harness import Checks, Server
from kubernetes_replay import CLUSTER, Replay, check_graph, wait as wait_for

TOKEN = "the-token-of-the-test"
UID = "the-uid-of-kube-system"

# The mapping of the feed is not what is tested here: this one shows that documents come, whole and in order.
MAPPING = """
sources:
  watched.workload:
    reads: kubernetes
    when: kind = Deployment
    Workload: {uid: metadata.uid, namespace: metadata.namespace, kind: kind, name: metadata.name, environment: "watch.type = DELETED ? 'deleted' // metadata.labels.mark"}
"""


def deployment(name, uid, version, mark=""):
    return {"metadata": {"name": name, "namespace": "shop", "uid": uid, "resourceVersion": str(version), "labels": {"mark": mark},
                         "managedFields": [{"manager": "kubectl"}]},
            "spec": {"template": {"spec": {"containers": [{"name": "c", "image": "i", "env": [{"name": "PASSWORD", "value": "hunter2"}]}]}}}}


class Api(http.server.ThreadingHTTPServer):
    """Deployments as a script says; every other kind is an empty list and a silent watch; rollouts are not there."""

    daemon_threads = True

    def __init__(self, tls=None, forbidden=("events",)):
        super().__init__(("127.0.0.1", 0), Handler)
        self.items = {}
        self.version = 100
        self.lists = self.watches = 0
        self.oldest = 0
        self.seen = []
        self.changed = threading.Condition()
        self.events = []          # (version, line or "break" or "end")
        self.wrong_tokens = 0
        self.forbidden = forbidden
        self.paths = []
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.socket = context.wrap_socket(self.socket, server_side=True)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, address):
        pass  # connections that end are part of the test

    def tell(self, change, item=None, line=None):
        with self.changed:
            self.version += 1
            if item:
                item["metadata"]["resourceVersion"] = str(self.version)
                uid = item["metadata"]["uid"]
                if change == "DELETED":
                    self.items.pop(uid, None)
                else:
                    self.items[uid] = item
                # The items of a list do not say what they are; the objects of a watch do.
                line = {"type": change, "object": {"apiVersion": "apps/v1", "kind": "Deployment", **item}}
            elif change == "BOOKMARK":
                line = {"type": change, "object": {"kind": "Deployment", "metadata": {"resourceVersion": str(self.version)}}}
            self.events.append((self.version, change if line is None else line))
            self.changed.notify_all()

    def quietly(self, change, item):
        """A change that no watch tells: the next list shows it."""
        with self.changed:
            self.version += 1
            self.oldest = self.version
            if change == "DELETED":
                del self.items[item["metadata"]["uid"]]
            else:
                self.items[item["metadata"]["uid"]] = item


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def status(self, code, message):
        self.answer(code, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code})

    def chunk(self, data):
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def do_GET(self):
        api = self.server
        url = urllib.parse.urlparse(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            api.wrong_tokens += 1
            return self.status(401, "Unauthorized")
        if "rollouts" in url.path:
            return self.answer(404, {"message": "404 page not found"})
        api.paths.append(url.path)
        plural = url.path.rsplit("/", 1)[1]
        if plural in api.forbidden:
            return self.status(403, f'{plural} is forbidden: User "watcher" cannot list resource "{plural}"')
        if "fieldSelector" in query:
            asked = url.path == "/api/v1/namespaces" and query["fieldSelector"] == "metadata.name=kube-system"
            items = [{"metadata": {"name": "kube-system", "uid": UID}}] if asked else []
            return self.answer(200, {"kind": "NamespaceList", "metadata": {"resourceVersion": "1"}, "items": items})
        if "watch" in query:
            return self.watch(url.path, query)
        if url.path != "/apis/apps/v1/deployments":
            return self.answer(200, {"kind": "List", "metadata": {"resourceVersion": "1"}, "items": []})
        with api.changed:
            api.lists += 1
            items = sorted(api.items.values(), key=lambda i: i["metadata"]["name"])
            api.seen.append(query)
            # One object a page, whatever was asked for.
            at = int(query.get("continue", "at+0")[3:])
            more = {"continue": f"at+{at + 1}"} if at + 1 < len(items) else {}
            self.answer(200, {"kind": "DeploymentList", "metadata": {"resourceVersion": str(api.version), **more}, "items": items[at:at + 1]})

    def watch(self, path, query):
        api = self.server
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if path != "/apis/apps/v1/deployments":
            time.sleep(30)
            return
        api.watches += 1
        at = int(query["resourceVersion"])
        if at < api.oldest:
            gone = {"kind": "Status", "code": 410, "message": f"too old resource version: {at}"}
            self.chunk(json.dumps({"type": "ERROR", "object": gone}).encode() + b"\n")
            return self.chunk(b"")
        api.seen.append(query)
        while True:
            with api.changed:
                api.changed.wait_for(lambda: any(v > at for v, _ in api.events), 30)
                due = [(v, e) for v, e in api.events if v > at]
            for version, event in due:
                at = version
                if event in ("end", "break"):
                    # Once: whoever comes back goes on behind it.
                    api.events.remove((version, event))
                if event == "end":
                    return self.chunk(b"")
                if event == "break":
                    self.close_connection = True
                    self.chunk(b'{"type": "MODIFIED", "object": {"met')
                    return self.connection.close()
                data = json.dumps(event).encode() + b"\n"
                # A line comes in pieces as the network likes.
                self.chunk(data[:40])
                time.sleep(0.02)
                self.chunk(data[40:])


def kubeconfig(folder, server, ca=""):
    path = os.path.join(folder, "kubeconfig")
    with open(os.path.join(folder, "token"), "w") as file:
        file.write(TOKEN + "\n")
    with open(path, "w") as file:
        file.write(f"""apiVersion: v1
kind: Config
current-context: test
contexts: [{{name: test, context: {{cluster: test, user: watcher}}}}]
clusters: [{{name: test, cluster: {{server: "{server}"{ca}}}}}]
users: [{{name: watcher, user: {{tokenFile: token}}}}]
""")
    return path


def cluster(server):
    """What is known of the one cluster."""
    found = server.query("find Cluster")["rows"]
    rows = server.query(f'show Cluster "{found[0][1]}"')["rows"] if len(found) == 1 else found
    return [row for row in rows if row[0] in ("uid", "name")]


def replayed(checks, folder):
    """What a real kube-apiserver told, told again."""
    replay = Replay()
    config = kubeconfig(folder, f"http://127.0.0.1:{replay.server_address[1]}")
    with Server(extra=["--kubernetes", config, "--kubernetes-cluster", CLUSTER]) as server:
        checks.check(f"what {replay.recording['server']} told is told to its end", wait_for(replay.done, 240), f"{replay.at} of {len(replay.tape)}, {replay.wrong}")
        checks.check("the watcher asks what it asked the real one", not replay.wrong, replay.wrong)
        check_graph(checks, server, replay.recording["truth"], "replayed")
        data = b"".join(open(os.path.join(d, f), "rb").read() for d, _, fs in os.walk(server.data) for f in fs)
        checks.check("of a real object neither environment variables nor managed fields are kept", b"hunter2" not in data and b"managedFields" not in data)
    replay.shutdown()


def main():
    checks = Checks()
    with tempfile.TemporaryDirectory() as folder:
        site = os.path.join(folder, "site")
        os.makedirs(site)
        with open(os.path.join(site, "watched.mapping.yaml"), "w") as file:
            file.write(MAPPING)

        api = Api()
        cart, rows, old = deployment("cart", "u1", 1, "first"), deployment("rows", "u2", 2), deployment("old", "u3", 3)
        api.items = {d["metadata"]["uid"]: d for d in (cart, rows, old)}
        config = kubeconfig(folder, f"http://127.0.0.1:{api.server_address[1]}")
        with Server(extra=["--ontology", site, "--kubernetes", config]) as server:

            def workloads():
                try:
                    return {r[1].removeprefix(UID + "/"): r[2] for r in server.query("find Workload")["rows"]}
                except OSError:
                    return {}

            def wait(good):
                deadline = time.monotonic() + 30
                while time.monotonic() < deadline:
                    if good():
                        return True
                    time.sleep(0.1)
                return False

            def known(name):
                return f"shop/Deployment/{name}" in workloads()

            def shows(name, text):
                node = workloads().get(f"shop/Deployment/{name}")
                return node is not None and ["environment", text] in server.query(f'show Workload "{node}"')["rows"]

            checks.check("three deployments are listed, page by page", wait(lambda: len(workloads()) == 3) and api.lists >= 3, workloads())
            checks.check("the token to go on with comes back as it was given", any(q.get("continue") == "at+1" for q in api.seen), api.seen)
            api.tell("MODIFIED", deployment("cart", "u1", 0, "second"))
            checks.check("a change is followed", wait(lambda: shows("cart", "second")))
            api.tell("BOOKMARK")
            marked = api.version
            api.tell("end")
            checks.check("a watch that ends goes on from its bookmark or later",
                         wait(lambda: any(int(q.get("resourceVersion", 0)) >= marked for q in api.seen)), api.seen)
            lists = api.lists
            api.tell("break")
            api.tell("ADDED", deployment("fresh", "u4", 0))
            checks.check("a connection that breaks is made again, without another list", wait(lambda: known("fresh")) and api.lists == lists, api.lists)
            # What happens while nobody can tell: one deployment goes, one comes, and the past is forgotten.
            api.quietly("DELETED", old)
            api.quietly("ADDED", deployment("later", "u5", 0))
            api.tell("end")
            checks.check("after 410 Gone all is listed again", wait(lambda: known("later")) and api.lists > lists)
            checks.check("what was deleted meanwhile is told as deleted", wait(lambda: shows("old", "deleted")), workloads())
            api.tell("DELETED", deployment("rows", "u2", 0))
            checks.check("a deletion is followed", wait(lambda: shows("rows", "deleted")), workloads())
            checks.check("what is still there is not", not any(shows(name, "deleted") for name in ("cart", "fresh", "later")), workloads())
            data = b"".join(open(os.path.join(d, f), "rb").read() for d, _, fs in os.walk(server.data) for f in fs)
            checks.check("values of environment variables are not kept", b"hunter2" not in data and b"managedFields" not in data)
            checks.check("the token is not kept or shown", TOKEN.encode() not in data and TOKEN not in server.output())
            output = server.output()
            checks.check("what it may not see is said once, with what to do", output.count("events is forbidden") == 1 and "docs/sources/kubernetes.md" in output, output)
            checks.check("a kind that is not there is no trouble", "rollouts" not in output, output)
            checks.check("the cluster is known by its uid before anything is told", api.paths[0] == "/api/v1/namespaces" and cluster(server) == [["uid", UID]], cluster(server))
            checks.check("requests are counted", server.metric("e2egraph_requests_total") > 3)
            begin = time.monotonic()
        checks.check("it stops while watching", time.monotonic() - begin < 10, time.monotonic() - begin)
        api.shutdown()

        # Over TLS: only a cluster that the certificate authority vouches for is spoken to.
        cert, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
                        "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE", "-keyout", key, "-out", cert], check=True, capture_output=True)
        other = os.path.join(folder, "other.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
                        "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE", "-keyout", os.path.join(folder, "k2.pem"), "-out", other], check=True, capture_output=True)
        for trusted, good in ((cert, True), (other, False)):
            api = Api((cert, key))
            api.items = {"u1": deployment("cart", "u1", 1)}
            config = kubeconfig(folder, f"https://127.0.0.1:{api.server_address[1]}", f', certificate-authority: "{trusted}"')
            with Server(extra=["--ontology", site, "--kubernetes", config]) as server:
                deadline = time.monotonic() + (20 if good else 4)
                while time.monotonic() < deadline and not (api.watches if good else "TLS with" in server.output()):
                    time.sleep(0.1)
                if good:
                    checks.check("a cluster is watched over TLS", api.watches > 0, server.output())
                else:
                    checks.check("a cluster that is not vouched for is told nothing", api.lists == 0 and "TLS with" in server.output(), server.output())
            api.shutdown()

        # Who may not see namespaces goes on without the uid, and says so.
        api = Api(forbidden=("namespaces",))
        api.items = {"u1": deployment("cart", "u1", 1)}
        config = kubeconfig(folder, f"http://127.0.0.1:{api.server_address[1]}")
        with Server(extra=["--kubernetes", config, "--kubernetes-cluster", CLUSTER]) as server:
            checks.check("without the right to see namespaces the rest is told", wait_for(lambda: server.query("find Workload")["rows"], 30), server.output())
            checks.check("the cluster then has its name alone", cluster(server) == [["name", CLUSTER]], cluster(server))
            checks.check("that is said once", server.output().count("without the cluster's uid") == 1, server.output())
        api.shutdown()

        replayed(checks, folder)

        # Mistakes end the start with what to do.
        failed = Server(extra=["--kubernetes", os.path.join(folder, "missing")])
        try:
            failed.start(10)
            failed.stop()
            checks.check("a kubeconfig that is missing ends the start", False)
        except AssertionError as error:
            checks.check("a kubeconfig that is missing ends the start", "missing" in str(error) and "ended with 1" in str(error), error)
    return checks.close()


if __name__ == "__main__":
    sys.exit(main())
