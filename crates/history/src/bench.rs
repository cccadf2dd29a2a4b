//! A table of interactions of any size, and the same question to it through our tables and through plain DataFusion: for benchmarks.

use crate::chart::{Chart, Column, Layout, What};
use crate::delta::{Log, NotCommitted, Part, Replacing, added};
use crate::error::{HistoryError, SqlError, first_line};
use crate::file::Output;
use crate::format::BATCH_ROWS;
use crate::hour::{Hour, day_text};
use crate::place::Place;
use crate::sql::{Answer, Bounds};
use crate::table::Table;
use arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray, new_null_array};
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use ontology::{Ontology, Time};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// What is asked: how many sessions of each version, model and place there were, how many ended, and when last.
pub const QUESTION: &str = "select app_version, device_model, place, count(*) as n, count(ended_at) as ended, max(ended_at) as last \
    from interactions where class = 'Interaction' group by app_version, device_model, place order by n desc, 1, 2, 3 limit 20";

/// The same numbers in the same order on every machine: a multiplicative congruential generator (Knuth's MMIX constants).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    /// Small numbers often, large ones seldom, below `most`.
    fn skewed(&mut self, most: u64) -> u64 {
        let (a, b) = (self.next() % most + 1, self.next() % most + 1);
        a.min(b).min(self.next() % most + 1) - 1
    }
}

/// Values of a dimension: what its names begin with, and how many there are.
const DIMENSIONS: &[(&str, &str, u64)] = &[
    ("app", "app", 5),
    ("app_version", "app/8.", 40),
    ("device_model", "maker/model ", 300),
    ("place", "P", 60),
    ("isp", "AS", 200),
    ("view", "view", 12),
];

/// Makes the table `interactions` with so many rows over a day, unless it is there.
///
/// # Errors
/// When the place does not take it.
pub async fn make(place: &Place, ontology: &Ontology, rows: u64) -> Result<(), HistoryError> {
    let table = Table::Interactions;
    let chart = Chart::new(ontology);
    let schema = chart.file_schema(table, Layout::File);
    let mut log = Log::make(place, table, &schema).await?;
    if !log.files.is_empty() {
        return Ok(());
    }
    let day = Hour::at(Time::from_secs(1_790_000_000)).day();
    let mut numbers = Numbers(1);
    let mut commit = Vec::new();
    for of_day in 0..24_u64 {
        let hour = Hour(day * 24 + i64::try_from(of_day).unwrap_or(0));
        let hours = BTreeMap::from([(hour, Part { digest: Some(format!("bench-{of_day}")) })]);
        let path = format!("day={}/{of_day:02}-bench.parquet", day_text(day));
        let mut output = Output::begin(place, table, path.clone(), &schema)?;
        let mut left = rows / 24 + u64::from(of_day < rows % 24);
        while left > 0 {
            let count = left.min(BATCH_ROWS as u64);
            let arrays = chart.columns(table).iter().map(|c| column(c, hour, count, &mut numbers)).collect();
            let batch = RecordBatch::try_new(Arc::clone(&schema), arrays);
            output.add(&batch.map_err(|e| HistoryError::rows(table, first_line(e)))?).await?;
            left -= count;
        }
        let (size, stats) = output.end().await?;
        commit.push(added(path, size, day, &hours, stats.json(), 0));
    }
    match log.replace(&[], commit, &schema, Replacing::Rows).await {
        Ok(()) => Ok(()),
        Err(NotCommitted::Failed(e)) => Err(e),
        Err(NotCommitted::Overtaken) => {
            Err(HistoryError::Contended { table: table.name(), place: place.label().to_owned(), times: 1 })
        }
    }
}

fn column(column: &Column, hour: Hour, count: u64, numbers: &mut Numbers) -> ArrayRef {
    let begin = hour.first().start().nanos().div_euclid(1_000);
    let minute = |numbers: &mut Numbers| i64::try_from(numbers.next() % 60).unwrap_or(0) * 60_000_000;
    match column.what {
        What::Time => {
            let all = (0..count).map(|_| Some(begin + minute(numbers)));
            Arc::new(all.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
        }
        What::SeenTo | What::Ended => {
            let all = (0..count).map(|_| {
                (!numbers.next().is_multiple_of(10)).then(|| begin + 3_600_000_000 + minute(numbers))
            });
            Arc::new(all.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
        }
        What::Class => {
            let all = (0..count)
                .map(|_| Some(if numbers.next().is_multiple_of(8) { "Session" } else { "Interaction" }));
            Arc::new(all.collect::<StringArray>())
        }
        What::Id => {
            let all = (0..count).map(|_| Some(format!("{:016x}", numbers.next() << 31 | numbers.next())));
            Arc::new(all.collect::<StringArray>())
        }
        _ => match DIMENSIONS.iter().find(|d| d.0 == column.name) {
            Some((_, prefix, most)) => {
                let all = (0..count).map(|_| Some(format!("{prefix}{}", numbers.skewed(*most))));
                Arc::new(all.collect::<StringArray>())
            }
            None => {
                let of = column.field(Layout::File);
                new_null_array(of.data_type(), usize::try_from(count).unwrap_or(0))
            }
        },
    }
}

/// Asks plain DataFusion over the same files, as one would without us.
///
/// # Errors
/// When it cannot.
pub async fn plain(folder: &Path, query: &str, bounds: &Bounds) -> Result<Answer, SqlError> {
    let failed = |e: datafusion::error::DataFusionError| SqlError::Failed(first_line(e));
    let context =
        SessionContext::new_with_config(SessionConfig::new().with_target_partitions(bounds.threads.max(1)));
    let options = ParquetReadOptions::default()
        .table_partition_cols(vec![(crate::chart::DAY.to_owned(), arrow::datatypes::DataType::Date32)]);
    let table = Table::Interactions.name();
    let at = folder.join(table).display().to_string();
    context.register_parquet(table, at, options).await.map_err(failed)?;
    let frame = context.sql(query).await.map_err(failed)?;
    let columns = frame.schema().fields().iter().map(|f| f.name().clone()).collect();
    let mut rows = Vec::new();
    for batch in frame.collect().await.map_err(failed)? {
        crate::sql::rows(&batch, &mut rows).map_err(|e| SqlError::Failed(first_line(e)))?;
    }
    Ok(Answer { columns, rows, truncated: None })
}
