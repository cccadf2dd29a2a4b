//! Attributes from protobuf: key and AnyValue, lists and maps flattened to dotted names.

use super::{DEPTH, Level, Raw, Sink, entities, too_deep};
use crate::Malformed;
use crate::proto::{Reader, Wired};
use rustc_hash::FxHashMap;

/// A `KeyValue` message.
#[inline]
pub(crate) fn attribute<'a>(
    bytes: &'a [u8],
    level: Level,
    sink: &mut impl Sink<'a>,
) -> Result<(), Malformed> {
    if let Some((key, value)) = plain(bytes) {
        return match value {
            [0x0a, length @ 0..0x80, text @ ..] if usize::from(*length) == text.len() => {
                sink.attribute(level, key, 0, Raw::Text(text));
                Ok(())
            }
            other => any_value(other, level, key, 0, 0, sink),
        };
    }
    let (key, value) = key_and_value(bytes)?;
    any_value(value, level, key, 0, 0, sink)
}

fn key_and_value(bytes: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let (mut key, mut value): (&[u8], &[u8]) = (&[], &[]);
    let mut r = Reader::new(bytes);
    while let Some((number, wired)) = r.next()? {
        match number {
            1 => key = wired.bytes("KeyValue.key")?,
            2 => value = wired.bytes("KeyValue.value")?,
            _ => {}
        }
    }
    Ok((key, value))
}

/// The key and the value of a `KeyValue` as nearly all are: one of each, in this order, each shorter than 128 bytes. Everything
/// other than that is read field by field.
#[inline]
fn plain(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let [0x0a, length @ 0..0x80, rest @ ..] = bytes else { return None };
    let (key, rest) = rest.split_at_checked(usize::from(*length))?;
    let [0x12, length @ 0..0x80, value @ ..] = rest else { return None };
    (usize::from(*length) == value.len()).then_some((key, value))
}

/// An `AnyValue` message under a name.
pub(crate) fn any_value<'a>(
    bytes: &'a [u8],
    level: Level,
    key: &[u8],
    index: u32,
    depth: usize,
    sink: &mut impl Sink<'a>,
) -> Result<(), Malformed> {
    let mut r = Reader::new(bytes);
    let mut last = None;
    while let Some((number, wired)) = r.next()? {
        if (1..=7).contains(&number) {
            // A oneof: the last one said is the one meant.
            last = Some((number, wired));
        }
    }
    let Some((number, wired)) = last else { return Ok(()) };
    match number {
        1 => sink.attribute(level, key, index, Raw::Text(wired.bytes("AnyValue.string_value")?)),
        2 => sink.attribute(level, key, index, Raw::Bool(wired.varint("AnyValue.bool_value")? != 0)),
        3 => sink.attribute(level, key, index, Raw::Int(wired.varint("AnyValue.int_value")?.cast_signed())),
        4 => sink.attribute(level, key, index, Raw::Float(wired.double("AnyValue.double_value")?)),
        5 => list(wired.bytes("AnyValue.array_value")?, level, key, depth, sink)?,
        6 => map(wired.bytes("AnyValue.kvlist_value")?, level, key, index, depth, sink)?,
        // Bytes have no meaning that a mapping could name.
        _ => drop(wired.bytes("AnyValue.bytes_value")?),
    }
    Ok(())
}

fn list<'a>(
    bytes: &'a [u8],
    level: Level,
    key: &[u8],
    depth: usize,
    sink: &mut impl Sink<'a>,
) -> Result<(), Malformed> {
    if depth >= DEPTH {
        return Err(too_deep());
    }
    let mut r = Reader::new(bytes);
    let mut index = 0;
    while let Some((number, wired)) = r.next()? {
        if number == 1 {
            any_value(wired.bytes("ArrayValue.values")?, level, key, index, depth + 1, sink)?;
            index += 1;
        }
    }
    Ok(())
}

fn map<'a>(
    bytes: &'a [u8],
    level: Level,
    key: &[u8],
    index: u32,
    depth: usize,
    sink: &mut impl Sink<'a>,
) -> Result<(), Malformed> {
    if depth >= DEPTH {
        return Err(too_deep());
    }
    let mut r = Reader::new(bytes);
    let mut name = Vec::with_capacity(key.len() + 24);
    while let Some((number, wired)) = r.next()? {
        if number != 1 {
            continue;
        }
        let (mut part, mut value): (&[u8], &[u8]) = (&[], &[]);
        let mut entry = Reader::new(wired.bytes("KeyValueList.values")?);
        while let Some((number, wired)) = entry.next()? {
            match (number, wired) {
                (1, Wired::Bytes(b)) => part = b,
                (2, Wired::Bytes(b)) => value = b,
                (1 | 2, other) => drop(other.bytes("KeyValue")?),
                _ => {}
            }
        }
        name.clear();
        name.extend_from_slice(key);
        if !key.is_empty() {
            name.push(b'.');
        }
        name.extend_from_slice(part);
        any_value(value, level, &name, index, depth + 1, sink)?;
    }
    Ok(())
}

/// A `Resource` message, told to the sink unless it knows these bytes.
pub(crate) fn resource<'a>(bytes: &'a [u8], sink: &mut impl Sink<'a>) -> Result<(), Malformed> {
    if sink.resource(Some(bytes)) {
        return Ok(());
    }
    parts_of_resource(&[bytes], sink)?;
    sink.resource_done();
    Ok(())
}

/// The attributes of a `Resource` message, which may come in parts, then the entities that it refers to.
fn parts_of_resource<'a, S: Sink<'a>>(parts: &[&'a [u8]], sink: &mut S) -> Result<(), Malformed> {
    let mut references = Vec::new();
    for part in parts {
        let mut r = Reader::new(part);
        while let Some((number, wired)) = r.next()? {
            match number {
                1 => attribute(wired.bytes("Resource.attributes")?, Level::Resource, sink)?,
                3 => references.push(entities::proto(wired.bytes("Resource.entity_refs")?)?),
                _ => {}
            }
        }
    }
    if references.is_empty() {
        return Ok(());
    }
    let mut attributes = FxHashMap::default();
    for part in parts {
        let mut r = Reader::new(part);
        while let Some((number, wired)) = r.next()? {
            if number == 1 {
                let (key, value) = key_and_value(wired.bytes("Resource.attributes")?)?;
                attributes.insert(key, value);
            }
        }
    }
    entities::tell(&references, &attributes, sink, |value, key, sink| {
        any_value(value, Level::Entity, key, 0, 0, sink)
    })
}

/// An `InstrumentationScope` message.
pub(crate) fn scope<'a>(bytes: &'a [u8], sink: &mut impl Sink<'a>) -> Result<(), Malformed> {
    sink.scope();
    let mut r = Reader::new(bytes);
    while let Some((number, wired)) = r.next()? {
        match number {
            1 => sink.attribute(Level::Scope, b"scope.name", 0, Raw::Text(wired.bytes("Scope.name")?)),
            2 => sink.attribute(Level::Scope, b"scope.version", 0, Raw::Text(wired.bytes("Scope.version")?)),
            3 => attribute(wired.bytes("Scope.attributes")?, Level::Scope, sink)?,
            _ => {}
        }
    }
    Ok(())
}

/// Walks `Export*ServiceRequest` → `Resource*` → `Scope*`, which all three signals number alike, and calls `item` with each
/// item's bytes.
pub(crate) fn request<'a, S: Sink<'a>>(
    body: &'a [u8],
    sink: &mut S,
    item: fn(&'a [u8], &mut S) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let mut request = Reader::new(body);
    while let Some((number, wired)) = request.next()? {
        if number != 1 {
            continue;
        }
        let bytes = wired.bytes("the request's list of resources")?;
        // Fields may come in any order and the items need their resource, so it is looked for first.
        let mut told = Vec::new();
        let mut r = Reader::new(bytes);
        while let Some((number, wired)) = r.next()? {
            if number == 1 {
                told.push(wired.bytes("resource")?);
            }
        }
        match told.as_slice() {
            [] => resource(&[], sink)?,
            [one] => resource(one, sink)?,
            // Protobuf merges a message that is told in parts.
            parts => {
                sink.resource(None);
                parts_of_resource(parts, sink)?;
                sink.resource_done();
            }
        }
        let mut r = Reader::new(bytes);
        while let Some((number, wired)) = r.next()? {
            if number == 2 {
                scoped(wired.bytes("the resource's list of scopes")?, sink, item)?;
            }
        }
    }
    Ok(())
}

fn scoped<'a, S: Sink<'a>>(
    bytes: &'a [u8],
    sink: &mut S,
    item: fn(&'a [u8], &mut S) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    sink.scope();
    let mut r = Reader::new(bytes);
    while let Some((number, wired)) = r.next()? {
        if number == 1 {
            scope(wired.bytes("scope")?, sink)?;
        }
    }
    let mut r = Reader::new(bytes);
    while let Some((number, wired)) = r.next()? {
        if number == 2 {
            item(wired.bytes("the scope's list of items")?, sink)?;
        }
    }
    Ok(())
}
