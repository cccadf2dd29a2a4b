//! Edges at a node for who asks of many nodes: nothing is sorted, named or copied.

use crate::links::End;
use crate::read::{Direction, Hop};
use crate::topology::{Edge, EdgeId, Graph, Marks, NodeId};
use ontology::model::Grain;
use ontology::{ClassId, RelationId};
use std::hint::black_box;
use std::ops::ControlFlow;

/// Edges that are fetched from memory together: at first as many as there are with the node itself, then as many as a core waits for at once.
const FIRST: usize = 5;
const AT_ONCE: usize = 64;

impl Graph {
    /// Gives every edge at a node that leads one way, by some relations (all when empty), concluded ones too, at whatever
    /// time, in no order that means anything, until `found` says that it has enough.
    ///
    /// Edges from sampled nodes into unsampled ones are not met at the latter; [`Graph::from_sampled`] gives them.
    pub fn each_hop(
        &self,
        node: NodeId,
        direction: Direction,
        relations: &[RelationId],
        mut found: impl FnMut(Hop, &Edge) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        if !self.has_mark(node, Marks::SHARED) {
            return self.each_hop_of(node, direction, relations, &mut found);
        }
        self.members(node).into_iter().try_for_each(|m| self.each_hop_of(m, direction, relations, &mut found))
    }

    fn each_hop_of(
        &self,
        member: NodeId,
        direction: Direction,
        relations: &[RelationId],
        found: &mut impl FnMut(Hop, &Edge) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let end = if direction == Direction::Out { End::Out } else { End::Into };
        let mut give = |id: EdgeId| {
            let Some(edge) = self.edge(id) else { return ControlFlow::Continue(()) };
            let node = self.resolve(if direction == Direction::Out { edge.to } else { edge.from });
            found(Hop { edge: id, relation: edge.relation, direction, node }, edge)
        };
        if relations.is_empty() {
            self.each_fetched(self.links.of(member, end), &mut give)
        } else {
            self.each_fetched(self.links.of_relations(member, end, relations), &mut give)
        }
    }

    /// Edges lie about in memory. So many of them are asked for before the first is looked at that waiting for all takes hardly longer than
    /// for one; few at first, because who asks may soon have enough.
    fn each_fetched(
        &self,
        mut edges: impl Iterator<Item = EdgeId>,
        mut give: impl FnMut(EdgeId) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let mut few = [EdgeId(0); AT_ONCE];
        let mut most = FIRST;
        loop {
            let room = few.iter_mut().take(most);
            let taken = room.zip(&mut edges).map(|(place, edge)| *place = edge).count();
            let taken = few.get(..taken).unwrap_or_default();
            if taken.len() > 1 {
                let edges = taken.iter().filter_map(|e| self.edges.get(e.0 as usize));
                black_box(edges.fold(0, |sum, e| sum ^ e.to.0 ^ e.ends));
            }
            taken.iter().copied().try_for_each(&mut give)?;
            if taken.len() < most {
                return ControlFlow::Continue(());
            }
            most = AT_ONCE;
        }
    }

    /// How many edges [`Graph::each_hop`] would give, counted no further than `most`, without a look at them.
    pub fn hop_count(
        &self,
        node: NodeId,
        direction: Direction,
        relations: &[RelationId],
        most: usize,
    ) -> usize {
        let end = if direction == Direction::Out { End::Out } else { End::Into };
        let count = |member: NodeId, most: usize| {
            if relations.is_empty() {
                self.links.of(member, end).take(most).count()
            } else {
                self.links.of_relations(member, end, relations).take(most).count()
            }
        };
        if !self.has_mark(node, Marks::SHARED) {
            return count(node, most);
        }
        self.members(node).into_iter().fold(0, |sum, m| sum + count(m, most - sum))
    }

    /// Every edge from a sampled node.
    pub fn from_sampled(&self) -> impl Iterator<Item = (EdgeId, &Edge)> + '_ {
        let sampled =
            |c: &ClassId| self.ontology.classes.get(c.index()).is_some_and(|c| c.grain == Grain::Sampled);
        let nodes = self.by_class.iter().filter(move |(c, _)| sampled(c)).flat_map(|(_, nodes)| nodes);
        nodes.flat_map(|n| self.links.of(*n, End::Out)).filter_map(|id| Some((id, self.edge(id)?)))
    }

    /// How many edges of a relation there are.
    pub fn edge_count(&self, relation: RelationId) -> usize {
        self.edge_counts.get(relation.index()).copied().unwrap_or(0)
    }

    /// What things are put in order by that mean the same in every graph: the part of the key that ids show.
    pub fn order(&self, node: NodeId) -> u64 {
        self.order.get(node.0 as usize).copied().unwrap_or(0)
    }

    /// Whether a node may be known by several keys.
    pub fn may_have_members(&self, node: NodeId) -> bool {
        self.has_mark(node, Marks::SHARED)
    }
}
