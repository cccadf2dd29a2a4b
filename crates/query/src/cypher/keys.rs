//! Rows told apart by their values, in the order in which they first came: what DISTINCT has seen, what rows are grouped by.

use super::value::{Value, hashed, same};
use rustc_hash::FxHashMap;

#[derive(Debug)]
struct Row {
    values: Vec<Value>,
    /// The row before that has the same hash, counted from one.
    before: usize,
}

/// Rows, each once. Looking for one makes nothing.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    /// By hash the newest row, counted from one.
    newest: FxHashMap<u64, usize>,
    rows: Vec<Row>,
    /// Where the row was that was last asked for: rows that come one after the other are often the same.
    last: usize,
}

/// Where a row is, or its hash where it is not.
pub(crate) enum Place {
    At(usize),
    New(u64),
}

fn all_same(a: &[Value], b: &[Value]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(x, y)| same(x, y))
}

impl Keys {
    pub(crate) fn place(&mut self, values: &[Value]) -> Place {
        if self.rows.get(self.last).is_some_and(|r| all_same(&r.values, values)) {
            return Place::At(self.last);
        }
        let hash = hashed(values);
        let mut at = self.newest.get(&hash).copied().unwrap_or(0);
        while let Some(row) = at.checked_sub(1).and_then(|i| self.rows.get(i)) {
            if all_same(&row.values, values) {
                self.last = at - 1;
                return Place::At(at - 1);
            }
            at = row.before;
        }
        Place::New(hash)
    }

    /// Adds a row that is not there.
    pub(crate) fn add(&mut self, hash: u64, values: Vec<Value>) -> usize {
        let before = self.newest.insert(hash, self.rows.len() + 1).unwrap_or(0);
        self.rows.push(Row { values, before });
        self.last = self.rows.len() - 1;
        self.last
    }

    /// Puts in the place of a row one that is the same, though it may be written otherwise (`1` and `1.0`).
    pub(crate) fn replace(&mut self, at: usize, values: &[Value]) {
        if let Some(row) = self.rows.get_mut(at) {
            row.values.clone_from_slice(values);
        }
    }

    pub(crate) fn into_rows(self) -> impl Iterator<Item = Vec<Value>> {
        self.rows.into_iter().map(|r| r.values)
    }
}
