//! What is asked of a server, or sent to one.

#[cfg(feature = "history")]
use super::Offline;
use super::typed::{moment, parameter, speed, url};
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand, ValueEnum};
use ontology::Time;
use std::path::PathBuf;

/// Which server to talk to.
#[derive(Debug, Args, Clone)]
pub struct Server {
    /// The server's web address.
    #[arg(long, env = "E2EGRAPH_SERVER", default_value = "http://127.0.0.1:4320", value_name = "URL", value_parser = url)]
    pub server: String,
    /// Print JSON instead of text.
    #[arg(long)]
    pub json: bool,
}

/// Options of `ask`.
#[derive(Debug, Args, Clone)]
pub struct Ask {
    /// The question, in plain words.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub question: String,
    /// Answer from what was so at this moment (2026-11-24T12:05:00Z).
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub at: Option<Time>,
    /// Server.
    #[command(flatten)]
    pub server: Server,
}

/// A question in SQL.
#[derive(Debug, Args, Clone)]
pub struct Sql {
    /// The query (docs/history.md).
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub query: String,
    /// Without a server.
    #[cfg(feature = "history")]
    #[command(flatten)]
    pub offline: Offline,
    /// At most this many rows.
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    pub limit: usize,
    /// At most this many seconds.
    #[arg(long, default_value_t = 30.0, value_name = "SECONDS", value_parser = speed)]
    pub timeout: f64,
    /// Server.
    #[command(flatten)]
    pub server: Server,
}

/// Options of `send`.
#[derive(Debug, Args, Clone)]
pub struct Send {
    /// The feed, as a mapping file names it (docs/sources.md).
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub feed: String,
    /// Files; `-` for standard input.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The form of the files, where their names do not say it.
    #[arg(long = "as", value_enum, value_name = "FORM")]
    pub form: Option<As>,
    /// A parameter of the address, which the feed's mapping may read (service=ratings). May be given several times.
    #[arg(short, long = "parameter", value_name = "NAME=VALUE", value_parser = parameter)]
    pub parameters: Vec<(String, String)>,
    /// Server.
    #[command(flatten)]
    pub server: Server,
}

/// Forms of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum As {
    /// One JSON document, or a list of them.
    Json,
    /// JSON documents one after the other.
    Ndjson,
    /// YAML, documents between `---`.
    Yaml,
    /// Comma-separated values under a row of names.
    Csv,
    /// Lines of text.
    Text,
}

impl As {
    /// The content type that says it.
    pub fn content_type(self) -> &'static str {
        match self {
            As::Json => "application/json",
            As::Ndjson => "application/x-ndjson",
            As::Yaml => "application/yaml",
            As::Csv => "text/csv",
            As::Text => "application/octet-stream",
        }
    }
}

/// Options of `sources`.
#[derive(Debug, Args, Clone)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Sources {
    /// More than the overview.
    #[command(subcommand)]
    pub command: Option<SourcesCommand>,
    /// Server.
    #[command(flatten)]
    pub server: Server,
}

/// Questions about sources.
#[derive(Debug, Subcommand, Clone)]
pub enum SourcesCommand {
    /// Examples of what was set aside, the latest first.
    #[command(after_help = "Example:\n  e2egraph sources refused --source otlp --reason 'no key' --limit 20")]
    Refused(Refused),
}

/// Options of `sources refused`.
#[derive(Debug, Args, Clone)]
pub struct Refused {
    /// Only what this source sent (see `e2egraph sources`).
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
    /// Only where the reason contains this.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// At most this many rows.
    #[arg(long, default_value_t = 100, value_name = "N")]
    pub limit: usize,
    /// Server.
    #[command(flatten)]
    pub server: Server,
}
