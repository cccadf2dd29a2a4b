//! `e2egraph sim`: worlds with known answers: list them, score the answers, play one into a server.

use crate::args::Sim;
use crate::exit::Exit;
use crate::progress::Progress;
use crate::world;
use crate::{out, print};
use anyhow::Context as _;
use ontology::Ontology;
use serde_json::json;
use sim::{Plan, Scale, Scenario};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// When scored worlds begin. Any moment does; a fixed one makes every run the same.
const BEGIN_NS: i64 = 1_790_000_000_000_000_000;

/// Lists, scores or plays.
pub async fn run(command: Sim) -> anyhow::Result<Exit> {
    match command {
        Sim::List { json } => list(json),
        Sim::Score { seeds, scenario, json } => {
            tokio::task::spawn_blocking(move || score(seeds, scenario, json)).await?
        }
        Sim::Run { scenario, seed, speed, json, ports } => {
            let plan =
                Plan { scenario, seed, start_ns: crate::play::ending_now(Scale::DEMO), scale: Scale::DEMO };
            let sent = crate::play::play(plan, &ports, speed).await?;
            if json {
                out::json(&json!({
                    "scenario": scenario.name(), "seed": seed, "requests": sent.requests, "bytes": sent.bytes,
                }))?;
            } else {
                out::line(&format!("{} requests, {} bytes sent", sent.requests, sent.bytes))?;
            }
            Ok(Exit::Done)
        }
    }
}

fn list(as_json: bool) -> anyhow::Result<Exit> {
    if as_json {
        let all: Vec<_> =
            Scenario::all().iter().map(|s| json!({"name": s.name(), "what": s.describe()})).collect();
        out::json(&all)?;
    } else {
        let rows: Vec<Vec<String>> =
            Scenario::all().iter().map(|s| vec![s.name().to_owned(), s.describe().to_owned()]).collect();
        out::print(&print::table(&["scenario".to_owned(), "what happens".to_owned()], &rows))?;
    }
    Ok(Exit::Done)
}

fn score(seeds: u64, scenario: Option<Scenario>, as_json: bool) -> anyhow::Result<Exit> {
    let chosen = scenario.map_or_else(|| Scenario::all().to_vec(), |one| vec![one]);
    let plans: Vec<Plan> = chosen
        .iter()
        .flat_map(|s| {
            (1..=seeds).map(|seed| Plan { scenario: *s, seed, start_ns: BEGIN_NS, scale: Scale::SCORE })
        })
        .collect();
    let ontology = Arc::new(Ontology::builtin());
    let progress = Progress::new(plans.len(), "worlds");
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, sim::score::CaseScore)>> = Mutex::default();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| -> anyhow::Result<()> {
                    loop {
                        let i = next.fetch_add(1, Ordering::Relaxed);
                        let Some(plan) = plans.get(i) else { return Ok(()) };
                        let answer = world::answer(*plan, &ontology)?;
                        let case = sim::score::score(&sim::truth::truth(plan), &answer);
                        progress.step(&format!("{} seed {}", plan.scenario, plan.seed));
                        if let Ok(mut done) = done.lock() {
                            done.push((i, case));
                        }
                    }
                })
            })
            .collect();
        workers
            .into_iter()
            .try_for_each(|w| w.join().map_err(|_| anyhow::anyhow!("a world ended in a panic"))?)
    })?;
    progress.end();
    let mut cases = done.into_inner().ok().context("a worker failed")?;
    cases.sort_by_key(|c| c.0);
    let cases: Vec<sim::score::CaseScore> = cases.into_iter().map(|c| c.1).collect();
    let total = sim::score::aggregate(&cases);
    if as_json {
        out::json(&total)?;
        return Ok(Exit::Done);
    }
    let keys = ["top1", "top3", "tier", "healthy_silent"];
    let columns: Vec<String> = ["scenario", "worlds"].iter().chain(&keys).map(|k| (*k).to_owned()).collect();
    let row = |name: &str, of: &serde_json::Value| {
        let mut row = vec![name.to_owned(), of.get("cases").map_or_else(String::new, print::cell)];
        row.extend(keys.iter().map(|k| of.get(k).map_or_else(String::new, print::cell)));
        row
    };
    let mut rows: Vec<Vec<String>> = chosen
        .iter()
        .filter_map(|s| Some(row(s.name(), total.get("per_scenario")?.get(s.name())?)))
        .collect();
    rows.push(row("all", &total));
    let error = total.get("ece").map_or_else(String::new, print::cell);
    out::print(&format!("{}calibration error {error}\n", print::table(&columns, &rows)))?;
    Ok(Exit::Done)
}
