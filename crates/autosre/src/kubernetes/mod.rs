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
