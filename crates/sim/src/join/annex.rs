//! Things that are hard to keep apart: two services of one name in two namespaces, each in two clusters under equal workload and
//! node names, with a second container beside it, and pods whose names come again after a rollout.

use super::further::{operation, version};
use super::kubernetes::{cluster, cluster_uid};
use super::told::{WriteRequest, around, feed, get};
use super::{Form, Letter, Reality};
use crate::company::{Company, uuid};
use crate::encode::{scope, text};
use crate::feeds::rfc3339;
use crate::plan::{MINUTE, SECOND};
use crate::prng::{identity, mix};
use crate::script::Script;
use crate::tables::REGIONS;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use serde_json::{Value, json};

/// Namespace, service, kind of its workload, team.
const SERVICES: &[(&str, &str, &str, &str)] = &[
    ("payments", "api", "Deployment", "money"),
    ("ads", "api", "Deployment", "advertising"),
    ("payments", "ledger", "StatefulSet", "money"),
];
/// All run the same version: not even that tells them apart.
const VERSION: &str = "1.4.0";
const HASH: &str = "7d9f8c6b5";
/// The node of this name is in each cluster.
const NODE: &str = "ip-10-0-0-1.internal";
/// Regions that have the annex.
const PLACES: [usize; 2] = [0, 1];

/// One pod.
struct Pod {
    service: usize,
    region: usize,
    name: String,
    uid: String,
    from_ns: i64,
    until_ns: i64,
}

fn host_id(seed: u64, region: usize) -> String {
    format!("i-{:016x}", identity(seed, "annex host", region as u64))
}

fn node_uid(seed: u64, region: usize) -> String {
    uuid(identity(seed, "annex node", region as u64))
}

fn workload_uid(seed: u64, service: usize, region: usize) -> String {
    uuid(identity(seed, "annex workload", (service * 10 + region) as u64))
}

/// Every pod that is there at some time; those of the stateful set are replaced under their own names.
fn pods(script: &Script) -> Vec<Pod> {
    let (start, end) = (script.plan.start_ns, script.end_ns);
    let middle = start + (end - start) / 2 / MINUTE * MINUTE;
    let mut all = Vec::new();
    for (service, row) in SERVICES.iter().enumerate() {
        for region in PLACES {
            let lives = if row.2 == "StatefulSet" {
                vec![(start, middle), (middle, end)]
            } else {
                vec![(start, end)]
            };
            for (life, (from_ns, until_ns)) in lives.into_iter().enumerate() {
                let id = identity(script.plan.seed, "annex pod", (service * 100 + region * 10 + life) as u64);
                let name = if row.2 == "StatefulSet" {
                    format!("{}-0", row.1)
                } else {
                    format!("{}-{HASH}-{:05x}", row.1, id >> 44)
                };
                all.push(Pod { service, region, name, uid: uuid(id), from_ns, until_ns });
            }
        }
    }
    all
}

/// Everything about them, and who they are.
pub(crate) fn told(company: &Company, script: &Script, reality: &mut Reality, letters: &mut Vec<Letter>) {
    let (seed, start) = (script.plan.seed, script.plan.start_ns);
    let pods = pods(script);
    real(company, &pods, seed, reality);
    for region in PLACES {
        let mut items = vec![json!({
            "kind": "Node",
            "metadata": {"name": NODE, "uid": node_uid(seed, region), "labels": {
                "topology.kubernetes.io/region": REGIONS[region].0, "topology.kubernetes.io/zone": format!("{}a", REGIONS[region].0),
            }},
            "spec": {"providerID": format!("aws:///{}a/{}", REGIONS[region].0, host_id(seed, region))},
        })];
        for (service, (namespace, name, kind, team)) in SERVICES.iter().enumerate() {
            items.push(json!({
                "kind": kind,
                "metadata": {"name": name, "namespace": namespace, "uid": workload_uid(seed, service, region), "labels": {"team": team}},
                "spec": {"replicas": 1, "template": template(service)},
            }));
        }
        items.extend(pods.iter().filter(|p| p.region == region && p.from_ns == start).map(object));
        letters.push(around(
            start + 2,
            "kubernetes",
            &json!({"kind": "List", "items": items}),
            cluster(company, region),
        ));
    }
    for pod in &pods {
        if pod.from_ns > start {
            let event = json!({"type": "ADDED", "object": object(pod)});
            letters.push(around(pod.from_ns, "kubernetes", &event, cluster(company, pod.region)));
        }
        if pod.until_ns < script.end_ns {
            let event = json!({"type": "DELETED", "object": object(pod)});
            letters.push(around(pod.until_ns - 1, "kubernetes", &event, cluster(company, pod.region)));
        }
    }
    let mut at = start + 3 * MINUTE;
    while at + MINUTE < script.end_ns {
        for region in PLACES {
            let here: Vec<&Pod> =
                pods.iter().filter(|p| p.region == region && (p.from_ns..p.until_ns).contains(&at)).collect();
            letters.push(series(&here, region, at).letter(at));
            letters.push(traces(company, seed, &here, region, at));
        }
        at += 4 * MINUTE;
    }
    names(script, &pods, letters);
}

/// Catalogue, deployments and alerts: of these, the catalogue alone knows namespaces.
fn names(script: &Script, pods: &[Pod], letters: &mut Vec<Letter>) {
    let start = script.plan.start_ns;
    for (namespace, name, _, team) in SERVICES {
        let needs = if *name == "ledger" { json!([]) } else { json!(["component:payments/ledger"]) };
        let component = json!({
            "apiVersion": "backstage.io/v1alpha1", "kind": "Component", "metadata": {"name": name, "namespace": namespace},
            "spec": {"type": "service", "owner": format!("group:default/{team}"), "dependsOn": needs},
        });
        letters.push(feed(start, "catalog", &component));
    }
    // of a service that needs one of the namesakes, and says which
    let component = json!({
        "apiVersion": "backstage.io/v1alpha1", "kind": "Component", "metadata": {"name": "billing", "namespace": "member"},
        "spec": {"type": "service", "owner": "group:default/payments", "dependsOn": ["component:payments/api"]},
    });
    letters.push(feed(start + 1, "catalog", &component));
    let at = start + 7 * MINUTE;
    let alert = |labels: Value, number: u64| {
        json!({
            "status": "firing", "labels": labels, "annotations": {}, "startsAt": rfc3339(at), "endsAt": "0001-01-01T00:00:00Z",
            "fingerprint": format!("{:016x}", identity(script.plan.seed, "annex alert", number)),
        })
    };
    // one knows only a name that two services have; the others say where
    let mut alerts = vec![alert(json!({"alertname": "ErrorBudgetBurn", "service": "api"}), 0)];
    for (number, pod) in pods.iter().enumerate() {
        let (namespace, container, ..) = SERVICES[pod.service];
        let cluster = REGIONS[pod.region].1;
        let labels = json!({
            "alertname": "KubePodCrashLooping", "cluster": cluster, "namespace": namespace, "pod": pod.name, "container": container, "uid": pod.uid,
        });
        alerts.push(alert(labels, 1 + number as u64));
        alerts.push(alert(
            json!({"alertname": "NodeNotReady", "cluster": cluster, "node": NODE}),
            100 + number as u64,
        ));
    }
    letters.push(feed(at, "alertmanager", &json!({"version": "4", "status": "firing", "alerts": alerts})));
}

fn real(company: &Company, pods: &[Pod], seed: u64, reality: &mut Reality) {
    for region in PLACES {
        let within = reality.thing("Cluster", REGIONS[region].1);
        reality.told(within, "kubernetes", "uid", &cluster_uid(company, region));
        let host = reality.thing("Host", format!("{NODE} in {}", REGIONS[region].1));
        let (id, uid) = (host_id(seed, region), node_uid(seed, region));
        for (attr, value) in [
            ("host_id", id.as_str()),
            ("node_uid", &uid),
            ("node", NODE),
            ("name", NODE),
            ("cluster", REGIONS[region].1),
        ] {
            reality.told(host, "kubernetes", attr, value);
        }
        reality.within(host, "in_cluster", within);
        for (service, (namespace, name, kind, _)) in SERVICES.iter().enumerate() {
            let thing = reality.thing("Workload", format!("{namespace}/{name} in {}", REGIONS[region].1));
            let uid = workload_uid(seed, service, region);
            for (attr, value) in [
                ("uid", uid.as_str()),
                ("namespace", namespace),
                ("kind", kind),
                ("name", name),
                ("cluster", REGIONS[region].1),
            ] {
                reality.told(thing, "kubernetes", attr, value);
            }
            reality.within(thing, "in_cluster", within);
        }
    }
    for (namespace, name, _, team) in SERVICES {
        version(reality, namespace, name, VERSION);
        operation(reality, namespace, name, operation_of(name));
        let owner = reality.thing("Team", *team);
        reality.told(owner, "catalog", "name", team);
    }
    for pod in pods {
        let (namespace, container, ..) = SERVICES[pod.service];
        for container in [container, "envoy"] {
            let thing = reality.thing("Instance", format!("{} {container}", pod.uid));
            for (attr, value) in [
                ("pod_uid", pod.uid.as_str()),
                ("container", container),
                ("namespace", namespace),
                ("pod", &pod.name),
                ("cluster", REGIONS[pod.region].1),
            ] {
                reality.told(thing, "kubernetes", attr, value);
            }
            if container != "envoy" {
                reality.told(thing, "otlp", "instance_id", &instance_id(pod));
            }
        }
    }
}

fn operation_of(service: &str) -> &'static str {
    if service == "ledger" { "ledger/Post" } else { "/v1/items" }
}

fn instance_id(pod: &Pod) -> String {
    uuid(mix(identity(0, &pod.uid, 1)))
}

fn template(service: usize) -> Value {
    let (namespace, name, ..) = SERVICES[service];
    json!({
        "metadata": {
            "labels": {"app.kubernetes.io/name": name, "app.kubernetes.io/version": VERSION},
            "annotations": {"resource.opentelemetry.io/service.namespace": namespace},
        },
        "spec": {"containers": [{"name": name, "image": format!("vstream/{name}:{VERSION}")}, {"name": "envoy", "image": "envoy:1.33"}]},
    })
}

fn object(pod: &Pod) -> Value {
    let (namespace, name, kind, _) = SERVICES[pod.service];
    let mut object = template(pod.service);
    let owner = if kind == "Deployment" {
        object["metadata"]["labels"]["pod-template-hash"] = json!(HASH);
        json!({"kind": "ReplicaSet", "name": format!("{name}-{HASH}")})
    } else {
        json!({"kind": "StatefulSet", "name": name})
    };
    object["kind"] = json!("Pod");
    object["metadata"]["name"] = json!(pod.name);
    object["metadata"]["namespace"] = json!(namespace);
    object["metadata"]["uid"] = json!(pod.uid);
    object["metadata"]["creationTimestamp"] = json!(rfc3339(pod.from_ns));
    object["metadata"]["ownerReferences"] = json!([owner]);
    object["spec"]["nodeName"] = json!(NODE);
    object["status"] = json!({"phase": "Running", "containerStatuses": [{"name": name, "restartCount": 1}, {"name": "envoy", "restartCount": 0}]});
    object
}

/// What exporters say of the node, the workloads and every container.
fn series(pods: &[&Pod], region: usize, at: i64) -> WriteRequest {
    let mut request = WriteRequest::default();
    let cluster = REGIONS[region].1;
    let labels =
        [("cluster", cluster), ("node", NODE), ("instance", "10.0.0.1:9100"), ("job", "node-exporter")];
    request.add("node_load1", &labels, 1.5, at);
    for (namespace, name, kind, _) in SERVICES.iter().filter(|s| s.2 == "Deployment") {
        debug_assert_eq!(*kind, "Deployment");
        let labels = [("cluster", cluster), ("namespace", *namespace), ("deployment", *name)];
        request.add("kube_deployment_status_replicas_available", &labels, 1.0, at);
    }
    for pod in pods {
        let (namespace, name, ..) = SERVICES[pod.service];
        let group = format!("/kubepods/burstable/pod{}/{:016x}", pod.uid, identity(0, &pod.uid, 0));
        for container in [name, "envoy"] {
            let labels = [
                ("cluster", cluster),
                ("namespace", namespace),
                ("pod", pod.name.as_str()),
                ("container", container),
                ("node", NODE),
            ];
            let state: Vec<(&str, &str)> =
                labels.iter().copied().chain([("uid", pod.uid.as_str())]).collect();
            request.add("kube_pod_container_status_restarts_total", &state, 1.0, at);
            let used: Vec<(&str, &str)> = labels.iter().copied().chain([("id", group.as_str())]).collect();
            request.add("container_cpu_usage_seconds_total", &used, (at / MINUTE) as f64, at);
        }
    }
    request
}

fn resource(company: &Company, seed: u64, pod: &Pod) -> Resource {
    let (namespace, name, kind, _) = SERVICES[pod.service];
    let workload = if kind == "Deployment" { "deployment" } else { "statefulset" };
    let attributes = vec![
        text("service.name", name),
        text("service.namespace", namespace),
        text("service.version", VERSION),
        text("service.instance.id", instance_id(pod)),
        text("k8s.pod.uid", pod.uid.clone()),
        text("k8s.pod.name", pod.name.clone()),
        text("k8s.container.name", name),
        text("k8s.namespace.name", namespace),
        text(&format!("k8s.{workload}.name"), name),
        text("k8s.node.name", NODE),
        text("k8s.node.uid", node_uid(seed, pod.region)),
        text("host.id", host_id(seed, pod.region)),
        text("k8s.cluster.name", REGIONS[pod.region].1),
        text("k8s.cluster.uid", cluster_uid(company, pod.region)),
        text("cloud.provider", "aws"),
        text("cloud.region", REGIONS[pod.region].0),
    ];
    Resource { attributes, ..Resource::default() }
}

/// A call of each `api`, and of the ledger below that of the payments.
fn traces(company: &Company, seed: u64, pods: &[&Pod], region: usize, at: i64) -> Letter {
    let mut resource_spans = Vec::new();
    let trace = |namespace: &str| {
        let id = identity(seed ^ at as u64, namespace, region as u64);
        [id.to_be_bytes(), mix(id).to_be_bytes()].concat()
    };
    for pod in pods {
        let (namespace, name, ..) = SERVICES[pod.service];
        let trace_id = trace(namespace);
        let own = identity(at as u64, &pod.uid, 0);
        let outer = |service: &str| {
            let caller =
                pods.iter().find(|p| SERVICES[p.service].0 == namespace && SERVICES[p.service].1 == service);
            caller.map_or_else(Vec::new, |p| identity(at as u64, &p.uid, 0).to_be_bytes().to_vec())
        };
        let attributes: Vec<KeyValue> = if name == "ledger" {
            vec![text("rpc.system.name", "grpc"), text("rpc.method", operation_of(name))]
        } else {
            vec![text("http.request.method", "GET"), text("http.route", operation_of(name))]
        };
        let span = Span {
            trace_id,
            span_id: own.to_be_bytes().to_vec(),
            parent_span_id: if name == "ledger" { outer("api") } else { Vec::new() },
            name: operation_of(name).to_owned(),
            kind: SpanKind::Server as i32,
            start_time_unix_nano: (at - SECOND) as u64,
            end_time_unix_nano: at as u64,
            attributes,
            ..Span::default()
        };
        let resource = resource(company, seed, pod);
        debug_assert!(!get(&resource.attributes, "k8s.pod.uid").is_empty());
        let scope_spans =
            vec![ScopeSpans { scope: Some(scope("annex")), spans: vec![span], ..ScopeSpans::default() }];
        resource_spans.push(ResourceSpans {
            resource: Some(resource),
            scope_spans,
            ..ResourceSpans::default()
        });
    }
    Letter {
        at_ns: at,
        form: Form::Traces,
        body: ExportTraceServiceRequest { resource_spans }.encode_to_vec(),
    }
}
