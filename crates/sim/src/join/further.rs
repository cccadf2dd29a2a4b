//! The company's things under their names, what OTLP says retold by other sources (Zipkin for one team, access logs of the edge,
//! beacons of pages), and what catalogue, repositories, flags and alerting say beside.

use super::kubernetes::attributes;
use super::told::{feed, get};
use super::{Form, Letter, Reality};
use crate::company::{Company, uuid};
use crate::feeds::rfc3339;
use crate::plan::{MINUTE, Payload, SECOND, Wire};
use crate::prng::identity;
use crate::script::Script;
use crate::tables::{APPS, COUNTRIES, DEVICES, EXPERIMENTS, FLAGS, ISPS, REGIONS, SERVICES, VIEWS};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span, span::SpanKind};
use prost::Message;
use serde_json::{Value, json};

/// The team whose services know Zipkin only.
const ZIPKIN_TEAM: &str = "messaging";
/// The team whose alerts come from Grafana and whose pages from PagerDuty.
const GRAFANA_TEAM: &str = "content";
/// Of every three services, the one that Prometheus scrapes itself.
pub(crate) const SELF_SENT: usize = 0;

/// Whether the service is told by Zipkin instead of OTLP.
pub(crate) fn spoken_by_zipkin(service: usize) -> bool {
    SERVICES[service].2 == ZIPKIN_TEAM
}

/// A deployment as one region sees it.
pub(crate) struct Here {
    /// The id that is handed on.
    pub(crate) id: String,
    pub(crate) at_ns: i64,
    /// Whether the pipeline writes the id where others find it.
    pub(crate) says_id: bool,
}

/// The deployment of a service to a region, if there is one.
pub(crate) fn deployment_here(script: &Script, service: usize, region: usize) -> Option<Here> {
    let (index, d) = script
        .deployments
        .iter()
        .enumerate()
        .find(|(_, d)| d.service == service && d.regions.contains(&region))?;
    Some(Here { id: format!("{}@{}", d.id, REGIONS[region].1), at_ns: d.at_ns, says_id: index % 3 == 0 })
}

/// The instance at a place in a generation, under the names that OTLP, Kubernetes and Prometheus have for it.
pub(crate) fn instance(
    reality: &mut Reality,
    source: &'static str,
    company: &Company,
    script: &Script,
    slot: usize,
    generation: u64,
) {
    let r = attributes(company, script, slot, generation);
    let thing =
        reality.thing("Instance", format!("{} in {}", get(&r, "k8s.pod.name"), get(&r, "k8s.cluster.name")));
    let (service, ..) = Company::of_slot(slot);
    if !spoken_by_zipkin(service) {
        reality.told(thing, "otlp", "instance_id", get(&r, "service.instance.id"));
    }
    reality.told(thing, source, "pod_uid", get(&r, "k8s.pod.uid"));
    reality.told(thing, source, "container", get(&r, "k8s.container.name"));
    reality.told(thing, source, "namespace", get(&r, "k8s.namespace.name"));
    reality.told(thing, source, "pod", get(&r, "k8s.pod.name"));
    reality.told(thing, source, "cluster", get(&r, "k8s.cluster.name"));
}

/// A service and one of its versions.
pub(crate) fn version(reality: &mut Reality, namespace: &str, name: &str, version: &str) {
    let service = reality.thing("Service", format!("{namespace}/{name}"));
    for source in ["otlp", "kubernetes", "catalog", "cdevents"] {
        reality.told(service, source, "name", name);
    }
    reality.told(service, "catalog", "namespace", namespace);
    let thing = reality.thing("ServiceVersion", format!("{namespace}/{name} {version}"));
    reality.told(thing, "kubernetes", "version", version);
    reality.told(thing, "cdevents", "service", name);
    reality.within(thing, "version_of", service);
}

/// An operation of a service.
pub(crate) fn operation(reality: &mut Reality, namespace: &str, service: &str, name: &str) {
    let owner = reality.thing("Service", format!("{namespace}/{service}"));
    let thing = reality.thing("Operation", format!("{namespace}/{service} {name}"));
    reality.told(thing, "otlp", "name", name);
    reality.told(thing, "zipkin", "service", service);
    reality.within(thing, "operation_of", owner);
}

/// What stands, under every name.
pub(crate) fn company(reality: &mut Reality, company: &Company, script: &Script) {
    let mut clusters = Vec::new();
    for (region, (cloud, cluster, _)) in REGIONS.iter().enumerate() {
        let thing = reality.thing("Region", *cloud);
        reality.told(thing, "otlp", "name", cloud);
        let within = reality.thing("Cluster", *cluster);
        reality.told(within, "otlp", "name", cluster);
        reality.told(within, "kubernetes", "uid", &super::kubernetes::cluster_uid(company, region));
        clusters.push(within);
    }
    for host in &company.hosts {
        let thing = reality.thing("Host", host.name.clone());
        for (attr, value) in
            [("host_id", &host.name), ("node", &host.name), ("name", &host.name), ("node_uid", &host.uid)]
        {
            reality.told(thing, "otlp", attr, value);
        }
        reality.told(thing, "prometheus", "cluster", REGIONS[host.region].1);
        reality.within(thing, "in_cluster", clusters[host.region]);
        let zone = reality.thing("Zone", host.zone.clone());
        reality.told(zone, "otlp", "name", &host.zone);
    }
    for (service, (namespace, name, team, _)) in SERVICES.iter().enumerate() {
        version(reality, namespace, name, &company.first_version(service));
        let owner = reality.thing("Team", *team);
        reality.told(owner, "catalog", "name", team);
        for (region, within) in clusters.iter().enumerate() {
            let uid = uuid(identity(company.seed, "workload", (service * REGIONS.len() + region) as u64));
            let thing = reality.thing("Workload", format!("{namespace}/{name} in {}", REGIONS[region].1));
            for (attr, value) in
                [("uid", uid.as_str()), ("namespace", namespace), ("kind", "Deployment"), ("name", name)]
            {
                reality.told(thing, "kubernetes", attr, value);
            }
            reality.told(thing, "prometheus", "cluster", REGIONS[region].1);
            reality.within(thing, "in_cluster", *within);
            let first = script.generation(Company::slot(service, region, 0), script.plan.start_ns);
            for revision in first..=script.generation(Company::slot(service, region, 0), script.end_ns) {
                let here = deployment_here(script, service, region).filter(|h| revision > 0 && h.says_id);
                let id = here.map_or_else(|| format!("{uid}/{}", revision + 1), |h| h.id);
                let change = reality.thing("Deployment", id.clone());
                reality.told(change, "kubernetes", "deployment_id", &id);
            }
        }
    }
    for row in &company.operations {
        operation(reality, SERVICES[row.service].0, SERVICES[row.service].1, &row.name);
    }
    for row in &company.stores {
        let thing = reality.thing(
            if row.system == "kafka" { "Topic" } else { "Datastore" },
            format!("{} {}", row.system, row.name),
        );
        reality.told(thing, "otlp", "name", row.name);
        reality.told(thing, "otlp", "system", row.system);
    }
    for (app, _, _, _, versions) in APPS {
        let owner = reality.thing("App", *app);
        reality.told(owner, "otlp", "name", app);
        for version in *versions {
            let thing = reality.thing("AppVersion", format!("{app} {version}"));
            reality.told(thing, "otlp", "version", version);
            let build = format!("{app}-{version}-{:06x}", identity(0, version, 0) & 0xff_ffff);
            reality.told(thing, "otlp", "build_id", &build);
            reality.within(thing, "version_of", owner);
        }
        for (view, ..) in VIEWS {
            let thing = reality.thing("View", format!("{app} {view}"));
            reality.told(thing, "otlp", "name", view);
            reality.within(thing, "view_of", owner);
        }
    }
    audience(reality);
    switches(reality);
    changes(reality, script);
}

fn audience(reality: &mut Reality) {
    for device in DEVICES {
        let thing = reality.thing("DeviceModel", format!("{} {}", device.maker, device.model));
        reality.told(thing, "otlp", "maker", device.maker);
        reality.told(thing, "otlp", "model", device.model);
    }
    for isp in ISPS {
        let thing = reality.thing("Isp", isp.name);
        reality.told(thing, "otlp", "asn", &isp.asn.to_string());
    }
    for (code, ..) in COUNTRIES {
        let thing = reality.thing("Place", *code);
        reality.told(thing, "otlp", "code", code);
    }
}

fn switches(reality: &mut Reality) {
    for experiment in EXPERIMENTS {
        let owner = reality.thing("Experiment", experiment.name);
        reality.told(owner, "experiments", "name", experiment.name);
        for (cell, _) in experiment.cells {
            let thing = reality.thing("Cell", format!("{} {cell}", experiment.name));
            reality.told(thing, "otlp", "name", cell);
            reality.within(thing, "option_of", owner);
        }
    }
    for flag in FLAGS {
        let owner = reality.thing("Flag", *flag);
        reality.told(owner, "otlp", "name", flag);
        for variant in ["on", "off"] {
            let thing = reality.thing("Variant", format!("{flag} {variant}"));
            reality.told(thing, "otlp", "name", variant);
            reality.within(thing, "option_of", owner);
        }
    }
}

fn changes(reality: &mut Reality, script: &Script) {
    for (index, d) in script.deployments.iter().enumerate() {
        let (namespace, name, ..) = SERVICES[d.service];
        version(reality, namespace, name, &d.version);
        if index % 3 == 2 {
            let thing = reality.thing("Deployment", d.id.clone());
            reality.told(thing, "changes", "deployment_id", &d.id);
            continue;
        }
        for region in &d.regions {
            let id = format!("{}@{}", d.id, REGIONS[*region].1);
            let thing = reality.thing("Deployment", id.clone());
            reality.told(thing, "cdevents", "deployment_id", &id);
        }
    }
    for (app, _, _, _, versions) in APPS {
        let id = format!("rollout-{app}-{}", versions.last().copied().unwrap_or_default());
        let thing = reality.thing("Rollout", id.clone());
        reality.told(thing, "changes", "rollout_id", &id);
    }
}

/// Takes what the scored worlds say and passes it on, some of it in another source's words.
pub(crate) fn retold(payload: Payload, script: &Script, reality: &mut Reality, letters: &mut Vec<Letter>) {
    let at_ns = payload.at_ns;
    let (form, body) = match payload.wire {
        Wire::Traces => {
            let Ok(mut request) = ExportTraceServiceRequest::decode(payload.body.as_slice()) else { return };
            let (zipkin, otlp): (Vec<ResourceSpans>, Vec<ResourceSpans>) =
                request.resource_spans.into_iter().partition(|r| not_on_otlp(r.resource.as_ref()));
            otlp.iter().for_each(|r| session(reality, r.resource.as_ref()));
            let spans: Vec<Value> = zipkin.iter().flat_map(zipkin_spans).collect();
            if !spans.is_empty() {
                letters.push(Letter {
                    at_ns,
                    form: Form::Zipkin,
                    body: json!(spans).to_string().into_bytes(),
                });
            }
            let streams: Vec<Value> = otlp.iter().filter_map(access_log).collect();
            if !streams.is_empty() {
                let body = json!({"streams": streams}).to_string().into_bytes();
                letters.push(Letter { at_ns: at_ns + SECOND, form: Form::Loki, body });
            }
            request.resource_spans = otlp;
            (Form::Traces, request.encode_to_vec())
        }
        Wire::Metrics => {
            let Ok(mut request) = ExportMetricsServiceRequest::decode(payload.body.as_slice()) else {
                return;
            };
            request.resource_metrics.retain(|r| !not_on_otlp(r.resource.as_ref()));
            (Form::Metrics, request.encode_to_vec())
        }
        Wire::Logs => {
            let Ok(mut request) = ExportLogsServiceRequest::decode(payload.body.as_slice()) else { return };
            request.resource_logs.retain(|r| !not_on_otlp(r.resource.as_ref()));
            for logs in &request.resource_logs {
                let r = logs.resource.as_ref().map_or(&[][..], |r| &r.attributes);
                if get(r, "e2e.app.name").is_empty() {
                    continue;
                }
                session(reality, logs.resource.as_ref());
                let records = logs.scope_logs.iter().flat_map(|s| &s.log_records);
                for record in records.filter(|_| get(r, "e2e.app.name") == "web") {
                    let view = get(&record.attributes, "e2e.view.name");
                    if !view.is_empty() {
                        letters.push(beacon(at_ns, r, view));
                    }
                }
            }
            (Form::Logs, request.encode_to_vec())
        }
        Wire::Feed("flags") => {
            let document: Value = serde_json::from_slice(&payload.body).unwrap_or_default();
            letters.push(switched(document, at_ns, script, reality));
            return;
        }
        Wire::Feed(name) => {
            let document: Value = serde_json::from_slice(&payload.body).unwrap_or_default();
            let of_change = document.get("change").unwrap_or(&document);
            let (class, attr) = match (name, document["kind"].as_str()) {
                ("changes", Some("config")) => ("ConfigChange", "change_id"),
                ("experiments", _) => ("FlagChange", "change_id"),
                _ => ("", ""),
            };
            if let (false, Some(id)) = (class.is_empty(), of_change["id"].as_str()) {
                let thing = reality.thing(class, id);
                reality.told(thing, name, attr, id);
            }
            (Form::Feed(name, Vec::new()), payload.body)
        }
    };
    letters.push(Letter { at_ns, form, body });
}

/// The session that an app speaks of, if it is one that speaks.
fn session(reality: &mut Reality, resource: Option<&Resource>) {
    let id = resource.map_or("", |r| get(&r.attributes, "session.id"));
    if !id.is_empty() {
        let thing = reality.thing("Session", id);
        reality.told(thing, "otlp", "session_id", id);
    }
}

fn not_on_otlp(resource: Option<&Resource>) -> bool {
    let name = resource.map_or("", |r| get(&r.attributes, "service.name"));
    SERVICES.iter().any(|s| s.1 == name && s.2 == ZIPKIN_TEAM)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// What a reporter of Zipkin would have sent: it knows its service by name and nothing of where it runs.
fn zipkin_spans(of: &ResourceSpans) -> Vec<Value> {
    let r = of.resource.as_ref().map_or(&[][..], |r| &r.attributes);
    let spans = of.scope_spans.iter().flat_map(|s| &s.spans);
    let one = |span: &Span| {
        let kind = match span.kind() {
            SpanKind::Server => json!("SERVER"),
            SpanKind::Client => json!("CLIENT"),
            SpanKind::Producer => json!("PRODUCER"),
            _ => Value::Null,
        };
        let tags: serde_json::Map<String, Value> = span
            .attributes
            .iter()
            .filter(|a| !get(&span.attributes, &a.key).is_empty())
            .map(|a| (a.key.clone(), json!(get(&span.attributes, &a.key))))
            .collect();
        let mut document = json!({
            "traceId": hex(&span.trace_id), "id": hex(&span.span_id), "name": span.name, "kind": kind,
            "timestamp": span.start_time_unix_nano / 1000,
            "duration": ((span.end_time_unix_nano - span.start_time_unix_nano) / 1000).max(1),
            "localEndpoint": {"serviceName": get(r, "service.name")}, "tags": tags,
        });
        if !span.parent_span_id.is_empty() {
            document["parentId"] = json!(hex(&span.parent_span_id));
        }
        document
    };
    spans.map(one).collect()
}

/// The access log of the edge: one stream per pod, with the labels that an agent on the node adds.
fn access_log(of: &ResourceSpans) -> Option<Value> {
    let r = of.resource.as_ref().map(|r| &r.attributes)?;
    if get(r, "service.name") != "gateway" {
        return None;
    }
    let spans = of.scope_spans.iter().flat_map(|s| &s.spans).filter(|s| s.kind() == SpanKind::Server);
    let lines: Vec<Value> = spans
        .map(|s| {
            let seconds = (s.end_time_unix_nano - s.start_time_unix_nano) as f64 / 1e9;
            let line = json!({
                "status": 200, "request_method": "GET", "uri": get(&s.attributes, "http.route"), "request_time": seconds,
            });
            json!([s.end_time_unix_nano.to_string(), line.to_string()])
        })
        .collect();
    let labels = json!({
        "cluster": get(r, "k8s.cluster.name"), "namespace": get(r, "k8s.namespace.name"), "pod": get(r, "k8s.pod.name"),
        "container": get(r, "k8s.container.name"), "node_name": get(r, "k8s.node.name"), "app": "gateway",
        "job": format!("{}/gateway", get(r, "k8s.namespace.name")),
    });
    (!lines.is_empty()).then(|| json!({"stream": labels, "values": lines}))
}

/// What the page itself says of a view.
fn beacon(at_ns: i64, r: &[KeyValue], view: &str) -> Letter {
    let metric = |name: &str, value: f64| json!({"name": name, "value": value, "delta": value, "id": format!("v5-{}", at_ns / SECOND), "rating": "good", "navigationType": "navigate"});
    let document = json!({
        "app": get(r, "e2e.app.name"), "version": get(r, "service.version"), "session": get(r, "session.id"), "view": view,
        "metrics": [metric("LCP", 1200.0), metric("CLS", 0.02)],
    });
    feed(at_ns + 2 * SECOND, "web-vitals", &document)
}

/// Every other switching is told by Unleash itself.
fn switched(document: Value, at_ns: i64, script: &Script, reality: &mut Reality) -> Letter {
    let id = document["id"].as_str().unwrap_or_default().to_owned();
    let by_unleash =
        script.switchings.iter().position(|s| FLAGS[s.flag] == document["featureName"]) == Some(1);
    let shown = if by_unleash { format!("unleash/{id}") } else { id };
    let thing = reality.thing("FlagChange", shown.clone());
    let source = if by_unleash { "unleash" } else { "flags" };
    reality.told(thing, source, "change_id", &shown);
    feed(at_ns, source, &document)
}

/// What catalogue, repositories and alerting say beside.
pub(crate) fn told(company: &Company, script: &Script, reality: &mut Reality, letters: &mut Vec<Letter>) {
    let start = script.plan.start_ns;
    let mut documents = Vec::new();
    for (namespace, name, team, _) in SERVICES {
        documents.push(format!(
            "apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata:\n  name: {name}\n  namespace: {namespace}\n  annotations:\n    github.com/project-slug: vstream/{name}\nspec:\n  type: service\n  owner: group:default/{team}\n"
        ));
        let url = format!("https://github.com/vstream/{name}");
        let thing = reality.thing("Repository", url.clone());
        reality.told(thing, "catalog", "url", &url);
    }
    documents.push("apiVersion: backstage.io/v1alpha1\nkind: Group\nmetadata:\n  name: home\n  title: Home\nspec:\n  type: team\n".to_owned());
    documents.push("apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata:\n  name: web\nspec:\n  type: website\n  owner: group:default/home\n".to_owned());
    let body = documents.join("---\n").into_bytes();
    letters.push(Letter { at_ns: start + 3, form: Form::Yaml("catalog"), body });

    for (index, d) in script.deployments.iter().enumerate() {
        if index % 3 != 2 && d.at_ns >= start && d.at_ns <= script.end_ns {
            for region in &d.regions {
                github(index, *region, script, reality, letters);
            }
        }
    }
    alerts(company, script, letters);
}

/// The webhook of a deployment: with the pipeline's id where that is handed on, else with GitHub's own.
fn github(index: usize, region: usize, script: &Script, reality: &mut Reality, letters: &mut Vec<Letter>) {
    let Some(d) = script.deployments.get(index) else { return };
    let name = SERVICES[d.service].1;
    let Some(here) = deployment_here(script, d.service, region) else { return };
    let number = 9000 + index * REGIONS.len() + region;
    let mut payload = json!({"service": name, "version": d.version});
    let id = if here.says_id { here.id.clone() } else { format!("github/{number}") };
    if here.says_id {
        payload["deployment_id"] = json!(here.id);
    }
    let change = reality.thing("Deployment", id.clone());
    reality.told(change, "github", "deployment_id", &id);
    for (after, state) in [(0, "in_progress"), (2 * MINUTE, "success")] {
        let document = json!({
            "deployment": {
                "id": number, "sha": format!("{:016x}", identity(0, &d.id, 0)), "environment": REGIONS[region].1,
                "created_at": rfc3339(d.at_ns), "payload": payload, "creator": {"login": "release-bot"},
            },
            "deployment_status": {"state": state, "created_at": rfc3339(d.at_ns + after)},
            "repository": {"name": name, "full_name": format!("vstream/{name}"), "html_url": format!("https://github.com/vstream/{name}")},
        });
        let headers = vec![("header.x-github-event", "deployment_status".to_owned())];
        letters.push(super::told::around(d.at_ns + after, "github", &document, headers));
    }
}

/// Alerts about a pod, a node and a service known by name only: Alertmanager, Grafana and PagerDuty.
fn alerts(company: &Company, script: &Script, letters: &mut Vec<Letter>) {
    let at = script.plan.start_ns + 6 * MINUTE;
    let webhook = |labels: Value, number: u64| {
        json!({
            "status": "firing", "labels": labels, "annotations": {"summary": "look"}, "startsAt": rfc3339(at),
            "endsAt": "0001-01-01T00:00:00Z", "fingerprint": format!("{:016x}", identity(script.plan.seed, "alert", number)),
        })
    };
    let mut own = Vec::new();
    let mut grafana = Vec::new();
    for (service, row) in SERVICES.iter().enumerate() {
        let slot = Company::slot(service, service % REGIONS.len(), 1);
        let r = attributes(company, script, slot, script.generation(slot, at));
        let labels = json!({
            "alertname": "KubePodNotReady", "cluster": get(&r, "k8s.cluster.name"), "namespace": row.0,
            "pod": get(&r, "k8s.pod.name"), "container": get(&r, "k8s.container.name"), "severity": "warning",
        });
        let node = json!({
            "alertname": "NodeNotReady", "cluster": get(&r, "k8s.cluster.name"), "node": get(&r, "k8s.node.name"),
        });
        let by_name = json!({"alertname": "ErrorBudgetBurn", "service": row.1, "team": row.2});
        let to = if row.2 == GRAFANA_TEAM { &mut grafana } else { &mut own };
        for (turn, labels) in [labels, node, by_name].into_iter().enumerate() {
            to.push(webhook(labels, (service * 3 + turn) as u64));
        }
    }
    letters.push(feed(at, "alertmanager", &json!({"version": "4", "status": "firing", "alerts": own})));
    letters.push(feed(
        at,
        "grafana",
        &json!({"orgId": 1, "status": "firing", "groupKey": "{}", "alerts": grafana}),
    ));
    let incident = json!({"event": {
        "event_type": "incident.triggered", "occurred_at": rfc3339(at),
        "data": {
            "type": "incident", "id": "PGR0VU2", "number": 1240, "title": "Catalogue is slow", "status": "triggered",
            "urgency": "high", "created_at": rfc3339(at), "service": {"summary": "catalog"}, "teams": [{"summary": GRAFANA_TEAM}],
        },
    }});
    letters.push(feed(at, "pagerduty", &incident));
}
