//! Probes that fail although the container would serve: wrong port, wrong protocol, too little patience.

use super::cluster::{Ask, Cluster, Container, Event, Pod, Probe};
use super::finding::{CONTRADICTION, Fault, Finding, HINT, Object, STATED, SUSPECTED, Which};
use super::words;

/// Probes that keep a pod out of services or restart it.
pub(super) fn check(cluster: &Cluster) -> Vec<Finding> {
    let mut found = Vec::new();
    for pod in &cluster.pods {
        for container in &pod.containers {
            let restarted = container.restarts > 0;
            for (which, probe, effect) in [
                (Which::Liveness, &container.liveness, restarted),
                (Which::Readiness, &container.readiness, !container.ready),
            ] {
                if let (Some(probe), true) = (probe, effect)
                    && let Some(event) = failing(pod, which)
                {
                    found.extend(judge(cluster, pod, container, which, probe, event));
                }
            }
        }
    }
    found
}

/// The last complaint about a probe.
fn failing(pod: &Pod, which: Which) -> Option<&Event> {
    let begin = match which {
        Which::Liveness => "Liveness probe",
        Which::Readiness => "Readiness probe",
    };
    pod.events.iter().rev().find(|e| e.reason == "Unhealthy" && e.message.starts_with(begin))
}

fn judge(
    cluster: &Cluster,
    pod: &Pod,
    container: &Container,
    which: Which,
    probe: &Probe,
    event: &Event,
) -> Option<Finding> {
    // a process that ends by itself cannot answer a probe
    let ended = container
        .ended
        .as_ref()
        .is_some_and(|(reason, code)| reason == "OOMKilled" || !matches!(code, 0 | 137 | 143));
    if ended && !container.ready && container.restarts > 0 && which == Which::Readiness {
        return None;
    }
    let why = format!("{} of {}: {}", container.name, pod.name, event.message);
    let declared = probe.port.is_none_or(|p| knows(container, p));
    let other = match which {
        Which::Liveness => &container.readiness,
        Which::Readiness => &container.liveness,
    };
    // the two probes of a container usually ask the same way
    let odd =
        other.as_ref().is_some_and(|o| o.ask != probe.ask && probe.ask != Ask::Exec && o.ask != Ask::Exec);
    let (fault, weight) = if words::says(&event.message, words::MALFORMED) {
        (Fault::ProbeProtocol(which), STATED)
    } else if !declared {
        (Fault::ProbePort(which), STATED)
    } else if odd {
        (Fault::ProbeProtocol(which), CONTRADICTION)
    } else if which == Which::Liveness {
        // The right question at the right port: asked too early, too often or with too little time to answer.
        (
            Fault::ProbeTiming(which),
            if words::says(&event.message, words::REFUSED) { SUSPECTED } else { CONTRADICTION },
        )
    } else {
        (Fault::ProbeTiming(which), HINT)
    };
    let below =
        cluster.calls.iter().filter(|(a, _)| a == pod.owner()).map(|(_, b)| Object::Workload(b.clone()));
    let finding = Finding::workload(pod.owner(), fault, weight, why);
    Some(if weight < STATED { finding.unless(below) } else { finding })
}

/// Whether a container says that it listens on a port: by declaring it or by being told to in its environment.
pub(super) fn knows(container: &Container, port: u16) -> bool {
    let told = |(name, value): &(String, String)| {
        name.to_ascii_uppercase().ends_with("PORT") && *value == port.to_string()
    };
    container.ports.iter().any(|p| p.number == port) || container.env.iter().any(told)
}
