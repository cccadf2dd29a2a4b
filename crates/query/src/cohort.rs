//! Which cohorts count, and along which dimensions they are told apart.

use graph::{CohortId, Graph, NodeId};
use ontology::ClassId;
use ontology::model::KeyPart;
use rustc_hash::FxHashMap;
use std::cell::RefCell;

/// A dimension of cohorts: the component of a class, or the one that belongs to a given parent (the cell *of this
/// experiment*), because a cohort may name several of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dim {
    /// The class.
    pub class: ClassId,
    /// Only those whose key relation leads here.
    pub within: Option<NodeId>,
}

impl Dim {
    /// What a cohort has in this dimension.
    pub fn of(&self, graph: &Graph, cohort: CohortId) -> Option<NodeId> {
        graph.cohort(cohort).iter().map(|n| graph.resolve(*n)).find(|n| self.has(graph, *n))
    }

    fn has(&self, graph: &Graph, node: NodeId) -> bool {
        let Some(class) = graph.node(node).map(|n| n.class) else { return false };
        graph.ontology().is_a(class, self.class)
            && self.within.is_none_or(|w| parent(graph, node).is_some_and(|p| p == graph.resolve(w)))
    }

    /// How people call it: the class, and the parent when it matters.
    pub fn name(&self, graph: &Graph) -> String {
        let class = graph.ontology().classes.get(self.class.index()).map_or("?", |c| &c.name);
        self.within.map_or_else(|| class.to_owned(), |w| format!("{class} of {}", graph.name(w)))
    }
}

/// The node that a node's key says it belongs to (the experiment of a cell, the app of a version).
pub fn parent(graph: &Graph, node: NodeId) -> Option<NodeId> {
    let class = graph.ontology().classes.get(graph.node(node)?.class.index())?;
    let relation = class.keys.first()?.iter().find_map(|p| match p {
        KeyPart::Relation(r) => Some(*r),
        KeyPart::Attr(_) => None,
    })?;
    graph.target(node, relation)
}

/// The dimensions in which some cohorts differ: one per class, split by parent where a cohort names two of a class.
pub fn dimensions(graph: &Graph, cohorts: impl IntoIterator<Item = CohortId>) -> Vec<Dim> {
    // Class -> values seen, and whether one cohort named two.
    let mut seen: std::collections::BTreeMap<ClassId, (std::collections::BTreeSet<NodeId>, bool)> =
        std::collections::BTreeMap::new();
    for cohort in cohorts {
        let mut here: Vec<ClassId> = Vec::new();
        for n in graph.cohort_members(cohort) {
            let Some(class) = graph.node(n).map(|x| x.class) else { continue };
            let entry = seen.entry(class).or_default();
            entry.0.insert(n);
            entry.1 |= here.contains(&class);
            here.push(class);
        }
    }
    let mut dims = Vec::new();
    for (class, (values, several)) in seen {
        if several {
            let mut parents: Vec<(String, NodeId)> =
                values.iter().filter_map(|v| parent(graph, *v)).map(|p| (graph.name(p), p)).collect();
            parents.sort();
            parents.dedup();
            dims.extend(parents.into_iter().map(|(_, p)| Dim { class, within: Some(p) }));
        } else {
            dims.push(Dim { class, within: None });
        }
    }
    dims
}

/// A predicate over cohorts, with its verdicts remembered.
#[derive(Debug, Default)]
pub struct Filter {
    /// Each must hold: the cohort names one of these (`true`), or none of these (`false`).
    terms: Vec<(Vec<NodeId>, bool)>,
    verdicts: RefCell<FxHashMap<CohortId, bool>>,
}

impl Clone for Filter {
    fn clone(&self) -> Filter {
        Filter { terms: self.terms.clone(), verdicts: RefCell::default() }
    }
}

impl Filter {
    /// Every cohort.
    pub fn all() -> Filter {
        Filter::default()
    }

    /// Those that name this component.
    #[must_use]
    pub fn with(mut self, node: NodeId) -> Filter {
        self.terms.push((vec![node], true));
        self.verdicts = RefCell::default();
        self
    }

    /// Those that name one of these components.
    #[must_use]
    pub fn with_any(mut self, nodes: Vec<NodeId>) -> Filter {
        self.terms.push((nodes, true));
        self.verdicts = RefCell::default();
        self
    }

    /// Those that name none of these components.
    #[must_use]
    pub fn without(mut self, nodes: Vec<NodeId>) -> Filter {
        self.terms.push((nodes, false));
        self.verdicts = RefCell::default();
        self
    }

    /// The terms: components, and whether one of them must (or none may) be named.
    pub fn terms(&self) -> &[(Vec<NodeId>, bool)] {
        &self.terms
    }

    /// Whether a cohort counts.
    pub fn keeps(&self, graph: &Graph, cohort: CohortId) -> bool {
        if self.terms.is_empty() {
            return true;
        }
        if let Some(known) = self.verdicts.borrow().get(&cohort) {
            return *known;
        }
        let members = graph.cohort_members(cohort);
        let verdict =
            self.terms.iter().all(|(nodes, wanted)| members.iter().any(|m| nodes.contains(m)) == *wanted);
        self.verdicts.borrow_mut().insert(cohort, verdict);
        verdict
    }
}
