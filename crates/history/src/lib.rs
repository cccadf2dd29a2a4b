//! History: what the graph knew, hour by hour, as open tables that anything reads, and SQL over them and the hot graph together.
//!
//! Six tables in Delta Lake (zstd Parquet) lie in a folder or a bucket. An hour of a table is a function of the graph, and is
//! written by replacing what stood for it in one commit, so writing it twice, or again after a crash, gives the same rows.
//!
//! **Not here:** the log (that is the store), knowledge of the engine or of HTTP, the time of day (it is an argument), names of
//! classes or attributes but those of the beginning and end of events.
//!
//! **Next door:** `graph`, `ontology` and `stats` below; `cli` alone above, which lends it to `server`.

pub mod bench;
mod chart;
mod check;
mod delta;
mod digest;
mod error;
mod file;
mod format;
mod hour;
mod keep;
mod past;
mod place;
mod postgres;
mod rows;
mod sketch;
mod sql;
mod stats_json;
mod table;
#[cfg(test)]
mod tests;
mod threads;
mod write;

pub use chart::Chart;
pub use check::{Checked, Damage, check};
pub use error::{HistoryError, SqlError};
pub use hour::Hour;
pub use keep::{Keep, Tidied};
pub use past::{Cut, Earlier, PastBounds, Pasts};
pub use place::Place;
pub use postgres::{Figures as PostgresFigures, Password, Postgres};
pub use sketch::{decode as decode_sketch, encode as encode_sketch};
pub use sql::{Answer, Bounds, Hit, Sql};
pub use table::Table;
pub use threads::Threads;
pub use write::{Epoch, Progress, Writer, Written};

/// Bounds by name.
pub const LIMITS: [(&str, u64); 15] = [
    ("history_graph_bytes", past::BYTES),
    ("history_graph_hours", past::HOURS),
    ("history_graph_rows", past::ROWS),
    ("history_graph_seconds", past::SECONDS),
    ("history_graphs", past::KEPT as u64),
    postgres::LIMITS[0],
    postgres::LIMITS[1],
    postgres::LIMITS[2],
    postgres::LIMITS[3],
    postgres::LIMITS[4],
    postgres::LIMITS[5],
    postgres::LIMITS[6],
    ("sql_memory_bytes", sql::MEMORY_BYTES as u64),
    ("sql_spill_bytes", sql::SPILL_BYTES),
    ("sql_words", sql::length::WORDS as u64),
];
