//! What can be done with a data folder.

use super::{KeepLog, OntologyFrom};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Questions to a data folder.
#[derive(Debug, Subcommand, Clone)]
pub enum Store {
    /// Read every record and document and name what is damaged, without changing anything.
    #[command(after_help = "\
Example:
  e2egraph store check /var/lib/e2egraph

Ends with 0 when everything is whole (an unfinished write at the end is no damage: nothing in it was acknowledged), with 1
when something is damaged or the folder cannot be read, with 3 when there is no such folder.")]
    Check(DataFolder),
    /// What a data folder holds: files, records, bytes by form and source, from when to when, documents.
    #[command(after_help = "Example:\n  e2egraph store stats /var/lib/e2egraph --json")]
    Stats(DataFolder),
    /// Write a checkpoint of the graph and let go of what the log need not hold any longer.
    #[command(after_help = "\
Example:
  e2egraph store compact /var/lib/e2egraph --keep-log-hours 24

A running server does the same by itself. The ontology must be that of the server: a checkpoint made under another is of no use to
it.")]
    Compact(Compact),
    /// Make a data folder of a copy: checks every file before and after it is copied.
    #[command(after_help = "\
Example:
  e2egraph store restore /backup/e2egraph /var/lib/e2egraph

Ends with 1 when the copy is damaged or cannot be read, or the new folder is not empty; nothing is left in it then.")]
    Restore(Restore),
}

/// Options of `store compact`.
#[derive(Debug, Args, Clone)]
pub struct Compact {
    /// Folder.
    #[command(flatten)]
    pub folder: DataFolder,
    /// How much of the log is kept.
    #[command(flatten)]
    pub keep_log: KeepLog,
    /// Ontology.
    #[command(flatten)]
    pub ontology: OntologyFrom,
}

/// Options of `store restore`.
#[derive(Debug, Args, Clone)]
pub struct Restore {
    /// The copy of a data folder.
    #[arg(value_name = "COPY")]
    pub copy: PathBuf,
    /// The new data folder: empty, or not there.
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Restore a copy that is damaged: what is whole in it is read by the server, and what is not is named.
    #[arg(long)]
    pub damaged: bool,
    /// Print JSON instead of text.
    #[arg(long)]
    pub json: bool,
}

/// A data folder.
#[derive(Debug, Args, Clone)]
pub struct DataFolder {
    /// The folder, as `serve --data` names it.
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Print JSON instead of text.
    #[arg(long)]
    pub json: bool,
}
