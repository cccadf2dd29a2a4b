//! The command line: what can be typed, and the help that is printed of it.

use crate::client::Client;
use clap::builder::{NonEmptyStringValueParser, PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use ontology::Time;
use query::text::Between;
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
    Serve(Serve),
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
    /// Look into the graph: find, show, neighbours, path, follows, diff, query.
    #[command(subcommand)]
    Graph(Graph),
    /// What may exist, how it relates, what is measured: check, show, schema.
    #[command(subcommand)]
    Ontology(OntologyCommand),
    /// Measure the methods on labelled failures.
    #[command(after_help = "Example:\n  e2egraph eval robustspot datasets/robustspot --json")]
    Eval(Eval),
    /// Measure speed.
    #[command(
        after_help = "Examples:\n  e2egraph bench fold --json\n  e2egraph bench normalise requests/ --json"
    )]
    Bench(Bench),
    /// Simulated worlds with known answers: list, run, score.
    #[command(subcommand)]
    Sim(Sim),
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
    /// Go on with a new key where the key that personal data is hashed with is gone: sessions, profiles and devices get other
    /// ids than before.
    #[arg(long)]
    pub new_hash_key: bool,
    /// Addresses.
    #[command(flatten)]
    pub listen: Listen,
    /// Ontology.
    #[command(flatten)]
    pub ontology: OntologyFrom,
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

/// Options shared by questions to the graph.
#[derive(Debug, Args, Clone)]
pub struct At {
    /// As it was at this moment (2026-11-24T12:05:00Z); now when not said.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub at: Option<Time>,
    /// At most this many rows.
    #[arg(long, default_value_t = 100, value_name = "N")]
    pub limit: usize,
    /// Server.
    #[command(flatten)]
    pub server: Server,
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
    /// What differs between two stretches of time, or between two cohorts.
    #[command(after_help = "\
Examples:
  e2egraph graph diff --before 2026-11-24T10:00:00Z..2026-11-24T11:00:00Z --after 2026-11-24T11:00:00Z..2026-11-24T12:00:00Z
  … --cohort 'Cell = \"lolomo_rows/A\"' --versus 'Cell = \"lolomo_rows/B\"'")]
    Diff {
        /// First stretch: 2026-11-24T10:00:00Z..2026-11-24T11:00:00Z.
        #[arg(long, value_name = "FROM..TO", value_parser = stretch)]
        before: Between,
        /// Second stretch.
        #[arg(long, value_name = "FROM..TO", value_parser = stretch)]
        after: Between,
        /// Cohort of the first side: `Cell = "rows/A"`.
        #[arg(long, value_name = "TERMS")]
        cohort: Option<String>,
        /// Cohort of the second side.
        #[arg(long, value_name = "TERMS", requires = "cohort")]
        versus: Option<String>,
        /// Least surprise shown.
        #[arg(long, default_value_t = 3.0, value_name = "SURPRISE", value_parser = surprise)]
        least: f64,
        /// Options.
        #[command(flatten)]
        at: At,
    },
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
    /// Print classes, relations or measures.
    Show {
        /// What to print.
        #[arg(value_enum, default_value_t = OntologyPart::Classes)]
        part: OntologyPart,
        /// Ontology.
        #[command(flatten)]
        ontology: OntologyFrom,
        /// Print JSON instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Print the JSON Schema of an ontology file, for editors.
    #[command(after_help = "Example:\n  e2egraph ontology schema classes > classes.schema.json")]
    Schema {
        /// Kind of file.
        #[arg(value_parser = kind())]
        kind: String,
    },
}

/// Parts of the ontology.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OntologyPart {
    /// What exists.
    Classes,
    /// How it relates.
    Relations,
    /// What is measured.
    Measures,
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
