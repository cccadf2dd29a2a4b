//! OTLP/JSON: the same requests as text, told to the same sink.

use super::json_values::{attribute, attributes, double, id, integer, list, object, text, unsigned};
use super::{
    Id, Level, LogHead, MetricHead, Point, Reading, Sink, SpanHead, Temporality, entities, json_values,
};
use crate::Malformed;
use rustc_hash::FxHashMap;
use serde_json::{Map, Value};

type Object = Map<String, Value>;
/// What reads one item of a scope.
type Item<'a, S> = fn(&'a Object, &mut S) -> Result<(), Wrong>;

/// One item that cannot be read; its neighbours can.
#[derive(Debug)]
pub(crate) enum Wrong {
    /// The item is set aside.
    Item(String),
    /// The request is refused.
    Request(Malformed),
}

impl From<Malformed> for Wrong {
    fn from(m: Malformed) -> Wrong {
        Wrong::Request(m)
    }
}

/// An `ExportTraceServiceRequest`.
pub(crate) fn traces<'a, S: Sink<'a>>(body: &'a Value, sink: &mut S) -> Result<(), Malformed> {
    request(body, ["resourceSpans", "scopeSpans", "spans"], sink, span)
}

/// An `ExportLogsServiceRequest`.
pub(crate) fn logs<'a, S: Sink<'a>>(body: &'a Value, sink: &mut S) -> Result<(), Malformed> {
    request(body, ["resourceLogs", "scopeLogs", "logRecords"], sink, record)
}

/// An `ExportMetricsServiceRequest`.
pub(crate) fn metrics<'a, S: Sink<'a>>(body: &'a Value, sink: &mut S) -> Result<(), Malformed> {
    request(body, ["resourceMetrics", "scopeMetrics", "metrics"], sink, metric)
}

fn request<'a, S: Sink<'a>>(
    body: &'a Value,
    [resources, scopes, items]: [&str; 3],
    sink: &mut S,
    item: Item<'a, S>,
) -> Result<(), Malformed> {
    let body = object(body, "the request")?;
    for resource in list(body, resources)? {
        let resource = object(resource, resources)?;
        sink.resource(None);
        if let Some(told) = resource.get("resource").filter(|r| !r.is_null()) {
            let told = object(told, "resource")?;
            attributes(told, Level::Resource, sink)?;
            entity_refs(told, sink)?;
        }
        sink.resource_done();
        for scope in list(resource, scopes)? {
            let scope = object(scope, scopes)?;
            sink.scope();
            if let Some(told) = scope.get("scope").filter(|s| !s.is_null()) {
                let told = object(told, "scope")?;
                for (key, name) in [("name", "scope.name"), ("version", "scope.version")] {
                    if let Some(Value::String(s)) = told.get(key).filter(|v| v.as_str() != Some("")) {
                        sink.attribute(Level::Scope, name.as_bytes(), 0, super::Raw::Text(s.as_bytes()));
                    }
                }
                attributes(told, Level::Scope, sink)?;
            }
            for one in list(scope, items)? {
                let one = object(one, items)?;
                sink.begin();
                match item(one, sink) {
                    Ok(()) => {}
                    Err(Wrong::Item(detail)) => sink.unreadable(detail),
                    Err(Wrong::Request(m)) => return Err(m),
                }
            }
        }
    }
    Ok(())
}

fn entity_refs<'a, S: Sink<'a>>(resource: &'a Object, sink: &mut S) -> Result<(), Malformed> {
    let mut references = Vec::new();
    for reference in list(resource, "entityRefs")? {
        references.push(entities::json(object(reference, "entityRefs")?));
    }
    if references.is_empty() {
        return Ok(());
    }
    let mut told: FxHashMap<&[u8], &Value> = FxHashMap::default();
    for entry in list(resource, "attributes")? {
        let (Some(Value::String(key)), Some(value)) = (entry.get("key"), entry.get("value")) else {
            continue;
        };
        told.insert(key.as_bytes(), value);
    }
    entities::tell(&references, &told, sink, |value, key, sink| {
        attribute(value, Level::Entity, key, 0, 0, sink)
    })
}

fn span<'a, S: Sink<'a>>(o: &'a Object, sink: &mut S) -> Result<(), Wrong> {
    let status = match o.get("status") {
        Some(Value::Object(s)) => code(s, "code", "STATUS_CODE_", &["UNSET", "OK", "ERROR"])?,
        _ => 0,
    };
    let head = SpanHead {
        trace: id::<16>(o, "traceId")?,
        span: id::<8>(o, "spanId")?,
        parent: id::<8>(o, "parentSpanId")?,
        name: text(o, "name")?,
        kind: code(
            o,
            "kind",
            "SPAN_KIND_",
            &["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"],
        )?,
        start: unsigned(o, "startTimeUnixNano")?,
        end: unsigned(o, "endTimeUnixNano")?,
        status,
        shared: false,
    };
    attributes(o, Level::Item, sink)?;
    if sink.span(&head) {
        for event in list(o, "events")? {
            let event = object(event, "events")?;
            let (Ok(name), Ok(time)) = (text(event, "name"), unsigned(event, "timeUnixNano")) else {
                continue;
            };
            sink.begin_event();
            attributes(event, Level::Event, sink)?;
            sink.event(name, time);
        }
    }
    Ok(())
}

/// An enumeration: its number, or its name with or without the prefix.
fn code(o: &Object, key: &str, prefix: &str, names: &[&str]) -> Result<i64, Wrong> {
    let Some(Value::String(s)) = o.get(key) else { return integer(o, key) };
    let short = s.strip_prefix(prefix).unwrap_or(s);
    match names.iter().position(|n| *n == short) {
        Some(i) => Ok(i64::try_from(i).unwrap_or(0)),
        None => integer(o, key),
    }
}

fn record<'a, S: Sink<'a>>(o: &'a Object, sink: &mut S) -> Result<(), Wrong> {
    let head = LogHead {
        time: unsigned(o, "timeUnixNano")?,
        observed: unsigned(o, "observedTimeUnixNano")?,
        trace: id::<16>(o, "traceId")?,
        span: id::<8>(o, "spanId")?,
        severity: match o.get("severityNumber") {
            Some(Value::String(s)) => severity(s),
            _ => integer(o, "severityNumber")?,
        },
        severity_text: text(o, "severityText")?,
        event_name: text(o, "eventName")?,
    };
    if let Some(body) = o.get("body") {
        attribute(body, Level::Item, b"body", 0, 0, sink)?;
    }
    attributes(o, Level::Item, sink)?;
    sink.log(&head);
    Ok(())
}

/// `SEVERITY_NUMBER_WARN2` is 14: six steps of four.
fn severity(name: &str) -> i64 {
    let short = name.strip_prefix("SEVERITY_NUMBER_").unwrap_or(name);
    let digits = short.trim_start_matches(|c: char| !c.is_ascii_digit());
    let word = short.trim_end_matches(digits);
    let step = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"].iter().position(|w| *w == word);
    match (step, word.is_empty()) {
        (Some(step), _) => i64::try_from(step).unwrap_or(0) * 4 + digits.parse::<i64>().unwrap_or(1),
        (None, true) => digits.parse().unwrap_or(0),
        (None, false) => 0,
    }
}

fn metric<'a, S: Sink<'a>>(o: &'a Object, sink: &mut S) -> Result<(), Wrong> {
    type Read<'a, S> = fn(&'a Object, &mut S) -> Result<Point, Wrong>;
    let kinds: [(&str, Read<'a, S>); 5] = [
        ("gauge", number),
        ("sum", number),
        ("histogram", histogram),
        ("exponentialHistogram", exponential),
        ("summary", summary),
    ];
    let name = text(o, "name")?;
    let Some((data, read)) =
        kinds.iter().find_map(|(k, read)| o.get(*k).filter(|d| !d.is_null()).map(|d| (d, read)))
    else {
        return Err(Wrong::Item(format!("metric {} has no data", String::from_utf8_lossy(name))));
    };
    let data = object(data, "the metric's data")?;
    let temporality = code(
        data,
        "aggregationTemporality",
        "AGGREGATION_TEMPORALITY_",
        &["UNSPECIFIED", "DELTA", "CUMULATIVE"],
    )?;
    let head = MetricHead {
        name,
        unit: text(o, "unit")?,
        temporality: Temporality::from_number(temporality),
        monotonic: data.get("isMonotonic") == Some(&Value::Bool(true)),
    };
    for (i, point) in list(data, "dataPoints")?.enumerate() {
        let point = object(point, "dataPoints")?;
        if i > 0 {
            sink.begin();
        }
        match read(point, sink).and_then(|reading| {
            attributes(point, Level::Item, sink)?;
            Ok(reading)
        }) {
            Ok(point) => sink.point(&head, &point),
            Err(Wrong::Item(detail)) => sink.unreadable(detail),
            Err(other) => return Err(other),
        }
    }
    Ok(())
}

fn point(o: &Object, reading: Reading) -> Result<Point, Wrong> {
    Ok(Point {
        start: unsigned(o, "startTimeUnixNano")?,
        time: unsigned(o, "timeUnixNano")?,
        flags: u32::try_from(unsigned(o, "flags")?).unwrap_or(0),
        reading,
    })
}

fn number<'a, S: Sink<'a>>(o: &'a Object, _: &mut S) -> Result<Point, Wrong> {
    let reading = if o.contains_key("asDouble") {
        Reading::Float(double(o, "asDouble")?.unwrap_or(0.0))
    } else if o.contains_key("asInt") {
        Reading::Int(integer(o, "asInt")?)
    } else {
        Reading::Nothing
    };
    point(o, reading)
}

fn histogram<'a, S: Sink<'a>>(o: &'a Object, _: &mut S) -> Result<Point, Wrong> {
    let reading = Reading::Histogram {
        count: unsigned(o, "count")?,
        sum: double(o, "sum")?,
        counts: json_values::counts(o, "bucketCounts")?,
        bounds: json_values::doubles(o, "explicitBounds")?,
        min: double(o, "min")?,
        max: double(o, "max")?,
    };
    point(o, reading)
}

fn exponential<'a, S: Sink<'a>>(o: &'a Object, _: &mut S) -> Result<Point, Wrong> {
    let buckets = |key: &str| -> Result<(i32, Vec<u64>), Wrong> {
        let Some(Value::Object(b)) = o.get(key) else { return Ok((0, Vec::new())) };
        Ok((i32::try_from(integer(b, "offset")?).unwrap_or(0), json_values::counts(b, "bucketCounts")?))
    };
    let reading = Reading::Exponential {
        count: unsigned(o, "count")?,
        sum: double(o, "sum")?,
        scale: i32::try_from(integer(o, "scale")?).unwrap_or(0),
        zeros: unsigned(o, "zeroCount")?,
        positive: buckets("positive")?,
        negative: buckets("negative")?,
        min: double(o, "min")?,
        max: double(o, "max")?,
    };
    point(o, reading)
}

fn summary<'a, S: Sink<'a>>(o: &'a Object, _: &mut S) -> Result<Point, Wrong> {
    let mut quantiles = Vec::new();
    for q in list(o, "quantileValues")? {
        let q = object(q, "quantileValues")?;
        quantiles.push((double(q, "quantile")?.unwrap_or(0.0), double(q, "value")?.unwrap_or(0.0)));
    }
    let reading =
        Reading::Summary { count: unsigned(o, "count")?, sum: double(o, "sum")?.unwrap_or(0.0), quantiles };
    point(o, reading)
}

impl Id {
    /// From hexadecimal text that should stand for `N` bytes.
    pub(crate) fn from_hex<const N: usize>(hex: &str) -> Id {
        if hex.is_empty() {
            return Id::None;
        }
        if !hex.bytes().all(|b| b.is_ascii_hexdigit()) || hex.len() % 2 == 1 {
            return Id::NotHex;
        }
        if hex.len() != 2 * N {
            return Id::Length(hex.len() / 2);
        }
        u128::from_str_radix(hex, 16).map_or(Id::NotHex, Id::Is)
    }
}
