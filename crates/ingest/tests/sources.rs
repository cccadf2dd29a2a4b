//! Small requests in the forms of other senders, and the facts they must become.

#![expect(
    clippy::unwrap_used,
    reason = "clippy takes the helpers of an integration test for code outside of tests"
)]

use ingest::{Limits, Normaliser, Options, Wire, describe};
use ontology::{Batch, Ontology, Time};
use serde_json::json;
use std::sync::{Arc, LazyLock};

static ONTOLOGY: LazyLock<Arc<Ontology>> = LazyLock::new(|| Arc::new(Ontology::builtin()));
/// 2026-11-24T12:05:00Z.
const NOW: i64 = 1_795_521_900;

fn normalise(wire: Wire, body: &[u8]) -> Result<Batch, String> {
    let options = Options { hash_key: [7; 32], limits: Limits::default() };
    let mut normaliser = Normaliser::new(Arc::clone(&ONTOLOGY), options);
    normaliser.normalise(&wire, body, Time::from_secs(NOW + 60)).map_err(|e| e.message)
}

fn read(wire: Wire, body: impl AsRef<[u8]>) -> Batch {
    normalise(wire, body.as_ref()).unwrap()
}

fn said(batch: &Batch) -> String {
    describe(batch, &ONTOLOGY)
}

fn has(batch: &Batch, lines: &[&str]) {
    let text = said(batch);
    for line in lines {
        assert!(text.contains(line), "`{line}` is not in\n{text}");
    }
}

fn lacks(batch: &Batch, line: &str) {
    let text = said(batch);
    assert!(!text.contains(line), "`{line}` is in\n{text}");
}

fn refuses(batch: &Batch, reason: &str, items: u64) {
    let counted: u64 = batch.refused.iter().filter(|r| r.reason == reason).map(|r| r.items).sum();
    assert_eq!(counted, items, "{reason}: {:?}", batch.refused);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A field of a protobuf message.
enum Part<'p> {
    Bytes(u8, &'p [u8]),
    Varint(u8, u64),
    Fixed(u8, u64),
}

fn message(parts: &[Part<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    for part in parts {
        match part {
            Part::Bytes(number, bytes) => {
                out.push(number << 3 | 2);
                varint(&mut out, bytes.len() as u64);
                out.extend_from_slice(bytes);
            }
            Part::Varint(number, value) => {
                out.push(number << 3);
                varint(&mut out, *value);
            }
            Part::Fixed(number, value) => {
                out.push(number << 3 | 1);
                out.extend_from_slice(&value.to_le_bytes());
            }
        }
    }
    out
}

#[test]
fn zipkin_spans_of_both_sides_become_operations_their_calls_and_stores() {
    let at = NOW * 1_000_000;
    let body = json!([
        {"traceId": "5af7183fb1d4cf5f", "id": "6b221d5bc9e6496c", "name": "get /cart", "kind": "SERVER", "timestamp": at, "duration": 250_000,
         "localEndpoint": {"serviceName": "cart", "ipv4": "10.0.0.1", "port": 80},
         "tags": {"http.route": "/cart", "error": "no stock", "service.instance.id": "cart-1", "service.version": "1.4"},
         "annotations": [{"timestamp": at + 5, "value": "retry"}]},
        {"traceId": "5af7183fb1d4cf5f", "id": "00000000000000aa", "parentId": "6b221d5bc9e6496c", "name": "select", "kind": "CLIENT", "timestamp": at, "duration": 1_000,
         "localEndpoint": {"serviceName": "cart"}, "remoteEndpoint": {"serviceName": "postgres", "port": 5432},
         "tags": {"db.system": "postgresql", "db.name": "carts"}},
    ]);
    let batch = read(Wire::ZipkinJson, body.to_string());
    has(
        &batch,
        &[
            "2 items from zipkin",
            "Operation(cart /cart) -operation_of-> Service(cart)",
            "operation.latency = 250 on Operation(cart /cart)",
            "operation.errors = true on Operation(cart /cart)",
            "Instance(cart-1) -instance_of-> Service(cart)",
            "Instance(cart-1) -runs_version-> ServiceVersion(cart 1.4)",
            "store.latency = 1 on Datastore(postgresql carts)",
            "step 00000000000000005af7183fb1d4cf5f 6b221d5bc9e6496c < root",
            "Answering failed",
            "00000000000000aa < 6b221d5bc9e6496c",
        ],
    );
    assert!(batch.refused.is_empty(), "{:?}", batch.refused);
}

#[test]
fn both_sides_of_a_call_that_share_an_id_are_kept() {
    let span = |kind: &str, shared: bool, service: &str| {
        json!({"traceId": "1".repeat(32), "id": "2".repeat(16), "name": "get", "kind": kind, "timestamp": NOW * 1_000_000, "duration": 10,
            "localEndpoint": {"serviceName": service}, "shared": shared})
    };
    let both = json!([span("CLIENT", false, "web"), span("SERVER", true, "cart")]);
    let steps = said(&read(Wire::ZipkinJson, both.to_string())).matches("\nstep ").count();
    assert_eq!(steps, 2);
    let ids: Vec<u64> = read(Wire::ZipkinJson, both.to_string())
        .facts
        .iter()
        .filter_map(|f| if let ontology::Fact::Step(s) = f { Some(s.id.0) } else { None })
        .collect();
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn zipkin_in_protobuf_says_what_it_says_in_json() {
    let at = NOW as u64 * 1_000_000;
    let json = json!([{"traceId": "5af7183fb1d4cf5f5af7183fb1d4cf5f", "id": "6b221d5bc9e6496c", "parentId": "00000000000000aa", "name": "get /cart", "kind": "SERVER",
        "timestamp": at, "duration": 250_000, "localEndpoint": {"serviceName": "cart"},
        "tags": {"http.route": "/cart", "service.version": "1.4"}}]);
    let tag =
        |key: &str, value: &str| message(&[Part::Bytes(1, key.as_bytes()), Part::Bytes(2, value.as_bytes())]);
    let span = message(&[
        Part::Bytes(1, &0x5af7_183f_b1d4_cf5f_5af7_183f_b1d4_cf5f_u128.to_be_bytes()),
        Part::Bytes(2, &0xaa_u64.to_be_bytes()),
        Part::Bytes(3, &0x6b22_1d5b_c9e6_496c_u64.to_be_bytes()),
        Part::Varint(4, 2),
        Part::Bytes(5, b"get /cart"),
        Part::Fixed(6, at),
        Part::Varint(7, 250_000),
        Part::Bytes(8, &message(&[Part::Bytes(1, b"cart")])),
        Part::Bytes(11, &tag("http.route", "/cart")),
        Part::Bytes(11, &tag("service.version", "1.4")),
    ]);
    let proto = message(&[Part::Bytes(1, &span)]);
    assert_eq!(said(&read(Wire::ZipkinJson, json.to_string())), said(&read(Wire::ZipkinProto, &proto)));
}

#[test]
fn a_broken_zipkin_span_does_not_hide_its_neighbours() {
    let good = json!({"traceId": "1".repeat(16), "id": "2".repeat(16), "kind": "SERVER", "name": "x", "timestamp": NOW * 1_000_000, "duration": 1,
        "localEndpoint": {"serviceName": "cart"}});
    let with = |key: &str, value: serde_json::Value| {
        let mut span = good.clone();
        span[key] = value;
        span
    };
    let body = json!([
        good,
        7,
        with("traceId", json!(5)),
        with("traceId", json!("xyz")),
        with("timestamp", json!("yesterday")),
        with("timestamp", json!(u64::MAX)),
        with("tags", json!([1])),
        with("duration", json!(-1)),
        with("id", json!("")),
    ]);
    let batch = read(Wire::ZipkinJson, body.to_string());
    refuses(&batch, "item that cannot be read", 6);
    refuses(&batch, "trace id that is not hexadecimal", 1);
    refuses(&batch, "span without span id", 1);
    assert_eq!((batch.items, said(&batch).matches("\nstep ").count()), (9, 1));
    let details: Vec<&str> = batch.refused.iter().map(|r| r.detail.as_str()).collect();
    assert!(
        details.iter().any(|d| d.contains("element 4") && d.contains("`timestamp` is text")),
        "{details:?}"
    );
    for (body, why) in [("{}", "sends a list"), ("nonsense", "not JSON")] {
        let message = normalise(Wire::ZipkinJson, body.as_bytes()).unwrap_err();
        assert!(message.contains(why), "{message}");
    }
    assert!(normalise(Wire::ZipkinProto, b"\x0a\x7f").unwrap_err().contains("not the protobuf"));
}

fn jaeger(tags: &[Vec<u8>], references: &[Vec<u8>], span_process: Option<&[u8]>) -> Vec<u8> {
    let time = message(&[Part::Varint(1, NOW as u64), Part::Varint(2, 5_000_000)]);
    let lasted = message(&[Part::Varint(2, 250_000_000)]);
    let fields = [text_tag("event", "error"), text_tag("error.kind", "Timeout"), text_tag("stack", "at a.b")];
    let mut log = vec![Part::Bytes(1, time.as_slice())];
    log.extend(fields.iter().map(|f| Part::Bytes(2, f.as_slice())));
    let log = message(&log);
    let (trace, id) = (0x0102_u128.to_be_bytes(), 7_u64.to_be_bytes());
    let mut parts = vec![
        Part::Bytes(1, &trace),
        Part::Bytes(2, &id),
        Part::Bytes(3, b"GET /cart"),
        Part::Bytes(6, &time),
        Part::Bytes(7, &lasted),
        Part::Bytes(9, &log),
    ];
    parts.extend(references.iter().map(|r| Part::Bytes(4, r.as_slice())));
    parts.extend(tags.iter().map(|t| Part::Bytes(8, t.as_slice())));
    parts.extend(span_process.map(|p| Part::Bytes(10, p)));
    let span = message(&parts);
    let process = process("cart");
    let batch = message(&[Part::Bytes(1, &span), Part::Bytes(2, &process)]);
    message(&[Part::Bytes(1, &batch)])
}

fn text_tag(key: &str, value: &str) -> Vec<u8> {
    message(&[Part::Bytes(1, key.as_bytes()), Part::Bytes(3, value.as_bytes())])
}

fn process(name: &str) -> Vec<u8> {
    let tags = [text_tag("service.instance.id", "i-1"), text_tag("hostname", "web-1")];
    message(&[Part::Bytes(1, name.as_bytes()), Part::Bytes(2, &tags[0]), Part::Bytes(2, &tags[1])])
}

fn reference(trace: u128, span: u64, kind: u64) -> Vec<u8> {
    message(&[
        Part::Bytes(1, &trace.to_be_bytes()),
        Part::Bytes(2, &span.to_be_bytes()),
        Part::Varint(3, kind),
    ])
}

#[test]
fn jaeger_spans_keep_their_process_parent_and_errors() {
    let error = message(&[Part::Bytes(1, b"error"), Part::Varint(2, 1), Part::Varint(4, 1)]);
    let tags = [text_tag("span.kind", "server"), text_tag("http.route", "/cart"), error];
    let references = [reference(0x99, 1, 0), reference(0x0102, 2, 1), reference(0x0102, 3, 0)];
    let batch = read(Wire::Jaeger, jaeger(&tags, &references, None));
    has(
        &batch,
        &[
            "1 items from jaeger",
            "Operation(/cart) -operation_of-> Service(cart)",
            "operation.errors = true on Operation(/cart)",
            "operation.latency = 250 on Operation(/cart)",
            "Instance(i-1) -instance_of-> Service(cart)",
            "0000000000000007 < 0000000000000003",
            "ErrorKind(Timeout at a.b)",
        ],
    );
    let other = read(Wire::Jaeger, jaeger(&tags, &[], Some(&process("basket"))));
    has(&other, &["Operation(/cart) -operation_of-> Service(basket)", "0000000000000007 < root"]);
    assert!(normalise(Wire::Jaeger, b"\x0a\x02\x08").unwrap_err().contains("not the protobuf"));
}

#[test]
fn lines_for_loki_count_as_errors_of_their_instance_by_kind() {
    let ns = format!("{NOW}000000000");
    let body = json!({"streams": [{
        "stream": {"service_name": "cart", "pod": "cart-7f", "cluster": "c1", "detected_level": "error"},
        "values": [[ns, "no stock for item 17"], [format!("{NOW}000000001"), "no stock for item 99", {"trace_id": "0".repeat(31) + "1"}]]}]});
    let batch = read(Wire::LokiJson, body.to_string());
    has(
        &batch,
        &[
            "2 items from loki",
            "Instance(cart-7f) -instance_of-> Service(cart)",
            "instance.log_errors = true on Instance(cart-7f)",
            "ErrorKind(error no stock for item <*>)",
            "Instance(cart-7f) -hit-> ErrorKind(error no stock for item <*>)",
            "error.occurrences = 1× on ErrorKind(error no stock for item <*>)",
        ],
    );
    lacks(&batch, "item 17");
    assert!(batch.refused.is_empty(), "{:?}", batch.refused);
    let labels = br#"{service_name="cart", pod=`cart-7f`,cluster="c\u0031", detected_level="er\x72or"}"#;
    let entry = |nanos: u64, line: &str, more: &[Part<'_>]| {
        let at = message(&[Part::Varint(1, NOW as u64), Part::Varint(2, nanos)]);
        let mut out = message(&[Part::Bytes(1, &at), Part::Bytes(2, line.as_bytes())]);
        out.extend(message(more));
        out
    };
    let id = "0".repeat(31) + "1";
    let metadata = message(&[Part::Bytes(1, b"trace_id"), Part::Bytes(2, id.as_bytes())]);
    let stream = message(&[
        Part::Bytes(1, labels),
        Part::Bytes(2, &entry(0, "no stock for item 17", &[])),
        Part::Bytes(2, &entry(1, "no stock for item 99", &[Part::Bytes(3, &metadata)])),
    ]);
    assert_eq!(said(&read(Wire::LokiProto, message(&[Part::Bytes(1, &stream)]))), said(&batch));
}

#[test]
fn what_is_wrong_with_a_push_to_loki_is_said_with_its_place() {
    for (body, why) in [
        (json!({"stream": []}), "has no `streams`"),
        (json!({"streams": 1}), "`streams` is a number"),
        (json!({"streams": [{"stream": []}]}), "`streams[0].stream` is a list"),
        (json!({"streams": [{"values": {}}]}), "`streams[0].values` is an object"),
    ] {
        let message = normalise(Wire::LokiJson, body.to_string().as_bytes()).unwrap_err();
        assert!(message.contains(why), "{message}");
    }
    let lines = json!({"streams": [{"stream": {"service_name": "a"}, "values": [7, ["x", "y"], ["1"], [1.5, "a"], ["1795521900000000000", "fine"]]}]});
    let batch = read(Wire::LokiJson, lines.to_string());
    refuses(&batch, "item that cannot be read", 4);
    assert_eq!(batch.items, 5);
    for (labels, why) in [
        ("a=\"b\"", "not in braces"),
        ("{a}", "`=` is missing"),
        ("{a=b}", "quoted value is missing"),
        ("{a=\"b}", "quoted value is missing"),
        ("{a=\"b\" c=\"d\"}", "`,` is missing"),
        ("{é=\"b\"}", "not a label's name"),
        ("{a=\"\\ud800\"}", "quoted value is missing"),
    ] {
        let stream = message(&[Part::Bytes(1, labels.as_bytes())]);
        let message = normalise(Wire::LokiProto, &message(&[Part::Bytes(1, &stream)])).unwrap_err();
        assert!(message.contains(why), "{labels}: {message}");
    }
}

fn framed(messages: &[&str]) -> Vec<u8> {
    messages.iter().flat_map(|m| format!("{} {m}", m.len()).into_bytes()).collect()
}

#[test]
fn syslog_of_both_kinds_names_program_host_and_severity() {
    let batch = read(
        Wire::Syslog,
        framed(&[
            "<11>1 2026-11-24T12:05:00.003Z web-1 cart 812 ID47 [x@1 a=\"1\" b=\"q\\\"]\"][y] \u{feff}no stock for item 17",
            "<14>1 2026-11-24T12:05:00Z web-1 cart - - - started",
            "<11>Nov 24 12:05:00 web-1 cart[812]: no stock for item 18",
            "<11>Nov 24 13:05:07 web-1 cart: no stock for item 19",
        ]),
    );
    has(
        &batch,
        &[
            "4 items from syslog",
            "Instance(cart/web-1) -runs_on-> Host(web-1)",
            "Instance(cart/web-1) -instance_of-> Service(cart)",
            "instance.log_errors = true on Instance(cart/web-1) by [Host(web-1) Service(cart)] at 2026-11-24T12:05:00.003Z",
            "instance.log_errors = false on Instance(cart/web-1)",
            // A clock one hour ahead shows another zone.
            "at 2026-11-24T12:05:07Z",
        ],
    );
    assert_eq!(
        said(&batch).matches("error.occurrences = 1× on ErrorKind(error no stock for item <*>)").count(),
        3
    );
    assert!(batch.refused.is_empty(), "{:?}", batch.refused);
}

#[test]
fn equal_syslog_messages_are_as_many_as_were_sent_and_a_replay_adds_none() {
    let body = framed(&["<11>Nov 24 12:05:00 web-1 cart: full", "<11>Nov 24 12:05:00 web-1 cart: full"]);
    let ids = |batch: &Batch| -> Vec<u64> {
        let id =
            |f: &ontology::Fact| if let ontology::Fact::Sample { id, .. } = f { Some(id.0) } else { None };
        let mut all: Vec<u64> = batch.facts.iter().filter_map(id).collect();
        all.sort_unstable();
        all.dedup();
        all
    };
    let first = ids(&read(Wire::Syslog, &body));
    assert_eq!(first.len(), 4);
    assert_eq!(ids(&read(Wire::Syslog, &body)), first);
}

#[test]
fn odd_syslog_is_read_as_far_as_it_can_be() {
    let long = "x".repeat(300);
    let messages = [
        "no priority at all",
        "<11>1 - - - - - - nothing said",
        "<11>1 yesterday h a - - - x",
        "<11>1 2026-11-24T12:05:00Z h a - - [x y] z",
        "<11>1 2026-11-24T12:05:00Z h a - - [x y=\"z] z",
        "<11>1 2026-11-24T12:05:00Z h a - - odd z",
        "<11>1",
        "<11>1 ",
        "<999>x",
        "<11>",
        "",
        "<11>2026-11-24T12:05:00Z h app: modern time in the old form",
        "<11>Nov 24 12:05:00 app: no host",
        "<11>Nov 99 99:99:99 h app: x",
        long.as_str(),
    ];
    let batch = read(Wire::Syslog, framed(&messages));
    assert_eq!(batch.items, messages.len() as u64);
    refuses(&batch, "item that cannot be read", 4);
    has(&batch, &["Service(app)"]);
    for (body, why) in [
        (&b"x"[..], "no number"),
        (b"5x", "no space"),
        (b"9 abc", "9 bytes are more than 3"),
        (b"99999999999 x", "no space"),
    ] {
        let message = normalise(Wire::Syslog, body).unwrap_err();
        assert!(message.contains(why), "{message}");
    }
}

#[test]
fn access_logs_become_operations_wherever_they_come_from() {
    let nginx = json!({"time_iso8601": "2026-11-24T12:05:00+00:00", "request_method": "GET", "uri": "/users/42/cart", "status": "502",
        "request_time": "0.250", "upstream_addr": "10.0.0.7:8080", "upstream_response_time": "0.240", "upstream_name": "cart"});
    let missing = json!({"request": "GET /wp-admin.php HTTP/1.1", "status": 404, "request_time": 0.001});
    let lines = [
        format!("<190>Nov 24 12:05:00 web-1 nginx: {nginx}"),
        format!("<190>Nov 24 12:05:00 web-1 nginx: {missing}"),
    ];
    let batch = read(Wire::Syslog, framed(&[&lines[0], &lines[1]]));
    has(
        &batch,
        &[
            "Operation(nginx /users/{id}/cart) -operation_of-> Service(nginx)",
            "operation.latency = 250 on Operation(nginx /users/{id}/cart) by [Host(web-1) Instance(nginx/web-1) Service(nginx)]",
            "operation.errors = true on Operation(nginx /users/{id}/cart)",
            "Service(nginx) -depends_on-> Service(cart)",
            "operation.latency = 1 on Operation(nginx (no such path))",
            "operation.errors = false on Operation(nginx (no such path))",
        ],
    );
    lacks(&batch, "wp-admin");
    assert!(batch.refused.is_empty(), "{:?}", batch.refused);

    let envoy = json!({"method": "POST", "path": "/orders/17?x=1", "response_code": 503, "duration": 12, "response_flags": "UF",
        "upstream_cluster": "outbound|8080||cart.shop.svc.cluster.local", "upstream_host": "10.0.0.7:8080"});
    let body = json!({"streams": [{"stream": {"service_name": "edge", "pod": "edge-1"}, "values": [[format!("{NOW}000000000"), envoy.to_string()]]}]});
    let batch = read(Wire::LokiJson, body.to_string());
    has(
        &batch,
        &[
            "operation.latency = 12 on Operation(edge /orders/{id})",
            "operation.errors = true on Operation(edge /orders/{id})",
            "Service(edge) -depends_on-> Service(cart)",
            "error.occurrences = 1× on ErrorKind(envoy UF)",
        ],
    );

    // Envoy writes `-` where there is nothing; HAProxy, the frontend's name where no backend was chosen.
    let unrouted = json!({"method": "GET", "path": "/x", "response_code": "404", "duration": "0", "response_flags": "NR", "upstream_cluster": "-"});
    let haproxy = json!({"date": NOW * 1000, "method": "GET", "uri": "/orders/3?x=1", "status_code": 503, "Ta": 3007, "frontend_name": "web",
        "backend_name": "orders", "server_name": "orders-1", "termination_state": "SC"});
    let aborted = json!({"method": "GET", "uri": "/x", "status_code": 200, "Ta": -1, "frontend_name": "web", "backend_name": "web",
        "server_name": "<NOSRV>", "termination_state": "--"});
    let line =
        |value: &serde_json::Value| format!("<134>1 2026-11-24T12:05:00.123Z web-1 edge 7 - - {value}");
    let lines = [line(&unrouted), line(&haproxy), line(&aborted)];
    let batch = read(Wire::Syslog, framed(&[&lines[0], &lines[1], &lines[2]]));
    has(
        &batch,
        &[
            "operation.latency = 0 on Operation(edge (no such path))",
            "operation.latency = 3007 on Operation(edge /orders/{id}) by [Host(web-1) Instance(edge/web-1) Service(edge)]",
            "operation.errors = true on Operation(edge /orders/{id})",
            "Service(edge) -depends_on-> Service(orders)",
            "error.occurrences = 1× on ErrorKind(haproxy SC)",
            "operation.errors = false on Operation(edge /x)",
        ],
    );
    lacks(&batch, "depends_on-> Service(-)");
    lacks(&batch, "depends_on-> Service(web)");
    lacks(&batch, "operation.latency = -1");
    assert!(batch.refused.is_empty(), "{:?}", batch.refused);

    // The body of an OTLP record may be a map; a text that only looks like JSON is text.
    let member = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let map: Vec<_> =
        [("request_method", "GET"), ("uri", "/a"), ("status", "200"), ("request_time", "0.002")]
            .map(|(k, v)| member(k, v))
            .into();
    let record = |body: serde_json::Value| json!({"timeUnixNano": format!("{NOW}000000000"), "severityNumber": 17, "body": body});
    let records =
        [record(json!({"kvlistValue": {"values": map}})), record(json!({"stringValue": "{broken}"}))];
    let body = json!({"resourceLogs": [{"resource": {"attributes": [member("service.name", "edge")]}, "scopeLogs": [{"logRecords": records}]}]});
    let batch = read(Wire::LogsJson, body.to_string());
    has(&batch, &["operation.latency = 2 on Operation(/a)", "Operation(/a) -operation_of-> Service(edge)"]);
}

#[test]
fn lines_of_rusts_tracing_are_lines_of_a_log_and_other_named_events_are_not() {
    let member = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let record = |name: &str, text: &str| {
        json!({"timeUnixNano": format!("{NOW}000000000"), "severityNumber": 17, "severityText": "ERROR",
        "eventName": name, "body": {"stringValue": text}})
    };
    let records = [record("event src/main.rs:85", "no title 80100172"), record("app.done", "done 5")];
    let resource =
        json!({"attributes": [member("service.name", "titles"), member("service.instance.id", "titles-1")]});
    let body = json!({"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": records}]}]});
    let batch = read(Wire::LogsJson, body.to_string());
    has(
        &batch,
        &["error.occurrences = 1× on ErrorKind(", "instance.log_errors = true on Instance(titles-1)"],
    );
    has(&batch, &["no title <*>"]);
    lacks(&batch, "done <*>");
    refuses(&batch, "not mapped: log record that says nothing a source reads", 1);
}

#[test]
fn a_json_message_is_read_within_bounds_and_never_over_the_records_own_fields() {
    let mut deep = json!({"uri": "/deep"});
    for _ in 0..20 {
        deep = json!({"a": deep});
    }
    let many: serde_json::Map<String, serde_json::Value> =
        (0..2000).map(|i| (format!("k{i}"), json!(i))).collect();
    let line = |value: serde_json::Value| format!("<14>Nov 24 12:05:00 h app: {value}");
    let messages = [
        line(deep),
        line(many.into()),
        line(json!({"service.name": "evil", "via": "otlp", "time": 1, "severity_number": 21})),
    ];
    let all: Vec<&str> = messages.iter().map(String::as_str).collect();
    let batch = read(Wire::Syslog, framed(&all));
    refuses(&batch, "in part: JSON message with more than is read of one", 2);
    has(
        &batch,
        &[
            "Service(app)",
            "instance.log_errors = false on Instance(app/h) by [Host(h) Service(app)] at 2026-11-24T12:05:00Z",
        ],
    );
    lacks(&batch, "instance.log_errors = true");
    let document =
        json!({"service.name": "cart", "via": "otlp", "message": json!({"via": "otlp"}).to_string()});
    has(&read(Wire::ElasticBulk, format!("{{\"index\":{{}}}}\n{document}\n")), &["Service(cart)"]);
}

#[test]
fn documents_for_elasticsearch_become_what_their_common_schema_says() {
    let document = json!({"@timestamp": "2026-11-24T12:05:00.000Z", "message": "no stock for item 17", "log": {"level": "error", "logger": "shop.Cart"},
        "service": {"name": "cart", "version": "1.4", "node": {"name": "cart-1"}}, "host.name": "web-1", "trace.id": "1".repeat(32)});
    let access = json!({"@timestamp": NOW * 1000, "service.name": "edge", "http": {"request": {"method": "GET"}, "response": {"status_code": 500}},
        "url": {"path": "/a/17"}, "event": {"duration": 3_000_000}});
    let error = json!({"service.name": "cart", "error": {"type": "Timeout", "stack_trace": "at a.b"}, "message": "x"});
    let body = [
        json!({"index": {"_index": "logs"}}),
        document,
        json!({"create": {}}),
        access,
        json!({"delete": {"_id": "1"}}),
        json!({"update": {"_id": "1"}}),
        json!({"doc": {}}),
        json!({"index": {}}),
        json!([1]),
        json!({"index": {}}),
        error,
        json!({"index": {}}),
        json!({"@timestamp": "soon"}),
    ];
    let body: String = body.iter().map(|line| format!("{line}\n")).collect();
    let batch = read(Wire::ElasticBulk, &body);
    has(
        &batch,
        &[
            "7 items from elasticsearch",
            "Instance(cart-1) -instance_of-> Service(cart)",
            "Instance(cart-1) -runs_on-> Host(web-1)",
            "instance.log_errors = true on Instance(cart-1)",
            "error.occurrences = 1× on ErrorKind(shop.Cart no stock for item <*>)",
            "operation.latency = 3 on Operation(/a/{id})",
            "operation.errors = true on Operation(/a/{id})",
            "error.occurrences = 1× on ErrorKind(Timeout at a.b)",
        ],
    );
    refuses(&batch, "not mapped: bulk action `delete`", 1);
    refuses(&batch, "not mapped: bulk action `update`", 1);
    refuses(&batch, "item that cannot be read", 2);
    for (body, why) in [
        ("", "no action"),
        ("x", "line 1"),
        ("{\"index\":{}}\n{}\n{\"a\":1}", "line 3"),
        ("{\"frob\":{}}", "`frob` is no action"),
        ("[]", "one member"),
    ] {
        let message = normalise(Wire::ElasticBulk, body.as_bytes()).unwrap_err();
        assert!(message.contains(why), "{message}");
    }
}

#[test]
fn entity_events_become_nodes_their_relations_and_their_end() {
    let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let map = |key: &str, pairs: &[(&str, &str)]| {
        let values: Vec<_> = pairs.iter().map(|(k, v)| text(k, v)).collect();
        json!({"key": key, "value": {"kvlistValue": {"values": values}}})
    };
    let related = |kind: &str, of: &str, id: (&str, &str)| json!({"kvlistValue": {"values": [text("relationship.type", kind), text("entity.type", of), map("entity.id", &[id])]}});
    let record = |name: &str, attributes: Vec<serde_json::Value>| json!({"timeUnixNano": format!("{NOW}000000000"), "eventName": name, "attributes": attributes});
    let relations = json!({"key": "entity.relationships", "value": {"arrayValue": {"values": [
        related("part_of", "k8s.namespace", ("k8s.namespace.name", "shop")),
        related("part_of", "k8s.replicaset", ("k8s.replicaset.uid", "rs-1")),
        related("runs_on", "k8s.node", ("k8s.node.uid", "node-1")),
    ]}}});
    let interval = json!({"key": "entity.report.interval", "value": {"intValue": "120000"}});
    let records = json!([
        record(
            "entity.state",
            vec![
                text("entity.type", "k8s.pod"),
                map("entity.id", &[("k8s.pod.uid", "p-1")]),
                interval,
                relations
            ]
        ),
        record(
            "entity.state",
            vec![
                text("entity.type", "k8s.node"),
                map("entity.id", &[("k8s.node.uid", "node-1")]),
                map("entity.description", &[("k8s.node.name", "worker-a")])
            ]
        ),
        record(
            "entity.delete",
            vec![
                text("entity.type", "k8s.replicaset"),
                map("entity.id", &[("k8s.replicaset.uid", "rs-0")]),
                text("entity.delete.reason", "terminated")
            ]
        ),
        record(
            "entity.state",
            vec![text("entity.type", "coffee.machine"), map("entity.id", &[("coffee.machine.id", "1")])]
        ),
        record("entity.state", vec![]),
    ]);
    let body = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]});
    let batch = read(Wire::LogsJson, body.to_string());
    has(
        &batch,
        &[
            "{report_interval: 120, pod_uid: p-1}",
            "Instance(p-1) -runs_on-> Host(node-1)",
            "Instance(p-1) -in_workload-> Workload(rs-1)",
            "{node_uid: node-1, name: worker-a}",
            "{uid: rs-1}",
            "ended Workload(rs-0) at 2026-11-24T12:05:00Z",
        ],
    );
    refuses(&batch, "not mapped: relationship to an entity that has no edge here", 1);
    refuses(&batch, "not mapped: entity of a type that has no class here", 1);
    refuses(&batch, "not mapped: entity event without entity.type", 1);
    let shown = batch.refused.iter().map(|r| r.detail.as_str()).collect::<Vec<_>>().join("; ");
    assert!(shown.contains("k8s.namespace") && shown.contains("coffee.machine"), "{shown}");
    assert_eq!(batch.refused.iter().map(|r| r.items).sum::<u64>(), 3, "{:?}", batch.refused);
}

#[test]
fn what_a_record_says_by_its_values_is_not_taken_from_one_that_looks_alike() {
    let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let map = |key: &str, id: (&str, &str)| json!({"key": key, "value": {"kvlistValue": {"values": [text(id.0, id.1)]}}});
    let related = |of: &str, id: (&str, &str)| json!({"kvlistValue": {"values": [text("entity.type", of), map("entity.id", id)]}});
    let pod = |relations: &[serde_json::Value]| {
        let relations =
            json!({"key": "entity.relationships", "value": {"arrayValue": {"values": relations}}});
        vec![text("entity.type", "k8s.pod"), map("entity.id", ("k8s.pod.uid", "p-1")), relations]
    };
    let set =
        || vec![text("entity.type", "k8s.replicaset"), map("entity.id", ("k8s.replicaset.uid", "rs-0"))];
    let (node, space) =
        (related("k8s.node", ("k8s.node.uid", "n")), related("k8s.namespace", ("k8s.namespace.name", "s")));
    let kinds = [
        ("entity.state", pod(&[node.clone()])),
        ("entity.state", pod(&[space.clone()])),
        ("entity.state", pod(&[space.clone(), node, space])),
        ("entity.state", set()),
        ("entity.delete", set()),
        ("entity.state", vec![text("entity.type", "coffee.machine")]),
        ("entity.state", vec![text("entity.type", "tea.machine")]),
    ];
    let records: Vec<_> = (0..3)
        .flat_map(|turn| kinds.iter().map(move |k| (turn, k)))
        .map(|(turn, (name, attributes))| json!({"timeUnixNano": format!("{}000000000", NOW + turn), "eventName": name, "attributes": attributes}))
        .collect();
    let body = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}).to_string();
    let reads = |limits| {
        let options = Options { hash_key: [7; 32], limits };
        let mut normaliser = Normaliser::new(Arc::clone(&ONTOLOGY), options);
        let mut read =
            || normaliser.normalise(&Wire::LogsJson, body.as_bytes(), Time::from_secs(NOW + 60)).unwrap();
        [read(), read()]
    };
    let [fresh, _] = reads(Limits { looks: 0, ..Limits::default() });
    for batch in reads(Limits::default()) {
        assert_eq!(said(&batch), said(&fresh));
        refuses(&batch, "not mapped: relationship to an entity that has no edge here", 9);
        refuses(&batch, "not mapped: entity of a type that has no class here", 6);
        assert_eq!(said(&batch).matches("ended Workload(rs-0)").count(), 3, "{}", said(&batch));
        has(
            &batch,
            &["not mapped: entity of a type that has no class here", "tea.machine", "coffee.machine"],
        );
    }
}
