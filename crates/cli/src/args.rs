//! The command line: what can be typed, and the help that is printed of it.

use crate::client::Client;
use clap::builder::{NonEmptyStringValueParser, PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use ontology::Time;
use query::text::{Between, Side};
use sim::Scenario;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A moment on the command line.
fn moment(text: &str) -> Result<Time, String> {
    Time::parse(text).map_err(|e| e.to_string())
}

/// A stretch of time on the command line.
fn stretch(text: &str) -> Result<Between, String> {
    let Some((from, to)) = text.split_once("..") else {
        return Err("write it like 2026-11-24T10:00:00Z..2026-11-24T11:00:00Z".to_owned());
    };
    let between = Between { from: moment(from)?, to: moment(to)? };
    if between.from >= between.to {
        return Err("it must begin before it ends".to_owned());
    }
    Ok(between)
}

/// A server's address on the command line.
fn url(text: &str) -> Result<String, String> {
    Client::new(text).map(|_| text.to_owned()).map_err(|e| e.to_string())
}

/// A name that a server answers to.
fn host(text: &str) -> Result<String, String> {
    let name = server::name_of(text);
    if name.is_empty() || text.contains(['/', ' ', '@']) || (name.contains('*') && name != "*") {
        return Err("write a name as browsers ask for it, such as graph.example, or `*` for any".to_owned());
    }
    Ok(name)
}

/// A feed and a file.
fn feed_file(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((feed, file)) if !feed.is_empty() && !file.is_empty() => {
            Ok((feed.to_owned(), PathBuf::from(file)))
        }
        _ => Err("write it like github=/etc/e2egraph/github".to_owned()),
    }
}

/// A parameter of an address.
fn parameter(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it like service=ratings".to_owned()),
    }
}

/// How often time goes on faster than it did; 0 for as fast as can be.
fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(x) if x.is_finite() && x >= 0.0 => Ok(x),
        _ => Err("write a number of 0 or more".to_owned()),
    }
}

/// A least surprise.
fn surprise(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(x) if x.is_finite() => Ok(x),
        _ => Err("write a number, such as 3".to_owned()),
    }
}

/// A scenario by name (with `_` or `-`) or by its number.
fn scenario() -> impl TypedValueParser<Value = Scenario> {
    let names = Scenario::all().into_iter().enumerate().map(|(i, s)| {
        PossibleValue::new(s.name())
            .aliases([s.name().replace('_', "-"), (i + 1).to_string()])
            .help(s.describe())
    });
    PossibleValuesParser::new(names).try_map(|name| match name.parse::<usize>() {
        Ok(_) => name.parse(),
        Err(_) => name.replace('-', "_").parse(),
    })
}

/// One of the exam's sets.
fn set() -> PossibleValuesParser {
    PossibleValuesParser::new(exam::SETS.iter().map(|s| PossibleValue::new(s.name()).help(s.about())))
}

/// One of the benchmarks.
fn bench() -> PossibleValuesParser {
    let all = crate::command::bench::BENCHES.iter();
    PossibleValuesParser::new(all.map(|(name, what, _)| PossibleValue::new(name).help(*what)))
}

/// One kind of file of the ontology.
fn kind() -> PossibleValuesParser {
    PossibleValuesParser::new(ontology::Kind::ALL.map(|(_, name)| name))
}

/// Explains user-visible regressions: joins client telemetry, traces, metrics, logs, alerts, experiments, flags and
/// deployments into one temporal graph and says why, with evidence.
#[derive(Debug, Parser)]
#[command(name = "e2egraph", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "\
Exit codes:
  0  done; for `ask` and `demo --once`: explained, or nothing is wrong
  1  failed; the message says what and why
  2  the command line is wrong
  3  the question was not understood, or the thing asked for does not exist
  4  not proven: there is a regression, but no cause with enough evidence
  5  no server answers at --server

Start with `e2egraph demo`.")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Receive telemetry, keep the graph, notice and explain regressions.
    #[command(after_help = "\
Examples:
  e2egraph serve --data /var/lib/e2egraph
  e2egraph serve --ontology site --allow-origin https://tv.example

Ctrl-C or SIGTERM ends it; what was accepted is on disk.")]
    Serve(Box<Serve>),
    /// Play a regression through the real ports and explain it: the five-minute tour.
    #[command(after_help = "\
Examples:
  e2egraph demo                        runs on until Ctrl-C, for the web UI
  e2egraph demo --once --json          ends after the answer
  e2egraph demo --scenario feature_flag --seed 7")]
    Demo(Demo),
    /// Ask in plain words why something is slower, fails or is missing.
    #[command(after_help = "\
Examples:
  e2egraph ask \"Why is TV UI lolomo TTR regressing in the latest version?\"
  e2egraph ask \"Why is ratings slow?\" --at 2026-11-24T12:05:00Z --json")]
    Ask(Ask),
    /// Look into the graph: find, show, neighbours, path, follows, diff, question, query, export.
    #[command(subcommand)]
    Graph(Graph),
    /// Send files to a feed: Kubernetes objects, catalogues, CODEOWNERS, anything a mapping file reads.
    #[command(after_help = "\
Examples:
  kubectl get nodes,pods,deployments,replicasets -A -o json | e2egraph send kubernetes - -p cluster=prod
  e2egraph send catalog services/*/catalog-info.yaml
  e2egraph send codeowners .github/CODEOWNERS -p service=ratings

Ends with 1 when nothing of a file was taken, with 3 when there is no such feed.")]
    Send(Send),
    /// What arrives and how complete the picture is: who sent what and when, what was set aside, which questions lack which source.
    #[command(after_help = "\
Examples:
  e2egraph sources
  e2egraph sources refused --source otlp --limit 20")]
    Sources(Sources),
    /// What may exist, how it relates, what is measured: check, show, schema, export.
    #[command(subcommand)]
    Ontology(OntologyCommand),
    /// Measure the methods on labelled failures.
    #[command(after_help = "Example:\n  e2egraph eval robustspot datasets/robustspot --json")]
    Eval(Eval),
    /// Measure speed, and what crashes lose.
    #[command(
        after_help = "Examples:\n  e2egraph bench fold --json\n  e2egraph bench normalise requests/ --json"
    )]
    Bench(Bench),
    /// Simulated worlds with known answers: list, run, score.
    #[command(subcommand)]
    Sim(Sim),
    /// Look into a data folder that no server has open: check, stats.
    #[command(subcommand)]
    Store(Store),
    /// Ask in SQL, over history and the graph together.
    #[command(after_help = "\
Examples:
  e2egraph sql \"select app_version, p95(merge_sketch(sketch)) as p95, sum(count) from measures where measure = 'view.ttr' group by 1\"
  e2egraph sql \"select * from events where day = date '2026-11-24' order by time\" --json
  e2egraph sql \"select count(*) from flows\" --history s3://bucket/e2egraph

Ends with 3 when a table or column does not exist.")]
    Sql(Sql),
    /// Keep history from a data folder that no server has open: write, tidy, show.
    #[cfg(feature = "history")]
    #[command(subcommand)]
    History(History),
    /// Hash personal data with a new key from now on: who comes again gets another id.
    #[command(after_help = "Example:\n  e2egraph rotate-key")]
    RotateKey(Server),
    /// Print a completion script for a shell.
    #[command(after_help = "\
Examples:
  e2egraph completions bash > ~/.local/share/bash-completion/completions/e2egraph
  e2egraph completions zsh > ~/.zfunc/_e2egraph
  e2egraph completions fish > ~/.config/fish/completions/e2egraph.fish")]
    Completions {
        /// For which shell.
        shell: clap_complete::Shell,
    },
}

/// The three addresses of a server.
#[derive(Debug, Args, Clone)]
pub struct Ports {
    /// Web UI, API and feeds.
    #[arg(long, default_value = "127.0.0.1:4320", value_name = "ADDR")]
    pub http: SocketAddr,
    /// OTLP over gRPC.
    #[arg(long, default_value = "127.0.0.1:4317", value_name = "ADDR")]
    pub otlp_grpc: SocketAddr,
    /// OTLP over HTTP.
    #[arg(long, default_value = "127.0.0.1:4318", value_name = "ADDR")]
    pub otlp_http: SocketAddr,
}

/// Where and for whom to listen.
#[derive(Debug, Args, Clone)]
pub struct Listen {
    /// Addresses.
    #[command(flatten)]
    pub ports: Ports,
    /// Take syslog here, over UDP and TCP; not taken when this is not given.
    #[arg(long, value_name = "ADDR")]
    pub syslog: Option<SocketAddr>,
    /// Listen on addresses that other machines can reach, although there is no sign-in and no TLS yet (docs/security.md).
    #[arg(long)]
    pub unprotected: bool,
    /// Let web pages of this origin send telemetry to OTLP/HTTP (`https://tv.example`); `*` for any. Pages of this machine
    /// always may. May be given several times.
    #[arg(long = "allow-origin", value_name = "ORIGIN")]
    pub allow_origins: Vec<String>,
    /// Answer at --http to this name too (graph.example), as a proxy in front may ask for; `*` for any. Loopback names and the
    /// address itself always are. May be given several times.
    #[arg(long = "allow-host", value_name = "NAME", value_parser = host)]
    pub allow_hosts: Vec<String>,
    /// The file whose first line is the secret that a signed feed is checked with (`github=/etc/e2egraph/github`). Without one,
    /// nothing of that feed is taken. May be given several times.
    #[arg(long = "feed-secret", value_name = "FEED=FILE", value_parser = feed_file)]
    pub feed_secrets: Vec<(String, PathBuf)>,
    /// Take what this signed feed sends without a proof. May be given several times.
    #[arg(long = "unsigned-feed", value_name = "FEED")]
    pub unsigned_feeds: Vec<String>,
}

/// Which ontology.
#[derive(Debug, Args, Clone, Default)]
pub struct OntologyFrom {
    /// A folder of YAML files that extend the built-in ontology. May be given several times.
    #[arg(long = "ontology", value_name = "DIR")]
    pub folders: Vec<PathBuf>,
}

/// Options of `serve`.
#[derive(Debug, Args, Clone)]
pub struct Serve {
    /// Where everything is kept; made when it is not there.
    #[arg(long, default_value = "e2egraph-data", value_name = "DIR")]
    pub data: PathBuf,
    /// Take StatsD and DogStatsD over UDP here, such as 127.0.0.1:8125.
    #[arg(long, value_name = "ADDR")]
    pub statsd: Option<SocketAddr>,
    /// Read the metrics of JOB at URL, as Prometheus does; may be given several times.
    #[arg(long = "scrape", value_name = "JOB=URL")]
    pub scrapes: Vec<server::scrape::Target>,
    /// Seconds between two readings of each target.
    #[arg(long, default_value_t = 15, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub scrape_interval: u64,
    /// Go on with a new key where the key that personal data is hashed with is gone: sessions, profiles and devices get other
    /// ids than before.
    #[arg(long)]
    pub new_hash_key: bool,
    /// Watch a Kubernetes cluster: that of this kubeconfig file; without one, of the pod this runs in, of KUBECONFIG, or of
    /// ~/.kube/config (docs/sources/kubernetes.md).
    #[arg(long, value_name = "KUBECONFIG", num_args = 0..=1)]
    pub kubernetes: Option<Option<PathBuf>>,
    /// What telemetry calls the cluster that is watched (`k8s.cluster.name`).
    #[arg(long, value_name = "NAME", requires = "kubernetes", value_parser = NonEmptyStringValueParser::new())]
    pub kubernetes_cluster: Option<String>,
    /// Hours of traffic and measures that the graph holds in memory; what is older is read from history.
    #[arg(long, default_value_t = graph::Limits::default().hours, value_name = "HOURS", value_parser = clap::value_parser!(i64).range(1..=8784))]
    pub graph_hours: i64,
    /// How much of the log is kept.
    #[command(flatten)]
    pub keep_log: KeepLog,
    /// History.
    #[cfg(feature = "history")]
    #[command(flatten)]
    pub history: HistoryAt,
    /// PostgreSQL.
    #[cfg(feature = "history")]
    #[command(flatten)]
    pub postgres: PostgresAt,
    /// Addresses.
    #[command(flatten)]
    pub listen: Listen,
    /// Ontology.
    #[command(flatten)]
    pub ontology: OntologyFrom,
}

/// How much of the log is kept, besides what no checkpoint has yet.
#[derive(Debug, Args, Clone, Copy)]
pub struct KeepLog {
    /// Hours of the log that are kept; it is what the graph is made of again after a change of the ontology.
    #[arg(long = "keep-log-hours", default_value_t = 336, value_name = "HOURS", value_parser = clap::value_parser!(i64).range(0..=876_000))]
    pub hours: i64,
    /// Beyond so many gibibytes the oldest of it is let go.
    #[arg(long = "keep-log-gib", default_value_t = 64, value_name = "GIB", value_parser = clap::value_parser!(u64).range(0..=1_048_576))]
    pub gib: u64,
}

impl From<KeepLog> for engine::KeepLog {
    fn from(keep: KeepLog) -> engine::KeepLog {
        engine::KeepLog { hours: keep.hours, bytes: keep.gib << 30 }
    }
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

/// What is asked instead of a server.
#[cfg(feature = "history")]
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

#[cfg(feature = "history")]
impl Offline {
    /// Whether no server is asked.
    pub fn is_said(&self) -> bool {
        self.data.is_some() || self.history.is_some()
    }
}

/// Where history is kept, and for how long.
#[cfg(feature = "history")]
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
#[cfg(feature = "history")]
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
#[cfg(feature = "history")]
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
#[cfg(feature = "history")]
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

/// Options of `demo`.
#[derive(Debug, Args, Clone)]
pub struct Demo {
    /// End after the answer instead of running until Ctrl-C.
    #[arg(long)]
    pub once: bool,
    /// Print the answer as one JSON document on standard output.
    #[arg(long)]
    pub json: bool,
    /// Which world; the same number gives the same telemetry.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// Keep the data here instead of in a temporary folder.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Which scenario to play (see `e2egraph sim list`).
    #[arg(long, default_value = "version_cell", value_name = "NAME", value_parser = scenario(), hide_possible_values = true)]
    pub scenario: Scenario,
    /// Addresses; a port that is taken is replaced by a free one.
    #[command(flatten)]
    pub listen: Listen,
    /// Ontology.
    #[command(flatten)]
    pub ontology: OntologyFrom,
}

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

/// Options shared by questions to the graph.
#[derive(Debug, Args, Clone)]
pub struct At {
    /// As it was at this moment (2026-11-24T12:05:00Z); now when not said.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub at: Option<Time>,
    /// From what had arrived by the end of this minute; from everything when not said.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub as_known: Option<Time>,
    /// At most this many rows.
    #[arg(long, default_value_t = 100, value_name = "N")]
    pub limit: usize,
    /// Without a server.
    #[cfg(feature = "history")]
    #[command(flatten)]
    pub offline: Offline,
    /// Server.
    #[command(flatten)]
    pub server: Server,
}

/// A record and the thing it was taken for.
#[derive(Debug, Args, Clone)]
pub struct Pair {
    /// Id of what has only the weaker key.
    pub stand_in: String,
    /// Id of what it counts as.
    pub node: String,
    /// Server.
    #[command(flatten)]
    pub server: Server,
}

/// Options of `graph origins`, `impact` and `common`.
#[derive(Debug, Args, Clone)]
pub struct Trouble {
    /// Class and name of the thing; of `common`, of each.
    #[arg(required = true, num_args = 2.., value_names = ["CLASS", "NAME"])]
    pub things: Vec<String>,
    /// Only this kind of trouble: an aspect of the ontology.
    #[arg(long, value_name = "ASPECT")]
    pub of: Option<String>,
    /// Options.
    #[command(flatten)]
    pub at: At,
}

/// Questions to the graph.
#[derive(Debug, Subcommand)]
pub enum Graph {
    /// Nodes of a class.
    #[command(after_help = "Example:\n  e2egraph graph find Service rat --limit 5")]
    Find {
        /// Class name (see `e2egraph ontology show`).
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        class: String,
        /// Part of the name.
        text: Option<String>,
        /// Options.
        #[command(flatten)]
        at: At,
    },
    /// Everything known of a node.
    #[command(after_help = "Example:\n  e2egraph graph show Service ratings")]
    Show {
        /// Class name.
        class: String,
        /// Name.
        name: String,
        /// Options.
        #[command(flatten)]
        at: At,
    },
    /// What is around a node.
    #[command(after_help = "Example:\n  e2egraph graph neighbours Service ratings --hops 2")]
    Neighbours {
        /// Class name.
        class: String,
        /// Name.
        name: String,
        /// How far, in edges.
        #[arg(long, default_value_t = 1, value_name = "N")]
        hops: usize,
        /// Options.
        #[command(flatten)]
        at: At,
    },
    /// A shortest connection.
    #[command(after_help = "Example:\n  e2egraph graph path View tvui/lolomo Service ratings")]
    Path {
        /// Class of the first.
        from_class: String,
        /// Name of the first.
        from: String,
        /// Class of the second.
        to_class: String,
        /// Name of the second.
        to: String,
        /// Options.
        #[command(flatten)]
        at: At,
    },
    /// Why the edges from one thing to another are there: who told of them, when, how often, by which rule they follow.
    #[command(after_help = "Example:\n  e2egraph graph why Service edge/gateway Service content/ratings")]
    Why {
        /// Class of the first.
        from_class: String,
        /// Name of the first.
        from: String,
        /// Class of the second.
        to_class: String,
        /// Name of the second.
        to: String,
        /// Options.
        #[command(flatten)]
        at: At,
    },
    /// Where trouble at a thing can have come from, strongest first, with the way it would have gone.
    #[command(after_help = "Example:\n  e2egraph graph origins View tvui/lolomo --of latency --limit 10")]
    Origins(Trouble),
    /// What trouble at a thing can reach, strongest first, with the way it would go.
    #[command(
        after_help = "Example:\n  e2egraph graph impact Service content/ratings --of latency --limit 10"
    )]
    Impact(Trouble),
    /// Where trouble at several things can have come from to all of them.
    #[command(
        after_help = "Example:\n  e2egraph graph common Service content/ratings Service edge/gateway --of latency --limit 10"
    )]
    Common(Trouble),
    /// The likeliest ways by which trouble at one thing gets to another, strongest first.
    #[command(
        after_help = "Example:\n  e2egraph graph paths Service content/ratings Service edge/gateway --of latency --best 3"
    )]
    Paths {
        /// Class of the thing where trouble begins.
        from_class: String,
        /// Its name.
        from: String,
        /// Class of the thing where it is felt.
        to_class: String,
        /// Its name.
        to: String,
        /// Felt as this kind of trouble only: an aspect of the ontology.
        #[arg(long, value_name = "ASPECT")]
        of: Option<String>,
        /// At most so many edges in a row (16 at the most).
        #[arg(long, default_value_t = 8, value_name = "N")]
        hops: usize,
        /// At most so many ways (1,000 at the most).
        #[arg(long, default_value_t = 5, value_name = "N")]
        best: usize,
        /// Options.
        #[command(flatten)]
        at: At,
    },
    /// What sources know by different keys and counts as one thing, with the ids that `split` takes.
    #[command(after_help = "Example:\n  e2egraph graph merges Service")]
    Merges {
        /// Of this class only.
        class: Option<String>,
        /// Options.
        #[command(flatten)]
        at: At,
    },
    /// Undo a merge: the two ids, as `merges` shows them, are two things from now on and for all that is kept.
    #[command(after_help = "Example:\n  e2egraph graph split 4e2eacf68f1708cb 88277f1cccdc7bfc")]
    Split(Pair),
    /// Take back a `split`.
    #[command(after_help = "Example:\n  e2egraph graph rejoin 4e2eacf68f1708cb 88277f1cccdc7bfc")]
    Rejoin(Pair),
    /// What follows by the ontology's rules: `e2egraph graph follows rests_on --from View tvui/lolomo`
    Follows {
        /// A derived relation or a predicate of the ontology.
        what: String,
        /// Where the relation leads from; a predicate's first argument.
        #[arg(long, num_args = 2, value_names = ["CLASS", "NAME"])]
        from: Vec<String>,
        /// Where the relation leads to; a predicate's second argument.
        #[arg(long, num_args = 2, value_names = ["CLASS", "NAME"])]
        to: Vec<String>,
        /// Options.
        #[command(flatten)]
        at: At,
    },
    /// What differs between two moments, stretches of time, snapshots or cohorts, most surprising first (docs/diff.md).
    #[command(after_help = "\
Examples:
  e2egraph graph diff --before 2026-11-24T10:00:00Z..2026-11-24T11:00:00Z --after 2026-11-24T11:00:00Z..2026-11-24T12:00:00Z
  e2egraph graph diff --before snapshot:friday --after snapshot:monday
  e2egraph graph diff --cohort 'cell = A' --cohort 'cell = B and country in (BR, AR)'
  e2egraph graph diff --before 2026-11-24T10:00:00Z --ndjson > all.ndjson")]
    Diff(Box<Diff>),
    /// What some people touched: where their sessions lead, what went along edges for them (docs/diff.md).
    #[command(after_help = "\
Examples:
  e2egraph graph cohort 'version = 8.42 and cell = B and country in (BR, AR)'
  e2egraph graph cohort 'not app version >= 8.42' --from 2026-11-24T10:00:00Z --to 2026-11-24T11:00:00Z --json")]
    Cohort(Box<Cohort>),
    /// Keep a moment by name, list what is kept, or let one go.
    #[command(after_help = "\
Examples:
  e2egraph graph snapshot friday --at 2026-11-27T12:00:00Z
  e2egraph graph snapshot
  e2egraph graph snapshot friday --delete")]
    Snapshot(Snapshot),
    /// What a competency question of the ontology finds, its rules followed.
    #[command(after_help = "Example:\n  e2egraph graph question q04 --line 1")]
    Question {
        /// Its name (see `e2egraph ontology show questions`).
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
        /// Only this line of it.
        #[arg(long, value_name = "N")]
        line: Option<usize>,
        /// Options.
        #[command(flatten)]
        at: At,
    },
    /// Write the facts of a moment as RDF to standard output (docs/export.md).
    #[command(after_help = "\
Examples:
  e2egraph graph export > graph.nq
  e2egraph graph export --format trig --at 2026-11-24T12:05:00Z")]
    Export(Export),
    /// A query in openCypher (docs/cypher.md).
    #[command(after_help = "\
Examples:
  e2egraph graph cypher 'MATCH (a:Operation)-[c:calls]->(b) RETURN a.name, b.name, c.p95_ms ORDER BY c.p95_ms DESC LIMIT 5'
  e2egraph graph cypher 'MATCH (s:Service {name: $name})--(n) RETURN labels(n)[0] AS kind, n.name' --param name=content/ratings
  e2egraph graph cypher 'EXPLAIN MATCH (s:Service)-->(n) RETURN n'")]
    Cypher(Cypher),
    /// A question in query text, as evidence carries it (docs/questions.md).
    #[command(after_help = "Example:\n  e2egraph graph query 'find AppVersion \"8.42\" limit 3'")]
    Query {
        /// The query.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        text: String,
        /// Options.
        #[command(flatten)]
        at: At,
    },
}

/// Options of `graph diff`.
#[derive(Debug, Args, Clone)]
pub struct Diff {
    /// First side: a stretch FROM..TO, a moment, snapshot:NAME, or known:TIME; now when not said.
    #[arg(long, value_name = "SIDE", value_parser = Side::from_word)]
    pub before: Option<Side>,
    /// Second side; the first again when two cohorts are compared, else now.
    #[arg(long, value_name = "SIDE", value_parser = Side::from_word)]
    pub after: Option<Side>,
    /// Only these people, on both sides; said twice, those of each side: `version = 8.42 and cell = B`.
    #[arg(long, value_name = "WHERE")]
    pub cohort: Vec<String>,
    /// The people of the second side.
    #[arg(long, value_name = "WHERE", requires = "cohort")]
    pub versus: Option<String>,
    /// Least surprise shown.
    #[arg(long, default_value_t = 3.0, value_name = "SURPRISE", value_parser = surprise)]
    pub least: f64,
    /// Pass over so many rows.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub offset: usize,
    /// Every row, one JSON object a line, the totals first.
    #[arg(long, conflicts_with = "json")]
    pub ndjson: bool,
    /// Options.
    #[command(flatten)]
    pub at: At,
}

/// Options of `graph cohort`.
#[derive(Debug, Args, Clone)]
pub struct Cohort {
    /// Who: `version = 8.42 and cell = B and country in (BR, AR)`.
    #[arg(value_name = "WHERE", value_parser = NonEmptyStringValueParser::new())]
    pub people: String,
    /// From this moment on; without it and --to, the last quarter of an hour.
    #[arg(long, value_name = "TIME", value_parser = moment, requires = "to", conflicts_with = "when")]
    pub from: Option<Time>,
    /// Up to this moment.
    #[arg(long, value_name = "TIME", value_parser = moment, requires = "from")]
    pub to: Option<Time>,
    /// When otherwise: snapshot:NAME or known:TIME.
    #[arg(long, value_name = "SIDE", value_parser = Side::from_word)]
    pub when: Option<Side>,
    /// Pass over so many rows.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub offset: usize,
    /// Every row, one JSON object a line, the totals first.
    #[arg(long, conflicts_with = "json")]
    pub ndjson: bool,
    /// Options.
    #[command(flatten)]
    pub at: At,
}

/// Options of `graph snapshot`.
#[derive(Debug, Args, Clone)]
pub struct Snapshot {
    /// Its name; all that are kept are listed without one.
    pub name: Option<String>,
    /// Of this moment (2026-11-24T12:05:00Z); of now when not said.
    #[arg(long, value_name = "TIME", value_parser = moment, requires = "name")]
    pub at: Option<Time>,
    /// Let it go.
    #[arg(long, requires = "name", conflicts_with = "at")]
    pub delete: bool,
    /// Server.
    #[command(flatten)]
    pub server: Server,
}

/// Options of `graph cypher`.
#[derive(Debug, Args, Clone)]
pub struct Cypher {
    /// The query; `EXPLAIN` and `PROFILE` before it show how it is answered.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub query: String,
    /// A value for `$NAME`: JSON, or a text.
    #[arg(long = "param", value_name = "NAME=VALUE")]
    pub params: Vec<String>,
    /// As it was at this moment (2026-11-24T12:05:00Z); now when not said.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub at: Option<Time>,
    /// From what had arrived by the end of this minute; from everything when not said.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub as_known: Option<Time>,
    /// What held at any time between these: 2026-11-24T10:00:00Z..2026-11-24T11:00:00Z.
    #[arg(long, value_name = "FROM..TO", value_parser = stretch, conflicts_with = "at")]
    pub between: Option<Between>,
    /// At most this many rows.
    #[arg(long, default_value_t = 1000, value_name = "N")]
    pub limit_rows: usize,
    /// Give up after so many seconds, with the rows found until then.
    #[arg(long, default_value_t = 10.0, value_name = "SECONDS")]
    pub timeout: f64,
    /// Without a server.
    #[cfg(feature = "history")]
    #[command(flatten)]
    pub offline: Offline,
    /// Server.
    #[command(flatten)]
    pub server: Server,
}

/// Options of `graph export`.
#[derive(Debug, Args, Clone)]
pub struct Export {
    /// Which form.
    #[arg(long, value_enum, default_value_t = GraphFormat::NQuads)]
    pub format: GraphFormat,
    /// As it was at this moment (2026-11-24T12:05:00Z); now when not said.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub at: Option<Time>,
    /// From what had arrived by the end of this minute; from everything when not said.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub as_known: Option<Time>,
    /// The server's web address.
    #[arg(long, env = "E2EGRAPH_SERVER", default_value = "http://127.0.0.1:4320", value_name = "URL", value_parser = url)]
    pub server: String,
}

/// Open forms of facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum GraphFormat {
    /// One quad a line.
    #[value(name = "nquads")]
    NQuads,
    /// With prefixes, grouped by thing.
    #[value(name = "trig")]
    TriG,
}

impl GraphFormat {
    /// As the server knows it.
    pub fn name(self) -> &'static str {
        match self {
            GraphFormat::NQuads => "nquads",
            GraphFormat::TriG => "trig",
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

/// Questions about the ontology.
#[derive(Debug, Subcommand)]
pub enum OntologyCommand {
    /// Load it and say everything that is wrong with it.
    #[command(after_help = "Example:\n  e2egraph ontology check --ontology site")]
    Check {
        /// Ontology.
        #[command(flatten)]
        ontology: OntologyFrom,
        /// Print JSON instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Print classes, relations, measures, rules, actions, sources, questions or words, or all that concerns one of them.
    #[command(
        after_help = "Examples:\n  e2egraph ontology show relations\n  e2egraph ontology show Service\n  e2egraph ontology show view.ttr"
    )]
    Show {
        /// What to print: classes, relations, measures, rules, actions, sources, questions, words, or one thing's name.
        #[arg(default_value = "classes")]
        what: String,
        /// Ontology.
        #[command(flatten)]
        ontology: OntologyFrom,
        /// Print JSON instead of text.
        #[arg(long)]
        json: bool,
    },
    /// List what differs between two ontologies and whom it breaks; ends with 1 when it breaks anybody.
    #[command(
        after_help = "Examples:\n  e2egraph ontology diff site-before site\n  e2egraph ontology diff --ontology site  (from the built-in one)"
    )]
    Diff {
        /// The folders of the older and the newer one; each extends the built-in ontology.
        #[arg(num_args = 2, value_names = ["OLD_DIR", "NEW_DIR"])]
        sides: Vec<PathBuf>,
        /// Ontology.
        #[command(flatten)]
        ontology: OntologyFrom,
        /// Print JSON instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Have a running server read its ontology files again; with problems in them it keeps the old one. SIGHUP does the same.
    #[command(after_help = "Example:\n  e2egraph ontology reload")]
    Reload {
        /// Server.
        #[command(flatten)]
        server: Server,
    },
    /// The same, telling by source and reason what went in of what had been set aside.
    #[command(after_help = "Example:\n  e2egraph ontology replay-refused")]
    ReplayRefused {
        /// Server.
        #[command(flatten)]
        server: Server,
    },
    /// Print what a site could add, from attributes that nothing reads and from what was set aside in the newest requests of a
    /// running server, with the evidence. Nothing is applied.
    #[command(after_help = "Example:\n  e2egraph ontology propose --least 0.05")]
    Propose {
        /// Server.
        #[command(flatten)]
        server: Server,
        /// Look at so many of the newest requests.
        #[arg(long, value_name = "N", default_value_t = engine::LOOK_AT, value_parser = clap::value_parser!(u64).range(1..=engine::LOOK_AT_MOST))]
        requests: u64,
        /// Leave out what a smaller share of the records carries.
        #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
        least: f64,
    },
    /// Write it in an open form to standard output: `e2egraph ontology export --format owl`
    Export {
        /// Which form.
        #[arg(long, value_enum)]
        format: OntologyFormat,
        /// Ontology.
        #[command(flatten)]
        ontology: OntologyFrom,
    },
    /// Print the JSON Schema of an ontology file, for editors.
    #[command(after_help = "Example:\n  e2egraph ontology schema classes > classes.schema.json")]
    Schema {
        /// Kind of file.
        #[arg(value_parser = kind())]
        kind: String,
    },
}

/// Open forms of the ontology.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OntologyFormat {
    /// Classes and properties as OWL 2 DL, in Turtle.
    Owl,
    /// What must hold of facts at a moment, as SHACL shapes in Turtle.
    Shacl,
    /// Names as IRIs, as a JSON-LD context.
    JsonldContext,
    /// How the files are written, as one JSON Schema document.
    JsonSchema,
    /// Its questions over an exported snapshot, as SPARQL queries.
    Sparql,
}

/// Options of `eval`.
#[derive(Debug, Args, Clone)]
pub struct Eval {
    /// Which set.
    #[arg(value_parser = set())]
    pub set: String,
    /// Its folder, with `inputs/` and `labels.jsonl`.
    pub dir: PathBuf,
    /// Print JSON instead of text.
    #[arg(long)]
    pub json: bool,
}

/// Options of `bench`.
#[derive(Debug, Args, Clone)]
pub struct Bench {
    /// Which benchmark; all when not said.
    #[arg(value_parser = bench())]
    pub name: Option<String>,
    /// For `normalise`: a folder of OTLP requests (NAME_traces.otlp.ld.zst, _metrics, _logs: protobuf, each after its length)
    /// instead of a simulated world.
    pub dir: Option<PathBuf>,
    /// One JSON object per figure, one a line.
    #[arg(long)]
    pub json: bool,
}

/// Simulated worlds.
#[derive(Debug, Subcommand)]
pub enum Sim {
    /// The scenarios and what happens in each.
    List {
        /// Print JSON instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Answer every scenario over several seeds and compare with the sealed answers.
    Score {
        /// How many seeds.
        #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000))]
        seeds: u64,
        /// Only this scenario (see `e2egraph sim list`).
        #[arg(long, value_name = "NAME", value_parser = scenario(), hide_possible_values = true)]
        scenario: Option<Scenario>,
        /// Print JSON instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Play worlds told by many sources at once into one graph and compare it with the truth of who is who.
    #[command(after_help = "Example:\n  e2egraph sim join --seeds 3")]
    Join {
        /// How many worlds, of the seeds from 1.
        #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000))]
        seeds: u64,
        /// Only the world of this seed.
        #[arg(long, value_name = "N", conflicts_with = "seeds")]
        seed: Option<u64>,
        /// Print JSON instead of text.
        #[arg(long)]
        json: bool,
        /// The ontology.
        #[command(flatten)]
        ontology: OntologyFrom,
    },
    /// Play a world into a running server over its real ports.
    #[command(after_help = "Example:\n  e2egraph sim run host_saturation --seed 3 --speed 420")]
    Run {
        /// Which scenario (see `e2egraph sim list`).
        #[arg(value_parser = scenario(), hide_possible_values = true)]
        scenario: Scenario,
        /// Which world; the same number gives the same telemetry.
        #[arg(long, default_value_t = 1, value_name = "N")]
        seed: u64,
        /// Simulated seconds per second; as fast as the server takes it when 0.
        #[arg(long, default_value_t = 0.0, value_parser = speed)]
        speed: f64,
        /// Print JSON instead of text.
        #[arg(long)]
        json: bool,
        /// Addresses of the server.
        #[command(flatten)]
        ports: Ports,
    },
}
