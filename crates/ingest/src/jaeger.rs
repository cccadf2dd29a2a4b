//! Jaeger spans from protobuf (`jaeger.api_v2`), told as OpenTelemetry's translation of Jaeger says them.
//!
//! The process is the resource, tags keep their types, logs are events, the first CHILD_OF reference of the same trace (else
//! the first FOLLOWS_FROM) is the parent.

use crate::Malformed;
use crate::otlp::{Id, Level, Raw, Sink, SpanHead};
use crate::proto::Reader;
use std::collections::BTreeMap;

/// A `PostSpansRequest`.
pub(crate) fn read<'a>(body: &'a [u8], sink: &mut impl Sink<'a>) -> Result<(), Malformed> {
    let mut r = Reader::new(body);
    while let Some((number, wired)) = r.next()? {
        if number == 1 {
            batch(wired.bytes("PostSpansRequest.batch")?, sink)?;
        }
    }
    Ok(())
}

fn batch<'a>(bytes: &'a [u8], sink: &mut impl Sink<'a>) -> Result<(), Malformed> {
    let mut spans = Vec::new();
    let mut common: &[u8] = &[];
    let mut r = Reader::new(bytes);
    while let Some((number, wired)) = r.next()? {
        match number {
            1 => spans.push(wired.bytes("Batch.spans")?),
            2 => common = wired.bytes("Batch.process")?,
            _ => {}
        }
    }
    // A resource is told once for all of its spans; a span may name a process of its own.
    let mut processes: BTreeMap<&[u8], Vec<&[u8]>> = BTreeMap::new();
    for span in spans {
        processes.entry(own_process(span)?.unwrap_or(common)).or_default().push(span);
    }
    for (told, spans) in processes {
        process(told, sink)?;
        for one in spans {
            span(one, sink)?;
        }
    }
    Ok(())
}

fn own_process(span: &[u8]) -> Result<Option<&[u8]>, Malformed> {
    let mut own = None;
    let mut r = Reader::new(span);
    while let Some((number, wired)) = r.next()? {
        if number == 10 {
            own = Some(wired.bytes("Span.process")?);
        }
    }
    Ok(own)
}

fn process<'a>(bytes: &'a [u8], sink: &mut impl Sink<'a>) -> Result<(), Malformed> {
    sink.resource(None);
    let mut r = Reader::new(bytes);
    while let Some((number, wired)) = r.next()? {
        match number {
            1 => {
                let name = wired.bytes("Process.service_name")?;
                sink.attribute(Level::Resource, b"service.name", 0, Raw::Text(name));
            }
            2 => {
                let (key, value) = key_value(wired.bytes("Process.tags")?)?;
                let key: &[u8] = if key == b"hostname" { b"host.name" } else { key };
                if let Some(value) = value {
                    sink.attribute(Level::Resource, key, 0, value);
                }
            }
            _ => {}
        }
    }
    sink.resource_done();
    sink.scope();
    Ok(())
}

fn span<'a>(bytes: &'a [u8], sink: &mut impl Sink<'a>) -> Result<(), Malformed> {
    sink.begin();
    let mut head = SpanHead { kind: 1, ..SpanHead::EMPTY };
    let (mut start, mut lasted) = ((0, 0), (0, 0));
    let (mut references, mut logs) = (Vec::new(), Vec::new());
    let mut r = Reader::new(bytes);
    while let Some((number, wired)) = r.next()? {
        match number {
            1 => head.trace = trace(wired.bytes("Span.trace_id")?),
            2 => head.span = Id::read::<8>(wired.bytes("Span.span_id")?),
            3 => head.name = wired.bytes("Span.operation_name")?,
            4 => references.push(reference(wired.bytes("Span.references")?)?),
            6 => start = seconds(wired.bytes("Span.start_time")?)?,
            7 => lasted = seconds(wired.bytes("Span.duration")?)?,
            8 => {
                let (key, value) = key_value(wired.bytes("Span.tags")?)?;
                if let Some(value) = value {
                    tag(key, value, &mut head, sink);
                }
            }
            9 => logs.push(wired.bytes("Span.logs")?),
            _ => {}
        }
    }
    let same_trace = references.iter().filter(|r| r.trace == head.trace || r.trace == Id::None);
    // CHILD_OF is 0.
    if let Some(parent) = same_trace.min_by_key(|r| r.kind) {
        head.parent = parent.span;
    }
    let (from, lasted) = (nanos(start), nanos(lasted));
    let Some((from, to)) = from.zip(lasted).and_then(|(f, l)| Some((f, f.checked_add(l)?))) else {
        sink.unreadable(format!(
            "span `{}` has a time that is negative or beyond the year 2500",
            String::from_utf8_lossy(head.name)
        ));
        return Ok(());
    };
    (head.start, head.end) = (from, to);
    if sink.span(&head) {
        for bytes in logs {
            event(bytes, sink)?;
        }
    }
    Ok(())
}

/// One tag; what OpenTelemetry defines for Jaeger's tags goes where it belongs.
fn tag<'a>(key: &'a [u8], value: Raw<'a>, head: &mut SpanHead<'a>, sink: &mut impl Sink<'a>) {
    match (key, value) {
        (b"span.kind", Raw::Text(kind)) => {
            head.kind = match kind {
                b"server" => 2,
                b"client" => 3,
                b"producer" => 4,
                b"consumer" => 5,
                _ => 1,
            };
        }
        (b"otel.status_code", Raw::Text(code)) => {
            head.status = match code {
                b"OK" => 1,
                b"ERROR" => 2,
                _ => head.status,
            };
        }
        (b"error", Raw::Bool(true) | Raw::Text(b"true")) => head.status = 2,
        (b"error", Raw::Bool(false) | Raw::Text(b"false")) => {}
        (b"otel.scope.name" | b"otel.library.name", value) => {
            sink.attribute(Level::Item, b"scope.name", 0, value)
        }
        (b"otel.scope.version" | b"otel.library.version", value) => {
            sink.attribute(Level::Item, b"scope.version", 0, value);
        }
        (key, value) => sink.attribute(Level::Item, key, 0, value),
    }
}

/// A log of OpenTracing: its field `event` is the event's name, its error fields those of OpenTelemetry's exceptions.
fn event<'a>(bytes: &'a [u8], sink: &mut impl Sink<'a>) -> Result<(), Malformed> {
    sink.begin_event();
    let (mut at, mut name, mut message): (_, &[u8], &[u8]) = ((0, 0), &[], &[]);
    let mut r = Reader::new(bytes);
    while let Some((number, wired)) = r.next()? {
        match number {
            1 => at = seconds(wired.bytes("Log.timestamp")?)?,
            2 => match key_value(wired.bytes("Log.fields")?)? {
                (b"event", Some(Raw::Text(text))) => name = text,
                (b"error.kind", Some(value)) => sink.attribute(Level::Event, b"exception.type", 0, value),
                (b"stack", Some(value)) => sink.attribute(Level::Event, b"exception.stacktrace", 0, value),
                (b"message", Some(Raw::Text(text))) => {
                    message = text;
                    sink.attribute(Level::Event, b"exception.message", 0, Raw::Text(text));
                }
                (key, Some(value)) => sink.attribute(Level::Event, key, 0, value),
                (_, None) => {}
            },
            _ => {}
        }
    }
    if let Some(at) = nanos(at) {
        let name = if name == b"error" { b"exception" } else { name };
        sink.event(if name.is_empty() { message } else { name }, at);
    }
    Ok(())
}

/// A typed tag; `None` for bytes, which have no meaning that a mapping could name.
fn key_value(bytes: &[u8]) -> Result<(&[u8], Option<Raw<'_>>), Malformed> {
    let (mut key, mut text): (&[u8], &[u8]) = (&[], &[]);
    let (mut form, mut flag, mut int, mut float) = (0, false, 0, 0.0);
    let mut r = Reader::new(bytes);
    while let Some((number, wired)) = r.next()? {
        match number {
            1 => key = wired.bytes("KeyValue.key")?,
            2 => form = wired.varint("KeyValue.v_type")?,
            3 => text = wired.bytes("KeyValue.v_str")?,
            4 => flag = wired.varint("KeyValue.v_bool")? != 0,
            5 => int = wired.varint("KeyValue.v_int64")?.cast_signed(),
            6 => float = wired.double("KeyValue.v_float64")?,
            _ => {}
        }
    }
    let value = match form {
        0 => Some(Raw::Text(text)),
        1 => Some(Raw::Bool(flag)),
        2 => Some(Raw::Int(int)),
        3 => Some(Raw::Float(float)),
        _ => None,
    };
    Ok((key, value))
}

struct Reference {
    trace: Id,
    span: Id,
    kind: u64,
}

fn reference(bytes: &[u8]) -> Result<Reference, Malformed> {
    let mut found = Reference { trace: Id::None, span: Id::None, kind: 0 };
    let mut r = Reader::new(bytes);
    while let Some((number, wired)) = r.next()? {
        match number {
            1 => found.trace = trace(wired.bytes("SpanRef.trace_id")?),
            2 => found.span = Id::read::<8>(wired.bytes("SpanRef.span_id")?),
            3 => found.kind = wired.varint("SpanRef.ref_type")?,
            _ => {}
        }
    }
    Ok(found)
}

/// 8 bytes are the lower half of an id whose upper half is zero.
fn trace(bytes: &[u8]) -> Id {
    if bytes.len() == 8 { Id::read::<8>(bytes) } else { Id::read::<16>(bytes) }
}

/// A `Timestamp` or `Duration`: seconds and nanoseconds.
pub(crate) fn seconds(bytes: &[u8]) -> Result<(i64, i64), Malformed> {
    let (mut seconds, mut nanos) = (0, 0);
    let mut r = Reader::new(bytes);
    while let Some((number, wired)) = r.next()? {
        match number {
            1 => seconds = wired.varint("Timestamp.seconds")?.cast_signed(),
            2 => nanos = wired.varint("Timestamp.nanos")?.cast_signed(),
            _ => {}
        }
    }
    Ok((seconds, nanos))
}

/// Nanoseconds, from 0.
pub(crate) fn nanos((seconds, nanos): (i64, i64)) -> Option<u64> {
    u64::try_from(seconds.checked_mul(1_000_000_000)?.checked_add(nanos)?).ok()
}
