//! The command line: what can be typed, and the help that is printed of it.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;

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
    Serve(Serve),
    /// Play a regression through the real ports and explain it: the five-minute tour.
    Demo(Demo),
    /// Ask why: `e2egraph ask "Why is TV UI lolomo TTR regressing in the latest version?"`
    Ask(Ask),
    /// Look into the graph: find, show, neighbours, path, follows, diff, query.
    #[command(subcommand)]
    Graph(Graph),
    /// What may exist, how it relates, what is measured: check, show, schema.
    #[command(subcommand)]
    Ontology(OntologyCommand),
    /// Measure on labelled failures: `e2egraph eval robustspot DIR`
    Eval(Eval),
    /// Measure speed: `e2egraph bench NAME`
    Bench(Bench),
    /// Simulated worlds with known answers: list, run, score.
    #[command(subcommand)]
    Sim(Sim),
    /// Print a completion script for a shell: `e2egraph completions bash`
    Completions {
        /// For which shell.
        shell: clap_complete::Shell,
    },
}

/// Where and how to listen.
#[derive(Debug, Args, Clone)]
pub struct Listen {
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
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Keep the data here instead of in a temporary folder.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Which scenario to play (see `e2egraph sim list`).
    #[arg(long, default_value = "version-cell")]
    pub scenario: String,
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
    #[arg(long, env = "E2EGRAPH_SERVER", default_value = "http://127.0.0.1:4320", value_name = "URL")]
    pub server: String,
    /// Print JSON instead of text.
    #[arg(long)]
    pub json: bool,
}

/// Options of `ask`.
#[derive(Debug, Args, Clone)]
pub struct Ask {
    /// The question, in plain words.
    pub question: String,
    /// Answer from what was so at this moment (2026-11-24T12:05:00Z).
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    /// Server.
    #[command(flatten)]
    pub server: Server,
}

/// Options shared by questions to the graph.
#[derive(Debug, Args, Clone)]
pub struct At {
    /// As it was at this moment (2026-11-24T12:05:00Z); now when not said.
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    /// At most this many rows.
    #[arg(long, default_value_t = 100)]
    pub limit: usize,
    /// Server.
    #[command(flatten)]
    pub server: Server,
}

/// Questions to the graph.
#[derive(Debug, Subcommand)]
pub enum Graph {
    /// Nodes of a class: `e2egraph graph find Service rat`
    Find {
        /// Class name (see `e2egraph ontology show`).
        class: String,
        /// Part of the name.
        text: Option<String>,
        /// Options.
        #[command(flatten)]
        at: At,
    },
    /// Everything known of a node: `e2egraph graph show Service ratings`
    Show {
        /// Class name.
        class: String,
        /// Name.
        name: String,
        /// Options.
        #[command(flatten)]
        at: At,
    },
    /// What is around a node: `e2egraph graph neighbours Service ratings --hops 2`
    Neighbours {
        /// Class name.
        class: String,
        /// Name.
        name: String,
        /// How far, in edges.
        #[arg(long, default_value_t = 1)]
        hops: usize,
        /// Options.
        #[command(flatten)]
        at: At,
    },
    /// A shortest connection: `e2egraph graph path View tvui/lolomo Service ratings`
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
    /// What differs between two stretches of time, or between two cohorts in one.
    Diff {
        /// First stretch: FROM..TO.
        #[arg(long, value_name = "FROM..TO")]
        before: String,
        /// Second stretch: FROM..TO.
        #[arg(long, value_name = "FROM..TO")]
        after: String,
        /// Cohort of the first side: `Cell = "rows/A"`.
        #[arg(long, value_name = "TERMS")]
        cohort: Option<String>,
        /// Cohort of the second side.
        #[arg(long, value_name = "TERMS", requires = "cohort")]
        versus: Option<String>,
        /// Least surprise shown.
        #[arg(long, default_value_t = 3.0)]
        least: f64,
        /// Options.
        #[command(flatten)]
        at: At,
    },
    /// A question in query text, as evidence carries it (docs/questions.md).
    Query {
        /// The query.
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
    Schema {
        /// Kind of file: classes, relations, measures, rules, actions, lexicon, mapping…
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
    /// Which set: robustspot, petshop, changerca or nezha_tt.
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
    pub name: Option<String>,
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
        #[arg(long, default_value_t = 10)]
        seeds: u64,
        /// Only this scenario.
        #[arg(long)]
        scenario: Option<String>,
        /// Print JSON instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Play a world into a running server over its real ports.
    Run {
        /// Which scenario.
        scenario: String,
        /// Which world.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Simulated seconds per second; as fast as the server takes it when 0.
        #[arg(long, default_value_t = 0.0)]
        speed: f64,
        /// Addresses of the server.
        #[command(flatten)]
        listen: Listen,
    },
}
