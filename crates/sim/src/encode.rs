//! The company's things as OTLP: resources, spans and events.

use crate::backend::Hop;
use crate::company::{Callee, Company, speaks_http, uuid};
use crate::journey::{Outcome, Rendered, Session};
use crate::plan::from_ms;
use crate::prng::{identity, mix};
use crate::tables::{
    APP_START, APPS, COUNTRIES, DEVICES, EXPERIMENTS, FLAGS, ISPS, REGIONS, SERVICES, VIEWS,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::{Span, Status, status::StatusCode};

/// An attribute.
fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_string(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// A text attribute.
pub(crate) fn text(key: &str, value: impl Into<String>) -> KeyValue {
    attribute(key, Value::StringValue(value.into()))
}

/// A whole number.
pub(crate) fn whole(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

/// A double, to the microsecond when it is milliseconds: what clients send.
fn double(key: &str, value: f64) -> KeyValue {
    attribute(key, Value::DoubleValue((value * 1000.0).round() / 1000.0))
}

/// A list of texts.
fn texts<'a>(key: &str, values: impl Iterator<Item = &'a str>) -> KeyValue {
    let values = values.map(|v| AnyValue { value: Some(Value::StringValue(v.to_string())) }).collect();
    attribute(key, Value::ArrayValue(ArrayValue { values }))
}

/// The instrumentation that speaks.
pub(crate) fn scope(name: &str) -> InstrumentationScope {
    InstrumentationScope {
        name: name.to_string(),
        version: "1.4.0".to_string(),
        ..InstrumentationScope::default()
    }
}

fn resource(attributes: Vec<KeyValue>) -> Resource {
    Resource { attributes, ..Resource::default() }
}

/// Id of a session as clients send it.
fn session_id(session: &Session) -> String {
    format!("{:016x}{:016x}", session.id, mix(session.id))
}

/// A user's app.
pub(crate) fn client_resource(session: &Session) -> Resource {
    let person = &session.person;
    let (app, platform, _, sdk, versions) = APPS[person.app];
    let (device, isp) = (&DEVICES[person.device], &ISPS[person.isp]);
    let version = versions[session.version];
    let os_version = format!("{}.{}", 9 + person.id % 6, person.id / 7 % 4);
    resource(vec![
        text("service.name", app),
        text("service.version", version),
        text("e2e.app.name", app),
        text("e2e.app.platform", platform),
        text("app.build_id", format!("{app}-{version}-{:06x}", identity(0, version, 0) & 0xff_ffff)),
        text("app.installation.id", uuid(mix(person.id))),
        text("telemetry.sdk.name", "opentelemetry"),
        text("telemetry.sdk.language", "webjs"),
        text("telemetry.sdk.version", "2.3.0"),
        text("e2e.sdk.name", sdk),
        text("e2e.sdk.version", "2026.2"),
        text("device.manufacturer", device.maker),
        text("device.model.identifier", device.model),
        text("e2e.device.category", device.category),
        text("e2e.device.soc", device.soc),
        text("os.name", device.os),
        text("os.version", os_version),
        text("session.id", session_id(session)),
        text("enduser.pseudo.id", format!("{:016x}", person.id)),
        whole("e2e.client.asn", isp.asn),
        text("e2e.client.isp", isp.name),
        text("geo.country.iso_code", COUNTRIES[person.country].0),
    ])
}

/// The trace a view belongs to, when it is sampled.
#[derive(Clone, Debug)]
pub(crate) struct TraceIds {
    pub(crate) trace: Vec<u8>,
    /// Span of the view.
    pub(crate) view: Vec<u8>,
    /// Span of its request to the gateway.
    pub(crate) fetch: Vec<u8>,
}

fn outcome_name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => "ok",
        Outcome::Error => "error",
        Outcome::Abandoned => "abandoned",
    }
}

/// The event a client sends when a view is drawn, failed or was given up; the start of the app has its own.
pub(crate) fn view_event(
    session: &Session,
    rendered: &Rendered,
    interaction: u64,
    ids: Option<&TraceIds>,
) -> LogRecord {
    let ended = (rendered.at_ns + from_ms(rendered.ttr_ms())) as u64;
    let mut attributes = vec![
        text("session.id", session_id(session)),
        text("e2e.interaction.id", format!("{interaction:016x}")),
        text("e2e.view.name", VIEWS[rendered.view].0),
        text("e2e.outcome", outcome_name(rendered.outcome)),
    ];
    let start = rendered.view == APP_START;
    if rendered.outcome == Outcome::Ok {
        let ttr = rendered.ttr_ms();
        if start {
            attributes.push(double("e2e.app.start_time", ttr));
            attributes.push(whole("e2e.app.memory", 140_000_000 + (session.person.id % 90_000_000) as i64));
        } else {
            attributes.push(double("e2e.view.ttr", ttr));
            attributes.push(double("e2e.view.tti", ttr + rendered.main_ms * 0.25));
        }
        attributes.push(double("e2e.view.image_time", rendered.image_ms));
        attributes.push(double("e2e.view.main_thread_time", rendered.main_ms));
    }
    if let Some(connect_ms) = rendered.connect_ms {
        attributes.push(double("e2e.view.connect_time", connect_ms));
    }
    attributes.push(texts("e2e.experiment.name", session.cells.iter().map(|(e, _)| EXPERIMENTS[*e].name)));
    attributes
        .push(texts("e2e.experiment.cell", session.cells.iter().map(|(e, c)| EXPERIMENTS[*e].cells[*c].0)));
    attributes.push(texts("e2e.flag.name", session.flags.iter().map(|(flag, _)| FLAGS[*flag])));
    attributes.push(texts("e2e.flag.variant", session.flags.iter().map(|(_, on)| variant(*on))));
    LogRecord {
        time_unix_nano: ended,
        observed_time_unix_nano: ended,
        severity_number: 9,
        event_name: if start { "e2e.app.started" } else { "e2e.view.rendered" }.to_string(),
        attributes,
        trace_id: ids.map(|i| i.trace.clone()).unwrap_or_default(),
        span_id: ids.map(|i| i.view.clone()).unwrap_or_default(),
        flags: u32::from(ids.is_some()),
        ..LogRecord::default()
    }
}

fn variant(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

/// What a session tells at its start: that it began, and by OpenFeature's events which flags were evaluated.
pub(crate) fn start_events(session: &Session) -> Vec<LogRecord> {
    let began = LogRecord {
        time_unix_nano: session.began_ns as u64,
        observed_time_unix_nano: session.began_ns as u64,
        severity_number: 9,
        event_name: "session.start".to_string(),
        attributes: vec![text("session.id", session_id(session))],
        ..LogRecord::default()
    };
    let event = |(flag, on): &(usize, bool)| LogRecord {
        time_unix_nano: session.began_ns as u64,
        observed_time_unix_nano: session.began_ns as u64,
        severity_number: 9,
        event_name: "feature_flag.evaluation".to_string(),
        attributes: vec![
            text("feature_flag.key", FLAGS[*flag]),
            text("feature_flag.set.id", "default"),
            text("feature_flag.result.variant", variant(*on)),
            text("feature_flag.result.reason", "split"),
            text("feature_flag.provider.name", "unleash"),
            text("session.id", session_id(session)),
        ],
        ..LogRecord::default()
    };
    std::iter::once(began).chain(session.flags.iter().map(event)).collect()
}

/// A crash of the app.
pub(crate) fn crash_event(session: &Session, at_ns: i64, kind: &str) -> LogRecord {
    LogRecord {
        time_unix_nano: at_ns as u64,
        observed_time_unix_nano: at_ns as u64,
        severity_number: 21,
        event_name: "app.crash".to_string(),
        attributes: vec![
            text("session.id", session_id(session)),
            text("exception.type", kind),
            text(
                "exception.stacktrace",
                format!("{kind}\n    at Surface.draw (compositor.js:41)\n    at Row.mount"),
            ),
        ],
        ..LogRecord::default()
    }
}

fn span(
    ids: &[u8],
    id: Vec<u8>,
    parent: &[u8],
    name: String,
    kind: SpanKind,
    from_ns: i64,
    to_ns: i64,
) -> Span {
    Span {
        trace_id: ids.to_vec(),
        span_id: id,
        parent_span_id: parent.to_vec(),
        flags: 1,
        name,
        kind: kind as i32,
        start_time_unix_nano: from_ns as u64,
        end_time_unix_nano: to_ns.max(from_ns) as u64,
        ..Span::default()
    }
}

fn failure() -> Option<Status> {
    Some(Status { message: String::new(), code: StatusCode::Error as i32 })
}

/// The client's side of a trace: the view, its request to the gateway, its images.
pub(crate) fn client_spans(
    session: &Session,
    rendered: &Rendered,
    interaction: u64,
    ids: &TraceIds,
) -> Vec<Span> {
    let (name, route, ..) = VIEWS[rendered.view];
    let from = rendered.at_ns;
    let to = from + from_ms(rendered.ttr_ms());
    let mut view =
        span(&ids.trace, ids.view.clone(), &[], format!("view {name}"), SpanKind::Internal, from, to);
    view.attributes = vec![
        text("e2e.view.name", name),
        text("session.id", session_id(session)),
        text("e2e.interaction.id", format!("{interaction:016x}")),
        text("e2e.outcome", outcome_name(rendered.outcome)),
    ];
    if rendered.outcome == Outcome::Error {
        view.status = failure();
    }

    let (fetch_from, fetch_to) = fetch_times(rendered);
    let mut fetch = span(
        &ids.trace,
        ids.fetch.clone(),
        &ids.view,
        "GET".to_string(),
        SpanKind::Client,
        fetch_from,
        fetch_to,
    );
    fetch.attributes = vec![
        text("http.request.method", "GET"),
        text("url.full", format!("https://api.vstream.example{route}")),
        text("server.address", "api.vstream.example"),
        whole("http.response.status_code", if rendered.backend_failed { 503 } else { 200 }),
        text("session.id", session_id(session)),
    ];
    if rendered.backend_failed {
        fetch.attributes.push(text("error.type", "503"));
        fetch.status = failure();
    }

    let image_id = mix(interaction ^ 0x1a6e).to_be_bytes().to_vec();
    let image_to = fetch_to + from_ms(rendered.image_ms);
    let mut images =
        span(&ids.trace, image_id, &ids.view, "GET".to_string(), SpanKind::Client, fetch_to, image_to);
    let site = format!("{}1.cdn.vstream.example", COUNTRIES[session.person.country].0.to_lowercase());
    images.attributes = vec![
        text("http.request.method", "GET"),
        text("url.full", format!("https://{site}/img/row.avif")),
        text("server.address", site),
        whole("http.response.status_code", 200),
        text("session.id", session_id(session)),
    ];
    vec![view, fetch, images]
}

/// When the request to the gateway leaves and when its answer is there.
fn fetch_times(rendered: &Rendered) -> (i64, i64) {
    let from = rendered.at_ns + from_ms(rendered.before_ms());
    let ms = rendered.connect_ms.unwrap_or_default() + rendered.trip_ms + rendered.backend_ms;
    (from, from + from_ms(ms))
}

/// When the request reaches the gateway.
pub(crate) fn gateway_ns(rendered: &Rendered) -> i64 {
    fetch_times(rendered).0 + from_ms(rendered.connect_ms.unwrap_or_default() + rendered.trip_ms / 2.0)
}

/// A service instance.
pub(crate) fn instance_resource(company: &Company, slot: usize, generation: u64, version: &str) -> Resource {
    let (service, region, _) = Company::of_slot(slot);
    let (namespace, name, _, tier) = SERVICES[service];
    let (cloud, cluster, _) = REGIONS[region];
    let host = &company.hosts[company.host_of[slot]];
    let id = identity(company.seed, "instance", slot as u64 * 64 + generation);
    let workload = identity(company.seed, "workload", (service * REGIONS.len() + region) as u64);
    resource(vec![
        text("service.name", name),
        text("service.namespace", namespace),
        text("service.version", version),
        text("service.instance.id", uuid(id)),
        text("service.criticality", tier),
        text("deployment.environment.name", "prod"),
        text("k8s.pod.uid", uuid(mix(id))),
        text("k8s.pod.name", format!("{name}-{:08x}-{:05x}", mix(workload ^ generation) >> 32, id >> 44)),
        text("k8s.container.name", name),
        text("k8s.deployment.name", name),
        text("k8s.deployment.uid", uuid(workload)),
        text("k8s.namespace.name", namespace),
        text("k8s.cluster.name", cluster),
        text("k8s.cluster.uid", uuid(identity(company.seed, "cluster", region as u64))),
        text("k8s.node.name", host.name.clone()),
        text("k8s.node.uid", host.uid.clone()),
        text("host.id", host.name.clone()),
        text("host.type", "m7i.2xlarge"),
        text("cloud.provider", "aws"),
        text("cloud.region", cloud),
        text("cloud.availability_zone", host.zone.clone()),
        text("telemetry.sdk.name", "opentelemetry"),
        text("telemetry.sdk.language", "java"),
        text("telemetry.sdk.version", "1.55.0"),
    ])
}

/// A machine, as its own agent reports it.
pub(crate) fn host_resource(company: &Company, index: usize) -> Resource {
    let host = &company.hosts[index];
    let (cloud, cluster, _) = REGIONS[host.region];
    resource(vec![
        text("host.id", host.name.clone()),
        text("host.name", host.name.clone()),
        text("host.type", "m7i.2xlarge"),
        text("k8s.node.name", host.name.clone()),
        text("k8s.node.uid", host.uid.clone()),
        text("k8s.cluster.name", cluster),
        text("k8s.cluster.uid", uuid(identity(company.seed, "cluster", host.region as u64))),
        text("cloud.provider", "aws"),
        text("cloud.region", cloud),
        text("cloud.availability_zone", host.zone.clone()),
    ])
}

/// The services' side of a trace: for each hop the spans it makes, with the place of the instance that makes them.
pub(crate) fn server_spans(
    company: &Company,
    hops: &[Hop],
    gateway_ns: i64,
    ids: &TraceIds,
) -> Vec<(usize, Span)> {
    let base = u64::from_be_bytes(ids.trace.first_chunk::<8>().copied().unwrap_or_default());
    let server_id = |hop: usize| mix(base ^ (hop as u64 * 2)).to_be_bytes().to_vec();
    let client_id = |hop: usize| mix(base ^ (hop as u64 * 2 + 1)).to_be_bytes().to_vec();
    let mut spans = Vec::with_capacity(hops.len() * 2);
    for (index, hop) in hops.iter().enumerate() {
        let asked = gateway_ns + from_ms(hop.start_ms);
        let answered = asked + from_ms(hop.ms + hop.wire_ms);
        let parent = hop.parent.map_or_else(|| ids.fetch.clone(), server_id);
        match hop.what {
            Callee::Operation(operation) => {
                let row = &company.operations[operation];
                let http = speaks_http(row.service);
                let mut attributes = if http {
                    vec![
                        text("http.request.method", "GET"),
                        text("http.route", row.name.clone()),
                        text("url.path", row.name.clone()),
                        whole("http.response.status_code", if hop.failed { 503 } else { 200 }),
                    ]
                } else {
                    vec![text("rpc.system.name", "grpc"), text("rpc.method", row.name.clone())]
                };
                if hop.failed {
                    attributes.push(text("error.type", if http { "503" } else { "DEADLINE_EXCEEDED" }));
                }
                let status = if hop.failed { failure() } else { None };
                let name = if http { format!("GET {}", row.name) } else { row.name.clone() };
                let mut server_parent = parent.clone();
                if let Some(caller) = hop.parent {
                    let mut client = span(
                        &ids.trace,
                        client_id(index),
                        &parent,
                        name.clone(),
                        SpanKind::Client,
                        asked,
                        answered,
                    );
                    client.attributes = attributes.clone();
                    client.attributes.push(text("server.address", SERVICES[row.service].1));
                    client.attributes.push(text("service.peer.name", SERVICES[row.service].1));
                    client.status = status.clone();
                    spans.push((hops[caller].slot, client));
                    server_parent = client_id(index);
                }
                let from = asked + from_ms(hop.wire_ms / 2.0);
                let to = from + from_ms(hop.ms);
                let mut server =
                    span(&ids.trace, server_id(index), &server_parent, name, SpanKind::Server, from, to);
                (server.attributes, server.status) = (attributes, status);
                spans.push((hop.slot, server));
            }
            Callee::Store(store) => {
                let row = &company.stores[store];
                let name = format!("SELECT {}", row.name);
                let mut client =
                    span(&ids.trace, client_id(index), &parent, name, SpanKind::Client, asked, answered);
                client.attributes = vec![
                    text("db.system.name", row.system),
                    text("db.namespace", row.name),
                    text("db.operation.name", "SELECT"),
                    text(
                        "server.address",
                        format!("{}.{}.data.internal", row.name.replace('_', "-"), row.system),
                    ),
                ];
                spans.push((hop.slot, client));
            }
            Callee::Topic(topic) => {
                let row = &company.stores[topic];
                let name = format!("send {}", row.name);
                let mut producer =
                    span(&ids.trace, client_id(index), &parent, name, SpanKind::Producer, asked, answered);
                producer.attributes = vec![
                    text("messaging.system", row.system),
                    text("messaging.destination.name", row.name),
                    text("messaging.operation.type", "send"),
                ];
                spans.push((hop.slot, producer));
            }
        }
    }
    spans
}

/// Lines that services write about the hops that failed, with the trace they belong to.
pub(crate) fn error_logs(hops: &[Hop], spans: &[(usize, Span)]) -> Vec<(usize, LogRecord)> {
    let failed = spans.iter().filter(|(_, s)| s.kind == SpanKind::Server as i32 && s.status.is_some());
    let deepest = hops.iter().rposition(|h| h.failed).map(|h| hops[h].slot);
    failed
        .map(|(slot, span)| {
            let service = SERVICES[Company::of_slot(*slot).0].1;
            let own = deepest == Some(*slot);
            let body = if own {
                format!(
                    "{}: deadline exceeded after {} ms",
                    span.name,
                    (span.end_time_unix_nano - span.start_time_unix_nano) / 1_000_000
                )
            } else {
                format!("{}: call failed, answering without it", span.name)
            };
            let record = LogRecord {
                time_unix_nano: span.end_time_unix_nano,
                observed_time_unix_nano: span.end_time_unix_nano,
                severity_number: if own { 17 } else { 13 },
                severity_text: if own { "ERROR" } else { "WARN" }.to_string(),
                body: Some(AnyValue { value: Some(Value::StringValue(body)) }),
                attributes: vec![
                    text("exception.type", if own { "DeadlineExceeded" } else { "UpstreamFailure" }),
                    text("logger.name", format!("com.vstream.{}", service.replace('-', "."))),
                ],
                trace_id: span.trace_id.clone(),
                span_id: span.span_id.clone(),
                flags: 1,
                ..LogRecord::default()
            };
            (*slot, record)
        })
        .collect()
}
