"""Answers on simulated worlds of every scenario: a short run of `e2egraph sim score`, which docs/accuracy.md quotes in full."""

import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "peers"))
from harness import BINARY, Checks  # noqa: E402

SEEDS = 2


def main():
    checks = Checks()
    done = subprocess.run([BINARY, "sim", "score", "--seeds", str(SEEDS), "--json"], capture_output=True, text=True, timeout=900)
    checks.check("it ends well", done.returncode == 0, done.stderr[-2000:])
    score = json.loads(done.stdout)
    print(json.dumps({k: v for k, v in score.items() if k != "per_case"}, indent=1))
    checks.check("every scenario is there", len(score["per_scenario"]) == 7, list(score["per_scenario"]))
    checks.check("the first cause is right in nine of ten worlds", score["top1"] >= 0.9, score["top1"])
    checks.check("the side is right", score["tier"] >= 0.9, score["tier"])
    checks.check("nothing is blamed where nothing is wrong", score["healthy_silent"] >= 0.95, score["healthy_silent"])
    return checks.close()


if __name__ == "__main__":
    sys.exit(main())
