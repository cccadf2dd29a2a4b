//! What a commit tells of a file so that readers can leave it out: how many rows, least and greatest values, how many are null.

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::compute::{max, max_string, min, min_string};
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use ontology::Time;
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;

/// Texts longer than this are told of by nobody: a greatest value may not be cut short.
const LONGEST: usize = 64;

/// Least and greatest value of a column.
#[derive(Clone, Debug, PartialEq)]
enum Ends {
    Time(i64, i64),
    Text(String, String),
    /// Some value is too long to be told.
    Untold,
}

/// The statistics of one file.
#[derive(Debug, Default)]
pub(crate) struct FileStats {
    rows: u64,
    nulls: BTreeMap<String, u64>,
    ends: BTreeMap<String, Ends>,
}

impl FileStats {
    pub(crate) fn add(&mut self, batch: &RecordBatch) {
        self.rows += batch.num_rows() as u64;
        for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
            let found = match field.data_type() {
                DataType::Timestamp(TimeUnit::Microsecond, _) => {
                    let array = array.as_primitive::<TimestampMicrosecondType>();
                    min(array).zip(max(array)).map(|(a, b)| Ends::Time(a, b))
                }
                DataType::Utf8 => {
                    let array = array.as_string::<i32>();
                    min_string(array).zip(max_string(array)).map(|(a, b)| match a.len().max(b.len()) {
                        0..=LONGEST => Ends::Text(a.to_owned(), b.to_owned()),
                        _ => Ends::Untold,
                    })
                }
                _ => continue,
            };
            *self.nulls.entry(field.name().clone()).or_default() += array.null_count() as u64;
            if let Some(found) = found {
                let known = self.ends.remove(field.name());
                let both = match (known, found) {
                    (None, found) => found,
                    (Some(Ends::Time(a, b)), Ends::Time(c, d)) => Ends::Time(a.min(c), b.max(d)),
                    (Some(Ends::Text(a, b)), Ends::Text(c, d)) => Ends::Text(a.min(c), b.max(d)),
                    _ => Ends::Untold,
                };
                self.ends.insert(field.name().clone(), both);
            }
        }
    }

    /// As Delta's protocol writes them.
    pub(crate) fn json(&self) -> String {
        let moment = |micros: i64, up: bool| {
            let millis = if up {
                micros.div_euclid(1_000) + i64::from(micros.rem_euclid(1_000) != 0)
            } else {
                micros.div_euclid(1_000)
            };
            let secs = Time::from_secs(millis.div_euclid(1_000)).to_string();
            format!("{}.{:03}Z", secs.trim_end_matches('Z'), millis.rem_euclid(1_000))
        };
        let (mut least, mut greatest) = (Map::new(), Map::new());
        for (name, ends) in &self.ends {
            let (a, b): (Json, Json) = match ends {
                Ends::Time(a, b) => (moment(*a, false).into(), moment(*b, true).into()),
                Ends::Text(a, b) => (a.as_str().into(), b.as_str().into()),
                Ends::Untold => continue,
            };
            least.insert(name.clone(), a);
            greatest.insert(name.clone(), b);
        }
        json!({"numRecords": self.rows, "minValues": least, "maxValues": greatest, "nullCount": self.nulls})
            .to_string()
    }
}

/// Rows, and least and greatest `time` in microseconds, that a commit tells of a file.
pub(crate) fn told(stats: &str, column: &str) -> (Option<u64>, Option<(i64, i64)>) {
    let Ok(stats) = serde_json::from_str::<Json>(stats) else { return (None, None) };
    let time = |of: &str| {
        let text = stats.get(of)?.get(column)?.as_str()?;
        Time::parse(text).ok().map(|t| t.nanos().div_euclid(1_000))
    };
    (stats.get("numRecords").and_then(Json::as_u64), time("minValues").zip(time("maxValues")))
}
