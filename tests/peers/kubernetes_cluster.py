"""A real control plane on loopback: etcd, kube-apiserver and kube-controller-manager as tests/peers/kubernetes_build.sh builds them.
Nothing runs in it: in place of scheduler and kubelets, a thread binds pods and says of them what a kubelet would say."""

import base64
import json
import os
import secrets
import signal
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request

from harness import free_ports

HOME = os.path.join(os.environ.get("E2EGRAPH_CACHE", os.path.expanduser("~/.cache/e2egraph")), "kubernetes")
CONTROLLERS = ["deployment", "replicaset", "statefulset", "job", "endpoint", "horizontalpodautoscaling", "namespace", "garbagecollector",
               "serviceaccount", "serviceaccount-token"]
NODES = ["node-a", "node-b"]


def openssl(*args):
    subprocess.run(["openssl", *args], check=True, capture_output=True)


class Cluster:
    def __init__(self, folder):
        self.folder = folder
        self.port, self.etcd, self.etcd_peer, self.manager = free_ports(4)
        self.url = f"https://127.0.0.1:{self.port}"
        self.admin = secrets.token_hex(16)
        self.processes = {}
        self.certificates()
        with open(self.at("tokens.csv"), "w") as file:
            file.write(f'{self.admin},admin,admin,"system:masters"\n')
        self.kubeconfig = self.write_kubeconfig("admin.kubeconfig", self.url, self.admin, self.at("ca.pem"))
        self.trust = ssl.create_default_context(cafile=self.at("ca.pem"))

    def at(self, name):
        return os.path.join(self.folder, name)

    def certificates(self):
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=ca", "-addext", "keyUsage=critical,keyCertSign",
                "-keyout", self.at("ca.key"), "-out", self.at("ca.pem"))
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=kube-apiserver", "-keyout", self.at("api.key"), "-out", self.at("api.csr"))
        with open(self.at("api.ext"), "w") as file:
            file.write("subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n")
        openssl("x509", "-req", "-days", "2", "-in", self.at("api.csr"), "-CA", self.at("ca.pem"), "-CAkey", self.at("ca.key"), "-CAcreateserial",
                "-extfile", self.at("api.ext"), "-out", self.at("api.pem"))
        openssl("genrsa", "-out", self.at("accounts.key"), "2048")

    def write_kubeconfig(self, name, server, token, ca=None):
        cluster = {"server": server, **({"certificate-authority": ca} if ca else {})}
        with open(self.at(name), "w") as file:
            json.dump({"apiVersion": "v1", "kind": "Config", "current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                       "clusters": [{"name": "c", "cluster": cluster}], "users": [{"name": "u", "user": {"token": token}}]}, file)
        return self.at(name)

    def run(self, name, *args):
        log = open(self.at(name + ".log"), "ab")
        self.processes[name] = subprocess.Popen([os.path.join(HOME, "bin", name), *args], stdout=log, stderr=log, cwd=self.folder)

    def end(self, name):
        process = self.processes.pop(name)
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(5)  # while watches are open, the API server would wait for a minute
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def start_api(self):
        self.run("kube-apiserver", "--etcd-servers", f"http://127.0.0.1:{self.etcd}", "--bind-address", "127.0.0.1", "--advertise-address", "127.0.0.1",
                 "--secure-port", str(self.port), "--insecure-port", "0", "--tls-cert-file", self.at("api.pem"), "--tls-private-key-file", self.at("api.key"),
                 "--token-auth-file", self.at("tokens.csv"), "--authorization-mode", "RBAC", "--anonymous-auth=false",
                 "--service-account-issuer", "https://kubernetes.default.svc", "--service-account-signing-key-file", self.at("accounts.key"),
                 "--service-account-key-file", self.at("accounts.key"), "--service-cluster-ip-range", "10.96.0.0/16", "--endpoint-reconciler-type", "none",
                 "--allow-privileged=true", "--cert-dir", self.folder)
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            assert self.processes["kube-apiserver"].poll() is None, open(self.at("kube-apiserver.log")).read()[-3000:]
            try:
                self.api("GET", "/readyz", raw=True)
                return
            except OSError:
                time.sleep(0.3)
        raise AssertionError("kube-apiserver is not ready within 180 s")

    def __enter__(self):
        try:
            here = "http://127.0.0.1"
            self.run("etcd", "--data-dir", self.at("etcd"), "--listen-client-urls", f"{here}:{self.etcd}", "--advertise-client-urls", f"{here}:{self.etcd}",
                     "--listen-peer-urls", f"{here}:{self.etcd_peer}", "--initial-advertise-peer-urls", f"{here}:{self.etcd_peer}",
                     "--initial-cluster", f"default={here}:{self.etcd_peer}", "--unsafe-no-fsync")
            self.start_api()
            self.run("kube-controller-manager", "--kubeconfig", self.kubeconfig, "--controllers", ",".join(CONTROLLERS), "--leader-elect=false",
                     "--bind-address", "127.0.0.1", "--secure-port", str(self.manager), "--port", "0", "--cert-dir", self.folder,
                     "--service-account-private-key-file", self.at("accounts.key"), "--root-ca-file", self.at("ca.pem"),
                     "--horizontal-pod-autoscaler-sync-period", "5s")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for name in ("kube-controller-manager", "kube-apiserver", "etcd"):
            if name in self.processes:
                self.end(name)

    def api(self, method, path, body=None, kind="application/json", raw=False):
        request = urllib.request.Request(self.url + path, method=method, data=None if body is None else json.dumps(body).encode(),
                                         headers={"Authorization": f"Bearer {self.admin}", "Content-Type": kind})
        with urllib.request.urlopen(request, timeout=20, context=self.trust) as answer:
            data = answer.read()
        return data if raw else json.loads(data)

    def kubectl(self, *args, stdin=None):
        done = subprocess.run([os.path.join(HOME, "bin", "kubectl"), "--kubeconfig", self.kubeconfig, "--cache-dir", self.at("cache"), *args],
                              input=stdin, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"kubectl {' '.join(args)}: {done.stdout}{done.stderr}"
        return done.stdout

    def apply(self, *objects):
        return self.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))

    def account_token(self, namespace, name):
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        spec = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 7200}}
        return self.api("POST", path, spec)["status"]["token"]

    def compact(self):
        """Has etcd forget everything but what is there now."""
        def etcd(path, body):
            request = urllib.request.Request(f"http://127.0.0.1:{self.etcd}/v3/kv/{path}", data=json.dumps(body).encode())
            with urllib.request.urlopen(request, timeout=20) as answer:
                return json.load(answer)
        revision = etcd("range", {"key": base64.b64encode(b"x").decode()})["header"]["revision"]
        etcd("compaction", {"revision": revision, "physical": True})


class Kubelets:
    """Binds pods to nodes in turn and patches their status: running and ready, or done when they are of a job; ends those that are
    to be deleted. `seen` keeps every pod that was there, as the API gave it last."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.seen = {}
        self.dead = set()
        self.turn = 0
        self.stopped = threading.Event()
        self.troubles = []
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stopped.wait(0.15):
            try:
                self.look()
            except urllib.error.HTTPError as error:
                # Others: somebody else was faster, or the API is being restarted.
                if error.code in (400, 422):
                    self.troubles.append(f"{error.code} {error.read()[:300]}")
            except OSError:
                pass  # the API is being restarted

    def stop(self):
        self.stopped.set()
        self.thread.join()

    def look(self):
        pods = self.cluster.api("GET", "/api/v1/pods")["items"]
        here = {p["metadata"]["uid"]: p for p in pods}
        self.dead |= self.seen.keys() - here.keys()
        self.seen.update(here)
        for pod in pods:
            path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"
            if not pod["spec"].get("nodeName"):
                self.turn += 1
                self.cluster.api("POST", path + "/binding", {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": pod["metadata"]["name"]},
                                                             "target": {"apiVersion": "v1", "kind": "Node", "name": NODES[self.turn % len(NODES)]}})
            elif pod["metadata"].get("deletionTimestamp"):
                self.cluster.api("DELETE", path, {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0,
                                                  "preconditions": {"uid": pod["metadata"]["uid"]}})
            elif pod["status"]["phase"] == "Pending":
                self.status(path, pod, "Running")
            elif pod["status"]["phase"] == "Running" and any(o["kind"] == "Job" for o in pod["metadata"].get("ownerReferences", [])):
                self.status(path, pod, "Succeeded")

    def status(self, path, pod, phase, last=None):
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        done = phase == "Succeeded"
        state = {"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": now, "finishedAt": now}} if done else {"running": {"startedAt": now}}
        ready = "False" if done else "True"
        self.cluster.api("PATCH", path + "/status", {"status": {
            "phase": phase, "startTime": now, "podIP": f"10.0.0.{len(self.seen) % 250 + 1}",
            "conditions": [{"type": t, "status": ready, "lastTransitionTime": now} for t in ("Initialized", "Ready", "ContainersReady", "PodScheduled")],
            "containerStatuses": [{"name": c["name"], "image": c["image"], "imageID": "", "containerID": f"containerd://{c['name']}", "ready": not done,
                                   "restartCount": 1 if last else 0, "state": state, "lastState": last or {}} for c in pod["spec"]["containers"]]}},
            "application/strategic-merge-patch+json")
