//! What became known between two epochs, as rows: whatever time it tells of.

use super::{Difference, EdgeChange, Kind, MeasureChange, NodeChange, Told, ranked, rarity};
use crate::delta::{Pair, delta};
use crate::topology::Graph;
use std::collections::BTreeMap;

/// Everything that is told otherwise in the second graph, and how many sampled nodes and edges at such were left out. The surprise
/// of a row is how rare it is for its class, relation or measure, in bits.
pub fn learned(before: &Graph, after: &Graph) -> (Difference, usize) {
    let found = delta(before, after);
    let mut left_out = 0;
    let mut nodes: Vec<(u64, usize, NodeChange)> = Vec::new();
    for p in &found.nodes {
        let Some((graph, node)) = told(p, before, after) else { continue };
        if graph.is_sampled(node) {
            left_out += 1;
            continue;
        }
        let class = graph.raw(node).map_or(usize::MAX, |n| n.class.index());
        let row = NodeChange { before: p.before, after: p.after, kind: p.kind(), surprise: 0.0 };
        nodes.push((graph.order(node), class, row));
    }
    let mut edges: Vec<((u64, usize, u64), usize, EdgeChange)> = Vec::new();
    for p in &found.edges {
        let Some((graph, id)) = told(p, before, after) else { continue };
        let Some(edge) = graph.edge(id) else { continue };
        if graph.is_sampled(edge.from) || graph.is_sampled(edge.to) {
            left_out += 1;
            continue;
        }
        let relation = edge.relation.index();
        let side = |id: Option<_>| id.map_or(Told::Nothing, Told::One);
        let (was, is) = (side(p.before), side(p.after));
        let row = EdgeChange { before: was, after: is, kind: p.kind(), change: None, surprise: 0.0 };
        edges.push(((graph.order(edge.from), relation, graph.order(edge.to)), relation, row));
    }
    // One row for a measure on a node, however many cohorts told of it.
    let mut measures: BTreeMap<(usize, u64), MeasureChange> = BTreeMap::new();
    for p in &found.series {
        let Some((graph, id)) = told(p, before, after) else { continue };
        let Some(series) = graph.series_at(id) else { continue };
        let subject = graph.resolve(series.subject);
        let key = (series.measure.index(), graph.order(subject));
        let row = measures.entry(key).or_insert(MeasureChange {
            measure: series.measure,
            before: None,
            after: None,
            kind: Kind::Changed,
            change: None,
            surprise: 0.0,
        });
        let there = |g: &Graph| {
            let twin = g.by_key.get(&key.1).map(|n| g.resolve(*n))?;
            g.series(series.measure, twin).iter().any(|s| s.says_anything()).then_some(twin)
        };
        if (row.before, row.after) == (None, None) {
            (row.before, row.after) = (there(before), there(after));
            row.kind = Pair { before: row.before, after: row.after }.kind();
        }
    }
    let measures = measures.into_iter().map(|(key, row)| (key, key.0, row)).collect();
    let rows = Difference {
        nodes: rare(nodes, |r| r.kind, |r, s| r.surprise = s, |r| r.surprise),
        edges: rare(edges, |r| r.kind, |r, s| r.surprise = s, |r| r.surprise),
        measures: rare(measures, |r: &MeasureChange| r.kind, |r, s| r.surprise = s, |r| r.surprise),
        held: [before.nodes.len(), after.nodes.len()],
    };
    (rows, left_out)
}

fn told<'a, T: Copy>(pair: &Pair<T>, before: &'a Graph, after: &'a Graph) -> Option<(&'a Graph, T)> {
    pair.after.map(|t| (after, t)).or(pair.before.map(|t| (before, t)))
}

/// Ranks rows by how few of their sort the same happened to.
fn rare<T, K: Ord>(
    mut rows: Vec<(K, usize, T)>,
    kind: impl Fn(&T) -> Kind,
    set: impl Fn(&mut T, f64),
    surprise: impl Fn(&T) -> f64,
) -> Vec<T> {
    let mut all = 0;
    let mut of_sort: BTreeMap<(usize, Kind), usize> = BTreeMap::new();
    for (_, sort, row) in &rows {
        all += 1;
        *of_sort.entry((*sort, kind(row))).or_default() += 1;
    }
    for (_, sort, row) in &mut rows {
        let same = of_sort.get(&(*sort, kind(row))).copied().unwrap_or(1);
        set(row, rarity((all, same)));
    }
    ranked(rows.into_iter().map(|(key, _, row)| (key, row)).collect(), surprise)
}
