//! Keeping tables small: the hours of a day become one file, what is too old goes, files that no version needs are deleted.

use crate::chart::{Chart, Layout};
use crate::delta::{DataFile, Log, NotCommitted, Part, Replacing, added, world};
use crate::error::HistoryError;
use crate::file::{Output, read};
use crate::hour::{Hour, day_text};
use crate::place::Place;
use crate::table::Table;
use arrow::datatypes::{Field, Schema, SchemaRef};
use deltalake_core::operations::vacuum::VacuumMode;
use futures::TryStreamExt as _;
use ontology::{Ontology, Time};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Whole days after a day before its hours become one file: until then late facts are usual, and each would have the day written anew.
const COMPACT_AFTER_DAYS: i64 = 2;
/// Files of one day that are worth becoming one.
const WORTH_FILES: usize = 2;

/// How long tables are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keep {
    days: BTreeMap<Table, u32>,
}

impl Default for Keep {
    fn default() -> Keep {
        Keep { days: Table::ALL.into_iter().map(|t| (t, t.days())).collect() }
    }
}

impl Keep {
    /// Keeps a table for so many days.
    #[must_use]
    pub fn with(mut self, table: Table, days: u32) -> Keep {
        self.days.insert(table, days);
        self
    }

    /// How many days a table is kept.
    pub fn days(&self, table: Table) -> u32 {
        self.days.get(&table).copied().unwrap_or_else(|| table.days())
    }
}

/// What keeping tables small did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tidied {
    /// Files that became part of others.
    pub merged: u64,
    /// Files that were too old.
    pub dropped: u64,
    /// Files that no version needs any more, deleted.
    pub deleted: u64,
}

impl Keep {
    /// Tidies every table at a place; `latest` is the last moment that telemetry told of.
    ///
    /// # Errors
    /// When the place does not take it. What was done until then stays.
    pub async fn tidy(
        &self,
        place: &Place,
        ontology: &Ontology,
        latest: Time,
        now: Time,
    ) -> Result<Tidied, HistoryError> {
        let chart = Chart::new(ontology);
        let today = Hour::at(latest).day();
        let mut tidied = Tidied::default();
        for table in Table::ALL {
            let Some(mut log) = Log::open(place, table).await? else { continue };
            tidied.dropped += drop_old(&mut log, &chart, today - i64::from(self.days(table))).await?;
            tidied.merged += merge_days(&mut log, &chart, today - COMPACT_AFTER_DAYS, now).await?;
            // Files that were written and never committed go as well, once nobody can still be about to commit them.
            let vacuum = log.delta().vacuum().with_mode(VacuumMode::Full).await;
            let (_, metrics) = vacuum.map_err(|e| world("deleting files", place, table, &e))?;
            tidied.deleted += metrics.files_deleted.len() as u64;
        }
        Ok(tidied)
    }
}

/// What files of a table hold: what the ontology says and what the table has beyond.
fn all_columns(log: &Log, chart: &Chart) -> SchemaRef {
    let known = chart.file_schema(log.table, Layout::File);
    let mut fields: Vec<Arc<Field>> = known.fields().iter().cloned().collect();
    fields.extend(log.further(&known, Layout::File).into_iter().map(Arc::new));
    Arc::new(Schema::new(fields))
}

/// Drops days before a day.
async fn drop_old(log: &mut Log, chart: &Chart, before: i64) -> Result<u64, HistoryError> {
    let files = log.files.clone();
    let old: Vec<&DataFile> = files.iter().filter(|f| f.day < before).collect();
    if old.is_empty() {
        return Ok(0);
    }
    let columns = all_columns(log, chart);
    match log.replace(&old, Vec::new(), &columns, Replacing::Dropped).await {
        Ok(()) => Ok(old.len() as u64),
        // The next time.
        Err(NotCommitted::Overtaken) => Ok(0),
        Err(NotCommitted::Failed(e)) => Err(e),
    }
}

/// Makes one file of each day before a day.
async fn merge_days(log: &mut Log, chart: &Chart, before: i64, now: Time) -> Result<u64, HistoryError> {
    let mut days: BTreeMap<i64, Vec<DataFile>> = BTreeMap::new();
    for file in log.files.iter().filter(|f| f.day < before) {
        days.entry(file.day).or_default().push(file.clone());
    }
    let columns = all_columns(log, chart);
    let mut merged = 0;
    for (day, mut files) in days {
        let unfinished =
            files.iter().any(|f| f.hours.is_empty() || f.hours.values().any(|p| p.digest.is_none()));
        if files.len() < WORTH_FILES || unfinished {
            continue;
        }
        files.sort_by(|a, b| a.hours.keys().cmp(b.hours.keys()));
        let hours: BTreeMap<Hour, Part> = files.iter().flat_map(|f| f.hours.clone()).collect();
        let path = format!("day={}/day-{:x}.parquet", day_text(day), now.nanos());
        let mut output = Output::begin(log.place(), log.table, path.clone(), &columns)?;
        for file in &files {
            let mut rows = read(log.place(), log.table, (&file.path, file.size), &columns).await?;
            while let Some(batch) = rows.try_next().await? {
                output.add(&batch).await?;
            }
            // Each hour can be left out by its own statistics.
            output.end_group().await?;
        }
        let (size, stats) = output.end().await?;
        let add = added(path, size, day, &hours, stats.json(), now.nanos().div_euclid(1_000_000));
        let gone: Vec<&DataFile> = files.iter().collect();
        match log.replace(&gone, vec![add], &columns, Replacing::Rearranged).await {
            Ok(()) => merged += files.len() as u64,
            Err(NotCommitted::Overtaken) => return Ok(merged),
            Err(NotCommitted::Failed(e)) => return Err(e),
        }
    }
    Ok(merged)
}
