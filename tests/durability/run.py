"""Kills the server 50 times at random moments under load and looks whether every acknowledged item is there, once."""

import glob
import json
import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "peers"))
from harness import Checks, Server  # noqa: E402

ROUNDS = 50
SENDERS = 4
SPANS = 20


def request(serial):
    """One OTLP/JSON request of SPANS server spans, each of a trace of its own, numbered so that they can be counted."""
    now = time.time_ns()
    spans = [{
        "traceId": f"{serial:016x}{i:016x}", "spanId": f"{(serial << 8 | i) & (2**64 - 1):016x}", "name": "work", "kind": 2,
        "startTimeUnixNano": str(now), "endTimeUnixNano": str(now + 5_000_000),
        "attributes": [{"key": "http.route", "value": {"stringValue": "/work"}}],
    } for i in range(1, SPANS + 1)]
    resource = [{"key": k, "value": {"stringValue": v}} for k, v in {
        "service.name": "durable", "service.version": "1", "service.instance.id": "durable-1"}.items()]
    return json.dumps({"resourceSpans": [{"resource": {"attributes": resource}, "scopeSpans": [{"spans": spans}]}]}).encode()


def main():
    checks = Checks()
    chance = random.Random(20261124)
    server = Server()
    first = request(1)
    serial, acknowledged, unanswered = 0, 0, 0
    lock = threading.Lock()

    def load(stop):
        nonlocal serial, acknowledged, unanswered
        while not stop.is_set():
            with lock:
                serial += 1
                mine = serial
            try:
                status, _, _ = server.post(server.otlp_url + "/v1/traces", first if mine == 1 else request(mine), timeout=5)
                with lock:
                    if status == 200:
                        acknowledged += SPANS
            except OSError:
                # No answer came: the items may be there or not, but not twice.
                with lock:
                    unanswered += SPANS

    started = time.time()
    for _ in range(ROUNDS):
        server.start()
        stop = threading.Event()
        threads = [threading.Thread(target=load, args=(stop,)) for _ in range(SENDERS)]
        for t in threads:
            t.start()
        time.sleep(chance.uniform(0.02, 0.35))
        server.kill()
        stop.set()
        for t in threads:
            t.join()
    server.start()
    between = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started - 120)), time.strftime(
        "%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 120))
    text = f'series operation.latency of Operation "durable/work" between {between[0]} and {between[1]} show count'
    held = server.query(text)["value"]
    print(f"{ROUNDS} kills, {acknowledged} items acknowledged, {unanswered} unanswered, {held:.0f} held")
    checks.check("the load was real", acknowledged > ROUNDS * SPANS, acknowledged)
    checks.check("nothing acknowledged is lost", held >= acknowledged, f"{held} < {acknowledged}")
    checks.check("nothing is there twice", held <= acknowledged + unanswered, f"{held} > {acknowledged} + {unanswered}")
    again = server.post(server.otlp_url + "/v1/traces", first)
    checks.check("a repetition is taken", again[0] == 200, again)
    checks.check("and not counted again", server.query(text)["value"] == held)
    server.stop()
    server.start()
    checks.check("the same after an orderly restart", server.query(text)["value"] == held)
    # A torn last record: what a power cut leaves.
    server.kill()
    segments = sorted(glob.glob(os.path.join(server.data, "**", "log-*.seg"), recursive=True))
    with open(segments[-1], "ab") as segment:
        segment.write(os.urandom(37))
    server.start()
    checks.check("a torn tail is cut off and nothing else", server.query(text)["value"] == held)
    server.stop()
    return checks.close()


if __name__ == "__main__":
    sys.exit(main())
