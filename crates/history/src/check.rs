//! Whether tables are whole: every file is read, and its rows are compared with what was committed of it.

use crate::chart::TIME;
use crate::delta::{DataFile, Log};
use crate::digest::Digest;
use crate::error::{HistoryError, first_line};
use crate::file::read_as_written;
use crate::hour::Hour;
use crate::place::Place;
use crate::table::Table;
use arrow::array::{AsArray as _, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::TimestampMicrosecondType;
use futures::TryStreamExt as _;
use ontology::Time;
use serde::Serialize;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// What reading a whole table gave.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// The table.
    pub table: &'static str,
    /// Its files, as its log has them.
    pub files: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Rows that were read.
    pub rows: u64,
    /// Beginning of the first hour, and end of the last.
    pub of: Option<(Time, Time)>,
    /// What is wrong.
    pub damage: Vec<Damage>,
}

/// Something that is not as it was committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// Which file of the table, or its log.
    pub file: String,
    /// What is wrong with it.
    pub why: String,
}

/// Reads every table there is at a place; `progress` is told how many bytes of files were read, and of how many, table by table.
///
/// # Errors
/// When the place cannot be reached. What is damaged is no error, it is said.
pub async fn check(
    place: &Place,
    mut progress: impl FnMut(Table, u64, u64),
) -> Result<Vec<Checked>, HistoryError> {
    let mut tables = Vec::new();
    for table in Table::ALL {
        let mut checked = Checked { table: table.name(), ..Checked::default() };
        let log = match Log::open(place, table).await {
            Ok(Some(log)) => log,
            Ok(None) => continue,
            Err(e @ (HistoryError::Log { .. } | HistoryError::Newer { .. })) => {
                checked.damage.push(Damage { file: "_delta_log".to_owned(), why: e.to_string() });
                tables.push(checked);
                continue;
            }
            Err(e) => return Err(e),
        };
        let hours = log.hours();
        let ends = hours.keys().next().zip(hours.keys().next_back());
        checked.of = ends.map(|(first, last)| (first.first().start(), last.end().start()));
        let all: u64 = log.files.iter().map(|f| f.size).sum();
        for file in &log.files {
            checked.files += 1;
            checked.bytes += file.size;
            match rows(&log, file).await {
                Ok(rows) => checked.rows += rows,
                Err(why) => checked.damage.push(Damage { file: file.path.clone(), why }),
            }
            progress(table, checked.bytes, all);
        }
        tables.push(checked);
    }
    Ok(tables)
}

/// Reads a file: how many rows it has, or what is wrong with it.
async fn rows(log: &Log, file: &DataFile) -> Result<u64, String> {
    let read = read_as_written(log.place(), log.table, (&file.path, file.size)).await;
    let (schema, mut batches) = read.map_err(|e| e.to_string())?;
    let mut digests: BTreeMap<Hour, Digest> = BTreeMap::new();
    let mut rows = 0;
    while let Some(batch) = batches.try_next().await.map_err(|e| e.to_string())? {
        rows += batch.num_rows() as u64;
        let hours = hours_of(&batch).ok_or("it has no column `time`")?;
        for hour in hours.iter().flatten().collect::<BTreeSet<_>>() {
            if !file.hours.contains_key(hour) {
                return Err(format!(
                    "it has rows of {}, which it was not committed for",
                    hour.first().start()
                ));
            }
            let of_hour: BooleanArray = hours.iter().map(|h| Some(h.as_ref() == Some(hour))).collect();
            let part = filter_record_batch(&batch, &of_hour).map_err(first_line)?;
            let digest = match digests.entry(*hour) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(Digest::new(&schema).map_err(first_line)?),
            };
            digest.add(&part).map_err(first_line)?;
        }
    }
    if let Some(told) = file.rows.filter(|told| *told != rows) {
        return Err(format!("{rows} rows were read, {told} were committed"));
    }
    for (hour, part) in &file.hours {
        let Some(committed) = &part.digest else { continue };
        let (read, of) = (digests.get(hour), hour.first().start());
        match read {
            None => return Err(format!("it has no rows of {of}, which it was committed for")),
            Some(read) if read.compares_with(committed) && read.text() != *committed => {
                return Err(format!("its rows of {of} are others than were committed"));
            }
            Some(_) => {}
        }
    }
    Ok(rows)
}

/// The hour of each row.
fn hours_of(batch: &RecordBatch) -> Option<Vec<Option<Hour>>> {
    let time = batch.column_by_name(TIME)?.as_primitive_opt::<TimestampMicrosecondType>()?;
    let hour = |micros: i64| Hour::at(Time::EPOCH.plus_nanos(micros.saturating_mul(1_000)));
    Some(time.iter().map(|t| t.map(hour)).collect())
}
