//! Other names for what there is: ids stay, and the old names go on working.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy takes the helpers of an integration test for code outside of tests"
)]

use graph::{Fold, Graph, Limits, NodeId};
use ingest::{Normaliser, Wire};
use ontology::{Ontology, SourceFile, Time};
use query::View;
use std::collections::BTreeSet;
use std::sync::Arc;

const NOW: i64 = 1_795_521_900;

fn renamed() -> Ontology {
    let files = [
        ("a.classes.yaml", "classes:\n  svc:\n    Service: {attrs: {cost_center: string}}\n"),
        (
            "b.classes.yaml",
            "classes:\n  svc:\n    Application: {was: Service, attrs: {title: {was: name}}}\n  infra:\n    Machine: {was: Host}\n",
        ),
        ("b.relations.yaml", "needs: {was: depends_on}\nstands_on: {was: runs_on}\n"),
        ("b.measures.yaml", "measures:\n  operation.delay: {was: operation.latency}\n"),
        ("b.mapping.yaml", "sources:\n  otel.resource: {was: otlp.resource}\n"),
        (
            "c.rules.yaml",
            "predicates:\n  alone: Service\nrules:\n  alone: {keep: asked, rule: \"alone(S) <- Service(S), not depends_on(S, _), S.name != x\"}\n",
        ),
        ("c.lexicon.yaml", "things:\n  \"the shop\": {class: Service, by: {name: cart}}\n"),
    ];
    let files = files.map(|(name, text)| SourceFile { name: name.to_owned(), text: text.to_owned() });
    ontology::load(&files).unwrap_or_else(|p| panic!("{p}"))
}

/// Two services of which one calls the other, as OTLP tells it.
fn world(ontology: Ontology) -> Graph {
    let ontology = Arc::new(ontology);
    let resource = |name: &str| {
        serde_json::json!({"attributes": [
            {"key": "service.name", "value": {"stringValue": name}},
            {"key": "service.instance.id", "value": {"stringValue": format!("{name}-1")}},
            {"key": "host.id", "value": {"stringValue": "h1"}}]})
    };
    let span = |id: &str, parent: &str, kind: u8| {
        serde_json::json!({"traceId": "00000000000000000000000000000001", "spanId": id, "parentSpanId": parent, "kind": kind,
            "name": "GET /", "startTimeUnixNano": format!("{NOW}000000000"), "endTimeUnixNano": format!("{NOW}050000000")})
    };
    let body = serde_json::json!({"resourceSpans": [
        {"resource": resource("cart"), "scopeSpans": [{"spans": [span("0000000000000001", "", 2)]}]},
        {"resource": resource("prices"), "scopeSpans": [{"spans": [span("0000000000000002", "0000000000000001", 2)]}]}]});
    let options = ingest::Options { hash_key: [7; 32], limits: ingest::Limits::default() };
    let mut normaliser = Normaliser::new(Arc::clone(&ontology), options);
    let mut fold = Fold::new(ontology, Vec::new(), Limits::default());
    let at = Time::from_secs(NOW + 60);
    fold.fold(&normaliser.normalise(&Wire::TracesJson, body.to_string().as_bytes(), at).unwrap(), at);
    fold.graph()
}

fn ids(graph: &Graph) -> BTreeSet<(String, String)> {
    let o = graph.ontology();
    let classes = (0..).map(ontology::ClassId).zip(&o.classes);
    let nodes: Vec<NodeId> =
        classes.filter(|(_, c)| !c.is_abstract).flat_map(|(id, _)| graph.of_class(id)).collect();
    nodes.into_iter().map(|n| (graph.id(n), graph.name(n))).collect()
}

#[test]
fn another_name_gives_nothing_another_id() {
    let (before, after) = (world(Ontology::builtin()), world(renamed()));
    assert!(ids(&before).len() > 5);
    assert_eq!(ids(&before), ids(&after));
}

#[test]
fn a_question_may_go_by_either_name_and_the_answer_says_the_new_one() {
    let graph = world(renamed());
    let view = View::latest(&graph);
    let ask = |text: &str| query::run::ask(&view, text).unwrap_or_else(|e| panic!("{text}: {e}"));
    let (old, new) = (ask("find Service"), ask("find Application"));
    assert_eq!(old.rows, new.rows);
    assert_eq!(old.rows.len(), 2);
    assert_eq!(old.rows[0][0], "Application");
    assert_eq!(old.note, "The class Service is now called Application.");
    assert_eq!(new.note, "");
    let old = ask("follows depends_on from Service \"cart\"");
    let new = ask("follows needs from Application \"cart\"");
    assert_eq!((old.rows.len(), old.rows), (1, new.rows));
    let kept = ask("follows alone from Service \"prices\"");
    assert_eq!(kept.rows.len(), 1, "the rule that goes by old names concludes");
}

#[test]
fn words_and_hints_know_both_names() {
    let o = renamed();
    let class = o.class("Service").unwrap();
    for phrase in ["service", "services", "application", "microservice"] {
        let meanings = o.lexicon.meanings(phrase);
        let fits = |m: &ontology::lexicon::Phrase| matches!(m.meaning, ontology::lexicon::Meaning::Thing { class: c, .. } if c == class);
        assert!(meanings.iter().any(fits), "{phrase}: {meanings:?}");
    }
    assert_eq!(o.lexicon.meanings("operation.latency").len(), 1);
    let rank = |o: &Ontology, name: &str| o.mapping.sources.iter().find(|s| s.name == name).map(|s| s.rank);
    assert_eq!(rank(&o, "otel.resource"), rank(&Ontology::builtin(), "otlp.resource"));
    let notes: Vec<String> = o.notes.iter().map(ToString::to_string).collect();
    let wanted = [
        "c.rules.yaml:2:10: `Service`: this class is now called `Application`; write `Application`; the old name still works",
        "c.rules.yaml:4:59: `depends_on`: this relation is now called `needs`; write `needs`; the old name still works",
        "c.lexicon.yaml:2:37: `name`: this attribute is now called `title`; write `title`; the old name still works",
    ];
    for want in wanted {
        assert!(notes.iter().any(|n| n == want), "{want} is not in\n{}", notes.join("\n"));
    }
    let mut told: Vec<&str> = o.notes.iter().map(|n| n.text.as_str()).collect();
    let all = told.len();
    told.sort_unstable();
    told.dedup();
    assert_eq!(told.len(), all, "each old name has one hint");
}

#[test]
fn what_was_renamed_breaks_nobody() {
    let found = ontology::diff(&Ontology::builtin(), &renamed());
    let broken: Vec<_> = found.iter().filter(|d| d.breaks.is_some()).collect();
    assert!(broken.is_empty(), "{broken:?}");
    let names: Vec<&str> = found
        .iter()
        .filter(|d| d.change == ontology::diff::Change::Renamed)
        .map(|d| d.name.as_str())
        .collect();
    assert_eq!(
        names,
        ["Service", "Service.name", "Host", "runs_on", "depends_on", "operation.latency", "otlp.resource"]
    );
}
