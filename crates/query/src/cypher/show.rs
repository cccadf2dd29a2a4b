//! Values as text: what `toString` says, and what tables show.

use super::data::Data;
use super::value::{Map, Value};
use std::fmt::Write as _;

/// A number as openCypher writes it: always with a point or an exponent.
pub(crate) fn float_text(x: f64) -> String {
    if x.is_nan() {
        return "NaN".to_owned();
    }
    if x.is_infinite() {
        return if x > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let size = x.abs();
    if size != 0.0 && !(1e-3..1e7).contains(&size) {
        let text = format!("{x:e}").replace('e', "E");
        let (digits, exponent) = text.split_once('E').unwrap_or((&text, "0"));
        let point = if digits.contains('.') { "" } else { ".0" };
        return format!("{digits}{point}E{exponent}");
    }
    let text = x.to_string();
    if text.contains('.') { text } else { text + ".0" }
}

/// What `toString` says of simple values.
pub(crate) fn plain_text(value: &Value) -> Option<String> {
    Some(match value {
        Value::Bool(b) => b.to_string(),
        Value::Int(i) => i.to_string(),
        Value::Float(x) => float_text(*x),
        Value::Text(t) => t.to_string(),
        Value::Date(d) => d.to_string(),
        Value::LocalTime(t) => t.to_string(),
        Value::Time(t) => t.to_string(),
        Value::LocalDateTime(t) => t.to_string(),
        Value::DateTime(t) => t.to_string(),
        Value::Duration(d) => d.to_string(),
        _ => return None,
    })
}

/// A value as people read it: `(:Service {name: 'ratings'})`, `[:calls]`, `'text'`.
pub fn shown(data: &dyn Data, value: &Value) -> String {
    let mut out = String::new();
    write_value(data, value, &mut out);
    out
}

fn write_value(data: &dyn Data, value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Text(t) => {
            let _ = write!(out, "'{}'", t.replace('\\', "\\\\").replace('\'', "\\'"));
        }
        Value::List(l) => {
            out.push('[');
            for (i, v) in l.iter().enumerate() {
                out.push_str(if i == 0 { "" } else { ", " });
                write_value(data, v, out);
            }
            out.push(']');
        }
        Value::Map(m) => write_map(data, m, out),
        Value::Node(n) => {
            out.push('(');
            for l in data.labels(*n) {
                let _ = write!(out, ":{l}");
            }
            properties(data, &data.node_properties(*n), !data.labels(*n).is_empty(), out);
            out.push(')');
        }
        Value::Edge(e) => {
            let _ = write!(out, "[:{}", data.type_name(data.edge_type(*e)));
            properties(data, &data.edge_properties(*e), true, out);
            out.push(']');
        }
        Value::Path(p) => {
            out.push('<');
            for (i, n) in p.nodes.iter().enumerate() {
                write_value(data, &Value::Node(*n), out);
                let Some(e) = p.edges.get(i) else { continue };
                let forward = data.ends(*e).0 == *n;
                out.push_str(if forward { "-" } else { "<-" });
                write_value(data, &Value::Edge(*e), out);
                out.push_str(if forward { "->" } else { "-" });
            }
            out.push('>');
        }
        Value::Date(_)
        | Value::LocalTime(_)
        | Value::Time(_)
        | Value::LocalDateTime(_)
        | Value::DateTime(_)
        | Value::Duration(_) => {
            let _ = write!(out, "'{}'", plain_text(value).unwrap_or_default());
        }
        Value::Bool(_) | Value::Int(_) | Value::Float(_) => {
            out.push_str(&plain_text(value).unwrap_or_default())
        }
    }
}

fn properties(data: &dyn Data, map: &Map, spaced: bool, out: &mut String) {
    if !map.is_empty() {
        out.push_str(if spaced { " " } else { "" });
        write_map(data, map, out);
    }
}

fn write_map(data: &dyn Data, map: &Map, out: &mut String) {
    out.push('{');
    for (i, (k, v)) in map.iter().enumerate() {
        let _ = write!(out, "{}{k}: ", if i == 0 { "" } else { ", " });
        write_value(data, v, out);
    }
    out.push('}');
}
