//! OpenTelemetry renames its attributes; a record by the older conventions says the same as one by the current ones.

#![expect(
    clippy::unwrap_used,
    reason = "clippy takes the helpers of an integration test for code outside of tests"
)]

use ingest::{Limits, Normaliser, Options, Wire, describe};
use ontology::{Ontology, Time};
use serde_json::{Map, Value, json};
use std::sync::{Arc, LazyLock};

static ONTOLOGY: LazyLock<Arc<Ontology>> = LazyLock::new(|| Arc::new(Ontology::builtin()));
const NANOS: &str = "1795521900000000000";

fn attributes(of: &Value) -> Vec<Value> {
    let none = Map::new();
    let value = |v: &Value| match v {
        Value::String(s) => json!({"stringValue": s}),
        Value::Bool(b) => json!({"boolValue": b}),
        Value::Number(n) if n.is_i64() => json!({"intValue": n.to_string()}),
        other => json!({"doubleValue": other}),
    };
    of.as_object().unwrap_or(&none).iter().map(|(k, v)| json!({"key": k, "value": value(v)})).collect()
}

/// A record in short: `resource`, and `span`, `event` (of a span), `log` or `metric` with their parts.
fn said(short: &Value) -> String {
    let resource = json!({"attributes": attributes(&short["resource"])});
    let own = attributes(&short["attributes"]);
    let (wire, body) = if let Some(metric) = short.get("metric") {
        let point = json!({"timeUnixNano": NANOS, "asDouble": short["value"], "attributes": own});
        let metric = json!({"name": metric, "unit": short["unit"], "gauge": {"dataPoints": [point]}});
        let scope = json!([{"metrics": [metric]}]);
        (Wire::MetricsJson, json!({"resourceMetrics": [{"resource": resource, "scopeMetrics": scope}]}))
    } else if let Some(name) = short.get("log") {
        let mut record = json!({"timeUnixNano": NANOS, "eventName": name, "attributes": own});
        if let Some(body) = short.get("body") {
            record["body"] = json!({"kvlistValue": {"values": attributes(body)}});
        }
        let scope = json!([{"logRecords": [record]}]);
        (Wire::LogsJson, json!({"resourceLogs": [{"resource": resource, "scopeLogs": scope}]}))
    } else {
        let event =
            short.get("event").map(|name| json!({"name": name, "timeUnixNano": NANOS, "attributes": own}));
        let own = if event.is_some() { Vec::new() } else { own };
        let span = json!({
            "traceId": "0".repeat(31) + "1", "spanId": "0".repeat(15) + "1", "kind": short["kind"],
            "name": short.get("span").unwrap_or(&json!("work")), "startTimeUnixNano": NANOS,
            "endTimeUnixNano": "1795521900250000000", "attributes": own, "events": event.into_iter().collect::<Vec<_>>(),
        });
        let scope = json!([{"spans": [span]}]);
        (Wire::TracesJson, json!({"resourceSpans": [{"resource": resource, "scopeSpans": scope}]}))
    };
    let options = Options { hash_key: [7; 32], limits: Limits::default() };
    let mut normaliser = Normaliser::new(Arc::clone(&ONTOLOGY), options);
    let batch =
        normaliser.normalise(&wire, body.to_string().as_bytes(), Time::from_secs(1_795_521_960)).unwrap();
    assert!(batch.refused.is_empty(), "{short}: {:?}", batch.refused);
    // What identifies an item is a hash of its attributes as told.
    let text = describe(&batch, &ONTOLOGY);
    let is_id = |id: &str| id.len() == 16 && id.bytes().all(|b| b.is_ascii_hexdigit());
    let lines =
        text.lines().map(|l| l.rsplit_once(" #").filter(|(_, id)| is_id(id)).map_or(l, |(fact, _)| fact));
    lines.collect::<Vec<_>>().join("\n")
}

/// Every line must be among the facts of both.
fn same(legacy: Value, current: Value, lines: &[&str]) {
    let (old, new) = (said(&legacy), said(&current));
    assert_eq!(old, new, "{legacy}");
    for line in lines {
        assert!(new.contains(line), "`{line}` is not in\n{new}");
    }
    // Some instrumentations tell both for a while; that is one record still.
    let mut both = current.clone();
    for part in ["resource", "attributes"] {
        if let (Some(into), Some(from)) = (both[part].as_object_mut(), legacy[part].as_object()) {
            from.iter().for_each(|(k, v)| {
                into.entry(k).or_insert_with(|| v.clone());
            });
        }
    }
    assert_eq!(said(&both), new, "{both}");
}

fn cart() -> Value {
    json!({"service.name": "cart", "service.namespace": "shop", "service.instance.id": "cart-1"})
}

fn page() -> Value {
    json!({"service.name": "webui", "service.version": "3.1", "browser.platform": "Linux", "session.id": "s1"})
}

fn phone() -> Value {
    json!({"service.name": "phone", "service.version": "9.0", "app.build_id": "b9", "os.name": "Android", "session.id": "s1"})
}

#[test]
fn requests_over_http() {
    same(
        json!({"resource": cart(), "kind": 2, "attributes": {"http.method": "GET", "http.route": "/cart", "http.status_code": 503, "http.target": "/cart?x=1", "net.host.name": "shop"}}),
        json!({"resource": cart(), "kind": 2, "attributes": {"http.request.method": "GET", "http.route": "/cart", "http.response.status_code": 503, "error.type": "503", "url.path": "/cart", "server.address": "shop"}}),
        &["Operation(/cart) -operation_of-> Service(shop cart)", "Operation(/cart) -hit-> ErrorKind(503 #)"],
    );
}

#[test]
fn remote_procedures() {
    same(
        json!({"resource": cart(), "kind": 2, "attributes": {"rpc.system": "grpc", "rpc.service": "shop.Cart", "rpc.method": "AddItem", "rpc.grpc.status_code": 14}}),
        json!({"resource": cart(), "kind": 2, "attributes": {"rpc.system.name": "grpc", "rpc.method": "shop.Cart/AddItem", "rpc.response.status_code": "UNAVAILABLE", "error.type": "UNAVAILABLE"}}),
        &["Operation(shop.Cart/AddItem) -hit-> ErrorKind(UNAVAILABLE UNAVAILABLE)", "protocol: grpc"],
    );
    let metric = |name: &str, unit: &str, value: f64, attributes: Value| json!({"resource": cart(), "metric": name, "unit": unit, "value": value, "attributes": attributes});
    assert_eq!(
        said(&metric(
            "rpc.server.duration",
            "ms",
            250.0,
            json!({"rpc.service": "shop.Cart", "rpc.method": "AddItem"})
        )),
        said(&metric("rpc.server.call.duration", "s", 0.25, json!({"rpc.method": "shop.Cart/AddItem"}))),
    );
}

#[test]
fn databases() {
    same(
        json!({"resource": cart(), "kind": 3, "attributes": {"db.system": "mssql", "db.name": "orders", "db.statement": "select 1", "net.peer.name": "db1"}}),
        json!({"resource": cart(), "kind": 3, "attributes": {"db.system.name": "microsoft.sql_server", "db.namespace": "orders", "db.query.text": "select 1", "server.address": "db1"}}),
        &["store.latency = 250 on Datastore(microsoft.sql_server orders)"],
    );
    same(
        json!({"resource": cart(), "kind": 3, "attributes": {"db.system": "redis", "net.peer.name": "cache1"}}),
        json!({"resource": cart(), "kind": 3, "attributes": {"db.system.name": "redis", "server.address": "cache1"}}),
        &["Datastore(redis cache1)", "kind: cache"],
    );
}

#[test]
fn messages() {
    same(
        json!({"resource": cart(), "kind": 5, "attributes": {"messaging.system": "kafka", "messaging.destination": "orders", "messaging.operation": "process"}}),
        json!({"resource": cart(), "kind": 5, "attributes": {"messaging.system": "kafka", "messaging.destination.name": "orders", "messaging.operation.type": "process"}}),
        &["Operation(orders) -consumes-> Topic(kafka orders)"],
    );
}

#[test]
fn peers_that_tell_nothing_themselves() {
    same(
        json!({"resource": cart(), "kind": 3, "attributes": {"peer.service": "payments"}}),
        json!({"resource": cart(), "kind": 3, "attributes": {"service.peer.name": "payments"}}),
        &["Service(shop cart) -depends_on-> Service(payments)"],
    );
}

#[test]
fn where_services_run() {
    let at = |more: Value| {
        let mut resource = cart();
        resource.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"resource": resource, "kind": 2, "attributes": {"http.route": "/cart"}})
    };
    let current = json!({"deployment.environment.name": "production", "cloud.provider": "aws", "cloud.region": "eu-west-1", "cloud.availability_zone": "eu-west-1a",
        "k8s.cluster.uid": "c1", "k8s.namespace.name": "shop", "k8s.deployment.name": "cart", "k8s.deployment.uid": "d1", "k8s.pod.uid": "p1", "k8s.container.name": "cart", "k8s.node.uid": "n1"});
    let mut legacy = current.clone();
    let names = legacy.as_object_mut().unwrap();
    for (new, old) in
        [("deployment.environment.name", "deployment.environment"), ("cloud.availability_zone", "cloud.zone")]
    {
        let value = names.remove(new).unwrap();
        names.insert(old.to_owned(), value);
    }
    same(
        at(legacy),
        at(current),
        &[
            "environment: production",
            "Zone(eu-west-1a) -in_region-> Region(aws eu-west-1)",
            "-in_workload-> Workload(",
        ],
    );
}

#[test]
fn idle_processors_are_not_pressure() {
    let idle = |name: &str| {
        said(
            &json!({"resource": {"service.name": "a", "host.id": "h1"}, "metric": "system.cpu.utilization", "unit": "1", "value": 0.9, "attributes": {name: "idle"}}),
        )
    };
    for name in ["cpu.mode", "system.cpu.state", "state"] {
        assert!(!idle(name).contains("host.pressure"), "{name}: {}", idle(name));
    }
    assert!(idle("cpu").contains("host.pressure = 0.9 on Host(h1)"));
}

#[test]
fn flags_that_were_asked() {
    let current = json!({"feature_flag.key": "new_rows", "feature_flag.result.variant": "on", "feature_flag.provider.name": "flagd", "feature_flag.context.id": "u1"});
    let interim = json!({"feature_flag.key": "new_rows", "feature_flag.variant": "on", "feature_flag.provider_name": "flagd", "feature_flag.context.id": "u1"});
    let lines = [
        "-received-> Variant(on)",
        "treatment.exposures = 1× on Variant(on)",
        "Variant(on) -option_of-> Flag(default new_rows)",
    ];
    same(
        json!({"resource": cart(), "log": "feature_flag.evaluation", "attributes": interim}),
        json!({"resource": cart(), "log": "feature_flag.evaluation", "attributes": current}),
        &lines,
    );
    // What OpenFeature's older hooks add to a span.
    same(
        json!({"resource": cart(), "kind": 2, "event": "feature_flag", "attributes": {"feature_flag.key": "new_rows", "feature_flag.variant": "on", "feature_flag.provider_name": "flagd"}}),
        json!({"resource": cart(), "kind": 2, "event": "feature_flag.evaluation", "attributes": {"feature_flag.key": "new_rows", "feature_flag.result.variant": "on"}}),
        &["Variant(on) -option_of-> Flag(default new_rows)"],
    );
}

#[test]
fn web_vitals_and_pages() {
    for (name, measure) in
        [("lcp", "web.lcp"), ("inp", "web.inp"), ("cls", "web.cls"), ("fcp", "web.fcp"), ("ttfb", "web.ttfb")]
    {
        same(
            json!({"resource": page(), "log": "browser.web_vital", "attributes": {"url.full": "https://shop.example/title/80100172?x=1"}, "body": {"name": name.to_uppercase(), "value": 12.5, "delta": 12.5, "id": "v1"}}),
            json!({"resource": page(), "log": "browser.web_vital", "attributes": {"url.full": "https://shop.example/title/80100172?x=1", "browser.web_vital.name": name, "browser.web_vital.value": 12.5, "browser.web_vital.id": "v1"}}),
            &[&format!("{measure} = 12.5 on View(/title/{{id}})")],
        );
    }
    // The page's loading: a span of the classic instrumentation, an event of the current one. They are two kinds of record, so
    // they share what they measure.
    let span = said(
        &json!({"resource": page(), "span": "documentLoad", "kind": 1, "attributes": {"http.url": "https://shop.example/browse"}}),
    );
    let event = said(
        &json!({"resource": page(), "log": "browser.navigation_timing", "attributes": {"url.full": "https://shop.example/browse", "browser.navigation_timing.load_event_end": 250.0}}),
    );
    for text in [span, event] {
        assert!(text.contains("web.load = 250 on View(/browse) by [App(webui) AppVersion(3.1)"), "{text}");
    }
}

#[test]
fn apps_on_phones() {
    same(
        json!({"resource": phone(), "log": "device.crash", "attributes": {"exception.type": "OutOfMemoryError"}}),
        json!({"resource": phone(), "log": "app.crash", "attributes": {"exception.type": "OutOfMemoryError", "app.crash.id": "c1"}}),
        &["app.crash_ratio = true on AppVersion(9.0)"],
    );
    for (event, attributes, line) in [
        ("session.start", json!({}), "app.crash_ratio = false on AppVersion(9.0)"),
        ("session.end", json!({}), "ended Session("),
        (
            "app.jank",
            json!({"app.jank.frame_count": 12, "app.jank.period": 1.0}),
            "app.late_frames = 12× on AppVersion(9.0)",
        ),
        (
            "app.screen.click",
            json!({"app.screen.name": "home", "app.screen.coordinate.x": 3}),
            "-of_view-> View(home)",
        ),
        (
            "app.widget.click",
            json!({"app.screen.name": "home", "app.widget.id": "w"}),
            "-of_view-> View(home)",
        ),
        ("device.app.lifecycle", json!({"android.app.state": "foreground"}), "-ran-> AppVersion(9.0)"),
    ] {
        let text = said(&json!({"resource": phone(), "log": event, "attributes": attributes}));
        assert!(text.contains(line), "{event}: `{line}` is not in\n{text}");
    }
    // The name of an event stood among its attributes before.
    let text = said(
        &json!({"resource": phone(), "log": "", "attributes": {"event.name": "app.crash", "event.domain": "device"}}),
    );
    assert!(text.contains("app.crash_ratio = true"), "{text}");
}

#[test]
fn apps_are_told_from_services() {
    // Firefox and Safari do not say their platform.
    for (name, value) in [
        ("browser.platform", "Linux"),
        ("browser.language", "de"),
        ("app.build_id", "b1"),
        ("app.installation.id", "i1"),
        ("device.id", "d1"),
    ] {
        let text = said(
            &json!({"resource": {"service.name": "webui", "service.version": "3.1", name: value}, "log": "session.start", "attributes": {"session.id": "s1"}}),
        );
        assert!(
            text.contains("AppVersion(3.1) -version_of-> App(webui)") && !text.contains("Service("),
            "{name}: {text}"
        );
    }
}
