//! Which cohorts count, and along which dimensions they are told apart.

use graph::{CohortId, Condition, Graph, NodeId, Subgraph};
use ontology::model::KeyPart;
use ontology::{ClassId, Stretch};
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

/// A condition on what records name, as nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// One of these is named; sorted.
    Names(Vec<NodeId>),
    /// All of these hold.
    All(Vec<Test>),
    /// One of these holds.
    Any(Vec<Test>),
    /// This does not hold.
    Not(Box<Test>),
}

impl Test {
    /// That one of some nodes is named.
    pub fn names(mut nodes: Vec<NodeId>) -> Test {
        nodes.sort_unstable();
        nodes.dedup();
        Test::Names(nodes)
    }

    fn collect(&self, about: &mut Vec<NodeId>) {
        match self {
            Test::Names(nodes) => about.extend(nodes),
            Test::All(tests) | Test::Any(tests) => tests.iter().for_each(|t| t.collect(about)),
            Test::Not(test) => test.collect(about),
        }
    }

    /// Whether it holds of what a record names, each thing as what it counts as.
    pub fn holds(&self, named: &[NodeId]) -> bool {
        match self {
            Test::Names(nodes) => named.iter().any(|n| nodes.binary_search(n).is_ok()),
            Test::All(tests) => tests.iter().all(|t| t.holds(named)),
            Test::Any(tests) => tests.iter().any(|t| t.holds(named)),
            Test::Not(test) => !test.holds(named),
        }
    }
}

/// A condition on cohorts, with its verdicts remembered.
#[derive(Debug, Default)]
pub struct Filter {
    /// Each must hold.
    tests: Vec<Test>,
    verdicts: RefCell<FxHashMap<CohortId, bool>>,
}

impl Clone for Filter {
    fn clone(&self) -> Filter {
        Filter { tests: self.tests.clone(), verdicts: RefCell::default() }
    }
}

impl From<Test> for Filter {
    fn from(test: Test) -> Filter {
        Filter { tests: vec![test], verdicts: RefCell::default() }
    }
}

impl Filter {
    /// Every cohort.
    pub fn all() -> Filter {
        Filter::default()
    }

    fn and(mut self, test: Test) -> Filter {
        self.tests.push(test);
        self.verdicts = RefCell::default();
        self
    }

    /// Those that name this component.
    #[must_use]
    pub fn with(self, node: NodeId) -> Filter {
        self.and(Test::names(vec![node]))
    }

    /// Those that name one of these components.
    #[must_use]
    pub fn with_any(self, nodes: Vec<NodeId>) -> Filter {
        self.and(Test::names(nodes))
    }

    /// Those that name none of these components.
    #[must_use]
    pub fn without(self, nodes: Vec<NodeId>) -> Filter {
        self.and(Test::Not(Box::new(Test::names(nodes))))
    }

    /// Whether every cohort counts.
    pub fn is_all(&self) -> bool {
        self.tests.is_empty()
    }

    /// Whether it holds of what a record names, each thing as what it counts as.
    pub fn holds(&self, named: &[NodeId]) -> bool {
        self.tests.iter().all(|t| t.holds(named))
    }

    /// The nodes that it asks for, sorted: no other decides.
    pub fn about(&self) -> Vec<NodeId> {
        let mut about = Vec::new();
        self.tests.iter().for_each(|t| t.collect(&mut about));
        about.sort_unstable();
        about.dedup();
        about
    }

    /// What those that pass touched in a stretch.
    pub fn subgraph(&self, graph: &Graph, during: Stretch) -> Subgraph {
        graph.subgraph(during, &Condition { holds: &|names| self.holds(names), about: &self.about() })
    }

    /// Whether a cohort counts.
    pub fn keeps(&self, graph: &Graph, cohort: CohortId) -> bool {
        if self.tests.is_empty() {
            return true;
        }
        if let Some(known) = self.verdicts.borrow().get(&cohort) {
            return *known;
        }
        let verdict = self.holds(&graph.cohort_members(cohort));
        self.verdicts.borrow_mut().insert(cohort, verdict);
        verdict
    }
}
