"""The demo, as a new user runs it: ends with an answer that names the version with the cell, and leaves nothing behind."""

import glob
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "peers"))
from harness import BINARY, Checks, free_ports  # noqa: E402


def left(pid):
    return glob.glob(os.path.join(tempfile.gettempdir(), f"e2egraph-demo-{pid}-*"))


def ports():
    return [word for flag, port in zip(("--http", "--otlp-grpc", "--otlp-http"), free_ports(3)) for word in (flag, f"127.0.0.1:{port}")]


def end_checks(checks):
    """Ctrl-C and SIGTERM at any moment: it ends at once and leaves nothing."""
    # The delays fall before the server is up, at the first requests, and in the middle of the play.
    for delay, sign, extra in ((0.02, signal.SIGINT, []), (0.3, signal.SIGTERM, []), (3, signal.SIGINT, []), (3, signal.SIGINT, ["--once", "--json"])):
        demo = subprocess.Popen([BINARY, "demo", *extra, *ports()], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if delay > 0.1:
            wait_for_folder(demo)
        time.sleep(delay)
        demo.send_signal(sign)
        begin = time.monotonic()
        out, err = demo.communicate(timeout=30)
        took = time.monotonic() - begin
        what = f"{sign.name} after {delay} s {' '.join(extra)}".strip()
        if delay < 0.1:
            # It may come before anything listens to signals; then there is nothing to leave behind.
            checks.check(f"{what}: nothing is left", not left(demo.pid), left(demo.pid))
            continue
        checks.check(f"{what}: an orderly end", demo.returncode == (1 if extra else 0) and took < 5, (demo.returncode, took, err))
        checks.check(f"{what}: nothing is left", not left(demo.pid), left(demo.pid))
        if extra:
            checks.check("without an answer, standard output stays empty", out == "" and "before the answer" in err, (out, err))


def wait_for_folder(demo):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and not left(demo.pid) and demo.poll() is None:
        time.sleep(0.01)


def beside_checks(checks):
    """A second demo takes other ports and says which; an open page does not hold up the end."""
    same = ports()
    first = subprocess.Popen([BINARY, "demo", "--scenario", "healthy", *same], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = "http://" + same[1]
    deadline = time.monotonic() + 30
    page = None
    while page is None and time.monotonic() < deadline:
        try:
            page = urllib.request.urlopen(url + "/api/v1/events", timeout=60)
        except OSError:
            time.sleep(0.05)
    second = subprocess.Popen([BINARY, "demo", "--json", *same], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    said = [second.stderr.readline() for _ in range(3)]
    checks.check("the second says which ports it took instead", all(a in line for a, line in zip(same[1::2], said)), said)
    second.send_signal(signal.SIGINT)
    out, err = second.communicate(timeout=30)
    checks.check("and ends well", second.returncode == 0 and not out, (second.returncode, out, err))
    begin = time.monotonic()
    first.send_signal(signal.SIGINT)
    first.wait(30)
    took = time.monotonic() - begin
    checks.check(f"an open page does not hold up the end ({took:.1f} s)", page is not None and first.returncode == 0 and took < 5, (first.returncode, took))
    checks.check("and nothing is left", not left(first.pid) and not left(second.pid))


def full_checks(checks):
    """A disk that fills up while it plays: the end says so."""
    folder = tempfile.mkdtemp(prefix="e2egraph-full-")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", folder], capture_output=True, text=True)
    if not checks.check("a small file system can be mounted", mounted.returncode == 0, mounted.stderr):
        return
    try:
        full = subprocess.run([BINARY, "demo", "--once", "--json", "--data", os.path.join(folder, "data"), *ports()], capture_output=True, text=True, timeout=300)
        checks.check("a full disk: 1, and the message says that", full.returncode == 1 and "disk is full" in full.stderr and not full.stdout, (full.returncode, full.stderr))
        print(full.stderr)
    finally:
        subprocess.run(["umount", "-l", folder], check=False)
        os.rmdir(folder)


def main():
    checks = Checks()
    end_checks(checks)
    beside_checks(checks)
    full_checks(checks)
    begin = time.monotonic()
    done = subprocess.run([BINARY, "demo", "--once", "--json"], capture_output=True, text=True, timeout=300)
    took = time.monotonic() - begin
    checks.check("it ends well", done.returncode == 0, (done.returncode, done.stderr[-2000:]))
    try:
        answer = json.loads(done.stdout)
    except ValueError as error:
        checks.check("standard output is one JSON document", False, (error, done.stdout[:500]))
        return checks.close()
    for key in ("question", "status", "causes", "ruled_out", "missing", "tier", "impact", "mitigations"):
        checks.check(f"the answer has `{key}`", key in answer)
    first = answer["causes"][0] if answer["causes"] else {}
    named = {(e["class"], e["name"]) for e in first.get("entities", [])}
    checks.check("explained", answer["status"] == "explained", answer["status"])
    checks.check("version 8.42.0 first", any(c == "AppVersion" and "8.42.0" in n for c, n in named), named)
    checks.check("with cell B", any(c == "Cell" and n.endswith("/B") for c, n in named), named)
    checks.check("with a path from the fault to the user", bool(first.get("path")))
    checks.check("with evidence that says how to get it again", first.get("evidence") and all(e.get("query") for e in first["evidence"]))
    checks.check("something was ruled out", bool(answer["ruled_out"]))
    checks.check(f"within a minute ({took:.0f} s)", took <= 60)
    print(json.dumps(first, indent=1)[:3000])
    return checks.close()


if __name__ == "__main__":
    sys.exit(main())
