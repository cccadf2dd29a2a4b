//! What Kubernetes and the exporters beside it say of every instance, node and workload: objects at the beginning, a watch
//! afterwards, and Prometheus' series every few minutes.

use super::further::{SELF_SENT, deployment_here, instance, spoken_by_zipkin};
use super::told::{WriteRequest, around, get};
use super::{Letter, Reality};
use crate::company::{Company, uuid};
use crate::encode::instance_resource;
use crate::feeds::rfc3339;
use crate::plan::MINUTE;
use crate::prng::identity;
use crate::script::Script;
use crate::tables::{REGIONS, SERVICES};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use serde_json::{Value, json};

/// Annotation of a pod that says an attribute of OpenTelemetry.
fn annotations(service: usize, change: Option<&str>) -> Value {
    let mut all = json!({});
    // half of the teams say their namespace; the others leave it to the name
    if service.is_multiple_of(2) {
        all["resource.opentelemetry.io/service.namespace"] = json!(SERVICES[service].0);
    }
    if let Some(change) = change {
        all["resource.opentelemetry.io/deployment.id"] = json!(change);
    }
    all
}

/// The attributes of the instance at a place in a generation.
pub(crate) fn attributes(company: &Company, script: &Script, slot: usize, generation: u64) -> Vec<KeyValue> {
    let version = script.version_of(company, slot, generation);
    instance_resource(company, slot, generation, &version).attributes
}

/// The part of a pod's name that says its revision.
fn revision_of(r: &[KeyValue]) -> &str {
    get(r, "k8s.pod.name").rsplit('-').nth(1).unwrap_or_default()
}

fn template(service: usize, r: &[KeyValue], change: Option<&str>) -> Value {
    json!({
        "metadata": {
            "labels": {"app.kubernetes.io/name": get(r, "service.name"), "app.kubernetes.io/version": get(r, "service.version")},
            "annotations": annotations(service, change),
        },
        "spec": {"containers": [{"name": get(r, "k8s.container.name"), "image": format!("vstream/{}:{}", get(r, "service.name"), get(r, "service.version"))}]},
    })
}

fn pod(service: usize, r: &[KeyValue], change: Option<&str>, at_ns: i64) -> Value {
    let hash = revision_of(r);
    let mut pod = template(service, r, change);
    let metadata = &mut pod["metadata"];
    metadata["name"] = json!(get(r, "k8s.pod.name"));
    metadata["namespace"] = json!(get(r, "k8s.namespace.name"));
    metadata["uid"] = json!(get(r, "k8s.pod.uid"));
    metadata["creationTimestamp"] = json!(rfc3339(at_ns));
    metadata["labels"]["pod-template-hash"] = json!(hash);
    metadata["ownerReferences"] = json!([{"kind": "ReplicaSet", "name": format!("{}-{hash}", get(r, "k8s.deployment.name")), "controller": true}]);
    pod["kind"] = json!("Pod");
    pod["spec"]["nodeName"] = json!(get(r, "k8s.node.name"));
    pod["status"] = json!({"phase": "Running", "containerStatuses": [{"name": get(r, "k8s.container.name"), "restartCount": 0}]});
    pod
}

fn replica_set(service: usize, r: &[KeyValue], revision: u64, change: Option<&str>, at_ns: i64) -> Value {
    let name = format!("{}-{}", get(r, "k8s.deployment.name"), revision_of(r));
    json!({
        "kind": "ReplicaSet",
        "metadata": {
            "name": name, "namespace": get(r, "k8s.namespace.name"), "uid": uuid(identity(revision, &name, service as u64)),
            "creationTimestamp": rfc3339(at_ns), "annotations": {"deployment.kubernetes.io/revision": revision.to_string()},
            "ownerReferences": [{"kind": "Deployment", "name": get(r, "k8s.deployment.name"), "uid": get(r, "k8s.deployment.uid")}],
        },
        "spec": {"template": template(service, r, change)},
    })
}

fn workload(service: usize, r: &[KeyValue], revision: u64, change: Option<&str>, at_ns: i64) -> Value {
    json!({
        "kind": "Deployment",
        "metadata": {
            "name": get(r, "k8s.deployment.name"), "namespace": get(r, "k8s.namespace.name"), "uid": get(r, "k8s.deployment.uid"),
            "annotations": {"deployment.kubernetes.io/revision": revision.to_string()},
            "labels": {"team": SERVICES[service].2},
        },
        "spec": {"replicas": 2, "template": template(service, r, change)},
        "status": {"conditions": [
            {"type": "Available", "reason": "MinimumReplicasAvailable"},
            {"type": "Progressing", "reason": "NewReplicaSetAvailable", "lastUpdateTime": rfc3339(at_ns)},
        ]},
    })
}

fn node(company: &Company, index: usize) -> Value {
    let host = &company.hosts[index];
    json!({
        "kind": "Node",
        "metadata": {
            "name": host.name, "uid": host.uid,
            "labels": {"topology.kubernetes.io/region": REGIONS[host.region].0, "topology.kubernetes.io/zone": host.zone, "node.kubernetes.io/instance-type": "m7i.2xlarge"},
        },
        "spec": {"providerID": format!("aws:///{}/{}", host.zone, host.name)},
    })
}

/// The parameters of the address: which cluster it is.
pub(crate) fn cluster(company: &Company, region: usize) -> Vec<(&'static str, String)> {
    vec![("query.cluster", REGIONS[region].1.to_owned()), ("query.cluster_uid", cluster_uid(company, region))]
}

pub(crate) fn cluster_uid(company: &Company, region: usize) -> String {
    uuid(identity(company.seed, "cluster", region as u64))
}

/// Everything that Kubernetes and the exporters say.
pub(crate) fn told(company: &Company, script: &Script, reality: &mut Reality, letters: &mut Vec<Letter>) {
    let start = script.plan.start_ns;
    for region in 0..REGIONS.len() {
        let mut items = vec![
            json!({"kind": "Namespace", "metadata": {"name": "kube-system", "uid": cluster_uid(company, region)}}),
        ];
        let nodes = (0..company.hosts.len()).filter(|h| company.hosts[*h].region == region);
        items.extend(nodes.map(|h| node(company, h)));
        for service in 0..SERVICES.len() {
            objects(company, script, (service, region), reality, &mut items, letters);
        }
        let list = json!({"kind": "List", "apiVersion": "v1", "items": items});
        letters.push(around(start + 1, "kubernetes", &list, cluster(company, region)));
    }
    let mut at = start + 2 * MINUTE;
    while at < script.end_ns {
        for region in 0..REGIONS.len() {
            letters.push(series(company, script, region, at).letter(at));
        }
        at += 5 * MINUTE;
    }
}

/// The objects of one service in one region at the beginning, and what a watch tells later.
fn objects(
    company: &Company,
    script: &Script,
    (service, region): (usize, usize),
    reality: &mut Reality,
    items: &mut Vec<Value>,
    letters: &mut Vec<Letter>,
) {
    let start = script.plan.start_ns;
    let change = deployment_here(script, service, region);
    let own =
        |generation: u64| change.as_ref().filter(|c| generation > 0 && c.says_id).map(|c| c.id.as_str());
    let first = Company::slot(service, region, 0);
    let generation = script.generation(first, start);
    let r = attributes(company, script, first, generation);
    items.push(workload(service, &r, generation + 1, own(generation), start));
    items.push(replica_set(service, &r, generation + 1, own(generation), start));
    items.push(json!({
        "kind": "Service",
        "metadata": {"name": SERVICES[service].1, "namespace": SERVICES[service].0, "annotations": annotations(service, None)},
        "spec": {"type": "ClusterIP", "selector": {"app.kubernetes.io/name": SERVICES[service].1}},
    }));
    let event = |kind: &str, object: Value, at: i64| {
        let document = json!({"type": kind, "object": object});
        around(at, "kubernetes", &document, cluster(company, region))
    };
    for replica in 0..crate::company::REPLICAS {
        let slot = Company::slot(service, region, replica);
        let before = script.generation(slot, start);
        for generation in before..=script.generation(slot, script.end_ns) {
            let r = attributes(company, script, slot, generation);
            instance(reality, "kubernetes", company, script, slot, generation);
            if generation == before {
                items.push(pod(service, &r, own(generation), start));
                continue;
            }
            let at = change.as_ref().map_or(start, |c| c.at_ns) + replica as i64;
            if replica == 0 {
                letters.push(event(
                    "ADDED",
                    replica_set(service, &r, generation + 1, own(generation), at),
                    at,
                ));
                letters.push(event(
                    "MODIFIED",
                    workload(service, &r, generation + 1, own(generation), at),
                    at + MINUTE,
                ));
            }
            let old = attributes(company, script, slot, generation - 1);
            letters.push(event("ADDED", pod(service, &r, own(generation), at), at + 1));
            letters.push(event("DELETED", pod(service, &old, own(generation - 1), start), at + MINUTE));
        }
    }
}

/// kube-state-metrics, cAdvisor, node_exporter and the scraping of the pods themselves, of one cluster.
fn series(company: &Company, script: &Script, region: usize, at: i64) -> WriteRequest {
    let mut request = WriteRequest::default();
    let cluster = REGIONS[region].1;
    for (index, host) in company.hosts.iter().enumerate().filter(|(_, h)| h.region == region) {
        let address = format!("10.{region}.0.{index}:9100");
        let labels = [
            ("cluster", cluster),
            ("node", host.name.as_str()),
            ("instance", &address),
            ("job", "node-exporter"),
        ];
        request.add("node_load1", &labels, 2.5, at);
        request.add("node_memory_MemAvailable_bytes", &labels, 9e9, at);
    }
    for (service, (namespace, name, ..)) in SERVICES.iter().enumerate() {
        let labels = [("cluster", cluster), ("namespace", namespace), ("deployment", name)];
        request.add("kube_deployment_status_replicas_available", &labels, 2.0, at);
        for replica in 0..crate::company::REPLICAS {
            let slot = Company::slot(service, region, replica);
            let r = attributes(company, script, slot, script.generation(slot, at));
            let (pod, container) = (get(&r, "k8s.pod.name"), get(&r, "k8s.container.name"));
            let (uid, node) = (get(&r, "k8s.pod.uid"), get(&r, "k8s.node.name"));
            let at_pod =
                [("cluster", cluster), ("namespace", namespace), ("pod", pod), ("container", container)];
            let with = |more: &[(&'static str, &str)], name: &str, value: f64, request: &mut WriteRequest| {
                let labels: Vec<(&str, &str)> = at_pod.iter().copied().chain(more.iter().copied()).collect();
                request.add(name, &labels, value, at);
            };
            with(&[("uid", uid)], "kube_pod_container_status_restarts_total", 0.0, &mut request);
            with(&[("uid", uid), ("node", node)], "kube_pod_container_info", 1.0, &mut request);
            let group = format!("/kubepods/burstable/pod{uid}/{:016x}", identity(0, uid, 0));
            with(&[("id", &group), ("node", node)], "container_memory_working_set_bytes", 6e8, &mut request);
            if service % 3 == SELF_SENT && !spoken_by_zipkin(service) {
                let job = format!("{namespace}/{name}");
                let address = format!("10.{region}.{service}.{replica}:8080");
                with(&[("job", &job), ("instance", &address)], "up", 1.0, &mut request);
            }
        }
    }
    request
}
