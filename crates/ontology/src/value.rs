//! An attribute's value, as facts carry it and answers print it.

use crate::time::Time;
use serde::{Serialize, Serializer};
use std::fmt;
use std::sync::Arc;

/// One value. Text is shared, because the same few values come back millions of times.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text; also version, url, hash and the members of an enumeration.
    Text(Arc<str>),
    /// A whole number; also bytes.
    Int(i64),
    /// A number; also ratio, and duration in seconds.
    Float(f64),
    /// Yes or no.
    Bool(bool),
    /// A moment.
    Time(Time),
}

impl Value {
    /// Text from anything that can be one.
    pub fn text(s: impl AsRef<str>) -> Value {
        Value::Text(Arc::from(s.as_ref()))
    }

    /// The text, when it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(s) => Some(s),
            _ => None,
        }
    }

    /// The number, when it is one (a boolean counts as 0 or 1).
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Int(i) => Some(*i as f64),
            Value::Float(x) => Some(*x),
            Value::Bool(b) => Some(f64::from(u8::from(*b))),
            Value::Text(_) | Value::Time(_) => None,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(s) => f.write_str(s),
            Value::Int(i) => write!(f, "{i}"),
            Value::Float(x) => write!(f, "{x}"),
            Value::Bool(b) => write!(f, "{b}"),
            Value::Time(t) => write!(f, "{t}"),
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Text(t) => s.serialize_str(t),
            Value::Int(i) => s.serialize_i64(*i),
            Value::Float(x) => s.serialize_f64(*x),
            Value::Bool(b) => s.serialize_bool(*b),
            Value::Time(t) => s.collect_str(t),
        }
    }
}
