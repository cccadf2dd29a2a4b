//! Where history is kept, and what can be done with it.

use super::OntologyFrom;
use clap::{Args, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;

/// What is asked instead of a server.
#[derive(Debug, Args, Clone, Default)]
pub struct Offline {
    /// Ask this data folder, which no server has open, instead of a server.
    #[arg(long, value_name = "DIR", conflicts_with = "history")]
    pub data: Option<PathBuf>,
    /// Ask this history alone (a folder or s3://bucket/prefix) instead of a server.
    #[arg(long, value_name = "PLACE")]
    pub history: Option<String>,
    /// Ontology.
    #[command(flatten)]
    pub ontology: OntologyFrom,
}

impl Offline {
    /// Whether no server is asked.
    pub fn is_said(&self) -> bool {
        self.data.is_some() || self.history.is_some()
    }
}

/// Where history is kept, and for how long.
#[derive(Debug, Args, Clone, Default)]
pub struct HistoryAt {
    /// Keep history here: a folder, s3://bucket/prefix with the usual AWS_… variables, or `off`. DIR/history of the data folder
    /// when not said.
    #[arg(long, value_name = "PLACE")]
    pub history: Option<String>,
    /// Keep a table for so many days (interactions=30); may be given several times.
    #[arg(long = "history-keep", value_name = "TABLE=DAYS", value_parser = keep)]
    pub keep: Vec<(history::Table, u32)>,
}

/// Where SQL is answered by PostgreSQL's protocol.
#[derive(Debug, Args, Clone, Default)]
pub struct PostgresAt {
    /// Answer SQL by PostgreSQL's protocol here, such as 127.0.0.1:5432, for psql, drivers and dashboards (docs/history.md).
    #[arg(long, value_name = "ADDR")]
    pub postgres: Option<SocketAddr>,
    /// The file whose first line is the password that clients of --postgres have to say; without it anybody who reaches the
    /// address may ask.
    #[arg(long, value_name = "FILE", requires = "postgres")]
    pub postgres_password: Option<PathBuf>,
}

/// What can be done with history from a data folder.
#[derive(Debug, Subcommand, Clone)]
pub enum History {
    /// Put the hours that are over, which history lacks or has otherwise, into its tables.
    #[command(
        after_help = "Examples:\n  e2egraph history write --data /var/lib/e2egraph\n  e2egraph history write --data /var/lib/e2egraph --history s3://bucket/e2egraph --all"
    )]
    Write {
        /// The data folder.
        #[arg(long, value_name = "DIR", default_value = "e2egraph-data")]
        data: PathBuf,
        /// The last hour as well, although it may not be over.
        #[arg(long)]
        all: bool,
        /// Print JSON instead of text.
        #[arg(long)]
        json: bool,
        /// Place.
        #[command(flatten)]
        at: HistoryAt,
        /// Ontology.
        #[command(flatten)]
        ontology: OntologyFrom,
    },
    /// Make one file of the hours of each day, drop what is too old, delete files that nothing needs any more.
    #[command(
        after_help = "Example:\n  e2egraph history tidy --history s3://bucket/e2egraph --history-keep interactions=7"
    )]
    Tidy {
        /// The data folder that the history belongs to, where no place is given.
        #[arg(long, value_name = "DIR", default_value = "e2egraph-data")]
        data: PathBuf,
        /// Print JSON instead of text.
        #[arg(long)]
        json: bool,
        /// Place.
        #[command(flatten)]
        at: HistoryAt,
        /// Ontology.
        #[command(flatten)]
        ontology: OntologyFrom,
    },
    /// Read every file of the tables and compare it with what was committed; ends with 1 when something is damaged.
    #[command(
        after_help = "Examples:\n  e2egraph history check --data /var/lib/e2egraph\n  e2egraph history check --history s3://bucket/e2egraph --json"
    )]
    Check {
        /// The data folder that the history belongs to, where no place is given.
        #[arg(long, value_name = "DIR", default_value = "e2egraph-data")]
        data: PathBuf,
        /// Print JSON instead of text.
        #[arg(long)]
        json: bool,
        /// Place.
        #[command(flatten)]
        at: HistoryAt,
    },
}

/// A table and how many days it is kept.
fn keep(text: &str) -> Result<(history::Table, u32), String> {
    let wrong = || {
        let tables = history::Table::ALL.map(history::Table::name).join(", ");
        format!("write it like interactions=30, with one of {tables}")
    };
    let (table, days) = text.split_once('=').ok_or_else(wrong)?;
    let table = history::Table::named(table).ok_or_else(wrong)?;
    match days.parse() {
        Ok(days) if days > 0 => Ok((table, days)),
        _ => Err(wrong()),
    }
}
