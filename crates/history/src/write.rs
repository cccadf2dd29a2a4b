//! Writing: which hours of a graph are not in the tables as they are now, and putting them there.

use crate::chart::{Chart, Layout, TIME};
use crate::delta::{DataFile, Log, NotCommitted, Part, Replacing, added};
use crate::digest::Digest;
use crate::error::{HistoryError, first_line};
use crate::file::{Output, read};
use crate::hour::{Hour, day_text};
use crate::place::Place;
use crate::rows;
use crate::table::Table;
use arrow::array::{AsArray as _, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{SchemaRef, TimestampMicrosecondType};
use deltalake_core::kernel::Add;
use futures::TryStreamExt as _;
use graph::Graph;
use ontology::model::STARTED;
use ontology::{Minute, Time};
use std::collections::{BTreeMap, BTreeSet};

/// Minutes after the end of an hour before it is written: what comes that late is usual, and what was seen within ten minutes of an
/// hour is one run with it.
pub(crate) const SETTLED: i64 = 15;
/// Hours that one commit takes in at most.
const HOURS_A_COMMIT: usize = 48;
/// How often it is tried when others commit at the same time.
const TRIES: usize = 5;

/// A graph and what is to be known to write it.
#[derive(Clone, Debug)]
pub struct Epoch {
    /// The graph.
    pub graph: Graph,
    /// Hours that facts told of: first minute, and a number that is another whenever the hour was told of again.
    pub touched: Vec<(Minute, u64)>,
    /// Before this the graph may have forgotten something, or never have read it.
    pub whole_from: Option<Minute>,
    /// Write hours that are not over as well: the graph is about to let nodes go, or is not going to be asked again.
    pub unfinished: bool,
}

/// What writing did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Rows put into tables, those that replaced others included.
    pub rows: u64,
    /// Hours of tables.
    pub hours: u64,
    /// Hours that were looked at.
    pub looked_at: u64,
    /// Bytes of new files.
    pub bytes: u64,
}

/// How far history goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The last hour that was over and is in the tables.
    pub last: Option<Hour>,
}

/// Writes one graph's history to one place.
pub struct Writer {
    place: Place,
    chart: Option<(u64, Chart)>,
    logs: BTreeMap<Table, Log>,
    /// By hour: the number it had when it was last looked at.
    looked: BTreeMap<Hour, u64>,
    checked: bool,
    progress: Progress,
}

/// What a graph has for an hour of a table, besides what the table keeps.
struct Wanted<'w> {
    table: Table,
    chart: &'w Chart,
    schema: &'w SchemaRef,
    epoch: &'w Epoch,
    hour: Hour,
    over: bool,
}

impl Writer {
    /// A writer; nothing is read or made yet.
    pub fn new(place: Place) -> Writer {
        Writer {
            place,
            chart: None,
            logs: BTreeMap::new(),
            looked: BTreeMap::new(),
            checked: false,
            progress: Progress::default(),
        }
    }

    /// How far history goes, as far as this writer has seen.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// Where it writes.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Puts into the tables what they lack of the hours that are over. The same graph again changes nothing.
    ///
    /// # Errors
    /// When the place does not take it. What was committed until then stays; the rest is tried again the next time.
    pub async fn write(&mut self, epoch: &Epoch, now: Time) -> Result<Written, HistoryError> {
        let ontology = epoch.graph.ontology();
        if self.chart.as_ref().is_none_or(|(of, _)| *of != ontology.fingerprint) {
            self.chart = Some((ontology.fingerprint, Chart::new(ontology)));
            self.looked.clear();
        }
        let Some(chart) = self.chart.as_ref().map(|(_, chart)| chart.clone()) else {
            return Ok(Written::default());
        };
        let latest = epoch.graph.latest();
        let over = |hour: Hour| latest.is_some_and(|l| l.minute() >= hour.end().plus(SETTLED));
        let new: BTreeMap<Hour, u64> = epoch
            .touched
            .iter()
            .map(|(minute, number)| (Hour::of(*minute), *number))
            .filter(|(hour, number)| self.looked.get(hour) != Some(number))
            .filter(|(hour, _)| {
                over(*hour) || (epoch.unfinished && latest.is_some_and(|l| l >= hour.stretch().from))
            })
            .collect();
        let mut written = Written::default();
        if !new.is_empty() {
            for table in Table::ALL {
                let mut hours: BTreeSet<Hour> = new.keys().copied().collect();
                if table == Table::Events {
                    // What is said of an event later shows in the hour it began.
                    let all = rows::events(&epoch.graph, &chart, None).into_iter().map(|(hour, ..)| hour);
                    hours.extend(all.filter(|h| over(*h)));
                }
                let part = self.table(table, &chart, epoch, &hours, over, now).await?;
                written.rows += part.rows;
                written.hours += part.hours;
                written.bytes += part.bytes;
                written.looked_at += hours.len() as u64;
            }
        }
        // Only what is over is not looked at again by itself.
        let last = new.keys().copied().filter(|h| over(*h)).max();
        self.looked.extend(new.into_iter().filter(|(hour, _)| over(*hour)));
        self.progress.last = self.progress.last.max(last);
        Ok(written)
    }

    async fn table(
        &mut self,
        table: Table,
        chart: &Chart,
        epoch: &Epoch,
        hours: &BTreeSet<Hour>,
        over: impl Fn(Hour) -> bool,
        now: Time,
    ) -> Result<Written, HistoryError> {
        let schema = chart.file_schema(table, Layout::File);
        if !self.checked {
            self.place.make()?;
            self.place.check_conditional(table, &format!("{:016x}", now.nanos())).await?;
            self.checked = true;
        }
        let mut log = match self.logs.remove(&table) {
            Some(log) => log,
            None => Log::make(&self.place, table, &schema).await?,
        };
        let mut written = Written::default();
        let mut left: BTreeSet<Hour> = hours.clone();
        let mut tries = 0;
        while !left.is_empty() {
            log.refresh().await?;
            let chosen: Vec<Hour> = left.iter().copied().collect();
            let mut commit = Commit::default();
            let mut done = Vec::new();
            for hour in chosen {
                let wanted = Wanted { table, chart, schema: &schema, epoch, hour, over: over(hour) };
                // Two hours of one file take two commits.
                let shared = |f: &&DataFile| commit.gone.contains(&f.path);
                if log.hours().get(&hour).map(|(f, _)| *f).as_ref().is_some_and(shared) {
                    break;
                }
                wanted.prepare(&log, &mut commit, now).await?;
                done.push(hour);
                if commit.hours as usize >= HOURS_A_COMMIT {
                    break;
                }
            }
            if !commit.is_empty() {
                let files = log.files.clone();
                let gone: Vec<&DataFile> = files.iter().filter(|f| commit.gone.contains(&f.path)).collect();
                match log.replace(&gone, commit.added, &schema, Replacing::Rows).await {
                    Ok(()) => {}
                    Err(NotCommitted::Failed(e)) => return Err(e),
                    Err(NotCommitted::Overtaken) => {
                        tries += 1;
                        if tries >= TRIES {
                            let place = self.place.label().to_owned();
                            return Err(HistoryError::Contended { table: table.name(), place, times: tries });
                        }
                        continue;
                    }
                }
                written.rows += commit.rows;
                written.hours += commit.hours;
                written.bytes += commit.bytes;
            }
            done.iter().for_each(|h| {
                left.remove(h);
            });
        }
        self.logs.insert(table, log);
        Ok(written)
    }
}

/// What one commit is going to do.
#[derive(Default)]
struct Commit {
    gone: BTreeSet<String>,
    added: Vec<Add>,
    rows: u64,
    hours: u64,
    bytes: u64,
}

impl Commit {
    fn is_empty(&self) -> bool {
        self.gone.is_empty() && self.added.is_empty()
    }
}

impl Wanted<'_> {
    /// Compares the hour with what the table has of it, and writes a file when they differ.
    async fn prepare(&self, log: &Log, commit: &mut Commit, now: Time) -> Result<(), HistoryError> {
        let hours = log.hours();
        let there = hours.get(&self.hour).copied();
        // Of a whole hour that the graph no longer has whole, the table knows more.
        let forgotten = self.epoch.whole_from.is_some_and(|from| self.hour.first() < from);
        let whole = there.is_some_and(|(_, part)| part.digest.is_some());
        if (forgotten && whole && !self.table.keyed()) || (whole && !self.over) {
            return Ok(());
        }
        let mut digest = Digest::new(self.schema).map_err(|e| self.unmade(e))?;
        for batch in self.batches() {
            digest.add(&batch.map_err(|e| self.unmade(e))?).map_err(|e| self.unmade(e))?;
        }
        let kept = self.kept(log, there.map(|(f, _)| f)).await?;
        for batch in &kept {
            digest.add(batch).map_err(|e| self.unmade(e))?;
        }
        let now_there = Part { digest: self.over.then(|| digest.text()) };
        if there.is_some_and(|(_, part)| self.over && *part == now_there)
            || (there.is_none() && digest.rows() == 0)
        {
            return Ok(());
        }
        let mut inside: BTreeMap<Hour, Part> = there.map(|(f, _)| f.hours.clone()).unwrap_or_default();
        inside.remove(&self.hour);
        if digest.rows() > 0 {
            inside.insert(self.hour, now_there);
        }
        if let Some((file, _)) = there {
            commit.gone.insert(file.path.clone());
        }
        commit.hours += 1;
        commit.rows += digest.rows();
        if inside.is_empty() {
            return Ok(());
        }
        let state = if self.over { "whole" } else { "part" };
        let several = if inside.len() > 1 { format!("-{}", inside.len()) } else { String::new() };
        // A name of its own each time, by what is in it and by when: what is taken out by one name is never what comes in by it.
        let path = format!(
            "day={}/{:02}{several}-{state}-{}-{:x}.parquet",
            day_text(self.hour.day()),
            self.hour.of_day(),
            digest.text(),
            now.nanos()
        );
        let mut output = Output::begin(log.place(), self.table, path.clone(), self.schema)?;
        for batch in self.batches() {
            output.add(&batch.map_err(|e| self.unmade(e))?).await?;
        }
        for batch in &kept {
            output.add(batch).await?;
        }
        if let Some((file, _)) = there.filter(|(f, _)| f.hours.len() > 1) {
            output.end_group().await?;
            let mut rows = read(log.place(), self.table, (&file.path, file.size), self.schema).await?;
            while let Some(batch) = rows.try_next().await? {
                output.add(&self.outside(&batch)?).await?;
            }
        }
        let (size, stats) = output.end().await?;
        commit.bytes += size;
        let now_ms = now.nanos().div_euclid(1_000_000);
        commit.added.push(added(path, size, self.hour.day(), &inside, stats.json(), now_ms));
        Ok(())
    }

    fn unmade(&self, why: impl std::fmt::Display) -> HistoryError {
        HistoryError::rows(self.table, first_line(why))
    }

    /// What the graph has.
    fn batches(&self) -> rows::Batches<'_> {
        let columns = self.chart.columns(self.table).to_vec();
        let hours = BTreeSet::from([self.hour]);
        rows::batches(&self.epoch.graph, self.chart, self.table, &hours, (columns, self.schema.clone()))
    }

    /// Rows that the table has of this hour and the graph no longer has, because it let the nodes go.
    async fn kept(&self, log: &Log, there: Option<&DataFile>) -> Result<Vec<RecordBatch>, HistoryError> {
        let Some(file) = there.filter(|_| self.table.keyed()) else { return Ok(Vec::new()) };
        let mut kept = Vec::new();
        let mut rows = read(log.place(), self.table, (&file.path, file.size), self.schema).await?;
        while let Some(batch) = rows.try_next().await? {
            let inside =
                filter_record_batch(&batch, &self.in_hour(&batch, true)?).map_err(|e| self.unmade(e))?;
            let held = (&self.epoch.graph, self.epoch.whole_from);
            let left = gone(held, self.table, self.chart, self.hour, &inside);
            let left = filter_record_batch(&inside, &left).map_err(|e| self.unmade(e))?;
            if left.num_rows() > 0 {
                kept.push(left);
            }
        }
        Ok(kept)
    }

    /// Rows of other hours.
    fn outside(&self, batch: &RecordBatch) -> Result<RecordBatch, HistoryError> {
        filter_record_batch(batch, &self.in_hour(batch, false)?).map_err(|e| self.unmade(e))
    }

    fn in_hour(&self, batch: &RecordBatch, wanted: bool) -> Result<BooleanArray, HistoryError> {
        let time = batch.column_by_name(TIME).and_then(|c| c.as_primitive_opt::<TimestampMicrosecondType>());
        let time = time.ok_or_else(|| self.unmade("a file has no column `time`"))?;
        let (from, to) = (rows::micros(self.hour.first().start()), rows::micros(self.hour.end().start()));
        Ok(time.iter().map(|t| Some(t.is_some_and(|t| from <= t && t < to) == wanted)).collect())
    }
}

/// Which rows of an hour tell of nodes that a graph, which is whole from some minute on, does not hold, or only since later.
pub(crate) fn gone(
    (graph, whole_from): (&Graph, Option<Minute>),
    table: Table,
    chart: &Chart,
    hour: Hour,
    rows: &RecordBatch,
) -> BooleanArray {
    let Some(ids) = rows.column_by_name("id") else { return BooleanArray::from(vec![true; rows.num_rows()]) };
    let held = |id: &str| {
        let Some(node) = graph.node_with_id(id) else { return false };
        let at = match table {
            Table::Events => rows::began(graph, chart, node).map(Hour::at),
            _ => graph.node(node).and_then(|n| n.seen.first()).map(Hour::of),
        };
        // Of an event there is one row: where it says itself that it began, or where a graph that forgot nothing has it.
        let moved = table == Table::Events
            && (graph.attr_named(node, STARTED).is_some()
                || whole_from.is_none_or(|from| hour.first() >= from));
        at.is_some_and(|at| at <= hour || moved)
    };
    let texts: Vec<Option<&str>> = match ids.as_string_opt::<i32>() {
        Some(ids) => ids.iter().collect(),
        None => ids.as_string_view_opt().map(|ids| ids.iter().collect()).unwrap_or_default(),
    };
    texts.into_iter().map(|id| Some(id.is_none_or(|id| !held(id)))).collect()
}
