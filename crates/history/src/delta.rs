//! One table of history as Delta Lake has it: its log, its files, and commits that replace files by others.

use crate::chart::{DAY, day_field, text_field};
use crate::chart::{Layout, TIME};
use crate::error::{HistoryError, first_line, is_missing};
use crate::format::{FORMAT, PROPERTY};
use crate::hour::{Hour, day_of};
use crate::place::Place;
use crate::stats_json::told;
use crate::table::Table;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use deltalake_core::kernel::engine::arrow_conversion::TryIntoKernel as _;
use deltalake_core::kernel::transaction::{CommitBuilder, CommitProperties, TransactionError};
use deltalake_core::kernel::{Action, Add, MetadataExt as _, Remove, StructType};
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use deltalake_core::{DeltaTable, DeltaTableError};
use futures::TryStreamExt as _;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The tag of a file that says which hours are in it: `13:DIGEST` or, of an hour that was not over, `13:part`; several are separated by
/// blanks.
const HOURS: &str = "e2egraph.hours";
/// Days that what was replaced is kept for readers who began before.
const REPLACED: &str = "interval 2 days";

/// One hour within a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// Of its rows; `None` when the hour was not over.
    pub(crate) digest: Option<String>,
}

/// A file of a table.
#[derive(Clone, Debug)]
pub(crate) struct DataFile {
    pub(crate) path: String,
    pub(crate) size: u64,
    pub(crate) day: i64,
    pub(crate) hours: BTreeMap<Hour, Part>,
    pub(crate) rows: Option<u64>,
    /// Least and greatest `time`, microseconds.
    pub(crate) time: Option<(i64, i64)>,
    remove: Remove,
}

impl DataFile {
    /// The action that takes it out of the table.
    pub(crate) fn removed(&self, data_change: bool) -> Action {
        Action::Remove(Remove { data_change, ..self.remove.clone() })
    }
}

/// The tag of some hours.
pub(crate) fn tag(hours: &BTreeMap<Hour, Part>) -> String {
    let one = |(hour, part): (&Hour, &Part)| {
        format!("{:02}:{}", hour.of_day(), part.digest.as_deref().unwrap_or("part"))
    };
    hours.iter().map(one).collect::<Vec<_>>().join(" ")
}

fn read_tag(day: i64, tag: &str) -> BTreeMap<Hour, Part> {
    let one = |word: &str| {
        let (hour, digest) = word.split_once(':')?;
        let hour: i64 = hour.parse().ok().filter(|h| (0..24).contains(h))?;
        let digest = (digest != "part").then(|| digest.to_owned());
        Some((Hour(day * 24 + hour), Part { digest }))
    };
    tag.split(' ').filter_map(one).collect()
}

/// A table that is open at one version.
pub(crate) struct Log {
    pub(crate) table: Table,
    place: Place,
    delta: DeltaTable,
    pub(crate) files: Vec<DataFile>,
}

/// Why a commit did not come about.
pub(crate) enum NotCommitted {
    /// Somebody else was faster; read again and try again.
    Overtaken,
    Failed(HistoryError),
}

impl Log {
    /// Opens a table; `None` when there is none.
    ///
    /// # Errors
    /// When its log cannot be read, or a later version wrote it.
    pub(crate) async fn open(place: &Place, table: Table) -> Result<Option<Log>, HistoryError> {
        let mut log =
            Log { table, place: place.clone(), delta: DeltaTable::new(place.log(table)?), files: Vec::new() };
        // A folder that is not there is told in another way than one without a log.
        match log.delta.log_store().is_delta_table_location().await {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(e) if is_missing(&e) => return Ok(None),
            Err(e) => return Err(log.unreadable(&e)),
        }
        match log.delta.load().await {
            Ok(()) => {}
            Err(e) if is_missing(&e) => return Ok(None),
            Err(e) => return Err(log.unreadable(&e)),
        }
        log.read().await?;
        Ok(Some(log))
    }

    /// Opens a table, or makes it with these columns.
    ///
    /// # Errors
    /// As [`Log::open`], and when it cannot be made.
    pub(crate) async fn make(place: &Place, table: Table, columns: &SchemaRef) -> Result<Log, HistoryError> {
        if let Some(log) = Log::open(place, table).await? {
            return Ok(log);
        }
        place.make()?;
        let failed = |e: &DeltaTableError| world("making the log", place, table, e);
        let schema: StructType = kernel_schema(columns).map_err(|why| HistoryError::rows(table, why))?;
        let made = DeltaTable::new(place.log(table)?)
            .create()
            .with_columns(schema.fields().cloned())
            .with_partition_columns([DAY])
            .with_table_name(table.name())
            .with_comment(table.about())
            .with_configuration([
                (PROPERTY, Some(FORMAT.to_string())),
                ("delta.deletedFileRetentionDuration", Some(REPLACED.to_owned())),
            ])
            .with_raise_if_key_not_exists(false)
            .with_save_mode(SaveMode::Ignore)
            .await;
        if let Err(e) = made
            && !overtaken(&e)
        {
            return Err(failed(&e));
        }
        Log::open(place, table).await?.ok_or_else(|| HistoryError::Log {
            table: table.name(),
            place: place.label().to_owned(),
            why: "it is not there although it was just made".to_owned(),
        })
    }

    /// Reads what others committed since.
    pub(crate) async fn refresh(&mut self) -> Result<(), HistoryError> {
        let before = self.delta.version();
        self.delta.update_state().await.map_err(|e| self.unreadable(&e))?;
        if self.delta.version() != before {
            self.read().await?;
        }
        Ok(())
    }

    async fn read(&mut self) -> Result<(), HistoryError> {
        let unreadable = |e: DeltaTableError| self.unreadable(&e);
        let state = self.delta.snapshot().map_err(unreadable)?;
        if let Some(found) = state.metadata().configuration().get(PROPERTY)
            && found.parse::<u32>().ok().is_none_or(|f| f > FORMAT)
        {
            return Err(HistoryError::Newer {
                table: self.table.name(),
                place: self.place.label().to_owned(),
                found: found.clone(),
                ours: FORMAT,
            });
        }
        let log = self.delta.log_store();
        let views = state.snapshot().file_views(log.as_ref(), None);
        let views: Vec<_> = views.try_collect().await.map_err(unreadable)?;
        let mut files = Vec::with_capacity(views.len());
        for view in views {
            #[expect(deprecated, reason = "nothing else gives the tags of a file")]
            let add = view.add_action();
            let day = add.partition_values.get(DAY).and_then(Option::as_deref).and_then(day_of).unwrap_or(0);
            let tag = add.tags.as_ref().and_then(|t| t.get(HOURS).cloned().flatten()).unwrap_or_default();
            let (rows, time) = add.stats.as_deref().map_or((None, None), |s| told(s, TIME));
            files.push(DataFile {
                path: add.path.clone(),
                size: u64::try_from(add.size).unwrap_or(0),
                day,
                hours: read_tag(day, &tag),
                rows,
                time,
                remove: view.remove_action(true),
            });
        }
        files.sort_by(|a, b| (a.day, a.time, &a.path).cmp(&(b.day, b.time, &b.path)));
        self.files = files;
        Ok(())
    }

    /// The columns of the table's files, in its order; `None` for one of a type that is not ours.
    pub(crate) fn column_names(&self) -> Vec<String> {
        let Ok(state) = self.delta.snapshot() else { return Vec::new() };
        state.schema().fields().map(|f| f.name().clone()).filter(|n| n != DAY).collect()
    }

    /// Columns that the table has and a chart has not, as text.
    pub(crate) fn further(&self, columns: &Schema, layout: Layout) -> Vec<arrow::datatypes::Field> {
        let unknown = |n: &String| columns.field_with_name(n).is_err();
        self.column_names().into_iter().filter(unknown).map(|n| text_field(&n, layout)).collect()
    }

    /// Which hours are in the table, with the file each is in.
    pub(crate) fn hours(&self) -> BTreeMap<Hour, (&DataFile, &Part)> {
        let all = self.files.iter().flat_map(|f| f.hours.iter().map(move |(h, p)| (*h, (f, p))));
        all.collect()
    }

    /// Puts files in the place of others, and adds columns that the table lacks, in one commit that either happens whole or not at all.
    ///
    /// # Errors
    /// When somebody else committed since it was opened, or the commit cannot be written.
    pub(crate) async fn replace(
        &mut self,
        gone: &[&DataFile],
        added: Vec<Add>,
        columns: &SchemaRef,
        kind: Replacing,
    ) -> Result<(), NotCommitted> {
        let change = kind != Replacing::Rearranged;
        let mut actions: Vec<Action> = Vec::new();
        let failed = |doing, e: &dyn std::fmt::Display| {
            NotCommitted::Failed(world(doing, &self.place, self.table, &e))
        };
        let state = self.delta.snapshot().map_err(|e| failed("reading the log", &e))?;
        let known: BTreeSet<String> = self.column_names().into_iter().collect();
        if columns.fields().iter().any(|f| !known.contains(f.name())) {
            let mut fields: Vec<_> = columns.fields().iter().cloned().collect();
            fields.extend(self.further(columns, Layout::File).into_iter().map(Arc::new));
            let grown: SchemaRef = Arc::new(Schema::new(fields));
            let schema =
                kernel_schema(&grown).map_err(|e| NotCommitted::Failed(HistoryError::rows(self.table, e)))?;
            let metadata = state.metadata().clone().with_schema(&schema);
            actions.push(Action::Metadata(metadata.map_err(|e| failed("adding columns", &e))?));
        }
        actions.extend(gone.iter().map(|f| f.removed(change)));
        actions.extend(added.into_iter().map(|add| Action::Add(Add { data_change: change, ..add })));
        let operation = match kind {
            Replacing::Dropped => DeltaOperation::Delete { predicate: None },
            Replacing::Rows | Replacing::Rearranged => DeltaOperation::Write {
                mode: SaveMode::Overwrite,
                partition_by: Some(vec![DAY.to_owned()]),
                predicate: None,
            },
        };
        let commit = CommitBuilder::from(CommitProperties::default().with_max_retries(0))
            .with_actions(actions)
            .build(Some(state), self.delta.log_store(), operation)
            .await;
        match commit {
            Ok(_) => self.refresh().await.map_err(NotCommitted::Failed),
            Err(e) if overtaken(&e) => Err(NotCommitted::Overtaken),
            Err(e) => Err(failed("committing", &e)),
        }
    }

    /// The version it was read at.
    pub(crate) fn version(&self) -> Option<u64> {
        self.delta.version()
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    pub(crate) fn delta(&self) -> DeltaTable {
        self.delta.clone()
    }

    fn unreadable(&self, e: &DeltaTableError) -> HistoryError {
        let (table, place) = (self.table.name(), self.place.label().to_owned());
        match e {
            DeltaTableError::ObjectStore { .. } => world("reading the log", &self.place, self.table, e),
            _ => HistoryError::Log { table, place, why: first_line(e) },
        }
    }
}

/// What a commit does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replacing {
    /// Rows come, go or change.
    Rows,
    /// The same rows lie otherwise.
    Rearranged,
    /// Rows go.
    Dropped,
}

pub(crate) fn world(
    doing: &'static str,
    place: &Place,
    table: Table,
    why: &impl std::fmt::Display,
) -> HistoryError {
    HistoryError::World { doing, table: table.name(), place: place.label().to_owned(), why: first_line(why) }
}

fn overtaken(e: &DeltaTableError) -> bool {
    match e {
        DeltaTableError::Transaction { source } => matches!(
            source,
            TransactionError::VersionAlreadyExists(_)
                | TransactionError::MaxCommitAttempts(_)
                | TransactionError::CommitConflict(_)
        ),
        DeltaTableError::VersionAlreadyExists(_) => true,
        _ => false,
    }
}

/// A table's whole schema: what its files hold, and the day.
fn kernel_schema(columns: &SchemaRef) -> Result<StructType, String> {
    let mut fields: Vec<_> = columns.fields().iter().cloned().collect();
    fields.push(Arc::new(day_field()));
    let schema = Schema::new(fields);
    debug_assert!(schema.fields().iter().all(|f| f.data_type() != &DataType::Utf8View));
    (&schema).try_into_kernel().map_err(first_line)
}

/// The action that puts a file into a table.
pub(crate) fn added(
    path: String,
    size: u64,
    day: i64,
    hours: &BTreeMap<Hour, Part>,
    stats: String,
    now_ms: i64,
) -> Add {
    Add {
        path,
        size: i64::try_from(size).unwrap_or(i64::MAX),
        partition_values: [(DAY.to_owned(), Some(crate::hour::day_text(day)))].into_iter().collect(),
        modification_time: now_ms,
        data_change: true,
        stats: Some(stats),
        tags: Some([(HOURS.to_owned(), Some(tag(hours)))].into_iter().collect()),
        deletion_vector: None,
        base_row_id: None,
        default_row_commit_version: None,
        clustering_provider: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_says_which_hours_are_in_a_file() {
        let day = 20_000;
        let hours = BTreeMap::from([
            (Hour(day * 24), Part { digest: Some("ab".to_owned()) }),
            (Hour(day * 24 + 13), Part { digest: None }),
        ]);
        assert_eq!(tag(&hours), "00:ab 13:part");
        assert_eq!(read_tag(day, &tag(&hours)), hours);
        assert!(read_tag(day, "29:ab x 1").is_empty());
    }
}
