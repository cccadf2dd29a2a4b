//! What `serve` and `demo` are started with.

use super::OntologyFrom;
use super::typed::{feed_file, host, scenario};
#[cfg(feature = "history")]
use super::{HistoryAt, PostgresAt};
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use sim::Scenario;
use std::net::SocketAddr;
use std::path::PathBuf;

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
