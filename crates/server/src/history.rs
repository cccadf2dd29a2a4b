//! The seam to whatever keeps history and answers SQL, if the program has something that does.

use futures_util::future::BoxFuture;
use graph::Graph;
use ontology::{Stretch, Time};
use serde_json::Value as Json;

/// A query in SQL.
#[derive(Clone, Debug)]
pub struct SqlQuery {
    /// Its text.
    pub text: String,
    /// Rows of the answer. Beyond: it is cut, and says so.
    pub rows: usize,
    /// Seconds after which it is ended.
    pub seconds: f64,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SqlTrouble {
    /// The query is wrong, or takes more than it may.
    Wrong(String),
    /// It names what is not there.
    Unknown(String),
    /// History does not answer now.
    Unavailable(String),
    /// It is our fault.
    Ours(String),
}

/// A graph of moments that the engine's own no longer holds whole.
#[derive(Clone, Debug)]
pub struct Earlier {
    /// The graph; nothing later than these moments is in it.
    pub graph: Graph,
    /// Where it comes from and what it lacks, for whoever reads an answer made of it.
    pub note: String,
}

/// One figure for `/metrics`.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// Its name, without the prefix.
    pub name: &'static str,
    /// `counter` or `gauge`.
    pub kind: &'static str,
    /// What it says.
    pub help: &'static str,
    /// Its value; none when there is nothing to say yet.
    pub value: Option<f64>,
}

/// Keeps history, answers SQL over it and the graph, and tells of moments that the graph no longer holds.
///
/// **Contract:** a query changes nothing, ends within its seconds, and reads no file but those of history. Figures are had at once.
pub trait History: Send + Sync {
    /// Answers a query: an object with `columns`, `rows` and `truncated`.
    fn sql(&self, query: SqlQuery) -> BoxFuture<'_, Result<Json, SqlTrouble>>;

    /// From when on the engine's graph says all there was; of earlier moments history knows more. `None` when the graph lacks nothing, or
    /// there is no history. Had at once.
    fn whole_from(&self) -> Option<Time>;

    /// A graph of some moments and stretches, made of history.
    fn earlier(&self, of: Vec<Stretch>) -> BoxFuture<'_, Result<Earlier, SqlTrouble>>;

    /// How keeping history goes.
    fn figures(&self) -> Vec<Figure>;

    /// Its bounds by name.
    fn limits(&self) -> Vec<(&'static str, u64)>;
}
