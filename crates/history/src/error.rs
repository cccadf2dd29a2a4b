//! Why history cannot be had.

use datafusion::error::DataFusionError;
use deltalake_core::DeltaTableError;

/// What went wrong, one variant for each thing that the operator would do differently.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The place is not one.
    #[error("the history cannot be at {place}: {why}")]
    Place {
        /// As it was said.
        place: String,
        /// Why not.
        why: String,
    },
    /// A later version wrote it.
    #[error(
        "the table {table} of the history at {place} is of format {found}, this version reads up to {ours}: it was written by a later \
         version of e2egraph; use that one, or another place (--history)"
    )]
    Newer {
        /// The table.
        table: &'static str,
        /// Where.
        place: String,
        /// Its format.
        found: String,
        /// What is read.
        ours: u32,
    },
    /// Its log cannot be read.
    #[error("the log of table {table} of the history at {place} cannot be read: {why}")]
    Log {
        /// The table.
        table: &'static str,
        /// Where.
        place: String,
        /// Why not.
        why: String,
    },
    /// The disk or the bucket does not do what it should.
    #[error("{doing} of table {table} of the history at {place}: {why}")]
    World {
        /// What was being done.
        doing: &'static str,
        /// The table.
        table: &'static str,
        /// Where.
        place: String,
        /// Why it failed.
        why: String,
    },
    /// Others wrote at the same time again and again.
    #[error(
        "table {table} of the history at {place} was changed by others {times} times while it was written; is another server writing there?"
    )]
    Contended {
        /// The table.
        table: &'static str,
        /// Where.
        place: String,
        /// How often it was tried.
        times: usize,
    },
    /// Rows cannot be made or read.
    #[error("rows of table {table}: {why}")]
    Rows {
        /// The table.
        table: &'static str,
        /// Why.
        why: String,
    },
}

impl HistoryError {
    pub(crate) fn rows(table: crate::Table, why: impl ToString) -> HistoryError {
        HistoryError::Rows { table: table.name(), why: why.to_string() }
    }
}

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// It is wrong.
    #[error("{0}")]
    Wrong(String),
    /// It names what is not there.
    #[error("{0}")]
    Unknown(String),
    /// It took longer than it may.
    #[error("the query was ended after {0} s; narrow `time` or `day`, or allow more")]
    Time(f64),
    /// Making a graph of earlier moments took longer than it may.
    #[error(
        "reading these hours of history into a graph takes longer than {0} s (history_graph_seconds); ask again, of fewer hours, or in SQL"
    )]
    Late(f64),
    /// It needed more memory than it may.
    #[error("the query needs more than the {0} bytes that a query may use: {1}")]
    Memory(usize, String),
    /// The history cannot be read.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// Reading failed on the way.
    #[error("running the query: {0}")]
    Failed(String),
}

/// What the innermost error says, on one line.
pub(crate) fn first_line(why: impl std::fmt::Display) -> String {
    let text = why.to_string();
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(500).collect()
}

pub(crate) fn is_missing(error: &DeltaTableError) -> bool {
    matches!(error, DeltaTableError::NotATable(_) | DeltaTableError::InvalidTableLocation(_))
}

pub(crate) fn root(error: &DataFusionError) -> &DataFusionError {
    error.find_root()
}
