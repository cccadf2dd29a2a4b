//! SQL over history and the hot graph together: read-only, and within bounds of time, memory and rows that it says when it hits.

mod functions;
mod json;
pub(crate) mod length;
mod names;
mod provider;
mod prune;

use crate::chart::Chart;
use crate::delta::Log;
use crate::error::{HistoryError, SqlError, first_line, root};
use crate::place::Place;
use crate::table::Table;
use crate::write::Epoch;
use datafusion::arrow::array::RecordBatch;
use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, MemoryPool, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::prelude::{SQLOptions, SessionConfig, SessionContext};
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use futures::StreamExt as _;
pub(crate) use json::rows;
use provider::History;
use serde::Serialize;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Consumers of memory that are named when there is not enough.
const CONSUMERS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(2);
/// Bytes that one query may put aside on disk.
pub(crate) const SPILL_BYTES: u64 = 4 << 30;
/// Bytes of memory when nothing is said.
pub(crate) const MEMORY_BYTES: usize = 512 << 20;

/// What a query may use.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Rows of the answer. Beyond: it is cut, and says so.
    pub rows: usize,
    /// How long. Beyond: the query is ended.
    pub time: Duration,
    /// Bytes of memory. Beyond: what can be is put aside on disk; else the query is ended.
    pub memory_bytes: usize,
    /// Where that is put.
    pub spill: PathBuf,
    /// Threads.
    pub threads: usize,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            rows: 1_000,
            time: Duration::from_secs(30),
            memory_bytes: MEMORY_BYTES,
            spill: std::env::temp_dir(),
            threads: std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
        }
    }
}

/// A bound that an answer was cut at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Hit {
    /// There are more rows.
    Rows,
}

/// The answer to a query.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// Rows, each with a value per column.
    pub rows: Vec<Vec<Json>>,
    /// The bound it was cut at.
    pub truncated: Option<Hit>,
}

/// What can be asked: history at a place, a graph, or both.
#[derive(Default)]
pub struct Sql {
    place: Option<Place>,
    /// Logs as they were read last, to be read on from there.
    logs: tokio::sync::Mutex<BTreeMap<Table, Arc<Log>>>,
}

impl Sql {
    /// Over history at a place, or over graphs alone.
    pub fn new(place: Option<Place>) -> Sql {
        Sql { place, logs: tokio::sync::Mutex::default() }
    }

    /// Asks. Hours that history has are read from it, others from the graph, each row once.
    ///
    /// # Errors
    /// When the query is wrong, names what is not there, takes more than it may, or history cannot be read.
    pub async fn ask(&self, text: &str, epoch: Option<&Epoch>, bounds: &Bounds) -> Result<Answer, SqlError> {
        let seconds = bounds.time.as_secs_f64();
        match tokio::time::timeout(bounds.time, self.answer(text, epoch, bounds)).await {
            Ok(answer) => answer,
            Err(_) => Err(SqlError::Time(seconds)),
        }
    }

    /// Gives the batches of an answer one by one, as long as they are wanted. No row is left out; it takes as long as it takes.
    ///
    /// # Errors
    /// As [`Sql::ask`], and what whoever takes them says.
    pub(crate) async fn each(
        &self,
        text: &str,
        epoch: Option<&Epoch>,
        bounds: &Bounds,
        mut take: impl FnMut(&RecordBatch) -> Result<ControlFlow<()>, SqlError>,
    ) -> Result<(), SqlError> {
        let context = self.context(text, epoch, bounds).await?;
        let failed = |e: DataFusionError| told(&e, bounds);
        let mut stream = context.sql(text).await.map_err(failed)?.execute_stream().await.map_err(failed)?;
        while let Some(batch) = stream.next().await {
            if take(&batch.map_err(failed)?)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    async fn answer(&self, text: &str, epoch: Option<&Epoch>, bounds: &Bounds) -> Result<Answer, SqlError> {
        let context = self.context(text, epoch, bounds).await?;
        let failed = |e: DataFusionError| told(&e, bounds);
        let options =
            SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        let frame = context.sql_with_options(text, options).await.map_err(failed)?;
        let columns = frame.schema().fields().iter().map(|f| f.name().clone()).collect();
        // One more than is told says that there are more.
        let frame = frame.limit(0, Some(bounds.rows.saturating_add(1))).map_err(failed)?;
        let mut stream = frame.execute_stream().await.map_err(failed)?;
        let mut rows = Vec::new();
        while let Some(batch) = stream.next().await {
            json::rows(&batch.map_err(failed)?, &mut rows).map_err(|e| SqlError::Failed(first_line(e)))?;
        }
        let truncated = (rows.len() > bounds.rows).then_some(Hit::Rows);
        rows.truncate(bounds.rows);
        Ok(Answer { columns, rows, truncated })
    }

    /// A session that knows the tables and functions.
    async fn context(
        &self,
        text: &str,
        epoch: Option<&Epoch>,
        bounds: &Bounds,
    ) -> Result<SessionContext, SqlError> {
        let config =
            SessionConfig::new().with_target_partitions(bounds.threads.max(1)).with_information_schema(true);
        let runtime = runtime(bounds).map_err(|e| SqlError::Failed(first_line(e)))?;
        let context = SessionContext::new_with_config_rt(config, Arc::new(runtime));
        functions::register(&context);
        length::bounded(text, &GenericDialect {})?;
        let statement =
            context.state().sql_to_statement(text, &context.state().config_options().sql_parser.dialect);
        let statement = statement.map_err(|e| told(&e, bounds))?;
        let (named, _) = resolve_table_references(&statement, true).map_err(|e| told(&e, bounds))?;
        let chart = epoch.map(|e| Arc::new(Chart::new(e.graph.ontology())));
        let mut shown = false;
        for name in named {
            if name.schema().is_some_and(|s| s == "information_schema") {
                shown = true;
                continue;
            }
            let is_function = context.state().table_functions().contains_key(name.table());
            if Table::named(name.table()).is_none() && !is_function {
                let known = Table::ALL.map(Table::name);
                return Err(SqlError::Unknown(names::unknown("table", name.table(), &known)));
            }
        }
        let statement = text.trim_start().to_ascii_lowercase();
        shown |= ["show", "describe", "desc "].iter().any(|w| statement.starts_with(w));
        for table in Table::ALL {
            if !shown && !text.to_ascii_lowercase().contains(table.name()) {
                continue;
            }
            let log = self.log(table).await?;
            let provider = History::new(table, log, epoch, chart.clone()).map_err(|e| told(&e, bounds))?;
            provider.register_store(&context);
            context.register_table(table.name(), Arc::new(provider)).map_err(|e| told(&e, bounds))?;
        }
        Ok(context)
    }

    /// A table's log as it is now.
    pub(crate) async fn log(&self, table: Table) -> Result<Option<Arc<Log>>, HistoryError> {
        let Some(place) = &self.place else { return Ok(None) };
        let mut logs = self.logs.lock().await;
        let known = logs.remove(&table);
        let log = match known.and_then(Arc::into_inner) {
            Some(mut log) => {
                log.refresh().await?;
                Some(log)
            }
            None => Log::open(place, table).await?,
        };
        let log = log.map(Arc::new);
        logs.extend(log.iter().map(|l| (table, Arc::clone(l))));
        Ok(log)
    }
}

fn runtime(bounds: &Bounds) -> Result<RuntimeEnv, DataFusionError> {
    let pool: Arc<dyn MemoryPool> =
        Arc::new(TrackConsumersPool::new(FairSpillPool::new(bounds.memory_bytes), CONSUMERS));
    let spill = DiskManagerBuilder::default()
        .with_mode(DiskManagerMode::Directories(vec![bounds.spill.clone()]))
        .with_max_temp_directory_size(SPILL_BYTES);
    RuntimeEnvBuilder::new().with_memory_pool(pool).with_disk_manager_builder(spill).build()
}

/// What went wrong, in words for who asked.
fn told(error: &DataFusionError, bounds: &Bounds) -> SqlError {
    match root(error) {
        DataFusionError::ResourcesExhausted(why) => SqlError::Memory(bounds.memory_bytes, first_line(why)),
        DataFusionError::SchemaError(why, _) => match why.as_ref() {
            SchemaError::FieldNotFound { field, valid_fields } => {
                let known: Vec<&str> = valid_fields.iter().map(|c| c.name.as_str()).collect();
                SqlError::Unknown(names::unknown("column", &field.name, &known))
            }
            other => SqlError::Wrong(first_line(other)),
        },
        DataFusionError::External(why) => match why.downcast_ref::<HistoryError>() {
            Some(why) => SqlError::Failed(why.to_string()),
            None => SqlError::Failed(first_line(why)),
        },
        DataFusionError::SQL(why, _) => SqlError::Wrong(first_line(why)),
        DataFusionError::Plan(why) => SqlError::Wrong(first_line(why)),
        DataFusionError::NotImplemented(why) => SqlError::Wrong(first_line(why)),
        e @ (DataFusionError::ObjectStore(_)
        | DataFusionError::ParquetError(_)
        | DataFusionError::IoError(_)
        | DataFusionError::Internal(_)
        | DataFusionError::ExecutionJoin(_)) => SqlError::Failed(first_line(e)),
        // What a row made impossible: a division by zero, a text that is no number.
        e => SqlError::Wrong(first_line(e)),
    }
}
