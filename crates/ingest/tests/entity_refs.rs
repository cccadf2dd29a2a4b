//! Resources that say which of their attributes identify and describe which entities, and what becomes of them.

#![expect(
    clippy::unwrap_used,
    reason = "clippy takes the helpers of an integration test for code outside of tests"
)]

use ingest::{Limits, Normaliser, Options, Wire, describe};
use ontology::{Batch, Ontology, Time};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, EntityRef, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::ResourceMetrics;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use prost::Message as _;
use std::sync::{Arc, LazyLock};

static ONTOLOGY: LazyLock<Arc<Ontology>> = LazyLock::new(|| Arc::new(Ontology::builtin()));
/// 2026-11-24T12:05:00Z.
const NOW: i64 = 1_795_521_900;

fn normaliser() -> Normaliser {
    Normaliser::new(Arc::clone(&ONTOLOGY), Options { hash_key: [7; 32], limits: Limits::default() })
}

/// Type, names that identify, names that describe.
type Told<'t> = (&'t str, &'t [&'t str], &'t [&'t str]);

fn resource(attributes: &[(&str, &str)], references: &[Told<'_>]) -> Resource {
    let text = |v: &str| Some(AnyValue { value: Some(Value::StringValue(v.to_owned())) });
    let names = |all: &[&str]| all.iter().map(|n| (*n).to_owned()).collect();
    let attribute =
        |(k, v): &(&str, &str)| KeyValue { key: (*k).to_owned(), value: text(v), ..KeyValue::default() };
    let reference = |(kind, ids, more): &Told<'_>| EntityRef {
        schema_url: "https://opentelemetry.io/schemas/1.44.0".to_owned(),
        r#type: (*kind).to_owned(),
        id_keys: names(ids),
        description_keys: names(more),
    };
    Resource {
        attributes: attributes.iter().map(attribute).collect(),
        entity_refs: references.iter().map(reference).collect(),
        ..Resource::default()
    }
}

fn logs(resource: Resource) -> ExportLogsServiceRequest {
    let record = LogRecord { time_unix_nano: NOW as u64 * 1_000_000_000, ..LogRecord::default() };
    let scope_logs = vec![ScopeLogs { log_records: vec![record], ..ScopeLogs::default() }];
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs { resource: Some(resource), scope_logs, ..ResourceLogs::default() }],
    }
}

/// What a resource says, the same as protobuf and as JSON, with a cold and a warm memory.
fn read(attributes: &[(&str, &str)], references: &[Told<'_>]) -> Batch {
    let request = logs(resource(attributes, references));
    let mut one = normaliser();
    let mut read = |wire, body: &[u8]| one.normalise(&wire, body, Time::from_secs(NOW + 60)).unwrap();
    let batch = read(Wire::LogsProto, &request.encode_to_vec());
    assert_eq!(batch, read(Wire::LogsProto, &request.encode_to_vec()), "remembered");
    assert_eq!(batch, read(Wire::LogsJson, &serde_json::to_vec(&request).unwrap()), "as JSON");
    batch
}

fn has(batch: &Batch, lines: &[&str]) {
    let text = describe(batch, &ONTOLOGY);
    for line in lines {
        assert!(text.contains(line), "`{line}` is not in\n{text}");
    }
}

const POD: [(&str, &str); 15] = [
    ("service.name", "cart"),
    ("service.namespace", "shop"),
    ("service.instance.id", "i-1"),
    ("service.criticality", "high"),
    ("k8s.pod.uid", "p-1"),
    ("k8s.pod.name", "cart-1"),
    ("k8s.namespace.name", "prod"),
    ("k8s.container.name", "app"),
    ("k8s.deployment.uid", "d-1"),
    ("k8s.deployment.name", "cart"),
    ("k8s.node.uid", "n-1"),
    ("k8s.node.name", "node-1"),
    ("k8s.cluster.uid", "c-1"),
    ("k8s.cluster.name", "eu"),
    ("host.id", "h-1"),
];

#[test]
fn what_references_name_is_the_same_node_that_the_resource_makes() {
    let references: [Told<'_>; 7] = [
        ("service", &["service.name", "service.namespace"], &["service.criticality"]),
        ("service.instance", &["service.instance.id"], &[]),
        ("k8s.pod", &["k8s.pod.uid"], &["k8s.pod.name"]),
        ("k8s.deployment", &["k8s.deployment.uid"], &["k8s.deployment.name"]),
        ("k8s.node", &["k8s.node.uid"], &["k8s.node.name"]),
        ("k8s.cluster", &["k8s.cluster.uid"], &["k8s.cluster.name"]),
        ("host", &["host.id"], &[]),
    ];
    let with = read(&POD, &references);
    assert_eq!(with, read(&POD, &[]), "nothing twice, and items keep their ids");
    has(
        &with,
        &["draft Service(shop cart) {namespace: shop, name: cart, tier: high}", "draft Instance(i-1)"],
    );
}

#[test]
fn an_entity_that_the_resource_alone_does_not_tell_of_is_there() {
    // A user's app says of what service it is; without the reference, the name is that of the app.
    let app = [
        ("service.name", "tvui"),
        ("service.version", "3.1"),
        ("app.build_id", "b-7"),
        ("device.id", "somebody's"),
        ("browser.language", "de"),
    ];
    let alone = describe(&read(&app, &[]), &ONTOLOGY);
    assert!(!alone.contains("Service("), "{alone}");
    let with = read(
        &app,
        &[
            ("service", &["service.name"], &[]),
            ("device", &["device.id"], &[]),
            ("app", &["app.build_id"], &[]),
        ],
    );
    has(&with, &["draft Service(tvui)", "seen Service(tvui)", "draft AppVersion("]);
    let classes = |batch: &Batch, class: &str| {
        batch.drafts.iter().filter(|d| ONTOLOGY.class_name(d.class) == class).count()
    };
    assert_eq!(
        (classes(&with, "Device"), classes(&with, "AppVersion"), classes(&with, "Service")),
        (1, 1, 1)
    );
    // A replica set has no place in what a resource says otherwise; the instance stays in its deployment.
    let mut pod = POD.to_vec();
    pod.extend([("k8s.replicaset.uid", "r-1"), ("k8s.replicaset.name", "cart-5f")]);
    let with = read(&pod, &[("k8s.replicaset", &["k8s.replicaset.uid"], &["k8s.replicaset.name"])]);
    has(
        &with,
        &[
            "uid: r-1, namespace: prod, kind: ReplicaSet, name: cart-5f",
            "seen Workload(prod ReplicaSet cart-5f)",
        ],
    );
    let related = |batch: &Batch| {
        let text = describe(batch, &ONTOLOGY);
        text.lines().filter(|l| l.contains("-in_workload->")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(related(&with), related(&read(&POD, &[])));
    assert_eq!(related(&with).len(), 1);
}

#[test]
fn references_of_no_use_are_set_aside_by_name_and_leave_the_rest() {
    let batch = read(
        &POD,
        &[
            ("service", &["service.name", "service.flavour"], &[]),
            ("", &["service.name"], &[]),
            ("host", &[], &["host.name"]),
            ("k8s.cluster", &["k8s.cluster.uid"], &["k8s.cluster.colour"]),
            ("k8s.cluster", &["k8s.cluster.name"], &[]),
            ("k8s.namespace", &["k8s.namespace.name"], &[]),
        ],
    );
    has(
        &batch,
        &[
            "in part: reference to an entity: type `service`: it has no attributes that identify it",
            "in part: reference to an entity: type ``: it has no type",
            "in part: reference to an entity: type `host`: it has no id_keys",
            "in part: reference to an entity: type `k8s.cluster`: the resource has no `k8s.cluster.colour`",
            "in part: reference to an entity: type `k8s.cluster`: it has no type of its own",
            "not mapped: entity of a type that has no class here: entity.type=k8s.namespace",
        ],
    );
    assert!(batch.refused.iter().all(|r| !ingest::is_senders_fault(r)));
    let facts = |b: &Batch| (b.drafts.clone(), b.facts.clone());
    assert_eq!(facts(&batch), facts(&read(&POD, &[])));
}

#[test]
fn references_are_read_in_every_signal() {
    let resource = || {
        Some(resource(
            &[("service.name", "x"), ("device.id", "d"), ("service.version", "1")],
            &[("service", &["service.name"], &[])],
        ))
    };
    let spans = ResourceSpans { resource: resource(), ..ResourceSpans::default() };
    let metrics = ResourceMetrics { resource: resource(), ..ResourceMetrics::default() };
    let spans = ExportTraceServiceRequest { resource_spans: vec![spans] }.encode_to_vec();
    let metrics = ExportMetricsServiceRequest { resource_metrics: vec![metrics] }.encode_to_vec();
    for (wire, body) in [(Wire::TracesProto, spans), (Wire::MetricsProto, metrics)] {
        let batch = normaliser().normalise(&wire, &body, Time::from_secs(NOW)).unwrap();
        has(&batch, &["draft Service(x)"]);
    }
}

#[test]
fn a_resource_told_in_parts_and_one_with_endless_references() {
    // Protobuf merges the two: attributes in one, the reference in the other, which comes first.
    let whole =
        resource(&[("service.name", "x"), ("device.id", "d")], &[("service", &["service.name"], &[])]);
    let halves =
        [Resource { attributes: vec![], ..whole.clone() }, Resource { entity_refs: vec![], ..whole }];
    let mut scoped = Vec::new();
    for half in halves {
        scoped.push(0x0a);
        let bytes = half.encode_to_vec();
        prost::encoding::encode_varint(bytes.len() as u64, &mut scoped);
        scoped.extend(bytes);
    }
    let mut body = vec![0x0a];
    prost::encoding::encode_varint(scoped.len() as u64, &mut body);
    body.extend(scoped);
    let batch = normaliser().normalise(&Wire::LogsProto, &body, Time::from_secs(NOW)).unwrap();
    has(&batch, &["draft Service(x)"]);
    let many = vec![("service", &["service.name"][..], &[][..]); 300];
    let body = logs(resource(&[("service.name", "x")], &many)).encode_to_vec();
    let why = normaliser().normalise(&Wire::LogsProto, &body, Time::from_secs(NOW)).unwrap_err();
    assert!(why.message.contains("300 entity_refs"), "{why}");
}
