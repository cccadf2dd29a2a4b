"""Runs the commands that the docs show: every block fenced as `sh`, against a demo on free ports. A line that ends in
`# exit N` must end with that code, every other with 0."""

import glob
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "peers"))
from harness import BINARY, Checks, free_ports, prometheus  # noqa: E402

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))


def blocks():
    for path in [os.path.join(ROOT, "README.md"), *sorted(glob.glob(os.path.join(ROOT, "docs", "**", "*.md"), recursive=True))]:
        with open(path) as file:
            for block in re.findall(r"^```sh\n(.*?)^```", file.read(), re.M | re.S):
                yield os.path.relpath(path, ROOT), block


def commands(block):
    """Commands of a block: a line, with the lines it continues on, and here-documents whole."""
    command, until = "", None
    for line in block.splitlines():
        if not command and (not line.strip() or line.startswith("#")):
            continue
        command += line + "\n"
        if until is None and (here := re.search(r"<<\s*'?(\w+)'?", line)):
            until = here.group(1)
            continue
        if until is not None:
            if line.strip() != until:
                continue
            until = None
        # A quoted text may go on over lines.
        if not line.endswith("\\") and command.count("'") % 2 == 0:
            yield command
            command = ""


def metrics_checks(checks, server):
    """`/metrics` is in its format, and every bound in it stands in the table of docs/operations.md with its default."""
    with urllib.request.urlopen(server + "/metrics", timeout=30) as answer:
        families, wrong = prometheus(answer.read().decode())
    checks.check("/metrics is in the Prometheus text format", not wrong, wrong[:5])
    with open(os.path.join(ROOT, "docs", "operations.md")) as file:
        rows = re.findall(r"^\| `(\w+)` \| ([0-9 ]+) \| \S", file.read(), re.M)
    documented = {f'limit="{name}"': float(value.replace(" ", "")) for name, value in rows}
    bounds = families.get("e2egraph_limit", (None, {}))[1]
    checks.check("every bound is documented with its default", bounds == documented,
                 sorted(set(bounds.items()) ^ set(documented.items())))
    used = families.get("e2egraph_limit_used", (None, {}))[1]
    checks.check("what is used of them stays within them", used and all(used[k] <= bounds.get(k, -1) for k in used), used)
    beyond = families.get("e2egraph_beyond_limit_total", (None, {}))[1]
    checks.check("what went beyond goes by their names", beyond and set(beyond) <= set(bounds), beyond)


def main():
    checks = Checks()
    http, grpc, otlp, *second = free_ports(6)
    ports = {"4320": str(http), "4317": str(grpc), "4318": str(otlp), **dict(zip(("4330", "4337", "4338"), map(str, second)))}
    server = f"http://127.0.0.1:{http}"
    with tempfile.TemporaryDirectory() as folder:
        os.makedirs(os.path.join(folder, "bin"))
        os.symlink(BINARY, os.path.join(folder, "bin", "e2egraph"))
        os.symlink(os.path.join(ROOT, "docs"), os.path.join(folder, "docs"))
        env = {**os.environ, "PATH": os.path.join(folder, "bin") + ":" + os.environ["PATH"], "E2EGRAPH_SERVER": server}
        os.makedirs(os.path.join(folder, "secrets"))
        secrets = []
        for feed in ["github", "gitlab", "pagerduty"]:
            with open(os.path.join(folder, "secrets", feed), "w") as file:
                file.write(f"the secret of {feed}\n")
            secrets += ["--feed-secret", f"{feed}={file.name}"]
        with open(os.path.join(folder, "demo.log"), "w") as log:
            demo = subprocess.Popen([BINARY, "demo", "--http", f"127.0.0.1:{http}", "--otlp-grpc", f"127.0.0.1:{grpc}",
                                     "--otlp-http", f"127.0.0.1:{otlp}", *secrets], stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 120
            while time.monotonic() < deadline:
                try:
                    with urllib.request.urlopen(server + "/api/v1/regressions", timeout=5) as answer:
                        if b'"top_cause":{' in answer.read().replace(b" ", b""):
                            break
                except OSError:
                    pass
                time.sleep(0.5)
            else:
                checks.check("the demo explains its regression", False)
            metrics_checks(checks, server)
            for where, block in blocks():
                for command in commands(block):
                    for documented, real in ports.items():
                        command = command.replace(f"127.0.0.1:{documented}", f"127.0.0.1:{real}")
                    wanted = re.search(r"# exit (\d+)\s*$", command)
                    wanted = int(wanted.group(1)) if wanted else 0
                    done = subprocess.run(["bash", "-euo", "pipefail", "-c", command], cwd=folder, env=env, capture_output=True, text=True, timeout=300)
                    checks.check(f"{where}: {command.strip().splitlines()[0]}", done.returncode == wanted,
                                 (done.returncode, done.stdout[-500:], done.stderr[-1000:]))
        finally:
            for left in glob.glob(os.path.join(folder, "*.pid")):
                with open(left) as file:
                    subprocess.run(["kill", file.read().strip()], check=False, stderr=subprocess.DEVNULL)
            demo.terminate()
            demo.wait(30)
            with open(os.path.join(folder, "demo.log")) as log:
                print(log.read()[-3000:])
    checks.check("the docs show commands", checks.passed > 10, checks.passed)
    return checks.close()


if __name__ == "__main__":
    sys.exit(main())
