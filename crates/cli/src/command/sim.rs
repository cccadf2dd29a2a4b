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
use std::collections::{BTreeMap, BTreeSet};
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
        Sim::Join { seeds, seed, json, ontology } => {
            let ontology = Arc::new(crate::rim::ontology(&ontology)?);
            let seeds: Vec<u64> = seed.map_or_else(|| (1..=seeds).collect(), |one| vec![one]);
            tokio::task::spawn_blocking(move || join(&seeds, &ontology, json)).await?
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

/// Mistakes that are shown of each kind and world.
const SHOWN: usize = 10;

fn join(seeds: &[u64], ontology: &Arc<Ontology>, as_json: bool) -> anyhow::Result<Exit> {
    let progress = Progress::new(seeds.len(), "worlds");
    let all = Scenario::all();
    let mut worlds = Vec::new();
    let mut total = sim::join::Scored::default();
    let mut sources = BTreeSet::new();
    let mut whole = true;
    let mut paths: BTreeMap<String, crate::join::Leads> = BTreeMap::new();
    for seed in seeds {
        // another scenario each time, so that deployments, flags and alerts differ too
        let turn = usize::try_from(*seed).unwrap_or_default() % all.len();
        let scenario = all.get(turn).copied().unwrap_or(Scenario::Healthy);
        let plan = Plan { scenario, seed: *seed, start_ns: BEGIN_NS, scale: sim::join::SCALE };
        let mut joined = crate::join::join(plan, ontology)?;
        progress.step(&format!("seed {seed}"));
        total.add(&joined.scored);
        sources.extend(joined.sources.keys().cloned());
        whole &=
            joined.unread.is_empty() && joined.paths.values().all(|p| p.to_host > 0 && p.to_deployment > 0);
        for (app, leads) in &joined.paths {
            let all = paths.entry(app.clone()).or_insert_with(|| crate::join::Leads {
                example: leads.example.clone(),
                ..crate::join::Leads::default()
            });
            all.to_host += leads.to_host;
            all.to_deployment += leads.to_deployment;
        }
        for mistakes in [&mut joined.scored.wrong, &mut joined.scored.missed, &mut joined.scored.open] {
            mistakes.truncate(SHOWN);
        }
        worlds.push((*seed, scenario, joined));
    }
    progress.end();
    let right = whole && total.wrong_merges == 0 && total.missed_merges == 0;
    let exit = if right { Exit::Done } else { Exit::Failed };
    if as_json {
        let worlds: Vec<_> = worlds
            .iter()
            .map(|(seed, scenario, joined)| json!({"seed": seed, "scenario": scenario.name(), "joined": joined}))
            .collect();
        out::json(&json!({
            "sources": sources.len(), "source_names": sources, "nodes": total.nodes,
            "wrong_merges": total.wrong_merges, "missed_merges": total.missed_merges, "unplaced": total.unplaced,
            "per_class": total.per_class, "paths": paths, "worlds": worlds,
        }))?;
        return Ok(exit);
    }
    let titles = ["class", "real", "shown", "nodes", "wrong merges", "missed merges", "unplaced"];
    let rows: Vec<Vec<String>> = total
        .per_class
        .iter()
        .map(|(class, c)| {
            let figures = [c.things, c.shown, c.nodes, c.wrong_merges, c.missed_merges, c.unplaced];
            std::iter::once(class.clone()).chain(figures.iter().map(usize::to_string)).collect()
        })
        .collect();
    out::print(&print::table(&titles.map(str::to_owned), &rows))?;
    for (seed, scenario, joined) in &worlds {
        let mistakes = joined.scored.wrong.iter().chain(&joined.scored.missed).chain(&joined.unread);
        for mistake in mistakes {
            out::line(&format!("seed {seed}: {mistake}"))?;
        }
        for (app, leads) in &joined.paths {
            out::line(&format!(
                "seed {seed} {scenario}: {} sessions of {app} lead to a host, {} to a deployment",
                leads.to_host, leads.to_deployment
            ))?;
        }
    }
    let names: Vec<String> = sources.into_iter().collect();
    out::line(&format!("{} sources: {}", names.len(), names.join(", ")))?;
    out::line(&format!(
        "{} nodes, {} wrong merges, {} missed merges, {} that no source places",
        total.nodes, total.wrong_merges, total.missed_merges, total.unplaced
    ))?;
    Ok(exit)
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
