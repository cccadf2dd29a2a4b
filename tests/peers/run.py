"""Real programs send to the real server, and others' tools read what it exports: each script in this list, one after the other."""

import os
import re
import subprocess
import sys
import time

SCRIPTS = ["sdks", "reload", "propose", "prometheus", "logs", "proxies", "alertmanager", "clients", "kubernetes", "unleash", "history", "postgres"]
here = os.path.dirname(os.path.abspath(__file__))


def main():
    passed = failed = 0
    for name in SCRIPTS:
        begin = time.monotonic()
        try:
            done = subprocess.run([sys.executable, os.path.join(here, name + ".py")], capture_output=True, text=True, timeout=900)
            output, code = done.stdout + done.stderr, done.returncode
        except subprocess.TimeoutExpired as error:
            output, code = f"{error.stdout or ''}\n{name} did not end within 900 s", 1
        print(f"── {name}, {time.monotonic() - begin:.0f} s\n{output}")
        counts = re.findall(r"^(\d+) passed, (\d+) failed$", output, re.M)
        passed += sum(int(p) for p, _ in counts)
        failed += sum(int(f) for _, f in counts)
        # A script that ends without its counts, or badly without a failed check, has failed.
        if not counts or (code != 0 and not any(int(f) for _, f in counts)):
            failed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
