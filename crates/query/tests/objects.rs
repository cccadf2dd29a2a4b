//! One node for one real thing: what Kubernetes, OTLP and alerts say of a pod meets in the graph, in any order.

use graph::{Direction, Fold, Graph, Limits};
use ingest::{Delivery, Form, Normaliser, Wire};
use ontology::{Ontology, Time};
use std::collections::BTreeMap;
use std::sync::Arc;

const OBJECTS: &str = include_str!("../../../docs/feeds/kubernetes.json");
const ALERTS: &str = r#"[
  {"labels":{"alertname":"A","namespace":"shop","pod":"ratings-7d5c9f8b6d-x2x4z","container":"ratings"},"startsAt":"2025-01-15T11:50:00Z"},
  {"labels":{"alertname":"B","node":"ip-10-0-1-7"},"startsAt":"2025-01-15T11:50:00Z"},
  {"labels":{"alertname":"C","namespace":"shop","deployment":"ratings"},"startsAt":"2025-01-15T11:50:00Z"}]"#;
const LOGS: &str = r#"{"resourceLogs":[{"resource":{"attributes":[
  {"key":"service.name","value":{"stringValue":"ratings"}},{"key":"service.version","value":{"stringValue":"2.8.0"}},
  {"key":"service.instance.id","value":{"stringValue":"627cc493-f310-47de-96bd-71410b7dec09"}},
  {"key":"host.id","value":{"stringValue":"i-0abc123"}},{"key":"k8s.node.name","value":{"stringValue":"ip-10-0-1-7"}},
  {"key":"k8s.cluster.uid","value":{"stringValue":"e9a9b5a2-7c5e-4a3c-8f55-2b8d1d2c6d10"}},
  {"key":"k8s.namespace.name","value":{"stringValue":"shop"}},{"key":"k8s.deployment.name","value":{"stringValue":"ratings"}},
  {"key":"k8s.pod.name","value":{"stringValue":"ratings-7d5c9f8b6d-x2x4z"}},
  {"key":"k8s.pod.uid","value":{"stringValue":"7e57d004-2b97-0e7a-b45f-5387367791cd"}},
  {"key":"k8s.container.name","value":{"stringValue":"ratings"}}]},
  "scopeLogs":[{"logRecords":[{"timeUnixNano":"1736942340000000000","severityNumber":9}]}]}]}"#;

fn told(order: [usize; 3]) -> Graph {
    let ontology = Arc::new(Ontology::builtin());
    let options = ingest::Options { hash_key: [7; 32], limits: ingest::Limits::default() };
    let mut normaliser = Normaliser::new(Arc::clone(&ontology), options);
    let mut fold = Fold::new(ontology, Vec::new(), Limits::default());
    let at = Time::parse("2025-01-15T12:00:00Z").unwrap();
    let around = BTreeMap::from([("query.cluster".to_owned(), "prod".to_owned())]);
    let objects = Delivery { feed: "kubernetes".to_owned(), form: Form::Json, around };
    let all = [
        (Wire::Feed(Arc::new(objects)), OBJECTS),
        (Wire::LogsJson, LOGS),
        (Wire::feed("alertmanager"), ALERTS),
    ];
    for (wire, body) in order.map(|i| &all[i]) {
        fold.fold(&normaliser.normalise(wire, body.as_bytes(), at).unwrap(), at);
    }
    fold.graph()
}

#[test]
fn what_three_sources_say_of_a_pod_is_said_of_one_node() {
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let graph = told(order);
        let o = graph.ontology();
        for (class, wanted) in [("Instance", 2), ("Host", 1), ("Workload", 1), ("Service", 1), ("Cluster", 1)]
        {
            let class_id = o.class(class).unwrap();
            let names: Vec<String> = graph.of_class(class_id).iter().map(|n| graph.name(*n)).collect();
            assert_eq!(names.len(), wanted, "{class} {names:?} when told in the order {order:?}");
        }
        // The sidecar is no instance of the service; the alerts stand on what they name.
        let (about, of) = (o.relation("about").unwrap(), o.relation("instance_of").unwrap());
        let mut on = Vec::new();
        for alert in graph.of_class(o.class("Alert").unwrap()) {
            let rule = graph.attr_named(alert, "rule").map(ToString::to_string).unwrap_or_default();
            for thing in graph.follow(alert, about, Direction::Out) {
                let class = graph.node(thing).map_or("", |n| o.class_name(n.class));
                on.push(format!("{rule} {class} {}", graph.name(thing)));
            }
        }
        on.sort();
        assert_eq!(
            on,
            [
                "A Instance 627cc493-f310-47de-96bd-71410b7dec09",
                "B Host ip-10-0-1-7",
                "BackOff Instance 627cc493-f310-47de-96bd-71410b7dec09",
                "C Workload prod/shop/Deployment/ratings",
                "OOMKilled Instance 627cc493-f310-47de-96bd-71410b7dec09",
            ]
        );
        let services = graph.of_class(o.class("Service").unwrap());
        assert_eq!(graph.follow(services[0], of, Direction::In).len(), 1);
    }
}

/// A rollout as kube-apiserver 1.20.2 tells it, within one minute: the new template comes before the controller has seen it.
#[test]
fn a_rollout_that_takes_seconds_is_done_and_of_its_own_version() {
    let ontology = Arc::new(Ontology::builtin());
    let options = ingest::Options { hash_key: [7; 32], limits: ingest::Limits::default() };
    let mut normaliser = Normaliser::new(Arc::clone(&ontology), options);
    let mut fold = Fold::new(ontology, Vec::new(), Limits::default());
    let changes = [
        (1, 1, 1, "1.0", "NewReplicaSetAvailable"),
        (2, 1, 1, "1.1", "NewReplicaSetAvailable"),
        (2, 1, 2, "1.1", "NewReplicaSetCreated"),
        (2, 2, 2, "1.1", "ReplicaSetUpdated"),
        (2, 2, 2, "1.1", "NewReplicaSetAvailable"),
    ];
    for (second, (generation, seen, revision, tag, reason)) in changes.into_iter().enumerate() {
        let at = Time::parse(&format!("2025-01-15T12:00:{second:02}Z")).unwrap();
        let body = format!(
            r#"{{"type":"MODIFIED","object":{{"kind":"Deployment","metadata":{{"name":"cart","namespace":"shop","uid":"d1","generation":{generation},
            "annotations":{{"deployment.kubernetes.io/revision":"{revision}"}}}},"spec":{{"template":{{"spec":{{"containers":[{{"name":"cart","image":"shop/cart:{tag}"}}]}}}}}},
            "status":{{"observedGeneration":{seen},"conditions":[{{"type":"Progressing","status":"True","reason":"{reason}","lastUpdateTime":"2025-01-15T11:59:59Z"}}]}}}}}}"#
        );
        let batch = normaliser.normalise(&Wire::feed("kubernetes"), body.as_bytes(), at).unwrap();
        fold.fold(&batch, at);
    }
    let graph = fold.graph();
    let o = graph.ontology();
    let (deploys, version) = (o.relation("deploys").unwrap(), o.class("ServiceVersion").unwrap());
    let mut told = Vec::new();
    for change in graph.of_class(o.class("Deployment").unwrap()) {
        let status = graph.attr_named(change, "status").map(ToString::to_string).unwrap_or_default();
        let of = graph.follow(change, deploys, Direction::Out);
        let of = of.into_iter().filter(|n| graph.node(*n).is_some_and(|n| n.class == version));
        let of: Vec<String> = of.map(|n| graph.name(n)).collect();
        told.push(format!("{} {status} {}", graph.name(change), of.join(" ")));
    }
    told.sort();
    assert_eq!(told, ["d1/1 done 1.0", "d1/2 done 1.1"]);
}
