//! Which files and which hours a query can leave out, by the time they are of.

use crate::chart::{DAY, TIME};
use crate::hour::Hour;
use crate::rows::micros;
use datafusion::arrow::array::{ArrayRef, BooleanArray, Date32Array, TimestampMicrosecondArray, UInt64Array};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, ScalarValue};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
#[expect(clippy::disallowed_types, reason = "the trait says so; its order is not looked at")]
use std::collections::HashSet;
use std::sync::Arc;

/// What a file or an hour is of: least and greatest `time` in microseconds where it is known, and the day.
#[derive(Clone, Copy, Debug)]
pub(super) struct Of {
    pub(super) time: Option<(i64, i64)>,
    pub(super) day: i64,
}

impl Of {
    pub(super) fn hour(hour: Hour) -> Of {
        Of { time: Some((micros(hour.first().start()), micros(hour.end().start()) - 1)), day: hour.day() }
    }
}

struct Containers<'c>(&'c [Of]);

impl Containers<'_> {
    fn ends(&self, column: &Column, pick: fn((i64, i64)) -> i64) -> Option<ArrayRef> {
        match column.name.as_str() {
            TIME => {
                let all = self.0.iter().map(|of| of.time.map(pick));
                Some(Arc::new(all.collect::<TimestampMicrosecondArray>().with_timezone("UTC")))
            }
            DAY => {
                Some(Arc::new(self.0.iter().map(|of| i32::try_from(of.day).ok()).collect::<Date32Array>()))
            }
            _ => None,
        }
    }
}

#[expect(clippy::disallowed_types, reason = "the trait says so; its order is not looked at")]
impl PruningStatistics for Containers<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.ends(column, |e| e.0)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.ends(column, |e| e.1)
    }

    fn num_containers(&self) -> usize {
        self.0.len()
    }

    fn null_counts(&self, _: &Column) -> Option<ArrayRef> {
        None
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        None::<UInt64Array>.map(|a| Arc::new(a) as ArrayRef)
    }

    fn contained(&self, _: &Column, _: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}

/// Which of these a predicate may be true in. All, where that cannot be said.
pub(super) fn may_hold(
    predicate: Option<&Arc<dyn PhysicalExpr>>,
    schema: &SchemaRef,
    of: &[Of],
) -> Vec<bool> {
    let pruned = predicate.and_then(|p| {
        let pruning =
            PruningPredicateBuilder::new().with_file_schema(Arc::clone(schema)).build(Arc::clone(p))?;
        pruning.prune(&Containers(of)).ok()
    });
    pruned.unwrap_or_else(|| vec![true; of.len()])
}
