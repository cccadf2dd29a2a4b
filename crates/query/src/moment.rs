//! The facts of one moment: who was there, which relations held, told once and in a fixed order.
//!
//! What several keys said of one thing is one node here, and a relation with one target at a time has one: of several that
//! were seen, the one seen last. Of sessions and other sampled things only those of the last minutes are there: older ones
//! are history, and were not all kept.

use crate::view::View;
use graph::{Direction, EdgeId, Graph, NodeId, Runs};
use ontology::model::Grain;
use ontology::{Minute, RelationId, Time};
use std::collections::BTreeMap;

/// A sampled thing is there for so long after it was last seen: as long as traffic is taken to go on.
pub const SAMPLED_MINUTES: i64 = 10;

/// A relation that held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Which.
    pub relation: RelationId,
    /// To whom.
    pub to: NodeId,
    /// First and last minute it was seen, up to the moment; `None` when no source told of it and it only follows from what
    /// they told.
    pub seen: Option<(Minute, Minute)>,
    /// The edges that say so: one for each pair of keys it was told under.
    pub edges: Vec<EdgeId>,
}

/// A moment of a graph.
pub struct Moment<'a> {
    graph: &'a Graph,
    at: Time,
    nodes: Vec<NodeId>,
    there: Vec<bool>,
}

impl<'a> Moment<'a> {
    /// The last moment that a view sees.
    pub fn of(view: &View<'a>) -> Moment<'a> {
        let (graph, at) = (view.graph, view.as_of.plus_nanos(-1));
        let mut moment = Moment { graph, at, nodes: Vec::new(), there: Vec::new() };
        let mut sorted = Vec::new();
        for node in graph.nodes().filter(|n| moment.was_there(*n)) {
            if let Some(found) = graph.node(node) {
                sorted.push((found.class, found.key.hash, node));
            }
        }
        sorted.sort_unstable();
        moment.nodes = sorted.into_iter().map(|s| s.2).collect();
        let most = moment.nodes.iter().map(|n| n.0 as usize + 1).max().unwrap_or(0);
        moment.there = vec![false; most];
        for n in &moment.nodes {
            if let Some(slot) = moment.there.get_mut(n.0 as usize) {
                *slot = true;
            }
        }
        moment
    }

    /// The graph.
    pub fn graph(&self) -> &'a Graph {
        self.graph
    }

    /// The moment.
    pub fn at(&self) -> Time {
        self.at
    }

    /// Everyone who was there, by class and then by stable id.
    pub fn nodes(&self) -> &[NodeId] {
        &self.nodes
    }

    /// Whether a node was there.
    pub fn has(&self, node: NodeId) -> bool {
        self.there.get(node.0 as usize).copied().unwrap_or(false)
    }

    fn was_there(&self, node: NodeId) -> bool {
        let minute = self.at.minute();
        let class = self.graph.node(node).and_then(|n| self.graph.ontology().classes.get(n.class.index()));
        let sampled = class.is_some_and(|c| c.grain == Grain::Sampled);
        let members: Vec<NodeId> = self.graph.members(node);
        let seen = || members.iter().filter_map(|m| self.graph.member(*m)).map(|n| &n.seen);
        if seen().all(Runs::is_empty) {
            // Nobody saw the thing itself: it was there while something was said to relate to it.
            return self.graph.hops(node).iter().any(|h| self.graph.told_at(h.edge, self.at));
        }
        seen().any(|s| {
            if sampled {
                s.at(minute, SAMPLED_MINUTES).is_some()
            } else {
                s.first().is_some_and(|f| f <= minute)
            }
        })
    }

    /// First and last minute in which a node was seen, up to the moment.
    pub fn seen(&self, node: NodeId) -> Option<(Minute, Minute)> {
        let minute = self.at.minute();
        let members = self.graph.members(node).into_iter().filter_map(|m| self.graph.member(m));
        let runs = members.flat_map(|n| n.seen.iter().filter(|r| r.0 <= minute));
        runs.map(|r| (r.0, r.1.min(minute))).fold(None, |all, run| earliest_and_latest(all, Some(run)))
    }

    /// What a node's relations led to, conclusions of kept rules included, by relation and then by the target's stable id.
    pub fn held(&self, node: NodeId) -> Vec<Held> {
        let key = |n: NodeId| self.graph.node(n).map_or(0, |x| x.key.hash);
        let mut found: BTreeMap<(RelationId, u128, NodeId), Held> = BTreeMap::new();
        for hop in self.graph.all_hops(node) {
            if hop.direction != Direction::Out || !self.has(hop.node) || !self.graph.holds(hop.edge, self.at)
            {
                continue;
            }
            let held = found.entry((hop.relation, key(hop.node), hop.node)).or_insert(Held {
                relation: hop.relation,
                to: hop.node,
                seen: None,
                edges: Vec::new(),
            });
            held.seen = earliest_and_latest(held.seen, self.told(hop.edge));
            held.edges.push(hop.edge);
        }
        let mut all: Vec<Held> = found.into_values().collect();
        let single = |r: RelationId| self.graph.ontology().relations.get(r.index()).is_some_and(|r| r.single);
        // The same choice as `Graph::target` makes.
        let rank = |h: &Held| (h.seen.map(|s| s.1), key(h.to), h.to);
        let mut best: BTreeMap<RelationId, (Option<Minute>, u128, NodeId)> = BTreeMap::new();
        for h in all.iter().filter(|h| single(h.relation)) {
            let slot = best.entry(h.relation).or_insert(rank(h));
            *slot = (*slot).max(rank(h));
        }
        all.retain(|h| best.get(&h.relation).is_none_or(|b| *b == rank(h)));
        all
    }

    /// When sources saw an edge, up to the moment, as far as it holds by what they told.
    fn told(&self, edge: EdgeId) -> Option<(Minute, Minute)> {
        if !self.graph.told_at(edge, self.at) {
            return None;
        }
        let minute = self.at.minute();
        let runs = self.graph.edge(edge)?.seen.iter().filter(|r| r.0 <= minute);
        runs.map(|r| (r.0, r.1.min(minute))).fold(None, |all, run| earliest_and_latest(all, Some(run)))
    }
}

fn earliest_and_latest(a: Option<(Minute, Minute)>, b: Option<(Minute, Minute)>) -> Option<(Minute, Minute)> {
    match (a, b) {
        (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
        (one, other) => one.or(other),
    }
}
