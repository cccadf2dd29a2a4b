//! Containers that do not start or do not stay: images, configuration, memory, files, ports.

use super::cluster::{Cluster, Container, Pod};
use super::finding::{CONTRADICTION, Fault, Finding, HINT, Object, STATED, SUSPECTED};
use super::words;

/// Containers that are not running as asked.
pub(super) fn check(cluster: &Cluster) -> Vec<Finding> {
    let mut found = Vec::new();
    for pod in &cluster.pods {
        found.extend(image(pod));
        found.extend(memory(pod));
        found.extend(configuration(pod));
        found.extend(crashes(cluster, pod));
    }
    for workload in cluster.workloads.iter().filter(|w| w.desired == 0) {
        if cluster.services.iter().any(|s| super::cluster::selects(&s.selector, &workload.labels)) {
            let why = format!("{} is asked for no pods, and a service stands for it", workload.name);
            found.push(Finding::workload(&workload.name, Fault::ScaledToZero, CONTRADICTION, why));
        }
    }
    found
}

/// Images that could not be had, told by what the registry or the way to it answered.
fn image(pod: &Pod) -> Option<Finding> {
    const WAITS: [&str; 5] =
        ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable"];
    let waits = pod.containers.iter().find(|c| c.waiting.as_deref().is_some_and(|w| WAITS.contains(&w)))?;
    let told = |e: &&super::cluster::Event| {
        e.message.contains("pull") && !e.message.starts_with("Back-off") && e.message.contains(&waits.image)
            || words::says(&e.message, &["invalidimagename", "couldn't parse image"])
    };
    let event = pod.events.iter().filter(|e| e.warning).find(told);
    let text = event.map_or("", |e| e.message.as_str());
    let no_secret = pod.events.iter().any(|e| e.reason == "FailedToRetrieveImagePullSecret");
    let invalid = waits.waiting.as_deref() == Some("InvalidImageName");
    let unresolved = words::says(text, words::UNKNOWN_HOST) || words::says(text, words::RESOLVER_SILENT);
    let (fault, weight) = if unresolved {
        (Fault::RegistryUnresolved, STATED)
    } else if no_secret || words::says(text, words::UNAUTHORISED) && !words::says(text, &["manifest unknown"])
    {
        (Fault::PullSecret, STATED)
    } else if invalid || words::says(text, words::NO_SUCH_IMAGE) {
        (Fault::ImageReference, STATED)
    } else {
        (Fault::ImageReference, SUSPECTED)
    };
    let why = if text.is_empty() { format!("{} waits: {}", pod.name, waits.image) } else { text.to_owned() };
    Some(Finding::workload(pod.owner(), fault, weight, why))
}

fn memory(pod: &Pod) -> Option<Finding> {
    let ended =
        pod.containers.iter().find(|c| c.ended.as_ref().is_some_and(|(reason, _)| reason == "OOMKilled"));
    let told = pod.events.iter().find(|e| e.warning && words::says(&e.message, words::NO_MEMORY));
    let why = match (ended, told) {
        (_, Some(event)) => event.message.clone(),
        (Some(container), None) => format!("container {} of {} was OOMKilled", container.name, pod.name),
        (None, None) => return None,
    };
    Some(Finding::workload(pod.owner(), Fault::OutOfMemory, STATED, why))
}

/// Secrets and config maps that containers wait for.
fn configuration(pod: &Pod) -> Option<Finding> {
    if pod.ready {
        return None;
    }
    let event = pod.events.iter().find(|e| {
        let absent =
            e.message.contains("not found") && words::says(&e.message, &["secret \"", "configmap \""]);
        let key = words::says(&e.message, &["couldn't find key"]);
        e.warning && e.reason != "FailedToRetrieveImagePullSecret" && (absent || key)
    })?;
    let config = pod.containers.iter().any(|c| c.waiting.as_deref() == Some("CreateContainerConfigError"));
    let weight = if config || event.reason == "FailedMount" { STATED } else { CONTRADICTION };
    Some(Finding::workload(pod.owner(), Fault::ConfigMissing, weight, event.message.clone()))
}

/// Containers that end by themselves, with what their logs say.
fn crashes(cluster: &Cluster, pod: &Pod) -> Vec<Finding> {
    let owner = pod.owner();
    let mut found = Vec::new();
    let mount = pod.events.iter().find(|e| e.warning && e.reason == "FailedMount");
    if let Some(event) = mount.filter(|e| words::says(&e.message, words::NO_PERMISSION)) {
        found.push(Finding::workload(owner, Fault::VolumePermission, STATED, event.message.clone()));
    }
    let Some(container) = pod.containers.iter().find(|c| crashed(c)) else { return found };
    let say = |phrases: &[&str]| {
        cluster
            .logs
            .iter()
            .find(|l| l.workload == owner && words::says(&l.text, phrases))
            .map(|l| l.text.clone())
    };
    let causes = [
        (Fault::PortConflict, words::PORT_TAKEN, pod.containers.len() > 1),
        (Fault::VolumePermission, words::NO_PERMISSION, pod.mounts_volumes),
        (Fault::Credentials, words::BAD_CREDENTIALS, true),
        (Fault::Connections, words::NO_CONNECTIONS, true),
        (Fault::ReadOnly, words::NO_WRITES, true),
    ];
    for (fault, phrases, possible) in causes {
        if let Some(line) = say(phrases).filter(|_| possible) {
            found.push(Finding::workload(owner, fault, CONTRADICTION, line));
        }
    }
    if found.is_empty() {
        let why = format!("container {} of {} ends by itself", container.name, pod.name);
        let below =
            cluster.calls.iter().filter(|(a, _)| a == owner).map(|(_, b)| Object::Workload(b.clone()));
        found.push(Finding::workload(owner, Fault::Crashes, HINT, why).unless(below));
    }
    found
}

/// Whether a container ended by itself and is down; one that a probe restarted was ended by a signal.
fn crashed(container: &Container) -> bool {
    let failed = container
        .ended
        .as_ref()
        .is_some_and(|(reason, code)| reason != "OOMKilled" && *code != 0 && *code != 137);
    failed && !container.ready
}
