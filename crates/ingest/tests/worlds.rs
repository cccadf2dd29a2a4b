//! Small worlds on the wire, and the facts they must become.

#![expect(
    clippy::unwrap_used,
    reason = "clippy takes the helpers of an integration test for code outside of tests"
)]

use ingest::{Delivery, Form, Limits, Normaliser, Options, Wire, describe, is_senders_fault};
use ontology::{Batch, Ontology, Time};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric,
    number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, span};
use proptest::prelude::*;
use prost::Message;
use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

static ONTOLOGY: LazyLock<Arc<Ontology>> = LazyLock::new(|| Arc::new(Ontology::builtin()));
const NOW: i64 = 1_795_521_900;
const NANOS: u64 = NOW as u64 * 1_000_000_000;

fn normaliser() -> Normaliser {
    Normaliser::new(Arc::clone(&ONTOLOGY), Options { hash_key: [7; 32], limits: Limits::default() })
}

fn read(wire: Wire, body: &[u8]) -> Batch {
    normaliser().normalise(&wire, body, Time::from_secs(NOW + 60)).unwrap()
}

fn said(batch: &Batch) -> String {
    describe(batch, &ONTOLOGY)
}

fn has(batch: &Batch, line: &str) {
    let text = said(batch);
    assert!(text.contains(line), "`{line}` is not in\n{text}");
}

fn lacks(batch: &Batch, line: &str) {
    let text = said(batch);
    assert!(!text.contains(line), "`{line}` is in\n{text}");
}

fn refuses(batch: &Batch, reason: &str, items: u64) {
    let counted: u64 = batch.refused.iter().filter(|r| r.reason == reason).map(|r| r.items).sum();
    assert_eq!(counted, items, "{reason}: {:?}", batch.refused);
}

fn text(s: &str) -> AnyValue {
    AnyValue { value: Some(Value::StringValue(s.to_owned())) }
}

fn kv(key: &str, value: AnyValue) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

fn texts(pairs: &[(&str, &str)]) -> Vec<KeyValue> {
    pairs.iter().map(|(k, v)| kv(k, text(v))).collect()
}

fn resource(pairs: &[(&str, &str)]) -> Option<Resource> {
    Some(Resource { attributes: texts(pairs), ..Resource::default() })
}

const CART: &[(&str, &str)] = &[
    ("service.namespace", "shop"),
    ("service.name", "cart"),
    ("service.version", "1.4"),
    ("service.instance.id", "cart-1"),
    ("host.id", "h1"),
    ("cloud.provider", "aws"),
    ("cloud.region", "eu-west-1"),
];
const TV: &[(&str, &str)] = &[
    ("e2e.app.name", "tvui"),
    ("e2e.app.platform", "tv"),
    ("service.version", "8.42"),
    ("device.manufacturer", "Acme"),
    ("device.model.identifier", "X1"),
    ("device.id", "device-of-alice"),
];

fn span(id: u8, parent: u8, kind: i32, name: &str, attributes: Vec<KeyValue>) -> Span {
    Span {
        trace_id: vec![1; 16],
        span_id: vec![id; 8],
        parent_span_id: if parent == 0 { vec![] } else { vec![parent; 8] },
        name: name.to_owned(),
        kind,
        start_time_unix_nano: NANOS + u64::from(id) * 1_000_000,
        end_time_unix_nano: NANOS + u64::from(id) * 1_000_000 + 250_000_000,
        attributes,
        ..Span::default()
    }
}

fn traces(of: &[(&str, &str)], spans: Vec<Span>) -> ExportTraceServiceRequest {
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let one = ResourceSpans { resource: resource(of), scope_spans, ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![one] }
}

fn logs(of: &[(&str, &str)], log_records: Vec<LogRecord>) -> Vec<u8> {
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    let one = ResourceLogs { resource: resource(of), scope_logs, ..ResourceLogs::default() };
    ExportLogsServiceRequest { resource_logs: vec![one] }.encode_to_vec()
}

fn metrics(of: &[(&str, &str)], metrics: Vec<Metric>) -> Vec<u8> {
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    let one = ResourceMetrics { resource: resource(of), scope_metrics, ..ResourceMetrics::default() };
    ExportMetricsServiceRequest { resource_metrics: vec![one] }.encode_to_vec()
}

fn server_span(id: u8) -> Span {
    span(id, 9, 2, "GET", texts(&[("http.route", "/cart"), ("http.request.method", "GET")]))
}

#[test]
fn a_server_span_becomes_the_place_it_ran_on_and_what_it_measured() {
    let batch = read(Wire::TracesProto, &traces(CART, vec![server_span(3)]).encode_to_vec());
    for line in [
        "Instance(cart-1) -runs_on-> Host(h1)",
        "Instance(cart-1) -instance_of-> Service(shop cart)",
        "Operation(/cart) -operation_of-> Service(shop cart)",
        "operation.latency = 250 on Operation(/cart) by [Host(h1) Instance(cart-1) Region(aws eu-west-1) Service(shop cart) ServiceVersion(1.4)]",
        "operation.errors = false on Operation(/cart)",
        "Operation -calls-> Operation(/cart)",
    ] {
        has(&batch, line);
    }
    assert!(batch.refused.is_empty(), "{:?}", batch.refused);
}

#[test]
fn a_session_told_on_the_record_is_joined_to_its_app_and_never_in_clear() {
    let cells = AnyValue {
        value: Some(Value::ArrayValue(ArrayValue { values: vec![text("new_rows"), text("big_art")] })),
    };
    let options =
        AnyValue { value: Some(Value::ArrayValue(ArrayValue { values: vec![text("B"), text("1")] })) };
    let mut attributes = texts(&[
        ("session.id", "session-of-alice"),
        ("e2e.view.name", "lolomo"),
        ("e2e.interaction.id", "i1"),
        ("e2e.outcome", "ok"),
        ("geo.country.iso_code", "DE"),
    ]);
    attributes.push(kv("e2e.view.ttr", AnyValue { value: Some(Value::DoubleValue(1830.5)) }));
    attributes.push(kv("e2e.experiment.name", cells));
    attributes.push(kv("e2e.experiment.cell", options));
    let record = LogRecord {
        time_unix_nano: NANOS,
        event_name: "e2e.view.rendered".to_owned(),
        attributes,
        ..LogRecord::default()
    };
    let batch = read(Wire::LogsProto, &logs(TV, vec![record]));
    for line in [
        "-ran-> AppVersion(8.42)",
        "-received-> Cell(B)",
        "-received-> Cell(1)",
        "Cell(B) -option_of-> Experiment(new_rows)",
        "Cell(1) -option_of-> Experiment(big_art)",
        "View(lolomo) -view_of-> App(tvui)",
        "-from_place-> Place(DE)",
        "view.ttr = 1830.5 on View(lolomo) by [App(tvui) AppVersion(8.42) Cell(1) Cell(B) DeviceModel(Acme X1) Place(DE)]",
        "view.error_ratio = false on View(lolomo)",
    ] {
        has(&batch, line);
    }
    lacks(&batch, "alice");
    lacks(&batch, "Cell(B) -option_of-> Experiment(big_art)");
}

#[test]
fn metric_points_are_converted_and_what_cannot_be_added_up_is_said() {
    let gauge = |name: &str, unit: &str, value: f64| Metric {
        name: name.to_owned(),
        unit: unit.to_owned(),
        data: Some(metric::Data::Gauge(Gauge {
            data_points: vec![NumberDataPoint {
                time_unix_nano: NANOS,
                value: Some(number_data_point::Value::AsDouble(value)),
                ..NumberDataPoint::default()
            }],
        })),
        ..Metric::default()
    };
    let histogram = |temporality| Metric {
        name: "http.server.request.duration".to_owned(),
        unit: "s".to_owned(),
        data: Some(metric::Data::Histogram(Histogram {
            data_points: vec![HistogramDataPoint {
                start_time_unix_nano: NANOS - 1_000_000_000,
                time_unix_nano: NANOS,
                count: 3,
                sum: Some(0.9),
                bucket_counts: vec![2, 1],
                explicit_bounds: vec![0.5],
                attributes: texts(&[("http.route", "/cart")]),
                ..HistogramDataPoint::default()
            }],
            aggregation_temporality: temporality,
        })),
        ..Metric::default()
    };
    let all = vec![
        gauge("container.cpu.utilization", "%", 40.0),
        gauge("jvm.gc", "1", 1.0),
        histogram(1),
        histogram(2),
    ];
    let batch = read(Wire::MetricsProto, &metrics(CART, all));
    has(&batch, "instance.cpu = 0.4 on Instance(cart-1)");
    has(&batch, "operation.reported_latency = [(250.0, 2), (500.0, 1)] sum Some(900.0) on Operation(/cart)");
    let since = "[(250.0, 2), (500.0, 1)] sum Some(900.0) since 2026-11-24T12:04:59Z";
    has(&batch, &format!("operation.reported_latency = {since} on Operation(/cart)"));
    refuses(&batch, "not mapped: metric that no source reads", 1);
    assert!(!batch.refused.iter().any(is_senders_fault));
}

#[test]
fn a_broken_span_does_not_hide_its_neighbours() {
    let with = |change: &dyn Fn(&mut Span)| {
        let mut s = server_span(3);
        change(&mut s);
        s
    };
    let spans = vec![
        with(&|s| s.trace_id.clear()),
        with(&|s| s.trace_id = vec![0; 16]),
        with(&|s| s.trace_id = vec![1; 15]),
        with(&|s| s.span_id = vec![1; 9]),
        with(&|s| s.parent_span_id = vec![1; 3]),
        with(&|s| s.start_time_unix_nano = 0),
        with(&|s| s.end_time_unix_nano = NANOS - 1),
        with(&|s| {
            s.start_time_unix_nano = 4_300_000_000_000_000_000;
            s.end_time_unix_nano = u64::MAX;
        }),
        server_span(4),
    ];
    let batch = read(Wire::TracesProto, &traces(CART, spans).encode_to_vec());
    for reason in [
        "span without trace id",
        "trace id of only zeros",
        "trace id of the wrong length",
        "span id of the wrong length",
        "parent span id of the wrong length",
        "span without time",
        "span that ends before it starts",
        "time in the future",
    ] {
        refuses(&batch, reason, 1);
    }
    assert_eq!((batch.items, said(&batch).matches("\nstep ").count()), (9, 1));
}

#[test]
fn text_that_is_not_utf8_costs_that_attribute_only() {
    let mut body = traces(CART, vec![server_span(3)]).encode_to_vec();
    let at = body.windows(5).position(|w| w == b"/cart").unwrap();
    body[at + 1] = 0xff;
    let batch = read(Wire::TracesProto, &body);
    refuses(&batch, "in part: text that is not UTF-8", 1);
    has(&batch, "operation.latency = 250 on Operation(GET)");
}

#[test]
fn what_cannot_be_read_at_all_is_one_clear_error() {
    let whole =
        |wire, body: &[u8]| normaliser().normalise(&wire, body, Time::from_secs(NOW)).unwrap_err().message;
    assert!(whole(Wire::TracesProto, b"hello, I am not protobuf").contains("not the protobuf"));
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    assert!(whole(Wire::TracesJson, deep.as_bytes()).contains("nested more than"));
    assert!(whole(Wire::feed("changes"), deep.as_bytes()).contains("nested more than"));
    assert!(whole(Wire::LogsJson, b"{\"resourceLogs\": 3}").contains("not a list"));
    let mut value = text("deep");
    for _ in 0..40 {
        let values = vec![value];
        value = AnyValue { value: Some(Value::ArrayValue(ArrayValue { values })) };
    }
    let body = traces(CART, vec![span(3, 0, 2, "x", vec![kv("a", value)])]).encode_to_vec();
    assert!(whole(Wire::TracesProto, &body).contains("levels deep"));
}

#[test]
fn an_empty_request_is_fine() {
    for wire in [Wire::TracesProto, Wire::MetricsProto, Wire::LogsProto] {
        assert_eq!(read(wire, b""), Batch { source: "otlp".to_owned(), ..Batch::default() });
    }
}

#[test]
fn json_numbers_may_be_text_and_enumerations_names() {
    let body = format!(
        r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"cart"}}}}]}},
        "unknown":1,"scopeSpans":[{{"spans":[{{"traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"eee19b7ec3c1b174",
        "name":"/x","kind":"SPAN_KIND_SERVER","startTimeUnixNano":{NANOS},"endTimeUnixNano":"{}"}},
        {{"traceId":"xyz","spanId":"eee19b7ec3c1b174","name":"bad"}}]}}]}}]}}"#,
        NANOS + 5_000_000
    );
    let batch = read(Wire::TracesJson, body.as_bytes());
    has(&batch, "operation.latency = 5 on Operation(/x)");
    refuses(&batch, "trace id that is not hexadecimal", 1);
}

#[test]
fn an_alert_is_opened_and_closed_and_stands_on_what_it_is_about() {
    let body = r#"{"version":"4","status":"resolved","alerts":[{"status":"resolved","fingerprint":"f1",
        "labels":{"alertname":"SlowCart","severity":"page","service":"cart","service_namespace":"shop","team":"buy"},
        "startsAt":"2026-11-24T12:00:00Z","endsAt":"2026-11-24T12:04:30Z"},
        {"status":"firing","fingerprint":"f2","labels":{"alertname":"Odd"},
        "startsAt":"2026-11-24T12:01:00Z","endsAt":"0001-01-01T00:00:00Z"}]}"#;
    let batch = read(Wire::feed("alertmanager"), body.as_bytes());
    has(&batch, "ended Alert(f1 2026-11-24T12:00:00Z) at 2026-11-24T12:04:30Z");
    has(&batch, "-about-> Service(shop cart)");
    has(&batch, "Service(shop cart) -owned_by-> Team(buy)");
    has(&batch, "severity: critical");
    lacks(&batch, "ended Alert(f2 2026-11-24T12:01:00Z)");
    assert_eq!(batch.items, 2);
}

#[test]
fn an_experiment_has_its_cells_with_their_shares() {
    let body = r#"{"experiment":{"name":"new_rows","state":"running","owner":"home"},
        "cell":[{"name":"A","is_default":true,"share":0.5},{"name":"B","share":0.5}],
        "change":{"id":"c1","by":"home","old":"draft","new":"running","at":"2026-11-24T12:00:00Z"}}"#;
    let batch = read(Wire::feed("experiments"), body.as_bytes());
    has(&batch, "draft Cell(A) {name: A, control: true, share: 0.5}");
    has(&batch, "draft Cell(B) {name: B, share: 0.5}");
    has(&batch, "Cell(B) -option_of-> Experiment(new_rows)");
    has(&batch, "FlagChange(c1) -switches-> Experiment(new_rows) at 2026-11-24T12:00:00Z");
}

#[test]
fn a_deployment_is_read_bare_and_inside_a_cloud_event() {
    let bare = r#"{"context":{"version":"0.4.1","id":"e1","type":"dev.cdevents.service.deployed.0.2.0",
        "timestamp":"2026-11-24T12:00:00Z"},"subject":{"id":"prod/cart","content":{"environment":{"id":"prod"},
        "artifactId":"pkg:oci/cart@1.5?tag=x"}}}"#;
    let inside =
        format!(r#"{{"specversion":"1.0","type":"dev.cdevents.service.deployed.0.2.0","data":{bare}}}"#);
    let (a, b) =
        (read(Wire::feed("cdevents"), bare.as_bytes()), read(Wire::feed("cdevents"), inside.as_bytes()));
    has(&a, "Deployment(e1) -deploys-> ServiceVersion(cart 1.5)");
    assert_eq!(said(&a), said(&b));
    let other =
        read(Wire::feed("cdevents"), br#"[{"context":{"type":"dev.cdevents.build.queued.0.1.0"}}, 5]"#);
    refuses(&other, "not mapped: document that no source reads", 1);
    refuses(&other, "element that is not an object", 1);
}

fn facts(batches: &[Batch]) -> BTreeSet<String> {
    let text: Vec<String> = batches.iter().map(said).collect();
    let lines = text.iter().flat_map(|t| t.lines());
    lines.filter(|l| !l.starts_with("refused") && !l.contains(" items from ")).map(str::to_owned).collect()
}

fn any_spans() -> impl Strategy<Value = Vec<(bool, Span)>> {
    let one = (any::<bool>(), 1_u8..40, 0_u8..40, 0_i32..6, 0_usize..4, 0_u64..200).prop_map(
        |(tv, id, parent, kind, name, late)| {
            let name = ["/a", "/b", "", "ü"][name];
            let mut s =
                span(id, parent, kind, name, texts(&[("db.system.name", "redis"), ("server.address", name)]));
            s.start_time_unix_nano -= late * 1_000_000_000;
            if late % 3 == 0 {
                s.attributes.extend(texts(&[("session.id", name), ("error.type", "Timeout")]));
            }
            if late % 4 == 1 {
                let event = |name: &str, pairs: &[(&str, &str)]| span::Event {
                    name: name.to_owned(),
                    time_unix_nano: s.end_time_unix_nano,
                    attributes: texts(pairs),
                    ..span::Event::default()
                };
                s.events = vec![
                    event("fetchStart", &[]),
                    event("exception", &[("exception.type", name), ("exception.stacktrace", "at 1")]),
                    event(
                        "e2e.view.rendered",
                        &[("e2e.view.name", "home"), ("e2e.interaction.id", "i"), ("e2e.view.ttr", "9")],
                    ),
                ];
            }
            if late % 5 == 2 {
                let cells = |values: &[&str]| AnyValue {
                    value: Some(Value::ArrayValue(ArrayValue {
                        values: values.iter().map(|v| text(v)).collect(),
                    })),
                };
                s.attributes.push(kv("e2e.experiment.name", cells(&["rows", "art"])));
                s.attributes.push(kv("e2e.experiment.cell", cells(&["A", name, "C"])));
            }
            (tv, s)
        },
    );
    proptest::collection::vec(one, 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn splitting_and_reordering_requests_tells_the_same_facts(spans in any_spans()) {
        let of = |tv: bool| if tv { TV } else { CART };
        let mut whole = ExportTraceServiceRequest::default();
        for (tv, s) in &spans {
            whole.resource_spans.extend(traces(of(*tv), vec![s.clone()]).resource_spans);
        }
        let whole = read(Wire::TracesProto, &whole.encode_to_vec());
        let mut one_by_one = normaliser();
        let parts: Vec<Batch> = spans.iter().rev().map(|(tv, s)| {
            let body = traces(of(*tv), vec![s.clone()]).encode_to_vec();
            one_by_one.normalise(&Wire::TracesProto, &body, Time::from_secs(NOW + 60)).unwrap()
        }).collect();
        prop_assert_eq!(facts(&[whole]), facts(&parts));
    }

    #[test]
    fn what_is_remembered_never_changes_what_is_said(
        requests in proptest::collection::vec(any_spans(), 1..6),
        looks in 0_usize..40,
        bytes in prop_oneof![Just(0_usize), Just(20_000), Just(1 << 26)],
        resources in 0_usize..3,
    ) {
        let limits = |looks, look_bytes, resources| Limits { looks, look_bytes, resources, ..Limits::default() };
        let new = |limits| Normaliser::new(Arc::clone(&ONTOLOGY), Options { hash_key: [7; 32], limits });
        let (mut small, mut whole) = (new(limits(looks, bytes, resources)), new(Limits::default()));
        // Every request twice, so that what the first round left behind is used.
        for spans in requests.iter().chain(&requests) {
            let mut request = ExportTraceServiceRequest::default();
            for (tv, s) in spans {
                request.resource_spans.extend(traces(if *tv { TV } else { CART }, vec![s.clone()]).resource_spans);
            }
            let body = request.encode_to_vec();
            let read = |n: &mut Normaliser| n.normalise(&Wire::TracesProto, &body, Time::from_secs(NOW + 60)).unwrap();
            let (a, b, fresh) = (read(&mut small), read(&mut whole), read(&mut new(limits(0, 0, 0))));
            prop_assert_eq!(said(&a), said(&fresh));
            prop_assert_eq!(said(&b), said(&fresh));
        }
    }

    #[test]
    fn json_says_what_protobuf_says(spans in any_spans()) {
        let request = traces(CART, spans.into_iter().map(|(_, s)| s).collect());
        let json = serde_json::to_vec(&request).unwrap();
        let (a, b) = (read(Wire::TracesProto, &request.encode_to_vec()), read(Wire::TracesJson, &json));
        prop_assert_eq!(said(&a), said(&b));
    }

    #[test]
    fn bytes_at_random_never_panic(body in proptest::collection::vec(any::<u8>(), 0..200), code in 0_u8..40) {
        if let Some((wire, body)) = Wire::from_log(code, &body) {
            let _ = normaliser().normalise(&wire, body, Time::from_secs(NOW));
        }
        for form in [Form::Json, Form::Lines, Form::Yaml, Form::Csv, Form::Text] {
            let delivery = Delivery { feed: "changes".to_owned(), form, around: Default::default() };
            let _ = normaliser().normalise(&Wire::Feed(Arc::new(delivery)), &body, Time::from_secs(NOW));
        }
    }

    #[test]
    fn a_damaged_request_is_read_or_refused_as_prost_would(flip in 0_usize..400, to in any::<u8>()) {
        let mut body = traces(CART, vec![server_span(3), server_span(4)]).encode_to_vec();
        let at = flip % body.len();
        body[at] = to;
        let ours = normaliser().normalise(&Wire::TracesProto, &body, Time::from_secs(NOW + 60));
        // What prost accepts we accept; we may accept more, because an unread string need not be UTF-8.
        if let Ok(theirs) = ExportTraceServiceRequest::decode(body.as_slice()) {
            let spans = theirs.resource_spans.iter().flat_map(|r| &r.scope_spans).map(|s| s.spans.len()).sum::<usize>();
            match ours {
                Ok(batch) => prop_assert_eq!(batch.items, spans as u64),
                Err(m) => prop_assert!(m.message.contains("group"), "{}", m),
            }
        }
    }
}
