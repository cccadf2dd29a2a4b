//! What has no OTLP form, as the JSON its senders make: catalogue, deployments, changes, experiments, flags, alerts.

use crate::company::uuid;
use crate::plan::{Payload, Plan, SECOND, Wire};
use crate::prng::identity;
use crate::script::{AlertPlan, Deployment, Script};
use crate::tables::{APPS, EXPERIMENTS, ExperimentRow, FLAGS, OPERATIONS, REGIONS, SEARCH_BLEND, SERVICES};
use serde_json::{Value, json};

/// Every feed document of a world, in the order they are sent.
pub(crate) fn documents(plan: &Plan, script: &Script) -> Vec<Payload> {
    let mut all: Vec<(i64, &'static str, Value)> = Vec::new();
    let start = plan.start_ns;
    for index in 0..SERVICES.len() {
        all.push((start, "catalog", component(index)));
    }
    for (index, experiment) in EXPERIMENTS.iter().enumerate() {
        let late = index == SEARCH_BLEND;
        let at = if late { script.search_blend_from_ns } else { start };
        all.push((at, "experiments", running(experiment, late.then(|| rfc3339(at)))));
    }
    for (index, deployment) in script.deployments.iter().enumerate() {
        if index % 3 == 2 {
            // one team in three has no CDEvents yet and tells us in our own form
            all.push((deployment.at_ns, "changes", deployed(deployment)));
            continue;
        }
        for region in &deployment.regions {
            all.push((deployment.at_ns, "cdevents", service_deployed(plan.seed, deployment, *region)));
        }
    }
    for step in &script.rollouts {
        let (app, _, _, _, versions) = APPS[step.app];
        let version = versions.last().copied().unwrap_or_default();
        let began = script.rollouts.iter().filter(|s| s.app == step.app).map(|s| s.at_ns).min();
        let document = json!({
            "kind": "rollout", "id": format!("rollout-{app}-{version}"), "app": app, "version": version,
            "build": format!("{app}-{version}-{:06x}", identity(0, version, 0) & 0xff_ffff),
            "percent": step.share, "status": if step.share < 0.5 { "running" } else { "done" },
            "by": format!("{app}-release"), "at": rfc3339(began.unwrap_or(step.at_ns)),
        });
        // what was announced before the world began is told at its beginning
        all.push((step.at_ns.max(start), "changes", document));
    }
    for (service, at) in &script.config_changes {
        let name = SERVICES[*service].1;
        let document = json!({
            "kind": "config", "id": format!("fp-{name}-{}", at / SECOND), "service": name,
            "service_namespace": SERVICES[*service].0, "property": format!("{name}.pool.size"), "old": "48", "new": "64",
            "by": SERVICES[*service].2, "at": rfc3339(*at),
        });
        all.push((*at, "changes", document));
    }
    for switching in &script.switchings {
        let name = FLAGS[switching.flag];
        let document = json!({
            "type": "feature-environment-enabled", "id": format!("flag-{name}-{}", switching.at_ns / SECOND),
            "createdBy": "release-bot", "createdAt": rfc3339(switching.at_ns), "featureName": name, "project": "default",
            "environment": "prod", "preData": {"enabled": false}, "data": {"enabled": true, "rollout": switching.share},
        });
        all.push((switching.at_ns, "flags", document));
    }
    for alert in &script.alerts {
        all.push((alert.from_ns + 15 * SECOND, "alertmanager", webhook(plan.seed, alert, None)));
        if let Some(until) = alert.until_ns {
            all.push((until + 15 * SECOND, "alertmanager", webhook(plan.seed, alert, Some(until))));
        }
    }
    all.retain(|(at, ..)| *at >= start && *at <= script.end_ns);
    all.sort_by_key(|(at, ..)| *at);
    let payload = |(at_ns, feed, document): (i64, &'static str, Value)| Payload {
        at_ns,
        wire: Wire::Feed(feed),
        body: document.to_string().into_bytes(),
    };
    all.into_iter().map(payload).collect()
}

/// The CDEvent of a deployment to one region.
fn service_deployed(seed: u64, deployment: &Deployment, region: usize) -> Value {
    let id = identity(seed, &deployment.id, region as u64);
    let (cluster, name) = (REGIONS[region].1, SERVICES[deployment.service].1);
    json!({
        "context": {
            "specversion": "0.5.0", "id": uuid(id), "chainId": format!("{}@{cluster}", deployment.id),
            "source": "/cd/spinnaker", "type": "dev.cdevents.service.deployed.0.3.0",
            "timestamp": rfc3339(deployment.at_ns),
        },
        "subject": {
            "id": format!("{cluster}/{name}"), "source": format!("/k8s/{cluster}"), "type": "service",
            "content": {
                "environment": {"id": "prod", "source": format!("/k8s/{cluster}")},
                "artifactId": format!("pkg:docker/vstream/{name}@{}", deployment.version),
            },
        },
        "customData": {"cluster": cluster, "previous": deployment.before},
        "customDataContentType": "application/json",
    })
}

/// The same in our own form, which knows no regions.
fn deployed(deployment: &Deployment) -> Value {
    let (namespace, name, team, _) = SERVICES[deployment.service];
    json!({
        "kind": "deployment", "id": deployment.id, "service": name, "service_namespace": namespace,
        "version": deployment.version, "environment": "prod", "status": "done", "by": team,
        "at": rfc3339(deployment.at_ns),
    })
}

/// A Backstage component.
fn component(service: usize) -> Value {
    let (namespace, name, team, tier) = SERVICES[service];
    let mut depends_on: Vec<String> = OPERATIONS
        .iter()
        .filter(|o| o.0 == name)
        .flat_map(|o| o.3.iter().flat_map(|s| s.iter()))
        .filter_map(|callee| callee.split(':').next())
        .filter_map(|owner| SERVICES.iter().find(|s| s.1 == owner))
        .map(|s| format!("component:{}/{}", s.0, s.1))
        .collect();
    depends_on.sort();
    depends_on.dedup();
    json!({
        "apiVersion": "backstage.io/v1alpha1", "kind": "Component",
        "metadata": {"name": name, "namespace": namespace, "annotations": {"tier": tier}},
        "spec": {"type": "service", "lifecycle": "production", "owner": format!("group:default/{team}"), "dependsOn": depends_on},
    })
}

/// An experiment that is running; `started` when it starts just now.
fn running(experiment: &ExperimentRow, started: Option<String>) -> Value {
    let ExperimentRow { name, owner, cells } = experiment;
    let cells: Vec<Value> = cells
        .iter()
        .enumerate()
        .map(|(index, (cell, share))| json!({"name": cell, "is_default": index == 0, "share": share}))
        .collect();
    let mut document =
        json!({"experiment": {"name": name, "state": "running", "owner": owner}, "cell": cells});
    if let (Some(at), Some(object)) = (started, document.as_object_mut()) {
        let change =
            json!({"id": format!("start-{name}"), "by": owner, "old": "draft", "new": "running", "at": at});
        object.insert("change".to_string(), change);
    }
    document
}

/// An Alertmanager notification, version 4.
fn webhook(seed: u64, alert: &AlertPlan, ended_ns: Option<i64>) -> Value {
    let (namespace, service, team, _) = SERVICES[alert.service];
    let (region, cluster, _) = REGIONS[alert.region];
    let status = if ended_ns.is_some() { "resolved" } else { "firing" };
    let fingerprint = identity(seed, alert.rule, (alert.service * REGIONS.len() + alert.region) as u64);
    let labels = json!({
        "alertname": alert.rule, "severity": alert.severity, "service": service, "service_namespace": namespace,
        "cluster": cluster, "region": region, "team": team,
    });
    let annotations = json!({"summary": format!("{} at {service} in {cluster}", alert.rule)});
    json!({
        "version": "4", "groupKey": format!("{{}}:{{alertname=\"{}\"}}", alert.rule), "truncatedAlerts": 0,
        "status": status, "receiver": "e2egraph", "groupLabels": {"alertname": alert.rule},
        "commonLabels": labels, "commonAnnotations": annotations, "externalURL": "http://alertmanager.vstream.example",
        "alerts": [{
            "status": status, "labels": labels, "annotations": annotations, "startsAt": rfc3339(alert.from_ns),
            "endsAt": ended_ns.map_or_else(|| "0001-01-01T00:00:00Z".to_string(), rfc3339),
            "generatorURL": "http://prometheus.vstream.example/graph", "fingerprint": format!("{fingerprint:016x}"),
        }],
    })
}

/// RFC 3339 in UTC, to the second (days to date as Howard Hinnant's `civil_from_days`).
pub(crate) fn rfc3339(at_ns: i64) -> String {
    let seconds = at_ns.div_euclid(SECOND);
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_read_as_people_write_them() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(951_827_696 * SECOND), "2000-02-29T12:34:56Z");
        assert_eq!(rfc3339(1_795_000_000 * SECOND), "2026-11-18T11:06:40Z");
    }
}
