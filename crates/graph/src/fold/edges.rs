//! What facts say leads from one thing to another.

use super::{Fold, RUN_GAP_MINUTES};
use crate::index::Ends;
use crate::links::End;
use crate::sources::Sources;
use crate::topology::{Edge, EdgeId, NodeId};
use ontology::model::Holds;
use ontology::{RelationId, Time};

/// `fixed` relations are one run however rarely they are seen.
const FIXED_GAP_MINUTES: i64 = i64::MAX / 4;
/// Sampled nodes that are told again when what they belong to is described anew. Beyond: they are not, until their hour is told of
/// otherwise.
const DESCRIBED: usize = 256;

impl Fold {
    pub(super) fn edge(
        &mut self,
        relation: RelationId,
        from: NodeId,
        to: NodeId,
        at: Time,
        sources: Sources,
    ) -> EdgeId {
        let gap = match self.graph.ontology.relations.get(relation.index()).map(|r| r.holds) {
            Some(Holds::Fixed) => FIXED_GAP_MINUTES,
            _ => RUN_GAP_MINUTES,
        };
        let minute = at.minute();
        if let Some(id) = self.known_edge((relation, from, to)) {
            let sets = &self.graph.sets;
            let known = self
                .graph
                .edge(id)
                .is_some_and(|e| e.seen.at(minute, 0).is_some() && sets.get(e.sources).has(sources));
            if !known {
                let first = self.graph.edge(id).and_then(|e| e.seen.first());
                self.with_edge(id, |e| e.seen.add(minute, gap));
                if first.is_none_or(|f| f > minute) {
                    first.into_iter().for_each(|f| self.touched.mark(f));
                    self.graph.links.earlier(from, End::Out, relation, id, minute);
                    if self.is_found_at(from, to) {
                        self.graph.links.earlier(to, End::Into, relation, id, minute);
                    }
                }
                self.led_again(from, relation);
                self.told_by(id, sources);
                // When kept conclusions hold is read off their premises; of sampled ones it is noted as they come.
                let watched = !self.graph.rules.triggers(relation).is_empty();
                if watched && (self.is_sampled(from) || self.is_sampled(to)) {
                    self.draw(id);
                }
            }
            return id;
        }
        let mut edge = Edge::new(relation, from, to);
        edge.seen.add(minute, gap);
        let id = self.make_edge(edge);
        self.told_by(id, sources);
        if !self.graph.rules.triggers(relation).is_empty() {
            self.draw(id);
        }
        id
    }

    pub(crate) fn make_edge(&mut self, edge: Edge) -> EdgeId {
        let id = EdgeId(u32::try_from(self.graph.edges.len()).unwrap_or(u32::MAX));
        let (relation, from, to, first) = (edge.relation, edge.from, edge.to, edge.seen.first());
        self.touch_described(from, relation);
        self.graph.edges.push(edge);
        self.edge_index.insert((relation, from, to), id);
        self.graph.links.add(from, End::Out, relation, id, first);
        if self.is_found_at(from, to) {
            self.graph.links.add(to, End::Into, relation, id, first);
        }
        if let Some(count) = self.graph.edge_counts.get_mut(relation.index()) {
            *count += 1;
        }
        if self.graph.names.leads(relation) {
            self.named_anew(from);
        }
        id
    }

    /// What describes a sampled node describes the sampled nodes that belong to it as well: a session's place is that of its
    /// interactions.
    pub(super) fn touch_described(&mut self, node: NodeId, relation: RelationId) {
        let describes = |r: RelationId| {
            self.graph.ontology.relations.get(r.index()).is_some_and(|r| r.holds != Holds::Flow)
        };
        if !self.is_sampled(node) || !describes(relation) {
            return;
        }
        let mut found = vec![node];
        let mut next = 0;
        while let Some(at) = found.get(next).copied() {
            next += 1;
            for edge in self.graph.links.of(at, End::Into).filter_map(|id| self.graph.edge(id)) {
                let is_new = found.len() < DESCRIBED && !found.contains(&edge.from);
                if is_new && describes(edge.relation) && self.is_sampled(edge.from) {
                    found.push(edge.from);
                }
            }
        }
        found.into_iter().skip(1).for_each(|n| self.touch_begun(n));
    }

    /// The edge between some ends, if there is one.
    pub(crate) fn known_edge(&self, ends: Ends) -> Option<EdgeId> {
        self.edge_index.get(ends, |id| self.graph.joins(id, ends))
    }

    /// Takes an edge out of all but the chains of its ends.
    pub(crate) fn drop_edge(&mut self, id: EdgeId) {
        let Some(ends) = self.graph.edge(id).map(|e| (e.relation, e.from, e.to)) else { return };
        let graph = &self.graph;
        self.edge_index.remove(ends, |id| graph.joins(id, ends));
        self.with_edge(id, |e| *e = Edge::default());
        self.graph.edges.give_back(id.0 as usize, Edge::is_none);
        if let Some(count) = self.graph.edge_counts.get_mut(ends.0.index()) {
            *count = count.saturating_sub(1);
        }
        if self.graph.names.leads(ends.0) {
            self.named_anew(ends.1);
        }
    }

    pub(crate) fn with_edge(&mut self, id: EdgeId, change: impl FnOnce(&mut Edge)) {
        if let Some(edge) = self.graph.edges.get_mut(id.0 as usize) {
            change(edge);
        }
    }

    /// Notes who told of an edge.
    pub(crate) fn told_by(&mut self, id: EdgeId, sources: Sources) {
        let Some(was) = self.graph.edge(id).map(|e| e.sources) else { return };
        let told = self.graph.sets.get(was);
        if !told.has(sources) {
            let now = self.sets.id(&mut self.graph.sets, told.with(sources), was);
            self.with_edge(id, |e| e.sources = now);
        }
    }

    /// Notes that an edge was said to end; the latest that was said counts.
    pub(crate) fn ends(&mut self, id: EdgeId, at: Time) {
        let Some(place) = self.graph.edge(id).map(|e| e.ends) else { return };
        if let Some(known) = place.checked_sub(1).and_then(|p| self.graph.ends.get_mut(p as usize)) {
            *known = at.max(*known);
            // Its page is another one from now on, so that whoever compares pages looks at it.
            self.with_edge(id, |e| e.ends = place);
            return;
        }
        self.graph.ends.push_back(at);
        let place = u32::try_from(self.graph.ends.len()).unwrap_or(0);
        self.with_edge(id, |e| e.ends = place);
    }

    /// Whether an edge is also found at the node that it leads to: those from sampled nodes into kept ones are too many.
    pub(super) fn is_found_at(&self, from: NodeId, to: NodeId) -> bool {
        !self.is_sampled(from) || self.is_sampled(to)
    }
}
