//! What one in a hundred of ten million interactions touched.

use super::graph::{START_NS, mixed, thread_seconds};
use super::{Figure, peak_rss};
use anyhow::Context as _;
use graph::{CohortId, Fold, Graph, Limits};
use ontology::fact::{Draft, Fact, ItemId, Key, Ref};
use ontology::{Batch, Ontology, Stretch, Time, Value};
use query::people::ground;
use rustc_hash::FxHashMap;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

/// Interactions over an hour.
const CALLS: u64 = 10_000_000;
const REQUEST: u64 = 4_000;
const SERVICES: u64 = 20_000;
const VERSIONS: u64 = 20;
const CELLS: u64 = 5;
const PLACES: u64 = 50;
/// Interactions held as nodes, and the sessions they are in.
const SAMPLED: u64 = 300_000;
const SESSIONS: u64 = 60_000;
const AIM_MS: f64 = 200.0;

/// One interaction as a row of plain columns: what the floor reads.
struct Rows {
    edges: Vec<u32>,
    cohorts: Vec<u32>,
    lasted_us: Vec<u32>,
    failed: Vec<bool>,
}

fn draft(o: &Ontology, class: &str, attr: &str, number: u64) -> anyhow::Result<Draft> {
    let of = o.class(class).with_context(|| format!("no class {class}"))?;
    let attr = o.attr(of, attr).with_context(|| format!("no {class}.{attr}"))?;
    let hash = u128::from(mixed(u64::from(of.0) << 48 | number)) << 64 | u128::from(number);
    let text = if class == "AppVersion" { format!("8.{number}.0") } else { format!("{class}-{number}") };
    Ok(Draft { class: of, keys: vec![Key { slot: 0, hash }], attrs: vec![(attr, Value::text(text))] })
}

struct World {
    fold: Fold,
    rows: Rows,
}

/// A world: calls of people with a version, a cell and a place; and a sample of them as sessions and interactions.
fn world() -> anyhow::Result<World> {
    let o = Arc::new(Ontology::builtin());
    let mut fold = Fold::new(Arc::clone(&o), Vec::new(), Limits::default());
    let relation = |name: &str| o.relation(name).with_context(|| format!("no relation {name}"));
    let (depends_on, ran) = (relation("depends_on")?, relation("ran")?);
    let (received, from_place) = (relation("received")?, relation("from_place")?);
    let (in_session, of_view) = (relation("in_session")?, relation("of_view")?);
    let rows = |n| Vec::with_capacity(usize::try_from(n).unwrap_or(0));
    let mut all =
        Rows { edges: rows(CALLS), cohorts: rows(CALLS), lasted_us: rows(CALLS), failed: Vec::new() };
    let mut numbers: FxHashMap<(u64, u64), u32> = FxHashMap::default();
    let mut next = 0;
    while next < CALLS {
        let mut batch = Batch { source: "bench".to_owned(), ..Batch::default() };
        let mut refs: FxHashMap<(&str, u64), Ref> = FxHashMap::default();
        let mut cohorts: FxHashMap<u64, Arc<[Ref]>> = FxHashMap::default();
        let mut put = |batch: &mut Batch, class: &'static str, attr: &str, n: u64| -> anyhow::Result<Ref> {
            if let Some(known) = refs.get(&(class, n)) {
                return Ok(*known);
            }
            let new = Ref(u32::try_from(batch.drafts.len())?);
            batch.drafts.push(draft(&o, class, attr, n)?);
            refs.insert((class, n), new);
            Ok(new)
        };
        let mut at = Time::EPOCH;
        for n in next..next + REQUEST {
            let r = mixed(n ^ 0xabcd);
            let share = |bits: u64| (mixed(r ^ bits) >> 11) as f64 / (1u64 << 53) as f64;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a service's number")]
            let service = |bits: u64| (SERVICES as f64).powf(share(bits)) as u64 - 1;
            let (from, to) = (service(1), service(2));
            let who = mixed(r ^ 3) % (VERSIONS * CELLS * PLACES);
            let ns = START_NS + u64::try_from(3_600_000_000_000 * u128::from(n) / u128::from(CALLS))?;
            at = Time::from_nanos(ns).context("a moment of the hour")?;
            let cohort = match cohorts.get(&who) {
                Some(known) => Arc::clone(known),
                None => {
                    let version = put(&mut batch, "AppVersion", "version", who % VERSIONS)?;
                    let cell = put(&mut batch, "Cell", "name", who / VERSIONS % CELLS)?;
                    let place = put(&mut batch, "Place", "code", who / VERSIONS / CELLS)?;
                    let cohort: Arc<[Ref]> = [version, cell, place].into();
                    cohorts.insert(who, Arc::clone(&cohort));
                    cohort
                }
            };
            let lasted_us = 1_000 + mixed(r ^ 4) % 100_000;
            let failed = mixed(r ^ 5).is_multiple_of(100);
            let ends = (put(&mut batch, "Service", "name", from)?, put(&mut batch, "Service", "name", to)?);
            batch.facts.push(Fact::Call {
                id: ItemId(mixed(n ^ 0x5555)),
                relation: depends_on,
                from: ends.0,
                to: ends.1,
                cohort,
                at,
                lasted_ns: i64::try_from(lasted_us * 1_000)?,
                failed,
            });
            let number = u32::try_from(numbers.len())?;
            all.edges.push(*numbers.entry((from, to)).or_insert(number));
            all.cohorts.push(u32::try_from(who)?);
            all.lasted_us.push(u32::try_from(lasted_us)?);
            all.failed.push(failed);
            if n % (CALLS / SAMPLED) == 0 {
                let session = who * (SESSIONS / (VERSIONS * CELLS * PLACES))
                    + mixed(r ^ 6) % (SESSIONS / (VERSIONS * CELLS * PLACES));
                let version = put(&mut batch, "AppVersion", "version", who % VERSIONS)?;
                let cell = put(&mut batch, "Cell", "name", who / VERSIONS % CELLS)?;
                let place = put(&mut batch, "Place", "code", who / VERSIONS / CELLS)?;
                let view = put(&mut batch, "View", "name", mixed(r ^ 7) % 40)?;
                let session = put(&mut batch, "Session", "session_id", session)?;
                let interaction = put(&mut batch, "Interaction", "interaction_id", n)?;
                for (relation, from, to) in [
                    (ran, session, version),
                    (received, session, cell),
                    (from_place, session, place),
                    (in_session, interaction, session),
                    (of_view, interaction, view),
                ] {
                    batch.facts.push(Fact::Related { relation, from, to, at, until: None });
                }
                batch.facts.push(Fact::Seen { entity: session, at });
                batch.facts.push(Fact::Seen { entity: interaction, at });
            }
        }
        fold.fold(&batch, at);
        next += REQUEST;
    }
    Ok(World { fold, rows: all })
}

/// The condition: one version in twenty and one cell in five.
const WHO: &str = "version = 8.7 and cell = Cell-3";

/// The floor: the same interactions in plain columns, filtered by who they are and summed by edge.
fn floor(rows: &Rows, wanted: &[bool]) -> FxHashMap<u32, (u64, u64, u64)> {
    let mut sums: FxHashMap<u32, (u64, u64, u64)> = FxHashMap::default();
    let columns = rows.edges.iter().zip(&rows.cohorts).zip(&rows.lasted_us).zip(&rows.failed);
    for (((edge, cohort), lasted), failed) in columns {
        if wanted.get(*cohort as usize) == Some(&true) {
            let sum = sums.entry(*edge).or_default();
            *sum = (sum.0 + 1, sum.1 + u64::from(*failed), sum.2 + u64::from(*lasted));
        }
    }
    sums
}

pub(super) fn cohort(_: Option<&Path>) -> anyhow::Result<Vec<Figure>> {
    let World { mut fold, rows } = world()?;
    let graph: Graph = fold.graph();
    let from = Time::from_nanos(START_NS).context("the beginning")?;
    let during = Stretch { from: from.minute().start(), to: from.plus_secs(3_660).minute().start() };
    let (mut times, begin) = (Vec::new(), thread_seconds()?);
    let mut found = None;
    for _ in 0..9 {
        let start = thread_seconds()?;
        let (filter, _) = ground(&graph, &WHO.parse()?)?;
        found = Some(filter.subgraph(&graph, during));
        times.push(1e3 * (thread_seconds()? - start));
    }
    let cpu = thread_seconds()? - begin;
    // The first time, what was appended last is sorted.
    let first = times.first().copied().unwrap_or(0.0);
    times.sort_by(f64::total_cmp);
    let value = times.get(times.len() / 2).copied().unwrap_or(0.0);
    let wanted: Vec<bool> = (0..VERSIONS * CELLS * PLACES)
        .map(|who| who % VERSIONS == 7 && who / VERSIONS % CELLS == 3)
        .collect();
    let mut floors = Vec::new();
    let mut sums = FxHashMap::default();
    for _ in 0..9 {
        let start = thread_seconds()?;
        sums = black_box(floor(&rows, &wanted));
        floors.push(1e3 * (thread_seconds()? - start));
    }
    floors.sort_by(f64::total_cmp);
    let peer_value = floors.get(floors.len() / 2).copied().unwrap_or(0.0);
    let found = found.context("nine runs")?;
    let calls: u64 = found.edges.iter().map(|(_, w)| w.answered.count).sum();
    let errors: u64 = found.edges.iter().map(|(_, w)| w.answered.bad).sum();
    let twin = sums.values().fold((0, 0), |all, s| (all.0 + s.0, all.1 + s.1));
    anyhow::ensure!(
        (calls, errors) == twin && found.edges.len() == sums.len(),
        "the floor found something else"
    );
    black_box(found.counts(CohortId(0)));
    eprintln!(
        "graph-cohort: {calls} calls along {} edges, sampled {:?}, {first:.1} ms the first time; aim {AIM_MS} ms",
        found.edges.len(),
        found.sampled.values().collect::<Vec<_>>()
    );
    Ok(vec![Figure {
        name: "graph-cohort".to_owned(),
        value,
        unit: "ms",
        cpu_seconds: cpu,
        peer: "a scan of plain columns, without sessions",
        peer_value,
        ratio: value / peer_value,
        peak_rss_bytes: peak_rss(),
        n: calls,
    }])
}
