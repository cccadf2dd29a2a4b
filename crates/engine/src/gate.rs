//! What the gate lets in, told by whole ways: a body, what is set aside of it and why, the ontology mended, the log read again,
//! the graph.

use crate::testing::{keep, open};
use crate::{Engine, Receipt, Reloaded};
use ingest::{Delivery, Form, Wire};
use ontology::{Ontology, SourceFile, Stretch, Time};
use serde_json::json;
use std::sync::Arc;

const NOW: i64 = 1_795_500_000;

const CLASSES: &str = r#"
classes:
  site:
    LoadBalancer: {is: Component, key: [name], attrs: {name: string, port: int}, doc: "Spreads traffic."}
"#;
const RELATIONS: &str = r#"
balances: {arrow: "LoadBalancer -> Service", card: n..1, time: while, auto: table}
"#;
const MEASURES: &str = r#"
measures:
  balancer.wait: {of: LoadBalancer, aspect: latency, better: lower, kind: duration, unit: ms, show: mean, care: {change: 0.1, samples: 10}, doc: "How long a request waits."}
"#;
const MAPPING: &str = r#"
sources:
  site.balancers:
    reads: balancers
    when: kind = balancer
    LoadBalancer: {name: name, port: port}
    Service: {namespace: "''", name: services.name}
  site.waits:
    reads: metric
    when: metric.name = balancer.wait
    LoadBalancer: {name: balancer}
    measures: {balancer.wait: metric.value}
"#;

/// The site's files, each as it is or mended.
struct Site {
    classes: String,
    relations: String,
    measures: String,
    mapping: String,
}

impl Site {
    fn new() -> Site {
        let [classes, relations, measures, mapping] =
            [CLASSES, RELATIONS, MEASURES, MAPPING].map(str::to_owned);
        Site { classes, relations, measures, mapping }
    }

    fn ontology(&self) -> Arc<Ontology> {
        Arc::new(self.load().unwrap())
    }

    fn load(&self) -> Result<Ontology, ontology::Problems> {
        let file = |name: &str, text: &String| SourceFile { name: name.to_owned(), text: text.clone() };
        ontology::load(&[
            file("classes.yaml", &self.classes),
            file("relations.yaml", &self.relations),
            file("measures.yaml", &self.measures),
            file("mapping.yaml", &self.mapping),
        ])
    }
}

fn mended(text: &mut String, from: &str, to: &str) {
    assert!(text.contains(from), "{from}");
    *text = text.replace(from, to);
}

fn send(engine: &Engine, wire: Wire, body: &str) -> Receipt {
    let understood = engine.read(wire, body.to_owned().into(), Time::from_secs(NOW)).unwrap();
    keep(engine, &understood);
    engine.fold(&understood)
}

fn post(engine: &Engine, body: &serde_json::Value) -> Receipt {
    let delivery = Delivery { feed: "balancers".into(), form: Form::Json, around: Default::default() };
    send(engine, Wire::Feed(Arc::new(delivery)), &body.to_string())
}

/// How many items of a source are set aside for a reason.
fn aside(engine: &Engine, source: &str, reason: &str) -> u64 {
    let report = engine.sources();
    let of = report.iter().find(|s| s.name == source);
    of.into_iter().flat_map(|s| &s.reasons).filter(|r| r.reason == reason).map(|r| r.items).sum()
}

/// `from -relation-> to` of every edge of a relation that holds.
fn edges(engine: &Engine, relation: &str) -> Vec<String> {
    let graph = engine.graph();
    let Some(id) = graph.ontology().relation(relation) else { return Vec::new() };
    let held = graph.edges_of(id).filter(|(e, ..)| graph.holds(*e, Time::from_secs(NOW)));
    let mut all: Vec<String> =
        held.map(|(_, from, to)| format!("{} {}", graph.name(from), graph.name(to))).collect();
    all.sort();
    all
}

/// Asserts that mending let in what was set aside for a reason.
fn went_in(reloaded: &Reloaded, source: &str, reason: &str, items: u64) {
    let of = reloaded.set_aside.iter().find(|s| s.source == source && s.reason == reason).unwrap();
    assert_eq!((of.before, of.now), (items, 0), "{reloaded:?}");
}

fn engine(site: &Site) -> (tempfile::TempDir, Engine) {
    let folder = tempfile::tempdir().unwrap();
    let (engine, _) = open(folder.path()).unwrap();
    engine.reload(site.ontology());
    (folder, engine)
}

/// Why a site cannot be loaded.
fn wrong(site: &Site) -> String {
    site.load().unwrap_err().to_string()
}

const UNREAD: &str = "not mapped: document that no source reads";

#[test]
fn a_thing_of_a_class_that_is_not_there() {
    let mut site = Site::new();
    let (_folder, engine) = engine(&site);
    post(&engine, &json!({"kind": "firewall", "name": "fw-1"}));
    assert_eq!(aside(&engine, "balancers", UNREAD), 1);
    let firewalls =
        "  site.firewalls:\n    reads: balancers\n    when: kind = firewall\n    Firewall: {name: name}\n";
    site.mapping.push_str(firewalls);
    assert!(wrong(&site).contains("no class has this name"), "{}", wrong(&site));
    site.classes
        .push_str("    Firewall: {is: Component, key: [name], attrs: {name: string}, doc: \"Lets in.\"}\n");
    went_in(&engine.reload(site.ontology()), "balancers", UNREAD, 1);
    let graph = engine.graph();
    assert_eq!(graph.of_class(graph.ontology().class("Firewall").unwrap()).len(), 1);
}

#[test]
fn a_relation_that_is_not_there() {
    let mut site = Site::new();
    let (_folder, engine) = engine(&site);
    post(&engine, &json!({"kind": "guard", "name": "lb-1", "service": "cart"}));
    assert_eq!(aside(&engine, "balancers", UNREAD), 1);
    site.mapping.push_str(
        "  site.guards:\n    reads: balancers\n    when: kind = guard\n    LoadBalancer: {name: name}\n    \
        Service#guarded: {namespace: \"''\", name: service}\n    edges: [\"LoadBalancer -guards-> Service#guarded\"]\n",
    );
    assert!(wrong(&site).contains("guards"), "{}", wrong(&site));
    site.relations.push_str("guards: {arrow: \"LoadBalancer -> Service\", card: n..m, time: while}\n");
    went_in(&engine.reload(site.ontology()), "balancers", UNREAD, 1);
    assert_eq!(edges(&engine, "guards"), ["lb-1 cart"]);
}

/// A record whose edge the arrow of its relation does not allow, until it does.
fn arrow(source: &str, body: &serde_json::Value, more: &str, edge: &str) {
    let mut site = Site::new();
    let (_folder, engine) = engine(&site);
    post(&engine, body);
    assert_eq!(aside(&engine, "balancers", UNREAD), 1);
    site.mapping.push_str(source);
    let why = wrong(&site);
    assert!(why.contains("it leads LoadBalancer -> Service"), "{why}");
    mended(
        &mut site.relations,
        "arrow: \"LoadBalancer -> Service\"",
        &format!("arrow: [\"LoadBalancer -> Service\", \"{more}\"]"),
    );
    went_in(&engine.reload(site.ontology()), "balancers", UNREAD, 1);
    assert_eq!(edges(&engine, "balances"), [edge]);
}

#[test]
fn an_edge_from_outside_of_the_domain() {
    let source = "  site.hosts:\n    reads: balancers\n    when: kind = host\n    Host: {host_id: name, name: name}\n    \
        Service#of: {namespace: \"''\", name: service}\n    edges: [\"Host -balances-> Service#of\"]\n";
    let body = json!({"kind": "host", "name": "h-1", "service": "cart"});
    arrow(source, &body, "Host -> Service", "h-1 cart");
}

#[test]
fn an_edge_to_outside_of_the_range() {
    let source = "  site.targets:\n    reads: balancers\n    when: kind = target\n    LoadBalancer: {name: name}\n    \
        Host#to: {host_id: host, name: host}\n    edges: [\"LoadBalancer -balances-> Host#to\"]\n";
    let body = json!({"kind": "target", "name": "lb-1", "host": "h-1"});
    arrow(source, &body, "LoadBalancer -> Host", "lb-1 h-1");
}

#[test]
fn a_second_target_where_there_is_one_at_a_time() {
    let mut site = Site::new();
    let (_folder, engine) = engine(&site);
    let body = json!({"kind": "balancer", "name": "lb-1", "services": [{"name": "cart"}, {"name": "ratings"}, {"name": "cart"}]});
    let told = post(&engine, &body);
    let reason = "in part: second target of balances, which leads to one at a time";
    assert_eq!(aside(&engine, "balancers", reason), 1, "{told:?}");
    assert!(
        told.reasons[0].detail.contains("lb-1") && told.reasons[0].detail.contains("ratings"),
        "{told:?}"
    );
    assert_eq!(edges(&engine, "balances"), ["lb-1 cart"]);
    mended(&mut site.relations, "card: n..1", "card: n..m");
    went_in(&engine.reload(site.ontology()), "balancers", reason, 1);
    assert_eq!(edges(&engine, "balances"), ["lb-1 cart", "lb-1 ratings"]);
}

#[test]
fn a_number_in_a_unit_of_another_kind() {
    let mut site = Site::new();
    let (_folder, engine) = engine(&site);
    let time = (NOW * 1_000_000_000).to_string();
    let attributes = json!([{"key": "balancer", "value": {"stringValue": "lb-1"}}]);
    let point = json!({"timeUnixNano": time, "asDouble": 512.0, "attributes": attributes});
    let metric = json!({"name": "balancer.wait", "unit": "KiBy", "gauge": {"dataPoints": [point]}});
    let body = json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]});
    send(&engine, Wire::MetricsJson, &body.to_string());
    let reason = "in part: unit that does not fit the measure";
    assert_eq!(aside(&engine, "otlp", reason), 1);
    mended(&mut site.measures, "kind: duration, unit: ms", "kind: gauge, unit: By");
    went_in(&engine.reload(site.ontology()), "otlp", reason, 1);
    let graph = engine.graph();
    let o = graph.ontology();
    let balancer = graph.of_class(o.class("LoadBalancer").unwrap())[0];
    let during = Stretch { from: Time::from_secs(NOW - 60), to: Time::from_secs(NOW + 60) };
    let minutes: Vec<f64> = graph
        .series(o.measure("balancer.wait").unwrap(), balancer)
        .into_iter()
        .flat_map(|s| s.between(during.from.minute(), during.to.minute()))
        .filter_map(|(_, stat)| stat.mean())
        .collect();
    assert_eq!(minutes, [524_288.0]);
}
