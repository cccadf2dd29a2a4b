"""A real Unleash server on a real PostgreSQL tells of changes by its webhook; the graph must hold them."""

import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request

from harness import Checks, Server, free_ports

CACHE = os.path.join(os.environ["E2EGRAPH_CACHE"], "unleash")
TOKEN = "*:*.e2e-admin-token"


def tool(name):
    found = shutil.which(name) or next(iter(sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"), reverse=True)), None)
    if not found:
        raise AssertionError(f"{name} of PostgreSQL is not there; tests/setup installs it")
    return found


class Postgres:
    """A database of its own. PostgreSQL does not run as root, so then it runs as `postgres`."""

    def __init__(self, folder):
        self.data = os.path.join(folder, "data")
        self.user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        if self.user:
            os.chmod(folder, 0o755)
            shutil.chown(folder, "postgres")
        self.port = free_ports(1)[0]
        self.url = f"postgres://postgres@127.0.0.1:{self.port}/unleash"

    def run(self, *command):
        subprocess.run([*self.user, *command], check=True, capture_output=True, cwd="/", timeout=60)

    def make(self):
        self.run(tool("initdb"), "-D", self.data, "-A", "trust", "-U", "postgres", "--no-sync")

    def start(self):
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={os.path.dirname(self.data)} -c fsync=off"
        # Its log must be a file: a pipe would be held open by the server.
        self.run(tool("pg_ctl"), "-D", self.data, "-w", "-l", os.path.join(self.data, "log"), "-o", options, "start")

    def sql(self, text, database="unleash"):
        self.run(tool("psql"), "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-v", "ON_ERROR_STOP=1", "-c", text, database)

    def stop(self):
        self.run(tool("pg_ctl"), "-D", self.data, "-m", "fast", "-w", "stop")


class Unleash:
    def __init__(self, postgres):
        self.port = free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self.port}"
        env = {**os.environ, "DATABASE_URL": postgres.url, "DATABASE_SSL": "false", "HTTP_HOST": "127.0.0.1", "HTTP_PORT": str(self.port),
               "INIT_ADMIN_API_TOKENS": TOKEN, "AUTH_TYPE": "none", "CHECK_VERSION": "false", "SEND_TELEMETRY": "false",
               # Webhooks to this machine are refused without it.
               "UNLEASH_ALLOW_PRIVATE_URL_IN_INTEGRATION": "true"}
        self.log = tempfile.TemporaryFile()
        script = os.path.join(CACHE, "node_modules", "unleash-server", "dist", "server.js")
        self.process = subprocess.Popen(["node", script], env=env, stdout=self.log, stderr=self.log, cwd=CACHE)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(self.url + "/health", timeout=1):
                    return
            except OSError:
                time.sleep(0.2)
        self.log.seek(0)
        raise AssertionError(f"Unleash did not start: {self.log.read()[-2000:]!r}")

    def ask(self, method, path, body=None):
        request = urllib.request.Request(self.url + path, method=method, data=None if body is None else json.dumps(body).encode(),
                                         headers={"Authorization": TOKEN, "Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
            return json.loads(text) if text else None

    def stop(self):
        os.kill(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait()


def prepared():
    """The database after Unleash's migrations, which take longer than everything else here; made once."""
    kept = os.path.join(CACHE, "migrated.tar")
    if not os.path.exists(kept):
        with tempfile.TemporaryDirectory() as folder:
            postgres = Postgres(folder)
            postgres.make()
            postgres.start()
            try:
                postgres.sql("create database unleash", "postgres")
                Unleash(postgres).stop()
            finally:
                postgres.stop()
            with tarfile.open(kept + ".new", "w") as tar:
                tar.add(postgres.data, "data")
        os.rename(kept + ".new", kept)
    return kept


def main():
    checks = Checks()
    kept = prepared()
    with Server() as server, tempfile.TemporaryDirectory() as folder:
        postgres = Postgres(folder)
        with tarfile.open(kept) as tar:
            tar.extractall(folder, numeric_owner=True)
        postgres.start()
        try:
            # The server reads its webhooks once a minute, so this one is there before it starts.
            events = ["feature-created", "feature-archived", "feature-strategy-add", "feature-strategy-update", "feature-environment-enabled", "feature-environment-disabled"]
            parameters = json.dumps({"url": f"{server.url}/api/v1/feeds/unleash"})
            postgres.sql(f"insert into addons (provider, enabled, parameters, events) values ('webhook', true, '{parameters}', '{json.dumps(events)}')")
            unleash = Unleash(postgres)
            try:
                flags = "/api/admin/projects/default/features"
                unleash.ask("POST", flags, {"name": "row-order", "type": "experiment"})
                halves = [{"name": n, "weight": 500, "weightType": "variable", "stickiness": "userId"} for n in ("deep", "flat")]
                here = f"{flags}/row-order/environments/development"
                rollout = {"name": "flexibleRollout", "parameters": {"rollout": "100", "stickiness": "userId", "groupId": "row-order"}, "variants": halves}
                strategy = unleash.ask("POST", f"{here}/strategies", rollout)["id"]
                unleash.ask("POST", f"{here}/on")
                rollout["parameters"]["rollout"] = "50"
                unleash.ask("PUT", f"{here}/strategies/{strategy}", rollout)
                unleash.ask("POST", f"{here}/off")

                def changes():
                    found = {}
                    for _, _, node in server.query("find FlagChange")["rows"]:
                        shown = dict(map(tuple, server.query(f'show FlagChange "{node}"')["rows"]))
                        found[shown.get("reason")] = (shown.get("old"), shown.get("new"), shown.get("-switches->"), shown.get("actor"))
                    return found

                wanted = {
                    "feature-created": (None, None), "feature-strategy-add/development": (None, "100"),
                    "feature-environment-enabled/development": ("off", "on"), "feature-strategy-update/development": ("100", "50"),
                    "feature-environment-disabled/development": ("on", "off"),
                }
                deadline = time.monotonic() + 30
                while time.monotonic() < deadline and set(changes()) < set(wanted):
                    time.sleep(0.2)
                told = changes()
                for reason, values in wanted.items():
                    got = told.get(reason, (None,) * 4)
                    checks.check(f"{reason} is a change of the flag", got[:2] == values and got[2] == "Flag default/row-order" and got[3], got)
                variants = sorted(r[1] for r in server.query("find Variant")["rows"])
                checks.check("the strategy's variants are known", variants == ["default/row-order/deep", "default/row-order/flat"], variants)
                delivered = unleash.ask("GET", "/api/admin/addons/1/events")["integrationEvents"]
                checks.check("Unleash takes every delivery for a success", delivered and all(e["state"] == "success" for e in delivered), delivered)
                refused = {s["name"]: s["reasons"] for s in server.get("/api/v1/sources")["sources"] if s["refused"]}
                checks.check("nothing is set aside", not refused, refused)
            finally:
                unleash.stop()
        finally:
            postgres.stop()
    return checks.close()


if __name__ == "__main__":
    sys.exit(main())
