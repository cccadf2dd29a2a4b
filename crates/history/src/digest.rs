//! A number that tells whether rows are the same, in whatever order they come.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};
use rustc_hash::FxHasher;
use std::hash::Hasher as _;

/// Sums the hashes of rows: two numbers of 64 bits, and how many rows there were.
pub(crate) struct Digest {
    converter: RowConverter,
    sums: [u64; 2],
    rows: u64,
    columns: usize,
}

impl Digest {
    pub(crate) fn new(schema: &SchemaRef) -> Result<Digest, ArrowError> {
        let fields = schema.fields().iter().map(|f| SortField::new(f.data_type().clone())).collect();
        Ok(Digest {
            converter: RowConverter::new(fields)?,
            sums: [0; 2],
            rows: 0,
            columns: schema.fields().len(),
        })
    }

    pub(crate) fn add(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let rows = self.converter.convert_columns(batch.columns())?;
        for row in &rows {
            for (seed, sum) in (1_u64..).zip(&mut self.sums) {
                let mut hasher = FxHasher::default();
                hasher.write_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
                hasher.write(row.as_ref());
                *sum = sum.wrapping_add(hasher.finish());
            }
        }
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// The sums and of how many columns they are: rows that were given further columns since have others.
    pub(crate) fn text(&self) -> String {
        let [a, b] = self.sums;
        format!("{a:016x}{b:016x}-{}", self.columns)
    }

    /// Whether what was noted of some rows is of the columns that this one is of.
    pub(crate) fn compares_with(&self, text: &str) -> bool {
        text.rsplit_once('-').is_some_and(|(_, columns)| columns == self.columns.to_string())
    }
}
