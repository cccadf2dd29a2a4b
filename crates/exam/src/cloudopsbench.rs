//! Cloud-OpsBench (2026): snapshots of a Kubernetes cluster in trouble, to the object that is broken and the kind of its fault.

use std::collections::BTreeMap;
use std::path::Path;

use autosre::kubernetes::cluster::{Component, Failure, Line, Measure, Reached, Reading};
use autosre::kubernetes::{Cluster, Fault, Object, Resource, Which, diagnose};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Error, Progress, Report, Set, Standing, kubectl, sit};

/// The set.
pub struct CloudOpsBench;

#[derive(Debug, Deserialize)]
struct Case {
    case: String,
    namespace: String,
    system: String,
}

#[derive(Debug, Deserialize)]
struct Label {
    fault_object: String,
    root_cause: String,
}

impl Set for CloudOpsBench {
    fn name(&self) -> &'static str {
        "cloudopsbench"
    }

    fn about(&self) -> &'static str {
        "which object of a Kubernetes cluster is broken, and how"
    }

    fn run(&self, dir: &Path, progress: Progress<'_>) -> Result<Report, Error> {
        let mut calls: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
        sit(
            self.name(),
            &["a1", "a3", "object_a1", "kind_a1"],
            dir,
            progress,
            |inputs, case: &Case| {
                if !calls.contains_key(&case.system) {
                    let file = inputs.join(format!("dependencies_{}.json", case.system));
                    calls.insert(case.system.clone(), dependencies(&read(&file)?.unwrap_or_default()));
                }
                let cluster = picture(&inputs.join(&case.case), case, &calls[&case.system])?;
                let ranked = diagnose(&cluster);
                Ok(ranked.into_iter().map(|d| (answer(&d.object, d.fault), d.score)).collect::<Vec<_>>())
            },
            |label: &Label, answer: &Vec<(String, f64)>| {
                let truth = format!("{} {}", label.fault_object, label.root_cause);
                let standing = Standing::of(answer, |a| *a == truth);
                let hit = |k| standing.map_or(0.0, |s| s.hit_at(k));
                let part = |at: usize, truth: &str| first(answer, |a| a.split(' ').nth(at) == Some(truth));
                vec![
                    ("a1", hit(1)),
                    ("a3", hit(3)),
                    ("object_a1", part(0, &label.fault_object)),
                    ("kind_a1", part(1, &label.root_cause)),
                ]
            },
        )
    }
}

/// The chance that the first answer, drawn among those that tie for it, is right.
fn first(answer: &[(String, f64)], right: impl Fn(&str) -> bool) -> f64 {
    let Some((_, best)) = answer.first() else { return 0.0 };
    let tied: Vec<&String> = answer.iter().filter(|(_, score)| score == best).map(|(a, _)| a).collect();
    tied.iter().filter(|a| right(a)).count() as f64 / tied.len() as f64
}

/// An object and a kind of fault in the set's words.
fn answer(object: &Object, fault: Fault) -> String {
    let object = match object {
        Object::Workload(name) => format!("app/{name}"),
        Object::Node(name) => format!("node/{name}"),
        Object::Namespace(name) => format!("namespace/{name}"),
    };
    format!("{object} {}", kind(fault))
}

/// The set's words for kinds of fault. Those that stand in none of the development part's labels are named as its others are.
fn kind(fault: Fault) -> &'static str {
    match fault {
        Fault::QuotaExceeded(Resource::Cpu) => "namespace_cpu_quota_exceeded",
        Fault::QuotaExceeded(Resource::Memory) => "namespace_memory_quota_exceeded",
        Fault::QuotaExceeded(Resource::Pods) => "namespace_pod_quota_exceeded",
        Fault::QuotaExceeded(Resource::Services) => "namespace_service_quota_exceeded",
        Fault::QuotaExceeded(Resource::Storage) => "namespace_storage_quota_exceeded",
        Fault::ServiceAccountMissing => "missing_service_account",
        Fault::TooLarge(Resource::Cpu) => "cpu_capacity_mismatch",
        Fault::TooLarge(Resource::Memory) => "memory_capacity_mismatch",
        Fault::TooLarge(_) => "capacity_mismatch",
        Fault::NodeSelector => "node_selector_mismatch",
        Fault::NodeAffinity => "node_affinity_mismatch",
        Fault::AntiAffinity => "pod_anti_affinity_conflict",
        Fault::Taint => "taint_toleration_mismatch",
        Fault::Cordoned => "node_cordon_mismatch",
        Fault::ClaimClass => "pvc_storage_class_mismatch",
        Fault::ClaimAccess => "pvc_access_mode_mismatch",
        Fault::ClaimSize => "pvc_capacity_mismatch",
        Fault::ClaimSelector => "pvc_selector_mismatch",
        Fault::VolumeTaken => "pv_binding_occupied",
        Fault::ImageReference => "incorrect_image_reference",
        Fault::RegistryUnresolved => "image_registry_dns_failure",
        Fault::PullSecret => "missing_image_pull_secret",
        Fault::ConfigMissing => "missing_secret_binding",
        Fault::VolumePermission => "volume_mount_permission_denied",
        Fault::OutOfMemory => "oom_killed",
        Fault::ProbePort(Which::Liveness) => "liveness_probe_incorrect_port",
        Fault::ProbePort(Which::Readiness) => "readiness_probe_incorrect_port",
        Fault::ProbeProtocol(Which::Liveness) => "liveness_probe_incorrect_protocol",
        Fault::ProbeProtocol(Which::Readiness) => "readiness_probe_incorrect_protocol",
        Fault::ProbeTiming(Which::Liveness) => "liveness_probe_incorrect_timing",
        Fault::ProbeTiming(Which::Readiness) => "readiness_probe_incorrect_timing",
        Fault::Crashes => "crash",
        Fault::ScaledToZero => "deployment_zero_replicas",
        Fault::ServiceSelector => "service_selector_mismatch",
        Fault::ServicePort => "service_port_mapping_mismatch",
        Fault::ServiceProtocol => "service_protocol_mismatch",
        Fault::Address => "service_env_var_address_mismatch",
        Fault::NameResolution => "service_dns_resolution_failure",
        Fault::Misroute => "gateway_misroute",
        Fault::PortConflict => "service_sidecar_port_conflict",
        Fault::Credentials => "mysql_invalid_credentials",
        Fault::Connections => "db_connection_exhaustion",
        Fault::ReadOnly => "db_readonly_mode",
        Fault::CpuOverload => "pod_cpu_overload",
        Fault::NetworkDelay => "pod_network_delay",
        Fault::NodeNetworkDelay => "node_network_delay",
        Fault::NodeNetworkLoss => "node_network_packet_loss",
        Fault::RuntimeDown => "containerd_unavailable",
        Fault::KubeletDown => "kubelet_unavailable",
        Fault::ProxyDown => "kube_proxy_unavailable",
        Fault::SchedulerDown => "kube_scheduler_unavailable",
    }
}

/// Reads a case's folder.
fn picture(dir: &Path, case: &Case, calls: &[(String, String)]) -> Result<Cluster, Error> {
    let printed: BTreeMap<String, String> = read(&dir.join("k8s_states.json"))?.unwrap_or_default();
    let mut cluster = kubectl::picture(&printed, &case.namespace);
    cluster.calls = calls.to_vec();
    let logs: BTreeMap<String, Value> = read(&dir.join("error_logs.json"))?.unwrap_or_default();
    cluster.logs = logs.iter().flat_map(|(service, text)| lines(service, text)).collect();
    let probes: Probes = read(&dir.join("probes.json"))?.unwrap_or_default();
    cluster.reached = probes.connectivity.iter().filter_map(|(asked, said)| reached(asked, said)).collect();
    cluster.components =
        probes.node_services.iter().filter_map(|(which, said)| component(which, said)).collect();
    let alarms: Alarms = read(&dir.join("alert.json"))?.unwrap_or_default();
    cluster.failures = alarms.alerts.iter().filter_map(failure).collect();
    cluster.readings = match readings(&dir.join("metrics.csv"), &alarms)? {
        Some(readings) => readings,
        None => alarms.alerts.iter().flat_map(levels).collect(),
    };
    Ok(cluster)
}

/// Reads a JSON file, when it is there.
fn read<T: DeserializeOwned>(file: &Path) -> Result<Option<T>, Error> {
    let text = match std::fs::read(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::Read { file: file.to_owned(), source }),
    };
    serde_json::from_slice(&text).map(Some).map_err(|e| Error::layout(file, e.line() as u64, e.to_string()))
}

#[derive(Debug, Default, Deserialize)]
struct Probes {
    #[serde(default)]
    connectivity: BTreeMap<String, String>,
    #[serde(default)]
    node_services: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
struct Alarms {
    #[serde(default)]
    alerts: Vec<Alarm>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Alarm {
    name: String,
    time_range: String,
    evidence: Vec<String>,
    url: String,
    raw_error: String,
    occurrences: u64,
}

/// Who calls whom, from a drawing of what is below each service.
fn dependencies(drawn: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let mut calls = Vec::new();
    for (caller, text) in drawn {
        let below = text.split_once("[Downstream (Calls)]:").map_or("", |(_, below)| below);
        // deeper branches are indented: they are calls of others
        for branch in below.lines().filter_map(|l| l.strip_prefix('├').or_else(|| l.strip_prefix('└'))) {
            if let Some(callee) = branch.trim_start_matches(['─', ' ']).split_whitespace().next() {
                calls.push((caller.clone(), callee.to_owned()));
            }
        }
    }
    calls
}

/// Lines of a service's log: grouped with counts, or as they were, by container.
fn lines(service: &str, value: &Value) -> Vec<Line> {
    let line = |text: &str, count: u64| Line { workload: service.to_owned(), text: text.to_owned(), count };
    match value {
        Value::String(text) => match serde_json::from_str::<Value>(text) {
            Ok(inner @ (Value::Object(_) | Value::Array(_))) => lines(service, &inner),
            _ => text.lines().map(|l| line(l, 1)).collect(),
        },
        Value::Array(all) => all.iter().flat_map(|v| lines(service, v)).collect(),
        Value::Object(fields) => {
            if let Some(text) = fields.get("pattern").or_else(|| fields.get("sample")).and_then(Value::as_str)
            {
                return vec![line(text, fields.get("count").and_then(Value::as_u64).unwrap_or(1))];
            }
            fields.values().flat_map(|v| lines(service, v)).collect()
        }
        _ => Vec::new(),
    }
}

fn reached(asked: &str, said: &str) -> Option<Reached> {
    let asked: Value = serde_json::from_str(asked).ok()?;
    let service = asked.get("service_name")?.as_str()?.to_owned();
    let count = |what: &str| u32::try_from(said.matches(what).count()).unwrap_or(u32::MAX);
    Some(Reached { service, open: count("Connection Succeeded"), failed: count("Connection Failed") })
}

/// `worker-02/containerd` and what `systemctl status` says.
fn component(which: &str, said: &str) -> Option<Component> {
    let (node, name) = which.split_once('/')?;
    let active = said.lines().find_map(|l| l.trim().strip_prefix("Active:"))?;
    Some(Component {
        node: node.to_owned(),
        name: name.to_owned(),
        running: active.trim().starts_with("active"),
    })
}

fn failure(alarm: &Alarm) -> Option<Failure> {
    let status = alarm.raw_error.split(|c: char| !c.is_ascii_digit()).find(|w| w.len() == 3);
    let failure = Failure {
        path: alarm.url.clone(),
        status: status.and_then(|s| s.parse().ok()),
        count: alarm.occurrences,
    };
    (!alarm.url.is_empty()).then_some(failure)
}

/// What an alarm's evidence says of levels: `… | Normal=4.85ms -> Current=185.61ms (+3725.2%)`.
fn levels(alarm: &Alarm) -> Vec<Reading> {
    let mut out = Vec::new();
    let number = |text: &str, after: &str| -> Option<f64> {
        let rest = text.split_once(after)?.1;
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        rest[..end].parse().ok()
    };
    for evidence in &alarm.evidence {
        for part in evidence.split(" | ") {
            let measure = if part.contains("p50latency") {
                Measure::MedianLatency
            } else if part.contains("latency:") {
                Measure::TailLatency
            } else if evidence.contains("[RPS]") {
                Measure::Requests
            } else if evidence.contains("[TCP Retransmission]") {
                Measure::Retransmitted
            } else if evidence.contains("[cpu core]") {
                Measure::Cpu
            } else {
                continue;
            };
            let since = number(part, "Current=").or_else(|| number(part, "Cur="));
            if let (Some(before), Some(since)) = (number(part, "Normal="), since) {
                out.push(Reading {
                    of: alarm.name.clone(),
                    measure,
                    before: vec![before],
                    since: vec![since],
                });
            }
        }
    }
    out
}

/// Samples before and since the alarms' window; nothing when there are no metrics.
fn readings(file: &Path, alarms: &Alarms) -> Result<Option<Vec<Reading>>, Error> {
    if !file.exists() {
        return Ok(None);
    }
    let failed = |error| Error::csv(file, error);
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_path(file).map_err(failed)?;
    let header = reader.headers().map_err(failed)?.clone();
    let rows: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().map_err(failed)?;
    let window = alarms.alerts.iter().find_map(|a| a.time_range.split_once(" ~ "));
    // times are local text of one form, so they compare as text; without an alarm nothing is known to be trouble
    let Some((from, to)) = window else { return Ok(None) };
    let time = |row: &csv::StringRecord| row.get(0).unwrap_or_default().to_owned();
    let mut out = Vec::new();
    for (at, column) in header.iter().enumerate().skip(1) {
        let Some((of, what)) = column.rsplit_once('-') else { continue };
        let measure = match what {
            "cpu" => Measure::Cpu,
            "cpu_cfs" => Measure::Throttled,
            "rps" => Measure::Requests,
            "success_rate" => Measure::Success,
            "network_receive" => Measure::Received,
            "network_transmit" => Measure::Sent,
            "p50latency" => Measure::MedianLatency,
            "p90latency" | "p95latency" => Measure::TailLatency,
            "tcp_retans" => Measure::Retransmitted,
            _ => continue,
        };
        let samples = |keep: &dyn Fn(&str) -> bool| -> Vec<f64> {
            let kept = rows.iter().filter(|r| keep(&time(r)));
            kept.map(|r| r.get(at).and_then(|v| v.trim().parse().ok()).unwrap_or(f64::NAN)).collect()
        };
        let (before, since) = (samples(&|t| t < from), samples(&|t| t >= from && t <= to));
        out.push(Reading { of: of.to_owned(), measure, before, since });
    }
    Ok(Some(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_that_no_pod_has_is_named_with_its_app() {
        let root = std::env::temp_dir().join(format!("exam-cloudops-{}", std::process::id()));
        let dir = root.join("inputs/one");
        std::fs::create_dir_all(&dir).unwrap();
        let printed = serde_json::json!({
            "kubectl describe deployments cart -n shop":
                "Name:  cart\nReplicas:  1 desired | 1 total\nPod Template:\n  Labels:  app=cart\n",
            "kubectl describe pods cart-x -n shop":
                "Name:  cart-x\nLabels:  app=cart\nStatus:  Running\nConditions:\n  Type  Status\n  Ready  True\n",
            "kubectl describe services cart -n shop":
                "Name:  cart\nSelector:  app=card\nPort:  http  80/TCP\nTargetPort:  8080/TCP\nEndpoints:  \n",
        });
        std::fs::write(dir.join("k8s_states.json"), printed.to_string()).unwrap();
        std::fs::write(
            root.join("inputs/cases.jsonl"),
            "{\"case\":\"one\",\"namespace\":\"shop\",\"system\":\"toy\"}\n",
        )
        .unwrap();
        std::fs::write(
            root.join("labels.jsonl"),
            "{\"case\":\"one\",\"fault_object\":\"app/cart\",\"root_cause\":\"service_selector_mismatch\"}\n",
        )
        .unwrap();
        let report = CloudOpsBench.run(&root, &mut |_, _, _| {});
        std::fs::remove_dir_all(&root).unwrap();
        let report = report.unwrap();
        assert_eq!(report.metric("a1"), Some(1.0), "{report:?}");
        assert_eq!(report.metric("object_a1"), Some(1.0));
    }

    #[test]
    fn only_the_first_branches_of_a_drawing_are_calls() {
        let drawn = BTreeMap::from([(
            "web".to_owned(),
            "[Downstream (Calls)]:\nweb\n├── cart\n│   └── store\n└── ads".to_owned(),
        )]);
        let calls = dependencies(&drawn);
        assert_eq!(calls.iter().map(|(_, b)| b.as_str()).collect::<Vec<_>>(), ["cart", "ads"]);
    }

    #[test]
    fn an_alarm_tells_levels() {
        let evidence =
            vec!["LATENCY_DEGRADATION [Slow] | cart-p50latency: Normal=4.0ms -> Current=80.5ms".to_owned()];
        let alarm = Alarm { name: "cart".to_owned(), evidence, ..Alarm::default() };
        let readings = levels(&alarm);
        assert_eq!(readings.len(), 1);
        assert_eq!((readings[0].before[0], readings[0].since[0]), (4.0, 80.5));
    }
}
