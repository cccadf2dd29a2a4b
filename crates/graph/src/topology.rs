//! Nodes and edges, and the graph that holds them: every table persistent, so that a clone is a snapshot.

use crate::join::{Support, Witness};
use crate::rules::Kept;
use crate::runs::Runs;
use crate::series::{CohortId, Of, Series, SeriesId};
use imbl::GenericHashMap;
use imbl::shared_ptr::DefaultSharedPtr;
use ontology::{AttrId, ClassId, Key, Ontology, RelationId, Time, Value};
use rustc_hash::FxBuildHasher;
use std::sync::Arc;

pub(crate) type Map<K, V> = GenericHashMap<K, V, FxBuildHasher, DefaultSharedPtr>;

/// A node: its place in this graph's table. Not stable between graphs; [`Graph::id`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

/// An edge: its place in this graph's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EdgeId(pub u32);

/// What is known of an attribute: the value, who said so, and when.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Said {
    pub value: Value,
    /// Position in the ontology's `trust` list; smaller wins.
    pub rank: u16,
    pub at: Time,
}

/// One node.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it is.
    pub class: ClassId,
    /// The key it was made for.
    pub key: Key,
    pub(crate) attrs: Vec<(AttrId, Said)>,
    /// When it was seen.
    pub seen: Runs,
    /// When it was said to have ended.
    pub ended: Option<Time>,
    /// Sources that told of it, as bits of [`Graph::sources`].
    pub(crate) sources: u64,
    pub(crate) out: imbl::Vector<EdgeId>,
    /// Edges into it, except those from sampled nodes (sessions), which are too many.
    pub(crate) into: imbl::Vector<EdgeId>,
    /// Set on a node that was only found by a weaker key: the nodes that this key was seen with.
    pub(crate) owners: Vec<NodeId>,
    /// Nodes that stand for this one under weaker keys.
    pub(crate) followers: Vec<NodeId>,
}

/// One edge: a relation between two nodes over time.
#[derive(Clone, Debug)]
pub struct Edge {
    /// Which relation.
    pub relation: RelationId,
    /// From.
    pub from: NodeId,
    /// To.
    pub to: NodeId,
    /// When a source saw it hold; empty when it was only concluded.
    pub seen: Runs,
    /// When it was said to end.
    pub ended: Option<Time>,
    pub(crate) sources: u64,
}

/// An epoch of the graph: immutable, cheap to clone, shared by readers.
#[derive(Clone, Debug)]
pub struct Graph {
    pub(crate) ontology: Arc<Ontology>,
    pub(crate) rules: Arc<Kept>,
    pub(crate) nodes: imbl::Vector<Option<Arc<Node>>>,
    pub(crate) edges: imbl::Vector<Option<Edge>>,
    pub(crate) by_key: Map<u128, NodeId>,
    pub(crate) by_class: imbl::OrdMap<ClassId, imbl::Vector<NodeId>>,
    pub(crate) series: imbl::Vector<Arc<Series>>,
    pub(crate) series_of: Map<Of, imbl::Vector<SeriesId>>,
    pub(crate) cohorts: imbl::Vector<Arc<[NodeId]>>,
    pub(crate) sources: imbl::Vector<Arc<str>>,
    /// How concluded edges follow; never an empty set.
    pub(crate) concluded: Map<EdgeId, imbl::OrdSet<Support>>,
    pub(crate) witnesses: imbl::Vector<Witness>,
    pub(crate) latest: Option<Time>,
}

impl Graph {
    /// An empty graph under an ontology.
    pub fn new(ontology: Arc<Ontology>) -> Graph {
        Graph {
            rules: Arc::new(Kept::new(&ontology)),
            ontology,
            nodes: imbl::Vector::new(),
            edges: imbl::Vector::new(),
            by_key: Map::default(),
            by_class: imbl::OrdMap::new(),
            series: imbl::Vector::new(),
            series_of: Map::default(),
            cohorts: imbl::Vector::new(),
            sources: imbl::Vector::new(),
            concluded: Map::default(),
            witnesses: imbl::Vector::new(),
            latest: None,
        }
    }

    /// The ontology it was made under.
    pub fn ontology(&self) -> &Arc<Ontology> {
        &self.ontology
    }

    /// The latest moment any fact spoke of, facts from the future of their arrival left out.
    pub fn latest(&self) -> Option<Time> {
        self.latest
    }

    pub(crate) fn raw(&self, node: NodeId) -> Option<&Arc<Node>> {
        self.nodes.get(node.0 as usize)?.as_ref()
    }

    /// An edge.
    pub fn edge(&self, edge: EdgeId) -> Option<&Edge> {
        self.edges.get(edge.0 as usize)?.as_ref()
    }

    /// The components of a cohort.
    pub fn cohort(&self, cohort: CohortId) -> &[NodeId] {
        self.cohorts.get(cohort.0 as usize).map_or(&[], |c| c)
    }

    pub(crate) fn series_at(&self, id: SeriesId) -> Option<&Arc<Series>> {
        self.series.get(id.0 as usize)
    }

    /// How many nodes, edges, series and cohorts are held.
    pub fn size(&self) -> [(&'static str, usize); 4] {
        [
            ("nodes", self.nodes.iter().flatten().count()),
            ("edges", self.edges.iter().flatten().count()),
            ("series", self.series.len()),
            ("cohorts", self.cohorts.len()),
        ]
    }
}
