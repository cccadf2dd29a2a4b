"""A real Prometheus scrapes a real node_exporter and writes to us; the host and its pressure must appear. Our own scraper reads the
same exporter, and StatsD clients of PyPI send lines. What is no remote write is refused with a reason."""

import os
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request

from harness import Checks, Server, free_ports


def busy():
    """Keeps a processor busy for a second: an idle machine has no pressure to speak of."""
    end = time.monotonic() + 1
    while time.monotonic() < end:
        pass
    return True


def wait_for(ask, good, seconds=30):
    deadline = time.monotonic() + seconds
    answer = None
    while time.monotonic() < deadline:
        try:
            answer = ask()
            if good(answer):
                return answer
        except OSError as error:
            answer = str(error)
        time.sleep(0.2)
    return answer


class Program:
    """A program that answers HTTP on a port of its own, ended by its pid."""

    def __init__(self, folder, name, command, url):
        self.log = open(os.path.join(folder, name + ".log"), "ab+")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        self.name = name

        def up():
            if self.process.poll() is not None:
                raise AssertionError(f"{name} ended with {self.process.returncode}: {self.output()}")
            with urllib.request.urlopen(url, timeout=1) as answer:
                return answer.status

        if wait_for(up, lambda status: status == 200) != 200:
            raise AssertionError(f"{name} does not answer at {url}: {self.output()}")

    def output(self):
        self.log.flush()
        self.log.seek(0)
        return self.log.read().decode(errors="replace")[-3000:]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def exporter(folder):
    port, = free_ports(1)
    command = ["prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{port}"]
    return port, Program(folder, "node_exporter", command, f"http://127.0.0.1:{port}/metrics")


# --- protobuf and snappy, by hand: Prometheus of Debian speaks remote write 1.0 only

def varint(n):
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def field(number, value):
    if isinstance(value, float):
        return varint(number << 3 | 1) + struct.pack("<d", value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def snappy(data):
    """A snappy block of literals only."""
    out = bytearray(varint(len(data)))
    for i in range(0, len(data), 60):
        piece = data[i:i + 60]
        out.append((len(piece) - 1) << 2)
        out += piece
    return bytes(out)


class Second:
    """An io.prometheus.write.v2.Request."""

    def __init__(self):
        self.symbols, self.series = [""], []

    def ref(self, text):
        if text not in self.symbols:
            self.symbols.append(text)
        return self.symbols.index(text)

    def add(self, labels, kind, samples=(), histograms=(), created=0):
        refs = b"".join(varint(self.ref(t)) for pair in labels.items() for t in pair)
        parts = [field(1, refs)]
        parts += [field(2, field(1, float(v)) + field(2, at)) for v, at in samples]
        parts += [field(3, h) for h in histograms]
        parts += [field(5, field(1, kind)), field(6, created)]
        self.series.append(b"".join(parts))

    def bytes(self):
        return b"".join([field(4, s.encode()) for s in self.symbols] + [field(5, s) for s in self.series])


PROTO = "application/x-protobuf"
SECOND = PROTO + ";proto=io.prometheus.write.v2.Request"


def second():
    """What a Prometheus that speaks remote write 2.0 (3.0 and later) is told to use it; Debian 12 has 2.42."""
    said = subprocess.run(["prometheus", "--version"], check=True, capture_output=True, text=True)
    version = (said.stdout + said.stderr).split("version ", 1)[1]
    print(f"Prometheus {version.split()[0]}")
    if int(version.split(".", 1)[0]) < 3:
        return "", []
    return "    protobuf_message: io.prometheus.write.v2.Request", ["--enable-feature=metadata-wal-records"]


def real_prometheus(checks):
    message, more = second()
    with Server() as server, tempfile.TemporaryDirectory() as folder:
        target, running = exporter(folder)
        with running:
            port, = free_ports(1)
            config = os.path.join(folder, "prometheus.yml")
            with open(config, "w", encoding="utf-8") as out:
                out.write(f"""
global: {{scrape_interval: 1s, external_labels: {{cluster: test-cluster}}}}
scrape_configs:
  - job_name: node
    static_configs: [{{targets: ["127.0.0.1:{target}"]}}]
  - job_name: gone
    static_configs: [{{targets: ["127.0.0.1:1"]}}]
remote_write:
  - url: {server.url}/api/v1/write
    queue_config: {{batch_send_deadline: 1s, max_shards: 1}}
{message}
""")
            command = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder}/data",
                       f"--web.listen-address=127.0.0.1:{port}", *more]
            with Program(folder, "prometheus", command, f"http://127.0.0.1:{port}/-/ready"):
                hosts = wait_for(lambda: server.query("find Host"), lambda a: len(a["rows"]) == 1)
                checks.check("node_exporter's host is there, once", len(hosts["rows"]) == 1, hosts)
                host = hosts["rows"][0][2]
                now = lambda: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 120))
                then = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 600))

                def measure(name, of):
                    return server.query(f'series {name} of {of} between {then} and {now()}')

                pressure = wait_for(lambda: measure("host.pressure", f'Host "{host}"'), lambda a: busy() and a["value"], 60)
                checks.check("its pressure is a share of what its processors can do", 0 < pressure["value"] <= 1, pressure)
                free = wait_for(lambda: measure("host.memory_free", f'Host "{host}"'), lambda a: a["value"])
                checks.check("its free memory is bytes of this machine", 1e7 < free["value"] < 1e13, free)
                edges = wait_for(lambda: server.query(f'neighbours Host "{host}"'), lambda a: any("test-cluster" in r[2] for r in a["rows"]))
                checks.check("it is in the cluster of the external labels", any("test-cluster" in r[2] for r in edges["rows"]), edges)
                up = wait_for(lambda: measure("instance.unreachable", f'Instance "127.0.0.1:{target}"'), lambda a: a["value"])
                checks.check("a target that answers is reachable", up["value"] == 0, up)
                down = wait_for(lambda: measure("instance.unreachable", 'Instance "127.0.0.1:1"'), lambda a: a["value"])
                checks.check("a target that does not is not", down["value"] == 1, down)
                wrong = [s for s in server.get("/api/v1/sources")["sources"] if s["name"] == "prometheus"]
                bad = [r for s in wrong for r in s["reasons"] if not r["reason"].startswith(("not mapped", "in part"))]
                checks.check("nothing that Prometheus sent is refused", wrong and not bad, bad or wrong)
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                    text = answer.read().decode()
                lost = [line for line in text.splitlines()
                        if line.startswith("prometheus_remote_storage_samples_failed_total") and not line.endswith(" 0")]
                checks.check("Prometheus failed to send nothing", not lost, lost)


def by_hand(checks):
    with Server() as server:
        url = server.url + "/api/v1/write"
        now = int(time.time() * 1000) - 60_000
        request = Second()
        labels = {"__name__": "http_request_duration_seconds", "job": "shop/cart", "instance": "cart-1", "route": "/cart"}
        for at, count in ((now, 10), (now + 15_000, 110)):
            # Schema 0: bucket -3 is (0.0625, 0.125].
            span = field(1, 5) + field(2, 1)
            native = (field(1, count) + field(3, 0.1 * count) + field(4, 0) + field(11, span)
                      + field(12, varint(count << 1)) + field(15, at))
            request.add(labels, 3, histograms=[native])
        for code, counts in (("200", (1000, 1090)), ("500", (5, 15))):
            of = {**labels, "__name__": "http_requests_total", "code": code}
            request.add(of, 1, samples=[(v, now + i * 15_000) for i, v in enumerate(counts)])
        headers = {"Content-Encoding": "snappy", "X-Prometheus-Remote-Write-Version": "2.0.0"}
        status, answer, body = server.post(url, snappy(request.bytes()), SECOND, headers)
        answer = {name.lower(): value for name, value in answer.items()}
        written = [answer.get(f"x-prometheus-remote-write-{k}-written") for k in ("samples", "histograms", "exemplars")]
        checks.check("remote write 2.0 is taken and counted", (status, written) == (204, ["4", "2", "0"]), (status, answer, body))
        operations = wait_for(lambda: server.query("find Operation"), lambda a: len(a["rows"]) == 1)
        checks.check("an operation is named by its route", [r[1] for r in operations["rows"]] == ["shop/cart/cart"], operations)
        then, until = (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now / 1000 + s)) for s in (-120, 240))
        what = f'of Operation "shop/cart/cart" between {then} and {until}'
        latency = wait_for(lambda: server.query(f"series operation.reported_latency {what}"), lambda a: a["value"])
        checks.check("a native histogram tells the latency", 62 < latency["value"] < 126, latency)
        errors = wait_for(lambda: server.query(f"series operation.reported_errors {what}"), lambda a: a["value"])
        checks.check("a tenth of what came between two readings failed", abs(errors["value"] - 0.1) < 1e-9, errors)
        for what, body, kind, more, status, why in (
            ("bytes that are no snappy", b"\x05\x10hell", PROTO, headers, 400, "not in snappy's block format"),
            ("protobuf that is cut off", snappy(request.bytes()[:-3]), SECOND, headers, 400, "runs past the end"),
            ("2.0 announced as 1.0's other type", snappy(b"{}"), "application/json", headers, 415, "is not known here"),
            ("a body that is not compressed", request.bytes(), SECOND, {}, 415, "always compressed with snappy"),
        ):
            got, _, text = server.post(url, body, kind, more)
            checks.check(f"{what}: refused", got == status and why in text.decode(), (got, text))


def scraped_and_sent(checks):
    """Our own scraper reads node_exporter; two StatsD clients of PyPI send lines."""
    from datadog.dogstatsd import DogStatsd
    from statsd import StatsClient

    with tempfile.TemporaryDirectory() as folder:
        target, running = exporter(folder)
        lines, = free_ports(1)
        extra = ["--scrape", f"node=http://127.0.0.1:{target}", "--scrape", "gone=http://127.0.0.1:1", "--scrape-interval", "1",
                 "--statsd", f"127.0.0.1:{lines}"]
        server = Server(extra=extra)
        with running, server:
            hosts = wait_for(lambda: server.query("find Host"), lambda a: len(a["rows"]) == 1)
            checks.check("the scraped host is there, once", len(hosts["rows"]) == 1, hosts)
            then, until = (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + s)) for s in (-600, 600))

            def series(name, of):
                return wait_for(lambda: server.query(f"series {name} of {of} between {then} and {until}"), lambda a: busy() and a["value"])

            pressure = series("host.pressure", f'Host "{hosts["rows"][0][2]}"')
            checks.check("its pressure is a share", 0 < pressure["value"] <= 1, pressure)
            up, down = (series("instance.unreachable", f'Instance "127.0.0.1:{port}"') for port in (target, 1))
            checks.check("up is recorded of both targets", (up["value"], down["value"]) == (0, 1), (up, down))

            client = DogStatsd(host="127.0.0.1", port=lines, disable_telemetry=True, constant_tags=["service:cart", "version:1.4", "host:h1"])
            for status in (200, 200, 200, 503):
                client.histogram("web.request.duration", 0.25, tags=["endpoint:/cart", f"status:{status}"])
            client.increment("web.requests", 5, tags=["endpoint:/cart"])
            client.service_check("cart.up", DogStatsd.CRITICAL if hasattr(DogStatsd, "CRITICAL") else 2, hostname="h1", message="no answer")
            client.event("cart is odd", "it | says: #so", alert_type="error", hostname="h1")
            client.flush()
            StatsClient("127.0.0.1", lines, prefix="shop").incr("carts", 3)
            errors = series("operation.reported_errors", 'Operation "cart/cart"')
            checks.check("a quarter of what DogStatsD sent failed", abs(errors["value"] - 0.25) < 1e-9, errors)
            rate = series("operation.rate", 'Operation "cart/cart"')
            checks.check("its counter counts", rate["value"] == 5, rate)
            alerts = wait_for(lambda: server.query("find Alert"), lambda a: len(a["rows"]) == 1)
            checks.check("its event is an alert", len(alerts["rows"]) == 1, alerts)
            unmapped = wait_for(lambda: [r for s in server.get("/api/v1/sources")["sources"] if s["name"] == "statsd" for r in s["reasons"]],
                                lambda reasons: any("shop.carts" in str(r) for r in reasons))
            checks.check("a counter without tags is counted as not mapped", any("shop.carts" in str(r) for r in unmapped), unmapped)
            bad = [r for r in unmapped if not r["reason"].startswith(("not mapped", "in part"))]
            checks.check("no line of either client is refused", not bad, bad)


def main():
    checks = Checks()
    real_prometheus(checks)
    by_hand(checks)
    scraped_and_sent(checks)
    return checks.close()


if __name__ == "__main__":
    sys.exit(main())
