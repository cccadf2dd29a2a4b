"""The demo, as a new user runs it: ends with an answer that names the version with the cell, and leaves nothing behind."""

import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "peers"))
from harness import BINARY, Checks  # noqa: E402


def main():
    checks = Checks()
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
