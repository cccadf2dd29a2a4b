//! Functions over sketches: `p50`, `p95`, `p99`, `quantile`, and the aggregate `merge_sketch`.

use crate::sketch::{decode, encode};
use datafusion::arrow::array::{Array, ArrayRef, AsArray as _, BinaryArray, Float64Array};
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::{Accumulator, ColumnarValue, Volatility, create_udaf, create_udf};
use datafusion::prelude::SessionContext;
use stats::sketch::Sketch;
use std::sync::Arc;

/// Quantiles with names of their own.
const NAMED: [(&str, f64); 3] = [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)];

pub(crate) fn register(context: &SessionContext) {
    for (name, q) in NAMED {
        let run = move |args: &[ColumnarValue]| {
            let arrays = ColumnarValue::values_to_arrays(args)?;
            let [sketches] = arrays.as_slice() else { return exec_err!("{name} takes one sketch") };
            Ok(ColumnarValue::Array(quantiles(sketches, |_| Some(q))?))
        };
        let sketch = vec![DataType::Binary];
        context.register_udf(create_udf(
            name,
            sketch,
            DataType::Float64,
            Volatility::Immutable,
            Arc::new(run),
        ));
    }
    let run = |args: &[ColumnarValue]| {
        let arrays = ColumnarValue::values_to_arrays(args)?;
        let [sketches, shares] = arrays.as_slice() else {
            return exec_err!("quantile takes a sketch and a share");
        };
        let shares = shares.as_primitive::<Float64Type>();
        let share = |at: usize| shares.is_valid(at).then(|| shares.value(at));
        if let Some(wrong) = shares.iter().flatten().find(|q| !(0.0..=1.0).contains(q)) {
            return exec_err!("quantile: a share is between 0 and 1, not {wrong}");
        }
        Ok(ColumnarValue::Array(quantiles(sketches, share)?))
    };
    let arguments = vec![DataType::Binary, DataType::Float64];
    context.register_udf(create_udf(
        "quantile",
        arguments,
        DataType::Float64,
        Volatility::Immutable,
        Arc::new(run),
    ));
    context.register_udaf(create_udaf(
        "merge_sketch",
        vec![DataType::Binary],
        Arc::new(DataType::Binary),
        Volatility::Immutable,
        Arc::new(|_| Ok(Box::<Merged>::default())),
        Arc::new(vec![DataType::Binary]),
    ));
}

fn sketch_of(bytes: &[u8]) -> Result<Sketch> {
    match decode(bytes) {
        Some(sketch) => Ok(sketch),
        None => exec_err!(
            "{} bytes that are no sketch; take the column `sketch` or merge_sketch(sketch)",
            bytes.len()
        ),
    }
}

/// A quantile of each sketch; null for none and for an empty one.
fn quantiles(sketches: &ArrayRef, share: impl Fn(usize) -> Option<f64>) -> Result<ArrayRef> {
    let sketches = sketches.as_binary::<i32>();
    let one = |(at, bytes): (usize, Option<&[u8]>)| -> Result<Option<f64>> {
        let (Some(bytes), Some(q)) = (bytes, share(at)) else { return Ok(None) };
        Ok(sketch_of(bytes)?.quantile(q))
    };
    let values = sketches.iter().enumerate().map(one).collect::<Result<Vec<_>>>()?;
    Ok(Arc::new(Float64Array::from(values)))
}

/// Sketches added up; null when there was none.
#[derive(Debug, Default)]
struct Merged {
    sum: Option<Sketch>,
}

impl Merged {
    fn add(&mut self, sketches: &BinaryArray) -> Result<()> {
        for bytes in sketches.iter().flatten() {
            let sketch = sketch_of(bytes)?;
            match &mut self.sum {
                Some(sum) => sum.merge(&sketch),
                None => self.sum = Some(sketch),
            }
        }
        Ok(())
    }

    fn told(&self) -> ScalarValue {
        ScalarValue::Binary(self.sum.as_ref().map(encode))
    }
}

impl Accumulator for Merged {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        values.first().map_or(Ok(()), |v| self.add(v.as_binary::<i32>()))
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(self.told())
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.sum.as_ref().map_or(0, |s| s.parts().len() * size_of::<u64>())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.told()])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }
}
