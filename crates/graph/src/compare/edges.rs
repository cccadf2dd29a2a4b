//! Edges that came, went, or carry other traffic.
//!
//! Two epochs of one writer have an edge at one place, so places are walked side by side. Only edges whose ends several keys tell
//! of, edges that one of the two does not have, and all edges of graphs that share nothing are put together by the keys of their
//! ends.

use super::figures::{self, Minutes};
use super::{EdgeChange, Half, Kind, Told, ranked, rarity};
use crate::delta::Terms;
use crate::flows::{Along, Side};
use crate::topology::{Edge, EdgeId, Graph, Marks};
use ontology::model::MeasureKind;
use std::collections::BTreeMap;

/// The keys of both ends, and the relation by the first graph's ontology.
type Key = (u64, usize, u64);

#[derive(Default)]
struct Found {
    /// One edge at one place on at least one side: none of its ends is known by several keys.
    simple: Vec<(EdgeId, [bool; 2])>,
    by_key: BTreeMap<Key, [Told; 2]>,
}

fn is_there(half: Half<'_>, id: EdgeId) -> bool {
    match (half.only, half.at) {
        (Some(only), _) => only.edges.binary_search_by_key(&id, |e| e.0).is_ok(),
        (None, Some(at)) => half.graph.holds(id, at),
        (None, None) => half.graph.held_during(id, half.during),
    }
}

fn shared(graph: &Graph, edge: &Edge) -> bool {
    graph.has_mark(edge.from, Marks::SHARED) || graph.has_mark(edge.to, Marks::SHARED)
}

fn key(graph: &Graph, edge: &Edge, relation: usize) -> Key {
    (graph.order(graph.resolve(edge.from)), relation, graph.order(graph.resolve(edge.to)))
}

fn find(before: Half<'_>, after: Half<'_>, terms: &Terms) -> Found {
    let mut found = Found::default();
    let (a, b) = (before.graph, after.graph);
    let one_writer = a.is_epoch_of(b);
    let slots = a.edges.len().max(b.edges.len());
    let kept = |g: &Graph, e: &Edge| !g.is_sampled(e.from) && !g.is_sampled(e.to);
    let mut put = |side: usize, half: Half<'_>, id: EdgeId, edge: &Edge| {
        if kept(half.graph, edge) && is_there(half, id) {
            let relation = if side == 0 { edge.relation.index() } else { terms.relation(edge.relation) };
            let told = found.by_key.entry(key(half.graph, edge, relation)).or_default();
            if let Some(slot) = told.get_mut(side) {
                *slot = std::mem::take(slot).and(id);
            }
        }
    };
    for id in (0..slots).filter_map(|i| u32::try_from(i).ok()).map(EdgeId) {
        let (x, y) = (a.edge(id), b.edge(id));
        match (x, y) {
            (Some(x), Some(y)) if one_writer && !shared(a, x) && !shared(b, y) => {
                let there = [is_there(before, id), is_there(after, id)];
                if there != [false, false] && kept(a, x) {
                    found.simple.push((id, there));
                }
            }
            _ => {
                x.into_iter().for_each(|x| put(0, before, id, x));
                y.into_iter().for_each(|y| put(1, after, id, y));
            }
        }
    }
    found
}

/// Reads what went along edges of one side.
struct Reader<'a> {
    half: Half<'a>,
    along: Along<'a>,
}

impl<'a> Reader<'a> {
    fn new(half: Half<'a>) -> Reader<'a> {
        let along = half.graph.flows.along(half.during.from.minute(), half.during.to.minute());
        Reader { half, along }
    }

    fn minutes(&mut self, edges: &[EdgeId]) -> Minutes {
        let half = self.half;
        let keep = |c| half.keeps(c);
        match edges {
            [] => Minutes::new(),
            [only] => self.along.minutes(*only, Side::Answered, keep),
            several => {
                let mut all: BTreeMap<_, crate::Sums> = BTreeMap::new();
                for edge in several {
                    for (minute, sums) in self.along.minutes(*edge, Side::Answered, keep) {
                        all.entry(minute).or_default().merge(&sums);
                    }
                }
                all.into_iter().collect()
            }
        }
    }
}

pub(super) fn compare(before: Half<'_>, after: Half<'_>, terms: &Terms, at_least: f64) -> Vec<EdgeChange> {
    let found = find(before, after, terms);
    let (mut first, mut second) = (Reader::new(before), Reader::new(after));
    // Of each relation: how many there are, and how many came or went.
    let mut of_relation: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
    let mut rows: Vec<(Key, EdgeChange)> = Vec::new();
    let mut one = |key: Key, told: [Told; 2]| {
        let [was, is] = told;
        let counted = of_relation.entry(key.1).or_default();
        let both = !was.edges().is_empty() && !is.edges().is_empty();
        counted.0 += if both { 2 } else { 1 };
        counted.1 += usize::from(!both);
        let (kind, change) = if both {
            let (a, b) = (first.minutes(was.edges()), second.minutes(is.edges()));
            let change = figures::compare((before, &a), (after, &b), MeasureKind::Duration);
            let Some(change) = change.filter(|c| c.surprise > 0.0 && c.surprise >= at_least) else { return };
            (Kind::Changed, Some(change))
        } else {
            (if is.edges().is_empty() { Kind::Removed } else { Kind::Added }, None)
        };
        let surprise = change.map_or(0.0, |c| c.surprise);
        rows.push((key, EdgeChange { before: was, after: is, kind, change, surprise }));
    };
    for (id, [was, is]) in found.simple {
        let Some(edge) = before.graph.edge(id) else { continue };
        let key = key(before.graph, edge, edge.relation.index());
        let told = |there: bool| if there { Told::One(id) } else { Told::Nothing };
        one(key, [told(was), told(is)]);
    }
    for (key, told) in found.by_key {
        one(key, told);
    }
    for (key, row) in rows.iter_mut().filter(|r| r.1.kind != Kind::Changed) {
        row.surprise = rarity(of_relation.get(&key.1).copied().unwrap_or((1, 1)));
    }
    rows.retain(|(_, r)| r.surprise >= at_least);
    ranked(rows, |r| r.surprise)
}
