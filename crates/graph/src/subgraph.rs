//! What some people touched: the nodes and edges of the cohorts and sampled sessions that a condition is true of.

use crate::links::End;
use crate::series::CohortId;
use crate::topology::{EdgeId, Graph, NodeId};
use crate::{Runs, Went};
use ontology::model::Grain;
use ontology::{ClassId, Minute, RelationId, Stretch};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

/// A condition on what a record names, each thing as what it counts as, sorted.
pub type Names<'a> = &'a dyn Fn(&[NodeId]) -> bool;

/// Sampled nodes lead to sampled nodes (an interaction to its session, a session to its device) over at most so many steps.
const STEPS: usize = 4;

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
    pub fn subgraph(&self, during: Stretch, condition: Names<'_>) -> Subgraph {
        let (from, to) = (during.from.minute(), during.to.minute());
        let sorted = |mut names: Vec<NodeId>| {
            names.sort_unstable();
            names.dedup();
            names
        };
        let of_cohort = |c: CohortId| sorted(self.cohort_members(c));
        let all = (0..).map(CohortId).take(self.cohorts.len());
        let counts: Vec<bool> = all.clone().map(|c| condition(&of_cohort(c))).collect();
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

    /// Sampled nodes of a condition that were seen in a stretch, and where they lead.
    fn sampled_of(
        &self,
        (from, to): (Minute, Minute),
        condition: Names<'_>,
    ) -> (BTreeMap<ClassId, usize>, Vec<Led>) {
        let mut named = Named {
            graph: self,
            condition,
            of: vec![0; self.nodes.len()],
            sets: Vec::new(),
            places: FxHashMap::default(),
        };
        let mut sampled: BTreeMap<ClassId, usize> = BTreeMap::new();
        let mut led: BTreeMap<(ClassId, RelationId, u64, NodeId), usize> = BTreeMap::new();
        let is_sampled =
            |c: &ClassId| self.ontology.classes.get(c.index()).is_some_and(|c| c.grain == Grain::Sampled);
        for (class, nodes) in self.by_class.iter().filter(|(c, _)| is_sampled(c)) {
            for node in nodes {
                let seen = |runs: &Runs| runs.iter().any(|r| r.0 < to && r.1 >= from);
                let Some(raw) = self.raw(*node) else { continue };
                // What nobody saw itself was there when something was said to relate to it.
                let there = if raw.seen.is_empty() {
                    let edges = self.links.of(*node, End::Out).chain(self.links.of(*node, End::Into));
                    edges.filter_map(|e| self.edge(e)).any(|e| seen(&e.seen))
                } else {
                    seen(&raw.seen)
                };
                if !there {
                    continue;
                }
                let counts = named.counts(*node);
                if counts {
                    *sampled.entry(*class).or_default() += 1;
                    for edge in self.links.of(*node, End::Out).filter_map(|e| self.edge(e)) {
                        let to = self.resolve(edge.to);
                        if !self.is_sampled(to) {
                            *led.entry((*class, edge.relation, self.order(to), to)).or_default() += 1;
                        }
                    }
                }
            }
        }
        (sampled, led.into_iter().map(|((class, relation, _, to), n)| (class, relation, to, n)).collect())
    }
}

/// What sampled nodes lead to, themselves or through other sampled ones: many lead to the same, so each such set is kept once, with
/// the verdict on it.
struct Named<'a> {
    graph: &'a Graph,
    condition: Names<'a>,
    /// By node: its set, counted from one.
    of: Vec<u32>,
    sets: Vec<(Vec<NodeId>, bool)>,
    /// Sets by what they were put together from: nodes, and other sets with the highest bit set.
    places: FxHashMap<Vec<u32>, u32>,
}

/// Marks a set among nodes.
const SET: u32 = 1 << 31;

impl Named<'_> {
    fn counts(&mut self, node: NodeId) -> bool {
        let set = self.set(node, STEPS);
        self.sets.get(set as usize).is_some_and(|s| s.1)
    }

    fn set(&mut self, node: NodeId, steps: usize) -> u32 {
        if let Some(known) = self.of.get(node.0 as usize).and_then(|s| s.checked_sub(1)) {
            return known;
        }
        let mut parts: Vec<u32> = Vec::new();
        let graph = self.graph;
        for edge in graph.links.of(node, End::Out).filter_map(|e| graph.edge(e)) {
            let to = graph.resolve(edge.to);
            if !graph.is_sampled(to) {
                parts.push(to.0);
            } else if steps > 0 {
                parts.push(self.set(to, steps - 1) | SET);
            }
        }
        parts.sort_unstable();
        parts.dedup();
        let set = match self.places.get(&parts) {
            Some(known) => *known,
            None => self.put(parts),
        };
        // What was found over fewer steps may not be all.
        if let Some(slot) = self.of.get_mut(node.0 as usize).filter(|_| steps > 0) {
            *slot = set + 1;
        }
        set
    }

    fn put(&mut self, parts: Vec<u32>) -> u32 {
        let mut names: Vec<NodeId> = Vec::new();
        for part in &parts {
            match self.sets.get((part & !SET) as usize).filter(|_| part & SET != 0) {
                Some((further, _)) => names.extend(further),
                None => names.push(NodeId(*part)),
            }
        }
        names.sort_unstable();
        names.dedup();
        let verdict = (self.condition)(&names);
        let place = u32::try_from(self.sets.len()).unwrap_or(0);
        self.sets.push((names, verdict));
        self.places.insert(parts, place);
        place
    }
}
