//! Pods for which no machine was found: which predicate of the scheduler is in the way.
//!
//! The scheduler tells, per machine, only the first predicate that failed (closed to pods, taints, affinity, resources, volumes, in
//! that order), so its counts alone do not say what to change. The machine that a pod was meant for is the one that passes
//! what the pod itself asks for; what keeps the pod off that one is the fault.

use super::cluster::{Cluster, Event, Node, Pod};
use super::finding::{CONTRADICTION, Fault, Finding, Object, Resource, STATED, SUSPECTED};

/// What the scheduler said of a number of machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    Cordoned,
    Taint,
    Affinity,
    AntiAffinity,
    Short(Resource),
    UnboundClaim,
}

/// Pods that wait for a machine.
pub(super) fn check(cluster: &Cluster) -> Vec<Finding> {
    let mut found = Vec::new();
    for pod in cluster.pods.iter().filter(|p| p.phase == "Pending" && p.scheduled != Some(true)) {
        let Some(event) = pod.events.iter().rev().find(|e| e.reason == "FailedScheduling") else { continue };
        let refusals = refusals(event);
        let say = format!("pod {}: {}", pod.name, event.message);
        for (fault, weight) in faults(cluster, pod, &refusals) {
            let gone = cluster.nodes.iter().filter(|n| !ready(n)).map(|n| Object::Node(n.name.clone()));
            found.push(Finding::workload(pod.owner(), fault, weight, say.clone()).unless(gone));
        }
    }
    found
}

/// Whether a machine's kubelet says that it is ready; one that says nothing is taken for ready.
fn ready(node: &Node) -> bool {
    node.conditions.iter().all(|(kind, status, _)| kind != "Ready" || status == "True")
}

/// The scheduler's counts: `0/4 nodes are available: 1 node(s) were unschedulable, 3 Insufficient memory. preemption: …`.
fn refusals(event: &Event) -> Vec<(u32, Refusal)> {
    let text = event.message.split(" preemption:").next().unwrap_or_default();
    let text = text.split_once("are available:").map_or(text, |(_, rest)| rest);
    let mut out = Vec::new();
    for part in text.split([',', '.']).map(str::trim) {
        let (count, what) = part.split_once(' ').unwrap_or(("", part));
        let (count, what) = count.parse().map_or((1, part), |count: u32| (count, what));
        let refusal = if what.contains("were unschedulable") {
            Refusal::Cordoned
        } else if what.contains("untolerated taint") {
            Refusal::Taint
        } else if what.contains("anti-affinity") {
            Refusal::AntiAffinity
        } else if what.contains("node affinity") || what.contains("node selector") {
            Refusal::Affinity
        } else if what.contains("Insufficient cpu") {
            Refusal::Short(Resource::Cpu)
        } else if what.contains("Insufficient memory") {
            Refusal::Short(Resource::Memory)
        } else if what.contains("Insufficient ephemeral-storage") {
            Refusal::Short(Resource::Storage)
        } else if what.contains("Too many pods") {
            Refusal::Short(Resource::Pods)
        } else if what.contains("unbound immediate PersistentVolumeClaims") {
            Refusal::UnboundClaim
        } else {
            continue;
        };
        out.push((count, refusal));
    }
    out
}

fn faults(cluster: &Cluster, pod: &Pod, refusals: &[(u32, Refusal)]) -> Vec<(Fault, f64)> {
    let count = |which: Refusal| refusals.iter().filter(|(_, r)| *r == which).map(|(n, _)| *n).sum::<u32>();
    // why a claim has no volume is another check's question
    if count(Refusal::UnboundClaim) > 0 {
        return Vec::new();
    }
    let closed_by_design = |n: &&Node| n.control_plane;
    let meant: Vec<&Node> = cluster.nodes.iter().filter(|n| suits(pod, n)).collect();
    if !pod.node_selector.is_empty() && !cluster.nodes.is_empty() {
        if meant.is_empty() {
            return vec![(Fault::NodeSelector, STATED)];
        }
        if meant.iter().all(|n| n.cordoned) {
            return vec![(Fault::Cordoned, STATED)];
        }
        if meant.iter().all(|n| n.cordoned || !stands(pod, n)) {
            return vec![(Fault::Taint, STATED)];
        }
    }
    let mut out = Vec::new();
    let open = cluster.nodes.iter().filter(|n| n.cordoned && !closed_by_design(n)).count();
    // machines that the pod does not ask to avoid are those it was meant for: what keeps it off them decides
    let others = [
        (Refusal::Taint, Fault::Taint),
        (Refusal::AntiAffinity, Fault::AntiAffinity),
        (Refusal::Short(Resource::Cpu), Fault::TooLarge(Resource::Cpu)),
        (Refusal::Short(Resource::Memory), Fault::TooLarge(Resource::Memory)),
        (Refusal::Short(Resource::Storage), Fault::TooLarge(Resource::Storage)),
        (Refusal::Short(Resource::Pods), Fault::TooLarge(Resource::Pods)),
    ];
    let most = others.iter().map(|(r, _)| count(*r)).max().unwrap_or(0);
    for (refusal, fault) in others {
        match count(refusal) {
            0 => {}
            n if n == most => out.push((fault, STATED)),
            _ => out.push((fault, CONTRADICTION)),
        }
    }
    // a control plane keeps its own taint, which says nothing about the pod
    let control = cluster.nodes.iter().filter(|n| n.control_plane && !n.cordoned && !stands(pod, n)).count();
    if count(Refusal::Taint) as usize <= control {
        out.retain(|(fault, _)| *fault != Fault::Taint);
    }
    if open > 0 {
        out.push((Fault::Cordoned, if out.is_empty() { STATED } else { SUSPECTED }));
    }
    if count(Refusal::Affinity) > 0 {
        let fault = if pod.node_selector.is_empty() { Fault::NodeAffinity } else { Fault::NodeSelector };
        out.push((fault, if out.is_empty() { STATED } else { CONTRADICTION }));
    }
    out
}

/// Whether a machine has the labels that a pod asks for. The label of its host name is its name, by definition.
fn suits(pod: &Pod, node: &Node) -> bool {
    pod.node_selector.iter().all(|(key, value)| {
        let own = (key == "kubernetes.io/hostname").then_some(&node.name);
        node.labels.get(key).or(own) == Some(value)
    })
}

/// Whether a pod tolerates all taints of a machine that keep new pods away.
fn stands(pod: &Pod, node: &Node) -> bool {
    let keeps_away = |effect: &str| effect == "NoSchedule" || effect == "NoExecute";
    node.taints
        .iter()
        .filter(|t| keeps_away(&t.effect) && t.key != "node.kubernetes.io/unschedulable")
        .all(|t| pod.tolerations.iter().any(|x| x.covers(t)))
}
