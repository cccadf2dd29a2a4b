//! What rows ask of a graph again and again, remembered: names and ids of nodes, what a cohort consists of.

use graph::{CohortId, Direction, Graph, NodeId};
use ontology::model::{Holds, KeyPart};
use ontology::{ClassId, RelationId};
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Nodes and cohorts remembered. Beyond: all are forgotten and looked up again.
const REMEMBERED: usize = 100_000;
/// How far from a session its description is looked for: interaction, session, device, model.
const STEPS: usize = 4;

/// A node as rows name it.
pub(crate) struct Told {
    pub(crate) class: ClassId,
    pub(crate) id: String,
    pub(crate) name: String,
}

/// A cohort, or a sampled node as if it were one.
#[derive(Default)]
pub(crate) struct Group {
    pub(crate) id: String,
    /// Class and id of each component.
    pub(crate) components: String,
    /// What describes it, by class: names, or ids of sampled nodes.
    pub(crate) names: BTreeMap<ClassId, String>,
}

pub(crate) struct Look<'g> {
    pub(crate) graph: &'g Graph,
    nodes: FxHashMap<NodeId, Arc<Told>>,
    cohorts: FxHashMap<CohortId, Arc<Group>>,
}

/// The id of a cohort: of the ids of its components, so the same in every graph.
pub(crate) fn cohort_id(graph: &Graph, cohort: CohortId) -> String {
    let ids: BTreeSet<String> = graph.cohort_members(cohort).into_iter().map(|n| graph.id(n)).collect();
    // FNV-1a (Fowler, Noll, Vo), 64 bits.
    let bytes = ids.iter().flat_map(|id| id.bytes().chain([b' ']));
    let hash =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3));
    format!("{hash:016x}")
}

impl<'g> Look<'g> {
    pub(crate) fn new(graph: &'g Graph) -> Look<'g> {
        Look { graph, nodes: FxHashMap::default(), cohorts: FxHashMap::default() }
    }

    pub(crate) fn node(&mut self, node: NodeId) -> Arc<Told> {
        if let Some(known) = self.nodes.get(&node) {
            return Arc::clone(known);
        }
        if self.nodes.len() >= REMEMBERED {
            self.nodes.clear();
        }
        let class = self.graph.node(node).map_or(ClassId(u16::MAX), |n| n.class);
        let told = Arc::new(Told { class, id: self.graph.id(node), name: self.graph.name(node) });
        self.nodes.insert(node, Arc::clone(&told));
        told
    }

    /// The id of a cohort and what describes it.
    pub(crate) fn cohort(&mut self, cohort: CohortId) -> Arc<Group> {
        if let Some(known) = self.cohorts.get(&cohort) {
            return Arc::clone(known);
        }
        if self.cohorts.len() >= REMEMBERED {
            self.cohorts.clear();
        }
        let members: BTreeSet<NodeId> = self.graph.cohort_members(cohort).into_iter().collect();
        let one = |n: &NodeId| {
            let told = self.node(*n);
            format!("{} {}", self.graph.ontology().class_name(told.class), told.id)
        };
        let components: BTreeSet<String> = members.iter().map(one).collect();
        let told = Arc::new(Group {
            id: cohort_id(self.graph, cohort),
            components: components.into_iter().collect::<Vec<_>>().join(", "),
            names: self.described(members),
        });
        self.cohorts.insert(cohort, Arc::clone(&told));
        told
    }

    /// What describes a sampled node: what it and the sampled nodes it belongs to lead to, traffic left out.
    pub(crate) fn sampled(&mut self, node: NodeId) -> Group {
        let mut found = BTreeSet::from([node]);
        let mut at = vec![node];
        for _ in 0..STEPS {
            let mut next = Vec::new();
            for from in at {
                let hops = self.graph.hops(from).into_iter().filter(|h| h.direction == Direction::Out);
                let told = hops.filter(|h| self.holds(h.relation) != Some(Holds::Flow)).map(|h| h.node);
                for to in told {
                    if found.insert(to) && self.graph.is_sampled(to) {
                        next.push(to);
                    }
                }
            }
            at = next;
        }
        Group { names: self.described(found), ..Group::default() }
    }

    fn holds(&self, relation: RelationId) -> Option<Holds> {
        self.graph.ontology().relations.get(relation.index()).map(|r| r.holds)
    }

    /// Names by class of some nodes, and of what their keys say they are part of where nothing of that class is among them.
    fn described(&mut self, nodes: BTreeSet<NodeId>) -> BTreeMap<ClassId, String> {
        let mut by_class: BTreeMap<ClassId, BTreeSet<String>> = BTreeMap::new();
        for node in &nodes {
            let told = self.node(*node);
            let text = if self.graph.is_sampled(*node) { &told.id } else { &told.name };
            by_class.entry(told.class).or_default().insert(text.clone());
        }
        let mut whole: BTreeMap<ClassId, BTreeSet<String>> = BTreeMap::new();
        for node in &nodes {
            let class = self.node(*node).class;
            let ontology = self.graph.ontology();
            let keys =
                ontology.classes.get(class.index()).and_then(|c| c.keys.first()).cloned().unwrap_or_default();
            for part in keys {
                let KeyPart::Relation(relation) = part else { continue };
                if let Some(target) = self.graph.target(*node, relation).filter(|t| !nodes.contains(t)) {
                    let told = self.node(target);
                    if !by_class.contains_key(&told.class) {
                        whole.entry(told.class).or_default().insert(told.name.clone());
                    }
                }
            }
        }
        by_class.extend(whole);
        let text = |names: BTreeSet<String>| names.into_iter().collect::<Vec<_>>().join(", ");
        by_class.into_iter().map(|(class, names)| (class, text(names))).collect()
    }
}
