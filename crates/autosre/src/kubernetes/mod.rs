//! A Kubernetes expert: what in a picture of a cluster contradicts what Kubernetes documents, and which of the
//! contradictions is the cause.
//!
//! A picture ([`Cluster`]) is plain data, filled by whoever has it. Each check reads it and yields findings: an object, the kind of its
//! fault, a weight, the line that shows it. Nothing is compared with an earlier picture; normal is what the documentation says.
//! The ranking keeps of several findings those that no other one explains.

mod admission;
pub mod cluster;
pub mod finding;
mod load;
mod nodes;
mod probes;
mod routing;
mod scheduling;
mod startup;
mod storage;
mod words;

use std::collections::BTreeMap;

pub use cluster::Cluster;
pub use finding::{Fault, Finding, Object, Resource, Which};
use finding::{HINT, SUSPECTED};

/// The checks, in the order of a pod's life.
static CHECKS: &[fn(&Cluster) -> Vec<Finding>] = &[
    nodes::check,
    admission::check,
    scheduling::check,
    storage::check,
    startup::check,
    probes::check,
    routing::check,
    load::check,
];

/// A possible cause.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnosis {
    /// What the fault is in.
    pub object: Object,
    /// The kind of fault.
    pub fault: Fault,
    /// Nats that speak for it.
    pub score: f64,
    /// The lines that show it, weightiest first.
    pub evidence: Vec<String>,
}

/// Ranks what may be wrong in a picture of a cluster, likeliest first; empty when nothing contradicts the documentation.
///
/// Equal scores mean that the picture does not tell them apart.
pub fn diagnose(cluster: &Cluster) -> Vec<Diagnosis> {
    let mut found: Vec<Finding> = CHECKS.iter().flat_map(|check| check(cluster)).collect();
    explain_away(cluster, &mut found);
    let mut ranked: BTreeMap<(Object, Fault), Vec<Finding>> = BTreeMap::new();
    for finding in found {
        ranked.entry((finding.object.clone(), finding.fault)).or_default().push(finding);
    }
    let mut ranked: Vec<Diagnosis> = ranked
        .into_iter()
        .map(|((object, fault), mut findings)| {
            findings.sort_by(|a, b| b.weight.total_cmp(&a.weight));
            // copies of one pod tell the same thing again: the weightiest finding counts, not their sum
            let score = findings.first().map_or(0.0, |f| f.weight);
            let mut evidence: Vec<String> = findings.into_iter().map(|f| f.evidence).collect();
            evidence.dedup();
            Diagnosis { object, fault, score, evidence }
        })
        .collect();
    ranked.sort_by(|a, b| {
        b.score.total_cmp(&a.score).then_with(|| (&a.object, a.fault).cmp(&(&b.object, b.fault)))
    });
    ranked
}

/// Leaves a hint of each finding that another one explains: two independent faults at once are rarer than one with effects.
fn explain_away(cluster: &Cluster, found: &mut [Finding]) {
    let heavy: Vec<(Object, f64)> = found.iter().map(|f| (f.object.clone(), f.weight)).collect();
    let wrong = |object: &Object| heavy.iter().any(|(o, weight)| o == object && *weight >= SUSPECTED);
    for finding in found.iter_mut() {
        let machines = machines(cluster, &finding.object);
        // a pod that was never placed has no machine that could explain it
        let by_machine = !machines.is_empty() && machines.iter().any(wrong);
        if by_machine || finding.explained_by.iter().any(wrong) {
            finding.weight = finding.weight.min(HINT);
        }
    }
}

/// The machines that the unready pods of a workload run on.
fn machines(cluster: &Cluster, object: &Object) -> Vec<Object> {
    let Object::Workload(name) = object else { return Vec::new() };
    let mut nodes: Vec<Object> =
        cluster.pods_of(name).filter(|p| !p.ready).filter_map(|p| p.node.clone()).map(Object::Node).collect();
    nodes.sort();
    nodes.dedup();
    nodes
}

#[cfg(test)]
mod tests {
    use super::cluster::{Event, Measure, Node, Pod, Reading, Taint, Workload};
    use super::*;

    fn first(cluster: &Cluster) -> Option<(Object, Fault)> {
        diagnose(cluster).into_iter().next().map(|d| (d.object, d.fault))
    }

    fn cart(fault: Fault) -> Option<(Object, Fault)> {
        Some((Object::Workload("cart".to_owned()), fault))
    }

    fn waiting(selector: &[(&str, &str)], message: &str) -> Pod {
        Pod {
            name: "cart-1".to_owned(),
            workload: Some("cart".to_owned()),
            phase: "Pending".to_owned(),
            scheduled: Some(false),
            node_selector: selector.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            events: vec![Event {
                warning: true,
                reason: "FailedScheduling".to_owned(),
                message: message.to_owned(),
                ..Event::default()
            }],
            ..Pod::default()
        }
    }

    fn node(name: &str) -> Node {
        Node { name: name.to_owned(), ..Node::default() }
    }

    #[test]
    fn a_picture_without_contradictions_has_no_cause() {
        assert_eq!(first(&Cluster { nodes: vec![node("one")], ..Cluster::default() }), None);
    }

    #[test]
    fn what_keeps_a_pod_off_the_machine_it_was_meant_for_is_the_fault() {
        let message = "0/2 nodes are available: 1 node(s) had untolerated taint {sick: true}, 1 node(s) didn't match Pod's node affinity/selector. preemption: none.";
        let tainted =
            Taint { key: "sick".to_owned(), value: "true".to_owned(), effect: "NoSchedule".to_owned() };
        let mut cluster = Cluster {
            nodes: vec![Node { taints: vec![tainted], ..node("one") }, node("two")],
            pods: vec![waiting(&[("kubernetes.io/hostname", "one")], message)],
            ..Cluster::default()
        };
        assert_eq!(first(&cluster), cart(Fault::Taint));
        cluster.nodes[0] = Node { cordoned: true, ..node("one") };
        assert_eq!(first(&cluster), cart(Fault::Cordoned));
        cluster.nodes.remove(0);
        assert_eq!(first(&cluster), cart(Fault::NodeSelector));
    }

    #[test]
    fn a_machine_that_is_down_explains_its_pods() {
        let down =
            ("Ready".to_owned(), "Unknown".to_owned(), "Kubelet stopped posting node status.".to_owned());
        let container = cluster::Container {
            ended: Some(("Error".to_owned(), 1)),
            restarts: 3,
            ..cluster::Container::default()
        };
        let pod = Pod {
            name: "cart-1".to_owned(),
            workload: Some("cart".to_owned()),
            node: Some("one".to_owned()),
            containers: vec![container],
            ..Pod::default()
        };
        let cluster = Cluster {
            nodes: vec![Node { conditions: vec![down], ..node("one") }],
            pods: vec![pod],
            ..Cluster::default()
        };
        assert_eq!(first(&cluster), Some((Object::Node("one".to_owned()), Fault::KubeletDown)));
    }

    #[test]
    fn a_slow_callee_explains_its_caller() {
        let reading = |of: &str, since: f64| Reading {
            of: of.to_owned(),
            measure: Measure::MedianLatency,
            before: vec![10.0, 11.0, 9.0],
            since: vec![since],
        };
        let workload = |name: &str| Workload { name: name.to_owned(), ..Workload::default() };
        let cluster = Cluster {
            workloads: vec![workload("web"), workload("cart")],
            calls: vec![("web".to_owned(), "cart".to_owned())],
            readings: vec![reading("web", 900.0), reading("cart", 300.0)],
            ..Cluster::default()
        };
        assert_eq!(first(&cluster), cart(Fault::NetworkDelay));
    }
}
