//! A graph made of what was written down of another: things, edges, what went along them and what was measured, each with the
//! minutes it was there.
//!
//! It is read like any graph. Identity is settled: whoever wrote it down said who is who, so every thing has the one key that its
//! id shows. What follows by the ontology's kept rules is drawn at the end, from what was put in.

use crate::flows::{Side, Summed};
use crate::fold::Fold;
use crate::limits::Limits;
use crate::series::CohortId;
use crate::sources::Sources;
use crate::stat::{Stat, micro};
use crate::topology::{Edge, EdgeId, Graph, NodeId};
use ontology::{AttrId, ClassId, Key, MeasureId, Minute, Ontology, RelationId, Time, Value};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Summaries of traffic that are put in their place together.
const SUMS: usize = 64 * 1024;

/// A graph in the making. What is put in may come in any order. Minutes of things and edges may overlap; what went along edges and what
/// was measured adds up, so each of that is to be put in once.
#[derive(Debug)]
pub struct Past {
    fold: Fold,
    nodes: FxHashMap<u64, NodeId>,
    sums: Vec<Summed>,
}

impl Past {
    /// Nothing yet. Beyond the limits further nodes and series are left out, as in [`Fold`].
    pub fn new(ontology: Arc<Ontology>, limits: Limits) -> Past {
        Past { fold: Fold::new(ontology, Vec::new(), limits), nodes: FxHashMap::default(), sums: Vec::new() }
    }

    /// The ontology it is made under.
    pub fn ontology(&self) -> &Arc<Ontology> {
        self.fold.ontology()
    }

    /// The thing with an id, as [`Graph::id`] shows it; made when it is new. `None` when the limit of nodes is reached.
    pub fn node(&mut self, class: ClassId, id: u64) -> Option<NodeId> {
        if let Some(known) = self.nodes.get(&id) {
            return Some(*known);
        }
        let key = Key { slot: 0, hash: u128::from(id) << 64 };
        let node = self.fold.make(class, key, true)?;
        self.nodes.insert(id, node);
        Some(node)
    }

    /// It was seen from one minute to another, both included.
    pub fn seen(&mut self, node: NodeId, first: Minute, last: Minute) {
        self.fold.with_node(node, |n| n.seen.cover(first, last));
    }

    /// Whether attributes were said of it at a moment or later: what was said before changes nothing.
    pub fn is_told(&self, node: NodeId, at: Time) -> bool {
        self.fold
            .graph
            .raw(node)
            .is_some_and(|n| !n.attrs.is_empty() && n.attrs.iter().all(|(_, s)| s.at >= at))
    }

    /// What was said of it at a moment; what was said last counts.
    pub fn told(&mut self, node: NodeId, at: Time, attrs: &[(AttrId, Value)]) {
        self.fold.with_node(node, |n| attrs.iter().for_each(|(attr, value)| n.say(*attr, value, 0, at)));
    }

    /// It was said to have ended; the first that was said counts.
    pub fn ended(&mut self, node: NodeId, at: Time) {
        self.fold.with_node(node, |n| n.ended = Some(n.ended.map_or(at, |e| e.min(at))));
    }

    /// A source told of it.
    pub fn told_by(&mut self, node: NodeId, source: &str) {
        let source = Sources::one(self.fold.source(source));
        self.fold.with_node(node, |n| n.sources = n.sources.with(source));
    }

    /// The edge between two things; made when it is new, as one that nobody saw yet.
    pub fn edge(&mut self, relation: RelationId, from: NodeId, to: NodeId) -> EdgeId {
        let known = self.fold.known_edge((relation, from, to));
        known.unwrap_or_else(|| self.fold.make_edge(Edge::new(relation, from, to)))
    }

    /// It was seen from one minute to another, both included.
    pub fn edge_seen(&mut self, edge: EdgeId, first: Minute, last: Minute) {
        self.fold.with_edge(edge, |e| e.seen.cover(first, last));
    }

    /// It was said to end; the last that was said counts.
    pub fn edge_ended(&mut self, edge: EdgeId, at: Time) {
        self.fold.ends(edge, at);
    }

    /// A source told of it.
    pub fn edge_told_by(&mut self, edge: EdgeId, source: &str) {
        let source = Sources::one(self.fold.source(source));
        self.fold.told_by(edge, source);
    }

    /// The cohort of some things.
    pub fn cohort(&mut self, mut nodes: Vec<NodeId>) -> CohortId {
        nodes.sort_unstable();
        nodes.dedup();
        self.fold.cohort_of(nodes.into())
    }

    /// What went along an edge in a minute, as one side saw it, by one cohort.
    pub fn flow(&mut self, edge: EdgeId, side: Side, cohort: CohortId, minute: Minute, stat: Stat) {
        self.sums.push((edge, side, cohort, minute, stat));
        if self.sums.len() >= SUMS {
            self.fold.graph.flows.put_sums(&mut self.sums);
        }
    }

    /// What was measured on a thing in a minute, by one cohort: what was counted, and by how much counters grew.
    pub fn cell(
        &mut self,
        of: (MeasureId, NodeId),
        cohort: CohortId,
        minute: Minute,
        stat: &Stat,
        grown: f64,
    ) {
        let id = self.fold.series(of, cohort);
        let Some(series) = self.fold.graph.series.get_mut(id.0 as usize) else { return };
        let series = Arc::make_mut(series);
        if *stat != Stat::default() {
            series.cell(minute).merge(stat);
        }
        let grown = micro(grown);
        if grown != 0 {
            series.grew(minute, grown);
        }
    }

    /// How many nodes and edges there are.
    pub fn size(&self) -> (usize, usize) {
        (self.nodes.len(), self.fold.graph.edge_slots())
    }

    /// The graph, with what follows. `latest` is the last moment it tells of.
    pub fn finish(mut self, latest: Time) -> Graph {
        let graph = &mut self.fold.graph;
        graph.flows.put_sums(&mut self.sums);
        graph.latest = Some(latest);
        // Names are made of what came in any order.
        graph.names.begin_anew();
        let told: Vec<EdgeId> = graph.edges().map(|(id, _)| id).collect();
        // All are there, so that what is found around each is all that follows.
        for edge in told {
            self.fold.draw(edge);
        }
        self.fold.graph()
    }
}
