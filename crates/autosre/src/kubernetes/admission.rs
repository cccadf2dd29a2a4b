//! Pods and services that were never admitted: quotas that are used up, service accounts that do not exist.

use super::cluster::{Cluster, Quota, Workload};
use super::finding::{CONTRADICTION, Fault, Finding, Object, Resource, STATED, SUSPECTED};

/// What was not let in.
pub(super) fn check(cluster: &Cluster) -> Vec<Finding> {
    let mut found = Vec::new();
    for workload in cluster.workloads.iter().filter(|w| w.current < w.desired) {
        found.extend(pods(cluster, workload));
    }
    found.extend(services(cluster));
    found
}

/// Pods that a workload may not make.
fn pods(cluster: &Cluster, workload: &Workload) -> Vec<Finding> {
    let mut found = Vec::new();
    let account = workload.service_account.as_deref().unwrap_or("default");
    let known = cluster.service_accounts.as_ref().is_none_or(|all| all.contains(account));
    let told = workload.events.iter().find(|e| {
        e.reason == "FailedCreate" && e.message.contains(&format!("serviceaccount \"{account}\" not found"))
    });
    if !known {
        let why = format!(
            "service account {account} does not exist; {} of {} pods",
            workload.current, workload.desired
        );
        let weight = if told.is_some() { STATED } else { CONTRADICTION };
        found.push(Finding::workload(&workload.name, Fault::ServiceAccountMissing, weight, why));
    } else if let (Some(event), None) = (told, &cluster.service_accounts) {
        let why = event.message.clone();
        found.push(Finding::workload(&workload.name, Fault::ServiceAccountMissing, CONTRADICTION, why));
    }
    for event in workload.events.iter().filter(|e| e.message.contains("exceeded quota")) {
        // `exceeded quota: NAME, requested: requests.cpu=1, used: requests.cpu=10, limited: requests.cpu=10`
        let Some((_, requested)) = event.message.split_once("requested: ") else { continue };
        let asked = requested.split(", used:").next().unwrap_or_default();
        for resource in
            asked.split(',').filter_map(|a| resource(a.split('=').next().unwrap_or_default().trim()))
        {
            let namespace = Object::Namespace(cluster.namespace.clone());
            found.push(Finding::on(namespace, Fault::QuotaExceeded(resource), STATED, event.message.clone()));
        }
    }
    found
}

/// The resource that a quota's name of it means.
fn resource(name: &str) -> Option<Resource> {
    match name.trim_start_matches("requests.").trim_start_matches("limits.").trim_start_matches("count/") {
        "cpu" => Some(Resource::Cpu),
        "memory" => Some(Resource::Memory),
        "pods" => Some(Resource::Pods),
        "storage" | "persistentvolumeclaims" => Some(Resource::Storage),
        name if name.starts_with("services") => Some(Resource::Services),
        _ => None,
    }
}

/// A service that could not be made leaves no event: the quota is full, and addresses that workloads were told have no service.
fn services(cluster: &Cluster) -> Vec<Finding> {
    let full = |q: &&Quota| {
        let services = |r: &str| resource(r) == Some(Resource::Services);
        q.resources.iter().any(|(name, used, hard)| services(name) && used >= hard)
    };
    let Some(quota) = cluster.quotas.iter().find(full) else { return Vec::new() };
    let namespace = Object::Namespace(cluster.namespace.clone());
    let absent = cluster.workloads.iter().find(|w| {
        let asked_for = |x: &Workload| {
            x.containers
                .iter()
                .flat_map(|c| &c.env)
                .any(|(_, v)| v.split([':', '/']).any(|word| word == w.name))
        };
        cluster.service(&w.name).is_none() && cluster.workloads.iter().any(asked_for)
    });
    let (weight, why) = match absent {
        Some(workload) => {
            (STATED, format!("quota {} is full and there is no service {}", quota.name, workload.name))
        }
        // full is not yet short: nothing that is missing was found
        None => (SUSPECTED, format!("quota {} for services is full", quota.name)),
    };
    vec![Finding::on(namespace, Fault::QuotaExceeded(Resource::Services), weight, why)]
}
