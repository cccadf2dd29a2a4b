//! Zipkin v2 spans from protobuf (`zipkin.proto3.ListOfSpans`), told like those from JSON.

use crate::Malformed;
use crate::otlp::{Id, Level, Raw, Sink, SpanHead};
use crate::proto::Reader;
use crate::zipkin::{nanos, service, tag};
use std::collections::BTreeMap;

/// A `ListOfSpans`.
pub(crate) fn read<'a>(body: &'a [u8], sink: &mut impl Sink<'a>) -> Result<(), Malformed> {
    // A resource is told once for all of its spans.
    let mut services: BTreeMap<&[u8], Vec<&[u8]>> = BTreeMap::new();
    let mut r = Reader::new(body);
    while let Some((number, wired)) = r.next()? {
        if number == 1 {
            let span = wired.bytes("ListOfSpans.spans")?;
            services.entry(local_service(span)?).or_default().push(span);
        }
    }
    for (name, spans) in services {
        service(Some(name).filter(|n| !n.is_empty()), sink);
        for one in spans {
            span(one, sink)?;
        }
    }
    Ok(())
}

fn local_service(span: &[u8]) -> Result<&[u8], Malformed> {
    let mut service: &[u8] = &[];
    let mut r = Reader::new(span);
    while let Some((number, wired)) = r.next()? {
        if number == 8 {
            service = endpoint(wired.bytes("Span.local_endpoint")?)?.service;
        }
    }
    Ok(service)
}

#[derive(Default)]
struct Endpoint<'a> {
    service: &'a [u8],
    v4: &'a [u8],
    v6: &'a [u8],
    port: u64,
}

fn span<'a>(bytes: &'a [u8], sink: &mut impl Sink<'a>) -> Result<(), Malformed> {
    let mut head = SpanHead { kind: 1, ..SpanHead::EMPTY };
    let (mut start, mut lasted) = (0, 0);
    let (mut local, mut remote) = (Endpoint::default(), Endpoint::default());
    let (mut tags, mut annotations) = (Vec::new(), Vec::new());
    let mut r = Reader::new(bytes);
    while let Some((number, wired)) = r.next()? {
        match number {
            1 => head.trace = trace(wired.bytes("Span.trace_id")?),
            2 => head.parent = Id::read::<8>(wired.bytes("Span.parent_id")?),
            3 => head.span = Id::read::<8>(wired.bytes("Span.id")?),
            // Zipkin's CLIENT, SERVER, PRODUCER, CONSUMER are 1 to 4.
            4 => {
                head.kind = match wired.varint("Span.kind")? {
                    1 => 3,
                    2 => 2,
                    3 => 4,
                    4 => 5,
                    _ => 1,
                }
            }
            5 => head.name = wired.bytes("Span.name")?,
            6 => start = wired.fixed64("Span.timestamp")?,
            7 => lasted = wired.varint("Span.duration")?,
            8 => local = endpoint(wired.bytes("Span.local_endpoint")?)?,
            9 => remote = endpoint(wired.bytes("Span.remote_endpoint")?)?,
            10 => annotations.push(wired.bytes("Span.annotations")?),
            11 => tags.push(wired.bytes("Span.tags")?),
            13 => head.shared = wired.varint("Span.shared")? != 0,
            _ => {}
        }
    }
    sink.begin();
    match (nanos(start), nanos(start.saturating_add(lasted))) {
        (Ok(from), Ok(to)) => (head.start, head.end) = (from, to),
        (Err(why), _) | (_, Err(why)) => {
            sink.unreadable(why);
            return Ok(());
        }
    }
    if !remote.service.is_empty() {
        sink.attribute(Level::Item, b"peer.service", 0, Raw::Text(remote.service));
    }
    for (e, address, port) in [
        (&local, "network.local.address", "network.local.port"),
        (&remote, "network.peer.address", "network.peer.port"),
    ] {
        if let Some(ip) = ip(e) {
            sink.own_text(Level::Item, address.as_bytes(), 0, ip);
        }
        if e.port > 0 {
            sink.attribute(Level::Item, port.as_bytes(), 0, Raw::Int(e.port.cast_signed()));
        }
    }
    for bytes in tags {
        let (mut key, mut value): (&[u8], &[u8]) = (&[], &[]);
        let mut r = Reader::new(bytes);
        while let Some((number, wired)) = r.next()? {
            match number {
                1 => key = wired.bytes("Span.tags")?,
                2 => value = wired.bytes("Span.tags")?,
                _ => {}
            }
        }
        match (std::str::from_utf8(key), std::str::from_utf8(value)) {
            (Ok(key), Ok(value)) => tag(key, value, &mut head, sink),
            // The sink counts text that is not UTF-8.
            _ => sink.attribute(Level::Item, key, 0, Raw::Text(value)),
        }
    }
    if sink.span(&head) {
        for bytes in annotations {
            annotation(bytes, sink)?;
        }
    }
    Ok(())
}

fn annotation<'a>(bytes: &'a [u8], sink: &mut impl Sink<'a>) -> Result<(), Malformed> {
    let (mut at, mut value): (u64, &[u8]) = (0, &[]);
    let mut r = Reader::new(bytes);
    while let Some((number, wired)) = r.next()? {
        match number {
            1 => at = wired.fixed64("Annotation.timestamp")?,
            2 => value = wired.bytes("Annotation.value")?,
            _ => {}
        }
    }
    if let Ok(at) = nanos(at) {
        sink.begin_event();
        sink.event(value, at);
    }
    Ok(())
}

/// 8 bytes are the lower half of an id whose upper half is zero.
fn trace(bytes: &[u8]) -> Id {
    if bytes.len() == 8 { Id::read::<8>(bytes) } else { Id::read::<16>(bytes) }
}

fn endpoint(bytes: &[u8]) -> Result<Endpoint<'_>, Malformed> {
    let mut e = Endpoint::default();
    let mut r = Reader::new(bytes);
    while let Some((number, wired)) = r.next()? {
        match number {
            1 => e.service = wired.bytes("Endpoint.service_name")?,
            2 => e.v4 = wired.bytes("Endpoint.ipv4")?,
            3 => e.v6 = wired.bytes("Endpoint.ipv6")?,
            4 => e.port = wired.varint("Endpoint.port")?,
            _ => {}
        }
    }
    Ok(e)
}

fn ip(e: &Endpoint<'_>) -> Option<String> {
    let v4 = <[u8; 4]>::try_from(e.v4).ok().map(|b| std::net::Ipv4Addr::from(b).to_string());
    v4.or_else(|| <[u8; 16]>::try_from(e.v6).ok().map(|b| std::net::Ipv6Addr::from(b).to_string()))
}
