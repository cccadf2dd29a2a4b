//! Differences between two epochs at ten million edges, and what a call costs as the graph grows.

use super::graph::{CALLS, Made, REQUEST, START_NS, folded, thread_seconds};
use super::{Figure, peak_rss};
use anyhow::Context as _;
use graph::{Fold, Graph, NodeId, delta, delta_by_keys};
use ontology::fact::{Fact, Ref};
use ontology::{Batch, Ontology, Time};
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

/// Of a hundred calls, one more.
const MORE: u64 = CALLS / 100;
const AIM_MS: f64 = 50.0;

/// The median over several runs, and all they took; in seconds.
fn median(mut work: impl FnMut() -> anyhow::Result<()>, runs: usize) -> anyhow::Result<(f64, f64)> {
    let (mut times, begin) = (Vec::new(), thread_seconds()?);
    for _ in 0..runs {
        let before = thread_seconds()?;
        work()?;
        times.push(thread_seconds()? - before);
    }
    times.sort_by(f64::total_cmp);
    Ok((times.get(runs / 2).copied().unwrap_or(0.0), thread_seconds()? - begin))
}

/// What differs after one call in a hundred more, as traffic brings them, and after one edge in a hundred, drawn evenly, was
/// seen again; beside it the same by keys, as graphs that share nothing are compared.
pub(super) fn diff(_: Option<&Path>) -> anyhow::Result<Vec<Figure>> {
    let ontology = Arc::new(Ontology::builtin());
    let (mut fold, _) = folded(CALLS)?;
    let before = fold.graph();
    let mut made = Made::new(&ontology, CALLS + MORE)?;
    // Another stretch of the same stream: as many new edges and as many busy ones as ever.
    (0..7).for_each(|_| {
        made.random();
    });
    let mut at = CALLS;
    while at < CALLS + MORE {
        let (batch, recorded) = made.request(at);
        fold.fold(&batch, recorded);
        at += REQUEST;
    }
    let after = fold.graph();
    let mut figures = vec![compared("graph-diff", &before, &after, true)?];
    // One edge in a hundred.
    touch(&mut fold, &mut made, &after)?;
    let touched = fold.graph();
    figures.push(compared("graph-diff-even", &after, &touched, false)?);
    Ok(figures)
}

/// Sees one edge in a hundred again, half an hour after the last call.
fn touch(fold: &mut Fold, made: &mut Made, graph: &Graph) -> anyhow::Result<()> {
    let relation = graph.ontology().relation("depends_on").context("no relation depends_on")?;
    let edges = graph.edge_slots() as u64;
    let at = Time::from_nanos(START_NS + 2 * 3_600_000_000_000).context("two hours later")?;
    let mut left = edges / 100;
    while left > 0 {
        let mut batch = Batch { source: "bench".to_owned(), ..Batch::default() };
        for _ in 0..left.min(REQUEST) {
            let slot = u32::try_from(made.random() % edges).unwrap_or(0);
            let Some(edge) = graph.edge(graph::EdgeId(slot)) else { continue };
            let first = u32::try_from(batch.drafts.len()).unwrap_or(0);
            for end in [edge.from, edge.to] {
                let thing = number(graph, end).context("a service without a number")?;
                batch.drafts.push(made.draft(thing));
            }
            let (from, to) = (Ref(first), Ref(first + 1));
            batch.facts.push(Fact::Related { relation, from, to, at, until: None });
        }
        fold.fold(&batch, at);
        left -= left.min(REQUEST);
    }
    Ok(())
}

/// The number in the name of a made service.
fn number(graph: &Graph, node: NodeId) -> Option<u64> {
    graph.name(node).rsplit('-').next()?.parse().ok()
}

fn compared(name: &str, before: &Graph, after: &Graph, first: bool) -> anyhow::Result<Figure> {
    // The first time, what was appended since is sorted; that belongs to it.
    let begin = thread_seconds()?;
    let found = delta(before, after);
    let once = thread_seconds()? - begin;
    let (again, cpu) = median(
        || {
            black_box(delta(before, after));
            Ok(())
        },
        9,
    )?;
    let (peer, _) = median(
        || {
            let twin = delta_by_keys(before, after);
            let same = twin.nodes.len() == found.nodes.len()
                && twin.edges.len() == found.edges.len()
                && twin.series.len() == found.series.len();
            anyhow::ensure!(same, "the two ways to compare disagree");
            Ok(())
        },
        1,
    )?;
    let value = 1e3 * if first { once } else { again };
    eprintln!(
        "{name}: {} nodes, {} edges differ; {:.1} ms the first time, {:.1} ms again; aim {AIM_MS} ms",
        found.nodes.len(),
        found.edges.len(),
        1e3 * once,
        1e3 * again
    );
    Ok(Figure {
        name: name.to_owned(),
        value,
        unit: "ms",
        cpu_seconds: cpu,
        peer: "all of both by keys",
        peer_value: 1e3 * peer,
        ratio: value / (1e3 * peer),
        peak_rss_bytes: peak_rss(),
        n: found.edges.len() as u64,
    })
}

/// What a call costs at one, ten and thirty million calls. The peer of each is the first.
pub(super) fn growth(_: Option<&Path>) -> anyhow::Result<Vec<Figure>> {
    let mut figures: Vec<Figure> = Vec::new();
    let mut least = None;
    for millions in [1, 10, 30] {
        let calls = millions * 1_000_000;
        let (mut fold, seconds) = folded(calls)?;
        let edges = fold.graph().edge_slots() as u64;
        let per_call = 1e9 * seconds / calls as f64;
        let least = *least.get_or_insert(per_call);
        figures.push(Figure {
            name: format!("growth-{millions}m"),
            value: per_call,
            unit: "ns/call",
            cpu_seconds: seconds,
            peer: "at a million",
            peer_value: least,
            ratio: per_call / least,
            peak_rss_bytes: peak_rss(),
            n: edges,
        });
    }
    Ok(figures)
}
