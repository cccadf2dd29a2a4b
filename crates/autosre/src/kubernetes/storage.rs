//! Claims without a volume: what the claim asks for that no volume offers.

use super::cluster::{Claim, Cluster, Volume};
use super::finding::{CONTRADICTION, Fault, Finding, Object, Resource, STATED, SUSPECTED};

/// Claims that pods wait for.
pub(super) fn check(cluster: &Cluster) -> Vec<Finding> {
    let mut found = Vec::new();
    for claim in cluster.claims.iter().filter(|c| !c.bound) {
        let users =
            cluster.pods.iter().filter(|p| p.claims.contains(&claim.name)).map(|p| p.owner().to_owned());
        let users: std::collections::BTreeSet<String> = users.collect();
        for (fault, weight, why) in faults(cluster, claim) {
            for user in &users {
                found.push(Finding::workload(user, fault, weight, format!("claim {}: {why}", claim.name)));
            }
        }
    }
    found.extend(over_quota(cluster));
    found
}

fn faults(cluster: &Cluster, claim: &Claim) -> Vec<(Fault, f64, String)> {
    let missing =
        claim.events.iter().find(|e| e.message.contains("storageclass") && e.message.contains("not found"));
    if let Some(event) = missing {
        return vec![(Fault::ClaimClass, STATED, event.message.clone())];
    }
    let of_class: Vec<&Volume> = cluster.volumes.iter().filter(|v| v.class == claim.class).collect();
    let ours = |v: &&Volume| v.claim.as_deref() == Some(&format!("{}/{}", cluster.namespace, claim.name));
    let free: Vec<&Volume> = of_class.iter().copied().filter(|v| v.available || ours(v)).collect();
    if free.is_empty() {
        // the volume it was meant for: the one it names, or any that would do
        let taken =
            of_class.iter().find(|v| claim.volume.as_ref().is_none_or(|n| *n == v.name) && v.claim.is_some());
        if let Some(volume) = taken {
            let holder = volume.claim.as_deref().unwrap_or_default();
            return vec![(Fault::VolumeTaken, STATED, format!("volume {} belongs to {holder}", volume.name))];
        }
        if let Some(other) = cluster.volumes.iter().find(|v| v.available) {
            let (asked, has) =
                (claim.class.as_deref().unwrap_or("none"), other.class.as_deref().unwrap_or("none"));
            let why = format!("asks for storage class {asked}, volume {} has {has}", other.name);
            return vec![(Fault::ClaimClass, CONTRADICTION, why)];
        }
        return Vec::new();
    }
    let small = claim.bytes.is_some_and(|b| free.iter().all(|v| v.bytes.is_some_and(|has| has < b)));
    if small {
        return vec![(Fault::ClaimSize, STATED, "asks for more than any free volume has".to_owned())];
    }
    let closed =
        !claim.modes.is_empty() && free.iter().all(|v| claim.modes.iter().any(|m| !v.modes.contains(m)));
    if closed {
        return vec![(
            Fault::ClaimAccess,
            STATED,
            "asks for a way of access that no free volume offers".to_owned(),
        )];
    }
    // A free volume of the right class was not taken: its size, its ways of access or its labels do not suit. Labels on a
    // volume are there to be selected by.
    let mut out = Vec::new();
    let name = free.first().map_or("", |v| v.name.as_str());
    if free.iter().any(|v| !v.labels.is_empty()) {
        out.push((
            Fault::ClaimSelector,
            CONTRADICTION,
            format!("free volume {name} was not taken; it has labels"),
        ));
    }
    // volumes that differ in ways of access were made to be told apart by them
    let modes: std::collections::BTreeSet<&Vec<String>> = free.iter().map(|v| &v.modes).collect();
    let access = if modes.len() > 1 { SUSPECTED + 1.0 } else { SUSPECTED };
    if claim.modes.is_empty() {
        out.push((Fault::ClaimAccess, access, format!("free volume {name} was not taken")));
    }
    if claim.bytes.is_none() {
        out.push((Fault::ClaimSize, SUSPECTED, format!("free volume {name} was not taken")));
    }
    out
}

/// A claim that was never made because the namespace may not hold more.
fn over_quota(cluster: &Cluster) -> Vec<Finding> {
    let quotas = cluster.quotas.iter().flat_map(|q| q.resources.iter().map(move |r| (q, r)));
    let mut storage =
        quotas.filter(|(_, (r, _, _))| r.ends_with("requests.storage") || r == "persistentvolumeclaims");
    let Some((quota, (resource, used, hard))) = storage.next() else { return Vec::new() };
    let exists = |name: &String| cluster.claims.iter().any(|c| c.name == *name);
    let wanted = cluster.pods.iter().flat_map(|p| &p.claims).find(|name| !exists(name));
    let Some(claim) = wanted else { return Vec::new() };
    let why = format!("claim {claim} was not admitted; quota {} has {resource} {used} of {hard}", quota.name);
    let namespace = Object::Namespace(cluster.namespace.clone());
    vec![Finding::on(namespace, Fault::QuotaExceeded(Resource::Storage), CONTRADICTION + 1.0, why)]
}
