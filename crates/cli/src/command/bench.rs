//! `e2egraph bench`: speed, each figure beside a floor measured in the same run; processor time, because machines are shared. And
//! what crashes lose.

mod cohort;
mod crash;
mod cypher;
mod diff;
mod graph;
#[cfg(feature = "history")]
mod history;
mod restart;

use crate::args::Bench;
use crate::command::received;
use crate::exit::Exit;
use crate::progress::Progress;
use crate::world;
use crate::{out, print};
use ::graph::{Fold, Limits};
use anyhow::Context as _;
use ingest::Normaliser;
use ontology::{Ontology, Time};
use query::View;
use serde::Serialize;
use sim::{Plan, Scale, Scenario};
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

/// One figure.
#[derive(Debug, Serialize)]
pub struct Figure {
    pub name: String,
    pub value: f64,
    pub unit: &'static str,
    pub cpu_seconds: f64,
    pub peer: &'static str,
    pub peer_value: f64,
    pub ratio: f64,
    pub peak_rss_bytes: u64,
    pub n: u64,
}

/// Measures; the folder is the one named on the command line.
pub type Run = fn(Option<&Path>) -> anyhow::Result<Vec<Figure>>;

/// Every benchmark: name, what it measures, how.
pub const BENCHES: &[(&str, &str, Run)] = &[
    ("normalise", "OTLP requests of a folder or of a simulated world to facts", normalise),
    ("fold", "the same facts into the graph", fold),
    ("graph-append", "ten million calls between 100,000 things into the graph", graph::append),
    ("graph-asof", "what is around a thing at a moment, at that size", graph::as_of),
    ("graph-diff", "two epochs of that size of which one in a hundred edges differs", diff::diff),
    ("graph-cohort", "what one in a hundred of ten million interactions touched", cohort::cohort),
    ("growth", "what a call costs at one, ten and thirty million", diff::growth),
    ("graph-snapshot", "keeping the graph as it is at that size", graph::snapshot),
    ("graph-known", "keeping what was known at each minute, at that size", graph::known),
    (
        "crash",
        "what a million simulated steps on a failing disk and 500 kills of a real server lose",
        crash::campaigns,
    ),
    ("cypher", "openCypher at that size, as people on call ask", cypher::cypher),
    ("restart", "a start on an hour of log and ten million edges", restart::restart),
    #[cfg(feature = "history")]
    (
        "history",
        "SQL by version, model and place over ten million interactions in Parquet",
        history::group_by,
    ),
    ("answer", "a question to its answer on a simulated world", answer),
];

/// Runs one or all.
pub async fn run(args: Bench) -> anyhow::Result<Exit> {
    if args.dir.is_some() && !matches!(args.name.as_deref(), Some("normalise" | "history")) {
        anyhow::bail!("only `bench normalise` reads a folder, and `bench history` keeps its table in one");
    }
    let chosen: Vec<_> = BENCHES.iter().filter(|b| args.name.as_deref().is_none_or(|n| n == b.0)).collect();
    let bar = Progress::new(chosen.len(), "benchmarks");
    let mut rows = Vec::new();
    for (done, (name, what, bench)) in (0..).zip(chosen) {
        bar.at(done, name);
        let dir = args.dir.clone();
        for figure in tokio::task::spawn_blocking(move || bench(dir.as_deref())).await?? {
            if args.json {
                out::line(&serde_json::to_string(&figure)?)?;
            }
            rows.push(vec![
                figure.name,
                (*what).to_owned(),
                format!("{} {}", print::number(figure.value), figure.unit),
                format!("{} {}", figure.peer, print::number(figure.peer_value)),
                print::number(figure.ratio),
            ]);
        }
    }
    bar.end();
    if !args.json {
        let columns = ["bench", "what", "value", "floor", "ratio"].map(str::to_owned);
        out::print(&print::table(&columns, &rows))?;
    }
    Ok(Exit::Done)
}

pub(crate) const PLAN: Plan = Plan {
    scenario: Scenario::VersionCell,
    seed: 1,
    start_ns: 1_790_000_000_000_000_000,
    scale: Scale::SCORE,
};

/// Processor time of this process so far, in seconds (Linux counts it in hundredths).
fn cpu_seconds() -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").context("reading /proc/self/stat")?;
    let after_name = stat.rsplit_once(')').context("/proc/self/stat has no name")?.1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks =
        |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok()).context("/proc/self/stat is short");
    Ok((ticks(11)? + ticks(12)?) / 100.0)
}

pub(crate) fn peak_rss() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmHWM"));
    line.and_then(|l| l.split_whitespace().nth(1)).and_then(|k| k.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// Repeats work until it has used at least this much processor time; seconds per repetition.
fn per_run(mut work: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<(f64, f64)> {
    work()?;
    let begin = cpu_seconds()?;
    let mut runs = 0.0;
    loop {
        work()?;
        runs += 1.0;
        let used = cpu_seconds()? - begin;
        if used >= 2.0 {
            return Ok((used / runs, used));
        }
    }
}

struct Requests {
    ontology: Arc<Ontology>,
    requests: Vec<(ingest::Wire, Vec<u8>, Time)>,
}

fn requests() -> anyhow::Result<Requests> {
    Ok(Requests { ontology: Arc::new(Ontology::builtin()), requests: received::simulated() })
}

fn batches(r: &Requests) -> anyhow::Result<Vec<(ontology::Batch, Time)>> {
    let options = ingest::Options { hash_key: [7; 32], limits: ingest::Limits::default() };
    let mut normaliser = Normaliser::new(Arc::clone(&r.ontology), options);
    let read = r.requests.iter().map(|(wire, body, at)| {
        normaliser.normalise(wire, body, *at).map(|b| (b, *at)).map_err(|m| anyhow::anyhow!("{m}"))
    });
    read.collect()
}

fn normalise(dir: Option<&Path>) -> anyhow::Result<Vec<Figure>> {
    received::normalise(dir)
}

fn fold(_: Option<&Path>) -> anyhow::Result<Vec<Figure>> {
    let r = requests()?;
    let batches = batches(&r)?;
    let facts: u64 = batches.iter().map(|b| b.0.facts.len() as u64).sum();
    let (seconds, cpu) = per_run(|| {
        let mut fold =
            Fold::new(Arc::clone(&r.ontology), r.ontology.mapping.trust.clone(), Limits::default());
        for (batch, at) in &batches {
            fold.fold(batch, *at);
        }
        black_box(fold.graph().size());
        Ok(())
    })?;
    // The floor: copying the facts.
    let (floor, _) = per_run(|| {
        let copied: Vec<_> = batches.iter().map(|b| b.0.facts.clone()).collect();
        black_box(copied.len());
        Ok(())
    })?;
    Ok(vec![Figure {
        name: "fold".to_owned(),
        value: facts as f64 / seconds,
        unit: "facts/CPU-s",
        cpu_seconds: cpu,
        peer: "copy the facts",
        peer_value: facts as f64 / floor,
        ratio: floor / seconds,
        peak_rss_bytes: peak_rss(),
        n: facts,
    }])
}

fn answer(_: Option<&Path>) -> anyhow::Result<Vec<Figure>> {
    let ontology = Arc::new(Ontology::builtin());
    let (graph, question) = world::play(PLAN, &ontology)?;
    let (seconds, cpu) = per_run(|| {
        black_box(autosre::ask(&View::latest(&graph), &question, &autosre::Options::default())?);
        Ok(())
    })?;
    // The floor: summing every cell of every series once.
    let view = View::latest(&graph);
    let measures = u16::try_from(ontology.measures.len()).unwrap_or(u16::MAX);
    let (floor, _) = per_run(|| {
        let all = ontology::Stretch { from: Time::EPOCH, to: view.as_of };
        for m in 0..measures {
            black_box(view.sum(ontology::MeasureId(m), None, &query::Filter::all(), all));
        }
        Ok(())
    })?;
    let nodes = graph.size().first().map_or(0, |s| s.1 as u64);
    Ok(vec![Figure {
        name: "answer".to_owned(),
        value: seconds,
        unit: "CPU-s/answer",
        cpu_seconds: cpu,
        peer: "sum every cell once",
        peer_value: floor,
        ratio: seconds / floor,
        peak_rss_bytes: peak_rss(),
        n: nodes,
    }])
}
