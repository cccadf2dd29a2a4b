"""What other people's tools make of the exports: rdflib reads them, pyshacl holds a played world against the shapes and finds
what is planted, and the competency questions give the same rows as SPARQL over the export and as query text on the server."""

import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import pyshacl
from harness import BINARY, Checks, Server
from rdflib import RDF, RDFS, Dataset, Graph, Literal, URIRef
from rdflib.namespace import OWL, SH, SKOS, XSD, Namespace

BASE = "https://w3id.org/e2egraph/core"
E2E, NODE = Namespace(BASE + "#"), Namespace(BASE + "/node/")
DERIVED, PROVENANCE = URIRef(BASE + "/graph/derived"), URIRef(BASE + "/graph/provenance")
ALIGNED = ["http://www.w3.org/ns/prov#", "http://www.w3.org/ns/sosa/", "http://www.w3.org/ns/ssn/", "https://schema.org/"]

# What the simulated company does not tell: a site's own mapping reads it from logs, as an operator would have it.
SITE = """
sources:
  site.playback:
    reads: log
    when: event.name = site.playback
    Playback: {playback_id: playback | hash, state: "'playing'"}
    Session:  {session_id: session | hash}
    Isp:      {asn: asn, name: isp}
    Cdn:      {name: cdn}
    CdnSite:  {site: cdn_site}
    Title:    {title_id: title}
  site.incident:
    reads: log
    when: event.name = site.incident
    Incident:       {number: number, title: title, severity: "'major'", state: state, started_at: at}
    FailurePattern: {name: pattern}
    Remediation:    {remediation_id: remediation, type: "'restart'", outcome: outcome, started_at: at}
    Hypothesis:     {hypothesis_id: hypothesis, claim: claim, verdict: verdict}
    ConfigChange:   {change_id: change}
    Service:        {namespace: service_namespace, name: service}
    edges: ["Incident -matches-> FailurePattern", "Remediation -mitigates-> Incident", "Remediation -changed-> Service",
            "Hypothesis -explains-> Incident", "Hypothesis -blames-> ConfigChange"]
  site.objective:
    reads: log
    when: event.name = site.objective
    Slo: {name: objective, measure: measure}
    App: {name: app}
    View: {name: view}
    Team: {name: team}
    edges: ["Slo -objective_for-> View", "App -owned_by-> Team"]
  site.build:
    reads: log
    when: event.name = site.build
    App:        {name: app}
    AppVersion: {version: version}
    Artifact:   {purl: purl}
    Revision:   {repository: repository, sha: sha}
  site.release:
    reads: log
    when: event.name = site.release
    Service:               {namespace: service_namespace, name: service}
    ServiceVersion:        {version: version}
    ServiceVersion#before: {version: before}
    edges: ["ServiceVersion -succeeds-> ServiceVersion#before"]
  site.workload:
    reads: log
    when: event.name = site.workload
    ConfigChange: {change_id: change, property: property, started_at: at}
    Workload:     {uid: uid}
    edges: ["ConfigChange -changed-> Workload"]
"""

# Lines of questions that this world need not answer, and why; every other line must have rows.
MAY_BE_EMPTY = {
    ("q03", 2): "the regression of this world is of a version in a cell, not of a network",
    ("q11", 1): "instances of this world meet errors now and then, not necessarily in the last ten minutes",
    ("q14", 3): "nobody's interaction meets an error in this world",
}


def command(*words, **options):
    return subprocess.run([BINARY, *words], capture_output=True, timeout=120, **options)


def exported(kind, *words):
    done = command(kind, "export", *words)
    if done.returncode:
        raise AssertionError((words, done.returncode, done.stderr))
    return done.stdout.decode()


def rfc3339(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def log(server, name, **attributes):
    """One log record, as OTLP/JSON."""
    values = [{"key": k, "value": {"stringValue": v} if isinstance(v, str) else {"intValue": str(v)}}
              for k, v in {"event.name": name, **attributes}.items()]
    now = str(time.time_ns())
    body = {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"timeUnixNano": now, "attributes": values}]}]}]}
    status, _, answer = server.post(server.otlp_url + "/v1/logs", json.dumps(body).encode())
    if status != 200 or b"rejected" in answer:
        raise AssertionError((name, status, answer))


def wait_for(what, good, seconds=60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if (found := good()):
            return found
        time.sleep(0.2)
    raise AssertionError(f"{what}: not within {seconds} s")


def play(server):
    """Waits until the demo has played its world, then tells what its company does not: on the same ports, in a site's words."""
    wait_for("the end of this world and its answer", lambda: "Ctrl-C ends it." in server.output(), 180)
    rows = lambda q: server.get("/api/v1/query", q=q, limit=100_000)["rows"]  # noqa: E731
    wait_for("what is suspected of its regression", lambda: rows("question q01 line 3"))
    now = time.time()
    log(server, "site.playback", playback="playback-in-clear", session="session-in-clear", asn=64500, isp="Example Net",
        cdn="example-cdn", cdn_site="fra-1", title="title-7")
    # A regression that a deployment is suspected of, and the services behind the view.
    service, version = next(r[2] for r in rows("question q01 line 3") if r[1].startswith("deploy-")).rsplit("/", 1)
    namespace, service = service.rsplit("/", 1)
    log(server, "site.release", service_namespace=namespace, service=service, version=version, before="0.9.0")
    for number, outcome in [("INC-1", "fixed"), ("INC-2", "no_effect")]:
        log(server, "site.incident", number=number, title="lolomo slow", state="open", pattern="slow-cell", outcome=outcome,
            remediation=f"restart-{number}", hypothesis=f"hypothesis-{number}", claim="the pool is too small",
            verdict="confirmed", change="config-site", service_namespace=namespace, service=service, at=rfc3339(now - 6600))
    log(server, "site.objective", objective="lolomo-ttr", measure="view.ttr", app="tvui", view="lolomo", team="tv-ui")
    log(server, "site.build", app="tvui", version="8.42.0", purl="pkg:generic/tvui@8.42.0", repository="https://git.example/tvui", sha="0f3c")
    # A change of a service that alerts, shortly before its last alert, and one of a workload that instances are in.
    before = {tuple(r[1:]) for r in server.query("question q04")["rows"]}
    facts = exported("graph")
    alerts = set(re.findall(rf"(?m)^(<\S+>) <{RDF.type}> <{BASE}#Alert> \.$", facts))
    abouts = re.findall(rf"(?m)^(<\S+>) <{BASE}#about> <({BASE}/node/\w+)> \.$", facts)
    alerting = next(target for alert, target in abouts if alert in alerts)
    name = re.search(rf'<{alerting}> <{BASE}#name> "([^"]+)"', facts).group(1)
    space = re.search(rf'<{alerting}> <{BASE}#namespace> "([^"]*)"', facts)
    body = [{"kind": "config", "id": "config-alerting", "service": name, "property": "pool.size", "old": "48", "new": "64",
             "by": "ann", "at": rfc3339(now - 3600), **({"service_namespace": space.group(1)} if space else {})}]
    status, _, answer = server.post(server.url + "/api/v1/feeds/changes", json.dumps(body).encode())
    if status != 200 or json.loads(answer)["refused"]:
        raise AssertionError(answer)
    workload = re.search(rf"<{BASE}#in_workload> <({BASE}/node/\w+)> \.\n", facts).group(1)
    uid = re.search(rf'<{workload}> <{BASE}#uid> "([^"]+)"', facts).group(1)
    log(server, "site.workload", change="config-workload", property="memory", uid=uid, at=rfc3339(now - 3600))
    wait_for("the site's own facts", lambda: {tuple(r[1:]) for r in server.query("question q04")["rows"]} - before
             and rows('find ConfigChange "config-workload"'))


def read(text, form):
    everything = Dataset(default_union=True)
    everything.parse(data=text, format=form)
    return everything


def quads_of(text, form):
    return set(read(text, form).quads())


def objects(everything, predicate):
    return {o for _, p, o, _ in everything.quads((None, predicate, None, None))}


def ontology_checks(checks):
    owl, shapes = Graph().parse(data=exported("ontology", "--format", "owl")), Graph().parse(data=exported("ontology", "--format", "shacl"))
    kinds = {}
    for kind in (OWL.Class, OWL.ObjectProperty, OWL.DatatypeProperty, OWL.AnnotationProperty):
        for term in owl.subjects(RDF.type, kind):
            kinds.setdefault(term, set()).add(kind)
    checks.check("owl: hundreds of words, each of one kind", len(kinds) > 200 and all(len(k) == 1 for k in kinds.values()), len(kinds))
    builtin = {RDF.type, RDFS.label, RDFS.comment, RDFS.subClassOf, RDFS.subPropertyOf, OWL.versionInfo, OWL.versionIRI}
    used = set(owl.predicates()) - builtin
    checks.check("owl: every other property used is a declared annotation, as OWL 2 DL wants it",
                 all(kinds.get(p) == {OWL.AnnotationProperty} for p in used), used)
    above = [(p, o) for p, k in ((RDFS.subClassOf, OWL.Class), (RDFS.subPropertyOf, OWL.ObjectProperty))
             for s, o in owl.subject_objects(p) if kinds.get(s) != {k} or kinds.get(o) != {k}]
    checks.check("owl: what is above a word is declared too, and of its kind", not above, above[:3])
    checks.check("owl: nothing follows from using a word", not list(owl.subjects(RDFS.domain)) + list(owl.subjects(RDFS.range)))
    matches = [str(o) for o in owl.objects(None, SKOS.closeMatch)]
    for vocabulary in ALIGNED:
        checks.check(f"owl: words are aligned to {vocabulary}", any(m.startswith(vocabulary) for m in matches))
    checks.check("owl: words are aligned to OpenTelemetry's", any(m.endswith("/semconv/registry/entities/#k8s.deployment") for m in matches))
    named = set(shapes.subjects(RDF.type, SH.NodeShape))
    checks.check("shacl: a shape for every class with attributes and every relation", len(named) > 100, len(named))
    return owl, shapes


def validate(facts, owl, shapes):
    """Violations as (focus node, constraint) pairs."""
    _, report, _ = pyshacl.validate(facts, shacl_graph=shapes, ont_graph=owl, inference="none")
    results = report.objects(None, SH.result)
    return {(report.value(r, SH.focusNode), report.value(r, SH.sourceConstraintComponent)) for r in results}


def planted(checks, facts, owl, shapes):
    """One violation of each kind, all at once, in what of the world is not sampled."""
    small = Graph()
    kept = {s for s, c in facts.subject_objects(RDF.type) if c not in {E2E.Interaction, E2E.Session, E2E.Device, E2E.Profile, E2E.Playback}}
    for s, p, o in facts:
        if s in kept and (o in kept or not str(o).startswith(str(NODE))):
            small.add((s, p, o))
    checks.check("shacl: what is not sampled is sound by itself", not validate(small, owl, shapes))
    one = lambda kind: next(iter(sorted(small.subjects(RDF.type, kind))))  # noqa: E731
    instance, service, app, alert = one(E2E.Instance), one(E2E.Service), one(E2E.App), one(E2E.Alert)
    hosts = sorted(small.subjects(RDF.type, E2E.Host))
    ran = next(i for i in sorted(small.subjects(RDF.type, E2E.Instance)) if i != instance and small.value(i, E2E.runs_on))
    other = next(h for h in hosts if h != small.value(ran, E2E.runs_on))
    isp, team, place = one(E2E.Isp), one(E2E.Team), one(E2E.Place)
    zone = one(E2E.Zone)
    small.set((isp, E2E.asn, Literal("sixty", datatype=XSD.string)))
    small.set((service, E2E.tier, Literal("urgent")))
    small.add((team, E2E.name, Literal("a second name")))
    small.add((instance, E2E.runs_on, service))
    small.add((ran, E2E.runs_on, other))
    small.add((app, E2E.runs_on, hosts[0]))
    small.add((place, RDF.type, E2E.Placement))
    small.add((zone, RDF.type, E2E.Region))
    session, thing = NODE["planted"], NODE["planted2"]
    small.add((session, RDF.type, E2E.Session))
    small.add((session, E2E.session_id, Literal("in-clear")))
    small.add((thing, RDF.type, E2E.Component))
    found = validate(small, owl, shapes)
    wanted = {
        "a word where a number belongs": (isp, SH.DatatypeConstraintComponent),
        "a word that is not among those allowed": (service, SH.InConstraintComponent),
        "two values of one attribute": (team, SH.MaxCountConstraintComponent),
        "a relation that leads to what it may not": (instance, SH.ClassConstraintComponent),
        "two targets at one moment": (ran, SH.MaxCountConstraintComponent),
        "a relation from what it may not lead from": (app, SH.ClassConstraintComponent),
        "a thing of two classes": (zone, SH.MaxCountConstraintComponent),
        "a class that there is not": (place, SH.InConstraintComponent),
        "a personal value in clear": (session, SH.PatternConstraintComponent),
        "a thing of a class that only groups others": (thing, SH.InConstraintComponent),
    }
    for what, pair in wanted.items():
        checks.check(f"shacl: {what} is found", pair in found, sorted(found))
    nodes = {pair[0] for pair in wanted.values()}
    checks.check("shacl: and nothing else", {f for f, _ in found} <= nodes, {f for f, _ in found} - nodes)


def context_checks(checks, owl, shapes):
    document = {
        **json.loads(exported("ontology", "--format", "jsonld-context")),
        "@graph": [
            {"@id": "node:s1", "@type": "Service", "name": "ratings", "tier": "high", "external": False, "owned_by": ["node:t1"]},
            {"@id": "node:t1", "@type": "Team", "name": "ratings-team"},
            {"@id": "node:c1", "@type": "CapacityChange", "change_id": "c1", "old": 3, "started_at": "2026-11-24T12:05:00Z"},
            {"@id": "node:f1", "@type": "ConfigChange", "change_id": "f1", "old": "3", "changed": "node:s1"},
        ],
    }
    found = Graph().parse(data=json.dumps(document), format="json-ld")
    for what, triple in {
        "a class": (NODE.s1, RDF.type, E2E.Service),
        "a text": (NODE.s1, E2E.name, Literal("ratings", datatype=XSD.string)),
        "a truth": (NODE.s1, E2E.external, Literal(False)),
        "a relation": (NODE.s1, E2E.owned_by, NODE.t1),
        "a time": (NODE.c1, E2E.started_at, Literal("2026-11-24T12:05:00Z", datatype=XSD.dateTime)),
        "a number, by the class it is of": (NODE.c1, E2E.old, Literal(3)),
        "a text of the same name": (NODE.f1, E2E.old, Literal("3", datatype=XSD.string)),
        "one target": (NODE.f1, E2E.changed, NODE.s1),
    }.items():
        checks.check(f"json-ld: the context makes {what} of plain JSON", triple in found, sorted(found))
    checks.check("json-ld: 15 triples and no more", len(found) == 15, sorted(found))
    checks.check("json-ld: what came of it is sound", not validate(plain(found), owl, shapes), validate(plain(found), owl, shapes))


def plain(graph):
    """Texts as simple literals: RDF 1.1 has them be the same as xsd:string, rdflib does not."""
    same = Graph()
    for s, p, o in graph:
        same.add((s, p, Literal(str(o)) if isinstance(o, Literal) and o.datatype == XSD.string else o))
    return same


def questions(checks, server, everything):
    text = exported("ontology", "--format", "sparql")
    asked = re.split(r"(?m)^(?=# q\d+ line \d+:)", text)[1:]
    checks.check("questions: all 15 are there", len({a.split()[1] for a in asked}) == 15, len(asked))
    answered = set()
    for one in asked:
        name, line = re.match(r"# (\w+) line (\d+):", one).groups()
        theirs = everything.query(one)
        names = [i for i, v in enumerate(theirs.vars) if str(v).endswith("_name")]
        theirs = sorted([str(row[i]) for i in names] for row in theirs)
        ours = server.get("/api/v1/query", q=f"question {name} line {line}", limit=1_000_000)
        rows = sorted(ours["rows"])
        checks.check(f"questions: {name} line {line} as SPARQL and as query text, {len(rows)} rows", rows == theirs and not ours.get("hidden"),
                     ([r for r in rows if r not in theirs][:3], [r for r in theirs if r not in rows][:3], len(theirs)))
        why = MAY_BE_EMPTY.get((name, int(line)))
        if rows:
            answered.add(name)
        elif why:
            print(f"        no rows: {why}")
        else:
            checks.check(f"questions: {name} line {line} has rows", False, one)
    checks.check("questions: each has rows in this world", len(answered) == 15, sorted(answered))


def moments(checks, everything):
    """An earlier moment knows nothing of what came later, in either form."""
    early = rfc3339(time.time() - 7050)
    lines, trig = exported("graph", "--at", early), exported("graph", "--at", early, "--format", "trig")
    then = read(lines, "nquads")
    checks.check("graph: N-Quads and TriG say the same", set(then.quads()) == quads_of(trig, "trig") and len(then) > 1000, len(then))
    checks.check("graph: the same moment gives the same bytes", lines == exported("graph", "--at", early))
    at = [o.toPython() for o in objects(then, E2E.snapshot_of)]
    wanted = Literal(early, datatype=XSD.dateTime).toPython()
    checks.check("graph: a snapshot says what it is of", at == [wanted], at)
    later = objects(everything, RDF.type) - objects(then, RDF.type)
    checks.check("graph: what came later is not there yet", {E2E.Regression, E2E.Incident, E2E.Playback} <= later, later)
    seen = [o.toPython() for p in (E2E.first_seen, E2E.last_seen) for o in objects(then, p)]
    checks.check("graph: nothing in it was seen later", seen and max(seen) <= wanted, max(seen))


def rim(checks, server):
    """How the commands behave at their edges."""
    for words in (["graph", "export"], ["ontology", "export", "--format", "owl"], ["ontology", "export", "--format", "json-schema"]):
        done = subprocess.run(["bash", "-c", '"$0" "$@" | head -c 10; exit ${PIPESTATUS[0]}', BINARY, *words], capture_output=True)
        checks.check(f"{' '.join(words)}: ends quietly when its reader has what it wants", (done.returncode, done.stderr) == (0, b""), done)
    for words, code, said in (
        (["graph", "export", "--format", "turtle"], 2, b"nquads, trig"),
        (["graph", "export", "--at", "noon"], 2, b"is not a time"),
        (["ontology", "export"], 2, b"--format"),
        (["graph", "export", "--server", "http://127.0.0.1:1"], 5, b"no server answers"),
        (["graph", "question", "q99"], 3, b"q09"),
        (["graph", "question", "q01", "--line", "9"], 3, b"4 lines"),
    ):
        done = command(*words)
        checks.check(f"{' '.join(words)}: exit {code}", done.returncode == code and said in done.stderr, done)
    status, _, answer = server.post(server.url + "/api/v1/graph/export?format=csv", None)
    checks.check("api: an unknown form is told, with those there are", status == 400 and b"nquads, trig" in answer, (status, answer))
    # Readers that read nothing keep their places until they go.
    begin = lambda: urllib.request.urlopen(server.url + "/api/v1/graph/export", timeout=30)  # noqa: E731
    readers = [begin() for _ in range(4)]
    checks.check("api: an export is streamed", all(r.headers["Transfer-Encoding"] == "chunked" for r in readers))
    try:
        begin().close()
        checks.check("api: a fifth export at once is put off", False)
    except urllib.error.HTTPError as error:
        checks.check("api: a fifth export at once is put off", error.code == 503 and error.headers["Retry-After"], error.code)
    for reader in readers:
        reader.close()

    def again():
        try:
            with begin() as answer:
                return answer.read(10)
        except urllib.error.HTTPError:
            return None
    checks.check("api: and is taken when they have gone", wait_for("a free place", again, 20))


def main():
    checks = Checks()
    begun = [time.process_time()]

    def lap(what):
        begun.append(time.process_time())
        print(f"        {what}: {begun[-1] - begun[-2]:.1f} s of CPU")

    owl, shapes = ontology_checks(checks)
    context_checks(checks, owl, shapes)
    with tempfile.TemporaryDirectory() as site:
        with open(os.path.join(site, "mapping.yaml"), "w") as file:
            file.write(SITE)
        with Server(extra=["--ontology", site], what="demo") as server:
            os.environ["E2EGRAPH_SERVER"] = server.url
            play(server)
            text = exported("graph")
            everything = read(text, "nquads")
            print(f"        {len(text) >> 20} MiB, {len(everything)} quads")
            checks.check("graph: every line is a quad", len(everything) == text.count("\n"), text.count("\n"))
            checks.check("graph: nothing personal is in clear", "in-clear" not in text and E2E.Playback in objects(everything, RDF.type))
            facts = Graph()
            for s, p, o, graph in everything.quads():
                if graph != PROVENANCE:
                    facts.add((s, p, o))
            lap("reading")
            found = validate(facts, owl, shapes)
            checks.check("shacl: the played world is sound", not found and len(facts) > 10_000, (len(facts), sorted(found)[:5]))
            lap("validating")
            planted(checks, facts, owl, shapes)
            lap("planting")
            edge = rf"(?m)^<{BASE}/node/(\w+)> <{BASE}#(\w+)> <{BASE}/node/(\w+)>(?: <{DERIVED}>)? \.$"
            said = rf"(?m)^<{BASE}/fact/(\w+)\.(\w+)\.(\w+)> <{RDF.type}> <{RDF.Statement}> <{PROVENANCE}> \.$"
            edges, said = set(re.findall(edge, text)), set(re.findall(said, text))
            checks.check("graph: of every relation it is said who told it and when", said == edges and said, (len(said), len(edges)))
            questions(checks, server, everything)
            lap("asking")
            moments(checks, everything)
            lap("another moment")
            rim(checks, server)
    spent = sum(resource.getrusage(who).ru_utime + resource.getrusage(who).ru_stime for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(f"        {spent:.0f} s of CPU")
    return checks.close()


if __name__ == "__main__":
    sys.exit(main())
