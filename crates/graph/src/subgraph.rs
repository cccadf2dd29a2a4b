//! What some people touched: the nodes and edges of the cohorts and sampled sessions that a condition is true of.

use crate::Went;
use crate::series::CohortId;
use crate::topology::{EdgeId, Graph, NodeId};
use ontology::{ClassId, RelationId, Stretch};
use std::collections::BTreeMap;

/// A condition on what a record names, each thing as what it counts as, sorted.
pub type Names<'a> = &'a dyn Fn(&[NodeId]) -> bool;

/// A condition on what records name.
#[derive(Clone, Copy)]
pub struct Condition<'a> {
    /// Whether it holds.
    pub holds: Names<'a>,
    /// What decides: it holds of some names exactly if it holds of those of them that are here.
    pub about: &'a [NodeId],
}

/// Where sampled nodes lead: from which class, by which relation, to what, and how many of them.
pub type Led = (ClassId, RelationId, NodeId, usize);

/// What the cohorts and the sampled nodes of a condition touched in a stretch.
#[derive(Clone, Debug, PartialEq)]
pub struct Subgraph {
    /// By cohort, whether it counts.
    counts: Vec<bool>,
    /// How many of those that count did anything in the stretch.
    pub cohorts: usize,
    /// Sampled nodes (sessions, interactions) of the condition that were seen in the stretch, by class.
    pub sampled: BTreeMap<ClassId, usize>,
    /// Where these lead.
    pub led: Vec<Led>,
    /// Edges with what the cohorts did along them, ascending.
    pub edges: Vec<(EdgeId, Went)>,
    /// Nodes that are kept each, by stable id: what the cohorts and sampled nodes name, what they measured, both ends of the
    /// edges.
    pub nodes: Vec<NodeId>,
}

impl Subgraph {
    /// Whether a cohort counts.
    pub fn counts(&self, cohort: CohortId) -> bool {
        self.counts.get(cohort.0 as usize) == Some(&true)
    }
}

impl Graph {
    /// What a condition's cohorts and sampled nodes touched in a stretch.
    pub fn subgraph(&self, during: Stretch, condition: &Condition<'_>) -> Subgraph {
        let (from, to) = (during.from.minute(), during.to.minute());
        let sorted = |mut names: Vec<NodeId>| {
            names.sort_unstable();
            names.dedup();
            names
        };
        let of_cohort = |c: CohortId| sorted(self.cohort_members(c));
        let all = (0..).map(CohortId).take(self.cohorts.len());
        let counts: Vec<bool> = all.clone().map(|c| (condition.holds)(&of_cohort(c))).collect();
        let mut active = vec![false; counts.len()];
        let edges = self.flows.of_cohorts((from, to), &counts, &mut active);
        let mut touched = vec![false; self.nodes.len()];
        let mut touch = |n: NodeId| {
            if let Some(slot) = touched.get_mut(n.0 as usize) {
                *slot = true;
            }
        };
        for s in &self.series {
            let cohort = s.cohort.0 as usize;
            if counts.get(cohort) == Some(&true) && !s.between(from, to).is_empty() {
                touch(self.resolve(s.subject));
                if let Some(active) = active.get_mut(cohort) {
                    *active = true;
                }
            }
        }
        for edge in edges.iter().filter_map(|(id, _)| self.edge(*id)) {
            touch(self.resolve(edge.from));
            touch(self.resolve(edge.to));
        }
        for cohort in all.filter(|c| active.get(c.0 as usize) == Some(&true)) {
            of_cohort(cohort).into_iter().for_each(&mut touch);
        }
        let (sampled, led) = self.sampled_of((from, to), condition);
        led.iter().for_each(|l| touch(l.2));
        let mut nodes: Vec<(u64, NodeId)> = (0..)
            .map(NodeId)
            .zip(&touched)
            .filter(|(n, touched)| **touched && self.stands(*n) && !self.is_sampled(*n))
            .map(|(n, _)| (self.order(n), n))
            .collect();
        nodes.sort_unstable();
        let edges = edges.into_iter().filter(|(id, _)| self.edge(*id).is_some()).collect();
        Subgraph {
            cohorts: active.iter().filter(|a| **a).count(),
            counts,
            sampled,
            led,
            edges,
            nodes: nodes.into_iter().map(|n| n.1).collect(),
        }
    }
}
