//! What a query may cost, and what happens when it costs more.

use super::error::Error;
use super::value::Value;
use rustc_hash::FxHashSet;
use serde::Serialize;
use std::sync::Arc;

/// How much a query may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Rows of the answer.
    pub rows: usize,
    /// Bytes of rows, groups and sorted rows kept at any moment, and of any single value.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { rows: 10_000, bytes: 256 << 20 }
    }
}

/// Which limit was hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Budget {
    /// It took too long.
    Time,
    /// There are more rows.
    Rows,
    /// It needs more memory.
    Memory,
}

/// Why a run ended before its end.
#[derive(Debug)]
pub(crate) enum Halt {
    Error(Box<Error>),
    Budget(Budget),
}

impl From<Error> for Halt {
    fn from(e: Error) -> Halt {
        Halt::Error(Box::new(e))
    }
}

/// Bytes of values that are kept; what is shared counts once.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub bytes: usize,
    seen: FxHashSet<usize>,
}

impl Kept {
    /// Counts a value that is kept from now on.
    pub(crate) fn add(&mut self, value: &Value) {
        self.bytes += size_of::<Value>();
        let address = match value {
            Value::List(l) => Arc::as_ptr(l).addr(),
            Value::Map(m) => Arc::as_ptr(m).addr(),
            Value::Text(t) => t.as_ptr().addr(),
            Value::Path(p) => Arc::as_ptr(p).addr(),
            _ => return,
        };
        if !self.seen.insert(address) {
            return;
        }
        self.bytes += 16;
        match value {
            Value::List(l) => l.iter().for_each(|v| self.add(v)),
            Value::Map(m) => m.iter().for_each(|(k, v)| {
                self.bytes += k.len() + 32;
                self.add(v);
            }),
            Value::Text(t) => self.bytes += t.len(),
            Value::Path(p) => self.bytes += 4 * (p.nodes.len() + p.edges.len()),
            _ => {}
        }
    }
}

/// The bytes of a new value itself, what it shares with others left out.
pub(crate) fn shallow(value: &Value) -> usize {
    const HEAD: usize = size_of::<Value>();
    HEAD + match value {
        Value::Text(t) => t.len(),
        Value::List(l) => HEAD * l.len(),
        Value::Map(m) => 2 * HEAD * m.len(),
        _ => 0,
    }
}
