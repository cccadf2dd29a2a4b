//! Nodes that came, went, or of which something else is known.

use super::{Half, Kind, NodeChange, ranked, rarity};
use crate::links::End;
use crate::topology::{EdgeId, Graph, Marks, NodeId};
use ontology::ClassId;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// Nodes of one side by stable id, sampled ones left out.
fn there(half: Half<'_>) -> Vec<(u64, NodeId)> {
    let graph = half.graph;
    let mut found: Vec<(u64, NodeId)> = match half.only {
        Some(only) => only.nodes.iter().map(|n| (graph.order(*n), *n)).collect(),
        None => {
            let kept = graph.nodes().filter(|n| !graph.is_sampled(*n) && is_there(half, *n));
            kept.map(|n| (graph.order(n), n)).collect()
        }
    };
    found.sort_unstable();
    found
}

fn is_there(half: Half<'_>, node: NodeId) -> bool {
    let graph = half.graph;
    let (from, to) = match half.at {
        Some(at) => (at.minute(), at.minute().plus(1)),
        None => (half.during.from.minute(), half.during.to.minute()),
    };
    let life = graph.life_minutes(node);
    let members = || if graph.has_mark(node, Marks::SHARED) { graph.members(node) } else { vec![node] };
    let one = graph.raw(node).filter(|_| !graph.has_mark(node, Marks::SHARED));
    if let Some(only) = one.filter(|n| !n.seen.is_empty()) {
        return only.seen.touches(from, to, life);
    }
    let all: Vec<&crate::Runs> = members().iter().filter_map(|m| graph.raw(*m)).map(|n| &n.seen).collect();
    if all.iter().any(|seen| !seen.is_empty()) {
        return all.iter().any(|seen| seen.touches(from, to, life));
    }
    // Nobody saw the thing itself: it was there while something was said to relate to it.
    let holds = |edge: EdgeId| match half.at {
        Some(at) => graph.told_at(edge, at),
        None => graph.held_during(edge, half.during),
    };
    let at = |m: NodeId| graph.links.of(m, End::Out).chain(graph.links.of(m, End::Into)).any(holds);
    members().into_iter().any(at)
}

/// Nodes whose attributes may differ: none in one graph, those of pages that two epochs do not share, else all.
fn doubtful(before: &Graph, after: &Graph) -> Option<BTreeSet<u64>> {
    if std::ptr::eq(before, after) {
        return Some(BTreeSet::new());
    }
    before.is_epoch_of(after).then(|| {
        let pairs = crate::delta::changed_nodes(before, after);
        let both = pairs.iter().flat_map(|p| {
            [
                p.before.map(|n| before.order(before.resolve(n))),
                p.after.map(|n| after.order(after.resolve(n))),
            ]
        });
        both.flatten().collect()
    })
}

pub(super) fn compare(before: Half<'_>, after: Half<'_>, at_least: f64) -> (Vec<NodeChange>, [usize; 2]) {
    let (a, b) = (there(before), there(after));
    let doubtful = doubtful(before.graph, after.graph);
    let class = |graph: &Graph, n: NodeId| graph.raw(n).map_or(ClassId(u16::MAX), |n| n.class);
    let mut rows: Vec<(u64, NodeChange)> = Vec::new();
    // Of each class: how many there are on either side, how many came or went, and of how many something else is known.
    let mut of_class: BTreeMap<ClassId, (usize, [usize; 2])> = BTreeMap::new();
    let (mut i, mut j) = (0, 0);
    loop {
        let (x, y) = (a.get(i).copied(), b.get(j).copied());
        let order = match (x, y) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(x), Some(y)) => x.0.cmp(&y.0),
        };
        let (x, y) = (x.filter(|_| order.is_le()), y.filter(|_| order.is_ge()));
        (i, j) = (i + usize::from(x.is_some()), j + usize::from(y.is_some()));
        let Some(key) = x.or(y).map(|n| n.0) else { continue };
        let kind = match (x, y) {
            (None, _) => Kind::Added,
            (_, None) => Kind::Removed,
            (Some((_, x)), Some((_, y))) => {
                let told = |g: &Graph, n: NodeId| -> BTreeSet<(String, String)> {
                    let name =
                        |a: ontology::AttrId| g.ontology().attrs.get(a.index()).map(|a| a.name.clone());
                    g.attrs(n).into_iter().filter_map(|(a, v)| Some((name(a)?, v.to_string()))).collect()
                };
                let doubt = doubtful.as_ref().is_none_or(|d| d.contains(&key));
                let counted = of_class.entry(class(after.graph, y)).or_default();
                counted.0 += 2;
                if !doubt || told(before.graph, x) == told(after.graph, y) {
                    continue;
                }
                counted.1[1] += 1;
                Kind::Changed
            }
        };
        if kind != Kind::Changed {
            let class = x.map_or_else(
                || y.map_or(ClassId(u16::MAX), |y| class(after.graph, y.1)),
                |x| class(before.graph, x.1),
            );
            let counted = of_class.entry(class).or_default();
            counted.0 += 1;
            counted.1[0] += 1;
        }
        let (before, after) = (x.map(|x| x.1), y.map(|y| y.1));
        rows.push((key, NodeChange { before, after, kind, surprise: 0.0 }));
    }
    for (_, row) in &mut rows {
        let class = row.after.filter(|_| row.kind != Kind::Removed).map_or_else(
            || row.before.map_or(ClassId(u16::MAX), |n| class(before.graph, n)),
            |n| class(after.graph, n),
        );
        let (all, [moved, changed]) = of_class.get(&class).copied().unwrap_or((1, [1, 1]));
        row.surprise = rarity((all, if row.kind == Kind::Changed { changed } else { moved }));
    }
    rows.retain(|(_, r)| r.surprise >= at_least);
    (ranked(rows, |r| r.surprise), [a.len(), b.len()])
}
