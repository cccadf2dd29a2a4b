//! Zipkin v2 spans from JSON, told as OpenTelemetry's translation of Zipkin says them.
//!
//! `localEndpoint.serviceName` is the resource, tags are attributes, annotations are events. The tags `error`,
//! `otel.status_code` and `otel.scope.*` mean what OpenTelemetry's exporter for Zipkin means by them.

use crate::Malformed;
use crate::otlp::{Id, Level, Raw, Sink, SpanHead};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

type Object = Map<String, Value>;

/// A list of spans.
pub(crate) fn read<'a>(body: &'a Value, sink: &mut impl Sink<'a>) -> Result<(), Malformed> {
    let Value::Array(spans) = body else {
        return Err(Malformed {
            message: format!(
                "Zipkin v2 sends a list of spans (`[{{\"traceId\": …}}]`), this is {}",
                kind(body)
            ),
        });
    };
    // A resource is told once for all of its spans.
    let mut services: BTreeMap<Option<&str>, Vec<(usize, &Object)>> = BTreeMap::new();
    for (i, one) in spans.iter().enumerate() {
        let Value::Object(span) = one else {
            sink.begin();
            sink.unreadable(format!("element {i} of the list is {}, not a span", kind(one)));
            continue;
        };
        let own = endpoint(span, "localEndpoint").and_then(|e| e.get("serviceName")).and_then(Value::as_str);
        services.entry(own).or_default().push((i, span));
    }
    for (service, spans) in services {
        self::service(service.map(str::as_bytes), sink);
        for (i, span) in spans {
            sink.begin();
            if let Err(why) = read_span(span, sink) {
                sink.unreadable(format!("element {i} of the list: {why}"));
            }
        }
    }
    Ok(())
}

/// Tells the resource of a service's spans.
pub(crate) fn service<'a>(name: Option<&'a [u8]>, sink: &mut impl Sink<'a>) {
    sink.resource(None);
    if let Some(name) = name {
        sink.attribute(Level::Resource, b"service.name", 0, Raw::Text(name));
    }
    sink.resource_done();
    sink.scope();
}

fn read_span<'a>(o: &'a Object, sink: &mut impl Sink<'a>) -> Result<(), String> {
    let start = micros(o, "timestamp")?;
    let lasted = micros(o, "duration")?;
    let mut head = SpanHead {
        trace: trace_id(o)?,
        span: span_id(o, "id")?,
        parent: span_id(o, "parentId")?,
        name: text(o, "name")?.as_bytes(),
        kind: kind_number(text(o, "kind")?),
        start: nanos(start)?,
        end: nanos(start.saturating_add(lasted))?,
        status: 0,
        shared: o.get("shared") == Some(&Value::Bool(true)),
    };
    for (which, prefix) in [("localEndpoint", "network.local."), ("remoteEndpoint", "network.peer.")] {
        if let Some(e) = endpoint(o, which) {
            read_endpoint(e, which == "remoteEndpoint", prefix, sink);
        }
    }
    if let Some(tags) = o.get("tags").filter(|t| !t.is_null()) {
        let Value::Object(tags) = tags else {
            return Err(format!("`tags` is {}, not an object of texts", self::kind(tags)));
        };
        for (key, value) in tags {
            match value {
                Value::String(value) => tag(key, value, &mut head, sink),
                // Zipkin's tags are texts; some senders write numbers all the same.
                Value::Bool(b) => sink.attribute(Level::Item, key.as_bytes(), 0, Raw::Bool(*b)),
                Value::Number(n) => sink.own_text(Level::Item, key.as_bytes(), 0, n.to_string()),
                _ => {}
            }
        }
    }
    if !sink.span(&head) {
        return Ok(());
    }
    if let Some(Value::Array(all)) = o.get("annotations") {
        for a in all.iter().filter_map(Value::as_object) {
            let (Ok(at), Ok(value)) = (micros(a, "timestamp").and_then(nanos), text(a, "value")) else {
                continue;
            };
            sink.begin_event();
            sink.event(value.as_bytes(), at);
        }
    }
    Ok(())
}

/// One tag, as text; what OpenTelemetry defines for Zipkin's tags goes where it belongs.
pub(crate) fn tag<'a>(key: &'a str, value: &'a str, head: &mut SpanHead<'a>, sink: &mut impl Sink<'a>) {
    match key {
        "otel.status_code" => {
            head.status = match value {
                "OK" => 1,
                "ERROR" => 2,
                _ => head.status,
            };
        }
        // Any value but `false` says that the span failed, and is its message.
        "error" if value != "false" => {
            head.status = 2;
            if value != "true" {
                sink.attribute(Level::Item, b"otel.status_description", 0, Raw::Text(value.as_bytes()));
            }
        }
        "otel.scope.name" | "otel.library.name" => {
            sink.attribute(Level::Item, b"scope.name", 0, Raw::Text(value.as_bytes()));
        }
        "otel.scope.version" | "otel.library.version" => {
            sink.attribute(Level::Item, b"scope.version", 0, Raw::Text(value.as_bytes()));
        }
        _ => sink.attribute(Level::Item, key.as_bytes(), 0, Raw::Text(value.as_bytes())),
    }
}

fn read_endpoint<'a>(e: &'a Object, remote: bool, prefix: &str, sink: &mut impl Sink<'a>) {
    if let (true, Some(Value::String(name))) = (remote, e.get("serviceName")) {
        sink.attribute(Level::Item, b"peer.service", 0, Raw::Text(name.as_bytes()));
    }
    if let Some(Value::String(ip)) = e.get("ipv4").or_else(|| e.get("ipv6")) {
        sink.attribute(Level::Item, format!("{prefix}address").as_bytes(), 0, Raw::Text(ip.as_bytes()));
    }
    if let Some(port) = e.get("port").and_then(Value::as_i64).filter(|p| *p > 0) {
        sink.attribute(Level::Item, format!("{prefix}port").as_bytes(), 0, Raw::Int(port));
    }
}

/// OTLP's number of a kind; a span without one is inside its service.
pub(crate) fn kind_number(kind: &str) -> i64 {
    match kind {
        "SERVER" => 2,
        "CLIENT" => 3,
        "PRODUCER" => 4,
        "CONSUMER" => 5,
        _ => 1,
    }
}

fn endpoint<'a>(o: &'a Object, key: &str) -> Option<&'a Object> {
    o.get(key).and_then(Value::as_object)
}

fn text<'a>(o: &'a Object, key: &str) -> Result<&'a str, String> {
    match o.get(key) {
        None | Some(Value::Null) => Ok(""),
        Some(Value::String(s)) => Ok(s),
        Some(other) => Err(format!("`{key}` is {}, not text", kind(other))),
    }
}

/// Microseconds; 0 when absent.
fn micros(o: &Object, key: &str) -> Result<u64, String> {
    match o.get(key) {
        None | Some(Value::Null) => Ok(0),
        Some(Value::Number(n)) => n.as_u64().ok_or_else(|| format!("`{key}` is {n}, not whole microseconds")),
        Some(other) => Err(format!("`{key}` is {}, not a number of microseconds", kind(other))),
    }
}

pub(crate) fn nanos(micros: u64) -> Result<u64, String> {
    micros.checked_mul(1000).ok_or_else(|| format!("a time of {micros} µs is beyond the year 2500"))
}

/// 16 or 32 digits; shorter ones had their leading zeros cut off.
fn trace_id(o: &Object) -> Result<Id, String> {
    Ok(match text(o, "traceId")? {
        hex @ "" => Id::from_hex::<16>(hex),
        hex if hex.len() < 32 => Id::from_hex::<16>(&format!("{hex:0>32}")),
        hex => Id::from_hex::<16>(hex),
    })
}

fn span_id(o: &Object, key: &str) -> Result<Id, String> {
    Ok(match text(o, key)? {
        hex @ "" => Id::from_hex::<8>(hex),
        hex if hex.len() < 16 => Id::from_hex::<8>(&format!("{hex:0>16}")),
        hex => Id::from_hex::<8>(hex),
    })
}

/// What a value is, for messages.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
