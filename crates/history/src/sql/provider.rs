//! One table for queries: files of history for the hours it has, the graph for all others.

use super::prune::{Of, may_hold};
use crate::chart::{Chart, Column, DAY, Layout, day_field, text_field};
use crate::delta::{DataFile, Log};
use crate::error::HistoryError;
use crate::file::{conform, read};
use crate::hour::Hour;
use crate::rows;
use crate::table::Table;
use crate::write::{Epoch, gone};
use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, AsArray as _, Date32Array, RecordBatch, RecordBatchOptions};
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef, TimestampMicrosecondType};
use datafusion::arrow::error::ArrowError;
use datafusion::catalog::memory::{DataSourceExec, MemorySourceConfig};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, DFSchema, Result, ScalarValue, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::DataFusionError;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::physical_plan::union::UnionExec;
use datafusion::prelude::SessionContext;
use futures::TryStreamExt as _;
use graph::Graph;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Batches made ahead of who reads them.
const AHEAD: usize = 2;

/// A table over history and the graph.
#[derive(Clone)]
pub(crate) struct History {
    table: Table,
    log: Option<Arc<Log>>,
    hot: Option<Hot>,
    /// What files hold, text as queries read it fastest; then the day.
    schema: SchemaRef,
}

/// The graph's part.
#[derive(Clone)]
struct Hot {
    graph: Graph,
    chart: Arc<Chart>,
    whole_from: Option<ontology::Minute>,
}

impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("History").field(&self.table).finish()
    }
}

/// Where an hour is read from.
#[derive(Default)]
struct Plan<'p> {
    files: Vec<&'p DataFile>,
    hot: BTreeSet<Hour>,
    /// Hours that were written before they were over: what the file has that the graph has not is added.
    both: Vec<(Hour, &'p DataFile)>,
}

impl History {
    pub(crate) fn new(
        table: Table,
        log: Option<Arc<Log>>,
        epoch: Option<&Epoch>,
        chart: Option<Arc<Chart>>,
    ) -> Result<History> {
        let hot = epoch.zip(chart).map(|(e, chart)| Hot {
            graph: e.graph.clone(),
            chart,
            whole_from: e.whole_from,
        });
        let of_chart = hot.as_ref().map(|h| h.chart.file_schema(table, Layout::Query));
        // Without a graph the columns are those that the table has; with one, both.
        let fallback = || Chart::new(&ontology::Ontology::builtin()).file_schema(table, Layout::Query);
        let known = of_chart.unwrap_or_else(fallback);
        let mut fields: Vec<Arc<Field>> = match (&hot, &log) {
            (None, Some(log)) => {
                let names = log.column_names();
                known.fields().iter().filter(|f| names.contains(f.name())).cloned().collect()
            }
            _ => known.fields().iter().cloned().collect(),
        };
        if let Some(log) = &log {
            let further = log.column_names();
            let unknown = further.iter().filter(|n| !fields.iter().any(|f| f.name() == *n));
            let unknown: Vec<Arc<Field>> = unknown.map(|n| Arc::new(text_field(n, Layout::Query))).collect();
            fields.extend(unknown);
        }
        fields.push(Arc::new(day_field()));
        Ok(History { table, log, hot, schema: Arc::new(Schema::new(fields)) })
    }

    /// Lets a session find the table's files.
    pub(crate) fn register_store(&self, context: &SessionContext) {
        if let (Some(log), Ok(url)) = (&self.log, self.store_url()) {
            context.runtime_env().register_object_store(url.as_ref(), log.place().store(self.table));
        }
    }

    fn store_url(&self) -> Result<ObjectStoreUrl> {
        ObjectStoreUrl::parse(format!("history://{}/", self.table.name()))
    }

    /// The columns without the day.
    fn file_schema(&self) -> SchemaRef {
        let fields: Vec<_> = self.schema.fields().iter().filter(|f| f.name() != DAY).cloned().collect();
        Arc::new(Schema::new(fields))
    }

    /// Which hours come from where, those left out that a query cannot mean.
    fn plan(&self, predicate: Option<&Arc<dyn PhysicalExpr>>) -> Plan<'_> {
        let mut plan = Plan::default();
        let files: Vec<&DataFile> = self.log.iter().flat_map(|l| &l.files).collect();
        let written = self.log.as_ref().map(|l| l.hours()).unwrap_or_default();
        let of: Vec<Of> = files.iter().map(|f| Of { time: f.time, day: f.day }).collect();
        let wanted = may_hold(predicate, &self.schema, &of);
        for (file, _) in files.into_iter().zip(wanted).filter(|(_, wanted)| *wanted) {
            let unfinished = file.hours.iter().find(|(_, part)| part.digest.is_none()).map(|(hour, _)| *hour);
            match (unfinished, &self.hot) {
                (Some(hour), Some(hot)) if self.table.keyed() => {
                    let _ = hot;
                    plan.both.push((hour, file));
                }
                // The graph knows more of it, as long as it has it whole.
                (Some(hour), Some(hot)) if hot.whole_from.is_none_or(|from| hour.first() >= from) => {}
                _ => plan.files.push(file),
            }
        }
        let Some(hot) = &self.hot else { return plan };
        if let Some((first, last)) = rows::extent(&hot.graph, &hot.chart, self.table) {
            let read = |hour: &Hour| match written.get(hour) {
                None => true,
                Some((_, part)) if part.digest.is_some() => false,
                Some(_) => self.table.keyed() || hot.whole_from.is_none_or(|from| hour.first() >= from),
            };
            let hours: Vec<Hour> = match self.table {
                // They may begin at any time: hours without any need not be looked at.
                Table::Events => {
                    let all: BTreeSet<Hour> =
                        rows::events(&hot.graph, &hot.chart, None).into_iter().map(|e| e.0).collect();
                    all.into_iter().filter(read).collect()
                }
                _ => (first.0..=last.0).map(Hour).filter(read).collect(),
            };
            let of: Vec<Of> = hours.iter().map(|h| Of::hour(*h)).collect();
            let wanted = may_hold(predicate, &self.schema, &of);
            plan.hot = hours.into_iter().zip(wanted).filter(|(_, wanted)| *wanted).map(|(h, _)| h).collect();
        }
        plan
    }

    fn files(
        &self,
        files: &[&DataFile],
        projection: Option<&Vec<usize>>,
        predicate: Option<&Arc<dyn PhysicalExpr>>,
        threads: usize,
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let file_schema = self.file_schema();
        let time = file_schema.index_of(crate::chart::TIME).ok();
        let one = |file: &&DataFile| {
            let day = ScalarValue::Date32(i32::try_from(file.day).ok());
            let mut statistics = Statistics::new_unknown(&file_schema);
            statistics.total_byte_size = Precision::Absent;
            statistics.num_rows =
                file.rows.and_then(|r| usize::try_from(r).ok()).map_or(Precision::Absent, Precision::Exact);
            let moment = |micros| {
                Precision::Exact(ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into())))
            };
            if let (Some(at), Some((least, greatest))) = (time, file.time)
                && let Some(column) = statistics.column_statistics.get_mut(at)
            {
                *column = ColumnStatistics {
                    min_value: moment(least).to_inexact(),
                    max_value: moment(greatest).to_inexact(),
                    ..ColumnStatistics::new_unknown()
                };
            }
            let mut found = PartitionedFile::new(file.path.as_str(), file.size);
            // As the log names it: encoded characters are part of the name.
            if let Ok(path) = object_store::path::Path::parse(&file.path) {
                found.object_meta.location = path;
            }
            found.partition_values = vec![day];
            found.with_statistics(Arc::new(statistics))
        };
        let all: Vec<PartitionedFile> = files.iter().map(one).collect();
        let groups = FileGroup::new(all).split_files(threads.max(1));
        let schema =
            TableSchema::builder(file_schema).with_table_partition_cols(vec![Arc::new(day_field())]).build();
        let mut source = ParquetSource::new(schema);
        if let Some(predicate) = predicate {
            source = source.with_predicate(Arc::clone(predicate));
        }
        let config = FileScanConfigBuilder::new(self.store_url()?, Arc::new(source))
            .with_file_groups(groups)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }

    /// Rows of unfinished hours that the graph no longer has.
    async fn left_over(&self, both: &[(Hour, &DataFile)]) -> Result<Vec<RecordBatch>, HistoryError> {
        let (Some(hot), Some(log)) = (&self.hot, &self.log) else { return Ok(Vec::new()) };
        let schema = self.file_schema();
        let mut left = Vec::new();
        for (hour, file) in both {
            let mut rows = read(log.place(), self.table, (&file.path, file.size), &schema).await?;
            while let Some(batch) = rows.try_next().await? {
                let gone = gone((&hot.graph, hot.whole_from), self.table, &hot.chart, *hour, &batch);
                let batch = filter_record_batch(&batch, &gone);
                let with_day = batch.and_then(|b| with_days(&b, &self.schema));
                left.push(with_day.map_err(|e| HistoryError::rows(self.table, e))?);
            }
        }
        Ok(left)
    }
}

/// The same rows with their day, and the columns of a schema.
fn with_days(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let time = batch
        .column_by_name(crate::chart::TIME)
        .and_then(|c| c.as_primitive_opt::<TimestampMicrosecondType>());
    let days: Date32Array = match time {
        Some(time) => time.iter().map(|t| i32::try_from(t?.div_euclid(86_400_000_000)).ok()).collect(),
        None => Date32Array::from(vec![None; batch.num_rows()]),
    };
    let mut fields: Vec<_> = batch.schema_ref().fields().iter().cloned().collect();
    fields.push(Arc::new(day_field()));
    let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
    columns.push(Arc::new(days));
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    conform(&RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)?, schema)
}

#[async_trait]
impl TableProvider for History {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let predicate = match conjunction(filters.to_vec()) {
            Some(all) => {
                Some(state.create_physical_expr(all, &DFSchema::try_from(Arc::clone(&self.schema))?)?)
            }
            None => None,
        };
        // A limit holds before what is filtered afterwards only where nothing is.
        let limit = limit.filter(|_| filters.is_empty());
        let plan = self.plan(predicate.as_ref());
        let projected = match projection {
            Some(columns) => Arc::new(self.schema.project(columns)?),
            None => Arc::clone(&self.schema),
        };
        let mut parts: Vec<Arc<dyn ExecutionPlan>> = Vec::new();
        if !plan.files.is_empty() {
            let threads = state.config().target_partitions();
            parts.push(self.files(&plan.files, projection, predicate.as_ref(), threads, limit)?);
        }
        if !plan.both.is_empty() {
            let left =
                self.left_over(&plan.both).await.map_err(|e| DataFusionError::External(Box::new(e)))?;
            let exec =
                MemorySourceConfig::try_new_exec(&[left], Arc::clone(&self.schema), projection.cloned())?;
            parts.push(exec);
        }
        if let Some(hot) = self.hot.as_ref().filter(|_| !plan.hot.is_empty()) {
            let threads = state.config().target_partitions().max(1);
            let hours: Vec<Hour> = plan.hot.into_iter().collect();
            let each = hours.len().div_ceil(threads).max(1);
            let streams = hours.chunks(each).map(|hours| -> Arc<dyn PartitionStream> {
                Arc::new(HotHours {
                    table: self.table,
                    hot: hot.clone(),
                    hours: hours.iter().copied().collect(),
                    schema: Arc::clone(&projected),
                })
            });
            let exec = StreamingTableExec::try_new(
                Arc::clone(&projected),
                streams.collect(),
                None,
                [],
                false,
                limit,
            )?;
            parts.push(Arc::new(exec));
        }
        match parts.len() {
            0 => Ok(Arc::new(EmptyExec::new(projected))),
            _ => UnionExec::try_new(parts),
        }
    }
}

/// Some hours of the graph, made as they are read.
struct HotHours {
    table: Table,
    hot: Hot,
    hours: BTreeSet<Hour>,
    /// Of the columns that are asked for.
    schema: SchemaRef,
}

impl std::fmt::Debug for HotHours {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HotHours").field("table", &self.table).field("hours", &self.hours.len()).finish()
    }
}

impl PartitionStream for HotHours {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut stream = RecordBatchReceiverStreamBuilder::new(Arc::clone(&self.schema), AHEAD);
        let (to, table, hot) = (stream.tx(), self.table, self.hot.clone());
        let (hours, schema) = (self.hours.clone(), Arc::clone(&self.schema));
        stream.spawn_blocking(move || {
            let asked = |c: &&Column| schema.column_with_name(&c.name).is_some();
            let mut columns: Vec<Column> = hot.chart.columns(table).iter().filter(asked).cloned().collect();
            let day = schema.column_with_name(DAY).is_some();
            // The day is read off the time.
            if day && !columns.iter().any(|c| c.name == crate::chart::TIME) {
                columns
                    .extend(hot.chart.columns(table).iter().find(|c| c.name == crate::chart::TIME).cloned());
            }
            let fields: Vec<Field> = columns.iter().map(|c| c.field(Layout::Query)).collect();
            let made = Arc::new(Schema::new(fields));
            for batch in rows::batches(&hot.graph, &hot.chart, table, &hours, (columns, made)) {
                let batch =
                    batch.and_then(|b| if day { with_days(&b, &schema) } else { conform(&b, &schema) });
                let batch = batch.map_err(DataFusionError::from);
                // Nobody listens any more.
                if to.blocking_send(batch).is_err() {
                    return Ok(());
                }
            }
            Ok(())
        });
        stream.build()
    }
}
