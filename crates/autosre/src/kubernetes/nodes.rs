//! Machines: their conditions and the processes of Kubernetes on them.

use super::cluster::{Cluster, Node};
use super::finding::{CONTRADICTION, Fault, Finding, Object, STATED};

/// Machines on which something of Kubernetes is down.
pub(super) fn check(cluster: &Cluster) -> Vec<Finding> {
    let mut found = Vec::new();
    for component in cluster.components.iter().filter(|c| !c.running) {
        let fault = match component.name.as_str() {
            "kubelet" => Fault::KubeletDown,
            "containerd" | "crio" | "docker" | "cri-dockerd" => Fault::RuntimeDown,
            "kube-proxy" => Fault::ProxyDown,
            "kube-scheduler" => Fault::SchedulerDown,
            _ => continue,
        };
        let why = format!("{} does not run on {}", component.name, component.node);
        found.push(Finding::on(Object::Node(component.node.clone()), fault, STATED, why));
    }
    found.extend(cluster.nodes.iter().filter_map(|n| conditions(cluster, n)));
    found.extend(scheduler(cluster));
    found
}

/// What the `Ready` condition says of the kubelet and of the runtime below it.
fn conditions(cluster: &Cluster, node: &Node) -> Option<Finding> {
    let (_, status, message) =
        node.conditions.iter().find(|(kind, status, _)| kind == "Ready" && status != "True")?;
    let running =
        |name: &str| cluster.components.iter().any(|c| c.node == node.name && c.name == name && c.running);
    let fault = if message.contains("container runtime is down") {
        Fault::RuntimeDown
    } else if status == "Unknown" && !running("kubelet") {
        // the node controller says so when the kubelet's lease is not renewed
        Fault::KubeletDown
    } else {
        return None;
    };
    let why = format!("node {} is not ready: {message}", node.name);
    Some(Finding::on(Object::Node(node.name.clone()), fault, CONTRADICTION, why))
}

/// Pods that nobody tried to place: a scheduler says why a pod has to wait.
fn scheduler(cluster: &Cluster) -> Option<Finding> {
    let known = cluster.components.iter().any(|c| c.name == "kube-scheduler");
    let silent =
        cluster.pods.iter().find(|p| p.phase == "Pending" && p.node.is_none() && p.events.is_empty())?;
    let mut control = cluster.nodes.iter().filter(|n| n.control_plane);
    let (node, None) = (control.next()?, control.next()) else { return None };
    if known {
        return None;
    }
    let why = format!("pod {} waits and no scheduler says why", silent.name);
    Some(Finding::on(Object::Node(node.name.clone()), Fault::SchedulerDown, CONTRADICTION, why))
}
