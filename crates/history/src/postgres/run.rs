//! One statement: planned over the newest epoch, and run within its time, rows and memory by a task that ends when nobody wants its rows.

use super::Shared;
use super::trouble::Trouble;
use crate::error::{SqlError, first_line};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::ParamValues;
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::dataframe::DataFrame;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::prelude::{SQLOptions, SessionContext};
use datafusion::sql::parser::Statement as Planned;
use datafusion::sql::sqlparser::ast::Statement;
use futures::StreamExt as _;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::Instant;

/// Batches made ahead of a client that reads them.
const AHEAD: usize = 2;

/// A plan, and the session it can be run in.
pub(super) struct Plan {
    context: SessionContext,
    plan: LogicalPlan,
}

/// Rows on their way.
pub(super) struct Running {
    /// Their columns.
    pub(super) schema: SchemaRef,
    batches: mpsc::Receiver<Result<RecordBatch, Trouble>>,
    deadline: Instant,
    late: Option<Trouble>,
}

impl Plan {
    /// Plans a statement over the newest epoch.
    ///
    /// # Errors
    /// When it is wrong, writes, or names what is not there.
    pub(super) async fn of(shared: &Shared, statement: &Statement) -> Result<Plan, Trouble> {
        let bounds = &shared.bounds;
        let failed = |e: DataFusionError| Trouble::of(&e, bounds);
        let epoch = shared.epoch().await?;
        let context = shared.catalog.session(&shared.sql, statement, &epoch, bounds).await?;
        let planned = Planned::Statement(Box::new(statement.clone()));
        let plan = context.state().statement_to_plan(planned).await.map_err(failed)?;
        let options =
            SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        options.verify_plan(&plan).map_err(failed)?;
        Ok(Plan { context, plan })
    }

    /// The columns of its rows.
    pub(super) fn schema(&self) -> SchemaRef {
        Arc::clone(self.plan.schema().inner())
    }

    /// The types of its parameters `$1`, `$2`, …, where they can be told.
    ///
    /// # Errors
    /// When one is not a number, or is two things at once.
    pub(super) fn parameters(&self, shared: &Shared) -> Result<Vec<Option<DataType>>, Trouble> {
        let failed = |e: DataFusionError| Trouble::of(&e, &shared.bounds);
        // Its order is not looked at.
        let found = self.plan.get_parameter_types().map_err(failed)?;
        let mut numbered: BTreeMap<usize, Option<DataType>> = BTreeMap::new();
        for (name, kind) in found {
            let number = name.strip_prefix('$').and_then(|n| n.parse::<u16>().ok()).filter(|n| *n > 0);
            let number = number.ok_or_else(|| {
                Trouble::new("42P02", format!("`{name}` is no parameter; parameters are $1, $2, …"))
            })?;
            numbered.insert(usize::from(number) - 1, kind);
        }
        self.cast_types(&mut numbered).map_err(failed)?;
        let count = numbered.last_key_value().map_or(0, |(last, _)| last + 1);
        Ok((0..count).map(|at| numbered.remove(&at).flatten()).collect())
    }

    /// What is written as `$1::timestamptz` says what it is.
    fn cast_types(&self, numbered: &mut BTreeMap<usize, Option<DataType>>) -> Result<(), DataFusionError> {
        self.plan.apply_with_subqueries(|plan| {
            plan.apply_expressions(|expr| {
                expr.apply(|expr| {
                    if let Expr::Cast(cast) = expr
                        && let Expr::Placeholder(placeholder) = cast.expr.as_ref()
                        && let Some(number) =
                            placeholder.id.strip_prefix('$').and_then(|n| n.parse::<usize>().ok())
                        && let Some(kind) = numbered.get_mut(&number.wrapping_sub(1))
                    {
                        kind.get_or_insert_with(|| cast.field.data_type().clone());
                    }
                    Ok(TreeNodeRecursion::Continue)
                })
            })
        })?;
        Ok(())
    }
}

/// Runs a statement, when it is its turn. All of it, the wait included, takes at most `time`.
///
/// It runs on threads of its own: it keeps processors busy for long stretches, and who talks to clients must not wait for that, to cancel it
/// for instance. So the time is looked at here as well.
///
/// # Errors
/// As [`Plan::of`], and when the time is over or values are not what the parameters are.
pub(super) async fn run(
    shared: &Arc<Shared>,
    statement: &Statement,
    values: Option<ParamValues>,
    time: Duration,
) -> Result<Running, Trouble> {
    let deadline = Instant::now() + time;
    let late = Trouble::from(SqlError::Time(time.as_secs_f64()));
    let (head, first) = oneshot::channel();
    let (to, batches) = mpsc::channel(AHEAD);
    let (of, statement) = (Arc::clone(shared), statement.clone());
    shared.threads.spawn(async move {
        let work = async {
            let (begun, rows) = match begin(&of, &statement, values).await {
                Ok((turn, schema, stream)) => (Ok(schema), Some((turn, stream))),
                Err(trouble) => (Err(trouble), None),
            };
            // Whoever asked may be gone by now.
            if let (Ok(()), Some((_turn, stream))) = (head.send(begun), rows) {
                pump(&of, stream, &to).await;
            }
        };
        tokio::select! {
            () = to.closed() => {}
            _ = tokio::time::timeout_at(deadline, work) => {}
        }
    });
    match tokio::time::timeout_at(deadline, first).await {
        Ok(Ok(schema)) => Ok(Running { schema: schema?, batches, deadline, late: Some(late) }),
        _ => Err(late),
    }
}

type Begun = (OwnedSemaphorePermit, SchemaRef, SendableRecordBatchStream);

async fn begin(
    shared: &Arc<Shared>,
    statement: &Statement,
    values: Option<ParamValues>,
) -> Result<Begun, Trouble> {
    let turn = Arc::clone(&shared.turns).acquire_owned().await;
    let turn = turn.map_err(|e| Trouble::new("57P01", e.to_string()))?;
    let Plan { context, plan } = Plan::of(shared, statement).await?;
    let failed = |e: DataFusionError| Trouble::of(&e, &shared.bounds);
    let plan = match &values {
        Some(values) => plan.replace_params_with_values(values).map_err(failed)?,
        None if !plan.get_parameter_types().map_err(failed)?.is_empty() => {
            return Err(Trouble::new("42P02", "a parameter without a value: a simple query has none"));
        }
        None => plan,
    };
    let schema = Arc::clone(plan.schema().inner());
    let stream = DataFrame::new(context.state(), plan).execute_stream().await.map_err(failed)?;
    Ok((turn, schema, stream))
}

impl Running {
    /// The next batch, or what ended them.
    pub(super) async fn next(&mut self) -> Option<Result<RecordBatch, Trouble>> {
        match tokio::time::timeout_at(self.deadline, self.batches.recv()).await {
            Ok(batch) => batch,
            // Once: what comes after it is not waited for.
            Err(_) => self.late.take().map(Err),
        }
    }
}

async fn pump(
    shared: &Shared,
    mut stream: SendableRecordBatchStream,
    to: &mpsc::Sender<Result<RecordBatch, Trouble>>,
) {
    let mut rows = 0;
    while let Some(batch) = stream.next().await {
        let batch = batch.map_err(|e| Trouble::of(&e, &shared.bounds)).and_then(|batch| {
            rows += batch.num_rows();
            if rows > shared.bounds.rows {
                let most = shared.bounds.rows;
                let why = format!("the answer has more than {most} rows (sql_rows); add up, or say LIMIT");
                return Err(Trouble::new("54000", why));
            }
            Ok(batch)
        });
        let last = batch.is_err();
        if to.send(batch).await.is_err() || last {
            return;
        }
    }
}

impl Shared {
    /// The graph as it is now.
    async fn epoch(&self) -> Result<crate::write::Epoch, Trouble> {
        let now = Arc::clone(&self.now);
        let epoch = tokio::task::spawn_blocking(move || now()).await;
        epoch.map_err(|e| Trouble::from(SqlError::Failed(first_line(e))))
    }
}
