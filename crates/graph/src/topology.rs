//! Nodes and edges, and the graph that holds them: every table persistent, so that a clone is a snapshot.

use crate::columns::Columns;
use crate::concluded::Concluded;
use crate::flows::Flows;
use crate::glance::Glance;
use crate::index::Ends;
use crate::join::Witness;
use crate::links::Links;
use crate::names::Names;
use crate::pages::Pages;
use crate::rules::Kept;
use crate::runs::Runs;
use crate::series::{CohortId, Of, Series, SeriesId};
use crate::sources::{SetId, Sets, Sources};
use imbl::GenericHashMap;
use imbl::shared_ptr::DefaultSharedPtr;
use ontology::{AttrId, ClassId, Key, Ontology, RelationId, Time, Value};
use rustc_hash::FxBuildHasher;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

pub(crate) type Map<K, V> = GenericHashMap<K, V, FxBuildHasher, DefaultSharedPtr>;

/// A node: its place in this graph's table. Not stable between graphs; [`Graph::id`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub u32);

/// An edge: its place in this graph's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EdgeId(pub u32);

/// What is known of an attribute: the value, who said so, and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Said {
    #[serde(with = "crate::checkpoint::Told")]
    pub value: Value,
    /// Position in the ontology's `trust` list; smaller wins.
    pub rank: u16,
    pub at: Time,
}

/// One node.
#[derive(Clone, Debug, Serialize, Deserialize)]
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
    /// Sources that told of it.
    pub(crate) sources: Sources,
    /// Set on a node that was only found by a weaker key: the nodes that this key was seen with.
    pub(crate) owners: Vec<NodeId>,
    /// Nodes that stand for this one under weaker keys.
    pub(crate) followers: Vec<NodeId>,
}

impl Node {
    /// Whether a source told of it.
    pub(crate) fn is_told(&self) -> bool {
        !self.sources.is_empty()
    }

    /// Whether this was said before, and by nobody less or more trusted; if so, whether it was said as late as that, too.
    pub(crate) fn said(&self, said: &[(AttrId, Value)], rank: u16, at: Time) -> Option<bool> {
        let mut as_late = true;
        for (attr, value) in said {
            let own = self.attrs.iter().find(|(a, _)| a == attr).map(|(_, own)| own)?;
            if own.rank != rank || own.value != *value {
                return None;
            }
            as_late &= own.at >= at;
        }
        Some(as_late)
    }

    /// Notes that attributes were said as late as that.
    pub(crate) fn said_by(&mut self, said: &[(AttrId, Value)], at: Time) {
        let again = self.attrs.iter_mut().filter(|(a, _)| said.iter().any(|(attr, _)| a == attr));
        again.for_each(|(_, own)| own.at = own.at.max(at));
    }

    /// Notes what somebody said of it.
    pub(crate) fn say(&mut self, attr: AttrId, value: &Value, rank: u16, at: Time) {
        match self.attrs.iter_mut().find(|(a, _)| *a == attr) {
            // Said again.
            Some((_, old)) if old.rank == rank && old.value == *value => old.at = old.at.max(at),
            Some((_, old)) => {
                let new = Said { value: value.clone(), rank, at };
                if new.beats(old) {
                    *old = new;
                }
            }
            None => {
                // Most nodes say a thing or two, once: room for four would be most of what they weigh.
                self.attrs.reserve_exact(1);
                self.attrs.push((attr, Said { value: value.clone(), rank, at }));
            }
        }
    }
}

/// What is known of a node without looking at it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Marks(u8);

impl Marks {
    /// It is of a class of which a sample is held.
    pub(crate) const SAMPLED: Marks = Marks(1);
    /// It, or another, was found by a weaker key: it may count as another, or another as it.
    pub(crate) const SHARED: Marks = Marks(2);
    /// Whoever keeps hours elsewhere tells all of it in the hour it began in: it is an event, or sampled.
    pub(crate) const DATED: Marks = Marks(4);

    pub(crate) fn has(self, mark: Marks) -> bool {
        self.0 & mark.0 != 0
    }

    pub(crate) fn set(&mut self, mark: Marks) {
        self.0 |= mark.0;
    }
}

/// One edge: a relation between two nodes over time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Edge {
    /// Which relation.
    pub relation: RelationId,
    /// From.
    pub from: NodeId,
    /// To.
    pub to: NodeId,
    /// When a source saw it hold; empty when it was only concluded.
    pub seen: Runs,
    pub(crate) sources: SetId,
    /// When it was said to end: its place in the graph's list, counted from one.
    pub(crate) ends: u32,
}

impl Edge {
    pub(crate) fn new(relation: RelationId, from: NodeId, to: NodeId) -> Edge {
        Edge { relation, from, to, seen: Runs::default(), sources: SetId::default(), ends: 0 }
    }

    /// Whether this place holds no edge: none yet, or one that was let go.
    pub(crate) fn is_none(&self) -> bool {
        self.from == NOWHERE
    }
}

/// No node has this place.
const NOWHERE: NodeId = NodeId(u32::MAX);

impl Default for Edge {
    fn default() -> Self {
        Edge::new(RelationId(u16::MAX), NOWHERE, NOWHERE)
    }
}

/// An epoch of the graph: immutable, cheap to clone, shared by readers.
#[derive(Clone, Debug)]
pub struct Graph {
    pub(crate) ontology: Arc<Ontology>,
    pub(crate) rules: Arc<Kept>,
    pub(crate) nodes: Pages<Option<Arc<Node>>>,
    pub(crate) edges: Pages<Edge>,
    /// Edges at each node; of those from sampled nodes (sessions) into kept ones, which are too many, only the way out.
    pub(crate) links: Links,
    pub(crate) ends: imbl::Vector<Time>,
    pub(crate) flows: Flows,
    /// What reading asks of nodes most often, a byte each.
    pub(crate) marks: Pages<Marks>,
    /// What it asks next.
    pub(crate) glances: Pages<Glance>,
    pub(crate) columns: Arc<Columns>,
    /// The part of each node's key that ids show: what is told in order is sorted by it.
    pub(crate) order: Pages<u64>,
    /// How many edges of each relation there are.
    pub(crate) edge_counts: Vec<usize>,
    pub(crate) names: Names,
    /// By the part of the key that ids show.
    pub(crate) by_key: Map<u64, NodeId>,
    pub(crate) by_class: imbl::OrdMap<ClassId, imbl::Vector<NodeId>>,
    pub(crate) series: imbl::Vector<Arc<Series>>,
    pub(crate) series_of: Map<Of, imbl::Vector<SeriesId>>,
    pub(crate) cohorts: imbl::Vector<Arc<[NodeId]>>,
    pub(crate) sources: imbl::Vector<Arc<str>>,
    pub(crate) sets: Sets,
    /// How concluded edges follow; never an empty set.
    pub(crate) concluded: Concluded,
    pub(crate) witnesses: imbl::Vector<Witness>,
    pub(crate) latest: Option<Time>,
}

impl Graph {
    /// An empty graph under an ontology.
    pub fn new(ontology: Arc<Ontology>) -> Graph {
        Graph {
            rules: Arc::new(Kept::new(&ontology)),
            names: Names::new(&ontology),
            edge_counts: vec![0; ontology.relations.len()],
            ontology,
            nodes: Pages::default(),
            marks: Pages::default(),
            glances: Pages::default(),
            columns: Arc::default(),
            order: Pages::default(),
            edges: Pages::default(),
            links: Links::default(),
            ends: imbl::Vector::new(),
            flows: Flows::default(),
            by_key: Map::default(),
            by_class: imbl::OrdMap::new(),
            series: imbl::Vector::new(),
            series_of: Map::default(),
            cohorts: imbl::Vector::new(),
            sources: imbl::Vector::new(),
            sets: Sets::default(),
            concluded: Concluded::default(),
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

    pub(crate) fn has_mark(&self, node: NodeId, mark: Marks) -> bool {
        self.marks.get(node.0 as usize).is_some_and(|m| m.has(mark))
    }

    pub(crate) fn raw(&self, node: NodeId) -> Option<&Arc<Node>> {
        self.nodes.get(node.0 as usize)?.as_ref()
    }

    /// An edge.
    pub fn edge(&self, edge: EdgeId) -> Option<&Edge> {
        self.edges.get(edge.0 as usize).filter(|e| !e.is_none())
    }

    pub(crate) fn joins(&self, id: EdgeId, (relation, from, to): Ends) -> bool {
        self.edge(id).is_some_and(|e| e.relation == relation && e.from == from && e.to == to)
    }

    /// When an edge was said to end.
    pub fn edge_ended(&self, edge: &Edge) -> Option<Time> {
        self.ends.get(edge.ends.checked_sub(1)? as usize).copied()
    }

    /// The components of a cohort.
    pub fn cohort(&self, cohort: CohortId) -> &[NodeId] {
        self.cohorts.get(cohort.0 as usize).map_or(&[], |c| c)
    }

    pub(crate) fn series_at(&self, id: SeriesId) -> Option<&Arc<Series>> {
        self.series.get(id.0 as usize)
    }

    /// How many nodes, edges, series and cohorts are held, how many summaries of traffic by edge and minute, and the bytes these take.
    pub fn size(&self) -> [(&'static str, usize); 6] {
        let (flows, bytes) = self.flows.size();
        [
            ("nodes", self.nodes.iter().flatten().count()),
            ("edges", self.edges.iter().filter(|e| !e.is_none()).count()),
            ("series", self.series.len()),
            ("cohorts", self.cohorts.len()),
            ("flows", flows),
            ("flow_bytes", bytes),
        ]
    }
}
