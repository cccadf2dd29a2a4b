//! The parts of OTLP/JSON: attributes, numbers that may be text, lists, ids.

use super::json::Wrong;
use super::{DEPTH, Id, Level, Raw, Sink, too_deep};
use crate::Malformed;
use serde_json::{Map, Value};

type Object = Map<String, Value>;

#[cold]
fn not_a(what: &str, expected: &str, value: &Value) -> String {
    let mut shown = value.to_string();
    if let Some((cut, _)) = shown.char_indices().nth(80) {
        shown.truncate(cut);
        shown.push('…');
    }
    format!("`{what}` is not {expected}: {shown}")
}

pub(crate) fn object<'a>(value: &'a Value, what: &str) -> Result<&'a Object, Malformed> {
    value.as_object().ok_or_else(|| Malformed {
        message: format!("this is not the OTLP/JSON that was announced: {}", not_a(what, "an object", value)),
    })
}

/// The elements of a list; none when it is absent or null.
pub(crate) fn list<'a>(o: &'a Object, key: &str) -> Result<std::slice::Iter<'a, Value>, Malformed> {
    match o.get(key) {
        None | Some(Value::Null) => Ok([].iter()),
        Some(Value::Array(elements)) => Ok(elements.iter()),
        Some(other) => Err(Malformed {
            message: format!("this is not the OTLP/JSON that was announced: {}", not_a(key, "a list", other)),
        }),
    }
}

pub(crate) fn text<'a>(o: &'a Object, key: &str) -> Result<&'a [u8], Wrong> {
    match o.get(key) {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::String(s)) => Ok(s.as_bytes()),
        Some(other) => Err(Wrong::Item(not_a(key, "text", other))),
    }
}

/// A whole number, as a number or as text; 0 when absent.
pub(crate) fn integer(o: &Object, key: &str) -> Result<i64, Wrong> {
    match o.get(key) {
        None | Some(Value::Null) => Ok(0),
        Some(v) => whole(v).ok_or_else(|| Wrong::Item(not_a(key, "a whole number", v))),
    }
}

fn whole(v: &Value) -> Option<i64> {
    match v {
        Value::String(s) => s.parse().ok(),
        Value::Number(n) => n.as_i64().or_else(|| {
            // `1e3` and `5.0` are whole numbers in JSON.
            let f = n.as_f64().filter(|f| f.fract() == 0.0 && f.abs() < 9.0e15)?;
            #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and small")]
            Some(f as i64)
        }),
        _ => None,
    }
}

/// A whole number from 0; 0 when absent.
pub(crate) fn unsigned(o: &Object, key: &str) -> Result<u64, Wrong> {
    match o.get(key) {
        None | Some(Value::Null) => Ok(0),
        Some(v) => natural(v).ok_or_else(|| Wrong::Item(not_a(key, "a whole number from 0", v))),
    }
}

fn natural(v: &Value) -> Option<u64> {
    match v {
        Value::String(s) => s.parse().ok(),
        Value::Number(n) => n.as_u64().or_else(|| whole(v).and_then(|i| u64::try_from(i).ok())),
        _ => None,
    }
}

/// A number, also as text and as `NaN`, `Infinity`; `None` when absent.
pub(crate) fn double(o: &Object, key: &str) -> Result<Option<f64>, Wrong> {
    match o.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(v) => number(v).map(Some).ok_or_else(|| Wrong::Item(not_a(key, "a number", v))),
    }
}

fn number(v: &Value) -> Option<f64> {
    match v {
        Value::Number(n) => n.as_f64(),
        Value::String(s) => match s.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            s => s.parse().ok(),
        },
        _ => None,
    }
}

pub(crate) fn counts(o: &Object, key: &str) -> Result<Vec<u64>, Wrong> {
    list(o, key)?
        .map(|v| natural(v).ok_or_else(|| Wrong::Item(not_a(key, "a list of whole numbers", v))))
        .collect()
}

pub(crate) fn doubles(o: &Object, key: &str) -> Result<Vec<f64>, Wrong> {
    list(o, key)?.map(|v| number(v).ok_or_else(|| Wrong::Item(not_a(key, "a list of numbers", v)))).collect()
}

pub(crate) fn id<const N: usize>(o: &Object, key: &str) -> Result<Id, Wrong> {
    match o.get(key) {
        None | Some(Value::Null) => Ok(Id::None),
        Some(Value::String(s)) => Ok(Id::from_hex::<N>(s)),
        Some(other) => Err(Wrong::Item(not_a(key, "an id in hexadecimal", other))),
    }
}

/// The list `attributes` of an object.
pub(crate) fn attributes<'a>(o: &'a Object, level: Level, sink: &mut impl Sink<'a>) -> Result<(), Malformed> {
    for entry in list(o, "attributes")? {
        let entry = object(entry, "attributes")?;
        let key = entry.get("key").and_then(Value::as_str).unwrap_or_default();
        if let Some(value) = entry.get("value") {
            attribute(value, level, key.as_bytes(), 0, 0, sink)?;
        }
    }
    Ok(())
}

/// An AnyValue under a name.
pub(crate) fn attribute<'a>(
    value: &'a Value,
    level: Level,
    key: &[u8],
    index: u32,
    depth: usize,
    sink: &mut impl Sink<'a>,
) -> Result<(), Malformed> {
    let Value::Object(o) = value else { return Ok(()) };
    if let Some(v) = o.get("stringValue") {
        if let Value::String(s) = v {
            sink.attribute(level, key, index, Raw::Text(s.as_bytes()));
        }
    } else if let Some(v) = o.get("boolValue") {
        if let Value::Bool(b) = v {
            sink.attribute(level, key, index, Raw::Bool(*b));
        }
    } else if let Some(v) = o.get("intValue") {
        if let Some(i) = whole(v) {
            sink.attribute(level, key, index, Raw::Int(i));
        }
    } else if let Some(v) = o.get("doubleValue") {
        if let Some(f) = number(v) {
            sink.attribute(level, key, index, Raw::Float(f));
        }
    } else if let Some(v) = o.get("arrayValue") {
        if depth >= DEPTH {
            return Err(too_deep());
        }
        for (i, v) in list(object(v, "arrayValue")?, "values")?.enumerate() {
            attribute(v, level, key, u32::try_from(i).unwrap_or(u32::MAX), depth + 1, sink)?;
        }
    } else if let Some(v) = o.get("kvlistValue") {
        if depth >= DEPTH {
            return Err(too_deep());
        }
        for entry in list(object(v, "kvlistValue")?, "values")? {
            let entry = object(entry, "kvlistValue")?;
            let part = entry.get("key").and_then(Value::as_str).unwrap_or_default();
            let name =
                if key.is_empty() { part.as_bytes().to_vec() } else { [key, b".", part.as_bytes()].concat() };
            if let Some(value) = entry.get("value") {
                attribute(value, level, &name, index, depth + 1, sink)?;
            }
        }
    }
    Ok(())
}
