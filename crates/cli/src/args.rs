//! The command line: what can be typed, and the help that is printed of it.

mod client;
mod folder;
mod graph;
mod measure;
mod ontology;
mod serving;
#[cfg(feature = "history")]
mod tables;
mod typed;

pub use self::graph::{At, Cohort, Cypher, Diff, Export, Graph, Pair, Snapshot, Trouble};
pub use self::ontology::{OntologyCommand, OntologyFormat, OntologyFrom};
use clap::{Parser, Subcommand};
pub use client::{As, Ask, Refused, Send, Server, Sources, SourcesCommand, Sql};
pub use folder::{Compact, DataFolder, Restore, Store};
pub use measure::{Bench, Eval, Sim};
pub use serving::{Demo, KeepLog, Listen, Ports, Serve};
#[cfg(feature = "history")]
pub use tables::{History, HistoryAt, Offline, PostgresAt};

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
    #[command(
        after_help = "Examples:\n  e2egraph eval robustspot datasets/robustspot --json\n  e2egraph eval all datasets"
    )]
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
