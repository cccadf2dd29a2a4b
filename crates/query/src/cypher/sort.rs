//! Rows being sorted, of which only the first so many may be wanted.

use super::ast::Order;
use super::budget::Kept;
use super::value::{Value, order};
use std::cmp::Ordering;

/// Rows with what they are sorted by.
#[derive(Debug)]
pub(crate) struct Sorted {
    rows: Vec<(Vec<Value>, Vec<Value>)>,
    /// How many are wanted.
    most: usize,
    orders: Vec<Order>,
    pub kept: Kept,
}

/// More rows than are wanted are held before the rest is let go: sorting them one by one would cost more.
const SLACK: usize = 1024;

impl Sorted {
    pub(crate) fn new(most: usize, orders: Vec<Order>) -> Sorted {
        Sorted { rows: Vec::new(), most, orders, kept: Kept::default() }
    }

    pub(crate) fn push(&mut self, key: Vec<Value>, row: Vec<Value>) {
        if self.most == 0 {
            return;
        }
        key.iter().chain(&row).for_each(|v| self.kept.add(v));
        self.kept.bytes += 2 * size_of::<Vec<Value>>();
        self.rows.push((key, row));
        if self.rows.len() >= self.most.saturating_mul(2).saturating_add(SLACK) {
            self.cut();
            self.kept = Kept::default();
            for (key, row) in &self.rows {
                key.iter().chain(row).for_each(|v| self.kept.add(v));
                self.kept.bytes += 2 * size_of::<Vec<Value>>();
            }
        }
    }

    fn cut(&mut self) {
        let orders = &self.orders;
        // Stable, so that equal rows stay in the order they came.
        self.rows.sort_by(|a, b| {
            let pairs = a.0.iter().zip(&b.0).zip(orders);
            let first = pairs.map(|((x, y), o)| if *o == Order::Up { order(x, y) } else { order(y, x) });
            first.into_iter().find(|o| *o != Ordering::Equal).unwrap_or(Ordering::Equal)
        });
        self.rows.truncate(self.most);
    }

    pub(crate) fn rows(mut self) -> Vec<Vec<Value>> {
        self.cut();
        self.rows.into_iter().map(|r| r.1).collect()
    }
}
