//! What is let go of at a bound.

use super::Fold;
use crate::glance::Glance;
use crate::identity::key_id;
use crate::links::End;
use crate::topology::{EdgeId, NodeId};
use std::sync::Arc;

impl Fold {
    /// Lets the oldest sampled nodes go, with their edges.
    pub(super) fn let_go_of_sampled(&mut self) {
        while self.sampled.len() > self.limits.sampled_nodes {
            let Some(oldest) = self.sampled.pop_front() else { return };
            let Some(Some(node)) = self.graph.nodes.get(oldest.0 as usize).cloned() else { continue };
            self.let_go_of_edges(oldest);
            self.graph.by_key.remove(&key_id(node.key.hash));
            self.keys.remove(&node.key.hash);
            if let Some(class) = self.graph.by_class.get_mut(&node.class)
                && let Some(at) = class.iter().position(|n| *n == oldest)
            {
                // The oldest stand first.
                class.remove(at);
            }
            if let Some(slot) = self.graph.nodes.get_mut(oldest.0 as usize) {
                *slot = None;
            }
            self.graph.nodes.give_back(oldest.0 as usize, Option::is_none);
            if let Some(glance) = self.graph.glances.get_mut(oldest.0 as usize) {
                *glance = Glance::default();
            }
            self.graph.glances.give_back(oldest.0 as usize, |g| *g == Glance::default());
            self.totals.sampled_let_go += 1;
        }
    }

    pub(super) fn let_go_of_edges(&mut self, node: NodeId) {
        let links = &self.graph.links;
        let edges: Vec<EdgeId> = links.of(node, End::Out).chain(links.of(node, End::Into)).collect();
        for id in edges {
            let Some((relation, from, to)) = self.graph.edge(id).map(|e| (e.relation, e.from, e.to)) else {
                continue;
            };
            self.drop_edge(id);
            // The other end may stay.
            if from != node {
                self.graph.links.remove(from, End::Out, relation, id);
            }
            if to != node && self.is_sampled(to) {
                self.graph.links.remove(to, End::Into, relation, id);
            }
        }
        self.graph.links.clear(node);
    }

    /// Forgets minutes beyond the limit, once an hour of new ones has come.
    pub(super) fn forget_old(&mut self) {
        let Some(latest) = self.graph.latest else { return };
        let minutes = self.limits.hours * 60;
        let mut before = latest.minute().plus(-minutes);
        if let Some(held) = self.held_from {
            before = before.min(held.max(latest.minute().plus(-minutes.saturating_mul(2))));
        }
        if self.forgotten_before.is_some_and(|f| before.0 - f.0 < 60) {
            return;
        }
        self.forgotten_before = Some(before);
        if self.earliest.is_some_and(|e| e < before) {
            self.whole_from = self.whole_from.max(Some(before));
        }
        self.graph.flows.forget_before(before);
        for i in 0..self.graph.series.len() {
            let stale =
                self.graph.series.get(i).and_then(|s| s.extent()).is_some_and(|(first, _)| first < before);
            if stale && let Some(s) = self.graph.series.get_mut(i) {
                Arc::make_mut(s).forget_before(before);
            }
        }
    }
}
