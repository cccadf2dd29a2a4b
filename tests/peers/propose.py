"""What no mapping reads and what was set aside become a proposal; put into the site's folder, it lets them in."""

import json
import os
import sys
import tempfile
import time

from harness import Checks, Server
from reload import cli, write

CLASSES = """
classes:
  site:
    LoadBalancer: {is: Component, key: [site, name], attrs: {site: string, name: string}, doc: "Spreads traffic over instances."}
    Queue: {is: Component, key: [name], attrs: {name: string}, doc: "Holds jobs."}
"""
MAPPING = """
sources:
  site.balancers:
    reads: balancers
    LoadBalancer: {site: site, name: balancer.name}
  site.queues:
    reads: queues
    when: never.there
    Queue: {name: never.there}
"""


def spans(count):
    def attributes(**of):
        kinds = {int: "intValue", str: "stringValue"}
        return [{"key": k, "value": {kinds[type(v)]: v}} for k, v in of.items()]

    now = time.time_ns()
    one = [{"traceId": f"{i + 1:032x}", "spanId": f"{i + 1:016x}", "name": "GET /ratings", "kind": 2, "startTimeUnixNano": str(now - 1000),
            "endTimeUnixNano": str(now), "attributes": attributes(**{"http.route": "/ratings", "http.lane": i % 7,
                                                                      "caller.mail": f"jane{i}@example.org"})} for i in range(count)]
    resource = {"attributes": attributes(**{"service.name": "ratings", "service-namespace": "shop"})}
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": one}]}]}).encode()


def main(checks):
    with tempfile.TemporaryDirectory() as site:
        write(site, "classes.yaml", CLASSES)
        write(site, "mapping.yaml", MAPPING)
        with Server(extra=["--ontology", site]) as server:
            def names(question):
                return sorted(r[1] for r in server.query(question)["rows"])

            def post(feed, document):
                return server.post(f"{server.url}/api/v1/feeds/{feed}", json.dumps(document).encode())

            for i in range(6):
                _, _, body = post("balancers", {"site": "ams", "balancerName": f"lb-{i}", "weight": i})
            checks.check("a document whose key comes under another name is set aside",
                         "no key of LoadBalancer is complete" in body.decode() and not names("find LoadBalancer"), body)
            post("queues", {"queue": "mails", "depth": 3})
            server.post(server.otlp_url + "/v1/traces", spans(30))
            code, out, err = cli(server, "ontology", "propose")
            print(out)
            checks.check("propose prints what it would add", code == 0 and "balancerName: balancer.name" in out, (code, out, err))
            checks.check("… with the reason it was set aside for", "6 items of balancers: in part: no key of LoadBalancer" in out, out)
            checks.check("… with samples, share and why", '"lb-0"' in out and "in 100 % of" in out and "why: " in out, out)
            checks.check("a name spelt otherwise is known again", "service-namespace: service.namespace" in out, out)
            checks.check("an attribute goes to a class", "lane: int" in out, out)
            checks.check("nothing personal is printed", "jane" not in out and "hash:" in out, out)
            checks.check("documents that nothing reads get a source", "reads: queues" in out and "name: queue" in out, out)
            checks.check("nothing was applied", not names("find LoadBalancer") and sorted(os.listdir(site)) == ["classes.yaml", "mapping.yaml"])
            code, rare, _ = cli(server, "ontology", "propose", "--requests", "1", "--least", "1", "--json")
            told = json.loads(rare)
            checks.check("fewer requests and a least share are kept to", told["requests"] == 1 and
                         all(p["share"] >= 1 for p in told["proposals"]), rare)
            code, _, err = cli(server, "ontology", "propose", "--least", "7")
            checks.check("a share that is none is refused", code != 0 and "between 0 and 1" in err, err)
            code, out, err = cli(server, "ontology", "propose", "--json")
            for file in json.loads(out)["files"]:
                write(site, file["name"], file["text"])
            code, out, err = cli(server, "ontology", "replay-refused")
            print(out)
            checks.check("what is proposed is sound, and what was set aside goes in",
                         code == 0 and len(names("find LoadBalancer")) == 6, (code, out, err))
            checks.check("… and so do the documents nothing read", names("find Queue") == ["mails"], names("find Queue"))
            code, out, err = cli(server, "ontology", "propose", "--json")
            left = [p["attribute"] for p in json.loads(out)["proposals"]]
            known = {"balancerName", "service-namespace", "http.lane", "caller.mail"}
            checks.check("nothing is proposed twice", not known & set(left), left)


if __name__ == "__main__":
    checks = Checks()
    main(checks)
    sys.exit(checks.close())
