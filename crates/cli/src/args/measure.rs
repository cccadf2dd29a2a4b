//! Measuring: simulated worlds, the exam, benchmarks.

use super::typed::{bench, scenario, set, speed};
use super::{OntologyFrom, Ports};
use clap::{Args, Subcommand};
use sim::Scenario;
use std::path::PathBuf;

/// Options of `eval`.
#[derive(Debug, Args, Clone)]
pub struct Eval {
    /// Which set.
    #[arg(value_parser = set())]
    pub set: String,
    /// Its folder, with `inputs/` and `labels.jsonl`; for `all` a folder that holds those of the sets, each by its name.
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
