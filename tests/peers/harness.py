"""Starts the real binary on free loopback ports with a temporary data folder, and ends it by its pid."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

BINARY = os.environ.get("E2EGRAPH", os.path.join(os.environ.get("CARGO_TARGET_DIR", "target"), "release", "e2egraph"))


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    try:
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]
    finally:
        for s in sockets:
            s.close()


class Server:
    """A running `e2egraph serve` (or another command that serves)."""

    def __init__(self, data=None, extra=(), what="serve"):
        self.what = what
        self.keep = data is not None
        self.data = data or tempfile.mkdtemp(prefix="e2egraph-test-")
        self.http, self.grpc, self.otlp = free_ports(3)
        self.url = f"http://127.0.0.1:{self.http}"
        self.otlp_url = f"http://127.0.0.1:{self.otlp}"
        self.extra = list(extra)
        self.process = None

    def start(self, wait=30.0):
        command = [BINARY, self.what, "--data", self.data, "--http", f"127.0.0.1:{self.http}",
                   "--otlp-grpc", f"127.0.0.1:{self.grpc}", "--otlp-http", f"127.0.0.1:{self.otlp}", *self.extra]
        self.log = open(os.path.join(tempfile.gettempdir(), f"e2egraph-{self.http}.log"), "ab+")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        deadline = time.monotonic() + wait
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended with {self.process.returncode}: {self.output()}")
            try:
                with urllib.request.urlopen(self.url + "/healthz", timeout=1) as answer:
                    if answer.status == 200:
                        return self
            except OSError:
                time.sleep(0.02)
        raise AssertionError(f"the server did not answer within {wait} s: {self.output()}")

    def output(self):
        self.log.flush()
        self.log.seek(0)
        return self.log.read().decode(errors="replace")[-4000:]

    def kill(self):
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError("the server did not end within 20 s of SIGTERM")

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        try:
            self.stop()
        finally:
            if not self.keep:
                shutil.rmtree(self.data, ignore_errors=True)

    def get(self, path, **query):
        url = self.url + path + ("?" + urllib.parse.urlencode(query) if query else "")
        with urllib.request.urlopen(url, timeout=30) as answer:
            return json.load(answer)

    def post(self, url, body, content_type="application/json", headers=None, timeout=60):
        """Returns status, headers, body; does not raise for error statuses."""
        request = urllib.request.Request(url, data=body, headers={"Content-Type": content_type, **(headers or {})})
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.status, dict(answer.headers), answer.read()
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), error.read()

    def query(self, text):
        return self.get("/api/v1/query", q=text)

    def metric(self, name):
        with urllib.request.urlopen(self.url + "/metrics", timeout=30) as answer:
            text = answer.read().decode()
        found = re.findall(rf"^{re.escape(name)}(?:{{[^}}]*}})? ([0-9.eE+-]+)$", text, re.M)
        return sum(float(f) for f in found)


def prometheus(text):
    """Reads the Prometheus text format 0.0.4 strictly; returns {family: (type, {labels: value})} and what is wrong."""
    families, wrong, current = {}, [], None
    name, label = r"[a-zA-Z_:][a-zA-Z0-9_:]*", r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"'
    if not text.endswith("\n"):
        wrong.append("the last line does not end")
    for line in text.splitlines():
        if head := re.fullmatch(rf"# HELP ({name}) \S.*", line):
            current = head.group(1)
            if current in families:
                wrong.append(f"{current} is told twice")
            families[current] = (None, {})
        elif kind := re.fullmatch(rf"# TYPE ({name}) (counter|gauge|histogram|summary|untyped)", line):
            if kind.group(1) != current or families[current][1]:
                wrong.append(f"TYPE out of place: {line}")
            else:
                families[current] = (kind.group(2), {})
        elif row := re.fullmatch(rf"({name})(?:{{({label}(?:,{label})*)}})? (\S+)", line):
            family, labels = row.group(1), row.group(2) or ""
            if family != current or families[current][0] is None:
                wrong.append(f"out of its family: {line}")
                continue
            if labels in families[current][1]:
                wrong.append(f"twice: {line}")
            try:
                families[current][1][labels] = float(row.group(3))
            except ValueError:
                wrong.append(f"no number: {line}")
            if families[current][0] == "counter" and not family.endswith("_total"):
                wrong.append(f"a counter that does not end in _total: {family}")
        else:
            wrong.append(f"not the format: {line}")
    return families, wrong


class Checks:
    """Counts checks and prints a line for each; `close` gives the exit code."""

    def __init__(self):
        self.passed = self.failed = 0

    def check(self, what, ok, detail=""):
        if ok:
            self.passed += 1
            print(f"ok      {what}")
        else:
            self.failed += 1
            print(f"FAILED  {what}  {detail}")
        return ok

    def close(self):
        print(f"{self.passed} passed, {self.failed} failed")
        return 1 if self.failed else 0
